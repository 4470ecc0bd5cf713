package event

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Of one delivery.
const (
	maxBatch      = 100     // events
	maxBatchBytes = 1 << 20 // of bodies, but for one event, which is shorter
	// maxAnswerBytes is how much is read of an answer, so that the connection can be
	// used again. It is not looked at.
	maxAnswerBytes = 16 << 10
	maxErrorBytes  = 200
)

// Delivery is the JSON document that is posted to a webhook.
type Delivery struct {
	Webhook WebhookID `json:"webhook"`
	// Events are by sequence number; at most 100.
	Events []Event `json:"events"`
}

// batch returns those of events that go into one delivery: up to the last of one that
// failed, if it is not zero, so that what is tried again is the same.
func batch(events []Event, last uint64) []Event {
	bytes := 0
	for n := range events {
		e := &events[n]
		bytes += len(e.Body)
		if n > 0 && (bytes > maxBatchBytes || last > 0 && e.Sequence > last) {
			return events[:n]
		}
	}
	return events
}

// deliveryID names the delivery of events to a webhook. It is the same when that is
// tried again, and another when it is replayed.
func deliveryID(w *webhook, events []Event) string {
	return deliveryName(fmt.Sprintf("%s %d %d %d", w.ID, w.Progress.Term, events[0].Sequence, events[len(events)-1].Sequence))
}

// deliveryName returns "whd_" and 26 letters and digits made of a text.
func deliveryName(text string) string {
	sum := sha256.Sum256([]byte("herald delivery\n" + text))
	return "whd_" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:16]))
}

// newClient returns what deliveries are posted with.
func newClient(cfg CallerConfig) *http.Client {
	dial, proxy := cfg.Dial, (func(*http.Request) (*url.URL, error))(nil)
	if dial == nil {
		dial, proxy = (&net.Dialer{Timeout: cfg.Timeout}).DialContext, http.ProxyFromEnvironment
	}
	return &http.Client{
		Transport: &http.Transport{
			Proxy: proxy, DialContext: dial,
			TLSClientConfig:        &tls.Config{RootCAs: cfg.Roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    cfg.Timeout,
			MaxIdleConnsPerHost:    1,
			IdleConnTimeout:        time.Minute,
			MaxResponseHeaderBytes: maxAnswerBytes,
			ForceAttemptHTTP2:      true,
		},
		// Whoever is redirected posts what is signed for one to another.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// answer is what came of a post.
type answer struct {
	status int    // 0: none
	err    string // empty if it was taken
	asked  time.Duration
}

// post posts events to a webhook.
func (c *Caller) post(ctx context.Context, w *webhook, id string, secrets []Secret, events []Event) answer {
	body, err := json.Marshal(Delivery{w.ID, events})
	if err != nil {
		return answer{err: "making the document: " + err.Error()}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(body))
	if err != nil {
		return answer{err: "the URL cannot be used"}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Herald-Webhooks/1")
	sign(req.Header, secrets, id, time.Now(), body)
	res, err := c.http.Do(req)
	if err != nil {
		return answer{err: plainly(err)}
	}
	defer res.Body.Close()
	// Bounded by ctx, too.
	_, _ = io.CopyN(io.Discard, res.Body, maxAnswerBytes) // only for the connection
	switch res.StatusCode / 100 {
	case 2:
		return answer{status: res.StatusCode}
	case 3:
		return answer{status: res.StatusCode, err: "it redirects, which is not followed: give the webhook the other URL"}
	}
	return answer{
		status: res.StatusCode, err: strings.TrimSpace("answered " + strconv.Itoa(res.StatusCode) + " " + http.StatusText(res.StatusCode)),
		asked: retryAfter(res.Header.Get("Retry-After"), time.Now()),
	}
}

// plainly says why there is no answer, without the URL, which may have a secret in it.
func plainly(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	text := err.Error()
	return strings.ToValidUTF8(text[:min(len(text), maxErrorBytes)], "")
}

// retryAfter reads the time that is asked for, in seconds or as a date (RFC 9110
// section 10.2.3); 0 if it is none.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(text, 10, 32); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// Trial is what came of a test.
type Trial struct {
	// Taken reports whether the receiver answered with a status from 200 to 299.
	Taken bool `json:"taken"`
	// Status is that of the answer; 0 if there was none.
	Status int `json:"status,omitempty"`
	// Error says what was wrong; empty if it was taken.
	Error string `json:"error,omitempty"`
	// Milliseconds is how long it took.
	Milliseconds int64 `json:"milliseconds"`
}

// Try posts an event of the kind WebhookTest to a webhook, whatever its state, and
// returns what came of it, which changes nothing. The error may wrap
// account.ErrNotFound.
func (c *Caller) Try(ctx context.Context, id WebhookID) (Trial, error) {
	w, _, err := c.cfg.Roll.watch(id)
	if err != nil {
		return Trial{}, err
	}
	began := time.Now()
	secrets, err := c.cfg.Roll.secrets(ctx, id, began)
	if err != nil {
		return Trial{}, err
	}
	e, err := newEvent(newID(), began, "", WebhookTest, string(id), struct{}{})
	if err != nil {
		return Trial{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	a := c.post(ctx, w, deliveryName(string(e.ID)), secrets, []Event{e})
	return Trial{Taken: a.err == "", Status: a.status, Error: a.err, Milliseconds: time.Since(began).Milliseconds()}, nil
}
