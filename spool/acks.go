package spool

import (
	"context"
	"time"
	"unique"

	"github.com/heraldpush/herald/apns"
)

// Window returns how many notifications may be unacknowledged on one attached
// device.
func (s *Spool) Window() int { return s.config.Window }

// AckRange is Ack for all deliveries whose message ids are from first to last,
// with one call of the store. It returns what was delivered, in no order; that
// there is none is no error.
func (in *Inbox) AckRange(ctx context.Context, first, last uint32, d Disposition) ([]Delivery, error) {
	sh := in.shard()
	sh.mu.Lock()
	if in.ended {
		sh.mu.Unlock()
		return nil, ErrDetached
	}
	all, eff := in.machine.ackedRange(first, last, d, time.Now())
	in.apply(eff)
	call := in.begin(eff)
	sh.mu.Unlock()
	return all, call.discard(ctx)
}

// Received names a notification that a device has.
type Received struct {
	Topic     apns.TopicHash
	Timestamp Timestamp
}

// Received tells what the device has of what was stored when it attached, though
// the acknowledgement did not arrive: as Ack with Delivered, for notifications
// that were handed out on an earlier attachment. It is to be called before
// SetFilter. What does not wait is passed over. It returns how many did.
//
// The error is ErrDetached; any other is a fault of the store, after which they
// may be delivered again at the next attachment.
func (in *Inbox) Received(ctx context.Context, list []Received) (int, error) {
	sh := in.shard()
	sh.mu.Lock()
	if in.ended {
		sh.mu.Unlock()
		return 0, ErrDetached
	}
	eff := in.machine.received(list, time.Now())
	in.apply(eff)
	call := in.begin(eff)
	sh.mu.Unlock()
	return len(call.versions), call.discard(ctx)
}

// ackedRange is acked for a range of message ids.
func (m *machine) ackedRange(first, last uint32, d Disposition, now time.Time) ([]Delivery, effects) {
	var ids []uint32
	for i := range m.slots {
		if it := m.slots[i].flight; it != nil && first <= it.id && it.id <= last {
			ids = append(ids, it.id)
		}
	}
	var all []Delivery
	var discard []Version
	for _, id := range ids {
		one, _, eff := m.acked(id, d, now)
		all, discard = append(all, one), append(discard, eff.discard...)
	}
	return all, m.settle(now, discard...)
}

// received is told what the device has of what waits.
func (m *machine) received(list []Received, now time.Time) effects {
	var discard []Version
	for _, r := range list {
		topic := unique.Make(r.Topic)
		for i := range m.slots {
			s := &m.slots[i]
			if s.topic != topic || s.waiting == nil || s.waiting.Timestamp != r.Timestamp || !s.waiting.own() {
				continue
			}
			discard = append(discard, s.waiting.Version())
			s.waiting = nil
		}
	}
	m.sweep(now)
	return m.settle(now, discard...)
}
