package faults_test

import (
	"fmt"
	"log/slog"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/faults"
)

// pushes has a machine decide about many pushes, some on each connection.
func pushes(m *faults.Machine, connections, each int, see func(faults.Fault)) {
	for c := range connections {
		for range each {
			see(m.Decide(faults.Event{Kind: faults.Requested, Now: start, Number: uint64(c), Environment: apns.Sandbox}))
		}
		m.Decide(faults.Event{Kind: faults.Closed, Now: start, Number: uint64(c)})
	}
}

// checkShare checks a count of n against the share that it should be, within five
// standard deviations.
func checkShare(t *testing.T, what string, count, n int, share float64) {
	t.Helper()
	mean, deviation := share*float64(n), math.Sqrt(float64(n)*share*(1-share))
	if math.Abs(float64(count)-mean) > 5*deviation {
		t.Errorf("%s: got %d of %d, want %.0f ± %.0f", what, count, n, mean, 5*deviation)
	}
}

// Each rule gets its share of the whole, whatever stands before it.
func TestShares(t *testing.T) {
	for seed := range uint64(3) {
		m := newMachine(t, fmt.Sprintf(`{"seed":%d,"rules":[
			{"fault":"reject","reason":"InternalServerError","share":0.02},
			{"fault":"delay","delay":{"fixed":"1s"},"share":0.25},
			{"fault":"reject","reason":"Unregistered","share":0.01},
			{"fault":"silence","share":0.005},
			{"fault":"lose","share":0.5}]}`, seed))
		const n = 30_000
		got := make(map[string]int)
		pushes(m, 100, n/100, func(f faults.Fault) {
			if f.Delay > 0 {
				got["delay"]++
			}
			f.Delay = 0
			if f.Rejection != nil {
				got[string(f.Rejection.Reason)]++
				return
			}
			got[f.String()]++
		})
		for what, share := range map[string]float64{
			"InternalServerError": 0.02, "Unregistered": 0.01, "silence": 0.005, "lose": 0.5, "delay": 0.25, "none": 1 - 0.535,
		} {
			checkShare(t, fmt.Sprintf("seed %d: %s", seed, what), got[what], n, share)
		}
	}
}

func TestShareOfConnections(t *testing.T) {
	m := newMachine(t, `{"seed":3,"rules":[{"fault":"goaway","after":2,"share":0.1},{"fault":"lose","match":{"connections":0.3}}]}`)
	const n = 20_000
	goAways, lost := 0, 0
	pushes(m, n, 2, func(f faults.Fault) {
		if f.Line == faults.GoAway {
			goAways++
		}
		if f.Answer == faults.Lose {
			lost++
		}
	})
	checkShare(t, "GOAWAY", goAways, n, 0.1)
	checkShare(t, "lost", lost/2, n, 0.3)
	if lost%2 != 0 {
		t.Errorf("lost: got %d, want each connection to lose all or nothing", lost)
	}
}

func TestDelays(t *testing.T) {
	for _, tt := range []struct {
		name, delay string
		want        map[float64]time.Duration // by quantile
	}{
		{"fixed", `{"fixed":"250ms"}`, map[float64]time.Duration{0: 250 * time.Millisecond, 1: 250 * time.Millisecond}},
		{"uniform", `{"uniform":["100ms","300ms"]}`, map[float64]time.Duration{
			0: 100 * time.Millisecond, 0.25: 150 * time.Millisecond, 0.5: 200 * time.Millisecond, 1: 300 * time.Millisecond,
		}},
		{"percentiles", `{"percentiles":{"99":"2s","50":"20ms","90":"100ms"}}`, map[float64]time.Duration{
			0: 0, 0.25: 10 * time.Millisecond, 0.5: 20 * time.Millisecond, 0.7: 60 * time.Millisecond, 0.9: 100 * time.Millisecond, 1: 2 * time.Second,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMachine(t, `{"seed":1,"rules":[{"fault":"delay","delay":`+tt.delay+`}]}`)
			const n = 20_000
			var got []time.Duration
			pushes(m, 1, n, func(f faults.Fault) { got = append(got, f.Delay) })
			slices.Sort(got)
			for q, want := range tt.want {
				v := got[min(int(q*n), n-1)]
				if d := (v - want).Abs(); d > want/25+time.Millisecond {
					t.Errorf("quantile %v: got %v, want about %v", q, v, want)
				}
			}
		})
	}
}

// Nothing is remembered of connections that have ended.
func TestTimes(t *testing.T) {
	m := newMachine(t, `{"rules":[{"fault":"lose","limit":3},{"fault":"silence","share":1}]}`)
	pushes(m, 5, 2, func(faults.Fault) {})
	if diff := cmp.Diff([]uint64{3, 7}, m.Times()); diff != "" {
		t.Errorf("times (-want +got):\n%s", diff)
	}
}

func TestSimulator(t *testing.T) {
	var told []bool
	sim := faults.New(faults.Config{Logger: slog.New(slog.DiscardHandler), Changed: func(s faults.Status) { told = append(told, s.Plan != nil) }})
	ev := faults.Event{Kind: faults.Requested, Now: time.Now(), Number: 1}
	if got := sim.Decide(ev); !got.IsNone() {
		t.Errorf("without a plan: got %v", got)
	}
	if s := sim.Clear(); s.Plan != nil || len(told) != 0 {
		t.Errorf("nothing to clear: got %+v, told %v", s, told)
	}
	if _, err := sim.Put(faults.Plan{}); err == nil || len(told) != 0 {
		t.Errorf("an empty plan: got %v, told %v", err, told)
	}
	s, err := sim.Put(mustParse(t, `{"rules":[{"fault":"lose"}]}`))
	if err != nil || s.Plan == nil || s.Since == nil {
		t.Fatalf("Put: got %+v, %v", s, err)
	}
	ev.Now = time.Now()
	if got := sim.Decide(ev); got.Answer != faults.Lose {
		t.Errorf("with a plan: got %v", got)
	}
	if got := sim.Status().Times; !slices.Equal(got, []uint64{1}) {
		t.Errorf("times: got %v, want [1]", got)
	}
	sim.Clear()
	if got := sim.Decide(ev); !got.IsNone() {
		t.Errorf("cleared: got %v", got)
	}
	if !slices.Equal(told, []bool{true, false}) {
		t.Errorf("told: got %v, want true, then false", told)
	}
}

// What is asked of each push costs no allocation where there is no plan.
func TestNoPlanCostsNothing(t *testing.T) {
	sim := faults.New(faults.Config{MagicDeviceTokens: true})
	ev := faults.Event{Kind: faults.Requested, Now: start, DeviceToken: "a genuine one has 32 sealed bytes"}
	if got := testing.AllocsPerRun(100, func() { sim.Decide(ev) }); got > 0 {
		t.Errorf("allocations: got %v, want 0", got)
	}
}
