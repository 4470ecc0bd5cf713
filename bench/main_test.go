package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/heraldpush/herald/platform/bench"
)

// TestMain makes this program a part of the bench where it is told to.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "part" {
		if err := run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, io.Discard); err != nil {
			_, _ = os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// TestPush has each client push in each phase, and reads what scripts read.
func TestPush(t *testing.T) {
	var out, progress bytes.Buffer
	args := strings.Fields("push --json --phases blocking,bulk,delayed,unbatched --rounds 1 --count 400 --goroutines 20 --streams 50")
	if err := run(t.Context(), args, nil, &out, &progress); err != nil {
		t.Fatalf("%v\n%s", err, &progress)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var last struct {
		US               float64 `json:"us_per_push"`
		Sideshow         float64 `json:"ratio_sideshow"`
		NetHTTP          float64 `json:"ratio_nethttp"`
		USBlocking       float64 `json:"us_per_push_blocking"`
		SideshowBlocking float64 `json:"ratio_sideshow_blocking"`
		Phases           []struct {
			Senders []struct{ Sender string }
		}
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
		t.Fatal(err)
	}
	if last.US <= 0 || last.Sideshow <= 0 || last.NetHTTP <= 0 || last.USBlocking <= 0 || last.SideshowBlocking <= 0 {
		t.Errorf("not measured: %+v", last)
	}
	for _, phase := range last.Phases {
		var names []string
		for _, s := range phase.Senders {
			names = append(names, s.Sender)
		}
		if got, want := strings.Join(names, " "), bench.Herald+" "+bench.Sideshow+" "+bench.NetHTTP; got != want {
			t.Errorf("senders: got %s, want %s", got, want)
		}
	}
	if len(last.Phases) != 4 {
		t.Errorf("got %d phases, want 4", len(last.Phases))
	}
}

func TestTable(t *testing.T) {
	var out, progress bytes.Buffer
	if err := run(t.Context(), strings.Fields("push --phases blocking --rounds 1 --count 200"), nil, &out, &progress); err != nil {
		t.Fatalf("%v\n%s", err, &progress)
	}
	for _, want := range []string{"blocking: 100 goroutines on 1 connection", "sideshow/apns2", "x herald"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &out)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, args := range []string{"", "dance", "push now", "push --count -1", "push --phases dance", "push --target 192.0.2.1:443"} {
		var out, progress bytes.Buffer
		if err := run(t.Context(), strings.Fields(args), nil, &out, &progress); err == nil || out.Len() > 0 {
			t.Errorf("%q: got %v and %q, want an error alone", args, err, &out)
		}
	}
}
