package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/heraldpush/herald/apns"
)

// contents is what an inbox has, to compare.
type contents map[apns.Topic][]string

func (i *inbox) contents() contents {
	c := make(contents)
	for topic, b := range i.boxes {
		lines := []string{fmt.Sprintf("given %d, done %d of %d", b.given, b.done, b.last)}
		for _, l := range b.letters {
			lines = append(lines, fmt.Sprintf("%d %s %s", l.number, l.id, l.doc))
		}
		c[topic] = lines
	}
	return c
}

// reopen closes an inbox and opens it again.
func reopen(t interface {
	Helper()
	Fatal(...any)
}, i *inbox, dir string,
) *inbox {
	t.Helper()
	if err := i.journal.close(); err != nil {
		t.Fatal(err)
	}
	again, damaged, err := openInbox(dir, i.limits, i.commands)
	if err != nil || damaged != 0 {
		t.Fatal(damaged, err)
	}
	return again
}

// TestInboxOutlivesProcesses does random things to an inbox, and finds them in
// the next process.
func TestInboxOutlivesProcesses(t *testing.T) {
	topics := []apns.Topic{"a.b", "a.c", "d"}
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "inbox-") //nolint:usetesting // one for each of many checks
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		i, _, err := openInbox(dir, limits{perApp: 5, perAppBytes: 1000, bytes: 2000}, true)
		if err != nil {
			t.Fatal(err)
		}
		topic := rapid.SampledFrom(topics)
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				size := rapid.SampledFrom([]int{0, 10, 300, 990}).Draw(t, "size")
				doc := fmt.Appendf(nil, `"<%s>"`, strings.Repeat("x", size))
				topic := topic.Draw(t, "topic")
				if _, err := i.open(topic); err != nil {
					t.Fatal(err)
				}
				if err := i.add(topic, apns.NotificationID(apns.NewUUID()), doc); err != nil {
					t.Fatal(err)
				}
			},
			"read": func(t *rapid.T) {
				r, _, err := i.read(topic.Draw(t, "topic"), "")
				if err != nil {
					return // not there
				}
				if n := r.next(); len(n.letters) > 0 {
					if err := r.has(n.letters[rapid.IntRange(0, len(n.letters)-1).Draw(t, "upto")].number); err != nil {
						t.Fatal(err)
					}
				}
				r.close()
			},
			"run": func(t *rapid.T) {
				topic := topic.Draw(t, "topic")
				b, err := i.open(topic)
				if err != nil {
					t.Fatal(err)
				}
				w, err := i.undone(topic, b)
				if err != nil {
					t.Fatal(err)
				}
				if w.letter != nil {
					if err := i.did(topic, b, w.letter.number); err != nil {
						t.Fatal(err)
					}
				}
			},
			"remove": func(t *rapid.T) {
				if err := i.remove(topic.Draw(t, "topic")); err != nil {
					t.Fatal(err)
				}
			},
			"reopen": func(t *rapid.T) {
				was := i.contents()
				i = reopen(t, i, dir)
				if diff := cmp.Diff(was, i.contents()); diff != "" {
					t.Fatalf("after a restart (-was +is):\n%s", diff)
				}
			},
		})
		if err := i.journal.close(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestInboxBounds fills an inbox: the oldest go, and the journal does not grow
// without end.
func TestInboxBounds(t *testing.T) {
	dir := t.TempDir()
	l := limits{perApp: 50, perAppBytes: 40_000, bytes: 100_000}
	i, _, err := openInbox(dir, l, false)
	if err != nil {
		t.Fatal(err)
	}
	doc := []byte(`"` + strings.Repeat("x", 998) + `"`)
	largest := int64(0)
	for n := range 3000 {
		if err := i.add("a.b", apns.NotificationID(fmt.Sprint(n)), doc); err != nil {
			t.Fatal(err)
		}
		largest = max(largest, i.journal.written)
	}
	b := i.boxes["a.b"]
	if b.bytes != 40_000 || i.bytes != b.bytes || len(b.letters) != 40 || b.letters[0].number != 2961 {
		t.Errorf("kept %d letters in %d bytes, want the last 40", len(b.letters), b.bytes)
	}
	if limit := int64(3*l.bytes + 2*spareBytes); largest > limit {
		t.Errorf("the journal had %d bytes, want at most %d", largest, limit)
	}
	for n := range 4 {
		for range 40 {
			if err := i.add(apns.Topic(fmt.Sprintf("a.b%d", n)), "id", doc); err != nil {
				t.Fatal(err)
			}
		}
	}
	if i.bytes != l.bytes || len(b.letters) != 0 {
		t.Errorf("kept %d bytes and %d letters of the oldest app, want %d and none", i.bytes, len(b.letters), l.bytes)
	}
	small := []byte(`""`)
	for n := range 100 {
		if err := i.add("c.d", apns.NotificationID(fmt.Sprint(n)), small); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(i.boxes["c.d"].letters); got != l.perApp {
		t.Errorf("kept %d small letters, want %d", got, l.perApp)
	}
	again := reopen(t, i, dir)
	if diff := cmp.Diff(i.contents(), again.contents()); diff != "" {
		t.Errorf("after a restart (-was +is):\n%s", diff)
	}
	if err := again.journal.close(); err != nil {
		t.Error(err)
	}
}

// TestInboxDamaged opens what a crash, or somebody, left.
func TestInboxDamaged(t *testing.T) {
	good := `{"topic":"a.b","number":1,"id":"x","doc":{}}` + "\n"
	for _, tt := range []struct {
		name, text string
		damaged    int
		letters    int
	}{
		{"nothing", "", 0, 0},
		{"good", good, 0, 1},
		{"torn", good + `{"topic":"a.b","num`, 1, 1},
		{"zeroes after a crash of the machine", good + strings.Repeat("\x00", 4096), 1, 1},
		{"a hole", `{"topic":"a.b","number":3,"id":"x","doc":{}}` + "\n" + good, 1, 1},
		{"a mark beyond", good + `{"topic":"a.b","given":7}` + "\n", 1, 1},
		{"no topic", `{"topic":"..","number":1,"id":"x","doc":{}}` + "\n" + good, 1, 1},
		{"an empty line", "\n" + good, 1, 1},
		{"a long line", strings.Repeat("x", maxLine+10) + "\n" + good, 1, 1},
		{"a long line at the end", good + strings.Repeat("x", maxLine+10), 1, 1},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, journalFile)
		if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		i, damaged, err := openInbox(dir, defaultLimits, true)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		letters := 0
		if b := i.boxes["a.b"]; b != nil {
			letters = len(b.letters)
		}
		if damaged != tt.damaged || letters != tt.letters {
			t.Errorf("%s: got %d damaged lines and %d letters, want %d and %d", tt.name, damaged, letters, tt.damaged, tt.letters)
		}
		again := reopen(t, i, dir) // what was damaged is gone
		if err := again.journal.close(); err != nil {
			t.Error(err)
		}
	}
}

// FuzzJournal opens any journal, and what it wrote once more.
func FuzzJournal(f *testing.F) {
	f.Add([]byte(`{"topic":"a.b","number":1,"id":"x","doc":{}}` + "\n" + `{"topic":"a.b","given":1}` + "\n"))
	f.Add([]byte(`{"topic":"a.b","last":41}` + "\n" + `{"topic":"a.b","number":42,"id":"x","doc":[1]}` + "\n" + `{"topic":"a.b","gone":true}` + "\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, journalFile), text, 0o600); err != nil {
			t.Fatal(err)
		}
		i, _, err := openInbox(dir, defaultLimits, true)
		if err != nil {
			t.Fatal(err)
		}
		was := i.contents()
		again := reopen(t, i, dir)
		if diff := cmp.Diff(was, again.contents()); diff != "" {
			t.Errorf("read, written and read (-once +twice):\n%s", diff)
		}
		if err := again.journal.close(); err != nil {
			t.Error(err)
		}
	})
}
