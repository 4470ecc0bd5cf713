package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/heraldpush/herald/portal"
)

// victimEnv names the database that a process of TestKill writes to.
const victimEnv = "HERALD_TEST_VICTIM"

// victimWriters is how many goroutines of a victim write.
const victimWriters = 8

// victim stores numbers and says each that is stored, until it is killed. If it
// returns, something failed.
func victim(path string) {
	ctx := context.Background()
	d, err := Open(ctx, path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	var writing sync.WaitGroup
	for w := range victimWriters {
		writing.Go(func() {
			for n := w; ; n += victimWriters {
				err := d.Portal().Update(ctx, func(tx portal.Tx) error {
					id := strconv.Itoa(n)
					if err := tx.Put("number", id, []byte(id)); err != nil {
						return err
					}
					return tx.Put("twin", id, []byte(id))
				})
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					return
				}
				if _, err := fmt.Fprintln(os.Stdout, n); err != nil { // one write
					return
				}
			}
		})
	}
	writing.Wait()
}

// TestKill proves that what was answered is there after a kill -9 at any
// moment, and that nothing is there by half.
func TestKill(t *testing.T) {
	rounds := 3
	if os.Getenv("HERALD_LONG") != "" {
		rounds = 100
	}
	path := newPath(t)
	for round := range rounds {
		said := kill(t, path, time.Duration(rand.Int64N(int64(200*time.Millisecond))))
		d := open(t, path)
		for number := range said {
			for _, kind := range []portal.Kind{"number", "twin"} {
				if got := read(t, d, kind, number); got != number {
					t.Errorf("round %d, %s %s, which was stored: got %q", round, kind, number, got)
				}
			}
		}
		if numbers, twins := count(t, d, "number"), count(t, d, "twin"); numbers != twins {
			t.Errorf("round %d: got %d numbers and %d twins, want as many", round, numbers, twins)
		}
		var verdict string
		if err := d.reads.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
			t.Errorf("round %d: integrity: got %q, %v", round, verdict, err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

// kill starts a victim, kills it some time after its first word, and returns
// what it said.
func kill(t *testing.T, path string, after time.Duration) map[string]bool {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), victimEnv+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make(map[string]bool)
	lines := bufio.NewReader(out)
	var killer *time.Timer
	for {
		line, err := lines.ReadString('\n')
		if err == io.EOF { // a line that was cut off was not said
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if killer == nil {
			killer = time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		}
		said[line[:len(line)-1]] = true
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the victim ended by itself")
	}
	if len(said) == 0 {
		t.Fatal("the victim stored nothing")
	}
	return said
}

// read returns the body of a record, "" if there is none.
func read(t *testing.T, d *Database, kind portal.Kind, id string) string {
	t.Helper()
	var body []byte
	err := d.Portal().View(t.Context(), func(tx portal.Tx) (err error) {
		body, err = tx.Get(kind, id)
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return string(body)
}

// count returns how many records of a kind there are.
func count(t *testing.T, d *Database, kind portal.Kind) (n int) {
	t.Helper()
	err := d.Portal().View(t.Context(), func(tx portal.Tx) error {
		return tx.Each(kind, func(string, []byte) error { n++; return nil })
	})
	if err != nil {
		t.Error(err)
	}
	return n
}
