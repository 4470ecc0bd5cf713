package spool

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/heraldpush/herald/apns"
)

// channels is who follows what: an entry for each channel that an attached
// device follows, and nothing for the others.
type channels struct {
	shards [channelShards]channelShard
	// ended counts the ends of channels.
	ended atomic.Uint64

	stamping sync.Mutex
	last     Timestamp // the latest one given; guarded by stamping
}

// stamp returns the timestamp of a message that is taken at the time now. It is
// later than that of any other message on any channel: so it serves as the
// checkpoint on its channel, and no two messages to one device have the same.
func (cs *channels) stamp(now time.Time) Timestamp {
	cs.stamping.Lock()
	defer cs.stamping.Unlock()
	cs.last = max(cs.last+1, Timestamp(now.UnixNano()))
	return cs.last
}

// channelShards is the number of locks that channels share. A lock is taken
// alone, or while that of a device's shard is held, and never the other way
// round.
const channelShards = 64

type channelShard struct {
	mu       sync.Mutex
	followed map[apns.ChannelID]*followed // guarded by mu
}

// followed is a channel that somebody follows, or did a moment ago.
type followed struct {
	Channel
	shard *channelShard
	// follows is in no order, but for that: where one is taken away, the last one
	// takes its place, so that one who goes through it from the end to the
	// beginning, with pauses, misses none that stays. Guarded by shard.mu.
	follows []*follow
}

// shard returns the shard of a channel. An ID is random, so any of its bytes
// spread well.
func (cs *channels) shard(id apns.ChannelID) *channelShard {
	h := uint32(0)
	for i := range len(id) {
		h = h*31 + uint32(id[i])
	}
	return &cs.shards[h%channelShards]
}

// add has f follow a channel.
func (cs *channels) add(f *follow, c Channel) {
	sh := cs.shard(c.ID)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	ch := sh.followed[c.ID]
	if ch == nil {
		if sh.followed == nil {
			sh.followed = map[apns.ChannelID]*followed{}
		}
		ch = &followed{Channel: c, shard: sh}
		sh.followed[c.ID] = ch
	}
	f.channel, f.place = ch, len(ch.follows)
	ch.follows = append(ch.follows, f)
}

// remove takes f away, and the channel if it was the last one; once.
func (ch *followed) remove(f *follow) {
	ch.shard.mu.Lock()
	defer ch.shard.mu.Unlock()
	if f.place == nowhere {
		return
	}
	last := len(ch.follows) - 1
	ch.follows[f.place] = ch.follows[last]
	ch.follows[f.place].place = f.place
	ch.follows[last] = nil
	ch.follows = ch.follows[:last]
	f.place = nowhere
	if last == 0 && ch.shard.followed[ch.ID] == ch {
		delete(ch.shard.followed, ch.ID)
	}
	if n := cap(ch.follows); n > 64 && last < n/4 { // most have gone
		ch.follows = append(make([]*follow, 0, n/2), ch.follows...)
	}
}

// before appends up to the given number of those below place at to room, from
// the end, and returns where to go on, 0 at the end.
func (ch *followed) before(at int, room []*follow) (batch []*follow, next int) {
	ch.shard.mu.Lock()
	defer ch.shard.mu.Unlock()
	at = min(at, len(ch.follows))
	next = max(0, at-cap(room))
	return append(room, ch.follows[next:at]...), next
}

// get returns a channel that somebody follows, or nil.
func (cs *channels) get(id apns.ChannelID) *followed {
	sh := cs.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.followed[id]
}

// end takes those channels away for which the function says so, and returns
// them. Nobody comes to follow them any more; those who do are still there.
func (cs *channels) end(ended func(*Channel) bool) (gone []*followed) {
	for i := range cs.shards {
		sh := &cs.shards[i]
		sh.mu.Lock()
		for id, ch := range sh.followed {
			if ended(&ch.Channel) {
				gone = append(gone, ch)
				delete(sh.followed, id)
			}
		}
		sh.mu.Unlock()
	}
	return gone
}

// Followed returns a channel that an attached device follows, as it was told of.
func (s *Spool) Followed(id apns.ChannelID) (Channel, bool) {
	if ch := s.channels.get(id); ch != nil {
		return ch.Channel, true
	}
	return Channel{}, false
}

// EndChannel tells those who follow a channel that it does not exist any more,
// see Inbox.EndedChannels. It does not wait until they are told. It is to be called when
// nobody can find the channel any more.
func (s *Spool) EndChannel(id apns.ChannelID) {
	s.channels.ended.Add(1) // before, so that who comes meanwhile learns of it
	sh := s.channels.shard(id)
	sh.mu.Lock()
	ch := sh.followed[id]
	delete(sh.followed, id)
	sh.mu.Unlock()
	if ch != nil {
		s.fanouts.add(ch, nil)
	}
}

// EndChannels is EndChannel for each followed channel for which ended says so. It
// returns how many there were.
func (s *Spool) EndChannels(ended func(*Channel) bool) int {
	s.channels.ended.Add(1)
	gone := s.channels.end(ended)
	for _, ch := range gone {
		s.fanouts.add(ch, nil)
	}
	return len(gone)
}

// ChannelEnds counts the calls of EndChannel and EndChannels. Who finds that it
// is the same after Inbox.Subscribe as it was before looking whether the channels
// exist knows that all of them still did then.
func (s *Spool) ChannelEnds() uint64 { return s.channels.ended.Load() }
