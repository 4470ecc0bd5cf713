package e2e

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

// How long a test waits for herald before it gives up, on the busiest of machines.
const (
	startWithin   = 2 * time.Minute
	deliverWithin = 2 * time.Minute
	stopWithin    = 2 * time.Minute
	pollEvery     = 20 * time.Millisecond
)

// devFile is dev.json, by the names of its keys.
type devFile struct {
	GatewaySandbox     string `json:"gateway.sandbox"`
	GatewayProduction  string `json:"gateway.production"`
	LegacySandbox      string `json:"legacy.sandbox"`
	LegacyProduction   string `json:"legacy.production"`
	FeedbackSandbox    string `json:"feedback.sandbox"`
	FeedbackProduction string `json:"feedback.production"`
	ChannelsSandbox    string `json:"channels.sandbox"`
	ChannelsProduction string `json:"channels.production"`
	Courier            string `json:"courier"`
	HTTP               string `json:"http"`
	Activation         string `json:"activation"`
	EnrolmentCode      string `json:"enrolment_code"`
	CA                 string `json:"ca"`
	ServerName         string `json:"server_name"`
	TeamID             string `json:"team_id"`
	KeyID              string `json:"key_id"`
	Key                string `json:"key"`
	CertificatePEM     string `json:"certificate.pem"`
	CertificateP12     string `json:"certificate.p12"`
	P12Password        string `json:"certificate.p12_password"`
	Topic              string `json:"topic"`
	DeviceToken        string `json:"device_token"`
	BaseToken          string `json:"base_token"`
	BenchDeviceToken   string `json:"bench_device_token"`
}

// herald is a running `herald dev`.
type herald struct {
	devFile
	dir    string
	cmd    *exec.Cmd
	output *log          // stdout and stderr together
	ended  chan struct{} // closed when the process has ended
	err    error         // how it ended; read after ended
	stopMu sync.Once
}

// start runs `herald dev` with ports of its own in a new folder, waits until
// it answers, and stops it when the test ends.
func start(t *testing.T) *herald {
	t.Helper()
	return startIn(t, filepath.Join(t.TempDir(), "herald"), "--ports", "auto")
}

// startIn is start for a folder and flags of the test's own.
func startIn(t *testing.T, dir string, flags ...string) *herald {
	t.Helper()
	h := &herald{dir: dir, output: new(log), ended: make(chan struct{})}
	h.cmd = exec.Command(binary(t), append([]string{"dev", "--dir", dir}, flags...)...) //nolint:noctx // stop ends it
	h.cmd.Env = environment()
	h.cmd.Dir = t.TempDir()
	h.cmd.Stdout, h.cmd.Stderr = h.output, h.output
	h.cmd.WaitDelay = time.Second
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		h.err = h.cmd.Wait()
		close(h.ended)
	}()
	t.Cleanup(func() {
		h.stop(t)
		if t.Failed() {
			t.Logf("herald dev --dir %s printed:\n%s", dir, h.output)
		}
	})

	path := filepath.Join(dir, "dev.json")
	raw := waitFor(t, "dev.json", startWithin, func() ([]byte, bool) {
		select {
		case <-h.ended:
			t.Fatalf("herald dev ended before it was ready: %v\n%s", h.err, h.output)
		default:
		}
		raw, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		return raw, err == nil
	})
	if err := json.Unmarshal(raw, &h.devFile); err != nil {
		t.Fatalf("dev.json: %v\n%s", err, raw)
	}
	for i := range reflect.TypeFor[devFile]().NumField() {
		if reflect.ValueOf(h.devFile).Field(i).String() == "" {
			t.Errorf("dev.json has no %q", reflect.TypeFor[devFile]().Field(i).Tag.Get("json"))
		}
	}
	if t.Failed() {
		t.FailNow()
	}
	return h
}

// stop interrupts herald, as Ctrl-C does, and checks that it ends well and in
// time and takes dev.json with it. Only the first call does anything.
func (h *herald) stop(t *testing.T) {
	t.Helper()
	h.stopMu.Do(func() {
		select {
		case <-h.ended:
			t.Errorf("herald dev ended by itself: %v", h.err)
			return
		default:
		}
		if err := h.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Errorf("interrupting herald dev: %v", err)
		}
		select {
		case <-h.ended:
		case <-time.After(stopWithin):
			t.Errorf("herald dev still runs %v after an interrupt", stopWithin)
			if err := h.cmd.Process.Kill(); err != nil {
				t.Errorf("killing herald dev: %v", err)
			}
			<-h.ended
			return
		}
		if h.err != nil {
			t.Errorf("herald dev after an interrupt: %v, want exit status 0", h.err)
		}
		if _, err := os.Stat(h.devPath()); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("dev.json after a clean stop: got %v, want that it is gone", err)
		}
	})
}

// devPath is where dev.json lies.
func (h *herald) devPath() string { return filepath.Join(h.dir, "dev.json") }

// waitFor asks for something until it is there, and fails the test when that
// takes too long. What another process writes can only be asked for.
func waitFor[T any](t *testing.T, what string, within time.Duration, ask func() (T, bool)) T {
	t.Helper()
	deadline := time.After(within)
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if v, ok := ask(); ok {
			return v
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("no %s after %v", what, within)
		}
	}
}

// log keeps what a process prints.
type log struct {
	mu   sync.Mutex
	text strings.Builder // guarded by mu
}

// Write implements io.Writer.
func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String returns all that was printed so far.
func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
