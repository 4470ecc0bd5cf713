package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// phone is a running `herald device run`.
type phone struct {
	cmd    *exec.Cmd
	stdout *log
	stderr *log
	ended  chan struct{} // closed when the process has ended
	err    error         // how it ended; read after ended
	once   sync.Once
}

// startPhone runs `herald device run` in a folder, and stops it when the test
// ends.
func startPhone(t *testing.T, in string, args ...string) *phone {
	t.Helper()
	p := &phone{stdout: new(log), stderr: new(log), ended: make(chan struct{})}
	p.cmd = exec.Command(binary(t), append([]string{"device", "run"}, args...)...) //nolint:noctx // stop ends it
	p.cmd.Dir, p.cmd.Env = in, environment()
	p.cmd.Stdout, p.cmd.Stderr = p.stdout, p.stderr
	p.cmd.WaitDelay = time.Second
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.stop(t)
		if t.Failed() {
			t.Logf("herald device run printed:\n%s%s", p.stdout, p.stderr)
		}
	})
	return p
}

// stop interrupts the agent, as Ctrl-C does; it has to end well, and soon.
func (p *phone) stop(t *testing.T) {
	t.Helper()
	p.once.Do(func() {
		if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Errorf("interrupting herald device run: %v", err)
		}
		select {
		case <-p.ended:
		case <-time.After(stopWithin):
			t.Errorf("herald device run still runs %v after an interrupt", stopWithin)
			_ = p.cmd.Process.Kill() // the error has been told
			<-p.ended
		}
		if p.err != nil {
			t.Errorf("herald device run after an interrupt: %v, want exit status 0\n%s", p.err, p.stderr)
		}
	})
}

// kill ends the agent without a word.
func (p *phone) kill(t *testing.T) {
	t.Helper()
	p.once.Do(func() {
		if err := p.cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		<-p.ended
	})
}

// event is a line of --json.
type event struct {
	Event       string          `json:"event"`
	Topic       string          `json:"topic"`
	ID          string          `json:"id"`
	DeviceToken string          `json:"device_token"`
	Reason      string          `json:"reason"`
	Stored      bool            `json:"stored"`
	Again       bool            `json:"again"`
	Payload     json.RawMessage `json:"payload"`
}

// events returns what was printed so far; each line has to be an event.
func (p *phone) events(t *testing.T) (all []event) {
	t.Helper()
	for line := range strings.Lines(p.stdout.String()) {
		if !strings.HasSuffix(line, "\n") {
			break // still being written
		}
		var e event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("a line %q: %v", line, err)
		}
		all = append(all, e)
	}
	return all
}

// wait waits for an event.
func (p *phone) wait(t *testing.T, what string, is func(event) bool) event {
	t.Helper()
	return waitFor(t, what, deliverWithin, func() (event, bool) {
		for _, e := range p.events(t) {
			if is(e) {
				return e, true
			}
		}
		select {
		case <-p.ended:
			t.Fatalf("herald device run ended before there was %s: %v\n%s", what, p.err, p.stderr)
		default:
		}
		return event{}, false
	})
}

// token waits for the device token of an app.
func (p *phone) token(t *testing.T, topic string) string {
	t.Helper()
	return p.wait(t, "device token", func(e event) bool { return e.Event == "registered" && e.Topic == topic }).DeviceToken
}

// received waits for a notification.
func (p *phone) received(t *testing.T, id string) event {
	t.Helper()
	return p.wait(t, "notification "+id, func(e event) bool { return e.Event == "notification" && strings.EqualFold(e.ID, id) })
}

// stream is a curl that reads notifications over the agent's socket.
type stream struct {
	lines chan string // closed at the end
}

// readStream starts a curl, which the end of the test ends.
func readStream(t *testing.T, socket, topic, after string) *stream {
	t.Helper()
	args := []string{"--disable", "--silent", "--no-buffer", "--unix-socket", socket, "http://agent/v1/apps/" + topic + "/notifications"}
	if after != "" {
		args = append(args, "--header", "Last-Event-ID: "+after)
	}
	cmd := exec.CommandContext(t.Context(), "curl", args...)
	cmd.Env = environment()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &stream{lines: make(chan string, 1000)}
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(s.lines)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			s.lines <- scan.Text()
		}
	})
	t.Cleanup(func() {
		reading.Wait()
		_ = cmd.Wait() // the end of the test's context has ended it
	})
	return s
}

