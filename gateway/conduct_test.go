package gateway_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/gateway"
)

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
