package gateway_test

import (
	"errors"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/faults"
)

// newFaultyWorld is a world with magic device tokens and a plan, which may be
// empty.
func newFaultyWorld(t *testing.T, plan string) (*world, *faults.Simulator) {
	t.Helper()
	sim := faults.New(faults.Config{MagicDeviceTokens: true, Logger: slog.New(slog.DiscardHandler)})
	w := newWorldWith(t, options{faults: sim})
	if plan != "" {
		setPlan(t, sim, plan)
	}
	return w, sim
}

func setPlan(t *testing.T, sim *faults.Simulator, plan string) {
	t.Helper()
	p, err := faults.Parse([]byte(plan))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sim.Put(p); err != nil {
		t.Fatal(err)
	}
}

// quiet reads for a while, in which nothing may come.
func (p *peer) quiet(d time.Duration) {
	p.t.Helper()
	if err := p.nc.SetReadDeadline(time.Now().Add(d)); err != nil {
		p.t.Fatal(err)
	}
	b := make([]byte, 1)
	if n, err := p.nc.Read(b); n > 0 || err == nil || !strings.Contains(err.Error(), "timeout") {
		p.t.Errorf("got %d bytes, %v, want silence", n, err)
	}
}

// TestMagicTokenReasons pushes to the magic device token of each reason: it is
// refused for it, with what goes along, and the form is that of any refusal.
func TestMagicTokenReasons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := newFaultyWorld(t, "")
		p := w.dial(t, dialing{})
		for _, r := range faults.Reasons() {
			token, ok := faults.ReasonToken(r)
			if !ok {
				t.Fatalf("%s has no token", r)
			}
			a := p.want(w.push(t).to(token), refused(r))
			retry := a.get("retry-after")
			switch r.Status() {
			case 429, 503:
				if !slices.Equal(retry, []string{"1"}) {
					t.Errorf("%s: retry-after: got %q, want 1", r, retry)
				}
			default:
				if len(retry) > 0 {
					t.Errorf("%s: retry-after: got %q, want none", r, retry)
				}
			}
		}
		p.want(w.push(t), accepted)
		if got := receive(t, w.attach(t, w.device, demo)); len(got) != 1 {
			t.Errorf("stored: got %q, want the last push alone", got)
		}
	})
}

// TestMagicTokenOrder proves that the usual checks come first, and that without
// faults a magic device token is one that was never given out.
func TestMagicTokenOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		token, _ := faults.ReasonToken(apns.Unregistered)
		w, _ := newFaultyWorld(t, "")
		p := w.dial(t, dialing{})
		p.want(w.push(t).to(token).drop("authorization"), refused(apns.MissingProviderToken))
		p.want(w.push(t).to(token).set("apns-priority", "7"), refused(apns.BadPriority))
		p.want(w.push(t).to(token).carrying(""), refused(apns.PayloadEmpty))
		p.want(w.push(t).to(token).set("apns-topic", string(stranger)), refused(apns.TopicDisallowed))

		without := newWorld(t)
		without.dial(t, dialing{}).want(without.push(t).to(token), refused(apns.BadDeviceToken))
	})
}

// TestMagicTokenAnswers pushes to those that do not refuse.
func TestMagicTokenAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := newFaultyWorld(t, "")
		p := w.dial(t, dialing{certificate: w.pushCertificate(t, demo, credential.PushUniversal)})
		silent := p.send(w.push(t).to(faults.SilenceToken()))
		for _, seconds := range []int{0, 1, 8} {
			start := time.Now()
			slow := p.send(w.push(t).to(faults.AcceptToken(seconds)))
			p.want(w.push(t), accepted) // it is not held up
			if took := time.Since(start); took != 0 {
				t.Errorf("another push took %v, want no time", took)
			}
			if got := p.await(slow).outcome(); got != accepted {
				t.Errorf("accept after %d s: got %s", seconds, got)
			}
			if took, want := time.Since(start), time.Duration(seconds)*time.Second; took != want {
				t.Errorf("accepted after %v, want %v", took, want)
			}
		}
		p.want(w.push(t).to(faults.ResetToken(2)), "INTERNAL_ERROR")
		p.want(w.push(t).to(faults.ResetToken(7)), "REFUSED_STREAM")
		p.quiet(24 * time.Hour)
		if p.answer(silent).ended {
			t.Error("the silent push was answered")
		}
		if got := receive(t, w.attach(t, w.device, demo)); len(got) != 1 {
			t.Errorf("stored: got %q, want the newest genuine push", got)
		}
	})
}

