package spool

import (
	"context"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/heraldpush/herald/apns"
)

// Message is what was published on a channel: the same notification for all
// devices that follow it. Its ID is the apns-request-id of the broadcast.
type Message struct {
	Channel      apns.ChannelID
	Timestamp    Timestamp
	Notification apns.Notification
}

// Deadline returns when the message expires: at its notification's expiration,
// and at the latest apns.MaxChannelStorage after it was taken.
func (m *Message) Deadline() time.Time {
	return m.Notification.Expiration.ChannelDeadline(m.Timestamp.Time())
}

// Expired reports whether the message is to be discarded at the time now.
func (m *Message) Expired(now time.Time) bool { return !now.Before(m.Deadline()) }

// Bytes returns what the message counts for in Usage.Bytes.
func (m *Message) Bytes() int64 {
	n := &m.Notification
	return int64(entryOverheadBytes + len(m.Channel) + len(n.ID) + len(n.Topic) + len(n.PushType) + len(n.Payload))
}

// ChannelStore is the part of a Store that keeps messages. What is said of a
// Store holds for it; Expire and Usage are of messages too.
type ChannelStore interface {
	// PutMessage makes m the message of its channel, durably, unless the one
	// there has a later timestamp.
	PutMessage(ctx context.Context, m Message) error
	// Message returns the message of a channel, and whether there is one. It
	// sees every PutMessage that returned before it was called. It may return
	// one that has expired.
	Message(ctx context.Context, c apns.ChannelID) (Message, bool, error)
}

// Publish takes a notification for all that follow a channel. Where the policy
// is to store the most recent message, and the notification may be stored, it
// takes the place of the one before it; when Publish then returns nil, it is
// durable. What may not be stored leaves that one where it is
// (docs/protocol/broadcast.md#storage).
//
// It goes to the attached devices that follow the channel, but for those that a
// later message has reached, and Publish does not wait for that.
//
// The error is an *apns.Rejection with apns.ServiceUnavailable while the spool
// is full or overloaded, and with apns.Shutdown after Close. Any other error is
// a fault of the store, after which it is unknown whether the message is stored,
// and it goes to nobody who is attached. The spool keeps n.Payload.
func (s *Spool) Publish(ctx context.Context, c apns.ChannelID, p apns.StoragePolicy, n apns.Notification) (Receipt, error) {
	m := Message{Channel: c, Notification: n}
	now := time.Now()
	keep := p == apns.MostRecentMessageStored && n.Expiration.Stored(now)
	if !s.fanouts.reserve(s.config.MaxPublished) {
		err := errOverload()
		s.observeMessage(&m, keep, err)
		return Receipt{}, err
	}
	err := s.admitMessage(&m, keep, now)
	if err == nil && keep {
		err = s.putMessage(ctx, &m)
	}
	s.observeMessage(&m, keep, err)
	if err != nil {
		s.fanouts.release()
		return Receipt{}, err
	}
	// Who follows is looked up when the message is stored, and what is stored when
	// it is known who follows: one of them sees the other.
	if ch := s.channels.get(c); ch != nil {
		s.fanouts.add(ch, &published{Message: m, kept: keep})
	} else {
		s.fanouts.release()
	}
	return Receipt{Timestamp: m.Timestamp, Stored: keep}, nil
}

// published is a message for those who follow.
type published struct {
	Message
	kept bool // it is stored
}

// putMessage stores a message that was admitted.
func (s *Spool) putMessage(ctx context.Context, m *Message) error {
	defer func() {
		s.offers.Add(-1)
		s.calls.Done()
	}()
	ctx, cancel := s.writeContext(ctx)
	defer cancel()
	if err := s.config.Store.PutMessage(ctx, *m); err != nil {
		return storeFault("storing message", err)
	}
	return nil
}

// admitMessage stamps the message. If it is to be kept, it counts as an offer
// and a call from then on.
func (s *Spool) admitMessage(m *Message, keep bool, now time.Time) error {
	sh := s.channelShard(m.Channel)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.closed {
		return errShutdown()
	}
	if keep {
		if s.overloaded(keep) {
			return errOverload()
		}
		s.offers.Add(1)
		s.calls.Add(1)
	}
	m.Timestamp = s.channels.stamp(now)
	return nil
}

// Latest returns the message that is stored on a channel, and whether there is
// one. The error is an *apns.Rejection with apns.Shutdown after Close; any
// other is a fault of the store.
func (s *Spool) Latest(ctx context.Context, c apns.ChannelID) (Message, bool, error) {
	if err := s.beginCall(c); err != nil {
		return Message{}, false, err
	}
	defer s.calls.Done()
	ctx, cancel := s.readContext(ctx)
	defer cancel()
	m, ok, err := s.config.Store.Message(ctx, c)
	switch {
	case err != nil:
		return Message{}, false, fmt.Errorf("reading message: %w", err)
	case !ok || m.Expired(time.Now()):
		return Message{}, false, nil
	}
	return m, true, nil
}

// beginCall counts a call of the store for a channel, unless the spool is
// closed.
func (s *Spool) beginCall(c apns.ChannelID) error {
	sh := s.channelShard(c)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.closed {
		return errShutdown()
	}
	s.calls.Add(1)
	return nil
}

// channelShard returns the shard of a channel.
func (s *Spool) channelShard(c apns.ChannelID) *shard {
	h := fnv.New64a()
	_, _ = h.Write([]byte(c)) // it never fails
	return &s.shards[h.Sum64()%shardCount]
}
