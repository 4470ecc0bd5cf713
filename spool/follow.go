package spool

import (
	"context"
	"errors"
	"math"
	"time"
	"unique"

	"github.com/heraldpush/herald/apns"
)

// Channel is a channel that exists, as far as those who follow it need to know
// it. Whether it does exist, the spool is told.
type Channel struct {
	ID apns.ChannelID
	// App, Environment and Term are what it belongs to, see EndChannels.
	App           apns.Topic
	Environment   apns.Environment
	Term          uint64
	StoragePolicy apns.StoragePolicy
}

// Following says that a device follows a channel, and from where on.
type Following struct {
	Channel
	// Topic is the one under which the device takes its messages: the list of
	// the filter that it is in decides about them.
	Topic apns.Topic
	// Checkpoint is the timestamp of the latest message that the device has;
	// zero if it has none. Nothing up to it is delivered.
	Checkpoint Timestamp
	// Replay asks for the stored message, if it is later than Checkpoint.
	Replay bool
}

// Subscriptions is a change of the channels that a device follows: first
// Unfollow, then Follow.
type Subscriptions struct {
	// Full says that Follow is all that the device follows from now on.
	Full bool
	// Follow has each channel once. One that is followed already begins anew
	// with its checkpoint.
	Follow []Following
	// Unfollow has channels that the device may or may not follow.
	Unfollow []apns.ChannelID
}

// ErrTooManyChannels says that a device would follow more channels than
// Config.MaxChannels.
var ErrTooManyChannels = errors.New("device follows too many channels")

// EndedChannel is one that a device followed, and that does not exist any more.
type EndedChannel struct {
	ID apns.ChannelID
	// Topic is that of the Following.
	Topic apns.Topic
}

// following is what an inbox follows. It is guarded by the lock of the inbox's
// shard. Nil stands for nothing.
type following struct {
	list  []*follow
	ended []EndedChannel // that the device was not told of
}

// follow is one channel that one inbox follows: about 64 bytes with what refers
// to it.
type follow struct {
	inbox   *Inbox
	channel *followed
	topic   topicOf
	// seen is the timestamp of the latest message that was given to the inbox or
	// that the device has; guarded by the lock of the inbox's shard.
	seen Timestamp
	// place is that in channel.follows; guarded by the channel's lock.
	place int
}

// left is seen of what is not followed any more.
const left = Timestamp(math.MaxInt64)

// topicOf is an interned topic with its hash.
type topicOf = unique.Handle[topicNames]

type topicNames struct {
	name apns.Topic
	hash apns.TopicHash
}

// leave takes all that is followed from the channels. The lock of the shard is
// held.
func (fs *following) leave() {
	if fs == nil {
		return
	}
	for _, f := range fs.list {
		f.leave()
	}
}

// leave takes f from its channel. The lock of the inbox's shard is held.
func (f *follow) leave() {
	f.seen = left
	f.channel.remove(f)
}

// Subscribe changes which channels the device follows. What is published on
// them from then on is offered to the inbox, as what is offered to the device is:
// it takes part in the window, and waits behind nothing but what is
// unacknowledged of its channel. What the store has of the channels is offered
// too, where it was asked for.
//
// Whether the channels exist is for the caller to know. One that has ended
// meanwhile is found out by Spool.ChannelEnds, as it was before the caller
// looked and after Subscribe.
//
// The error is ErrTooManyChannels or ErrDetached, with nothing changed; any
// other is a fault of the store in reading what is stored, and the change holds
// nevertheless.
func (in *Inbox) Subscribe(ctx context.Context, c Subscriptions) error {
	replays, err := in.subscribe(&c)
	if err != nil {
		return err
	}
	for _, f := range replays {
		if err := ctx.Err(); err != nil {
			return err
		}
		m, ok, err := in.spool.Latest(ctx, f.channel.ID)
		if err != nil {
			return err
		}
		if ok {
			f.take(&published{Message: m, kept: true}, true, time.Now())
		}
	}
	return nil
}

