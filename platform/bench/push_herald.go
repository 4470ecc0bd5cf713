package bench

import (
	"context"
	"errors"
	"fmt"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/credential"
)

// ownPeers are the clients that the bench has itself.
func ownPeers() []Peer {
	return []Peer{{Herald, openHerald}, {NetHTTP, openNetHTTP}}
}

// heraldPusher is the library.
type heraldPusher struct {
	sender *apnsclient.Sender
	to     []apns.DeviceToken   // of pushTokens
	pushes []*apns.Notification // of pushIDs
}

func openHerald(_ context.Context, l *PushLoad) (Pusher, error) {
	key, err := credential.ParseP8(l.P8)
	if err != nil {
		return nil, err
	}
	tokens, err := apnsclient.NewProviderTokens(l.TeamID, l.KeyID, key)
	if err != nil {
		return nil, err
	}
	h := new(heraldPusher)
	h.sender, err = apnsclient.New(apnsclient.Config{
		Environment: environment, Host: l.Address, ServerName: l.ServerName, Roots: l.Roots, ProviderTokens: tokens, Timeout: l.Timeout,
	})
	if err != nil {
		return nil, err
	}
	for i := range int64(pushTokens) {
		to, err := apns.ParseDeviceToken(l.DeviceToken(i))
		if err != nil {
			return nil, err
		}
		h.to = append(h.to, to)
	}
	for i := range int64(pushIDs) {
		h.pushes = append(h.pushes, &apns.Notification{
			ID: apns.NotificationID(l.ID(i)), Topic: l.Topic, PushType: apns.PushTypeAlert, Priority: Priority,
			Expiration: apns.ExpiresAt(Expiration()), Payload: l.Payload,
		})
	}
	return h, nil
}

// Push implements Pusher.
func (h *heraldPusher) Push(ctx context.Context, i int64) error {
	_, err := h.sender.Push(ctx, h.to[i%pushTokens], *h.pushes[i%pushIDs])
	return err
}

// Close implements Pusher.
func (h *heraldPusher) Close() error { return h.sender.Close() }

// kindOf returns in a word how a push failed, where it is an error of the
// library, else the text of the error.
func kindOf(err error) string {
	if e, ok := errors.AsType[*apns.Rejection](err); ok {
		return "refused: " + string(e.Reason)
	}
	if _, ok := errors.AsType[*apnsclient.UnansweredError](err); ok {
		return unanswered
	}
	if _, ok := errors.AsType[*apnsclient.UnsentError](err); ok {
		return unsent
	}
	return fmt.Sprintf("%.200v", err)
}

// How a push ends that no gateway takes.
const (
	unanswered = "sent and not answered"
	unsent     = "not sent"
)
