package bench

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// pushPlan is what a sender is to do.
type pushPlan struct {
	Sender      string
	Target      PushTarget
	Connections int // each a Pusher
	Goroutines  int // over all of them
	Streams     int // in flight on a connection, at most
	Bulk        bool
	Count       int64
	Delay       time.Duration // of the sink
	Timeout     time.Duration // of a push
	Profile     string        // file; empty means none
	Watch       bool          // how much memory there is, which costs a little
}

// pushResult is what a sender did, and used for it.
type pushResult struct {
	Pushes   int64
	Wall     time.Duration
	Used     usage
	P50, P99 time.Duration
	// RoundTrip is the median of pushes with nothing else under way; zero if the sink does
	// not delay.
	RoundTrip time.Duration
	// Memory that the process had: when it was connected, the most while it pushed, and
	// after a collection at the end. Zero if it was not watched, or is not known.
	Before, Most, After int64
	Failed              map[string]int64 // by how
	InBulk              bool             // the sender has a way to
}

// How a sender warms up, and what is looked at.
const (
	firstPause     = 20 * time.Millisecond
	roundTrips     = 15
	sampleEvery    = 16 // pushes, for the latency of one
	memoryInterval = 10 * time.Millisecond
	maxFailures    = 20 // kinds that are told apart
)

// sender is a part with clients under test.
type sender struct {
	plan      pushPlan
	pushers   []Pusher
	roundTrip time.Duration
	next      atomic.Int64    // number of the push that comes next
	latencies []time.Duration // of each push whose number, from the first, sampleEvery divides

	mu     sync.Mutex
	failed map[string]int64 // guarded by mu
}

// runSender connects and warms up, and pushes when it is told to.
func (p *part) runSender(ctx context.Context, plan pushPlan, peers []Peer) (err error) {
	s, failed := openSender(ctx, plan, peers)
	if err := p.answer(reply{}, failed); err != nil {
		return err
	}
	if failed != nil {
		return nil // the parent knows it
	}
	defer func() { err = errors.Join(err, s.close()) }()
	return p.obey(map[string]func(*order, *reply) error{orderRun: func(_ *order, r *reply) error {
		result, err := s.measure(ctx)
		r.Push = &result
		return err
	}})
}

// openSender opens the clients of a plan and has them push for a while.
func openSender(ctx context.Context, plan pushPlan, peers []Peer) (_ *sender, err error) {
	if plan.Connections < 1 || plan.Goroutines < 1 || plan.Streams < 1 || plan.Count < 1 || plan.Timeout <= 0 {
		return nil, errors.New("a plan without load")
	}
	i := slices.IndexFunc(peers, func(p Peer) bool { return p.Name == plan.Sender })
	if i < 0 {
		return nil, fmt.Errorf("no sender %q", plan.Sender)
	}
	l, err := newPushLoad(&plan)
	if err != nil {
		return nil, err
	}
	s := &sender{plan: plan}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	for range plan.Connections {
		one, err := peers[i].Open(ctx, l)
		if err != nil {
			return nil, err
		}
		s.pushers = append(s.pushers, one)
		if err := s.first(ctx, one); err != nil {
			return nil, err
		}
	}
	if plan.Watch {
		return s, nil
	}
	if plan.Delay > 0 {
		if s.roundTrip, err = s.timeRoundTrip(ctx); err != nil {
			return nil, err
		}
	}
	warmup := s.push(ctx, min(warmupPushes, plan.Count))
	if len(warmup.Failed) > 0 {
		return nil, fmt.Errorf("warming up: %v", warmup.Failed)
	}
	return s, nil
}

func (s *sender) close() error {
	var errs []error
	for _, one := range s.pushers {
		errs = append(errs, one.Close())
	}
	s.pushers = nil
	return errors.Join(errs...)
}

