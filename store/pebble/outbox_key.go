package pebble

import (
	"encoding/binary"
	"errors"
	"time"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
)

// The keys of an outbox. Numbers are big-endian, times are milliseconds since the
// epoch.
//
//	m message(16)                                     an intent
//	p message(16)                                     its status
//	s message(16) shard(4)                            a shard
//	f message(16) shard(4) rank(4)                    a failure
//	r lane(1) app(4) due(8) message(16) shard(4)      a shard that waits to be claimed
//	q message(16) shard(4)                            since when: due(8)
//	t due(8) message(16)                              the alarm of a message
//	d ended(8) message(16)                            a message that has ended
//	l app(4) message(16)                              a message of an app
//	i app(4) key(16)                                  a request: message(16) fingerprint(16) until(8)
//	x until(8) app(4) key(16)                         when that is forgotten
//	o                                                 the epoch
//	v                                                 the format of all this
const (
	intentKind  = 'm'
	statusKind  = 'p'
	shardKind   = 's'
	failureKind = 'f'
	readyKind   = 'r'
	sinceKind   = 'q'
	alarmKind   = 't'
	endedKind   = 'd'
	listKind    = 'l'
	onceKind    = 'i'
	forgetKind  = 'x'
)

// Keys of which there is one.
var (
	epochKey        = []byte{'o'}
	outboxFormatKey = []byte{'v'}
)

// Sizes, in bytes.
const (
	messageIDBytes = 16
	readyKeyBytes  = 1 + 1 + 4 + 8 + messageIDBytes + 4
	onceBytes      = messageIDBytes + 16 + 8
)

// millis returns a time as keys have it.
func millis(t time.Time) uint64 { return uint64(max(t.UnixMilli(), 0)) }

func messageKey(kind byte, id outbox.MessageID) []byte { return append([]byte{kind}, id[:]...) }

func shardKey(kind byte, s shardID) []byte {
	return binary.BigEndian.AppendUint32(messageKey(kind, s.message), s.number)
}

func failureKey(s shardID, rank uint32) []byte {
	return binary.BigEndian.AppendUint32(shardKey(failureKind, s), rank)
}

// appendQueue appends what the keys of a queue begin with.
func appendQueue(b []byte, q outbox.Queue) []byte {
	return binary.BigEndian.AppendUint32(append(b, readyKind, byte(q.Lane)), uint32(q.App))
}

// ready is a shard that waits to be claimed.
type ready struct {
	queue outbox.Queue
	due   uint64
	shard shardID
}

func (r ready) key() []byte {
	b := binary.BigEndian.AppendUint64(appendQueue(make([]byte, 0, readyKeyBytes), r.queue), r.due)
	return binary.BigEndian.AppendUint32(append(b, r.shard.message[:]...), r.shard.number)
}

// errOutboxKey says that a key is none.
var errOutboxKey = errors.New("a key of the outbox cannot be read")

func parseReadyKey(b []byte) (r ready, err error) {
	if len(b) != readyKeyBytes {
		return r, errOutboxKey
	}
	r.queue = outbox.Queue{Lane: outbox.Lane(b[1]), App: audience.AppNumber(binary.BigEndian.Uint32(b[2:]))}
	r.due = binary.BigEndian.Uint64(b[6:])
	r.shard.message = outbox.MessageID(b[14:30])
	r.shard.number = binary.BigEndian.Uint32(b[30:])
	return r, nil
}

// timeKey is the key of what happens to a message at a time, rounded up, so that it
// does not happen before.
func timeKey(kind byte, at time.Time, id outbox.MessageID) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{kind}, millis(at.Add(time.Millisecond-1))), id[:]...)
}

// listKey is the key by which the messages of an app are listed.
func listKey(app audience.AppNumber, id outbox.MessageID) []byte {
	return append(appendList(make([]byte, 0, 1+4+messageIDBytes), app), id[:]...)
}

// appendList appends what the keys of an app's messages begin with.
func appendList(b []byte, app audience.AppNumber) []byte {
	return binary.BigEndian.AppendUint32(append(b, listKind), uint32(app))
}

// onceKey is the key of a request.
func onceKey(app audience.AppNumber, key [16]byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{onceKind}, uint32(app)), key[:]...)
}

// after returns the key that comes after all that begin with a prefix, nil if
// there is none.
func after(prefix []byte) []byte {
	b := append([]byte(nil), prefix...)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i]++; b[i] != 0 {
			return b[:i+1]
		}
	}
	return nil
}

// get returns a copy of the value of a key, and whether it has one.
func get(r engine.Reader, key []byte) (value []byte, known bool, err error) {
	b, closer, err := r.Get(key)
	if errors.Is(err, engine.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	value = append([]byte{}, b...)
	return value, true, closer.Close()
}

// first returns the first key within bounds, nil if there is none.
func first(r engine.Reader, from, to []byte) (key []byte, err error) {
	err = each(r, from, to, func(k, _ []byte) (bool, error) {
		key = append([]byte(nil), k...)
		return false, nil
	})
	return key, err
}

// each calls f with the keys within bounds and their values, which are valid until
// it returns, as long as it reports true.
func each(r engine.Reader, from, to []byte, f func(key, value []byte) (bool, error)) (err error) {
	it, err := r.NewIter(&engine.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for valid := it.First(); valid; valid = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if goesOn, err := f(it.Key(), value); err != nil || !goesOn {
			return err
		}
	}
	return it.Error()
}
