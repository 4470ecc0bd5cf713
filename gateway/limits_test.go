package gateway_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/gateway"
	"github.com/heraldpush/herald/portal"
)

// told is what a provider is answered, with the seconds it is to wait.
func (a *answer) told() string {
	if wait := a.get("retry-after"); len(wait) > 0 {
		return a.outcome() + " after " + strings.Join(wait, "+")
	}
	return a.outcome()
}

// TestProviderTokenUpdates follows connections that come with new provider
// tokens (docs/protocol/provider.md#provider-tokens).
func TestProviderTokenUpdates(t *testing.T) {
	const (
		tooMany = "429 TooManyProviderTokenUpdates after "
		bad     = "400 BadPriority"
		sec     = time.Second
		every   = 20 * time.Minute
	)
	type step struct {
		at   time.Duration // since the first
		made time.Duration // when its provider token was
		want string
	}
	tolerant, strict := gateway.ProductionLimits(), gateway.ProductionLimits()
	strict.ProviderTokenTolerance = 0
	for _, tt := range []struct {
		name   string
		limits gateway.Limits
		steps  []step
	}{
		{"a new one for each push", tolerant, []step{
			{0, 0, accepted},
			{0, 1 * sec, accepted},
			{0, 2 * sec, accepted},
			{0, 3 * sec, accepted},
			{0, 4 * sec, tooMany + "1200"},
			{0, 5 * sec, tooMany + "1200"},
			{0, 3 * sec, accepted},
			{0, 0, accepted},
			{0, 5 * sec, tooMany + "1200"}, // the former ones are as good as ever
		}},
		{"in development", gateway.DevelopmentLimits(), []step{
			{0, 0, accepted}, {0, 1 * sec, accepted}, {0, 2 * sec, accepted}, {0, 3 * sec, accepted}, {0, 4 * sec, tooMany + "1200"},
		}},
		{"strict", strict, []step{{0, 0, accepted}, {0, 0, accepted}, {0, 1 * sec, tooMany + "1200"}, {0, 0, accepted}}},
		{"any number", gateway.Limits{}, []step{
			{0, 0, accepted}, {0, 1 * sec, accepted}, {0, 2 * sec, accepted}, {0, 3 * sec, accepted}, {0, 4 * sec, accepted}, {0, 5 * sec, accepted},
		}},
		{"every 20 minutes", strict, []step{
			{0, 0, accepted},
			{every, every, accepted},
			{2 * every, 2 * every, accepted},
			{3*every - sec, 3*every - sec, tooMany + "1"},
			{3 * every, 3*every - sec, accepted}, // it was not taken before
		}},
		{"counted anew after 20 minutes", tolerant, []step{
			{0, 0, accepted},
			{0, 1 * sec, accepted},
			{0, 2 * sec, accepted},
			{0, 3 * sec, accepted},
			{0, 4 * sec, tooMany + "1200"},
			{every - 1, 4 * sec, tooMany + "1"},
			{every, 4 * sec, accepted},
			{every, 5 * sec, accepted},
			{every, 6 * sec, accepted},
			{every, 7 * sec, accepted},
			{every, 8 * sec, tooMany + "1200"},
		}},
		{"counted from the last one", tolerant, []step{
			{0, 0, accepted},
			{0, 1 * sec, accepted},
			{0, 2 * sec, accepted},
			{10 * time.Minute, 3 * sec, accepted},
			{every, 4 * sec, tooMany + "600"},
			{30 * time.Minute, 4 * sec, accepted},
		}},
		{"two by turns", strict, []step{
			{0, 0, accepted}, {every, 1 * sec, accepted}, {every + 1*sec, 0, accepted}, {every + 2*sec, 1 * sec, accepted},
		}},
		{"of a push that is refused", strict, []step{{0, 0, bad}, {0, 0, accepted}, {0, 1 * sec, tooMany + "1200"}}},
		{"refused themselves", strict, []step{
			{0, -2 * time.Hour, refused(apns.ExpiredProviderToken)},
			{0, 2 * time.Hour, refused(apns.InvalidProviderToken)},
			{0, 0, accepted},
			{0, 1 * sec, tooMany + "1200"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorldWith(t, options{limits: tt.limits})
				p, other := w.dial(t, dialing{}), w.dial(t, dialing{})
				start := time.Now()
				for i, s := range tt.steps {
					time.Sleep(s.at - time.Since(start))
					q := w.push(t).set("authorization", "bearer "+w.team.token(t, start.Add(s.made)))
					if s.want == bad {
						q.set("apns-priority", "7")
					}
					if got := p.ask(q).told(); got != s.want {
						t.Errorf("step %d: got %s, want %s", i, got, s.want)
					}
				}
				other.want(w.push(t), accepted) // a connection knows nothing of others
			})
		})
	}
}