func TestMagicTokenGoAway(t *testing.T) {
	for code, want := range map[faults.ErrorCode]string{
		0:  `NO_ERROR`,
		11: `ENHANCE_YOUR_CALM`,
	} {
		synctest.Test(t, func(t *testing.T) {
			w, _ := newFaultyWorld(t, "")
			p := w.dial(t, dialing{})
			p.want(w.push(t).to(faults.GoAwayToken(code)), accepted)
			p.drained(want+` 2147483647 {"reason":"Shutdown"}`, want+` 1 {"reason":"Shutdown"}`)
		})
	}
}

// TestFaultRefusals meets each of the refusals of a plan once, then none.
func TestFaultRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, sim := newFaultyWorld(t, `{"rules":[
			{"fault":"reject","reason":"InternalServerError","limit":1},
			{"fault":"reject","reason":"Unregistered","since":"24h","limit":1},
			{"fault":"reject","reason":"ServiceUnavailable","retry_after":"90s","limit":1},
			{"fault":"lose","limit":1}, {"fault":"reset_stream","code":"ENHANCE_YOUR_CALM","limit":1}]}`)
		p := w.dial(t, dialing{})
		p.want(w.push(t), refused(apns.InternalServerError))
		since := strings.TrimSuffix(p.want(w.push(t), refused(apns.Unregistered)).body, "}")
		if want := time.Now().Add(-24 * time.Hour).UnixMilli(); !strings.HasSuffix(since, ":"+strconv.FormatInt(want, 10)) {
			t.Errorf("timestamp: got %s, want %d", since, want)
		}
		if got := p.want(w.push(t), refused(apns.ServiceUnavailable)).get("retry-after"); !slices.Equal(got, []string{"90"}) {
			t.Errorf("retry-after: got %q, want 90", got)
		}
		p.want(w.push(t), accepted)
		p.want(w.push(t), "ENHANCE_YOUR_CALM")
		if got := receive(t, w.attach(t, w.device, demo)); len(got) != 0 {
			t.Errorf("stored: got %q, want nothing", got)
		}
		p.want(w.push(t), accepted)
		if got, want := sim.Status().Times, []uint64{1, 1, 1, 1, 1}; !slices.Equal(got, want) {
			t.Errorf("times: got %v, want %v", got, want)
		}
	})
}

// TestFaultDelay delays what is stored, and what is refused for another reason.
func TestFaultDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, sim := newFaultyWorld(t, `{"rules":[{"fault":"delay","delay":{"fixed":"1500ms"}}]}`)
		p := w.dial(t, dialing{})
		for want, q := range map[string]*push{
			accepted:                     w.push(t),
			refused(apns.BadDeviceToken): w.push(t).to(w.deviceToken(t, demo, apns.Production)),
			refused(apns.BadPriority):    w.push(t).set("apns-priority", "7"),
		} {
			start := time.Now()
			p.want(q, want)
			took := time.Since(start)
			if late := want != refused(apns.BadPriority); late != (took == 1500*time.Millisecond) {
				t.Errorf("%s: took %v", want, took)
			}
		}
		if got := receive(t, w.attach(t, w.device, demo)); len(got) != 1 {
			t.Errorf("stored: got %q, want one", got)
		}
		// Another team's push has to wait until the first is decided.
		first := p.send(w.push(t))
		p.want(w.push(t).set("authorization", "bearer "+w.otherTeam.token(t, time.Now())), refused(apns.InvalidProviderToken))
		p.await(first)

		// A peer that leaves takes along what is delayed.
		p.send(w.push(t))
		synctest.Wait()
		if err := p.nc.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if got := receive(t, w.attach(t, w.device, demo)); len(got) != 1 {
			t.Errorf("stored: got %q, want the one before", got)
		}
		sim.Clear()
		start := time.Now()
		w.dial(t, dialing{}).want(w.push(t), accepted)
		if took := time.Since(start); took != 0 {
			t.Errorf("without the plan: took %v, want no time", took)
		}
	})
}

