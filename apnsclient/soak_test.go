package apnsclient_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/apnstest/scripted"
)

// trouble decides what goes wrong, by chance.
type trouble struct {
	mu   sync.Mutex
	rand *rand.Rand // guarded by mu
}

// odds reports true n times in a thousand.
func (tr *trouble) odds(n int) bool { return tr.rand.IntN(1000) < n }

func (tr *trouble) upTo(d time.Duration) time.Duration {
	return time.Duration(tr.rand.Int64N(int64(d)))
}

func (tr *trouble) reply(scripted.Push) scripted.Reply {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	r := scripted.Accept()
	switch codes := []http2.ErrCode{http2.ErrCodeCancel, http2.ErrCodeInternal, http2.ErrCodeStreamClosed}; {
	case tr.odds(30):
		r = scripted.RefuseStream()
	case tr.odds(15):
		r = scripted.Refuse(apns.TooManyRequests).RetryAfter(time.Duration(tr.rand.IntN(4)) * time.Second)
	case tr.odds(15):
		r = scripted.Refuse(apns.InternalServerError)
	case tr.odds(10):
		r = scripted.Refuse(apns.ServiceUnavailable).RetryAfter(time.Second)
	case tr.odds(20):
		r = scripted.Refuse(apns.Unregistered).Since(time.UnixMilli(1508249865488)).Frames(2)
	case tr.odds(10):
		r = scripted.Refuse(apns.BadDeviceToken)
	case tr.odds(5):
		r = scripted.Silence()
	case tr.odds(5):
		r = scripted.Accept().Unanswered()
	case tr.odds(5):
		r = scripted.Accept().Broken(codes[tr.rand.IntN(len(codes))])
	case tr.odds(5):
		r = scripted.Break(codes[tr.rand.IntN(len(codes))])
	case tr.odds(5):
		r = scripted.Accept().Half()
	case tr.odds(3):
		r = scripted.Refuse(apns.ExpiredProviderToken)
	case tr.odds(5):
		r = scripted.Refuse(apns.Shutdown).Then(scripted.GoAway{Reason: apns.Shutdown})
	}
	if tr.odds(300) {
		r = r.Delay(tr.upTo(200 * time.Millisecond))
	}
	if tr.odds(20) {
		r = r.Interim(103)
	}
	switch {
	case tr.odds(3):
		r = r.Then(scripted.GoAway{LeaveOut: tr.rand.IntN(20), Reason: apns.ServiceUnavailable})
	case tr.odds(1):
		r = r.Then(scripted.Reset)
	case tr.odds(1):
		r = r.Then(scripted.CutFrame)
	case tr.odds(1):
		r = r.Then(scripted.Vanish)
	case tr.odds(2):
		r = r.Then(scripted.RefuseOpen)
	case tr.odds(2):
		r = r.Then(scripted.Streams(1 + tr.rand.IntN(300)))
	}
	return r
}

func (tr *trouble) script(int) scripted.Script {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	s := scripted.Script{Streams: 1 + tr.rand.IntN(500)}
	switch {
	case tr.odds(30):
		return scripted.Script{Refuse: true}
	case tr.odds(30):
		return scripted.Script{Handshake: scripted.HandshakeNever}
	case tr.odds(20):
		return scripted.Script{NoSettings: true}
	case tr.odds(20):
		return scripted.Script{Streams: scripted.NoStreams}
	case tr.odds(100):
		s.SettingsDelay = tr.upTo(3 * time.Second)
	case tr.odds(300):
		s.Streams = 1
		s.Steps = append(s.Steps, scripted.Step{Accepted: 1, Do: scripted.Streams(1000)})
	case tr.odds(50):
		s.NoCredit = true
	case tr.odds(100):
		s.Window = 1 + tr.rand.IntN(100)
	case tr.odds(50):
		s.PongDelay = -1
	case tr.odds(50):
		s.Read = scripted.Pace{Bytes: 500, Every: 10 * time.Millisecond}
	}
	if tr.odds(500) {
		s.Steps = append(s.Steps, scripted.Step{Pushes: 1 + tr.rand.IntN(500), Do: scripted.GoAway{}})
	}
	if tr.odds(100) {
		s.Steps = append(s.Steps, scripted.Step{After: tr.upTo(5 * time.Second), Do: scripted.Fault(tr.rand.IntN(int(scripted.RefuseOpen)))})
	}
	return s
}

// ends counts how pushes ended, and holds each to what the gateway did.
type ends struct {
	mu  sync.Mutex
	all map[scripted.Key][]error // guarded by mu
}

func (e *ends) add(to apns.DeviceToken, id apns.NotificationID, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	k := scripted.Key{DeviceToken: to, ID: id}
	e.all[k] = append(e.all[k], err)
}

