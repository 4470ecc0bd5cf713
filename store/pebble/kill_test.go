package pebble

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/spool"
)

// victimEnv names the folder that a process of TestKill writes to.
const victimEnv = "HERALD_TEST_VICTIM"

// victimWriters is how many goroutines of a victim write, each to a device of its
// own.
const victimWriters = 8

// victim puts notifications, deletes some, and says each that was put, until it is
// killed. If it returns, something failed.
func victim(dir string) {
	ctx := context.Background()
	s, err := Open(dir, Config{MemTableBytes: 256 << 10})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	from := int(time.Now().UnixMicro()) // beyond all of the victims before
	var writing sync.WaitGroup
	for w := range victimWriters {
		writing.Go(func() {
			for i := from; ; i++ {
				writes := []spool.Write{victimWrite(w, 1, i), victimWrite(w, 2, i)}
				err := s.Put(ctx, writes)
				if err == nil && i%3 == 0 {
					err = s.Delete(ctx, []spool.Version{{Address: writes[1].Address, Timestamp: 1}, writes[1].Version()})
				}
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					return
				}
				if _, err := fmt.Fprintln(os.Stdout, w, i); err != nil { // one write
					return
				}
			}
		})
	}
	writing.Wait()
}

// victimWrite is the ith of a writer.
func victimWrite(writer int, topic byte, i int) spool.Write {
	w := someWrite(i, 1)
	w.Address = apns.Address{Device: apns.DeviceOrdinal(writer + 1), Environment: apns.Production, Topic: apns.TopicHash{topic}}
	w.Timestamp = spool.Timestamp(i) * 1000
	w.RepeatKey = spool.RepeatKey{byte(writer), topic, 1}
	copy(w.RepeatKey[3:], strconv.Itoa(i)[3:])
	w.RepeatUntil = w.Timestamp.Time().Add(time.Hour)
	return w
}

// TestKill proves that what was confirmed is there after a kill -9 at any moment,
// is recognised when it is repeated, and that the store knows what it holds.
func TestKill(t *testing.T) {
	rounds := 3
	if os.Getenv("HERALD_LONG") != "" {
		rounds = 100
	}
	dir := filepath.Join(t.TempDir(), "spool")
	for round := range rounds {
		last := kill(t, dir, time.Duration(rand.Int64N(int64(300*time.Millisecond))))
		s, err := Open(dir, Config{})
		if err != nil {
			t.Fatal(err)
		}
		audit(t, s)
		for writer, i := range last {
			list, err := s.Load(t.Context(), spool.Mailbox{Device: apns.DeviceOrdinal(writer + 1), Environment: apns.Production}, 10)
			if err != nil {
				t.Fatal(err)
			}
			if want := victimWrite(writer, 1, i); len(list) == 0 || list[0].Address == want.Address && list[0].Timestamp < want.Timestamp ||
				list[0].Address != want.Address && (len(list) < 2 || list[1].Timestamp < want.Timestamp) {
				t.Errorf("round %d, writer %d: got %d entries, want number %d or a later one", round, writer, len(list), i)
			}
			again := []spool.Write{victimWrite(writer, 1, i)}
			if err := s.Put(t.Context(), again); err != nil || !again[0].Repeat {
				t.Errorf("round %d, writer %d: putting number %d again: got repeat %t, %v, want a repeat", round, writer, i, again[0].Repeat, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// kill starts a victim, kills it some time after its first word, and returns the
// last number that each of its writers said.
func kill(t *testing.T, dir string, after time.Duration) map[int]int {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), victimEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last := map[int]int{}
	lines := bufio.NewReader(out)
	var killer *time.Timer
	for {
		line, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) { // a line that was cut off was not said
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if killer == nil {
			killer = time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		}
		writer, number, _ := strings.Cut(strings.TrimSpace(line), " ")
		w, werr := strconv.Atoi(writer)
		n, nerr := strconv.Atoi(number)
		if err := errors.Join(werr, nerr); err != nil {
			t.Fatal(err)
		}
		last[w] = max(last[w], n)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the victim ended by itself")
	}
	if len(last) == 0 {
		t.Fatal("the victim stored nothing")
	}
	return last
}