// TestFaultSilence neglects more pushes than there are streams, as the peer gives
// them up: the connection goes on.
func TestFaultSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, sim := newFaultyWorld(t, `{"rules":[{"fault":"silence","limit":1500}]}`)
		p := w.dial(t, dialing{certificate: w.pushCertificate(t, demo, credential.PushUniversal)})
		var ids []uint32
		for n := range 1500 {
			ids = append(ids, p.send(w.push(t)))
			if n >= 900 { // it gives up those that it waited for in vain
				p.must(p.fr.WriteRSTStream(ids[n-900], 8))
			}
			if n%100 == 0 {
				p.settle()
			}
		}
		p.want(w.push(t), accepted)
		for _, id := range ids {
			if a := p.answer(id); len(a.frames) > 0 {
				t.Fatalf("stream %d was answered: %+v", id, a)
			}
		}
		if got := sim.Status().Times; !slices.Equal(got, []uint64{1500}) {
			t.Errorf("times: got %v, want [1500]", got)
		}
	})
}

func TestFaultClockSkew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, sim := newFaultyWorld(t, `{"rules":[{"fault":"clock_skew","skew":"61m"}]}`)
		p := w.dial(t, dialing{})
		p.want(w.push(t), refused(apns.ExpiredProviderToken))
		w.dial(t, dialing{certificate: w.pushCertificate(t, demo, credential.PushUniversal)}).want(w.push(t), accepted)
		setPlan(t, sim, `{"rules":[{"fault":"clock_skew","skew":"-61m"}]}`)
		p.want(w.push(t), refused(apns.InvalidProviderToken))
		setPlan(t, sim, `{"rules":[{"fault":"clock_skew","skew":"30m"}]}`)
		p.want(w.push(t), accepted)
	})
}

// TestFaultGoAway ends connections after their third push, and the next one, where
// it may, before its first.
func TestFaultGoAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, sim := newFaultyWorld(t, `{"rules":[{"fault":"goaway","after":3}]}`)
		for range 2 {
			p := w.dial(t, dialing{})
			for range 3 {
				p.want(w.push(t), accepted)
			}
			p.drained(goingAway, `NO_ERROR 5 {"reason":"Shutdown"}`)
		}
		setPlan(t, sim, `{"rules":[{"fault":"goaway","reason":"BadCertificateEnvironment","match":{"environment":"production"}}]}`)
		p := w.dial(t, dialing{address: productionName})
		p.drained(`NO_ERROR 0 {"reason":"BadCertificateEnvironment"}`)
		w.dial(t, dialing{}).want(w.push(t), accepted)
	})
}

func TestFaultStreamLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, sim := newFaultyWorld(t, `{"rules":[{"fault":"stream_limit","streams":5}]}`)
		certificate := w.pushCertificate(t, demo, credential.PushUniversal)
		for name, want := range map[string][]uint32{"certificate": {5}, "provider token": {1, 5}} {
			d := dialing{}
			if name == "certificate" {
				d.certificate = certificate
			}
			p := w.dial(t, d)
			p.want(w.push(t), accepted)
			p.settle()
			if !slices.Equal(p.limits, want) {
				t.Errorf("%s: limits: got %v, want %v", name, p.limits, want)
			}
		}
		setPlan(t, sim, `{"rules":[{"fault":"stream_limit","streams":2,"after":2}]}`)
		p := w.dial(t, dialing{})
		for range 3 {
			p.want(w.push(t), accepted)
		}
		p.settle()
		if want := []uint32{1, 1000, 2}; !slices.Equal(p.limits, want) {
			t.Errorf("limits: got %v, want %v", p.limits, want)
		}
		// It binds as any limit does.
		var ids []uint32
		for range 3 {
			ids = append(ids, p.send(w.push(t).to(faults.AcceptToken(1))))
		}
		for i, want := range []string{accepted, accepted, "REFUSED_STREAM"} {
			if got := p.await(ids[i]).outcome(); got != want {
				t.Errorf("stream %d: got %s, want %s", i, got, want)
			}
		}
	})
}

func TestFaultResetConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, sim := newFaultyWorld(t, `{"rules":[{"fault":"reset_connection","after":2}]}`)
		p := w.dial(t, dialing{})
		p.want(w.push(t), accepted)
		lost := p.send(w.push(t))
		for p.tryRead() == nil {
		}
		if a := p.answer(lost); a.ended || len(p.goAways) > 0 {
			t.Errorf("got %+v, GOAWAY %q, want no last word", a, p.goAways)
		}
		setPlan(t, sim, `{"rules":[{"fault":"reset_connection","limit":1}]}`)
		if _, err := w.dialTLS(t, dialing{}); err == nil {
			t.Error("dialling: got no error, want a connection that was reset")
		}
		w.dial(t, dialing{}).want(w.push(t), accepted)
	})
}

