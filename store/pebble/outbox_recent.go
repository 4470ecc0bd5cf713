package pebble

import (
	"slices"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/heraldpush/herald/provider/outbox"
)

// What is kept of messages that are in the database: those that come and go within
// a second or two are never read from it.
const (
	maxRecentBytes = 8 << 20
	// maxRecentShard bounds the stored form of a shard that is kept.
	maxRecentShard = 512
	// recentBytes is about how much memory a message takes but for its payload.
	recentBytes = 1200
)

// recents are the messages that the outbox's goroutine has to do with, as they are
// in its batch.
type recents struct {
	of    map[outbox.MessageID]*recentMessage
	line  []outbox.MessageID // as they came; some are gone
	bytes int
}

// recentMessage is a message as it is stored. Nobody changes what is in it.
type recentMessage struct {
	outbox.Message
	// shard is the stored form of the one shard of a message that has only one; nil
	// for others.
	shard  []byte
	number uint32
	// due is since when the shard waits to be claimed, if it does.
	due   uint64
	waits bool
}

// bytesOf returns about how much memory m takes.
func (m *recentMessage) bytesOf() int { return recentBytes + len(m.Notification.Payload) }

// add keeps a message, and forgets others that are older.
func (r *recents) add(m *recentMessage) {
	r.of[m.ID] = m
	r.bytes += m.bytesOf()
	for r.line = append(r.line, m.ID); r.bytes > maxRecentBytes; r.line = r.line[1:] {
		r.remove(r.line[0])
	}
	if len(r.line) > 2*len(r.of)+1000 {
		r.line = slices.DeleteFunc(r.line, func(id outbox.MessageID) bool { return r.of[id] == nil })
	}
}

// remove forgets a message.
func (r *recents) remove(id outbox.MessageID) {
	if m := r.of[id]; m != nil {
		r.bytes -= m.bytesOf()
		delete(r.of, id)
	}
}

// only returns the message of a shard if that is its only one, nil otherwise.
func (r *recents) only(id shardID) *recentMessage {
	if m := r.of[id.message]; m != nil && m.shard != nil && m.number == id.number {
		return m
	}
	return nil
}

// look returns a message, for the goroutine.
func (o *Outbox) look(b *engine.Batch, id outbox.MessageID) (*recentMessage, error) {
	if m := o.recent.of[id]; m != nil {
		return m, nil
	}
	read, err := o.message(b, id)
	if err != nil {
		return nil, err
	}
	m := &recentMessage{Message: read}
	o.recent.add(m)
	return m, nil
}

// lookAtShard returns a shard, which is there, for the goroutine.
func (o *Outbox) lookAtShard(b *engine.Batch, id shardID) (outbox.Shard, error) {
	if m := o.recent.only(id); m != nil {
		return outbox.ParseShard(id.number, m.shard)
	}
	return o.shard(b, id)
}
