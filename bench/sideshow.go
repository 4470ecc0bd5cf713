package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/sideshow/apns2"
	"github.com/sideshow/apns2/token"
	"golang.org/x/net/http2"

	"github.com/heraldpush/herald/platform/bench"
)

// sideshowPusher is github.com/sideshow/apns2 as its documentation uses it, with
// nothing changed but where it pushes to and whom it trusts there.
type sideshowPusher struct {
	load   *bench.PushLoad
	client *apns2.Client
}

func openSideshow(_ context.Context, l *bench.PushLoad) (bench.Pusher, error) {
	key, err := token.AuthKeyFromBytes(l.P8)
	if err != nil {
		return nil, err
	}
	c := apns2.NewTokenClient(&token.Token{AuthKey: key, KeyID: string(l.KeyID), TeamID: string(l.TeamID)})
	transport, ok := c.HTTPClient.Transport.(*http2.Transport) //nolint:staticcheck // the library has it
	if !ok {
		return nil, errors.New("sideshow/apns2 does not use the transport that it did")
	}
	transport.TLSClientConfig = l.TLS() //nolint:staticcheck // the same
	c.HTTPClient.Timeout = l.Timeout
	c.Host = "https://" + l.Address
	return &sideshowPusher{l, c}, nil
}

// Push implements bench.Pusher.
func (s *sideshowPusher) Push(ctx context.Context, i int64) error {
	answer, err := s.client.PushWithContext(ctx, &apns2.Notification{
		DeviceToken: s.load.DeviceToken(i), ApnsID: s.load.ID(i), Topic: string(s.load.Topic), PushType: apns2.PushTypeAlert,
		Priority: apns2.PriorityHigh, Expiration: bench.Expiration(), Payload: s.load.Payload,
	})
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK || answer.ApnsID != s.load.ID(i) {
		return fmt.Errorf("answered %d %s for %q", answer.StatusCode, answer.Reason, answer.ApnsID)
	}
	return nil
}

// Close implements bench.Pusher.
func (s *sideshowPusher) Close() error {
	s.client.CloseIdleConnections()
	return nil
}