// TestProviderTokenUpdatesByKey proves that a provider token of another key is
// another one, and that one of a team that the connection does not belong to is
// none at all.
func TestProviderTokenUpdatesByKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWith(t, options{limits: gateway.Limits{ProviderTokenInterval: time.Minute}})
		second := w.keyed(t, portal.KeySpec{Name: "second"})
		p := w.dial(t, dialing{})
		by := func(s signer) *push { return w.push(t).set("authorization", "bearer "+s.token(t, time.Now())) }
		p.want(by(w.team), accepted)
		p.want(by(w.team), accepted) // another signature
		p.want(w.theirs(t), refused(apns.InvalidProviderToken))
		p.want(by(second), refused(apns.TooManyProviderTokenUpdates))
		p.want(by(w.team), accepted)
		time.Sleep(time.Minute)
		p.want(by(second), accepted)

		// With a certificate they are not looked at.
		p = w.dial(t, dialing{certificate: w.pushCertificate(t, demo, credential.PushUniversal)})
		for i := range 5 {
			p.want(w.push(t).set("authorization", "bearer "+w.team.token(t, time.Now().Add(time.Duration(i)*time.Second))), accepted)
		}
	})
}

// TestTooManyRequests floods device tokens (docs/protocol/provider.md#limits).
func TestTooManyRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWith(t, options{limits: gateway.ProductionLimits()})
		w.attach(t, w.device, demo)
		const tooMany = "429 TooManyRequests after "
		q := func() *push {
			return w.push(t).set("authorization", "bearer "+w.team.token(t, time.Now().Truncate(time.Hour)))
		}
		p := w.dial(t, dialing{})
		elsewhere := w.dial(t, dialing{certificate: w.pushCertificate(t, demo, credential.PushUniversal)})
		tell := func(p *peer, q *push, want string) {
			t.Helper()
			if got := p.ask(q).told(); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
		for i := range 60 {
			if i%10 == 0 { // they take nothing
				tell(p, q().set("apns-priority", "7"), refused(apns.BadPriority))
				tell(p, q().to(w.deviceToken(t, second, apns.Sandbox)), refused(apns.DeviceTokenNotForTopic))
			}
			if i%2 == 0 {
				tell(p, q(), accepted)
			} else {
				tell(elsewhere, q(), accepted)
			}
		}
		for range 3 {
			tell(p, q(), tooMany+"1")
			tell(elsewhere, q(), tooMany+"1")
		}
		tell(p, q().set("apns-topic", string(second)).to(w.deviceToken(t, second, apns.Sandbox)), accepted)
		tell(p, q().to(w.goneToken(t, demo, apns.Sandbox)), refused(apns.Unregistered))

		time.Sleep(time.Second - time.Nanosecond)
		tell(p, q(), tooMany+"1")
		time.Sleep(time.Nanosecond)
		tell(p, q(), accepted)
		tell(p, q(), tooMany+"1")
		time.Sleep(2500 * time.Millisecond)
		tell(p, q(), accepted)
		tell(elsewhere, q(), accepted)
		tell(p, q(), tooMany+"1")
		time.Sleep(time.Hour) // no more than 60 are saved up
		var ids []uint32
		for range 61 {
			ids = append(ids, p.send(q()))
		}
		for i, id := range ids {
			want := accepted
			if i == 60 {
				want = tooMany + "1"
			}
			if got := p.await(id).told(); got != want {
				t.Errorf("push %d: got %s, want %s", i, got, want)
			}
		}

		// The other environment is another device token.
		p = w.dial(t, dialing{address: productionName})
		tell(p, q().to(w.deviceToken(t, demo, apns.Production)), accepted)
		tell(p, q().to(w.goneToken(t, demo, apns.Production)), refused(apns.Unregistered))
	})
}

// TestTooManyRequestsOff proves that it is off in development.
func TestTooManyRequestsOff(t *testing.T) {
	w := newWorldWith(t, options{limits: gateway.DevelopmentLimits()})
	p := w.dial(t, dialing{})
	q := w.push(t)
	for range 200 {
		p.want(q, accepted)
	}
}

