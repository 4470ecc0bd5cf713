package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heraldpush/herald/internal/load"
)

// callerSetup says what a caller calls.
type callerSetup struct {
	Address  string
	Keys     []string // API keys, of which each connection has one
	App      string
	InFlight int
	Payload  int
}

// calling is what is called for.
type calling string

// What is called for.
const (
	callRegister calling = "register" // an installation
	callSend     calling = "send"     // a message for one
)

// callPlan is what a caller is to do.
type callPlan struct {
	Call calling
	// The calls are for the installations from First on, modulo Of, Count of them.
	First, Count, Of int64
	// Every is the time from one call to the next, whatever becomes of those before.
	// Zero: as many are under way as there are connections.
	Every time.Duration
	// Marked puts the time into what is sent, for the sink.
	Marked bool
}

// callResult is what a caller did. Every call was answered as it should be.
type callResult struct {
	Calls int64
	Wall  time.Duration
	Took  *load.Histogram // from the call to its answer
	CPU   int64           // nanoseconds of the caller
}

// caller is a part that calls a push server's API.
type caller struct {
	setup   callerSetup
	talks   []*talk
	payload []byte // of what is not marked
}

// runCaller connects, and calls when it is told to.
func (p *part) runCaller(ctx context.Context, setup callerSetup) (err error) {
	c := &caller{setup: setup, payload: payload(setup.Payload)}
	defer func() { err = errors.Join(err, c.close()) }()
	failed := c.connect(ctx)
	if err := p.answer(reply{}, failed); err != nil {
		return err
	}
	if failed != nil {
		return nil // the parent knows it
	}
	return p.obey(map[string]func(*order, *reply) error{orderRun: func(o *order, r *reply) error {
		if o.Calls == nil || o.Calls.Of < 1 {
			return errors.New("nothing to call for")
		}
		result, err := c.run(ctx, *o.Calls)
		r.Calls = &result
		return err
	}})
}

func (c *caller) connect(ctx context.Context) error {
	if len(c.setup.Keys) == 0 || c.setup.InFlight < 1 {
		return errors.New("a caller without a key or a connection")
	}
	for n := range c.setup.InFlight {
		t, err := openTalk(ctx, c.setup.Address, c.setup.Keys[n%len(c.setup.Keys)])
		if err != nil {
			return err
		}
		c.talks = append(c.talks, t)
	}
	return nil
}

func (c *caller) close() error {
	var errs []error
	for _, t := range c.talks {
		errs = append(errs, t.close())
	}
	return errors.Join(errs...)
}

// run makes the calls of a plan. The first that fails ends it.
func (c *caller) run(ctx context.Context, plan callPlan) (callResult, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		calling sync.WaitGroup
		next    atomic.Int64
		took    = make([]load.Histogram, len(c.talks))
		cpu     = ownCPU()
		began   = time.Now()
	)
	for n, t := range c.talks {
		calling.Go(func() {
			var body []byte
			for k := next.Add(1) - 1; k < plan.Count && pace(ctx, began, k, plan.Every); k = next.Add(1) - 1 {
				var at time.Time
				var err error
				if at, body, err = c.one(t, &plan, plan.First+k, body); err != nil {
					cancel(err)
					return
				}
				took[n].Add(time.Since(at))
			}
		})
	}
	calling.Wait()
	r := callResult{Calls: plan.Count, Wall: time.Since(began), CPU: int64(ownCPU() - cpu), Took: &took[0]}
	for n := range took[1:] {
		r.Took.Merge(&took[n+1])
	}
	return r, context.Cause(ctx)
}

// pace waits until it is time for call k, and reports whether that is to be made.
func pace(ctx context.Context, began time.Time, k int64, every time.Duration) bool {
	if every > 0 {
		timer := time.NewTimer(time.Until(began.Add(time.Duration(k) * every)))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	return ctx.Err() == nil
}

// one makes a call, and returns when it began. The body is made in the room given,
// which is returned.
func (c *caller) one(t *talk, plan *callPlan, n int64, body []byte) (time.Time, []byte, error) {
	n %= plan.Of
	body = body[:0]
	if plan.Call == callRegister {
		body = appendRegistration(body, n)
		began := time.Now()
		return began, body, t.call("PUT", "/v1/apps/"+c.setup.App+"/installations/"+installationID(n), body)
	}
	body = append(append(append(body, `{"to":{"installations":["`...), installationID(n)...), `"]},"payload":`...)
	began := time.Now()
	if plan.Marked {
		body = appendMarked(body, c.setup.Payload, began)
	} else {
		body = append(body, c.payload...)
	}
	body = append(body, '}')
	return began, body, t.call("POST", "/v1/apps/"+c.setup.App+"/messages", body)
}

// scatter spreads numbers over all that there are of 64 bits: IDs and device tokens
// are in no order.
func scatter(n int64) uint64 { return uint64(n) * 11400714819323198485 }

// installationID returns the ID of an installation, in the form of a UUID.
func installationID(n int64) string {
	return fmt.Sprintf("%08x-0000-4000-8000-%012x", uint32(scatter(n)>>32), n)
}

// appendRegistration appends what installation n says of itself: a device token, a
// person and two tags.
func appendRegistration(b []byte, n int64) []byte {
	return fmt.Appendf(b, `{"device_tokens":[{"environment":"%v","value":"%016x%048x"}],"person":{"external_id":"u%016x"},`+
		`"tags":["news","city:%d"],"locale":"de-CH","time_zone":"Europe/Zurich","app_version":"5.2.0"}`,
		environment, scatter(n), n, scatter(n), n%1000)
}

// A marked payload ends with the time at which it was made: markedBegin, the
// nanoseconds since the epoch in markDigits digits, and markedEnd.
const (
	markedBegin = `"},"at":`
	markedEnd   = `}`
	markDigits  = 19
	// minMarkedPayload is the size of the smallest one.
	minMarkedPayload = len(payloadBegin) + len(markedBegin) + markDigits + len(markedEnd)
)

// appendMarked appends a payload of so many bytes, minMarkedPayload at least, that is
// marked with a time.
func appendMarked(b []byte, size int, at time.Time) []byte {
	b = append(b, payloadBegin...)
	b = append(b, strings.Repeat("x", size-minMarkedPayload)...)
	b = append(b, markedBegin...)
	b = strconv.AppendInt(b, at.UnixNano(), 10)
	return append(b, markedEnd...)
}

// markOf returns the time with which a payload is marked, if it is.
func markOf(payload []byte) (time.Time, bool) {
	end := len(payload) - len(markedEnd)
	at := end - markDigits
	if at < len(markedBegin) || string(payload[at-len(markedBegin):at]) != markedBegin {
		return time.Time{}, false
	}
	ns, err := strconv.ParseInt(string(payload[at:end]), 10, 64)
	return time.Unix(0, ns), err == nil
}
