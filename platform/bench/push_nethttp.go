package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// httpPusher is a bare client of Go's standard library.
type httpPusher struct {
	load          *PushLoad
	client        *http.Client
	base          string
	authorization string
	expiration    string
}

func openNetHTTP(_ context.Context, l *PushLoad) (Pusher, error) {
	authorization, err := l.Authorization()
	if err != nil {
		return nil, err
	}
	return &httpPusher{
		load:   l,
		client: &http.Client{Transport: &http.Transport{TLSClientConfig: l.TLS(), ForceAttemptHTTP2: true}, Timeout: l.Timeout},
		base:   "https://" + l.Address + devicePath, authorization: authorization,
		expiration: strconv.FormatInt(Expiration().Unix(), 10),
	}, nil
}

// Push implements Pusher.
func (h *httpPusher) Push(ctx context.Context, i int64) (err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.base+h.load.DeviceToken(i), bytes.NewReader(h.load.Payload))
	if err != nil {
		return err
	}
	r.Header.Set("authorization", h.authorization)
	r.Header.Set("apns-id", h.load.ID(i))
	r.Header.Set("apns-topic", string(h.load.Topic))
	r.Header.Set("apns-push-type", "alert")
	r.Header.Set("apns-priority", "10")
	r.Header.Set("apns-expiration", h.expiration)
	answer, err := h.client.Do(r)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, answer.Body.Close()) }()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK || answer.Header.Get("apns-id") != h.load.ID(i) {
		return fmt.Errorf("answered %s for %q", answer.Status, answer.Header.Get("apns-id"))
	}
	return nil
}

// Close implements Pusher.
func (h *httpPusher) Close() error {
	h.client.CloseIdleConnections()
	return nil
}
