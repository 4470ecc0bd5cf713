// Package wheel is a hierarchical timing wheel: very many timers in one
// structure, each a few words in what it is for, with nothing in the runtime. To
// set one and to take it back costs the same however many there are.
//
// It has no clock and no goroutine. Its owner tells it the time, and asks when
// to do so next. No timer fires early; one fires late by less than a tick, and
// by what the owner is late.
package wheel

import (
	"math"
	"math/bits"
	"time"
)

// A level has 64 slots; a slot of a level is as long as all those of the level
// below. Of the levels there are as many as it takes for any time.Duration at a
// tick of a second.
const (
	slotBits = 6
	slots    = 1 << slotBits
	levels   = 6
	most     = 1<<(slotBits*levels) - 1
)

// Timer is a timer of a wheel. The zero Timer is not set. It must not be copied
// while it is set.
type Timer[T any] struct {
	// Value is for whoever is told that the timer has fired.
	Value T

	next, prev *Timer[T] // prev is nil for the first of a slot
	at         uint64    // tick at which it fires
	place      uint16    // its slot; unset, or due
	set        bool
}

// Places that are in no level.
const (
	due    = slots * levels // of timers whose time had come when they were set
	moving = due + 1        // of those that Advance has in hand
	places = moving + 1
)

// IsSet reports whether the timer will fire.
func (t *Timer[T]) IsSet() bool { return t.set }

// Wheel has the timers that are set. It is for one goroutine at a time.
type Wheel[T any] struct {
	start time.Time
	tick  time.Duration
	now   uint64 // ticks from start that have been dealt with
	// occupied has, by level, a bit for each slot in which there is a timer.
	occupied [levels]uint64
	first    [places]*Timer[T] // by place
}

// New returns a wheel whose ticks are so long, one of them at start.
func New[T any](start time.Time, tick time.Duration) *Wheel[T] {
	return &Wheel[T]{start: start, tick: tick}
}

// Set has the timer fire at the given time, in place of an earlier one.
func (w *Wheel[T]) Set(t *Timer[T], at time.Time) {
	w.Stop(t)
	t.at = 0
	if d := at.Sub(w.start); d > 0 {
		t.at = min(uint64((d-1)/w.tick)+1, w.last()) // the first tick that is not before
	}
	w.insert(t)
}

// last returns the latest tick that there is, centuries from the start.
func (w *Wheel[T]) last() uint64 { return min(uint64(math.MaxInt64/w.tick), most) }

// Stop takes the timer back, if it is set.
func (w *Wheel[T]) Stop(t *Timer[T]) {
	if !t.set {
		return
	}
	if t.next != nil {
		t.next.prev = t.prev
	}
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		w.first[t.place] = t.next
		if t.next == nil {
			w.vacate(int(t.place))
		}
	}
	t.next, t.prev, t.set = nil, nil, false
}

func (w *Wheel[T]) insert(t *Timer[T]) {
	place := due
	if t.at > w.now {
		// The highest digit in which it differs from now says the level.
		level := (bits.Len64(t.at^w.now) - 1) / slotBits
		slot := int(t.at>>(level*slotBits)) % slots
		w.occupied[level] |= 1 << slot
		place = level*slots + slot
	}
	t.place, t.set, t.prev, t.next = uint16(place), true, nil, w.first[place] //nolint:gosec // it is at most due
	if t.next != nil {
		t.next.prev = t
	}
	w.first[place] = t
}

func (w *Wheel[T]) vacate(place int) {
	if place < due {
		w.occupied[place/slots] &^= 1 << (place % slots)
	}
}

// Next returns when Advance is to be called, and false if no timer is set. It
// may be before the first timer fires, and is at most a few times for each.
func (w *Wheel[T]) Next() (time.Time, bool) {
	if w.first[due] != nil {
		return w.start, true
	}
	at, _, ok := w.next()
	return w.start.Add(time.Duration(at) * w.tick), ok //nolint:gosec // it came from a time.Duration
}

// next returns the tick at which the first slot in which there is a timer
// begins, and that slot.
func (w *Wheel[T]) next() (at uint64, place int, ok bool) {
	for level, occupied := range w.occupied {
		if occupied == 0 {
			continue
		}
		// All are ahead of now, and in the same slot of the level above.
		slot := bits.TrailingZeros64(occupied)
		shift := level * slotBits
		at = w.now>>(shift+slotBits)<<(shift+slotBits) | uint64(slot)<<shift
		return at, level*slots + slot, true
	}
	return 0, 0, false
}

// Advance tells the time, and calls fire for each timer that has come, in no
// order. It is not set any more; fire may set it, and others.
func (w *Wheel[T]) Advance(now time.Time, fire func(*Timer[T])) {
	to := w.now
	if d := now.Sub(w.start); d > 0 {
		to = max(to, min(uint64(d/w.tick), w.last()))
	}
	w.empty(due, fire)
	for {
		at, place, ok := w.next()
		if !ok || at > to {
			break
		}
		w.now = at
		w.empty(place, fire)
	}
	w.now = to
}

// empty takes all timers out of a slot, and calls fire for those that are due.
func (w *Wheel[T]) empty(place int, fire func(*Timer[T])) {
	w.first[moving], w.first[place] = w.first[place], nil
	w.vacate(place)
	for t := w.first[moving]; t != nil; t = t.next {
		t.place = moving // for fire may stop any of them
	}
	for t := w.first[moving]; t != nil; t = w.first[moving] {
		w.Stop(t)
		if t.at > w.now {
			w.insert(t)
		} else {
			fire(t)
		}
	}
}
