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

	"github.com/google/go-cmp/cmp"

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
	if err := c.run(t.Context(), e); err != nil {
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
		err := c.run(t.Context(), event(`{}`))
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

// TestCommandsInOrder runs many commands: those of an app one by one, in
// order; those of several side by side.
func TestCommandsInOrder(t *testing.T) {
	out := new(output)
	a := &agent{cfg: Config{
		Command: `read -r line; echo "$HERALD_TOPIC $HERALD_BODY"`, CommandOutput: out, CommandTimeout: time.Minute,
		Logger: slog.New(slog.DiscardHandler),
	}}
	var err error
	if a.inbox, _, err = openInbox(t.TempDir(), defaultLimits); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	a.startWork(ctx)
	topics := []apns.Topic{"a.b", "a.c"}
	var want []string
	for n := range 20 {
		for _, topic := range topics {
			m := device.Notification{Notification: apns.Notification{Topic: topic, Payload: apns.Payload(fmt.Sprintf(`{"aps":{"alert":"%d"}}`, n))}}
			a.current = m
			a.show(device.Presentation{Topic: topic})
		}
		want = append(want, fmt.Sprint(n))
	}
	a.finishWork(stop)
	for _, topic := range topics {
		var got []string
		for line := range strings.Lines(out.String()) {
			if of, n, _ := strings.Cut(strings.TrimSpace(line), " "); of == string(topic) {
				got = append(got, n)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", topic, diff)
		}
	}
	if err := a.inbox.journal.close(); err != nil {
		t.Error(err)
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
