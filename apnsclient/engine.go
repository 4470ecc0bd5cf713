package apnsclient

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/heraldpush/herald/h2"
)

const (
	// maxTimeouts is how many pushes in a row may go unanswered on a
	// connection before it is given up.
	maxTimeouts = 3
	// noticedAfter is how long a push has to have been unanswered to count there.
	// One that waited for a stream until its time was nearly over says nothing.
	noticedAfter = time.Second
	// growAfter is how long a push waits for a stream before another
	// connection is made for it. It is more than a gateway takes to raise its
	// limit from the one stream that it allows at first.
	growAfter = 100 * time.Millisecond
	// wornAfter is how old a connection is that is replaced because the gateway
	// goes on to refuse its provider token.
	wornAfter = time.Minute
)

// engine is the scheduler: it has the connections to one gateway, with one
// credential, and puts each flight onto one that has room for it, as often as the
// policy allows, until it has an outcome.
//
// Nothing waits in it: what comes is started at once, or put into a queue that is
// looked at when room comes. All of it is guarded by mu, under which nothing goes to
// or comes from the network. Now and then a provider token is signed under it, and
// after one was refused, at most every ten seconds, the file of its key is looked at.
type engine struct {
	engineConfig
	authority string    // addr, without the port of https
	spare     sync.Pool // of flights

	mu       sync.Mutex
	closed   bool
	links    []*link       // those that take pushes
	queues   [2]flightList // of what waits: pushes one by one, and those of a bulk
	all      flightList    // all that is not done
	pauses   pauses
	lobby    flightList    // of what waits for a place in the queues
	done     flightList    // to be handed out when mu is released
	attempts []Attempt     // to be told when mu is released
	empty    chan struct{} // closed when it is closed and nothing is left

	opening  *opening // the connection that is being made; nil if there is no need
	made     uint64   // connections so far
	backoff  backoff  // of connections that brought no answer, where there was no other
	further  backoff  // of those made beside others
	failures int      // connections that could not be made, so far
	last     error    // what ended the last connection, or kept it from being made; may be nil

	budget  budget
	token   string // the last provider token
	bearer  string // the header field of it
	timer   *time.Timer
	armed   time.Time      // when timer goes off; zero if it does not
	running sync.WaitGroup // goroutines of this engine
}

type engineConfig struct {
	addr        string // host:port
	dialer      *dialer
	tokens      *ProviderTokens // nil with a certificate
	timeout     time.Duration   // of a push, and for a connection to be made
	idleTimeout time.Duration
	maxAge      time.Duration
	maxLinks    int
	maxStreams  int
	maxPending  int
	answerBytes int // kept of the body of an answer
	failFast    bool
	retry       Retry
	hooks       Hooks
}

// The queues.
const (
	single = iota
	inBulk
)

func newEngine(cfg engineConfig) *engine {
	e := &engine{
		engineConfig: cfg,
		authority:    strings.TrimSuffix(cfg.addr, ":"+defaultPort),
		all:          flightList{chain: inAll},
		lobby:        flightList{chain: inQueue},
		done:         flightList{chain: inQueue},
		empty:        make(chan struct{}),
		budget:       newBudget(cfg.retry.Budget),
	}
	for i := range e.queues {
		e.queues[i].chain = inQueue
	}
	return e
}

// unlock releases mu, and then hands out what was done under it.
func (e *engine) unlock() {
	done, told := e.done, e.attempts
	e.done.first, e.done.last, e.done.count = nil, nil, 0
	e.attempts = nil
	e.mu.Unlock()
	for i := range told {
		e.hooks.Attempt(told[i])
	}
	for f := done.first; f != nil; {
		next := done.next(f)
		f.beside[inQueue] = neighbours{}
		if f.bulk != nil {
			f.bulk.add(f)
		} else {
			f.done <- struct{}{}
		}
		f = next
	}
}

