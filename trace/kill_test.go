package trace

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// victimEnv names the folder that a process of TestKill records to.
const victimEnv = "HERALD_TEST_VICTIM"

func TestMain(m *testing.M) {
	if dir := os.Getenv(victimEnv); dir != "" {
		victim(dir)
		return
	}
	os.Exit(m.Run())
}

// victim records lines without end, and says now and then up to which one they
// are kept.
func victim(dir string) {
	r, err := Open(Config{Dir: dir, MaxBytes: 8 * MinBytes})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	for n := 0; ; n++ {
		r.Record(&Line{Hop: Accepted, ID: number(n)})
		if n%97 != 0 {
			continue
		}
		r.keep(time.Now())
		if _, err := fmt.Fprintln(os.Stdout, n); err != nil {
			return
		}
	}
}

// TestKill proves that lines which were taken to the folder are there after a
// kill -9 at any moment, and that the next start goes on.
func TestKill(t *testing.T) {
	rounds := 3
	if os.Getenv("HERALD_LONG") != "" {
		rounds = 50
	}
	for round := range rounds {
		dir := t.TempDir()
		last := kill(t, dir, time.Duration(rand.Int64N(int64(150*time.Millisecond))))
		r := open(t, Config{Dir: dir, MaxBytes: 8 * MinBytes})
		for n := max(0, last-20_000); n <= last; n += 1 + (last-n)/50 {
			if got := len(story(t, r, number(n))); got != 1 {
				t.Fatalf("round %d: line %d of %d: got %d lines, want 1", round, n, last, got)
			}
		}
		r.Close()
	}
}

// kill starts a victim, kills it some time after its first word, and returns
// what it said last.
func kill(t *testing.T, dir string, after time.Duration) (last int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), victimEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last = -1
	for lines := bufio.NewReader(out); ; {
		line, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) { // a line that was cut off was not said
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if last < 0 {
			time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		}
		if last, err = strconv.Atoi(strings.TrimSuffix(line, "\n")); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the victim ended by itself")
	}
	if last < 0 {
		t.Fatal("the victim kept nothing")
	}
	return last
}
