package bench

import (
	"context"
	"errors"
	"fmt"
	"iter"

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
	load   *PushLoad
	to     []apns.DeviceToken // of pushTokens
	what   apns.Notification  // the same for all, but for its ID
	// numbers are of the pushes that are under way, by their number modulo
	// pushIDs.
	numbers [pushIDs]int64
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
	h := &heraldPusher{load: l, what: apns.Notification{
		Topic: l.Topic, PushType: apns.PushTypeAlert, Priority: Priority, Expiration: apns.ExpiresAt(Expiration()), Payload: l.Payload,
	}}
	h.sender, err = apnsclient.New(apnsclient.Config{
		Environment: environment, Host: l.Address, ServerName: l.ServerName, Roots: l.Roots, ProviderTokens: tokens, Timeout: l.Timeout,
		Connections: 1, MaxConcurrentStreams: l.Streams,
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
	return h, nil
}

// Push implements Pusher.
func (h *heraldPusher) Push(ctx context.Context, i int64) error {
	n := h.what
	n.ID = apns.NotificationID(h.load.ID(i))
	_, err := h.sender.Push(ctx, h.to[i%pushTokens], n)
	return err
}

// PushAll implements BulkPusher.
func (h *heraldPusher) PushAll(ctx context.Context, pushes iter.Seq[int64]) iter.Seq2[int64, error] {
	return func(yield func(int64, error) bool) {
		for r := range h.sender.PushAll(ctx, h.bulk(pushes)) {
			i := int64(-1)
			if number, ok := r.Owner.(*int64); ok {
				i = *number
			}
			if !yield(i, r.Err) {
				return
			}
		}
	}
}

// bulk returns the pushes with the given numbers.
func (h *heraldPusher) bulk(pushes iter.Seq[int64]) iter.Seq[apnsclient.Push] {
	return func(yield func(apnsclient.Push) bool) {
		for i := range pushes {
			number := &h.numbers[i%pushIDs]
			*number = i
			p := apnsclient.Push{To: h.to[i%pushTokens], Notification: &h.what, ID: apns.NotificationID(h.load.ID(i)), Owner: number}
			if !yield(p) {
				return
			}
		}
	}
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