// fly takes a flight to its outcome, and waits for it. The caller looks at what
// it brought, and releases it.
func (e *engine) fly(ctx context.Context, f *flight) error {
	if err := e.submit(ctx, f); err != nil {
		return err
	}
	if stop := ctx.Done(); stop != nil {
		select {
		case <-f.done:
		case <-stop:
			e.giveUp(f, ctx.Err())
			<-f.done
		}
	} else {
		<-f.done
	}
	return f.err
}

// submit puts f into the queue, or into the lobby where that is full. The error
// is that it is in neither.
func (e *engine) submit(ctx context.Context, f *flight) error {
	now := time.Now()
	f.expires, f.deadline = now.Add(e.timeout), now.Add(e.timeout)
	if t, ok := ctx.Deadline(); ok && t.Before(f.deadline) {
		f.deadline = t
	}
	e.mu.Lock()
	defer e.unlock()
	if err := e.admit(ctx, f); err != nil {
		return &UnsentError{Host: e.addr, Err: err}
	}
	if len(e.links) == 0 && e.endsTooEarly(f) {
		return e.tooLate()
	}
	e.budget.push()
	f.dials = e.failures
	e.all.push(f)
	e.arm(f.expires)
	if !e.hasPlace() {
		f.at, f.since = outside, now
		e.lobby.push(f)
		return nil
	}
	e.enqueue(f, now)
	e.dispatch(now)
	return nil
}

// admit says why f is not taken. mu is held, so that giveUpBulk misses nothing.
func (e *engine) admit(ctx context.Context, f *flight) error {
	switch {
	case e.closed:
		return ErrClosed
	case ctx.Err() != nil:
		return ctx.Err()
	case e.failFast && f.bulk == nil && !e.hasPlace():
		return ErrBusy
	}
	return nil
}

// hasPlace reports whether there is a place in the queues.
func (e *engine) hasPlace() bool {
	return e.queues[single].count+e.queues[inBulk].count+len(e.pauses) < e.maxPending
}

// letIn fills the queues from the lobby, whenever a place is free: what comes
// never passes what is there.
func (e *engine) letIn() {
	for e.lobby.first != nil && e.hasPlace() {
		f := e.lobby.first
		e.lobby.remove(f)
		f.at = waiting
		e.queueOf(f).push(f)
	}
}

// enqueue has f wait for a stream.
func (e *engine) enqueue(f *flight, now time.Time) {
	f.at, f.since = waiting, now
	e.queueOf(f).push(f)
}

func (e *engine) queueOf(f *flight) *flightList {
	if f.bulk != nil {
		return &e.queues[inBulk]
	}
	return &e.queues[single]
}

// first returns the flight that is to be started next: what is pushed one by one
// goes before what is in a bulk.
func (e *engine) first() *flight {
	if f := e.queues[single].first; f != nil {
		return f
	}
	return e.queues[inBulk].first
}

// dispatch starts what waits, as far as there is room. mu is held.
func (e *engine) dispatch(now time.Time) {
	for f := e.first(); f != nil; f = e.first() {
		l := e.pick()
		if l == nil {
			e.grow(now)
			return
		}
		if e.tokens != nil {
			if err := e.sign(f, now); err != nil {
				e.leaveQueue(f)
				e.finish(f, &UnsentError{Host: e.addr, Err: err})
				continue
			}
		}
		switch err := l.conn.Start(&f.call); {
		case err == nil:
			e.leaveQueue(f)
			f.at, f.link, f.since = flying, l, now
			f.attempts++
		case errors.Is(err, h2.ErrFull):
			l.full = true
		case errors.Is(err, h2.ErrGoing):
			e.drop(l)
		default: // it is not one that this gateway takes
			e.leaveQueue(f)
			e.finish(f, &UnsentError{Host: e.addr, Err: err})
		}
	}
}

// unqueue takes f out of the queue, or the lobby.
func (e *engine) unqueue(f *flight) {
	if f.at == outside {
		e.lobby.remove(f)
		f.at = nowhere
		return
	}
	e.leaveQueue(f)
}

