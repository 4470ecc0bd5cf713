package spool

import (
	"slices"
	"time"
	"unique"

	"github.com/heraldpush/herald/apns"
)

// machine decides what is handed out to one attached device, and when. Each
// method is an event; it is given the time and returns what is to be done
// outside. There is no I/O, lock or clock inside.
//
// What it holds of the store is never the only copy: whatever is stored is
// found there again when the machine is dropped.
type machine struct {
	rules *rules
	// filter is valid if filtered is set; until then nothing is handed out.
	filter   *lists
	filtered bool
	// active is until when the device is active; zero for not at all.
	active time.Time
	// slots has the topics for which there is something, in no order.
	slots []slot
	// unacked counts the slots with something in flight, waking those in which
	// it may have woken the device.
	unacked, waking int
	// company is set from when something that may wake the device is handed out,
	// until none such is in flight and nothing is left to go with it.
	company bool
	// owesLast is set while something stored was handed out without the last
	// flag, and that has not followed.
	owesLast bool
	// messageID is the latest one given.
	messageID uint32
	// told is what became of notifications in this event, for Config.Observe.
	told []Event
}

// slot is what there is of one topic, or of one channel: what is published on a
// channel and what is offered do not take each other's place.
type slot struct {
	topic   topicName
	channel apns.ChannelID // empty for what was offered
	class   class
	waiting *item // may be nil
	flight  *item // handed out and unacknowledged; may be nil
}

// effects is what is to be done after an event.
type effects struct {
	// wake: Next has something.
	wake bool
	// discard is to be deleted from the store.
	discard []Version
	// alarm is when tick is to be called, in place of any earlier alarm; zero
	// for never.
	alarm time.Time
}

// newMachine returns the machine of a device that has just attached.
func newMachine(r *rules, active bool) machine {
	m := machine{rules: r}
	if active {
		m.active = forever
	}
	return m
}

// wants reports whether there is any use in taking the notification: not if its
// topic is ignored, and if it is not to be kept, only if it could go now or
// after others of its topic or the window.
func (m *machine) wants(e *Entry, keep bool, now time.Time) bool {
	if !m.filtered {
		return keep
	}
	c := m.filter.class(unique.Make(e.Address.Topic))
	if keep {
		return c != ignored
	}
	return m.open(c, e, now)
}

// offered is told of a notification that was accepted, and stored if kept is
// set.
func (m *machine) offered(e Entry, kept bool, now time.Time) effects {
	return m.take(&item{Entry: e, kept: kept, replayed: !m.filtered}, now)
}

// take puts a notification in its slot.
func (m *machine) take(it *item, now time.Time) effects {
	e := &it.Entry
	if !m.wants(e, it.kept, now) {
		m.tellUnwanted(it, now)
		if it.own() {
			return m.settle(now, e.Version())
		}
		return m.settle(now)
	}
	s := m.slot(unique.Make(e.Address.Topic), it.channel)
	for _, other := range [...]*item{s.flight, s.waiting} {
		if other != nil && other.Timestamp >= e.Timestamp { // it overtook this one on the way, or is this one
			other.cover(it)
			m.tellReplaced(it, other, now)
			return m.settle(now)
		}
	}
	it.cover(s.waiting)
	m.tellReplaced(s.waiting, it, now)
	s.waiting = it
	return m.settle(now)
}

// published is told of a message of a channel that the device follows. It waits
// for the device if kept is set; replayed says that it waited before the device
// came.
func (m *machine) published(e Entry, c apns.ChannelID, kept, replayed bool, now time.Time) effects {
	return m.take(&item{Entry: e, channel: c, kept: kept, replayed: replayed}, now)
}

// unfollowed is told that the device does not follow a channel any more. What it
// has of it unacknowledged it may still acknowledge.
func (m *machine) unfollowed(c apns.ChannelID, now time.Time) effects {
	for i := range m.slots {
		if s := &m.slots[i]; s.channel == c {
			s.waiting = nil
			if s.flight != nil {
				s.flight.under = nil
			}
		}
	}
	return m.settle(now)
}

// loaded is told of what was in the store when the device attached.
func (m *machine) loaded(entries []Entry, now time.Time) effects {
	for _, e := range entries {
		s := m.slot(unique.Make(e.Address.Topic), "")
		if s.waiting == nil || s.waiting.Timestamp < e.Timestamp {
			s.waiting = &item{Entry: e, kept: true, replayed: true}
		}
	}
	return m.settle(now)
}

// filterSet is told of the device's filter, and returns how much of what was
// stored may be handed out under it now.
func (m *machine) filterSet(f *lists, now time.Time) (stored int, eff effects) {
	m.filter, m.filtered = f, true
	var discard []Version
	for i := range m.slots {
		s := &m.slots[i]
		s.class = m.filter.class(s.topic)
		if s.class == ignored && s.waiting != nil {
			for it := s.waiting; it != nil; it = it.under {
				m.tell(WasIgnored, it, now)
				if it.own() {
					discard = append(discard, it.Version())
				}
			}
			s.waiting = nil
		}
	}
	eff = m.settle(now, discard...)
	return m.replayable(now), eff
}

