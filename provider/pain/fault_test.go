package pain

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnstest/scripted"
	"github.com/heraldpush/herald/provider"
	"github.com/heraldpush/herald/provider/outbox"
)

// weak is an outbox whose disk is full now and then: it takes nothing, and who stores
// receipts has to end.
type weak struct {
	outbox.Store
	mu   sync.Mutex
	rand *rand.Rand // guarded by mu
}

var errDisk = errors.New("no space left on device")

func (w *weak) fails() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rand.IntN(5) == 0
}

// Submit implements outbox.Store.
func (w *weak) Submit(ctx context.Context, s outbox.Submission, now time.Time) (outbox.Message, bool, error) {
	if w.fails() {
		return outbox.Message{}, false, outbox.ErrFull
	}
	return w.Store.Submit(ctx, s, now)
}

// Checkpoint implements outbox.Store.
func (w *weak) Checkpoint(ctx context.Context, all []outbox.Progress, now time.Time) ([]outbox.Checked, error) {
	if w.fails() {
		return nil, errDisk
	}
	return w.Store.Checkpoint(ctx, all, now)
}

// TestFaults sends single messages and one to everybody through all kinds of trouble.
// Each of them ends accepted for all it is for. What is counted is what the gateway
// processed, by device token and apns-id: each is there, and nothing else; and it is
// there once, unless the gateway processed it and did not say so: then it came again
// under the same apns-id, by which Herald's push service knows it.
func TestFaults(t *testing.T) {
	const n, singles = 1500, 150
	slow := scripted.Accept().Delay(20 * time.Millisecond)
	for name, fault := range map[string]struct {
		set     func(s *scene)
		repeats bool // some are processed and not answered
	}{
		"GOAWAY": {set: func(s *scene) {
			s.production.Reply(slow)
			s.production.OnConnect(func(int) scripted.Script {
				return scripted.Script{Steps: []scripted.Step{{Pushes: 200, Do: scripted.GoAway{LeaveOut: 20}}}}
			})
		}},
		"silence": {repeats: true, set: func(s *scene) {
			s.production.OnPush(func(p scripted.Push) scripted.Reply {
				if p.Attempt == 1 && p.Number%40 == 0 {
					return []scripted.Reply{scripted.Silence(), scripted.Accept().Unanswered()}[p.Number/40%2]
				}
				return slow
			})
		}},
		"429": {set: func(s *scene) {
			s.production.OnPush(func(p scripted.Push) scripted.Reply {
				if p.Attempt <= 3 && p.Number%10 < 3 {
					return scripted.Refuse(apns.TooManyRequests).RetryAfter(5 * time.Second)
				}
				return slow
			})
		}},
		"503": {set: func(s *scene) {
			end := time.Now().Add(5 * time.Minute)
			s.production.OnPush(func(scripted.Push) scripted.Reply {
				if time.Now().Before(end) {
					return scripted.Refuse(apns.ServiceUnavailable)
				}
				return slow
			})
		}},
		"one stream": {set: func(s *scene) {
			s.production.Reply(slow)
			s.production.Script(scripted.Script{Streams: 1, Steps: []scripted.Step{
				{Accepted: 50, Do: scripted.Streams(1000)}, {Accepted: 600, Do: scripted.Streams(1)}, {Accepted: 650, Do: scripted.Streams(100)},
			}})
		}},
		"an expired provider token": {set: func(s *scene) {
			var old string
			s.production.OnPush(func(p scripted.Push) scripted.Reply {
				token, err := providerTokenOf(p)
				if err != nil {
					s.Error(err)
				}
				if old == "" {
					old = token.text
				}
				if p.Number > 400 && token.text == old {
					return scripted.Refuse(apns.ExpiredProviderToken)
				}
				return slow
			})
		}},
		"a full disk": {repeats: true, set: func(s *scene) {
			s.production.Reply(slow)
			s.outbox = &weak{Store: s.outbox, rand: rand.New(rand.NewPCG(1, 2))}
		}},
		"a gateway that is not there": {set: func(s *scene) {
			s.production.Reply(slow)
			s.production.Down(true)
			time.AfterFunc(10*time.Minute, func() { s.production.Down(false) })
		}},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(s *scene) {
				s.register(shop, 0, n)
				fault.set(s)
				all := make(map[scripted.Key]bool)
				stop := s.alive()
				defer stop()
				everyone := s.insist(everybody())
				s.meant(all, everyone, n)
				var ids []outbox.MessageID
				for range singles {
					time.Sleep(10 * time.Millisecond)
					ids = append(ids, s.insist(toSome(1)))
					s.meant(all, ids[len(ids)-1], 1)
				}
				s.accepted(s.ended(shop, everyone), n)
				for _, id := range ids {
					s.accepted(s.ended(shop, id), 1)
				}
				again := s.sentOnce(s.production, all)
				if again > 0 && !fault.repeats {
					s.Errorf("%d were processed again", again)
				}
				got := s.production.Counts()
				s.Logf("%d notifications in %d pushes on %d connections; %d came again under the same apns-id; none lost", len(all), got.Pushes, got.Opened, again)
			})
		})
	}
}

// alive runs push servers, the next when one has ended because of its store, until
// stop is called.
func (s *scene) alive() (stop func()) {
	ctx, cancel := context.WithCancel(s.Context())
	over := make(chan struct{})
	ended := s.start(ctx)
	go func() {
		defer close(over)
		for err := <-ended; err != nil; err = <-ended {
			if !errors.Is(err, errDisk) {
				s.Errorf("the push server ended with %v", err)
				return
			}
			time.Sleep(100 * time.Millisecond)
			ended = s.start(ctx)
		}
	}()
	return func() {
		cancel()
		<-over
	}
}

// insist sends a message until there is room for it.
func (s *scene) insist(o provider.Order) outbox.MessageID {
	s.Helper()
	for {
		sent, err := s.current().Send(s.Context(), shop, o)
		if err == nil {
			return sent.Message.ID
		}
		if !errors.Is(err, outbox.ErrFull) {
			s.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
