package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/internal/load"
)

// partVariable makes this program a part of the bench.
const partVariable = "HERALD_BENCH_TEST_PART"

func TestMain(m *testing.M) {
	name := os.Getenv(partVariable)
	if name == "" {
		os.Exit(m.Run())
	}
	if err := RunPart(context.Background(), name, os.Stdin, os.Stdout); err != nil {
		_, _ = os.Stderr.WriteString(err.Error())
		os.Exit(1)
	}
}

// config returns a short run whose parts are this program.
func config(t *testing.T) Config {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Config{
		Part: func(ctx context.Context, name string) *exec.Cmd {
			cmd := exec.CommandContext(ctx, program)
			cmd.Env = append(os.Environ(), partVariable+"="+name)
			return cmd
		},
		Connections: 2, Streams: 20, Rounds: 1, Pushes: 400, Tokens: 30,
	}
}

func mustRun(t *testing.T, cfg Config) *Report {
	t.Helper()
	r, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestAccepted has every push accepted, in each shape and each way to prove
// oneself.
func TestAccepted(t *testing.T) {
	for _, auth := range []Auth{AuthToken, AuthCertificate} {
		t.Run(string(auth), func(t *testing.T) {
			cfg := config(t)
			cfg.Auth, cfg.Peers, cfg.Rounds = auth, []string{NetHTTP}, 2
			r := mustRun(t, cfg)
			var names []string
			for _, sc := range r.Scenarios {
				names = append(names, sc.Name)
				for _, row := range sc.Servers {
					names = append(names, row.Server)
					if row.Pushes != 800 || row.Accepted != 800 || len(row.Refused) > 0 {
						t.Errorf("%s, %s: got %d accepted of %d, refused %v", sc.Name, row.Server, row.Accepted, row.Pushes, row.Refused)
					}
					if row.Allocations == nil || row.Allocations.Median <= 0 || row.Pushed.Median <= 0 || row.P50.Median <= 0 {
						t.Errorf("%s, %s: not measured: %+v", sc.Name, row.Server, row)
					}
				}
			}
			want := []string{"L 2x20", Gateway, NetHTTP, "P 2x20", Gateway, NetHTTP}
			if diff := cmp.Diff(want, names); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestRefused has bad pushes refused, each for its reason, and only those.
func TestRefused(t *testing.T) {
	cfg := config(t)
	cfg.BadShare, cfg.Attached, cfg.Unstored, cfg.Peers = 0.25, 10, true, []string{NetHTTP}
	for _, sc := range mustRun(t, cfg).Scenarios {
		want := map[string]map[string]int64{
			Gateway: {"BadPriority": 25, "TopicDisallowed": 25, "PayloadEmpty": 25, "BadDeviceToken": 25},
			NetHTTP: {}, // which checks nothing
		}
		for _, row := range sc.Servers {
			if diff := cmp.Diff(want[row.Server], row.Refused); diff != "" {
				t.Errorf("%s, %s: %s", sc.Name, row.Server, diff)
			}
		}
		if got := sc.Servers[0].Accepted; got != 300 {
			t.Errorf("%s: got %d accepted, want 300", sc.Name, got)
		}
	}
}

// TestScenarios measures unbatched, and at a rate.
func TestScenarios(t *testing.T) {
	cfg := config(t)
	cfg.Shapes, cfg.Unbatched, cfg.Rate, cfg.Pushes, cfg.Duration = []load.Shape{load.Indexed}, true, 2000, 0, 50*time.Millisecond
	cfg.Profile = t.TempDir() + "/profile"
	var lines []string
	cfg.Progress = func(line string) { lines = append(lines, line) }
	r := mustRun(t, cfg)
	var names []string
	for _, sc := range r.Scenarios {
		names = append(names, sc.Name)
		row := sc.Servers[0]
		if row.Pushes == 0 || row.Accepted != row.Pushes {
			t.Errorf("%s: got %d accepted of %d", sc.Name, row.Accepted, row.Pushes)
		}
		if sc.Rate > 0 && row.Pushes != 100 {
			t.Errorf("%s: got %d pushes, want 100", sc.Name, row.Pushes)
		}
	}
	if diff := cmp.Diff([]string{"P 2x20", "P 32x1", "P 2x20 at 2000/s"}, names); diff != "" {
		t.Error(diff)
	}
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "round 1 of 1  P 2x20 ") {
		t.Errorf("progress: got %q", lines)
	}
	if b, err := os.ReadFile(cfg.Profile); err != nil || len(b) == 0 {
		t.Errorf("profile: got %d bytes, %v", len(b), err)
	}
}

// TestNghttpd and TestH2load need the programs.
func TestNghttpd(t *testing.T) {
	cfg := config(t)
	cfg.Peers, cfg.Shapes, cfg.BadShare = []string{Nghttpd}, []load.Shape{load.Literal}, 0.1
	r := mustRun(t, cfg)
	if _, err := exec.LookPath("nghttpd"); err != nil {
		if len(r.Absent) != 1 || r.Absent[0].Server != Nghttpd {
			t.Errorf("absent: got %v, want nghttpd", r.Absent)
		}
		return
	}
	if row := r.Scenarios[0].Servers[1]; row.Server != Nghttpd || row.Accepted != 400 || row.Allocations != nil {
		t.Errorf("got %+v, want 400 accepted by nghttpd", row)
	}
}

func TestH2load(t *testing.T) {
	cfg := config(t)
	cfg.H2load = true
	if _, err := exec.LookPath("h2load"); err != nil {
		if _, err := Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "h2load is not installed") {
			t.Errorf("got %v, want that h2load is not installed", err)
		}
		return
	}
	r := mustRun(t, cfg)
	if row := r.Scenarios[0].Servers[0]; row.Accepted != 400 {
		t.Errorf("got %d accepted, want 400", row.Accepted)
	}
}

func TestH2loadQuantiles(t *testing.T) {
	log := t.TempDir() + "/log"
	var r load.Result
	for text, ok := range map[string]bool{"1\t200\t30\n2\t200\t10\n3\t200\t20\n": true, "": false, "1\t200\n": false, "1\t200\tsoon\n": false} {
		if err := os.WriteFile(log, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := quantiles(log, &r); (err == nil) != ok {
			t.Errorf("%q: got %v", text, err)
		}
	}
	if r.P50 != 20*time.Microsecond {
		t.Errorf("p50: got %v, want 20us", r.P50)
	}
}

// TestCancel ends a run that would take minutes, and every child with it.
func TestCancel(t *testing.T) {
	cfg := config(t)
	cfg.Pushes, cfg.Peers = load.MaxPushes, []string{NetHTTP}
	checkCancelled(t, &cfg.Part, partLoad, func(ctx context.Context) error {
		_, err := Run(ctx, cfg)
		return err
	})
}

// checkCancelled ends the context of run as soon as it makes the process of the part
// named, and checks that no process is left.
func checkCancelled(t *testing.T, part *func(context.Context, string) *exec.Cmd, at string, run func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var children []*exec.Cmd
	start := *part
	*part = func(ctx context.Context, name string) *exec.Cmd {
		children = append(children, start(ctx, name))
		if name == at {
			cancel()
		}
		return children[len(children)-1]
	}
	if run(ctx) == nil {
		t.Error("got nil, want the end of the context")
	}
	for _, c := range children {
		if c.Process != nil && c.ProcessState == nil {
			t.Errorf("process %d was not waited for", c.Process.Pid)
		}
	}
}

func TestBounds(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"part":           func(c *Config) { c.Part = nil },
		"rounds":         func(c *Config) { c.Rounds = MaxRounds + 1 },
		"payload":        func(c *Config) { c.Payload = minPayload - 1 },
		"tokens":         func(c *Config) { c.Tokens = -1 },
		"attached":       func(c *Config) { c.Attached = c.Tokens + 1 },
		"connections":    func(c *Config) { c.Connections = load.MaxConnections + 1 },
		"streams":        func(c *Config) { c.Streams = load.MaxStreams + 1 },
		"pushes":         func(c *Config) { c.Pushes = load.MaxPushes + 1 },
		"duration":       func(c *Config) { c.Pushes, c.Duration = 0, load.MaxDuration+1 },
		"both":           func(c *Config) { c.Duration = time.Second },
		"rate":           func(c *Config) { c.Rate = load.MaxRate + 1 },
		"bad":            func(c *Config) { c.BadShare = 0.6 },
		"auth":           func(c *Config) { c.Auth = "password" },
		"peer":           func(c *Config) { c.Peers = []string{"example.com"} },
		"h2load and bad": func(c *Config) { c.H2load, c.BadShare = true, 0.1 },
	} {
		cfg := config(t)
		if err := cfg.Check(); err != nil {
			t.Fatal(err)
		}
		change(&cfg)
		if _, err := Run(t.Context(), cfg); err == nil {
			t.Errorf("%s: got nil, want an error", name)
		}
	}
}

// TestPartRefuses has parts refuse orders that make no sense.
func TestPartRefuses(t *testing.T) {
	for name, orders := range map[string]string{
		"":          `{"Do":"begin"}`,
		partGateway: `{"Do":"begin"}`,
		partLoad:    `{"Do":`,
		partNetHTTP: `{"Do":"begin","NetHTTP":{"Certificate":""}}`,
	} {
		var out bytes.Buffer
		if err := RunPart(t.Context(), name, strings.NewReader(orders), &out); err == nil {
			t.Errorf("%q: got nil, want an error", name)
		}
	}
	var out bytes.Buffer
	orders := `{"Do":"begin","Gateway":{"Tokens":1}}` + "\n" + `{"Do":"dance"}`
	if err := RunPart(t.Context(), partGateway, strings.NewReader(orders), &out); err != nil {
		t.Error(err)
	}
	if got := out.String(); !strings.Contains(got, `{"Error":"no order \"dance\""}`) {
		t.Errorf("got %s, want no such order", got)
	}
}

// TestSchema holds the names that scripts read.
func TestSchema(t *testing.T) {
	one := Row{Allocations: &Figure{}, AllocatedBytes: &Figure{}, ToGateway: &Figure{}}
	text, err := json.Marshal(Report{Scenarios: []Scenario{{Servers: []Row{one}}}, Absent: []Absent{{}}})
	if err != nil {
		t.Fatal(err)
	}
	const figure = `{"median":0,"min":0,"max":0}`
	want := strings.NewReplacer("\n", "", "\t", "", "FIGURE", figure).Replace(`{
"machine":{"os":"","arch":"","cores":0,"go":"","pinned":false},
"settings":{"auth":"","load":"","payload_bytes":0,"bad_share":0,"rounds":0,"device_tokens":0,"attached":0,"stored":false},
"scenarios":[{"name":"","shape":"","connections":0,"streams":0,"rate":0,"servers":[{
	"server":"","pushes":0,"accepted":0,"refused":null,"cipher":"",
	"cpu_us_per_push":FIGURE,"pushes_per_s":FIGURE,"p50_us":FIGURE,"p99_us":FIGURE,"p999_us":FIGURE,"late_p99_us":FIGURE,
	"rss_before_bytes":FIGURE,"rss_after_bytes":FIGURE,"allocs_per_push":FIGURE,"alloc_bytes_per_push":FIGURE,"cpu_to_gateway":FIGURE}]}],
"absent":[{"server":"","why":""}]}`)
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Error(diff)
	}
}

func TestFigure(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   Figure
	}{
		{[]float64{3}, Figure{3, 3, 3}},
		{[]float64{9, 1, 5}, Figure{5, 1, 9}},
		{[]float64{4, 1, 2, 3}, Figure{2.5, 1, 4}},
	} {
		if got := newFigure(tt.values); got != tt.want {
			t.Errorf("got %v, want %v", got, tt.want)
		}
	}
}

// TestPaired takes the ratio of rounds, not that of medians.
func TestPaired(t *testing.T) {
	rounds := func(cpu ...time.Duration) (all []sample) {
		for _, d := range cpu {
			all = append(all, sample{pushes: 1, cpu: d, result: load.Result{Wall: time.Second}})
		}
		return all
	}
	row := newRow(NetHTTP, rounds(10, 60, 40), rounds(5, 20, 10))
	if want := (Figure{3, 2, 4}); row.ToGateway == nil || *row.ToGateway != want {
		t.Errorf("got %v, want %v", row.ToGateway, want)
	}
	if row := newRow(NetHTTP, rounds(0), rounds(5)); row.ToGateway != nil {
		t.Errorf("unknown: got %v, want none", row.ToGateway)
	}
}

func TestWriteTo(t *testing.T) {
	r := Report{
		Machine: Machine{OS: "linux", Arch: "amd64", Cores: 2, Go: "go1.26", Pinned: true},
		Scenarios: []Scenario{{Name: "P 8x100", Servers: []Row{
			{Server: Gateway, Pushes: 10, Refused: map[string]int64{"BadTopic": 3}, CPU: Figure{1.5, 1, 2}, Late: Figure{7, 7, 7}},
		}}},
		Absent: []Absent{{Nghttpd, "not installed"}},
	}
	var b strings.Builder
	if _, err := r.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"linux/amd64, 2 cores", "P 8x100", "1.50  1.00-2.00", "gateway refused 3 of 10: BadTopic", "within 7 us", "Without nghttpd: not installed."} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in\n%s", want, b.String())
		}
	}
}

func TestParseH2load(t *testing.T) {
	const out = `starting benchmark...
TLS Protocol: TLSv1.3
Cipher: TLS_AES_128_GCM_SHA256

finished in 253.61ms, 394.31 req/s, 14.39KB/s
requests: 100 total, 100 started, 100 done, 100 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 100 2xx, 0 3xx, 0 4xx, 0 5xx
`
	got, err := parseH2load(out, 100)
	want := load.Result{Sent: 100, Accepted: 100, Wall: 253610 * time.Microsecond, Cipher: "TLS_AES_128_GCM_SHA256"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	for name, bad := range map[string]string{
		"nothing":  "",
		"too few":  strings.Replace(out, "100 2xx, 0 3xx, 0 4xx", "99 2xx, 0 3xx, 1 4xx", 1),
		"no time":  strings.Replace(out, "253.61ms", "1.2.3ms", 1),
		"too many": strings.Replace(out, "100 2xx", "99999999999999999999 2xx", 1),
	} {
		if _, err := parseH2load(bad, 100); err == nil {
			t.Errorf("%s: got nil, want an error", name)
		}
	}
}