// activeSet is told until when the device is active.
func (m *machine) activeSet(until, now time.Time) effects {
	m.active = until
	return m.settle(now)
}

// tick is called when the alarm has come.
func (m *machine) tick(now time.Time) effects { return m.settle(now) }

// next picks what is to be handed out now: what was stored first, the oldest
// first; then by priority, and by age.
func (m *machine) next(now time.Time) (Delivery, bool, effects) {
	m.sweep(now)
	if m.unacked >= m.rules.window {
		return Delivery{}, false, m.settle(now)
	}
	var best *slot
	for i := range m.slots {
		if s := &m.slots[i]; m.deliverable(s, now) && (best == nil || s.waiting.before(best.waiting)) {
			best = s
		}
	}
	if best == nil {
		return Delivery{}, false, m.settle(now)
	}
	it := best.waiting
	best.waiting, best.flight = nil, it
	m.unacked++
	if it.wakes = m.wakesFor(best.class, &it.Entry, now); it.wakes {
		m.waking++
		m.company = true
	}
	m.messageID++
	it.id = m.messageID
	if it.replayed || m.owesLast {
		it.last = m.replayable(now) == 0
		m.owesLast = !it.last
	}
	return it.delivery(), true, m.settle(now)
}

// acked is told of an acknowledgement. It reports false if nothing with this
// message id is in flight.
func (m *machine) acked(id uint32, d Disposition, now time.Time) (Delivery, bool, effects) {
	i := slices.IndexFunc(m.slots, func(s slot) bool { return s.flight != nil && s.flight.id == id })
	if i < 0 {
		return Delivery{}, false, m.settle(now)
	}
	s := &m.slots[i]
	it := s.flight
	s.flight = nil
	m.unacked--
	if it.wakes {
		m.waking--
	}
	m.tellAcked(s, it, d, now)
	var discard []Version
	if it.own() && d != Keep {
		discard = append(discard, it.Version())
	}
	switch {
	case it.under == nil:
	case d == Delivered:
		if it.under.own() {
			discard = append(discard, it.under.Version())
		}
	case s.waiting == nil:
		s.waiting = it.under
	default:
		s.waiting.cover(it.under)
	}
	return it.delivery(), true, m.settle(now, discard...)
}

// settle ends each event: it finds what there is to do about what waits.
func (m *machine) settle(now time.Time, discard ...Version) effects {
	eff := effects{discard: discard}
	if !m.filtered {
		return eff
	}
	m.sweep(now)
	var ready bool
	for i := range m.slots {
		ready = ready || m.deliverable(&m.slots[i], now)
	}
	if !ready && m.waking == 0 {
		m.company = false
	}
	eff.wake = ready && m.unacked < m.rules.window
	for i := range m.slots {
		s := &m.slots[i]
		if s.waiting == nil || s.class != enabled || m.open(s.class, &s.waiting.Entry, now) {
			continue
		}
		if at, ok := m.release(&s.waiting.Entry); ok && (eff.alarm.IsZero() || at.Before(eff.alarm)) {
			eff.alarm = at
		}
	}
	return eff
}

// sweep drops what has expired, and the slots in which nothing is left.
func (m *machine) sweep(now time.Time) {
	for i := range m.slots {
		s := &m.slots[i]
		for s.waiting != nil && m.over(s.waiting, now) {
			m.tellOver(s.waiting, now)
			s.waiting = s.waiting.under
		}
	}
	m.slots = slices.DeleteFunc(m.slots, func(s slot) bool { return s.flight == nil && s.waiting == nil })
	if len(m.slots) == 0 {
		m.slots = nil // most devices have nothing, most of the time
	}
}

// deliverable reports whether the slot has something for next, were the window
// not full. It is asked after sweep.
func (m *machine) deliverable(s *slot, now time.Time) bool {
	return s.waiting != nil && s.flight == nil && m.open(s.class, &s.waiting.Entry, now)
}

// replayable counts what waits from before the first filter and may be handed
// out now or together with something that may. It is asked after sweep.
func (m *machine) replayable(now time.Time) (n int) {
	company := m.company
	for i := range m.slots {
		s := &m.slots[i]
		company = company || s.waiting != nil && m.wakesFor(s.class, &s.waiting.Entry, now)
	}
	for i := range m.slots {
		s := &m.slots[i]
		if s.waiting == nil || !s.waiting.replayed {
			continue
		}
		if m.open(s.class, &s.waiting.Entry, now) || company && s.class.mayCome() {
			n++
		}
	}
	return n
}

// slot returns the slot of the topic, or of the channel if that is not empty, a
// new one if there is none. It is valid until the next event.
func (m *machine) slot(t topicName, c apns.ChannelID) *slot {
	for i := range m.slots {
		if m.slots[i].topic == t && m.slots[i].channel == c {
			return &m.slots[i]
		}
	}
	s := slot{topic: t, channel: c}
	if m.filtered {
		s.class = m.filter.class(t)
	}
	m.slots = append(m.slots, s)
	return &m.slots[len(m.slots)-1]
}

// lists reports whether the filter names the topic.
func (m *machine) lists(t topicName) bool { return m.filter.class(t) != unlisted }