// leaveQueue takes f out of the queue.
func (e *engine) leaveQueue(f *flight) {
	e.queueOf(f).remove(f)
	f.at = nowhere
	e.letIn()
}

// pick returns a link with room, nil if there is none. The first are filled first,
// so that few connections are busy and the others may rest.
func (e *engine) pick() *link {
	for _, l := range e.links {
		if !l.full {
			return l
		}
	}
	return nil
}

// sign gives f the current provider token.
func (e *engine) sign(f *flight, now time.Time) error {
	token, err := e.tokens.get(now)
	if err != nil {
		return err
	}
	if token != e.token {
		e.token, e.bearer = token, "bearer "+token
	}
	f.token = token
	f.call.Fields[tokenField].Value = e.bearer
	return nil
}

// grow sees to it that there is a connection for what waits, or another one if
// those that are there have had no room for a while. mu is held.
func (e *engine) grow(now time.Time) {
	switch {
	case e.opening != nil:
		return
	case len(e.links) > 0:
		// What may take no push at all will not prove itself.
		if last := e.links[len(e.links)-1]; len(e.links) >= e.maxLinks || !last.proven && last.limit > 0 {
			return
		}
		if f := e.first(); now.Sub(f.since) < growAfter {
			e.arm(f.since.Add(growAfter))
			return
		}
	}
	e.open(now)
	if len(e.links) == 0 {
		e.failWaiting(e.tooLate(), e.endsTooEarly)
	}
}

// endsTooEarly reports whether f will have no time left when the next connection
// is tried.
func (e *engine) endsTooEarly(f *flight) bool {
	return e.opening != nil && f.deadline.Before(e.opening.startsAt)
}

// tooLate is the error of what endsTooEarly.
func (e *engine) tooLate() error {
	err := fmt.Errorf("not connecting again before %s", e.opening.startsAt.UTC().Format(time.RFC3339))
	return &UnsentError{Host: e.addr, Err: after(err, e.last)}
}

// failWaiting ends what waits, where ends says so.
func (e *engine) failWaiting(err error, ends func(*flight) bool) {
	for f := e.all.first; f != nil; {
		next := e.all.next(f)
		if (f.at == waiting || f.at == outside) && ends(f) {
			e.unqueue(f)
			e.finish(f, err)
		}
		f = next
	}
}

// finished takes the answers that came on l.
func (e *engine) finished(l *link, calls []*h2.Call) {
	now := time.Now()
	for _, c := range calls {
		if f, ok := c.Owner.(*flight); ok {
			f.receipt, f.err = e.read(l, f)
		}
	}
	e.mu.Lock()
	defer e.unlock()
	l.full = false
	for _, c := range calls {
		if f, ok := c.Owner.(*flight); ok {
			e.settle(f, now)
		}
	}
	e.dispatch(now)
}

// giveUp ends f before its time, because of err. It is no error if it has ended.
func (e *engine) giveUp(f *flight, err error) {
	e.mu.Lock()
	defer e.unlock()
	e.end(f, err, time.Now())
	e.dispatch(time.Now())
}

// end ends f because of err, wherever it is. What has been answered at this
// moment ends with its answer. mu is held.
func (e *engine) end(f *flight, err error, now time.Time) {
	switch f.at {
	case nowhere:
	case outside:
		e.unqueue(f)
		e.finish(f, &UnsentError{Host: e.addr, Err: fmt.Errorf("%w: %w", ErrBusy, err)})
	case waiting:
		e.leaveQueue(f)
		e.finish(f, &UnsentError{Host: e.addr, Err: after(e.waitingError(err), e.last)})
	case pausing:
		heap.Remove(&e.pauses, f.heapIndex)
		e.letIn()
		e.finish(f, f.errorOfPause(e, err))
	case flying:
		l := f.link
		if !l.conn.Cancel(&f.call) {
			f.over = true
			return // its answer is on the way to finished
		}
		l.full = false
		f.at = nowhere
		if errors.Is(err, context.DeadlineExceeded) && now.Sub(f.since) >= noticedAfter {
			if l.timeouts++; l.timeouts >= maxTimeouts {
				e.retire(l)
			}
		}
		ended := &UnansweredError{Host: e.addr, ID: f.id, Err: err}
		if e.hooks.Attempt != nil {
			e.attempts = append(e.attempts, f.attempt(ended, false, now))
		}
		e.finish(f, ended)
	}
}

