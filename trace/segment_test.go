package trace

import (
	"bytes"
	"context"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
)

// writeSegment makes a folder with a segment of so many records that is not
// sealed, as a process that was killed leaves it, and returns the folder and the
// file.
func writeSegment(tb testing.TB, records int) (dir, path string) {
	tb.Helper()
	dir = tb.TempDir()
	d, err := openFolder(dir, MinBytes, DefaultMaxAge, discard(), time.Now())
	if err != nil {
		tb.Fatal(err)
	}
	var b []byte
	for n := range records {
		b = append(b, recordOf(Line{Hop: Accepted, ID: number(n), Address: apns.Address{Device: 5}})...)
	}
	checksum(b)
	if err := d.add(b, time.Now()); err != nil {
		tb.Fatal(err)
	}
	if err := d.active.file.Close(); err != nil {
		tb.Fatal(err)
	}
	return dir, d.active.path
}

func readFile(tb testing.TB, path string) []byte {
	tb.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func writeFile(tb testing.TB, path string, b []byte) {
	tb.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		tb.Fatal(err)
	}
}

// known returns how many of the first n lines are there.
func known(tb testing.TB, r *Recorder, n int) (found int) {
	tb.Helper()
	for i := range n {
		found += len(story(tb, r, number(i)))
	}
	return found
}

