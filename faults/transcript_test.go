package faults_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/faults"
)

// start is when plans come into force in tests.
var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// mustParse reads a plan that is good.
func mustParse(tb testing.TB, text string) faults.Plan {
	tb.Helper()
	p, err := faults.Parse([]byte(text))
	if err != nil {
		tb.Fatalf("Parse(%s): %v", text, err)
	}
	return p
}

func newMachine(tb testing.TB, text string) *faults.Machine {
	tb.Helper()
	m, err := faults.NewMachine(mustParse(tb, text), start)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// actor reads the lines of a transcript and says what the machine answers.
type actor struct {
	machine *faults.Machine
	now     time.Time
}

// event reads "open 1", "push 1 topic=… team=… to=HEX age=5m" or "close 1"; "env=production" too.
func (a *actor) event(tb testing.TB, words []string) faults.Event {
	tb.Helper()
	ev := faults.Event{Now: a.now, Environment: apns.Sandbox, Kind: map[string]faults.EventKind{
		"open": faults.Opened, "push": faults.Requested, "close": faults.Closed,
	}[words[0]]}
	var err error
	if ev.Number, err = strconv.ParseUint(words[1], 10, 64); err != nil || ev.Kind == 0 {
		tb.Fatalf("%v: %v", words, err)
	}
	if ev.Kind == faults.Requested {
		ev.Topic, ev.Team = "com.example.demo", "ABCDE12345"
	}
	for _, w := range words[2:] {
		name, value, _ := strings.Cut(w, "=")
		switch name {
		case "env":
			err = ev.Environment.UnmarshalText([]byte(value))
		case "topic":
			ev.Topic = apns.Topic(value)
		case "team":
			ev.Team = apns.TeamID(value)
		case "to":
			ev.DeviceToken, err = apns.ParseDeviceToken(value)
		case "age":
			var age time.Duration
			age, err = time.ParseDuration(value)
			ev.IssuedAt = a.now.Add(-age)
		default:
			tb.Fatalf("unknown word %q", w)
		}
		if err != nil {
			tb.Fatalf("%s: %v", w, err)
		}
	}
	return ev
}

// act returns what a command brings forth, a line.
func (a *actor) act(tb testing.TB, command string) string {
	tb.Helper()
	verb, rest, _ := strings.Cut(command, " ")
	switch verb {
	case "plan":
		a.machine, a.now = newMachine(tb, rest), start
		return mustParse(tb, rest).String()
	case "sleep":
		d, err := time.ParseDuration(rest)
		if err != nil {
			tb.Fatal(err)
		}
		a.now = a.now.Add(d)
		return a.now.Sub(start).String()
	case "times":
		return fmt.Sprint(a.machine.Times())
	default:
		return a.machine.Decide(a.event(tb, strings.Fields(command))).String()
	}
}

// TestTranscripts plays each transcript: a line that begins with "> " is a command,
// the next one what it brings forth. HERALD_UPDATE=1 writes them anew.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("transcripts: got %d, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var a actor
			var got []string
			for line := range strings.Lines(string(b)) {
				line = strings.TrimSuffix(line, "\n")
				command, ok := strings.CutPrefix(line, "> ")
				switch {
				case ok:
					got = append(got, line, a.act(t, command))
				case line == "" || strings.HasPrefix(line, "#"):
					got = append(got, line)
				}
			}
			text := strings.Join(got, "\n") + "\n"
			if os.Getenv("HERALD_UPDATE") != "" {
				if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(b), text); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