// TestSoak pushes one by one and in bulk to a gateway on which anything may go
// wrong: each push ends in exactly one outcome, and that one tells the truth.
// Nothing is sent twice unless it was allowed, and in the end nothing is left.
func TestSoak(t *testing.T) {
	runs := 6
	if os.Getenv("HERALD_LONG") == "1" {
		runs = 500
	}
	sums := make(map[apnsclient.Outcome]int)
	var twice, moved int
	for seed := range runs {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got, counts := soak(t, uint64(seed))
				for o, n := range got {
					sums[o] += n
				}
				twice += counts.Doubled
				moved += counts.Pushes
			})
		})
	}
	var all int
	var b strings.Builder
	for _, o := range slices.Sorted(maps.Keys(sums)) {
		all += sums[o]
		fmt.Fprintf(&b, ", %s %d", o, sums[o])
	}
	t.Logf("%d pushes in %d attempts%s; processed twice where that was allowed: %d", all, moved, b.String(), twice)
	for _, o := range []apnsclient.Outcome{apnsclient.Accepted, apnsclient.Rejected, apnsclient.TokenGone, apnsclient.Unknown} {
		if sums[o] == 0 {
			t.Errorf("no push ended with the outcome %v: the trouble is none", o)
		}
	}
}

// soak is one run. In every third one the caller allows that what was not answered is
// sent again.
func soak(t *testing.T, seed uint64) (map[apnsclient.Outcome]int, scripted.Counts) {
	t.Helper()
	const alone, inBulk = 300, 700
	tr := &trouble{rand: rand.New(rand.NewPCG(seed, 1))}
	g := scripted.New(t)
	g.OnPush(tr.reply)
	g.OnConnect(tr.script)
	cfg := apnsclient.Config{
		Environment: apns.Production, Host: g.Addr(), Dial: g.Dial, Roots: g.Roots(), ProviderTokens: newProviderTokens(t),
		Connections: 1 + int(seed%4), IdleTimeout: time.Minute,
	}
	if seed%2 == 1 {
		cfg.MaxPending, cfg.MaxAge = 20, 3*time.Second
	}
	again := seed%3 == 2
	if again {
		cfg.Retry.Unanswered = apnsclient.Again
	}
	s, err := apnsclient.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	e := &ends{all: make(map[scripted.Key][]error)}
	n := apns.Notification{Topic: "com.example.demo", PushType: apns.PushTypeAlert, Payload: apns.Payload(`{"aps":{"alert":"Hello"}}`)}
	to := func(i int) apns.DeviceToken { return apns.DeviceToken(fmt.Sprintf("device %025d", i)) }

	var senders sync.WaitGroup
	for i := range alone {
		senders.Go(func() {
			tr.mu.Lock()
			wait, patience := tr.upTo(5*time.Second), time.Minute
			if tr.odds(50) {
				patience = tr.upTo(2 * time.Second)
			}
			tr.mu.Unlock()
			time.Sleep(wait)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			r, err := s.Push(ctx, to(i), n)
			e.add(to(i), r.ID, err)
		})
	}
	senders.Go(func() {
		pushes := func(yield func(apnsclient.Push) bool) {
			for i := range inBulk {
				if i%100 == 0 {
					time.Sleep(500 * time.Millisecond)
				}
				if !yield(apnsclient.Push{To: to(alone + i), Notification: &n}) {
					return
				}
			}
		}
		for r := range s.PushAll(t.Context(), pushes) {
			e.add(r.To, r.Receipt.ID, r.Err)
		}
	})
	var given int // of a bulk that is given up on the way
	senders.Go(func() {
		tr.mu.Lock()
		patience := tr.upTo(5 * time.Second)
		tr.mu.Unlock()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		pushes := func(yield func(apnsclient.Push) bool) {
			for yield(apnsclient.Push{To: to(alone + inBulk + given), Notification: &n}) {
				if given++; given%100 == 0 {
					time.Sleep(500 * time.Millisecond)
				}
			}
		}
		for r := range s.PushAll(ctx, pushes) {
			e.add(r.To, r.Receipt.ID, r.Err)
		}
	})
	senders.Wait()
	if got := s.Stats(); got.InFlight != 0 || got.Pending != 0 {
		t.Errorf("after all have ended: %+v", got)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}

	if len(e.all) != alone+inBulk+given {
		t.Errorf("got outcomes of %d pushes, want %d", len(e.all), alone+inBulk+given)
	}
	sums := make(map[apnsclient.Outcome]int)
	processed := g.Processed()
	for k, errs := range e.all {
		if len(errs) != 1 {
			t.Errorf("%d outcomes of one push: %v", len(errs), errs)
		}
		o := apnsclient.OutcomeOf(errs[0])
		sums[o]++
		times := processed[scripted.Key{DeviceToken: k.DeviceToken, ID: k.ID}]
		switch {
		case o == apnsclient.Unknown && (times <= 1 || again):
		case o == apnsclient.Accepted && (times == 1 || again && times > 0):
		case times == 0 && o != apnsclient.Accepted:
		case again && o != apnsclient.ConnectionFault: // an earlier attempt may have been processed
		default:
			t.Errorf("processed %d times, and told %v: %v", times, o, errs[0])
		}
	}
	c := g.Counts()
	if !again && c.Doubled != 0 {
		t.Errorf("%d pushes were processed twice", c.Doubled)
	}
	if c.Opened != c.Closed {
		t.Errorf("%d connections were opened, and %d closed", c.Opened, c.Closed)
	}
	return sums, c
}
