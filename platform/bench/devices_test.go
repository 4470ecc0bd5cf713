package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/internal/load"
	"github.com/heraldpush/herald/wire"
)

// devicesConfig returns a short run whose parts are this program.
func devicesConfig(t *testing.T) DevicesConfig {
	t.Helper()
	return DevicesConfig{
		Part: config(t).Part, Count: 30, Away: 20, Rate: 1000, PacedFor: 100 * time.Millisecond, Pushes: 600,
		Connections: 2, Streams: 10, AwayStreams: 20, Settle: time.Millisecond,
	}
}

func mustRunDevices(t *testing.T, cfg DevicesConfig) *DevicesReport {
	t.Helper()
	r, err := RunDevices(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestDevices goes through all phases, twice, with devices in several
// processes.
func TestDevices(t *testing.T) {
	cfg := devicesConfig(t)
	cfg.Rounds, cfg.PerProcess = 2, 12
	if raceEnabled {
		cfg.Rounds = 1 // the processes take long to start
	}
	var lines []string
	cfg.Progress = func(line string) { lines = append(lines, line) }
	r := mustRunDevices(t, cfg)
	if got := r.Settings.Processes; got != 3 {
		t.Errorf("got %d processes, want 3", got)
	}
	for name, a := range map[string]*Arrival{"connect": r.Connect, "reconnect": r.Reconnect} {
		if a.PerSecond.Median <= 0 || a.BarePerSec.Median <= 0 || a.ToBare.Median <= 0 {
			t.Errorf("%s: not measured: %+v", name, a)
		}
	}
	if r.Connect.RestartMilli.Median != 0 || r.Reconnect.RestartMilli.Median <= 0 {
		t.Errorf("restart: got %v and %v", r.Connect.RestartMilli, r.Reconnect.RestartMilli)
	}
	rounds := int64(cfg.Rounds)
	if d := r.Paced; d.Pushes != 100*rounds || d.Accepted.Accepted != d.Pushes || d.Delivered-d.Repeated+d.Replaced != d.Pushes || d.P50.Median <= 0 || d.P999.Median < d.P50.Median {
		t.Errorf("paced: got %+v", d)
	}
	if d := r.Deliver; d.Pushes != 600*rounds || d.Accepted.Accepted != d.Pushes || d.Delivered == 0 || d.Replaced < 0 || d.PerSecond.Median <= 0 {
		t.Errorf("deliver: got %+v", d)
	}
	if a := r.Away; a.Pushes != 600*rounds || a.Accepted != a.Pushes || a.Durable || a.PerSecond.Median <= 0 {
		t.Errorf("away: got %+v", a)
	}
	if residentBytes(1) > 0 && (r.BytesPerIdleConnection == nil || *r.BytesPerIdleConnection <= 0 || r.Idle.Full.Median < r.Idle.Empty.Median) {
		t.Errorf("memory: got %v, %+v", r.BytesPerIdleConnection, r.Idle)
	}
	if len(lines) != 1+6*cfg.Rounds || !strings.Contains(lines[0], "  prepared ") || !strings.Contains(lines[6], "round 1 of") || !strings.Contains(lines[6], "  reconnect  ") {
		t.Errorf("progress: got %q", lines)
	}
}

// TestDevicesPhases measures nothing but what it is told, with devices that
// speak Herald's own protocol, on the portable transport, and a spool on the
// disk.
func TestDevicesPhases(t *testing.T) {
	cfg := devicesConfig(t)
	cfg.Phases, cfg.ALPN, cfg.Count, cfg.Profile = []Phase{PhaseDeliver, PhaseAway}, wire.ALPNHerald, 10, t.TempDir()+"/profile"
	cfg.Spool, cfg.Transport = SpoolDurable, TransportPortable
	r := mustRunDevices(t, cfg)
	if r.Connect != nil || r.Idle != nil || r.Paced != nil || r.Reconnect != nil || r.BytesPerIdleConnection != nil {
		t.Errorf("got %+v, want deliver and away alone", r)
	}
	if a := r.Away; a == nil || !a.Durable || a.Accepted != 600 {
		t.Errorf("away: got %+v", a)
	}
	if d := r.Deliver; d == nil || d.Devices != 10 || d.Delivered == 0 {
		t.Errorf("deliver: got %+v", d)
	}
}

// TestDevicesCancel ends a run that would take long, and every child with it.
func TestDevicesCancel(t *testing.T) {
	cfg := devicesConfig(t)
	cfg.PacedFor = load.MaxDuration
	ctx, cancel := context.WithCancel(t.Context())
	var children []*exec.Cmd
	part := cfg.Part
	cfg.Part = func(ctx context.Context, name string) *exec.Cmd {
		children = append(children, part(ctx, name))
		if name == partLoad {
			cancel()
		}
		return children[len(children)-1]
	}
	if _, err := RunDevices(ctx, cfg); err == nil {
		t.Error("got nil, want the end of the context")
	}
	for _, c := range children {
		if c.Process != nil && c.ProcessState == nil {
			t.Errorf("process %d was not waited for", c.Process.Pid)
		}
	}
}

func TestDevicesBounds(t *testing.T) {
	for name, change := range map[string]func(*DevicesConfig){
		"part":        func(c *DevicesConfig) { c.Part = nil },
		"count":       func(c *DevicesConfig) { c.Count = MaxDevices + 1 },
		"away":        func(c *DevicesConfig) { c.Away = -1 },
		"spool":       func(c *DevicesConfig) { c.Spool = "cloud" },
		"transport":   func(c *DevicesConfig) { c.Transport = "pigeon" },
		"alpn":        func(c *DevicesConfig) { c.ALPN = wire.ALPNSecurityV2 },
		"rate":        func(c *DevicesConfig) { c.Rate = load.MaxRate + 1 },
		"time":        func(c *DevicesConfig) { c.PacedFor = time.Hour },
		"pushes":      func(c *DevicesConfig) { c.Pushes = load.MaxPushes + 1 },
		"payload":     func(c *DevicesConfig) { c.Payload = minStamped - 1 },
		"connections": func(c *DevicesConfig) { c.Connections = load.MaxConnections + 1 },
		"streams":     func(c *DevicesConfig) { c.AwayStreams = load.MaxStreams + 1 },
		"rounds":      func(c *DevicesConfig) { c.Rounds = MaxRounds + 1 },
		"processes":   func(c *DevicesConfig) { c.Count, c.PerProcess = 1000, 1 },
		"settle":      func(c *DevicesConfig) { c.Settle = -1 },
		"profile":     func(c *DevicesConfig) { c.Profile = "profile" },
		"phase":       func(c *DevicesConfig) { c.Phases = []Phase{"dance"} },
	} {
		cfg := devicesConfig(t)
		if err := cfg.Check(); err != nil {
			t.Fatal(err)
		}
		change(&cfg)
		if _, err := RunDevices(t.Context(), cfg); err == nil {
			t.Errorf("%s: got nil, want an error", name)
		}
	}
}

// TestFileLimit says what to do where a process may not have enough files.
func TestFileLimit(t *testing.T) {
	c := DevicesConfig{Count: 19_000, Connections: 8, PerProcess: MaxDevicesPerProcess}
	for limit, ok := range map[uint64]bool{0: true, 1024: false, 19_307: false, 19_308: true, 1 << 62: true} {
		if err := c.checkFiles(limit); (err == nil) != ok {
			t.Errorf("limit of %d: got %v", limit, err)
		}
	}
	if err := c.checkFiles(1024); !strings.Contains(err.Error(), "ulimit -Hn 19308") || !strings.Contains(err.Error(), "--count 716") {
		t.Errorf("got %q, want what to do", err)
	}
	c.Count = 50_000
	for limit, want := range map[uint64][]int{
		0: {19_000, 19_000, 12_000}, 1 << 62: {19_000, 19_000, 12_000}, 20_150: {19_000, 19_000, 12_000}, 17_150: {17_000, 17_000, 16_000},
	} {
		if got := c.crowdSizes(limit); !slices.Equal(got, want) {
			t.Errorf("limit of %d: got %v, want %v", limit, got, want)
		}
	}
}

// TestPhoneReads has notifications come in pieces, one of them twice.
func TestPhoneReads(t *testing.T) {
	p := &phone{crowd: &crowd{}}
	var stream, acks []byte
	for i, timestamp := range []uint64{5, 6, 6, 7} {
		payload := stamped(minStamped + i)
		copy(payload[stampAt:], "1790000000000000000")
		stream = wire.Notification{
			DeviceToken: apns.DeviceToken(strings.Repeat("t", 32)), Payload: payload, MessageID: uint32(i), Timestamp: timestamp,
		}.Append(stream)
		stream = wire.KeepAliveResponse{}.Append(stream)
		acks = wire.Ack{MessageID: uint32(i), HasMessageID: true}.Append(acks)
	}
	var buf, got []byte
	for _, b := range stream {
		buf = append(buf, b)
		handled, out, err := p.handle(buf, nil)
		if err != nil {
			t.Fatal(err)
		}
		buf, got = buf[handled:], append(got, out...)
	}
	if !bytes.Equal(got, acks) || len(buf) > 0 {
		t.Errorf("got acks %x and %d bytes left, want %x", got, len(buf), acks)
	}
	one := p.crowd.take()
	if one.Delivered != 4 || one.Repeated != 1 || one.FirstSent != 1790000000000000000 || one.Latency.Quantile(1) <= 0 {
		t.Errorf("got %d delivered, %d repeated, first %d", one.Delivered, one.Repeated, one.FirstSent)
	}
	if again := p.crowd.take(); again.Delivered != 0 {
		t.Errorf("taken twice: got %d delivered", again.Delivered)
	}
	for name, bad := range map[string][]byte{"too long": {10, 0, 2, 0, 0}, "no notification": {10, 0, 0, 0, 1, 1}} {
		if _, _, err := p.handle(bad, nil); err == nil {
			t.Errorf("%s: got nil, want an error", name)
		}
	}
}

func TestSentAt(t *testing.T) {
	for text, want := range map[string]int64{
		string(stamped(minStamped)):                   0,
		`{"aps":{}}`:                                  0,
		`{"aps":{"alert":"179000000000000000x"}}`:     0,
		`{"aps":{"alert":"1790000000000000001"}}`:     1790000000000000001,
		`{"aps":{"alert":"1790000000000000001xxxx"}}`: 1790000000000000001,
	} {
		got := int64(0)
		if at := sentAt([]byte(text)); !at.IsZero() {
			got = at.UnixNano()
		}
		if got != want {
			t.Errorf("%s: got %d, want %d", text, got, want)
		}
	}
}

func TestTallies(t *testing.T) {
	var all tally
	for _, one := range []tally{
		{Delivered: 2, FirstSent: 30, LastReceived: 90},
		{Delivered: 3, Repeated: 1, FirstSent: 20, LastReceived: 80},
		{Lost: 2, Why: "the end"},
	} {
		all.add(&one)
	}
	if all.Delivered != 5 || all.Repeated != 1 || all.FirstSent != 20 || all.LastReceived != 90 || all.Lost != 2 || all.Why != "the end" {
		t.Errorf("got %d delivered, %d repeated, from %d to %d, %d lost by %q", all.Delivered, all.Repeated, all.FirstSent, all.LastReceived, all.Lost, all.Why)
	}
	if got := (&deliverySample{tally: tally{Delivered: 30, FirstSent: 1, LastReceived: 1 + int64(2*time.Second)}}).deliveredPerSecond(); got != 15 {
		t.Errorf("got %v a second, want 15", got)
	}
}

// TestReins let as many pushes go as may be under way.
func TestReins(t *testing.T) {
	c := &crowd{}
	r := &reins{crowd: c, most: 3}
	for _, step := range []struct {
		sent, delivered int64
		held            bool
	}{{0, 0, false}, {2, 0, false}, {3, 0, true}, {3, 1, false}, {4, 1, true}, {4, 4, false}} {
		c.tally.Delivered = step.delivered
		if got := r.hold(step.sent); got != step.held {
			t.Errorf("%d sent, %d delivered: got %v, want %v", step.sent, step.delivered, got, step.held)
		}
	}
	// What gave way to a newer one never comes, and is not waited for for ever.
	if !r.hold(7) {
		t.Error("got false, want the load held back")
	}
	r.since = time.Now().Add(-2 * goneAfter)
	if r.hold(7) {
		t.Error("got true, want what is under way given up")
	}
}

// TestDevicePartsRefuse has parts refuse orders that make no sense.
func TestDevicePartsRefuse(t *testing.T) {
	for name, orders := range map[string]string{
		partPrepare: `{"Do":"begin"}`,
		partService: `{"Do":"begin","Service":{"Dir":"/does/not/exist","Spool":"memory"}}`,
		partBareTLS: `{"Do":"begin","NetHTTP":{"Certificate":""}}`,
		partCrowd:   `{"Do":"begin"}`,
	} {
		if err := RunPart(t.Context(), name, strings.NewReader(orders), new(bytes.Buffer)); err == nil {
			t.Errorf("%s: got nil, want an error", name)
		}
	}
	dir := t.TempDir()
	if _, err := prepare(t.Context(), prepareSetup{Dir: dir, Devices: 1, Away: 1}); err != nil {
		t.Fatal(err)
	}
	begin, err := json.Marshal(order{Do: orderBegin, Crowd: &crowdSetup{Dir: dir, Size: 1, ALPN: wire.ALPNSecurityV3}})
	if err != nil {
		t.Fatal(err)
	}
	for orders, want := range map[string]string{
		`{"Do":"connect","Connect":{"Address":"192.0.2.1:5223"}}`: "not a loopback address",
		`{"Do":"dance"}`: "no order",
		`{"Do":"run"}`:   "no order",
	} {
		var out bytes.Buffer
		if err := RunPart(t.Context(), partCrowd, strings.NewReader(string(begin)+orders), &out); err != nil {
			t.Error(err)
		}
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s: got %s, want %q", orders, out.String(), want)
		}
	}
	for name, setup := range map[string]crowdSetup{
		"too many":     {Dir: dir, Size: 2},
		"not loopback": {Dir: dir, Size: 1, Source: "192.0.2.1"},
		"no folder":    {Dir: dir + "/none", Size: 1},
	} {
		if _, err := newCrowd(setup); err == nil {
			t.Errorf("%s: got nil, want an error", name)
		}
	}
}

// TestDevicesSchema holds the names that scripts read.
func TestDevicesSchema(t *testing.T) {
	text, err := json.Marshal(DevicesReport{
		BytesPerIdleConnection: new(float64), Connect: &Arrival{}, Idle: &Idle{}, Deliver: &Delivery{}, Away: &Accepted{},
	})
	if err != nil {
		t.Fatal(err)
	}
	const figure = `{"median":0,"min":0,"max":0}`
	accepted := `"rate":0,"devices":0,"streams":0,"durable":false,"pushes":0,"accepted":0,"accepted_per_s":FIGURE,"cpu_us_per_push":FIGURE,
"answer_p50_us":FIGURE,"answer_p99_us":FIGURE,"late_p99_us":FIGURE`
	want := strings.NewReplacer("ACCEPTED", accepted).Replace(`{
"machine":{"os":"","arch":"","cores":0,"go":"","pinned":false},
"settings":{"count":0,"away":0,"processes":0,"spool":"","transport":"","alpn":"","payload_bytes":0,"connections":0,"rounds":0},
"bytes_per_idle_connection":0,"bytes_per_idle_connection_after_gc":null,
"connect":{"seconds":FIGURE,"handshakes_per_s":FIGURE,"bare_tls_seconds":FIGURE,"bare_tls_handshakes_per_s":FIGURE,"to_bare_tls":FIGURE,
"cpu_us_per_handshake":FIGURE,"retries":0,"restart_ms":FIGURE},
"idle":{"rss_at_0_bytes":FIGURE,"rss_at_n_bytes":FIGURE,"rss_at_n_after_gc_bytes":FIGURE,"bytes_per_connection":FIGURE,
"bytes_per_connection_after_gc":FIGURE,"kernel_bytes_per_socket":FIGURE},
"paced":null,
"deliver":{ACCEPTED,"delivered":0,"replaced":0,"repeated":0,"delivered_per_s":FIGURE,"p50_us":FIGURE,"p99_us":FIGURE,"p999_us":FIGURE},
"away":{ACCEPTED},
"reconnect":null}`)
	want = strings.NewReplacer("\n", "", "FIGURE", figure).Replace(want)
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Error(diff)
	}
}

func TestDevicesWriteTo(t *testing.T) {
	arrival := &Arrival{Seconds: Figure{2, 1, 3}, ToBare: Figure{1.25, 1, 2}, Retries: 7}
	r := DevicesReport{
		Machine: Machine{OS: "linux", Arch: "amd64", Cores: 2, Go: "go1.26", Pinned: true}, Settings: DevicesSettings{Count: 9, ALPN: "v3"},
		Connect: arrival, Reconnect: arrival, Idle: &Idle{PerDevice: Figure{12345, 1, 2}, KernelEach: Figure{3900, 1, 2}},
		Paced: &Delivery{Accepted: Accepted{Rate: 2000, Late: Figure{11, 11, 11}}}, Deliver: &Delivery{Replaced: 4}, Away: &Accepted{Durable: true},
	}
	var b strings.Builder
	if _, err := r.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"linux/amd64, 2 cores", "9 devices connected by v3", "x bare TLS", "1.25    1.00 - 2.00", "retries", "12345", "3900", "paced, 2000/s",
		"replaced by a newer one", "durable", "ms for the service to start",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in\n%s", want, b.String())
		}
	}
}