// subscribe makes the change, and returns what a stored message is wanted of.
func (in *Inbox) subscribe(c *Subscriptions) (replays []*follow, _ error) {
	topics := topicsOf(c.Follow)
	now := time.Now()
	sh := in.shard()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if in.ended {
		return nil, ErrDetached
	}
	former := map[apns.ChannelID]*follow{}
	var ended []EndedChannel
	if in.following != nil {
		ended = in.following.ended
		for _, f := range in.following.list {
			former[f.channel.ID] = f
		}
	}
	stay := in.staying(former, c)
	if len(stay)+len(c.Follow) > in.spool.config.MaxChannels {
		return nil, ErrTooManyChannels
	}
	list := make([]*follow, 0, len(stay)+len(c.Follow))
	for _, f := range stay {
		list = append(list, f)
		delete(former, f.channel.ID)
	}
	for i := range c.Follow {
		to := &c.Follow[i]
		f := former[to.ID]
		if topic := topics[to.Topic]; f != nil && f.topic == topic {
			delete(former, to.ID)
			f.seen = to.Checkpoint
		} else {
			f = &follow{inbox: in, topic: topic, seen: to.Checkpoint}
			in.spool.channels.add(f, to.Channel)
		}
		list = append(list, f)
		if to.Replay && to.StoragePolicy == apns.MostRecentMessageStored {
			replays = append(replays, f)
		}
	}
	for id, f := range former {
		f.leave()
		in.apply(in.machine.unfollowed(id, now))
	}
	in.following = nil
	if len(list) > 0 || len(ended) > 0 {
		in.following = &following{list: list, ended: ended}
	}
	return replays, nil
}

// topicsOf returns the topics under which channels are followed.
func topicsOf(follow []Following) map[apns.Topic]topicOf {
	topics := map[apns.Topic]topicOf{}
	for i := range follow {
		name := follow[i].Topic
		if _, ok := topics[name]; !ok {
			topics[name] = unique.Make(topicNames{name, name.Hash()})
		}
	}
	return topics
}

// staying returns what is followed before and after a change that does not speak
// of it.
func (in *Inbox) staying(former map[apns.ChannelID]*follow, c *Subscriptions) (stay []*follow) {
	if c.Full || in.following == nil {
		return nil
	}
	changed := make(map[apns.ChannelID]struct{}, len(c.Follow)+len(c.Unfollow))
	for i := range c.Follow {
		changed[c.Follow[i].ID] = struct{}{}
	}
	for _, id := range c.Unfollow {
		changed[id] = struct{}{}
	}
	for _, f := range in.following.list {
		if _, ok := changed[f.channel.ID]; !ok {
			stay = append(stay, former[f.channel.ID])
		}
	}
	return stay
}

// EndedChannels returns the channels that ended since it was called last: the device
// followed them, and is to be told. Ready receives when there are some.
func (in *Inbox) EndedChannels() []EndedChannel {
	sh := in.shard()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if in.following == nil {
		return nil
	}
	ended := in.following.ended
	in.following.ended = nil
	if len(in.following.list) == 0 {
		in.following = nil
	}
	return ended
}

// take gives a message to the inbox of f, unless it had it or a later one, or
// does not follow any more.
func (f *follow) take(m *published, stored bool, now time.Time) {
	in := f.inbox
	sh := in.shard()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if in.ended || m.Timestamp <= f.seen {
		return
	}
	f.seen = m.Timestamp
	topic := f.topic.Value()
	e := Entry{
		Address:   apns.Address{Device: in.box.Device, Environment: in.box.Environment, Topic: topic.hash},
		Timestamp: m.Timestamp, Notification: m.Notification,
	}
	e.Notification.Topic = topic.name
	in.apply(in.machine.published(e, m.Channel, m.kept, stored, now))
}

// end has f follow no more because its channel has ended, and the device told.
func (f *follow) end(now time.Time) {
	in := f.inbox
	sh := in.shard()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if in.ended || f.seen == left {
		return
	}
	f.leave()
	fs := in.following
	for i, other := range fs.list {
		if other == f {
			last := len(fs.list) - 1
			fs.list[i], fs.list[last] = fs.list[last], nil
			fs.list = fs.list[:last]
			break
		}
	}
	fs.ended = append(fs.ended, EndedChannel{ID: f.channel.ID, Topic: f.topic.Value().name})
	eff := in.machine.unfollowed(f.channel.ID, now)
	eff.wake = true
	in.apply(eff)
}
