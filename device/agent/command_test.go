//go:build unix

package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/device"
)

// output collects what commands print.
type output struct {
	mu   sync.Mutex
	text strings.Builder // guarded by mu
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func event(payload string) Event {
	n := device.Notification{
		Notification: apns.Notification{
			ID: "eabeae54-14a8-11e5-b60b-1697f925ec7b", Topic: "com.example.demo", PushType: apns.PushTypeAlert,
			Priority: 5, CollapseID: "$(touch collapse)", Payload: apns.Payload(payload),
		},
		ReceivedAt: time.Unix(1, 0),
	}
	return received(n, device.Presentation{InterruptionLevel: apns.InterruptionActive, Listed: true})
}

// TestCommand gives a command what strangers wrote: nothing of it is run, and
// all of it arrives.
func TestCommand(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HERALD_ENROL_CODE", "secret-code")
	t.Setenv("HERALD_API_KEY", "secret-key")
	out := new(output)
	payload := `{"aps":{"alert":{"title":"$(touch title)","subtitle":"` + "`touch subtitle`" + `","body":"'; touch body; \"\n--x\u0000y"},"sound":"; touch sound","badge":0},"secret":1}`
	c := newCommand(Config{
		Command:       `cd ` + dir + ` && cat >stdin && printf '%s|' "$HERALD_TITLE" "$HERALD_SUBTITLE" "$HERALD_BODY" "$HERALD_SOUND" && env | grep ^HERALD_`,
		CommandOutput: out, CommandTimeout: time.Minute, Logger: slog.New(slog.DiscardHandler),
	})
	e := event(payload)
	doc, err := e.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.run(t.Context(), doc); err != nil {
		t.Fatalf("got %v\n%s", err, out)
	}
	var got Event
	b, err := os.ReadFile(filepath.Join(dir, "stdin"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &got); err != nil || !strings.HasSuffix(string(b), "}\n") {
		t.Fatalf("standard input: got %q: %v", b, err)
	}
	if got.ID != e.ID || string(got.Payload) != payload {
		t.Errorf("standard input: got %s, want the notification", b)
	}
	text, env, _ := strings.Cut(out.String(), "|HERALD_")
	if want := "$(touch title)|`touch subtitle`|'; touch body; \"\n--xy|; touch sound"; text != want {
		t.Errorf("texts: got %q, want %q", text, want)
	}
	for _, want := range []string{
		"TOPIC=com.example.demo", "ID=eabeae54-14a8-11e5-b60b-1697f925ec7b", "PRIORITY=5", "PUSH_TYPE=alert",
		"COLLAPSE_ID=$(touch collapse)", "BADGE=0", "SHOWN=true", "INTERRUPTION_LEVEL=active",
	} {
		if !strings.Contains("\nHERALD_"+env, "\nHERALD_"+want+"\n") {
			t.Errorf("environment: got\n%s\nwant %s", env, want)
		}
	}
	if strings.Contains(env, "secret") {
		t.Errorf("environment: got\n%s\nwant no secrets", env)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Errorf("the folder has %v (%v), want the standard input alone", files, err)
	}
}

func TestCommandFails(t *testing.T) {
	for _, tt := range []struct {
		name, line string
		timeout    time.Duration
		want       string
	}{
		{"good", "true", time.Minute, ""},
		{"reads nothing", "exit 0", time.Minute, ""},
		{"bad", "exit 3", time.Minute, "the command ended badly: exit status 3"},
		{"no such program", "exec /no/such/program 2>/dev/null", time.Minute, "exit status 127"},
		{"too long", "sleep 100 | cat", 50 * time.Millisecond, "the command was ended after 50ms"},
		{"leaves a process behind", "sleep 3 & exit 0", time.Minute, ""},
	} {
		c := newCommand(Config{Command: tt.line, CommandTimeout: tt.timeout, CommandOutput: new(output), Logger: slog.New(slog.DiscardHandler)})
		from := time.Now()
		doc, err := event(`{}`).JSON()
		if err != nil {
			t.Fatal(err)
		}
		err = c.run(t.Context(), doc)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != tt.want && (tt.want == "" || !strings.Contains(got, tt.want)) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
		if took := time.Since(from); took > 30*time.Second {
			t.Errorf("%s took %v", tt.name, took)
		}
	}
}

// TestCommandsGoOn ends an agent while commands are to be run: the next one
// goes on with them, in order, and one without commands skips them.
func TestCommandsGoOn(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	name := func(s string) string { return filepath.Join(dir, s) }
	w.cfg.Command = `echo "$HERALD_BODY" >>` + name("log") + `; test ! -e ` + name("block") + ` || exec sleep 1000`
	if err := os.WriteFile(name("block"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	logged := func(want string) {
		t.Helper()
		w.until(func() bool {
			b, err := os.ReadFile(name("log"))
			return err == nil && string(b) == want
		})
	}
	push := func(bodies ...string) {
		t.Helper()
		for _, body := range bodies {
			w.push(fmt.Sprintf(`{"aps":{"alert":%q}}`, body))
		}
	}
	w.start()
	w.agent.finishWithin = 10 * time.Millisecond
	push("one", "two", "three")
	logged("one\n")
	w.end()
	if err := os.Remove(name("block")); err != nil {
		t.Fatal(err)
	}
	w.events = nil
	w.cfg.EnrolmentCode = ""
	w.start()
	logged("one\none\ntwo\nthree\n")
	w.end()

	command := w.cfg.Command
	w.events, w.cfg.Command = nil, ""
	w.start()
	push("four")
	w.end()
	w.events, w.cfg.Command = nil, command
	w.start()
	push("five")
	logged("one\none\ntwo\nthree\nfive\n")
	w.end()
	for _, e := range w.all() {
		if e.Kind == Failed {
			t.Errorf("got %+v", e)
		}
	}
}

// TestQueue has a consumer that is stuck: what it cannot have is lost, the
// oldest first, and its producer never waits.
func TestQueue(t *testing.T) {
	var consumers sync.WaitGroup
	var got, lost []string
	stuck, began := make(chan struct{}), make(chan struct{})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	q := newQueue(ctx, &consumers, func(_ context.Context, e Event) {
		if len(got) == 0 {
			close(began)
			<-stuck
		}
		got = append(got, e.Reason)
	}, func(e Event) { lost = append(lost, e.Reason) })
	put := func(n int) { q.put(Event{Reason: fmt.Sprint(n)}) }
	put(0)
	<-began
	for n := 1; n <= queued+3; n++ {
		put(n)
	}
	if want := []string{"1", "2", "3"}; !slices.Equal(lost, want) {
		t.Errorf("lost: got %v, want %v", lost, want)
	}
	close(stuck)
	q.close()
	consumers.Wait()
	if len(got) != queued+1 || got[0] != "0" || got[1] != "4" {
		t.Errorf("got %d events from %v on, want %d", len(got), got[:2], queued+1)
	}
}
