package load

import (
	"encoding/json"
	"testing"
	"time"
)

func TestHistogram(t *testing.T) {
	var h, other Histogram
	if got := h.Quantile(0.5); got != 0 {
		t.Errorf("empty: got %v, want 0", got)
	}
	for i := range 5000 {
		h.Add(time.Duration(i+1) * time.Microsecond)
		other.Add(time.Duration(i+5001) * time.Microsecond)
	}
	h.Merge(&other)
	for part, want := range map[float64]time.Duration{
		0: time.Microsecond, 0.5: 5 * time.Millisecond, 0.99: 9900 * time.Microsecond, 1: 10 * time.Millisecond,
	} {
		if got := h.Quantile(part); got < want*99/100 || got > want*101/100 {
			t.Errorf("quantile %v: got %v, want %v", part, got, want)
		}
	}
	for _, d := range []time.Duration{-1, 0, 1, 1<<63 - 1} {
		var one Histogram
		one.Add(d)
		if got := one.Quantile(0.5); d > 0 && (got > d || got < d-d/100) {
			t.Errorf("%d: got %d", d, got)
		}
	}
}

// TestHistogramTravels hands a histogram to another process.
func TestHistogramTravels(t *testing.T) {
	var h, got Histogram
	for i := range 1000 {
		h.Add(time.Duration(i*i) * time.Microsecond)
	}
	text, err := json.Marshal(&h)
	if err != nil {
		t.Fatal(err)
	}
	got.Add(time.Hour) // is overwritten
	if err := json.Unmarshal(text, &got); err != nil || got != h {
		t.Errorf("got another histogram, %v", err)
	}
	for _, bad := range []string{`{}`, `[[8192,1]]`, `[[-1,1]]`} {
		if err := json.Unmarshal([]byte(bad), &got); err == nil {
			t.Errorf("%s: got nil, want an error", bad)
		}
	}
}

func TestTurns(t *testing.T) {
	start := time.Unix(1_000_000_000, 0)
	b := &budget{pushes: 5, rate: 10, links: 2, start: start}
	first, second := b.turn(), b.turn()
	for _, step := range []struct {
		turn *turn
		at   time.Duration
		n    int64
		due  time.Duration // from the start
		ok   bool
	}{
		{first, 0, 0, 0, true},
		{first, 0, 0, 200 * time.Millisecond, false},
		{second, 99 * time.Millisecond, 0, 100 * time.Millisecond, false},
		{second, 100 * time.Millisecond, 1, 100 * time.Millisecond, true},
		{first, time.Second, 2, 200 * time.Millisecond, true},
		{first, time.Second, 4, 400 * time.Millisecond, true},
		{second, time.Second, 3, 300 * time.Millisecond, true},
	} {
		n, at, ok := step.turn.take(b, start.Add(step.at))
		if ok != step.ok || ok && n != step.n || !at.Equal(start.Add(step.due)) {
			t.Errorf("after %v: got %d due %v, %v, want %d due %v, %v", step.at, n, at.Sub(start), ok, step.n, step.due, step.ok)
		}
	}
	for _, turn := range []*turn{first, second} {
		if _, at, ok := turn.take(b, start.Add(time.Hour)); ok || !at.IsZero() {
			t.Error("there is a push left, of none")
		}
	}
}

func TestHeldBack(t *testing.T) {
	now := time.Unix(1_000_000_000, 0)
	most := int64(2)
	b := &budget{pushes: 3, links: 1, held: func(taken int64) bool { return taken >= most }}
	turn := b.turn()
	for want := range int64(3) {
		if want == most {
			if _, at, ok := turn.take(b, now); ok || !at.After(now) {
				t.Errorf("held back: got %v, %v, want a later time", at, ok)
			}
			most++
		}
		if n, _, ok := turn.take(b, now); !ok || n != want {
			t.Errorf("got %d, %v, want %d", n, ok, want)
		}
	}
	most++
	if _, at, ok := turn.take(b, now); ok || !at.IsZero() {
		t.Error("there is a push left, of none")
	}
}

func TestPlanBounds(t *testing.T) {
	for name, change := range map[string]func(*Plan){
		"not loopback":  func(p *Plan) { p.Address = "192.0.2.1:443" },
		"a name":        func(p *Plan) { p.Address = "localhost:443" },
		"no shape":      func(p *Plan) { p.Shape = "" },
		"connections":   func(p *Plan) { p.Connections = MaxConnections + 1 },
		"streams":       func(p *Plan) { p.Streams = 0 },
		"pushes":        func(p *Plan) { p.Pushes = MaxPushes + 1 },
		"warm-up":       func(p *Plan) { p.Warmup = -1 },
		"duration":      func(p *Plan) { p.Duration = time.Hour },
		"nothing to do": func(p *Plan) { p.Pushes = 0 },
		"rate":          func(p *Plan) { p.Rate = -1 },
		"payload":       func(p *Plan) { p.Push.Payload = make([]byte, MaxPayloadBytes+1) },
		"stamp":         func(p *Plan) { p.Push.StampAt = len(p.Push.Payload) },
		"paths":         func(p *Plan) { p.Paths = nil },
		"share":         func(p *Plan) { p.BadShare = 1.1 },
		"none bad":      func(p *Plan) { p.Bad = nil },
	} {
		p := testPlan(Indexed)
		if err := p.check(); err != nil {
			t.Fatal(err)
		}
		change(&p)
		if _, err := Connect(t.Context(), p); err == nil {
			t.Errorf("%s: got nil, want an error", name)
		}
	}
}
