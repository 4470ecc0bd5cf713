package courier

import (
	"sync"
)

// crew is the workers of a loop. A connection waits in the queue when there is
// something to do for it, and a worker gives it a turn. As many work at a time as
// the crew is wide; one that waits for a store, or for a device that does not
// read, steps aside with yield, and another takes its place.
type crew struct {
	width int // how many work at a time, at least
	most  int // how many may have stepped aside
	// turn gives a connection its turn, and reports whether it needs another.
	turn func(*conn, *desk) (again bool)

	mu      sync.Mutex
	called  sync.Cond // a worker is called from its rest; its lock is mu
	queue   queue     // guarded by mu
	working int       // neither resting nor aside; guarded by mu
	aside   int       // guarded by mu
	resting int       // and not called; guarded by mu
	calls   int       // workers that were called and are not up; guarded by mu
	closed  bool      // guarded by mu
	workers sync.WaitGroup
}

func newCrew(width, most int, turn func(*conn, *desk) bool) *crew {
	w := &crew{width: width, most: most, turn: turn}
	w.called.L = &w.mu
	return w
}

// desk is the room that a worker has for the bytes of the connection whose turn
// it is. So an idle connection needs none.
type desk struct {
	in  [16 << 10]byte // what a TLS record holds
	out []byte
}

// maxDeskBytes is how large the room for frames may be between two turns.
const maxDeskBytes = 64 << 10

// desks are shared by all crews: workers come and go.
var desks = sync.Pool{New: func() any { return &desk{out: make([]byte, 0, 4<<10)} }}

// add puts connections into the queue. They are in it once at most.
func (w *crew) add(conns ...*conn) {
	w.mu.Lock()
	for _, c := range conns {
		w.queue.push(c)
		w.staff()
	}
	w.mu.Unlock()
}

// staff sees that somebody works on what waits. The lock is held.
func (w *crew) staff() {
	switch {
	case w.queue.length == 0 || w.working >= w.width:
	case w.resting > 0:
		w.resting--
		w.working++
		w.calls++
		w.called.Signal()
	default:
		w.working++
		w.workers.Go(w.work)
	}
}

// yield is called by a worker that may have to wait. Too many must not: the rest
// then wait where they are.
func (w *crew) yield() {
	w.mu.Lock()
	w.aside++
	if w.aside <= w.most {
		w.working--
		w.staff()
	}
	w.mu.Unlock()
}

// resume ends what yield began.
func (w *crew) resume() {
	w.mu.Lock()
	if w.aside <= w.most {
		w.working++
	}
	w.aside--
	w.mu.Unlock()
}

// work gives turns until there is no more to do, or too many work.
func (w *crew) work() {
	d, _ := desks.Get().(*desk)
	defer desks.Put(d)
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		for w.queue.length == 0 || w.working > w.width {
			w.working--
			if w.closed || w.resting >= w.width {
				return
			}
			w.resting++
			for w.calls == 0 {
				if w.closed {
					return
				}
				w.called.Wait()
			}
			w.calls--
		}
		c := w.queue.pop()
		w.mu.Unlock()
		again := w.turn(c, d)
		if cap(d.out) > maxDeskBytes {
			d.out = make([]byte, 0, 4<<10)
		}
		w.mu.Lock()
		if again {
			w.queue.push(c) // behind the others
		}
	}
}

// close waits for all workers. Nothing may be in the queue or come into it.
func (w *crew) close() {
	w.mu.Lock()
	w.closed = true
	w.called.Broadcast()
	w.mu.Unlock()
	w.workers.Wait()
}

// queue is a first-in first-out queue of connections, in a ring.
type queue struct {
	ring   []*conn // a power of two
	head   int
	length int
}

func (q *queue) push(c *conn) {
	if q.length == len(q.ring) {
		ring := make([]*conn, max(64, 2*len(q.ring)))
		n := copy(ring, q.ring[q.head:])
		copy(ring[n:], q.ring[:q.head])
		q.ring, q.head = ring, 0
	}
	q.ring[(q.head+q.length)&(len(q.ring)-1)] = c
	q.length++
}

func (q *queue) pop() *conn {
	c := q.ring[q.head]
	q.ring[q.head] = nil
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.length--
	return c
}
