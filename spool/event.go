package spool

import (
	"errors"
	"time"
	"unique"

	"github.com/heraldpush/herald/apns"
)

// Event says what became of a notification, for Config.Observe.
type Event struct {
	// Outcome is what did.
	Outcome Outcome
	// At is when.
	At time.Time
	// Address is where the notification was to go; of a message of a channel that
	// goes to many, it has a topic alone.
	Address apns.Address
	// ID is its apns-id.
	ID apns.NotificationID
	// Newer is the apns-id of what took its place; of WasReplaced alone.
	Newer apns.NotificationID
	// Until is when it expires; of WasStored alone.
	Until time.Time
}

// Outcome is what became of a notification.
type Outcome uint8

// The outcomes.
const (
	// WasStored: it is durable, and waits until Event.Until.
	WasStored Outcome = iota + 1
	// WasPassed: it is not to be stored, and the device is there.
	WasPassed
	// WasMissed: it is not to be stored, and cannot go at once.
	WasMissed
	// WasRepeated: it had been accepted before.
	WasRepeated
	// WasRefused: the spool is full or overloaded.
	WasRefused
	// WasIgnored: the device ignores its topic.
	WasIgnored
	// WasReplaced: a newer one has taken its place.
	WasReplaced
	// WasExpired: its time was over before the device had it.
	WasExpired
	// WasDropped: it was not stored, and the device went, or could not take it
	// in time.
	WasDropped
	// WasTakenBack: the device went without acknowledging it. It waits again.
	WasTakenBack
)

// observe tells what became of e, at a time or, if that is zero, now. It costs
// nothing where nobody asks.
func (s *Spool) observe(o Outcome, e *Entry, at time.Time) {
	if s.config.Observe == nil {
		return
	}
	if at.IsZero() {
		at = time.Now()
	}
	ev := Event{Outcome: o, At: at, Address: e.Address, ID: e.Notification.ID}
	if o == WasStored {
		ev.Until = e.Deadline()
	}
	s.config.Observe(ev)
}

// observeUnwritten is observe of what is not written, as there is no use in it or
// for the overload that why says. The inbox may be nil.
func (s *Spool) observeUnwritten(e *Entry, in *Inbox, why error, now time.Time) {
	if s.config.Observe == nil {
		return
	}
	outcome := WasMissed
	switch {
	case why != nil:
		outcome = WasRefused
	case in != nil && in.machine.ignores(e.Address.Topic):
		outcome = WasIgnored
	}
	s.observe(outcome, e, now)
}

// observeMessage is observe of a message that was published, or not for the
// reason that why says.
func (s *Spool) observeMessage(m *Message, keep bool, why error) {
	if s.config.Observe == nil {
		return
	}
	ev := Event{
		Outcome: WasPassed, At: time.Now(), ID: m.Notification.ID,
		Address: apns.Address{Topic: m.Notification.Topic.Hash()},
	}
	switch {
	case errors.Is(why, apns.Reject(apns.ServiceUnavailable, "")):
		ev.Outcome = WasRefused
	case why != nil: // a fault, or the end
		return
	case keep:
		ev.Outcome, ev.Until = WasStored, m.Deadline()
	}
	s.config.Observe(ev)
}

// observeWritten is observe of a write that was carried out.
func (s *Spool) observeWritten(w *Write, at time.Time) {
	switch {
	case w.Repeat:
		s.observe(WasRepeated, &w.Entry, at)
	case w.Keep:
		s.observe(WasStored, &w.Entry, at)
	default:
		s.observe(WasPassed, &w.Entry, at)
	}
}

// observeTold passes on what the machine has told. The lock is held.
func (in *Inbox) observeTold() {
	for _, ev := range in.machine.told {
		in.spool.config.Observe(ev)
	}
	in.machine.told = nil
}

// The rest is what a machine tells, if anybody asks.

// tell tells what became of a notification.
func (m *machine) tell(o Outcome, it *item, now time.Time) {
	if m.rules.observed {
		m.told = append(m.told, Event{Outcome: o, At: now, Address: it.Address, ID: it.Notification.ID})
	}
}

// tellUnwanted tells of one that was accepted and is of no use by now.
func (m *machine) tellUnwanted(it *item, now time.Time) {
	if it.kept || m.ignores(it.Address.Topic) {
		m.tell(WasIgnored, it, now)
	} else {
		m.tell(WasMissed, it, now)
	}
}

// tellReplaced tells that by has taken the place of old and of what that stood
// for, but not of what by stands for itself: that is in the store still.
func (m *machine) tellReplaced(old, by *item, now time.Time) {
	for ; old != nil && old != by.under && old.Timestamp != by.Timestamp; old = old.under {
		m.tell(WasReplaced, old, now)
		m.tellNewer(by)
	}
}

// tellNewer adds to what was told last what took the place.
func (m *machine) tellNewer(by *item) {
	if n := len(m.told); n > 0 {
		m.told[n-1].Newer = by.Notification.ID
	}
}

// tellAcked tells what an acknowledgement means for others, and for what the
// device could not take. What waits is as it was before.
func (m *machine) tellAcked(s *slot, it *item, d Disposition, now time.Time) {
	switch {
	case d == Delivered && it.under != nil:
		m.tell(WasReplaced, it.under, now)
		m.tellNewer(it)
	case d == Keep && !it.kept:
		m.tell(WasDropped, it, now)
	case d == Keep && s.waiting != nil && s.waiting.kept:
		m.tellReplaced(it, s.waiting, now)
	}
}

// tellOver tells of one that waited for too long.
func (m *machine) tellOver(it *item, now time.Time) {
	if it.kept {
		m.tell(WasExpired, it, now)
	} else {
		m.tell(WasDropped, it, now)
	}
}

// tellGone tells what comes of the end of the attachment: what is in the store
// waits there, and the rest is gone.
func (m *machine) tellGone(now time.Time) {
	if m.rules == nil || !m.rules.observed {
		return
	}
	for i := range m.slots {
		s := &m.slots[i]
		switch it := s.flight; {
		case it == nil:
		case !it.kept:
			m.tell(WasDropped, it, now)
		case s.waiting != nil && s.waiting.kept:
			m.tellReplaced(it, s.waiting, now)
		default:
			m.tell(WasTakenBack, it, now)
		}
		for it := s.waiting; it != nil; it = it.under {
			if !it.kept {
				m.tell(WasDropped, it, now)
			}
		}
	}
}

// ignores reports whether the device ignores the topic.
func (m *machine) ignores(t apns.TopicHash) bool {
	return m.filtered && m.filter.class(unique.Make(t)) == ignored
}
