package bench

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/internal/load"
)

// providerConfig returns a short run whose parts are this program.
func providerConfig(t *testing.T) ProviderConfig {
	t.Helper()
	return ProviderConfig{
		Part: config(t).Part, Rounds: 1, Installations: 60, Count: 40, Urgent: 5, Every: time.Millisecond, InFlight: 4, Dir: t.TempDir(),
	}
}

// TestProvider measures each phase, and has the gateway accept every push, once.
func TestProvider(t *testing.T) {
	cfg := providerConfig(t)
	var lines []string
	cfg.Progress = func(line string) { lines = append(lines, line) }
	r, err := RunProvider(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	type counts struct{ Calls, Pushes int64 }
	want := map[ProviderPhase]counts{
		ProviderRegister: {Calls: 60}, ProviderUnchanged: {Calls: 40}, ProviderSingle: {40, 40}, ProviderQueue: {40, 40}, ProviderBroadcast: {Pushes: 60},
	}
	got := map[ProviderPhase]counts{}
	for _, p := range r.Phases {
		if p.Phase == ProviderUrgent {
			// As many broadcasts as fit beside the calls.
			if p.Calls != 5 || p.Pushes <= 5 || (p.Pushes-5)%60 != 0 || p.Alone.P50.Median <= 0 || p.Beside.Most.Median < p.Beside.P50.Median {
				t.Errorf("%s: got %+v", p.Phase, p)
			}
			continue
		}
		got[p.Phase] = counts{p.Calls, p.Pushes}
		if p.Alone != nil || p.Beside != nil || p.ServerCPU.Median <= 0 || p.OutboxMost.Median < p.OutboxLast.Median || p.DatabaseLast.Median <= 0 {
			t.Errorf("%s: got %+v", p.Phase, p)
		}
		if p.Calls > 0 && (p.CallsPerSec.Median <= 0 || p.CallMost.Median < p.CallP50.Median) {
			t.Errorf("%s: calls were not measured: %+v", p.Phase, p)
		}
		if p.Pushes > 0 && (p.PushesPerSec.Median <= 0 || p.SinkCPU.Median <= 0) {
			t.Errorf("%s: pushes were not measured: %+v", p.Phase, p)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(r.Phases) != len(ProviderPhases) || len(lines) != len(ProviderPhases) {
		t.Errorf("got %d phases and %d lines, want %d", len(r.Phases), len(lines), len(ProviderPhases))
	}
	if left, err := os.ReadDir(cfg.Dir); err != nil || len(left) > 0 {
		t.Errorf("what is left in the folder: %v, %v", left, err)
	}
}

// TestProviderProfile writes one, of a phase before which the installations are
// entered all the same.
func TestProviderProfile(t *testing.T) {
	cfg := providerConfig(t)
	cfg.Phases, cfg.Profile = []ProviderPhase{ProviderUnchanged}, filepath.Join(t.TempDir(), "profile")
	r, err := RunProvider(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Phases) != 1 || r.Phases[0].Phase != ProviderUnchanged {
		t.Errorf("got %+v, want one phase", r.Phases)
	}
	if b, err := os.ReadFile(cfg.Profile); err != nil || len(b) == 0 {
		t.Errorf("got %d bytes, %v", len(b), err)
	}
}

func TestProviderBounds(t *testing.T) {
	for name, change := range map[string]func(*ProviderConfig){
		"part":            func(c *ProviderConfig) { c.Part = nil },
		"rounds":          func(c *ProviderConfig) { c.Rounds = MaxRounds + 1 },
		"installations":   func(c *ProviderConfig) { c.Installations = MaxInstallations + 1 },
		"count":           func(c *ProviderConfig) { c.Count = -1 },
		"urgent":          func(c *ProviderConfig) { c.Urgent = -1 },
		"urgent for long": func(c *ProviderConfig) { c.Urgent, c.Every = 1000, MaxEvery },
		"every":           func(c *ProviderConfig) { c.Every = MaxEvery + 1 },
		"in flight":       func(c *ProviderConfig) { c.InFlight = MaxInFlight + 1 },
		"payload":         func(c *ProviderConfig) { c.Payload = minMarkedPayload - 1 },
		"phase":           func(c *ProviderConfig) { c.Phases = []ProviderPhase{"dance"} },
		"profile of many": func(c *ProviderConfig) { c.Profile = "profile" },
		"profile of rounds": func(c *ProviderConfig) {
			c.Profile, c.Phases, c.Rounds = "profile", []ProviderPhase{ProviderSingle}, 2
		},
	} {
		cfg := providerConfig(t)
		if err := cfg.Check(); err != nil {
			t.Fatal(err)
		}
		change(&cfg)
		if err := cfg.Check(); err == nil {
			t.Errorf("%s: got nil, want an error", name)
		}
		if _, err := RunProvider(t.Context(), cfg); err == nil {
			t.Errorf("%s: it ran", name)
		}
	}
}

// TestProviderCancel ends a run that would take long, and every child with it.
func TestProviderCancel(t *testing.T) {
	cfg := providerConfig(t)
	cfg.Count, cfg.Phases = MaxCalls, []ProviderPhase{ProviderUnchanged}
	checkCancelled(t, &cfg.Part, partCaller, func(ctx context.Context) error {
		_, err := RunProvider(ctx, cfg)
		return err
	})
	if left, err := os.ReadDir(cfg.Dir); err != nil || len(left) > 0 {
		t.Errorf("what is left in the folder: %v, %v", left, err)
	}
}

// TestProviderSchema holds the names that scripts read.
func TestProviderSchema(t *testing.T) {
	f := new(Figure)
	text, err := json.Marshal(ProviderReport{Phases: []ProviderRow{{
		Calls: 1, CallsPerSec: f, CallP50: f, CallP99: f, CallMost: f, Pushes: 2, PushesPerSec: f, Alone: &Latency{}, Beside: &Latency{}, CallerCPU: f,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	want := strings.NewReplacer("\n", "", "\t", "", "LATENCY", `{"p50_us":FIGURE,"p99_us":FIGURE,"max_us":FIGURE}`).Replace(`{
"machine":{"os":"","arch":"","cores":0,"go":"","pinned":false},
"settings":{"installations":0,"count":0,"urgent":0,"urgent_every_ms":0,"in_flight":0,"payload_bytes":0,"rounds":0},
"phases":[{"phase":"","calls":1,"calls_per_s":FIGURE,"call_p50_us":FIGURE,"call_p99_us":FIGURE,"call_max_us":FIGURE,
	"pushes":2,"pushes_per_s":FIGURE,"alone":LATENCY,"beside_broadcast":LATENCY,"server_us":FIGURE,"gateway_us":FIGURE,"caller_us":FIGURE,"settled_s":FIGURE,
	"rss_first_bytes":FIGURE,"rss_most_bytes":FIGURE,"rss_last_bytes":FIGURE,
	"outbox_first_bytes":FIGURE,"outbox_most_bytes":FIGURE,"outbox_last_bytes":FIGURE,"database_bytes":FIGURE}]}`)
	want = strings.ReplaceAll(want, "FIGURE", `{"median":0,"min":0,"max":0}`)
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Error(diff)
	}
}

func TestProviderWriteTo(t *testing.T) {
	r := ProviderReport{
		Machine:  Machine{OS: "linux", Arch: "amd64", Cores: 2, Go: "go1.26"},
		Settings: ProviderSettings{Installations: 1000, Count: 500, InFlight: 256},
		Phases: []ProviderRow{
			{Phase: ProviderSingle, Calls: 1, CallsPerSec: &Figure{Median: 5432}, ServerCPU: Figure{200, 150, 250}, RSSMost: Figure{Median: 3 << 20}},
			{Phase: ProviderUrgent, Alone: &Latency{P99: Figure{Median: 1500}}, Beside: &Latency{P99: Figure{Median: 42_000}}},
		},
	}
	var b strings.Builder
	if _, err := r.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"linux/amd64, 2 cores", "1000 installations, 500 calls with 256 in flight", "5432", "150.0-250.0", "3.0", "1.50", "42.00"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in\n%s", want, b.String())
		}
	}
}

// TestMarked proves that the time in a payload is found again, and none in others.
func TestMarked(t *testing.T) {
	at := time.Unix(1_800_000_000, 123_456_789)
	for _, size := range []int{minMarkedPayload, 220, load.MaxPayloadBytes} {
		p := appendMarked([]byte("before"), size, at)[len("before"):]
		if got, ok := markOf(p); !ok || !got.Equal(at) || len(p) != size || !json.Valid(p) {
			t.Errorf("%d bytes: got %v, %v of %s", size, got, ok, p)
		}
	}
	for _, p := range []string{"", "{}", string(payload(220)), `"},"at":123}`, strings.Repeat("9", 50)} {
		if got, ok := markOf([]byte(p)); ok {
			t.Errorf("%s: got the time %v", p, got)
		}
	}
}

// TestTalk reads answers of each kind.
func TestTalk(t *testing.T) {
	for name, tt := range map[string]struct{ answer, want string }{
		"accepted":        {"HTTP/1.1 202 Accepted\r\nX: y\r\ncontent-LENGTH: 2\r\n\r\n{}", ""},
		"without a body":  {"HTTP/1.1 204 No Content\r\n\r\n", ""},
		"refused":         {"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 4\r\n\r\nslow", "answer 429: slow"},
		"chunked":         {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "is not one of HTTP/1.1"},
		"another":         {"SSH-2.0-OpenSSH\r\n", "is not one of HTTP/1.1"},
		"no number":       {"HTTP/1.1 abc\r\n\r\n", "is not one of HTTP/1.1"},
		"negative":        {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "is not one of HTTP/1.1"},
		"too long":        {"HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n", "is not one of HTTP/1.1"},
		"a long line":     {"HTTP/1.1 200 " + strings.Repeat("x", 5000), "buffer full"},
		"cut in the head": {"HTTP/1.1 200 OK\r\n", "EOF"},
		"cut in the body": {"HTTP/1.1 400 Bad\r\nContent-Length: 3\r\n\r\nab", "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := net.Pipe()
			defer ours.Close()
			asked := make(chan string, 1)
			go func() {
				b := make([]byte, 4096)
				n, _ := theirs.Read(b)
				asked <- string(b[:n])
				_, _ = theirs.Write([]byte(tt.answer))
				_ = theirs.Close()
			}()
			err := newTalk(ours, "example.com", "sk_x").call("PUT", "/v1/x", []byte("{}"))
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			want := "PUT /v1/x HTTP/1.1\r\nHost: example.com\r\nAuthorization: Bearer sk_x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
			if got := <-asked; got != want {
				t.Errorf("asked %q, want %q", got, want)
			}
		})
	}
}

// TestPhasesOf has the phases in their order, whatever that of the configuration is.
func TestPhasesOf(t *testing.T) {
	c := ProviderConfig{Phases: []ProviderPhase{ProviderUrgent, ProviderSingle}}
	if got, want := c.phasesOf(), []ProviderPhase{ProviderSingle, ProviderUrgent}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