// TestSlow proves that refusals lower the stream limit
// (docs/protocol/provider.md#settings). A letter is a push: accepted, with
// a bad priority, to a device token of nobody, to a removed app, or one that the store loses;
// a dot is a second.
func TestSlow(t *testing.T) {
	limits := gateway.Limits{SlowShare: 0.5, SlowWindow: 5 * time.Second, SlowAnswers: 4}
	for _, tt := range []struct {
		name, pushes string
		limits       gateway.Limits
		want         []uint32
	}{
		{"few", "aappp", limits, []uint32{1000, 1}},
		{"fewer", "aaappa", limits, []uint32{1000}},
		{"too few answers to tell", "ppp", limits, []uint32{1000}},
		{"as many as it takes", "pbpb", limits, []uint32{1000, 1}},
		{"raised again", "ppppa", limits, []uint32{1000, 1, 1000}},
		{"removed apps do not count", "gggggggggg", limits, []uint32{1000}},
		{"nor as good ones", "agggggppp", limits, []uint32{1000, 1}},
		{"faults of the gateway do not", "ffffff", limits, []uint32{1000}},
		{"counted anew", "ppppapp", limits, []uint32{1000, 1, 1000}},
		{"counted anew, and lowered", "ppppappp", limits, []uint32{1000, 1, 1000, 1}},
		{"told once", "pppppppppppp", limits, []uint32{1000, 1}},
		{"two windows", "ppp.....ppp", limits, []uint32{1000}},
		{"one window", "pp....pp", limits, []uint32{1000, 1}},
		{"the share of another window", "aaaaaaaa.....pppp", limits, []uint32{1000, 1}},
		{"never", "ppppppppp", gateway.Limits{}, []uint32{1000}},
		{"any", "ap", gateway.Limits{SlowShare: 0.01, SlowAnswers: 1}, []uint32{1000, 1}},
		{"in production", strings.Repeat("b", 19), gateway.ProductionLimits(), []uint32{1000}},
		{"one more in production", strings.Repeat("b", 20), gateway.ProductionLimits(), []uint32{1000, 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorldWith(t, options{limits: tt.limits})
				p := w.dial(t, dialing{certificate: w.pushCertificate(t, demo, credential.PushUniversal)})
				w.play(t, p, tt.pushes)
				p.settle()
				if !slices.Equal(p.limits, tt.want) {
					t.Errorf("limits: got %v, want %v", p.limits, tt.want)
				}
			})
		})
	}
}

// play sends pushes one after the other, each a letter.
func (w *world) play(t *testing.T, p *peer, pushes string) {
	t.Helper()
	for _, letter := range pushes {
		switch q := w.push(t); letter {
		case '.':
			time.Sleep(time.Second)
		case 'a':
			p.want(q, accepted)
		case 'p':
			p.want(q.set("apns-priority", "7"), refused(apns.BadPriority))
		case 'b':
			p.want(q.to("x"), refused(apns.BadDeviceToken))
		case 'g':
			p.want(q.to(w.goneToken(t, demo, apns.Sandbox)), refused(apns.Unregistered))
		case 'f':
			w.store.before(func(context.Context) error { return errDisk })
			p.want(q, refused(apns.InternalServerError))
			w.store.before(nil)
			w.logs.take()
		default:
			t.Fatalf("the test is wrong: %c", letter)
		}
	}
}

const (
	dismissed  = "ENHANCE_YOUR_CALM 2147483647 too many of your requests were refused"
	dismissed1 = "ENHANCE_YOUR_CALM %d too many of your requests were refused"
)

// TestTooManyRefusals proves that refusals end a connection, sooner for bad
// device tokens (docs/protocol/provider.md#goaway). The last push of each is the
// one that does.
func TestTooManyRefusals(t *testing.T) {
	limits := gateway.Limits{MaxRefusals: 6, MaxBadDeviceTokens: 3}
	for _, tt := range []struct {
		name, pushes string
		limits       gateway.Limits
		stays        bool
	}{
		{"refusals", "pppppp", limits, false},
		{"one less", "ppppp", limits, true},
		{"bad device tokens", "bbb", limits, false},
		{"one less of them", "bb", limits, true},
		{"both", "bbpppp", limits, false},
		{"made up for", "ppppappaap", limits, true},
		{"made up for, and more", "ppppappp", limits, false},
		{"nothing saved up", "aaaaaaaaaapppppp", limits, false},
		{"bad device tokens made up for", "bbabab", limits, true},
		{"removed apps", strings.Repeat("g", 20), limits, true},
		{"removed apps between", "ppgpgggpgpgp", limits, false},
		{"faults of the gateway", strings.Repeat("f", 20), limits, true},
		{"no limit", strings.Repeat("b", 30), gateway.Limits{}, true},
		{"in development", strings.Repeat("b", 1100), gateway.DevelopmentLimits(), true},
		{"in production", strings.Repeat("b", 100), gateway.ProductionLimits(), false},
		{"others in production", strings.Repeat("p", 1000), gateway.ProductionLimits(), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorldWith(t, options{limits: tt.limits})
				p := w.dial(t, dialing{certificate: w.pushCertificate(t, demo, credential.PushUniversal)})
				w.play(t, p, tt.pushes[:len(tt.pushes)-1])
				p.settle()
				if len(p.goAways) > 0 {
					t.Fatalf("too soon: GOAWAY %q", p.goAways)
				}
				w.play(t, p, tt.pushes[len(tt.pushes)-1:]) // it is answered too
				if tt.stays {
					p.want(w.push(t), accepted)
					p.settle()
					if len(p.goAways) > 0 {
						t.Errorf("GOAWAY: got %q, want none", p.goAways)
					}
					return
				}
				p.drained(dismissed, fmt.Sprintf(dismissed1, p.next-2))
				w.dial(t, dialing{}).want(w.push(t), accepted) // whoever comes again is welcome
			})
		})
	}
}

