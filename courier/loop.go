package courier

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heraldpush/herald/internal/wheel"
)

// loop has a share of the connections: it gives them their turns, and keeps
// their time.
type loop struct {
	crew  *crew
	start time.Time
	kick  chan struct{} // capacity 1: the clock is to look again
	// readers counts the goroutines that wait for bytes.
	readers sync.WaitGroup
	// poll raises the events of sockets; nil where there are none.
	poll *poller

	mu       sync.Mutex
	timers   *wheel.Wheel[*conn] // guarded by mu
	next     time.Time           // when the clock looks again; zero if it does not; guarded by mu
	conns    []*conn             // in no order; guarded by mu
	stopping bool                // guarded by mu
	empty    chan struct{}       // closed when stopping and conns is empty
}

// Sizes of a crew.
const (
	crewWidth = 2
	// crewAside bounds the workers of a loop that wait, for a store or for
	// devices that do not read.
	crewAside = 1024
)

// timerTick is how late a timer may fire.
const timerTick = 10 * time.Millisecond

func newLoop(ctx context.Context) *loop {
	now := time.Now()
	start := now.Add(-time.Duration(now.Nanosecond())) // on the second
	l := &loop{
		start: start, kick: make(chan struct{}, 1), empty: make(chan struct{}),
		timers: wheel.New[*conn](start, timerTick),
	}
	l.crew = newCrew(crewWidth, crewAside, func(c *conn, d *desk) bool { return c.turn(ctx, d) })
	return l
}

// enter takes a connection in, and reports false if the loop stops.
func (l *loop) enter(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopping {
		return false
	}
	c.loop, c.timer.Value, c.place = l, c, len(l.conns)
	l.conns = append(l.conns, c)
	return true
}

// leave takes a connection out.
func (l *loop) leave(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timers.Stop(&c.timer)
	last := len(l.conns) - 1
	l.conns[c.place] = l.conns[last]
	l.conns[c.place].place = c.place
	l.conns[last] = nil
	l.conns = l.conns[:last]
	if l.stopping && last == 0 {
		close(l.empty)
	}
}

// set has the timer of a connection fire.
func (l *loop) set(c *conn, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timers.Set(&c.timer, at)
	if l.next.IsZero() || at.Before(l.next) {
		select {
		case l.kick <- struct{}{}:
		default:
		}
	}
}

// runClock raises evDue for the timers that fire, until done is closed.
func (l *loop) runClock(done <-chan struct{}) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var due []*conn
	for {
		select {
		case <-done:
			return
		case <-l.kick:
		case <-timer.C:
		}
		l.mu.Lock()
		l.timers.Advance(time.Now(), func(t *wheel.Timer[*conn]) { due = append(due, t.Value) })
		next, ok := l.timers.Next()
		if l.next = next; !ok {
			l.next = time.Time{}
		}
		l.mu.Unlock()
		for _, c := range due {
			c.raise(evDue)
		}
		clear(due)
		due = due[:0]
		if ok {
			timer.Reset(time.Until(next))
		} else {
			timer.Stop()
		}
	}
}

// cutAll ends all connections. None enters after it.
func (l *loop) cutAll() {
	l.mu.Lock()
	if l.stopping {
		l.mu.Unlock()
		return
	}
	l.stopping = true
	conns := append([]*conn(nil), l.conns...)
	if len(conns) == 0 {
		close(l.empty)
	}
	l.mu.Unlock()
	for _, c := range conns {
		c.cut()
	}
}

// loops are those of one listener.
type loops struct {
	all     []*loop
	turn    atomic.Uint32 // whose turn it is to take a connection
	done    chan struct{}
	running sync.WaitGroup
}

// startLoops starts as many loops as there are processors. They poll for TCP if
// they are to, and can.
func startLoops(ctx context.Context, poll bool, log *slog.Logger) *loops {
	ls := &loops{done: make(chan struct{})}
	for range runtime.GOMAXPROCS(0) {
		l := newLoop(ctx)
		if poll {
			l.startPoller(ctx, &ls.running, log)
		}
		ls.all = append(ls.all, l)
		ls.running.Go(func() { l.runClock(ls.done) })
	}
	return ls
}

// startPoller has the loop poll. Where that does not go, connections are on the
// portable transport.
func (l *loop) startPoller(ctx context.Context, running *sync.WaitGroup, log *slog.Logger) {
	p, err := newPoller()
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return
	case err != nil:
		log.WarnContext(ctx, "courier uses the portable transport", slog.Any("error", err))
		return
	}
	l.poll = p
	running.Go(func() {
		if err := p.run(); err != nil {
			log.ErrorContext(ctx, "courier cannot poll, and closes the connections", slog.Any("error", err))
			l.cutAll()
		}
	})
}

// pick returns the loop for a connection.
func (ls *loops) pick() *loop { return ls.all[int(ls.turn.Add(1))%len(ls.all)] }

// cutAll ends all connections. None enters after it.
func (ls *loops) cutAll() {
	for _, l := range ls.all {
		l.cutAll()
	}
}

// stop ends all connections, and waits for them and all goroutines.
func (ls *loops) stop() {
	ls.cutAll()
	for _, l := range ls.all {
		<-l.empty
		l.crew.close()
		l.readers.Wait()
		if l.poll != nil {
			l.poll.close()
		}
	}
	close(ls.done)
	ls.running.Wait()
}