// TestFaultBlackHole has connections vanish, in the middle and from the start. They
// end when the peer has enough, or the gateway stops.
func TestFaultBlackHole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, sim := newFaultyWorld(t, `{"rules":[{"fault":"black_hole","after":2}]}`)
		older := w.dial(t, dialing{})
		p := w.dial(t, dialing{})
		p.want(w.push(t), accepted)
		p.settle()
		p.send(w.push(t))
		p.must(p.fr.WritePing(false, [8]byte{'l', 'o', 's', 't'}))
		p.quiet(time.Hour)
		for range 100 { // it is read all the same
			if err := p.fr.WriteData(1, false, make([]byte, 16<<10)); err != nil {
				t.Fatalf("writing into the hole: %v", err)
			}
		}
		p.quiet(time.Minute)
		if err := p.nc.Close(); err != nil {
			t.Logf("closing: %v", err)
		}
		synctest.Wait()

		setPlan(t, sim, `{"rules":[{"fault":"black_hole"}]}`)
		older.want(w.push(t), accepted)
		raw, err := w.network.DialContext(t.Context(), "tcp", sandboxName+":443")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := raw.Write([]byte("hello?")); err != nil {
			t.Fatal(err)
		}
		if err := raw.SetReadDeadline(time.Now().Add(10 * time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := raw.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("got %v, want silence", err)
		}
		w.stop() // while it is there
		if err := raw.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestFaultStop stops the gateway while it holds pushes.
func TestFaultStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := newFaultyWorld(t, `{"rules":[{"fault":"black_hole","after":9}]}`)
		p := w.dial(t, dialing{certificate: w.pushCertificate(t, demo, credential.PushUniversal)})
		silent := p.send(w.push(t).to(faults.SilenceToken()))
		slow := p.send(w.push(t).to(faults.AcceptToken(1)))
		p.send(w.push(t).to(faults.AcceptToken(3600)))
		synctest.Wait()
		within := w.stopping(t)
		if got := p.await(slow).outcome(); got != accepted {
			t.Errorf("slow: got %s, want %s", got, accepted)
		}
		p.drained(goingAway, `NO_ERROR 5 {"reason":"Shutdown"}`)
		if p.answer(silent).ended {
			t.Errorf("silent: got %+v", p.answer(silent))
		}
		if err := p.nc.Close(); err != nil {
			t.Log(err)
		}
		within(drainTimeout)
	})
}

// TestFaultsWithoutPlan proves that a simulator that has nothing to do costs a push
// no allocation.
func TestFaultsWithoutPlan(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	perPush := func(w *world) float64 {
		p := w.newPlayer(t, dialing{certificate: w.pushCertificate(t, demo, credential.PushUniversal)}, "4000000000")
		return testing.AllocsPerRun(30, p.play) / batchPushes
	}
	w, _ := newFaultyWorld(t, "")
	with, without := perPush(w), perPush(newWorld(t))
	if with > without+0.7 { // batches differ
		t.Errorf("allocations a push: got %.2f, want the %.2f without faults on demand", with, without)
	}
	t.Logf("allocations a push: %.2f with a simulator, %.2f without", with, without)
}

// TestFaultShare sends many pushes over many connections: each fault gets its share,
// and the same ones the second time.
func TestFaultShare(t *testing.T) {
	const plan = `{"seed":5,"rules":[{"fault":"reject","reason":"InternalServerError","share":0.2},{"fault":"reject","reason":"Unregistered","share":0.1}]}`
	const connections, each = 10, 50
	run := func() (outcomes []string) {
		synctest.Test(t, func(t *testing.T) {
			w, _ := newFaultyWorld(t, plan)
			q, certificate := w.push(t), w.pushCertificate(t, demo, credential.PushUniversal)
			for range connections {
				p := w.dial(t, dialing{certificate: certificate})
				for range each {
					outcomes = append(outcomes, p.ask(q).outcome())
				}
			}
		})
		return outcomes
	}
	first := run()
	count := map[string]int{}
	for _, o := range first {
		count[o]++
	}
	for outcome, want := range map[string]int{refused(apns.InternalServerError): 100, refused(apns.Unregistered): 50, accepted: 350} {
		if got := count[outcome]; got < want-45 || got > want+45 {
			t.Errorf("%s: got %d of %d, want about %d", outcome, got, len(first), want)
		}
	}
	if again := run(); !slices.Equal(first, again) {
		t.Error("the second run met other faults")
	}
}