// TestTooManyRefusalsInProgress proves that the pushes in progress are answered
// when a connection has to go.
func TestTooManyRefusalsInProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWith(t, options{limits: gateway.Limits{MaxRefusals: 2}})
		p := w.dial(t, dialing{certificate: w.pushCertificate(t, demo, credential.PushUniversal)})
		release := make(chan error)
		w.store.before(until(release))
		first := p.send(w.push(t))
		synctest.Wait()
		for range 2 {
			p.want(w.push(t).drop("apns-topic"), refused(apns.MissingTopic))
		}
		for len(p.goAways) < 2 {
			p.read()
		}
		p.want(w.push(t), "REFUSED_STREAM")
		close(release)
		if got := p.await(first).outcome(); got != accepted {
			t.Errorf("got %s, want %s", got, accepted)
		}
		p.drained(dismissed, fmt.Sprintf(dismissed1, 5))
	})
}

// TestTooManyRefusalsByLibrary proves that a library of providers goes on by
// itself when its connection was ended, and when the stream limit fell.
func TestTooManyRefusalsByLibrary(t *testing.T) {
	w := newWorldWith(t, options{limits: gateway.Limits{MaxRefusals: 3, SlowShare: 0.5, SlowAnswers: 2}})
	ask := w.library(t, dialing{})
	for i := range 20 {
		if got, want := ask(w.push(t).set("apns-priority", "7")).outcome(), refused(apns.BadPriority); got != want {
			t.Errorf("push %d: got %s, want %s", i, got, want)
		}
	}
	if got := ask(w.push(t)).outcome(); got != accepted {
		t.Errorf("got %s, want %s", got, accepted)
	}
}

// TestUniqueID proves that an accepted push has an apns-unique-id in the sandbox,
// and nowhere else (docs/protocol/provider.md#apns-id).
func TestUniqueID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWith(t, options{debug: true})
		p := w.dial(t, dialing{})
		seen := make(map[string]bool)
		for range 10 {
			a := p.want(w.push(t), accepted)
			unique := a.get("apns-unique-id")
			if len(unique) != 1 || seen[unique[0]] {
				t.Fatalf("got %q, want a new one", unique)
			}
			seen[unique[0]] = true
			logged := false
			for _, line := range w.logs.take() {
				logged = logged || strings.Contains(line, "apns-id="+a.get("apns-id")[0]) && strings.Contains(line, "apns-unique-id="+unique[0])
			}
			if !logged {
				t.Errorf("%s: not logged", unique[0])
			}
		}
		if got := p.want(w.push(t).to("x"), refused(apns.BadDeviceToken)).get("apns-unique-id"); got != nil {
			t.Errorf("refused: got %q, want none", got)
		}
		p = w.dial(t, dialing{address: productionName})
		if got := p.want(w.push(t).to(w.deviceToken(t, demo, apns.Production)), accepted).get("apns-unique-id"); got != nil {
			t.Errorf("production: got %q, want none", got)
		}
		w.stop()
		w.logs.take()
	})
}

// TestSettings reads each SETTINGS frame whole
// (docs/protocol/provider.md#settings).
func TestSettings(t *testing.T) {
	w := newWorld(t)
	conn, err := w.dialTLS(t, dialing{})
	if err != nil {
		t.Fatal(err)
	}
	p := newPeer(t, conn)
	p.hello()
	p.want(w.push(t), accepted)
	p.want(w.push(t).set("authorization", "bearer x"), refused(apns.InvalidProviderToken))
	p.settle()
	var want []string
	for _, streams := range []int{1, 1000, 1} {
		want = append(want, fmt.Sprintf("HEADER_TABLE_SIZE 4096, MAX_CONCURRENT_STREAMS %d, INITIAL_WINDOW_SIZE 65535, MAX_FRAME_SIZE 16384, MAX_HEADER_LIST_SIZE 8000", streams))
	}
	if diff := cmp.Diff(want, p.settings); diff != "" {
		t.Errorf("SETTINGS (-want +got):\n%s", diff)
	}
}
