package courier

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/registry"
	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/wire"
)

// When a device is to say again which channels it follows.
const (
	subscribeRetry   = 30 * time.Second // after a fault of ours
	subscribeTooMany = time.Hour        // when it would follow too many
)

// maxLooks is how often it is looked up anew which channels exist, because some
// ended meanwhile.
const maxLooks = 3

// errChannelsEnd says that channels kept on ending while a device came to follow
// some.
var errChannelsEnd = errors.New("channels end all the time")

// subscriber is what a session knows of a device that speaks of channels.
type subscriber struct {
	// full is set once the device has said all that it follows. sequence is the
	// number of its last word; zero if it does not count.
	full     bool
	sequence uint64
	updates  uint32 // ChannelUpdates that were sent
}

// take notes a word of the device, and reports whether one before it is missing,
// so that the device has to say all of it.
func (w *subscriber) take(m *wire.Subscriptions) (missing bool) {
	missing = !m.Full && (!w.full || m.Sequence != 0 && w.sequence != 0 && m.Sequence != w.sequence+1)
	w.full, w.sequence = true, m.Sequence
	return missing
}

// subscriptions has the device follow the channels that it names, and answers
// which of them there are (docs/protocol/courier.md#channels).
func (s *session) subscriptions(ctx context.Context, f wire.Frame, out []byte) ([]byte, error) {
	m, err := wire.ParseSubscriptions(f.Payload)
	if err != nil {
		return out, err
	}
	if m.BaseToken != s.base {
		return out, nil // of a device that is not connected here
	}
	if s.subscriber == nil {
		s.subscriber = new(subscriber)
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	answer := wire.SubscriptionsResponse{RequestID: m.RequestID, BaseToken: s.base}
	answer.Apps, err = s.follow(ctx, &m)
	switch {
	case err == nil:
		out = answer.Append(out)
		if s.subscriber.take(&m) {
			out = s.update(nil, true).Append(out)
		}
		return out, nil
	case errors.Is(err, spool.ErrDetached):
		return out, fmt.Errorf("channels: %w", err)
	case errors.Is(err, spool.ErrTooManyChannels):
		answer.Status, answer.RetryAfter = wire.SubscriptionsTooMany, subscribeTooMany
	default:
		answer.Status, answer.RetryAfter = wire.SubscriptionsTryLater, subscribeRetry
		s.fault(ctx, "channels", err)
	}
	answer.Apps = nil
	return answer.Append(out), nil
}

// follow has the inbox follow what m names, and returns what there is to say of
// each channel.
func (s *session) follow(ctx context.Context, m *wire.Subscriptions) ([]wire.AppChannelResults, error) {
	for range maxLooks {
		ends := s.courier.cfg.Spool.ChannelEnds()
		change, results, err := s.look(ctx, m)
		if err != nil {
			return nil, err
		}
		if err := s.inbox.Subscribe(ctx, change); err != nil {
			return nil, err
		}
		if s.courier.cfg.Spool.ChannelEnds() == ends {
			return results, nil
		}
	}
	return nil, errChannelsEnd
}

// look finds out which of the channels that m names exist, and what that
// changes.
func (s *session) look(ctx context.Context, m *wire.Subscriptions) (change spool.Subscriptions, results []wire.AppChannelResults, _ error) {
	change.Full = m.Full
	named := map[apns.ChannelID]int{} // where in change.Follow
	for i := range m.Apps {
		a := &m.Apps[i]
		result := wire.AppChannelResults{App: a.App}
		change.Unfollow = append(change.Unfollow, a.Unsubscribe...)
		for _, sub := range a.Subscribe {
			c, ok, err := s.channel(ctx, a.App, sub.Channel)
			if err != nil {
				return change, nil, err
			}
			r := wire.ChannelResult{Channel: sub.Channel, Status: wire.ChannelInvalid}
			if ok {
				// Not that of the message that comes now: a device takes no message
				// that is older than what it was told here.
				r.Status, r.Checkpoint = wire.ChannelCurrent, sub.Checkpoint
				to := spool.Following{
					Channel: c, Topic: a.App,
					Checkpoint: spool.Timestamp(min(sub.Checkpoint, math.MaxInt64-1)), //nolint:gosec // it fits
					Replay:     !sub.HasReplay || sub.Replay > 0,
				}
				if at, twice := named[c.ID]; twice {
					change.Follow[at] = to
				} else {
					named[c.ID] = len(change.Follow)
					change.Follow = append(change.Follow, to)
				}
			} else if sub.Channel != "" {
				change.Unfollow = append(change.Unfollow, sub.Channel)
			}
			result.Channels = append(result.Channels, r)
		}
		results = append(results, result)
	}
	return change, results, nil
}

// channel returns a channel of the app that a topic is of, by its bundle ID or as
// its Live Activities, and whether there is one.
func (s *session) channel(ctx context.Context, topic apns.Topic, id apns.ChannelID) (spool.Channel, bool, error) {
	app := topic.BundleID()
	if !topic.Valid() || id == "" || topic != app && topic != app+apns.Topic(apns.PushTypeLiveActivity.Suffix()) {
		return spool.Channel{}, false, nil
	}
	term, on := s.courier.cfg.Portal.BroadcastTerm(app)
	if !on {
		return spool.Channel{}, false, nil
	}
	// What others follow was looked up before, and is known to exist.
	if c, ok := s.courier.cfg.Spool.Followed(id); ok {
		return c, c.App == app && c.Environment == s.env && c.Term == term, nil
	}
	c, err := s.courier.cfg.Registry.Channel(ctx, registry.ChannelOwner{App: app, Environment: s.env, Term: term}, id)
	if errors.Is(err, apns.Reject(apns.ChannelNotRegistered, "")) {
		return spool.Channel{}, false, nil
	}
	return spool.Channel{ID: c.ID, App: app, Environment: s.env, Term: term, StoragePolicy: c.StoragePolicy}, err == nil, err
}

// ended appends what the device is to be told of channels that it followed and
// that do not exist any more.
func (s *session) ended(out []byte) []byte {
	if s.subscriber == nil {
		return out
	}
	gone := s.inbox.EndedChannels()
	if len(gone) == 0 {
		return out
	}
	var apps []wire.AppChannelResults
	at := map[apns.Topic]int{}
	for _, c := range gone {
		i, ok := at[c.Topic]
		if !ok {
			i = len(apps)
			at[c.Topic] = i
			apps = append(apps, wire.AppChannelResults{App: c.Topic})
		}
		apps[i].Channels = append(apps[i].Channels, wire.ChannelResult{Channel: c.ID, Status: wire.ChannelInvalid})
	}
	return s.update(apps, false).Append(out)
}

// update returns the next ChannelUpdate.
func (s *session) update(apps []wire.AppChannelResults, resend bool) wire.ChannelUpdate {
	s.subscriber.updates++
	return wire.ChannelUpdate{
		UpdateID: s.subscriber.updates, BaseToken: s.base, Timestamp: uint64(time.Now().UnixNano()), //nolint:gosec // it is after 1970
		Apps: apps, Resend: resend,
	}
}