// ids reads as many notifications as are wanted, and returns their ids.
func (s *stream) ids(t *testing.T, n int) (ids []string) {
	t.Helper()
	limit := time.After(deliverWithin)
	for len(ids) < n {
		select {
		case line, ok := <-s.lines:
			if !ok {
				t.Fatalf("the stream ended after %q", ids)
			}
			if id, ok := strings.CutPrefix(line, "id: "); ok {
				ids = append(ids, id)
			}
		case <-limit:
			t.Fatalf("got %q after %v, want %d", ids, deliverWithin, n)
		}
	}
	return ids
}

// TestDevice is the life of a device: activated, stopped, killed, and in its
// folder again without a code; with notifications to it at each point, which
// arrive once, as JSON, over the socket and in a command.
func TestDevice(t *testing.T) {
	t.Parallel()
	needCurl(t)
	h := start(t)
	work, err := os.MkdirTemp("", "e2e-") //nolint:usetesting // a socket's path has to be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(work); err != nil {
			t.Error(err)
		}
	})
	socket := filepath.Join(work, "phone", "agent.sock")
	ran := filepath.Join(work, "ran.txt")
	first := startPhone(t, work, "--dev", h.devPath(), "--dir", "phone", "--app", h.Topic, "--json", "--exec", `echo "$HERALD_ID" >> `+ran)
	token := first.token(t, h.Topic)
	send := func(text string) string {
		t.Helper()
		n := h.alert(text)
		checkAccepted(t, h.send(t, token, n), n.ID)
		return n.ID
	}
	var ids []string
	one := send("one")
	got := first.received(t, one)
	ids = append(ids, one)
	if got.Topic != h.Topic || !strings.Contains(string(got.Payload), `"one"`) {
		t.Errorf("got %+v, want the notification that was sent", got)
	}
	reader := readStream(t, socket, h.Topic, "")
	two := send("two")
	ids = append(ids, two)
	if diff := cmp.Diff(ids, reader.ids(t, 2)); diff != "" {
		t.Errorf("over the socket (-sent +read):\n%s", diff)
	}
	// The command runs in order and at least once: again for what a killed agent
	// had not noted yet.
	hasRun := func(want []string) {
		t.Helper()
		waitFor(t, "run of the command for each notification", deliverWithin, func() (string, bool) {
			return "", slices.Equal(slices.Compact(strings.Fields(read(t, ran))), want)
		})
	}
	hasRun(ids)

	// Without a word: what comes meanwhile waits at the push service.
	first.kill(t)
	if _, err := os.Lstat(socket); err != nil {
		t.Errorf("the socket of a process that was killed: %v", err)
	}
	three := send("three")
	ids = append(ids, three)
	second := startPhone(t, work, "--dir", "phone", "--json", "--exec", `echo "$HERALD_ID" >> `+ran)
	if got := second.token(t, h.Topic); got != token {
		t.Errorf("device token: got %s, want %s as before", got, token)
	}
	if e := second.received(t, three); !e.Stored {
		t.Errorf("got %+v, want that it was stored", e)
	}
	if diff := cmp.Diff([]string{two, three}, readStream(t, socket, h.Topic, one).ids(t, 2)); diff != "" {
		t.Errorf("over the socket, after the first (-sent +read):\n%s", diff)
	}
	hasRun(ids)
	second.stop(t)
	if _, err := os.Lstat(socket); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket after the end: got %v, want that it is gone", err)
	}
	events := second.events(t)
	if last := events[len(events)-1]; last.Event != "disconnected" || last.Reason != "the agent ended" {
		t.Errorf("last event: got %+v", last)
	}
	for _, e := range events {
		if e.Event == "notification" && e.ID != three {
			t.Errorf("got %+v in the second process, want the third notification alone", e)
		}
	}

	// The app goes, and the provider hears of it.
	o := program{args: []string{binary(t), "device", "uninstall", h.Topic, "--dir", "phone"}, dir: work}.mustRun(t)
	if !strings.Contains(o.stdout, "is uninstalled") {
		t.Errorf("uninstall: got %q", o.stdout)
	}
	third := startPhone(t, work, "--dir", "phone", "--json")
	third.wait(t, "connection", func(e event) bool { return e.Event == "connected" })
	waitFor(t, "410", deliverWithin, func() (answer, bool) {
		a := h.send(t, token, h.alert("to nobody"))
		return a, a.status == 410
	})
	third.stop(t)

	for _, p := range []*phone{first, second, third} {
		if got := p.stderr.String(); got != "" {
			t.Errorf("on standard error: got %s, want nothing", got)
		}
	}
}
