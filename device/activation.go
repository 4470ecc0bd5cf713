package device

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/wire"
)

// activationTimeout bounds one attempt at activation.
const activationTimeout = 30 * time.Second

// maxIssuers bounds the certificates behind the device's own.
const maxIssuers = 4

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

// activate gets the device its certificate, trying until the activation door
// answers. The error is an *ActivationError, one of the folder, or ctx's.
func (d *Device) activate(ctx context.Context) error {
	key, err := d.folder.pendingKey()
	if err != nil {
		return err
	}
	csr, err := credential.NewRequest(key, credential.RequestSubject{CommonName: "Herald device"})
	if err != nil {
		return err
	}
	body, err := json.Marshal(wire.ActivationRequest{
		EnrolmentCode: d.config.EnrolmentCode,
		CSR:           string(credential.MarshalRequestPEM(csr)),
	})
	if err != nil {
		return err
	}
	var pause backoff
	for {
		identity, id, err := d.requestCertificate(ctx, body, key)
		var refused *ActivationError
		switch {
		case err == nil:
			if err := d.folder.saveIdentity(identity); err != nil {
				return err
			}
			d.mu.Lock()
			d.identity, d.id, d.memory.changed = identity, id, true
			d.mu.Unlock()
			d.config.Logger.Info("device activated", "device", id)
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &refused):
			return err
		}
		wait := pause.next()
		d.setUp(false, err)
		d.config.Logger.Warn("activation did not succeed", "error", err, "retry_in", wait)
		if err := d.rest(ctx, wait); err != nil {
			return err
		}
	}
}

// requestCertificate makes one attempt.
func (d *Device) requestCertificate(ctx context.Context, body []byte, key *ecdsa.PrivateKey) (credential.Identity, apns.DeviceID, error) {
	ctx, cancel := context.WithTimeout(ctx, activationTimeout)
	defer cancel()
	answer, err := d.postActivation(ctx, body)
	if err != nil {
		return credential.Identity{}, "", err
	}
	identity, id, err := parseActivation(answer, key)
	if err != nil {
		return credential.Identity{}, "", fmt.Errorf("the answer of the activation door: %w", err)
	}
	return identity, id, nil
}

// postActivation returns the body of a good answer. It follows no redirect:
// the enrolment code is for the door that was configured.
func (d *Device) postActivation(ctx context.Context, body []byte) ([]byte, error) {
	door := http.Client{
		Transport: &http.Transport{
			DialContext:            d.config.Dial,
			TLSClientConfig:        &tls.Config{RootCAs: d.config.Roots, MinVersion: tls.VersionTLS12},
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: wire.MaxActivationBytes,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.config.Activation, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := door.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // what it held was read
	answer, err := io.ReadAll(io.LimitReader(resp.Body, wire.MaxActivationBytes+1))
	switch {
	case err != nil:
		return nil, err
	case len(answer) > wire.MaxActivationBytes:
		return nil, fmt.Errorf("an answer of more than %d bytes", wire.MaxActivationBytes)
	case resp.StatusCode == http.StatusOK:
		return answer, nil
	}
	return nil, activationProblem(resp.StatusCode, answer)
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

// parseActivation reads a good answer: a certificate for key.
func parseActivation(body []byte, key *ecdsa.PrivateKey) (credential.Identity, apns.DeviceID, error) {
	var resp wire.ActivationResponse
	if err := json.Unmarshal(body, &resp); err != nil {
		return credential.Identity{}, "", err
	}
	certs, err := parseCertificates([]byte(resp.Certificate))
	if err != nil {
		return credential.Identity{}, "", err
	}
	id, err := credential.ParseDeviceCertificate(certs[0])
	switch {
	case err != nil:
		return credential.Identity{}, "", err
	case id != resp.DeviceID:
		return credential.Identity{}, "", errors.New("the certificate is for another device ID")
	case !key.PublicKey.Equal(certs[0].PublicKey):
		return credential.Identity{}, "", credential.ErrKeyMismatch
	}
	return credential.Identity{Certificate: certs[0], Chain: certs[1:], Key: key}, id, nil
}

// parseCertificates reads at least one certificate in PEM.
func parseCertificates(text []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" || len(certs) > maxIssuers {
			return nil, fmt.Errorf("want a certificate and at most %d issuers in PEM", maxIssuers)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		certs = append(certs, cert)
	}
	if certs == nil {
		return nil, errors.New("no certificate in PEM")
	}
	return certs, nil
}