// A segment may end at any byte: what is whole is there, and the log says what
// was cut off.
func TestTorn(t *testing.T) {
	const records = 5
	dir, path := writeSegment(t, records)
	whole := readFile(t, path)
	for size := headerBytes; size <= len(whole); size++ {
		writeFile(t, path, whole[:size])
		var log bytes.Buffer
		r := open(t, Config{Dir: dir, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		want := (size - headerBytes) / recordBytes
		if got := known(t, r, records); got != want {
			t.Errorf("%d bytes: got %d lines, want %d", size, got, want)
		}
		if torn := (size - headerBytes) % recordBytes; want > 0 && (torn > 0) != strings.Contains(log.String(), "cut short") {
			t.Errorf("%d bytes, %d of them torn: the log says %q", size, torn, log.String())
		}
		r.Record(&Line{Hop: Accepted, ID: someID})
		r.Close()
		// The next start finds all of it sealed, and has nothing to say.
		log.Reset()
		r = open(t, Config{Dir: dir, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if got := known(t, r, records) + len(story(t, r, someID)); got != want+1 || log.Len() > 0 {
			t.Errorf("%d bytes, a second start: got %d lines, want %d; the log says %q", size, got, want+1, log.String())
		}
		r.Close()
		removeAll(t, dir)
	}
	// Not even the header was written.
	for size := range headerBytes {
		writeFile(t, path, whole[:size])
		r := open(t, Config{Dir: dir})
		r.Record(&Line{Hop: Accepted, ID: someID})
		if got := known(t, r, records) + len(story(t, r, someID)); got != 1 {
			t.Errorf("%d bytes: got %d lines, want 1", size, got)
		}
		r.Close()
		removeAll(t, dir)
	}
}

func removeAll(tb testing.TB, dir string) {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		tb.Fatal(err)
	}
	for _, f := range files {
		if err := os.Remove(f); err != nil {
			tb.Fatal(err)
		}
	}
}

// Damage anywhere in a sealed segment costs no more than the records it hit, or
// the segment if it hit the header.
func TestDamaged(t *testing.T) {
	const records = 40
	dir, path := writeSegment(t, records)
	open(t, Config{Dir: dir}).Close() // it is sealed by that
	whole := readFile(t, path)
	for range 80 {
		b := slices.Clone(whole)
		at := rand.IntN(len(b))
		b[at] ^= byte(1 + rand.IntN(255))
		writeFile(t, path, b)
		var log bytes.Buffer
		r := open(t, Config{Dir: dir, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		want := records
		switch {
		case at < headerBytes:
			want = 0
		case at < headerBytes+records*recordBytes:
			want = records - 1
		}
		if got := known(t, r, records); got != want {
			t.Errorf("byte %d of %d: got %d lines, want %d", at, len(b), got, want)
		}
		if at < headerBytes && strings.Count(log.String(), "passes over a segment") != 1 {
			t.Errorf("byte %d: the log says %q", at, log.String())
		}
		r.Record(&Line{Hop: Accepted, ID: someID})
		if len(story(t, r, someID)) != 1 {
			t.Errorf("byte %d: nothing new is recorded", at)
		}
		r.Close()
		removeAll(t, dir)
	}
}

// Files of others are left alone.
func TestForeign(t *testing.T) {
	dir := t.TempDir()
	names := []string{"thesis.txt", "1.trace", "zzzzzzzzzzzzzzzz.trace", "0000000000000001.trace.old"}
	for _, name := range names {
		writeFile(t, filepath.Join(dir, name), []byte("my life's work"))
	}
	r := open(t, Config{Dir: dir, MaxBytes: MinBytes})
	for n := range 2 * MinBytes / recordBytes {
		r.Record(&Line{Hop: Accepted, ID: number(n)})
		if n%20_000 == 0 {
			r.Stats()
			story(t, r, someID)
		}
	}
	r.Close()
	for _, name := range names {
		if got := readFile(t, filepath.Join(dir, name)); string(got) != "my life's work" {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

// A filter has what was put into it, and little else.
func TestFilter(t *testing.T) {
	for _, n := range []int{0, 1, 100, 20_000} {
		var keys []key
		for i := range n {
			keys = append(keys, keyOfID(idOf(number(i))))
		}
		f := newFilter(slices.Clone(keys))
		has := func(k key) bool {
			return k.mayBeIn(f[k.block(len(f)/blockBytes)*blockBytes:][:blockBytes])
		}
		for i, k := range keys {
			if !has(k) {
				t.Fatalf("%d keys: key %d is not there", n, i)
			}
		}
		wrong := 0
		const others = 20_000
		for i := range others {
			if has(keyOfID(idOf(number(n + i)))) {
				wrong++
			}
		}
		if share := float64(wrong) / others; share > 0.03 {
			t.Errorf("%d keys: %.1f %% false alarms", n, 100*share)
		}
	}
}

// What a search does not have to read, it does not.
func TestSearchReadsLittle(t *testing.T) {
	r := open(t, Config{Dir: t.TempDir(), MaxBytes: 16 * MinBytes})
	const lines = 100_000
	for n := range lines {
		r.Record(&Line{Hop: Accepted, ID: number(n), Address: apns.Address{Device: apns.DeviceOrdinal(n)}})
		if n%10_000 == 0 {
			story(t, r, someID)
		}
	}
	all, err := r.chapters(t.Context())
	if err != nil || len(all) < 10 {
		t.Fatalf("got %d chapters, %v", len(all), err)
	}
	for name, keys := range map[string][]key{"id": {keyOfID(idOf(number(lines / 2)))}, "device": {keyOfDevice(lines / 2)}} {
		read := 0
		for _, c := range all {
			if may, err := c.mayHave(keys); err != nil {
				t.Error(err)
			} else if may {
				read++
			}
		}
		if read < 1 || read > 4 { // the active one, and the one that has it
			t.Errorf("by %s: %d of %d segments are read", name, read, len(all))
		}
	}
}

// FuzzSegment opens what may be anything.
func FuzzSegment(f *testing.F) {
	dir, path := writeSegment(f, 3)
	f.Add(readFile(f, path))
	f.Add(readFile(f, path)[:headerBytes+recordBytes+1])
	open(f, Config{Dir: dir}).Close()
	f.Add(readFile(f, path))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		path := filepath.Join(dir, "0000000000000001.trace")
		writeFile(t, path, b)
		d, err := openFolder(dir, MinBytes, DefaultMaxAge, discard(), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		// Nothing goes on beside: what is covered depends on the input alone.
		r := &Recorder{cfg: Config{MaxAge: DefaultMaxAge, Logger: discard()}, keeper: d, work: make(chan struct{}, 1)}
		r.release()
		defer d.close()
		r.Record(&Line{Hop: Accepted, ID: someID})
		if lines := story(t, r, someID); len(lines) == 0 {
			t.Error("what was recorded is not there")
		}
		for n := range 3 {
			story(t, r, number(n))
		}
		if _, err := r.ByDevice(context.WithoutCancel(t.Context()), 5, apns.TopicHash{}, time.Time{}, 0); err != nil {
			t.Error(err)
		}
	})
}