// waitingError says for what a flight was waiting when err ended it.
func (e *engine) waitingError(err error) error {
	if len(e.links) == 0 {
		return fmt.Errorf("connecting: %w", err)
	}
	return fmt.Errorf("waiting for one of the %d pushes that the gateway takes at a time to be answered: %w", e.streams(), err)
}

// errorOfPause returns the error of a flight whose next attempt err prevents.
func (f *flight) errorOfPause(e *engine, err error) error {
	switch {
	case f.lastErr != nil:
		return f.lastErr
	case f.doubt != nil:
		return f.doubt
	}
	return &UnsentError{Host: e.addr, Err: after(err, e.last)}
}

// arm sees to it that tick is called at t or before. mu is held.
func (e *engine) arm(t time.Time) {
	if !e.armed.IsZero() && !t.Before(e.armed) {
		return
	}
	e.armed = t
	if e.timer == nil {
		e.timer = time.AfterFunc(time.Until(t), e.tick)
		return
	}
	e.timer.Reset(time.Until(t))
}

// tick does what is due.
func (e *engine) tick() {
	e.mu.Lock()
	defer e.unlock()
	now := time.Now()
	e.armed = time.Time{}
	for f := e.all.first; f != nil && !f.expires.After(now); f = e.all.first {
		before := e.all.count
		e.end(f, context.DeadlineExceeded, now)
		if e.all.count == before {
			// Its answer is being handed over. It has that long.
			f.expires = now.Add(time.Second)
			e.all.remove(f)
			e.all.push(f)
		}
	}
	for len(e.pauses) > 0 && !e.pauses[0].due.After(now) {
		if f, ok := heap.Pop(&e.pauses).(*flight); ok {
			e.enqueue(f, now)
		}
	}
	e.rotate(now)
	e.dispatch(now)
	if f := e.all.first; f != nil {
		e.arm(f.expires)
	}
	if len(e.pauses) > 0 {
		e.arm(e.pauses[0].due)
	}
}

// streams returns how many pushes the links take at a time. mu is held.
func (e *engine) streams() (n int) {
	for _, l := range e.links {
		n += l.conn.State().Limit
	}
	return n
}

// stats returns the state of the engine.
func (e *engine) stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := Stats{
		Connections: len(e.links), Streams: e.streams(),
		Pending: e.queues[single].count + e.queues[inBulk].count + len(e.pauses),
	}
	s.InFlight = e.all.count - s.Pending - e.lobby.count
	now := time.Now()
	for i := range e.queues {
		if f := e.queues[i].first; f != nil {
			s.OldestPending = max(s.OldestPending, now.Sub(f.since))
		}
	}
	return s
}

// close ends the engine: nothing new is taken, what is under way gets its
// outcome, and the connections are closed.
func (e *engine) close() {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		<-e.empty
		e.running.Wait()
		return
	}
	for f := e.lobby.first; f != nil; f = e.lobby.first {
		e.unqueue(f)
		e.finish(f, &UnsentError{Host: e.addr, Err: ErrClosed})
	}
	e.closed = true
	if e.all.count == 0 {
		close(e.empty)
	}
	e.unlock()
	<-e.empty

	e.mu.Lock()
	if e.opening != nil {
		e.opening.cancel()
	}
	for len(e.links) > 0 {
		e.retire(e.links[0])
	}
	if e.timer != nil {
		e.timer.Stop()
	}
	e.unlock()
	e.running.Wait()
}

// after returns err with what went before it, which may be nil.
func after(err, last error) error {
	if last == nil {
		return err
	}
	return fmt.Errorf("%w, after: %w", err, last)
}
