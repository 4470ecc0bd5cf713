package gateway_test

import (
	"fmt"
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

		// What else is wrong with the device token is said first.
		flooded := q()
		if err := w.registry.Remove(t.Context(), apns.Address{Device: w.device, Environment: apns.Sandbox, Topic: demo.Hash()}, removed); err != nil {
			t.Fatal(err)
		}
		tell(p, flooded, refused(apns.Unregistered))

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
