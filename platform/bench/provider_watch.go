package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/heraldpush/herald/internal/load"
)

// providerSample is what one round of a phase measured. Zero is what it did not.
type providerSample struct {
	calls     int64
	callWall  time.Duration
	took      load.Histogram // from a call to its answer
	callerCPU time.Duration

	pushes   int64
	pushWall time.Duration // until the sink had answered the last

	// alone and beside are how long urgent messages took from the call until the sink
	// answered.
	alone, beside *load.Histogram

	serverCPU, sinkCPU time.Duration // until all had settled
	settled            time.Duration // from the last call or push to that

	// Resident memory of the push server, and the size of its outbox: before, the most,
	// and when all had settled. The database is as it was then.
	rssFirst, rssMost, rssLast              int64
	outboxBefore, outboxMost, outboxSettled int64
	databaseBytes                           int64
}

// String is a line for those who wait.
func (s *providerSample) String() string {
	text := ""
	if s.calls > 0 {
		text = fmt.Sprintf("%7.0f calls/s  ", float64(s.calls)/s.callWall.Seconds())
	}
	if s.pushes > 0 {
		text += fmt.Sprintf("%7.0f pushes/s  ", float64(s.pushes)/s.pushWall.Seconds())
	}
	if s.beside != nil {
		text += fmt.Sprintf("p99 %v alone, %v beside  ", s.alone.Quantile(0.99).Round(time.Microsecond), s.beside.Quantile(0.99).Round(time.Microsecond))
	}
	return text + fmt.Sprintf("%6.1f us of the server each, settled after %v, %d MiB", float64(s.serverCPU.Microseconds())/float64(s.units()),
		s.settled.Round(time.Millisecond), s.rssMost>>20)
}

// units is of what there was most: calls or pushes.
func (s *providerSample) units() int64 { return max(s.calls, s.pushes, 1) }

// watch measures what the push server uses while f runs, and until it has settled.
func (o *providerRound) watch(ctx context.Context, f func(*providerSample) error) (*providerSample, error) {
	outbox := filepath.Join(o.folder, outboxFolder)
	s := &providerSample{outboxBefore: folderBytes(outbox), rssFirst: residentBytes(o.server.pid())}
	server, err := used(o.server)
	if err != nil {
		return nil, err
	}
	sink, err := used(o.sink)
	if err != nil {
		return nil, err
	}
	stop := o.look(s, outbox)
	err = f(s)
	ended := time.Now()
	if err == nil {
		err = o.settle(ctx)
	}
	// Settling is told by having been quiet for a while.
	s.settled = max(0, time.Since(ended)-settledLooks*settleEvery)
	stop()
	if err != nil {
		return nil, err
	}
	after, err := used(o.server)
	if err != nil {
		return nil, err
	}
	afterSink, err := used(o.sink)
	if err != nil {
		return nil, err
	}
	s.serverCPU, s.sinkCPU = after-server, afterSink-sink
	s.rssLast, s.outboxSettled = residentBytes(o.server.pid()), folderBytes(outbox)
	s.rssMost, s.outboxMost = max(s.rssMost, s.rssLast), max(s.outboxMost, s.outboxSettled)
	s.databaseBytes = folderBytes(o.folder) - s.outboxSettled
	return s, nil
}

// used returns what a part has used of the processor, until now.
func used(c *child) (time.Duration, error) {
	got, err := c.ask(order{Do: orderUsage})
	if err == nil && got.Usage == nil {
		err = errors.New("a part does not say what it used")
	}
	if err != nil {
		return 0, err
	}
	return time.Duration(got.Usage.CPU), nil
}

// look looks at the push server's memory and its outbox now and then, until what it
// returns is called.
func (o *providerRound) look(s *providerSample, outbox string) (stop func()) {
	done := make(chan struct{})
	var looking sync.WaitGroup
	var rss, size int64
	looking.Go(func() {
		ticker := time.NewTicker(settleEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				rss, size = max(rss, residentBytes(o.server.pid())), max(size, folderBytes(outbox))
			case <-done:
				return
			}
		}
	})
	return func() {
		close(done)
		looking.Wait()
		s.rssMost, s.outboxMost = max(s.rssMost, rss), max(s.outboxMost, size)
	}
}

// settle waits until the push server has nothing to do any more: what was sent is in
// the archive, and the outbox is as small as it gets by itself.
func (o *providerRound) settle(ctx context.Context) error {
	before, err := used(o.server)
	if err != nil {
		return err
	}
	if before == 0 {
		return nil // it is not known here
	}
	for began, quiet := time.Now(), 0; quiet < settledLooks && time.Since(began) < settleTimeout; {
		at := time.Now()
		if err := pause(ctx, settleEvery); err != nil {
			return err
		}
		after, err := used(o.server)
		if err != nil {
			return err
		}
		if quiet++; (after - before).Seconds() > settledShare*time.Since(at).Seconds() {
			quiet = 0
		}
		before = after
	}
	return nil
}

// marked returns how long marked pushes took since the sink was told how to behave.
func (o *providerRound) marked() (*load.Histogram, error) {
	got, err := o.sink.ask(order{Do: orderCount})
	if err == nil && got.Marked == nil {
		err = errors.New("the sink does not say what it counted")
	}
	return got.Marked, err
}
