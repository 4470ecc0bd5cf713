package crash

import (
	"fmt"
	"sync"
	"testing"

	"github.com/heraldpush/herald/apns"
)

// mailbox is where at most one notification waits: an app on a device.
type mailbox struct {
	device int
	topic  apns.Topic
}

// ledger is what was sent, and what arrived.
type ledger struct {
	mu       sync.Mutex
	boxes    map[mailbox]*entries
	refused  int // answers 5xx
	repeats  int // pushes that were sent again, as no answer came
	unsent   int // pushes that never reached the gateway
	stray    []string
	changed  chan struct{} // closed and replaced when something arrives
	accepted int
}

// entries are the notifications of a mailbox, in the order in which they were
// sent: each when the one before was accepted.
type entries struct {
	ids      []apns.NotificationID
	place    map[apns.NotificationID]int
	accepted int      // how many of them
	arrived  []int    // how often each
	how      []string // what was special about it each time
	last     int      // the latest that arrived; -1 for none
	stored   bool     // it asks to be stored
	disorder int      // arrivals after a later one
}

func newLedger() *ledger {
	return &ledger{boxes: make(map[mailbox]*entries), changed: make(chan struct{})}
}

// send notes that a notification is about to be sent.
func (l *ledger) send(box mailbox, id apns.NotificationID, stored bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.boxes[box]
	if e == nil {
		e = &entries{place: make(map[apns.NotificationID]int), last: -1, stored: stored}
		l.boxes[box] = e
	}
	e.place[id] = len(e.ids)
	e.ids, e.arrived, e.how = append(e.ids, id), append(e.arrived, 0), append(e.how, "")
}

// accept notes that the last one sent to a mailbox was answered with 200.
func (l *ledger) accept(box mailbox) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.boxes[box].accepted++
	l.accepted++
}

// arrive notes that an app received a notification, and how.
func (l *ledger) arrive(box mailbox, id apns.NotificationID, how string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.boxes[box]
	if e == nil {
		l.stray = append(l.stray, fmt.Sprintf("%v got %s", box, id))
		return
	}
	i, ok := e.place[id]
	if !ok {
		l.stray = append(l.stray, fmt.Sprintf("%v got %s", box, id))
		return
	}
	e.arrived[i]++
	e.how[i] += how + " "
	if i < e.last {
		e.disorder++
	}
	e.last = max(e.last, i)
	close(l.changed)
	l.changed = make(chan struct{})
}

// count counts under lock.
func (l *ledger) count(n *int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*n++
}

// outcome returns how many pushes were refused with 5xx and how many accepted.
func (l *ledger) outcome() (refused, accepted int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refused, l.accepted
}

// missing returns how many mailboxes lack the newest that was accepted, with
// what is closed when that may have changed.
func (l *ledger) missing() (n int, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.boxes {
		if e.stored && e.accepted > 0 && e.arrived[e.accepted-1] == 0 {
			n++
		}
	}
	return n, l.changed
}

// sums is what a ledger comes to.
type sums struct {
	accepted, delivered, replaced int // of those that are stored
	unstored, unstoredDelivered   int
	lost, twice, disorder, stray  int
}

// sums adds up, and says what is wrong.
func (l *ledger) sums() (s sums, faults []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for box, e := range l.boxes {
		for i, n := range e.arrived {
			if n > 1 {
				s.twice++
				faults = append(faults, fmt.Sprintf("%v: number %d (%s) came %d times: %s", box, i, e.ids[i], n, e.how[i]))
			}
			switch delivered := n > 0; {
			case !e.stored:
				s.unstored++
				if delivered {
					s.unstoredDelivered++
				}
			case delivered:
				s.accepted++
				s.delivered++
			case i == len(e.arrived)-1:
				s.accepted++
				s.lost++
				faults = append(faults, fmt.Sprintf("%v: number %d (%s), the newest, never came", box, i, e.ids[i]))
			default:
				s.accepted++
				s.replaced++
			}
		}
		if e.accepted != len(e.ids) {
			faults = append(faults, fmt.Sprintf("%v: %d were sent, %d accepted", box, len(e.ids), e.accepted))
		}
		if e.disorder > 0 {
			s.disorder += e.disorder
			faults = append(faults, fmt.Sprintf("%v: %d came after a newer one", box, e.disorder))
		}
	}
	s.stray = len(l.stray)
	return s, append(faults, l.stray...)
}

// TestLedger has a ledger notice each thing that it is there for.
func TestLedger(t *testing.T) {
	const topic apns.Topic = "com.example.a"
	stored, passing := mailbox{1, topic}, mailbox{2, topic}
	for name, tt := range map[string]struct {
		arrivals []apns.NotificationID // at both
		want     sums
		faults   int
	}{
		"all":      {[]apns.NotificationID{"1", "2", "3"}, sums{accepted: 3, delivered: 3, unstored: 3, unstoredDelivered: 3}, 0},
		"newest":   {[]apns.NotificationID{"3"}, sums{accepted: 3, delivered: 1, replaced: 2, unstored: 3, unstoredDelivered: 1}, 0},
		"none":     {nil, sums{accepted: 3, replaced: 2, lost: 1, unstored: 3}, 1},
		"twice":    {[]apns.NotificationID{"3", "3"}, sums{accepted: 3, delivered: 1, replaced: 2, unstored: 3, unstoredDelivered: 1, twice: 2}, 2},
		"disorder": {[]apns.NotificationID{"3", "2"}, sums{accepted: 3, delivered: 2, replaced: 1, unstored: 3, unstoredDelivered: 2, disorder: 2}, 2},
		"stray":    {[]apns.NotificationID{"3", "4"}, sums{accepted: 3, delivered: 1, replaced: 2, unstored: 3, unstoredDelivered: 1, stray: 2}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLedger()
			for _, id := range []apns.NotificationID{"1", "2", "3"} {
				for _, box := range []mailbox{stored, passing} {
					l.send(box, id, box == stored)
					l.accept(box)
				}
			}
			for _, id := range tt.arrivals {
				l.arrive(stored, id, "")
				l.arrive(passing, id, "")
			}
			got, faults := l.sums()
			if got != tt.want || len(faults) != tt.faults {
				t.Errorf("got %+v and %q, want %+v and %d faults", got, faults, tt.want, tt.faults)
			}
			if missing, _ := l.missing(); missing != tt.want.lost {
				t.Errorf("got %d missing, want %d", missing, tt.want.lost)
			}
		})
	}
}
