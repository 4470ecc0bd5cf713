package device

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/wire"
)

// activationTimeout bounds one question to the activation door.
const activationTimeout = 30 * time.Second

// ActivationError says that the activation door refused. Trying again with the
// same enrolment code is of no use.
type ActivationError struct {
	// Status is the HTTP status, 4xx.
	Status int
	// Title and Detail are the door's words, empty if it had none.
	Title, Detail string
}

// Error says what the door said.
func (e *ActivationError) Error() string {
	s := fmt.Sprintf("activation refused: %d %s", e.Status, http.StatusText(e.Status))
	if e.Title != "" {
		s = fmt.Sprintf("activation refused: %.200q", e.Title)
	}
	if e.Detail != "" {
		s += fmt.Sprintf(": %.500q", e.Detail)
	}
	return s
}

// What the activation door is asked for; each is the last part of a URL.
const (
	doorRenewal = "renew"
	doorErasure = "erase"
)

// doorURL returns where the activation door answers what is asked: beside
// Config.Activation, or on the port of the courier, for which it is the name to
// verify.
func (c Config) doorURL(what string) (at, serverName string) {
	if c.Activation == "" {
		return "https://" + c.Courier + "/v1/" + what, c.ServerName
	}
	u, err := url.Parse(c.Activation)
	if err != nil { // Config was checked
		return c.Activation, ""
	}
	u.Path = u.Path[:strings.LastIndexByte(u.Path, '/')+1] + what
	return u.String(), ""
}

// ask puts a question to a door, with its own time if the device's clock is
// wrong. The body is made anew each time. The error is an *ActivationError if
// there is no use in asking again.
func (d *Device) ask(ctx context.Context, at, serverName string, body func(now time.Time) (any, error)) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, activationTimeout)
	defer cancel()
	now := time.Now()
	for tried := false; ; tried = true {
		question, err := body(now)
		if err != nil {
			return nil, err
		}
		text, err := json.Marshal(question)
		if err != nil {
			return nil, err
		}
		answer, date, err := d.post(ctx, at, serverName, text)
		refused := new(ActivationError)
		if tried || !errors.As(err, &refused) || refused.Title != wire.ClockProblem || date.IsZero() {
			return answer, err
		}
		now = date
	}
}

// post returns the body of a good answer, and the time that the door has. It
// follows no redirect: what is sent is for the door that was configured.
func (d *Device) post(ctx context.Context, at, serverName string, body []byte) (answer []byte, date time.Time, err error) {
	door := http.Client{
		Transport: &http.Transport{
			DialContext:            d.config.Dial,
			TLSClientConfig:        &tls.Config{RootCAs: d.config.Roots, ServerName: serverName, MinVersion: tls.VersionTLS12},
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: wire.MaxActivationBytes,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at, bytes.NewReader(body))
	if err != nil {
		return nil, time.Time{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := door.Do(req)
	if err != nil {
		return nil, time.Time{}, err
	}
	defer func() { _ = resp.Body.Close() }() // what it held was read
	if date, err = http.ParseTime(resp.Header.Get("Date")); err != nil {
		date = time.Time{} // it does not say
	}
	answer, err = io.ReadAll(io.LimitReader(resp.Body, wire.MaxActivationBytes+1))
	switch {
	case err != nil:
		return nil, date, err
	case len(answer) > wire.MaxActivationBytes:
		return nil, date, fmt.Errorf("an answer of more than %d bytes", wire.MaxActivationBytes)
	case resp.StatusCode == http.StatusOK, resp.StatusCode == http.StatusNoContent:
		return answer, date, nil
	}
	return nil, date, activationProblem(resp.StatusCode, answer)
}

// activationProblem returns the error for an answer that brings no certificate:
// an *ActivationError if there is no use in asking again.
func activationProblem(status int, body []byte) error {
	var p wire.Problem
	if err := json.Unmarshal(body, &p); err != nil {
		p = wire.Problem{} // no problem document, the status must do
	}
	refused := &ActivationError{Status: status, Title: p.Title, Detail: p.Detail}
	switch {
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests,
		status < 400, status >= 500:
		return fmt.Errorf("the activation door answered with status %d %s", status, p.Title)
	}
	return refused
}

// proof shows the door that the device has an identity.
func proof(i credential.Identity, purpose wire.ProofPurpose, over string, now time.Time) (wire.DeviceProof, error) {
	cert := string(credential.MarshalCertificatePEM(i.Certificate))
	return wire.NewDeviceProof(cert, i.Key, wire.NewProofNonce(now), purpose, over)
}
