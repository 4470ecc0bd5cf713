package device

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/wire"
)

// openJournal returns the journal of a folder, ready for writing.
func openJournal(tb testing.TB, dir string) *journal {
	tb.Helper()
	j, err := folder{dir: dir}.loadJournal(slog.New(slog.DiscardHandler))
	if err == nil {
		err = j.open()
	}
	if err != nil {
		tb.Fatal(err)
	}
	return j
}

func (j *journal) mustClose(tb testing.TB) {
	tb.Helper()
	if err := j.close(); err != nil {
		tb.Fatal(err)
	}
}

// arriving returns a notification as a session receives it.
func arriving(stamp uint64, payload string) *received {
	n := wire.Notification{
		DeviceToken: apns.DeviceToken(fill("A")), TopicHash: apns.Topic("com.example.demo").Hash(),
		MessageID: uint32(stamp), Timestamp: stamp, Payload: apns.Payload(payload),
	}
	entry, _ := entryFor(n.DeviceToken, stamp)
	return &received{notification: Notification{ReceivedAt: time.Now()}, source: n, entry: entry}
}

// payloads returns what a journal would hand, in order.
func (j *journal) payloads(t *testing.T) (all []string) {
	t.Helper()
	for _, u := range j.ready(func(hash) (bool, bool) { return true, true }) {
		n, err := u.notification()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(n.Payload))
	}
	return all
}

func TestJournalKeepsWhatWasNotHanded(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	var all []*received
	for i := range uint64(5) {
		all = append(all, arriving(i+1, fmt.Sprintf(`{"n":%d}`, i)))
	}
	if err := errors.Join(j.commit(all[:2]), j.commit(all[2:])); err != nil {
		t.Fatal(err)
	}
	j.note(all[1].sequence, shown|handed)
	j.note(all[3].sequence, shown)
	// The process is killed: nothing is closed.
	for range 3 { // also when it is written anew
		j = openJournal(t, dir)
		if diff := cmp.Diff([]string{`{"n":0}`, `{"n":2}`, `{"n":3}`, `{"n":4}`}, j.payloads(t)); diff != "" {
			t.Errorf("not handed (-want +got):\n%s", diff)
		}
		for i, r := range all {
			if !j.has(r.entry, time.Now()) {
				t.Errorf("notification %d: got it forgotten", i)
			}
		}
		if u := j.unhanded[all[3].sequence]; u == nil || u.done != shown || !u.earlier {
			t.Errorf("shown one: got %+v", u)
		}
	}
	next := arriving(9, `{}`)
	if err := j.commit([]*received{next}); err != nil || next.sequence != 6 {
		t.Errorf("next: got sequence number %d and %v, want 6", next.sequence, err)
	}
	j.mustClose(t)
}

// TestJournalTornAnywhere cuts a journal at each byte of what was not on the
// disk for certain: what was before is there, and none but it.
func TestJournalTornAnywhere(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	if err := j.commit([]*received{arriving(1, `{"n":1}`)}); err != nil {
		t.Fatal(err)
	}
	whole := j.size
	if err := j.commit([]*received{arriving(2, `{"n":2}`), arriving(3, `{"n":3}`)}); err != nil {
		t.Fatal(err)
	}
	j.mustClose(t)
	data, err := os.ReadFile(filepath.Join(dir, journalFile))
	if err != nil {
		t.Fatal(err)
	}
	for n := range data {
		c, err := parseJournal(data[:n])
		if err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if int64(n) >= whole && len(c.unhanded) == 0 {
			t.Errorf("%d bytes: got nothing, want what was on the disk", n)
		}
		// The rest of the batch may be there where its middle is not.
		torn := append([]byte(nil), data...)
		torn[n] ^= 0x5a
		c, err = parseJournal(torn)
		switch {
		case int64(n) < whole && !errors.Is(err, errDamaged):
			t.Errorf("byte %d of what was on the disk changed: got %d notifications and %v", n, len(c.unhanded), err)
		case int64(n) >= whole && (err != nil || len(c.unhanded) == 0):
			t.Errorf("byte %d of what was not on the disk changed: got %d notifications and %v", n, len(c.unhanded), err)
		}
	}
}

func TestJournalDamaged(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, journalFile), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := New(Config{
		Courier: "courier.test:5223", Environment: apns.Sandbox, Dir: dir,
		Activation: "https://activation.test/", EnrolmentCode: "code",
	})
	if err == nil || !strings.Contains(err.Error(), "received.journal: damaged") || !strings.Contains(err.Error(), "move it away") {
		t.Errorf("New: got %v, want the file and the remedy", err)
	}
}

