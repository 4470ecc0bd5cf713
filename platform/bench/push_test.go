package bench

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// pushConfig returns a short run whose parts are this program.
func pushConfig(t *testing.T) PushConfig {
	t.Helper()
	cfg := config(t)
	return PushConfig{
		Part: cfg.Part, Rounds: 1, Count: 200, Goroutines: 10, Streams: 20, Delay: time.Millisecond, Connections: 3,
		Timeout: 300 * time.Millisecond,
	}
}

// TestPush has the sink accept every push, in each phase and from each sender.
func TestPush(t *testing.T) {
	cfg := pushConfig(t)
	cfg.Peers = []string{NetHTTP}
	var lines []string
	cfg.Progress = func(line string) { lines = append(lines, line) }
	r, err := RunPush(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range r.Phases {
		names = append(names, string(p.Phase))
		for _, row := range p.Senders {
			names = append(names, row.Sender)
			want := map[PushPhase]int64{PushBlocking: 200, PushBulk: 200, PushDelayed: 200, PushUnbatched: 50}[p.Phase]
			if row.Pushes != want {
				t.Errorf("%s, %s: got %d pushes, want %d", p.Phase, row.Sender, row.Pushes, want)
			}
			if got, want := row.InBulk, p.Phase == PushBulk && row.Sender == Herald; got != want {
				t.Errorf("%s, %s: in bulk: got %v, want %v", p.Phase, row.Sender, got, want)
			}
			if row.CPU.Median <= 0 || row.Pushed.Median <= 0 || row.P50.Median <= 0 || row.ToHerald.Median <= 0 {
				t.Errorf("%s, %s: not measured: %+v", p.Phase, row.Sender, row)
			}
			if least := float64(p.Connections); row.Connections.Min < least {
				t.Errorf("%s, %s: got %v connections, want %v", p.Phase, row.Sender, row.Connections.Min, least)
			}
			if got, want := row.Share != nil, p.Phase == PushDelayed; got != want {
				t.Errorf("%s, %s: share of the rate measured: got %v, want %v", p.Phase, row.Sender, got, want)
			}
			if row.RoundTrip != nil && row.RoundTrip.Min < 1000 {
				t.Errorf("%s: round trip of %v us, want the delay of 1000 at least", row.Sender, row.RoundTrip.Min)
			}
		}
	}
	want := []string{
		"blocking", Herald, NetHTTP, "bulk", Herald, NetHTTP, "delayed", Herald, NetHTTP, "unbatched", Herald, NetHTTP,
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	for _, s := range r.Silent {
		if s.Pushes != 200 || s.Ended[unanswered]+s.Ended[unsent] != 200 {
			t.Errorf("silent, %s: got %v of %d pushes, want all either sent and not answered or not sent", s.Silence, s.Ended, s.Pushes)
		}
	}
	if got, want := len(r.Silent), 2*len(silences); got != want {
		t.Errorf("got %d ways to be silent, want %d", got, want)
	}
	if got, want := len(lines), 2*4+2*len(silences); got != want {
		t.Errorf("got %d lines of progress, want %d", got, want)
	}
	if r.UsPerPush == nil || r.UsPerPushBlocking == nil || r.RatioNetHTTP == nil || r.RatioNetHTTPBlocking == nil || r.RatioSideshow != nil {
		t.Errorf("summary: got %+v", r)
	}
}

// TestPushProfile writes one, of the library.
func TestPushProfile(t *testing.T) {
	cfg := pushConfig(t)
	cfg.Phases, cfg.Profile = []PushPhase{PushBlocking}, t.TempDir()+"/profile"
	if _, err := RunPush(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(cfg.Profile); err != nil || len(b) == 0 {
		t.Errorf("got %d bytes, %v", len(b), err)
	}
}

// fakePusher accepts all but what it is told not to.
type fakePusher struct {
	refuse int64
	forget bool // one push
	other  bool // has ended instead of the first
}

func (f *fakePusher) Push(_ context.Context, i int64) error {
	if i == f.refuse {
		return errors.New("refused")
	}
	return nil
}

func (f *fakePusher) PushAll(ctx context.Context, pushes iter.Seq[int64]) iter.Seq2[int64, error] {
	return func(yield func(int64, error) bool) {
		for i := range pushes {
			if f.forget {
				f.forget = false
				continue
			}
			if f.other {
				i, f.other = -1, false
			}
			if !yield(i, f.Push(ctx, i)) {
				return
			}
		}
	}
}

func (*fakePusher) Close() error { return nil }

// TestSender counts what a client does not say was accepted.
func TestSender(t *testing.T) {
	for _, tt := range []struct {
		name   string
		pusher Pusher
		bulk   bool
		want   map[string]int64
	}{
		{"blocking", &fakePusher{}, false, map[string]int64{}},
		{"one refused", &fakePusher{refuse: 7}, false, map[string]int64{"refused": 1}},
		{"bulk", &fakePusher{}, true, map[string]int64{}},
		{"one refused in bulk", &fakePusher{refuse: 7}, true, map[string]int64{"refused": 1}},
		{"one of another in bulk", &fakePusher{other: true}, true, map[string]int64{"push -1 ended, which nobody asked for": 1}},
		{"one lost in bulk", &fakePusher{forget: true}, true, map[string]int64{"99 of 100 pushes ended": 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &sender{plan: pushPlan{Goroutines: 4, Bulk: tt.bulk}, pushers: []Pusher{tt.pusher}}
			r := s.push(t.Context(), 100)
			if diff := cmp.Diff(tt.want, r.Failed); diff != "" {
				t.Error(diff)
			}
			if r.Pushes != 100 || r.InBulk != tt.bulk {
				t.Errorf("got %d pushes, in bulk %v; want 100 and %v", r.Pushes, r.InBulk, tt.bulk)
			}
		})
	}
}

func TestPushBounds(t *testing.T) {
	for name, change := range map[string]func(*PushConfig){
		"part":            func(c *PushConfig) { c.Part = nil },
		"rounds":          func(c *PushConfig) { c.Rounds = MaxRounds + 1 },
		"count":           func(c *PushConfig) { c.Count = -1 },
		"goroutines":      func(c *PushConfig) { c.Goroutines = MaxGoroutines + 1 },
		"streams":         func(c *PushConfig) { c.Streams = sinkStreams + 1 },
		"connections":     func(c *PushConfig) { c.Connections = -1 },
		"delay":           func(c *PushConfig) { c.Delay = MaxPushDelay + 1 },
		"timeout":         func(c *PushConfig) { c.Timeout = time.Millisecond },
		"payload":         func(c *PushConfig) { c.Payload = minPayload - 1 },
		"phase":           func(c *PushConfig) { c.Phases = []PushPhase{"dance"} },
		"the same twice":  func(c *PushConfig) { c.Peers = []string{NetHTTP, NetHTTP} },
		"itself":          func(c *PushConfig) { c.Peers = []string{Herald} },
		"profile of many": func(c *PushConfig) { c.Profile = "profile" },
	} {
		cfg := pushConfig(t)
		if err := cfg.Check(); err != nil {
			t.Fatal(err)
		}
		change(&cfg)
		if err := cfg.Check(); err == nil {
			t.Errorf("%s: got nil, want an error", name)
		}
		if _, err := RunPush(t.Context(), cfg); err == nil {
			t.Errorf("%s: it ran", name)
		}
	}
}

// TestPushStranger has a run end whose program lacks a peer.
func TestPushStranger(t *testing.T) {
	cfg := pushConfig(t)
	cfg.Peers = []string{"stranger"}
	if _, err := RunPush(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), `no sender "stranger"`) {
		t.Errorf("got %v, want that there is no such sender", err)
	}
}

// TestPushCancel ends a run that would take long, and every child with it.
func TestPushCancel(t *testing.T) {
	cfg := pushConfig(t)
	cfg.Phases, cfg.Delay, cfg.Streams, cfg.Count = []PushPhase{PushDelayed}, MaxPushDelay, 1, 100_000
	checkCancelled(t, &cfg.Part, partSender, func(ctx context.Context) error {
		_, err := RunPush(ctx, cfg)
		return err
	})
}

// TestPushSchema holds the names that scripts read.
func TestPushSchema(t *testing.T) {
	text, err := json.Marshal(PushReport{
		Phases:    []PushRows{{Senders: []PushRow{{RoundTrip: new(Figure), Share: new(Figure)}}}},
		Silent:    []SilentRow{{}},
		UsPerPush: new(1.5), RatioSideshow: new(30.), RatioNetHTTP: new(20.),
		UsPerPushBlocking: new(2.5), RatioSideshowBlocking: new(15.), RatioNetHTTPBlocking: new(10.),
	})
	if err != nil {
		t.Fatal(err)
	}
	const figure = `{"median":0,"min":0,"max":0}`
	want := strings.NewReplacer("\n", "", "\t", "", "FIGURE", figure).Replace(`{
"machine":{"os":"","arch":"","cores":0,"go":"","pinned":false},
"settings":{"payload_bytes":0,"rounds":0,"count":0,"delay_ms":0,"silent_timeout_ms":0},
"phases":[{"phase":"","connections":0,"goroutines":0,"streams":0,"senders":[{
	"sender":"","in_bulk":false,"pushes":0,
	"cpu_us_per_push":FIGURE,"cpu_to_herald":FIGURE,"pushes_per_s":FIGURE,"allocs_per_push":FIGURE,"alloc_bytes_per_push":FIGURE,
	"p50_us":FIGURE,"p99_us":FIGURE,"connections":FIGURE,"round_trip_us":FIGURE,"share_of_streams_per_rtt":FIGURE}]}],
"silent":[{"silence":"","in_bulk":false,"goroutines":0,"pushes":0,"ended":null,"seconds":0,"rss_before_bytes":0,"rss_most_bytes":0,"rss_after_bytes":0}],
"us_per_push":1.5,"ratio_sideshow":30,"ratio_nethttp":20,
"us_per_push_blocking":2.5,"ratio_sideshow_blocking":15,"ratio_nethttp_blocking":10}`)
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Error(diff)
	}
}

// TestPushPaired takes the ratio of rounds, not that of medians.
func TestPushPaired(t *testing.T) {
	rounds := func(cpu ...int64) (all []pushSample) {
		for _, ns := range cpu {
			all = append(all, pushSample{pushResult: pushResult{
				Pushes: 100, Wall: time.Millisecond, Used: usage{CPU: ns}, RoundTrip: time.Millisecond,
			}})
		}
		return all
	}
	row := newPushRow(NetHTTP, 200, rounds(1_000_000, 6_000_000, 4_000_000), rounds(500_000, 2_000_000, 1_000_000))
	if want := (Figure{3, 2, 4}); row.ToHerald != want {
		t.Errorf("got %v, want %v", row.ToHerald, want)
	}
	if want := (Figure{0.5, 0.5, 0.5}); *row.Share != want { // 100 in a round trip, of 200 streams
		t.Errorf("share: got %v, want %v", *row.Share, want)
	}
}

func TestPushWriteTo(t *testing.T) {
	r := PushReport{
		Machine: Machine{OS: "linux", Arch: "amd64", Cores: 2, Go: "go1.26", Pinned: true},
		Phases: []PushRows{
			{Phase: PushBulk, Connections: 1, Streams: 1000, Goroutines: 100, Senders: []PushRow{{Sender: Herald, CPU: Figure{1.5, 1, 2}}}},
			{Phase: PushDelayed, Senders: []PushRow{{Sender: Sideshow, Share: &Figure{Median: 0.93}}}},
		},
		Silent: []SilentRow{{Silence: string(withoutAnswer), Pushes: 5, Most: 3 << 20, Ended: map[string]int64{unsent: 5}}},
	}
	var b strings.Builder
	if _, err := r.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"linux/amd64, 2 cores", "the sink on one core", "bulk: all at once on 1 connection, 1000 in flight", "1.50  1.00-2.00", "93 %", "5 not sent", "3.0",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in\n%s", want, b.String())
		}
	}
}
