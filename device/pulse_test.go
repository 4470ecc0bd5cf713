package device

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/heraldpush/herald/apns"
)

// TestPulse lets networks forget after different silences, and tells the stages
// that a pulse goes through.
func TestPulse(t *testing.T) {
	b := bounds{time.Minute, 30 * time.Minute}
	tests := []struct {
		name    string
		forgets time.Duration // zero: never
		want    []string      // each change, until the steady state or the minimum
	}{
		{"never", 0, []string{
			"initial growth 1m0s", "initial growth 4m0s", "initial growth 7m0s", "initial growth 10m0s", "initial growth 13m0s",
			"initial growth 16m0s", "initial growth 19m0s", "initial growth 22m0s", "initial growth 25m0s", "initial growth 28m0s",
			"initial growth 30m0s", "steady state 30m0s",
		}},
		{"at once", time.Second, []string{"initial growth 1m0s", "minimum 1m0s"}},
		{"in the first step", 3*time.Minute + time.Second, []string{
			"initial growth 1m0s", "initial growth 4m0s", "refined growth 1m0s", "refined growth 2m0s", "refined growth 3m0s", "steady state 3m0s",
		}},
		{"after ten minutes", 10 * time.Minute, []string{
			"initial growth 1m0s", "initial growth 4m0s", "initial growth 7m0s", "initial growth 10m0s",
			"refined growth 7m0s", "refined growth 8m0s", "refined growth 9m0s", "steady state 9m0s",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var p pulse
			p.within(b)
			now, got := epoch, []string{}
			for range 100 {
				s := fmt.Sprintf("%s %v", p.Stage, p.Interval)
				if len(got) == 0 || got[len(got)-1] != s {
					got = append(got, s)
				}
				if p.Stage == stageSteady || p.Stage == stageMinimum {
					break
				}
				now = now.Add(p.Interval)
				if tt.forgets > 0 && p.Interval >= tt.forgets {
					p.failed(now, b)
				} else {
					p.succeeded(now, b)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("stages (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPulseFollowsTheNetwork changes what a network bears: the interval follows,
// and the attempts to grow become rare.
func TestPulseFollowsTheNetwork(t *testing.T) {
	b := bounds{time.Minute, 30 * time.Minute}
	p := pulse{}
	p.within(b)
	now := epoch
	failures := 0
	live := func(forgets, d time.Duration) {
		failures = 0
		for end := now.Add(d); now.Before(end); {
			now = now.Add(p.Interval)
			if p.Interval >= forgets {
				failures++
				p.failed(now, b)
			} else {
				p.succeeded(now, b)
			}
			if !p.valid() || p.Interval < b.least || p.Interval > b.most {
				t.Fatalf("got %+v", p)
			}
		}
	}
	live(20*time.Minute, 24*time.Hour)
	if p.Stage != stageSteady || p.Interval != 19*time.Minute {
		t.Errorf("20 minutes: got %s %v", p.Stage, p.Interval)
	}
	live(20*time.Minute, 30*24*time.Hour)
	if failures > 35 || p.Interval < 17*time.Minute {
		t.Errorf("a month of it: got %d failures, %v; want about one a day", failures, p.Interval)
	}
	live(5*time.Minute, 3*24*time.Hour)
	if p.Interval >= 5*time.Minute || p.Interval < 2*time.Minute {
		t.Errorf("5 minutes: got %s %v", p.Stage, p.Interval)
	}
	live(31*time.Minute, 30*24*time.Hour)
	if p.Interval != 30*time.Minute {
		t.Errorf("no limit: got %s %v", p.Stage, p.Interval)
	}
	live(time.Second, 12*time.Hour)
	if p.Stage != stageMinimum || p.Interval != time.Minute {
		t.Errorf("nothing holds: got %s %v", p.Stage, p.Interval)
	}
}

func TestNetworksAreBounded(t *testing.T) {
	m := newMemory()
	for i := range maxNetworks + 5 {
		m.pulseOf(fmt.Sprint("network ", i), epoch.Add(time.Duration(i)*time.Second)).within(bounds{time.Minute, time.Hour})
	}
	if len(m.networks) != maxNetworks || m.networks["network 4"] != nil || m.networks["network 5"] == nil {
		t.Errorf("got %d networks", len(m.networks))
	}
	f := folder{dir: t.TempDir(), environment: apns.Sandbox}
	doc := m.document(f.environment, "")
	if err := f.saveMemory(doc); err != nil {
		t.Fatal(err)
	}
	again, err := f.loadMemory("")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(doc.Networks, again.document(f.environment, "").Networks); diff != "" {
		t.Errorf("networks (-written +read):\n%s", diff)
	}
}