func TestJournalIsWrittenAnew(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	kept := arriving(1, `{"kept":true}`)
	if err := j.commit([]*received{kept}); err != nil {
		t.Fatal(err)
	}
	payload := `{"x":"` + strings.Repeat("x", 4000) + `"}`
	stamp, most := uint64(1), int64(0)
	for range 20 {
		var batch []*received
		for range queuedOutcomes {
			stamp++
			batch = append(batch, arriving(stamp, payload))
		}
		if err := j.commit(batch); err != nil {
			t.Fatal(err)
		}
		for _, r := range batch {
			j.note(r.sequence, handed)
		}
		most = max(most, j.size)
	}
	j.mustClose(t)
	if limit := int64(compactAbove + 2*queuedOutcomes*5000); most > limit {
		t.Errorf("size: got up to %d, want at most %d", most, limit)
	}
	j = openJournal(t, dir)
	if got := j.payloads(t); len(got) != 1 || !j.has(kept.entry, time.Now()) {
		t.Errorf("not handed: got %d, want the one", len(got))
	}
	if got := j.size; got > 1<<20 {
		t.Errorf("size at rest: got %d", got)
	}
	j.mustClose(t)
}

func TestWaitingIsBounded(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	var all []*received
	for i := range uint64(maxWaiting + 10) {
		all = append(all, arriving(i+1, fmt.Sprintf(`{"n":%d}`, i)))
	}
	if err := j.commit(all); err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		j.wait(r.sequence)
	}
	for range 2 {
		got := j.payloads(t)
		if len(got) != maxWaiting || got[0] != `{"n":10}` {
			t.Errorf("waiting: got %d from %s on, want the last %d", len(got), got[0], maxWaiting)
		}
		j = openJournal(t, dir)
	}
	j.mustClose(t)
}

func TestJournalThatCanNotBeWritten(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	if err := j.file.Close(); err != nil { // a disk that fails
		t.Fatal(err)
	}
	r := arriving(1, `{}`)
	err := j.commit([]*received{r})
	if broken := new(folderError); !errors.As(err, &broken) || !errors.Is(err, fs.ErrClosed) {
		t.Errorf("commit: got %v, want an error of the folder", err)
	}
	if j.has(r.entry, time.Now()) {
		t.Error("what was not written is known")
	}
	if err := j.open(); err != nil {
		t.Fatal(err)
	}
	if err := j.commit([]*received{r}); err != nil || !j.has(r.entry, time.Now()) {
		t.Errorf("commit once the disk works: got %v", err)
	}
	if err := j.file.Close(); err != nil {
		t.Fatal(err)
	}
	j.note(r.sequence, handed)
	if err := j.commit([]*received{arriving(2, `{}`)}); err == nil {
		t.Error("commit after a note that could not be written: got no error")
	}
}

func FuzzJournal(f *testing.F) {
	dir := f.TempDir()
	j := openJournal(f, dir)
	all := []*received{arriving(1, `{"aps":{"alert":"hi"}}`), arriving(2, `{}`)}
	if err := errors.Join(j.commit(all), j.commit([]*received{arriving(3, `{}`)})); err != nil {
		f.Fatal(err)
	}
	j.note(all[0].sequence, handed)
	j.mustClose(f)
	data, err := os.ReadFile(filepath.Join(dir, journalFile))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(remembered{at: 5}.append([]byte(journalMagic)))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseJournal(data)
		if err != nil && !errors.Is(err, errDamaged) {
			t.Fatalf("got %v, want an error that says damaged", err)
		}
		for _, u := range c.unhanded {
			if _, err := u.notification(); err != nil || u.sequence > c.last || u.done&handed != 0 {
				t.Fatalf("got %+v with %v", u, err)
			}
		}
	})
}

// BenchmarkJournal is many notifications at once, as the pipeline commits them:
// what has come while the disk was busy goes together.
func BenchmarkJournal(b *testing.B) {
	for _, size := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("together=%d", size), func(b *testing.B) {
			j := openJournal(b, b.TempDir())
			stamp := uint64(0)
			for b.Loop() {
				batch := make([]*received, size)
				for i := range batch {
					stamp++
					batch[i] = arriving(stamp, `{"aps":{"alert":{"title":"Dinner","body":"At eight"},"sound":"default"}}`)
				}
				if err := j.commit(batch); err != nil {
					b.Fatal(err)
				}
				for _, r := range batch {
					j.note(r.sequence, shown|handed)
				}
			}
			b.ReportMetric(float64(size)*float64(b.N)/b.Elapsed().Seconds(), "notifications/s")
			j.mustClose(b)
		})
	}
}

// TestJournalFromManySides is for the race detector: commits, notes and
// questions at once.
func TestJournalFromManySides(t *testing.T) {
	j := openJournal(t, t.TempDir())
	var sides sync.WaitGroup
	var last atomic.Uint64
	sides.Go(func() {
		for last.Load() < 200 {
			for s := range last.Load() {
				j.note(s+1, handed)
			}
			j.has(historyEntry{1}, time.Now())
		}
	})
	for i := range uint64(200) {
		r := arriving(i+1, `{}`)
		if err := j.commit([]*received{r}); err != nil {
			t.Fatal(err)
		}
		j.wait(r.sequence)
		last.Store(r.sequence)
	}
	sides.Wait()
	j.mustClose(t)
}
