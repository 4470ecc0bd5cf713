package outbox

import (
	"context"
	"encoding/binary"
	"math"
	"time"

	"github.com/heraldpush/herald/provider/audience"
)

// Finished is a message that has ended, with what became of it.
type Finished struct {
	Message Message
	// Part has its last shards; all of them, if Begun is not set.
	Part Part
	// Begun says that the shards before those of Part were added.
	Begun bool
}

// Part is some of a message's shards, by their number, and the failures in them, by
// shard and rank.
type Part struct {
	Shards   []Shard
	Failures []ShardFailure
}

// Archive keeps messages that have ended. It is safe for concurrent use; what a
// method changes is durable (if the store is) when it returns. Times are to the
// nanosecond, in UTC. The suite providertest.Archive proves an implementation.
type Archive interface {
	// Put stores messages, all at once, in the place of what is stored of them. How
	// many, and how much of each, is up to the caller, who keeps others waiting.
	Put(ctx context.Context, all []Finished) error
	// Add stores a part of a message that is too large to be Put at once, in the
	// place of what is stored of its shards from the first of the part to the last.
	// There is no such message before it is Put.
	Add(ctx context.Context, m *Message, p Part) error

	// Message returns a message of an app, or ErrNotFound.
	Message(ctx context.Context, app audience.AppNumber, id MessageID) (Message, error)
	// Shards returns up to limit shards of a message, from a number on.
	Shards(ctx context.Context, app audience.AppNumber, id MessageID, from uint32, limit int) ([]Shard, error)
	// Failures returns up to limit failures of a message after one, by shard and
	// rank; the first are those after the zero value.
	Failures(ctx context.Context, app audience.AppNumber, id MessageID, after FailureAt, limit int) ([]ShardFailure, error)
	// List returns up to limit messages of an app that are older than one, by their
	// IDs, the newest first; the zero ID is that of none, and newer than all.
	List(ctx context.Context, app audience.AppNumber, before MessageID, limit int) ([]Message, error)

	// Trim removes some of the messages that ended before a time, at most so many,
	// and returns how many; 0 if it found none. Those that were stored first are
	// removed first: one that ended long before it was stored may stay until
	// those have their turn that were stored before it.
	Trim(ctx context.Context, ended time.Time, most int) (int, error)
}

// Append appends m, but for its ID, as ParseMessage reads it: its intent behind its
// length (uvarint), and its status.
func (m *Message) Append(b []byte) []byte {
	b = appendText(b, m.Intent.Append(nil))
	return m.Status.Append(b)
}

// ParseMessage reads a message. It keeps nothing of b.
func ParseMessage(id MessageID, b []byte) (m Message, err error) {
	r := record{b: b}
	intent := r.text()
	if r.bad {
		return m, errRecord
	}
	if m.Intent, err = ParseIntent(id, intent); err != nil {
		return m, err
	}
	m.Status, err = ParseStatus(r.b)
	return m, err
}

// AppendShards appends shards as ParseShards reads them: of each its number
// (uvarint), and what Shard.Append says behind its length (uvarint).
func AppendShards(b []byte, shards []Shard) []byte {
	for i := range shards {
		b = binary.AppendUvarint(b, uint64(shards[i].Number))
		b = appendText(b, shards[i].Append(nil))
	}
	return b
}

// ParseShards reads up to limit shards, from a number on. It keeps nothing of b.
func ParseShards(b []byte, from uint32, limit int) (all []Shard, err error) {
	for r := (record{b: b}); len(r.b) > 0 && len(all) < limit; {
		number := uint32(r.number(math.MaxUint32)) //nolint:gosec // bounded
		text := r.text()
		if r.bad {
			return nil, errRecord
		}
		if number < from {
			continue
		}
		s, err := ParseShard(number, text)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// AppendFailures appends failures as ParseFailures reads them: of each its shard
// (uvarint), and what Failure.Append says.
func AppendFailures(b []byte, failures []ShardFailure) []byte {
	for i := range failures {
		b = binary.AppendUvarint(b, uint64(failures[i].Shard))
		b = failures[i].Append(b)
	}
	return b
}

// ParseFailures reads up to limit failures after one. It keeps nothing of b.
func ParseFailures(b []byte, after FailureAt, limit int) (all []ShardFailure, err error) {
	for r := (record{b: b}); len(r.b) > 0 && len(all) < limit; {
		f := ShardFailure{Shard: uint32(r.number(math.MaxUint32))} //nolint:gosec // bounded
		f.Failure = r.failure()
		if r.bad {
			return nil, errRecord
		}
		if f.Shard > after.Shard || f.Shard == after.Shard && f.Rank >= int(after.Next) {
			all = append(all, f)
		}
	}
	return all, nil
}