// first has a client push one alone, so that the limit on streams is known to
// the others. Where time is short by the plan, connecting has more of it.
func (s *sender) first(ctx context.Context, to Pusher) error {
	for began := time.Now(); ; {
		err := to.Push(ctx, s.next.Add(1))
		if err == nil || !s.plan.Watch || time.Since(began) > waitTimeout {
			return err
		}
		select {
		case <-time.After(firstPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// timeRoundTrip returns how long a push takes that is alone.
func (s *sender) timeRoundTrip(ctx context.Context) (time.Duration, error) {
	var took []time.Duration
	for range roundTrips {
		began := time.Now()
		if err := s.pushers[0].Push(ctx, s.next.Add(1)); err != nil {
			return 0, err
		}
		took = append(took, time.Since(began))
	}
	return quantile(took, 0.5), nil
}

// measure pushes as the plan says, and returns what that took.
func (s *sender) measure(ctx context.Context) (r pushResult, err error) {
	runtime.GC()
	if s.plan.Profile != "" {
		f, err := startProfile(s.plan.Profile)
		if err != nil {
			return r, err
		}
		defer func() {
			pprof.StopCPUProfile()
			err = errors.Join(err, f.Close())
		}()
	}
	watched := func() (int64, int64) { return 0, 0 }
	if s.plan.Watch {
		debug.FreeOSMemory()
		watched = watchMemory()
	}
	before := usageNow()
	r = s.push(ctx, s.plan.Count)
	after := usageNow()
	if r.Before, r.Most = watched(); s.plan.Watch {
		debug.FreeOSMemory()
		r.After = residentBytes(os.Getpid())
	}
	r.Used = usage{
		Allocations: after.Allocations - before.Allocations, AllocatedBytes: after.AllocatedBytes - before.AllocatedBytes,
		CPU: after.CPU - before.CPU,
	}
	r.RoundTrip = s.roundTrip
	return r, context.Cause(ctx)
}

// push sends so many pushes, and waits for all.
func (s *sender) push(ctx context.Context, n int64) pushResult {
	first := s.next.Add(1)
	s.next.Store(first)
	s.latencies = make([]time.Duration, (n+sampleEvery-1)/sampleEvery)
	s.failed = map[string]int64{}
	bulk, inBulk := s.pushers[0].(BulkPusher)
	inBulk = inBulk && s.plan.Bulk
	began := time.Now()
	if inBulk {
		s.pushAll(ctx, bulk, first, n)
	} else {
		s.pushEach(ctx, first, n)
	}
	r := pushResult{Pushes: n, Wall: time.Since(began), Failed: s.failed, InBulk: inBulk}
	took := slices.DeleteFunc(s.latencies, func(d time.Duration) bool { return d == 0 })
	r.P50, r.P99 = quantile(took, 0.5), quantile(took, 0.99)
	return r
}

// pushEach has each goroutine push one after the other.
func (s *sender) pushEach(ctx context.Context, first, n int64) {
	var running sync.WaitGroup
	for g := range s.plan.Goroutines {
		one := s.pushers[g%len(s.pushers)]
		running.Go(func() {
			for {
				i := s.next.Add(1) - 1
				if i >= first+n {
					return
				}
				s.pushOne(ctx, one, i, i-first)
			}
		})
	}
	running.Wait()
	s.next.Store(first + n)
}

// pushOne sends push i, the k-th of those that are measured.
func (s *sender) pushOne(ctx context.Context, to Pusher, i, k int64) {
	var began time.Time
	if k%sampleEvery == 0 {
		began = time.Now()
	}
	if err := to.Push(ctx, i); err != nil {
		s.fail(err)
		return
	}
	if k%sampleEvery == 0 {
		s.latencies[k/sampleEvery] = time.Since(began)
	}
}

// pushAll has the client push all at once.
func (s *sender) pushAll(ctx context.Context, to BulkPusher, first, n int64) {
	begun := make([]time.Time, len(s.latencies))
	var numbers iter.Seq[int64] = func(yield func(int64) bool) {
		for k := range n {
			if k%sampleEvery == 0 {
				begun[k/sampleEvery] = time.Now()
			}
			if !yield(first + k) {
				return
			}
		}
	}
	var ended int64
	for i, err := range to.PushAll(ctx, numbers) {
		ended++
		switch k := i - first; {
		case err != nil:
			s.fail(err)
		case k < 0 || k >= n:
			s.fail(fmt.Errorf("push %d ended, which nobody asked for", i))
		case k%sampleEvery == 0:
			s.latencies[k/sampleEvery] = time.Since(begun[k/sampleEvery])
		}
	}
	if ended != n {
		s.fail(fmt.Errorf("%d of %d pushes ended", ended, n))
	}
	s.next.Store(first + n)
}

// fail counts a push that was not accepted.
func (s *sender) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	how := kindOf(err)
	if len(s.failed) >= maxFailures {
		how = "others"
	}
	s.failed[how]++
}

// quantile returns the duration that the given part of all did not exceed; it
// sorts them. It is zero if there are none.
func quantile(all []time.Duration, part float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[int(part*float64(len(all)-1))]
}

// watchMemory watches how much memory this process has, until what it returns is
// called, which tells how much it had first, and the most.
func watchMemory() (stop func() (first, most int64)) {
	first := residentBytes(os.Getpid())
	most := first
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		ticker := time.NewTicker(memoryInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				most = max(most, residentBytes(os.Getpid()))
			case <-done:
				return
			}
		}
	})
	return func() (int64, int64) {
		close(done)
		watching.Wait()
		return first, max(most, residentBytes(os.Getpid()))
	}
}
