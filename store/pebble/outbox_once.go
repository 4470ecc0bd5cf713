package pebble

import (
	"encoding/binary"
	"errors"
	"time"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
)

// forgetKey is the key by which a request is forgotten when its time is over. Each that
// is known has one, which goes with it.
func forgetKey(app audience.AppNumber, key [16]byte, until uint64) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{forgetKind}, until), onceKey(app, key)[1:]...)
}

// remember notes with which request a message came.
func (o *Outbox) remember(b *engine.Batch, m *outbox.Message, once outbox.Once) error {
	until := millis(once.Until)
	value := append(append(make([]byte, 0, onceBytes), m.ID[:]...), once.Fingerprint[:]...)
	forget := forgetKey(m.App, once.Key, until)
	if string(forget) < string(o.forgotten) {
		o.forgotten = forget
	}
	return errors.Join(
		b.Set(onceKey(m.App, once.Key), binary.BigEndian.AppendUint64(value, until), nil),
		b.Set(forget, nil, nil),
	)
}

// seen returns the message of a request that was made before.
func (o *Outbox) seen(b *engine.Batch, s *outbox.Submission, now time.Time) (m outbox.Message, repeated bool, err error) {
	if err := o.forget(b, now); err != nil {
		return m, false, broken(err)
	}
	value, known, err := get(b, onceKey(s.Intent.App, s.Once.Key))
	if err != nil || !known || len(value) != onceBytes {
		return m, false, broken(err)
	}
	if until := binary.BigEndian.Uint64(value[32:]); until <= millis(now) { // its turn has not come
		err := errors.Join(b.Delete(onceKey(s.Intent.App, s.Once.Key), nil), b.Delete(forgetKey(s.Intent.App, s.Once.Key, until), nil))
		return m, false, broken(err)
	}
	if [16]byte(value[16:32]) != s.Once.Fingerprint {
		return m, false, outbox.ErrOtherRequest
	}
	kept, err := o.look(b, outbox.MessageID(value[:16]))
	if errors.Is(err, outbox.ErrNotFound) {
		return outbox.Message{Intent: outbox.Intent{ID: outbox.MessageID(value[:16])}}, true, nil
	}
	if err != nil {
		return m, true, err
	}
	return kept.Message, true, nil
}

// Of the forgetting of requests: how often, and how many at once, while others wait. It
// is faster than requests come.
const (
	forgetEvery = 100 * time.Millisecond
	forgetMost  = 2000
)

// forget removes the requests whose time is over, every now and then.
func (o *Outbox) forget(b *engine.Batch, now time.Time) error {
	if now.Sub(o.swept).Abs() < forgetEvery {
		return nil
	}
	o.swept = now
	until := binary.BigEndian.AppendUint64([]byte{forgetKind}, millis(now))
	if string(o.forgotten) >= string(until) {
		return nil
	}
	left := forgetMost
	begins := until
	err := each(b, o.forgotten, until, func(key, _ []byte) (bool, error) {
		if left == 0 {
			begins = append([]byte(nil), key...)
			return false, nil
		}
		left--
		return true, errors.Join(b.Delete(append([]byte{onceKind}, key[1+8:]...), nil), b.Delete(key, nil))
	})
	o.forgotten = begins
	return err
}
