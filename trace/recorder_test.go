package trace

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/heraldpush/herald/apns"
)

// discard is a logger for tests that expect nothing of it.
func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func open(tb testing.TB, cfg Config) *Recorder {
	tb.Helper()
	if cfg.Logger == nil {
		cfg.Logger = discard()
	}
	r, err := Open(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(r.Close)
	return r
}

func story(tb testing.TB, r *Recorder, id apns.NotificationID) []Line {
	tb.Helper()
	lines, err := r.Story(tb.Context(), id)
	if err != nil {
		tb.Fatal(err)
	}
	return lines
}

// tell returns a story in short.
func tell(lines []Line) string {
	var words []string
	for _, l := range lines {
		word := l.Hop.String()
		if l.Derived {
			word += "*"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// number returns an apns-id for a number.
func number(n int) apns.NotificationID {
	return apns.NotificationID(fmt.Sprintf("%08x-0000-4000-8000-%012x", uint32(n)*2654435761, n))
}

// kinds are where lines may be kept.
func kinds(t *testing.T) map[string]Config {
	t.Helper()
	return map[string]Config{"memory": {}, "folder": {Dir: t.TempDir() + "/trace"}}
}

func TestStory(t *testing.T) {
	for name, cfg := range kinds(t) {
		t.Run(name, func(t *testing.T) {
			r := open(t, cfg)
			at := apns.Address{Device: 3, Environment: apns.Sandbox, Topic: demo.Hash()}
			now := time.Now().Round(0)
			want := []Line{
				{Hop: Accepted, Time: now, ID: someID, Address: at, Status: 200, Connection: 1},
				{Hop: Stored, Time: now, ID: someID, Address: at, Until: now.Add(time.Hour).Truncate(time.Second)},
				{Hop: Handed, Time: now.Add(time.Second), ID: someID, Address: at, Connection: 1, Message: 1, WasStored: true},
				{Hop: Acked, Time: now.Add(2 * time.Second), ID: someID, Address: at, Connection: 1, Message: 1},
			}
			for _, i := range []int{1, 0, 2, 3} { // the gateway writes when it answers
				l := want[i]
				l.ID = apns.NotificationID(strings.ToUpper(string(l.ID)))
				r.Record(&l)
				r.Record(&Line{Hop: Refused, Status: 400, Reason: apns.BadTopic, ID: number(i)})
			}
			same := cmp.Options{cmpopts.EquateApproxTime(0)}
			if diff := cmp.Diff(want, story(t, r, "EABEAE54-14A8-11E5-B60B-1697F925EC7B"), same); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got := story(t, r, otherID); len(got) != 0 {
				t.Errorf("an unknown one: got %v", got)
			}
			if _, err := r.Story(t.Context(), "x"); !errors.Is(err, ErrNotAnID) {
				t.Errorf("no id: got %v", err)
			}
			got, err := r.ByDevice(t.Context(), 3, apns.TopicHash{}, time.Time{}, 2)
			if diff := cmp.Diff(want[:2], got, same); diff != "" || err != nil {
				t.Errorf("by device: %v (-want +got):\n%s", err, diff)
			}
			got, err = r.ByDevice(t.Context(), 3, demo.Hash(), now.Add(time.Second), 0)
			if diff := cmp.Diff(want[2:], got, same); diff != "" || err != nil {
				t.Errorf("by device since: %v (-want +got):\n%s", err, diff)
			}
			if got, err = r.ByDevice(t.Context(), 3, apns.Topic("com.example").Hash(), time.Time{}, 0); len(got) != 0 || err != nil {
				t.Errorf("by device, another topic: got %v, %v", got, err)
			}
			if s := r.Stats(); s.Lines != 8 || s.Dropped != 0 || s.Bytes == 0 {
				t.Errorf("got %+v", s)
			}
		})
	}
}

// A nil recorder keeps nothing.
func TestNil(t *testing.T) {
	var r *Recorder
	r.Record(new(full()))
	if got := story(t, r, someID); len(got) != 0 || r.Stats() != (Stats{}) {
		t.Errorf("got %v, %+v", got, r.Stats())
	}
	r.Close()
}

func TestConfig(t *testing.T) {
	for name, cfg := range map[string]Config{"too few bytes": {MaxBytes: MinBytes - 1}, "negative bytes": {MaxBytes: -1}, "negative age": {MaxAge: -1}} {
		if _, err := Open(cfg); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

// After Close lines are dropped, and there are no stories.
func TestClose(t *testing.T) {
	for name, cfg := range kinds(t) {
		t.Run(name, func(t *testing.T) {
			r := open(t, cfg)
			r.Record(new(full()))
			r.Close()
			r.Record(new(full()))
			if _, err := r.Story(t.Context(), someID); !errors.Is(err, ErrClosed) {
				t.Errorf("got %v", err)
			}
			if s := r.Stats(); s.Lines != 2 || s.Dropped != 1 {
				t.Errorf("got %+v", s)
			}
			if cfg.Dir != "" {
				if got := tell(story(t, open(t, cfg), someID)); got != "" { // full is of long ago
					t.Errorf("got %s", got)
				}
			}
		})
	}
}

// What the store does without a word is worked out.
func TestDerived(t *testing.T) {
	at := apns.Address{Device: 3, Environment: apns.Sandbox, Topic: demo.Hash()}
	elsewhere := apns.Address{Device: 3, Environment: apns.Sandbox, Topic: apns.Topic("com.example.other").Hash()}
	hour := time.Hour
	for _, tt := range []struct {
		name string
		// lines have an offset from now as time, and perhaps as end.
		lines []Line
		ago   []time.Duration
		until time.Duration // of those that are stored
		want  string
	}{
		{"waits", []Line{{Hop: Stored, Address: at}}, []time.Duration{hour}, hour, "stored"},
		{"expired", []Line{{Hop: Stored, Address: at}}, []time.Duration{2 * hour}, -hour, "stored expired*"},
		{"replaced", []Line{{Hop: Stored, Address: at}, {Hop: Stored, Address: at, ID: otherID}}, []time.Duration{2 * hour, hour}, hour, "stored replaced*"},
		{
			"replaced by the first",
			[]Line{{Hop: Stored, Address: at}, {Hop: Stored, Address: at, ID: otherID}, {Hop: Stored, Address: at, ID: number(1)}},
			[]time.Duration{3 * hour, 2 * hour, hour},
			hour, "stored replaced*",
		},
		{"expired before the other", []Line{{Hop: Stored, Address: at}, {Hop: Stored, Address: at, ID: otherID}}, []time.Duration{3 * hour, hour}, -2 * hour, "stored expired*"},
		{"another topic", []Line{{Hop: Stored, Address: at}, {Hop: Stored, Address: elsewhere, ID: otherID}}, []time.Duration{2 * hour, hour}, hour, "stored"},
		{"on its way", []Line{{Hop: Stored, Address: at}, {Hop: Handed, Address: at}, {Hop: Stored, Address: at, ID: otherID}}, []time.Duration{3 * hour, 2 * hour, hour}, -hour, "stored handed"},
		{"taken back", []Line{{Hop: Stored, Address: at}, {Hop: Handed, Address: at}, {Hop: TakenBack, Address: at}}, []time.Duration{4 * hour, 3 * hour, 2 * hour}, -hour, "stored handed taken-back expired*"},
		{"acknowledged", []Line{{Hop: Stored, Address: at}, {Hop: Handed, Address: at}, {Hop: Acked, Address: at}}, []time.Duration{4 * hour, 3 * hour, 2 * hour}, -hour, "stored handed acked"},
		{"not taken", []Line{{Hop: Stored, Address: at}, {Hop: Handed, Address: at}, {Hop: Acked, Address: at, Status: 11}}, []time.Duration{4 * hour, 3 * hour, 2 * hour}, -hour, "stored handed acked expired*"},
		{"ignored", []Line{{Hop: Stored, Address: at}, {Hop: Ignored, Address: at}}, []time.Duration{3 * hour, 2 * hour}, -hour, "stored ignored"},
		{"two addresses", []Line{{Hop: Stored, Address: at}, {Hop: Stored, Address: elsewhere}, {Hop: Handed, Address: elsewhere}}, []time.Duration{4 * hour, 3 * hour, 2 * hour}, -hour, "stored stored handed expired*"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := open(t, Config{})
				now := time.Now()
				for i, l := range tt.lines {
					l.Time = now.Add(-tt.ago[i])
					if l.ID == "" {
						l.ID = someID
					}
					if l.Hop == Stored {
						l.Until = now.Add(tt.until)
					}
					r.Record(&l)
				}
				got := story(t, r, someID)
				if tell(got) != tt.want {
					t.Errorf("got  %s\nwant %s", tell(got), tt.want)
				}
				if last := got[len(got)-1]; last.Hop == Replaced && last.Other != otherID {
					t.Errorf("replaced by: got %s, want %s", last.Other, otherID)
				}
			})
		})
	}
}

// Old lines are gone, without anything being recorded meanwhile.
func TestAge(t *testing.T) {
	for name, cfg := range kinds(t) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := open(t, cfg)
				r.Record(&Line{Hop: Accepted, ID: someID})
				time.Sleep(DefaultMaxAge - time.Minute)
				if got := tell(story(t, r, someID)); got != "accepted" {
					t.Errorf("in time: got %s", got)
				}
				time.Sleep(2 * time.Minute)
				if got := tell(story(t, r, someID)); got != "" {
					t.Errorf("too late: got %s", got)
				}
				time.Sleep(DefaultMaxAge / ageShare)
				synctest.Wait()
				if got := r.Stats().Bytes; got != 0 {
					t.Errorf("there are %d bytes left", got)
				}
				r.Close()
			})
		})
	}
}

// There are never more bytes than allowed, and the newest lines stay.
func TestBytes(t *testing.T) {
	for name, cfg := range kinds(t) {
		t.Run(name, func(t *testing.T) {
			cfg.MaxBytes = MinBytes
			r := open(t, cfg)
			const lines = 3 * MinBytes / recordBytes
			for n := range lines {
				r.Record(&Line{Hop: Accepted, ID: number(n), Address: apns.Address{Device: apns.DeviceOrdinal(n % 7)}})
				if n%1000 == 0 {
					if got := tell(story(t, r, number(n))); got != "accepted" {
						t.Fatalf("line %d: got %s", n, got)
					}
					if got := r.Stats(); got.Bytes > MinBytes || got.Dropped > 0 {
						t.Fatalf("line %d: got %+v", n, got)
					}
				}
			}
			if got := tell(story(t, r, number(0))); got != "" {
				t.Errorf("the oldest: got %s", got)
			}
			kept := 0
			for n := lines - MinBytes/recordBytes/2; n < lines; n += 17 {
				if len(story(t, r, number(n))) == 1 {
					kept++
				} else {
					t.Errorf("line %d is gone", n)
				}
			}
			first, err := r.ByDevice(t.Context(), 3, apns.TopicHash{}, time.Time{}, 10)
			if err != nil || len(first) != 10 {
				t.Errorf("by device: got %d, %v", len(first), err)
			}
		})
	}
}

// stuck is a keeper that takes nothing until it is told how.
type stuck struct {
	memory
	wait chan struct{} // closed when it is to go on
	err  error         // guarded by wait
}

func (k *stuck) add(records []byte, now time.Time) error {
	<-k.wait
	if k.err != nil {
		return k.err
	}
	return k.memory.add(records, now)
}

// A disk that is behind or full costs lines, and no time; the log says so once a
// minute.
func TestStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		k := &stuck{memory: *newMemory(DefaultMemoryBytes, DefaultMaxAge), wait: make(chan struct{})}
		r := &Recorder{
			cfg: Config{MaxAge: DefaultMaxAge, Logger: slog.New(slog.NewTextHandler(&log, nil))}, keeper: k,
			some: make(chan struct{}, 1), hurry: make(chan struct{}, 1), work: make(chan struct{}, 1),
		}
		r.start()
		const lines = 100_000
		for n := range lines {
			r.Record(&Line{Hop: Accepted, ID: number(n)})
		}
		synctest.Wait() // the writer waits for the disk
		for n := range lines {
			r.Record(&Line{Hop: Accepted, ID: number(n)})
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := r.Story(ctx, someID); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a story meanwhile: got %v", err)
		}
		k.err = errors.New("no space left on device")
		close(k.wait)
		synctest.Wait()
		s := r.Stats()
		if s.Lines != 2*lines || s.Dropped == 0 {
			t.Fatalf("got %+v", s)
		}
		for range 10 {
			r.Record(new(full()))
			time.Sleep(20 * time.Second)
		}
		r.Close()
		if got := r.Stats(); got.Dropped != got.Lines {
			t.Errorf("got %+v, want all dropped", got)
		}
		if got := strings.Count(log.String(), "trace drops lines"); got < 4 || got > 5 {
			t.Errorf("the log says it %d times:\n%s", got, log.String())
		}
		if !strings.Contains(log.String(), "no space left on device") {
			t.Errorf("the log does not say why:\n%s", log.String())
		}
	})
}

// Many record and read at once, over segments that come and go.
func TestCrowd(t *testing.T) {
	for name, cfg := range kinds(t) {
		t.Run(name, func(t *testing.T) {
			cfg.MaxBytes = MinBytes
			r := open(t, cfg)
			const writers, each = 4, 6000
			const near = MinBytes / recordBytes / 4 // as many later lines push nothing out
			var recorded atomic.Int64
			var crowd sync.WaitGroup
			for w := range writers {
				crowd.Go(func() {
					for n := range each {
						id := number(w*each + n)
						at := apns.Address{Device: apns.DeviceOrdinal(w + 1), Environment: apns.Sandbox}
						before := recorded.Add(2)
						r.Record(&Line{Hop: Stored, ID: id, Address: at})
						r.Record(&Line{Hop: Acked, ID: id, Address: at})
						if n%500 != 0 {
							continue
						}
						lines, err := r.Story(t.Context(), id)
						pushedOut := recorded.Load()-before > near && strings.HasSuffix("stored acked", tell(lines))
						if err != nil || tell(lines) != "stored acked" && !pushedOut {
							t.Errorf("writer %d, %d: got %s, %v", w, n, tell(lines), err)
						}
						if _, err := r.ByDevice(t.Context(), at.Device, apns.TopicHash{}, time.Time{}, 50); err != nil {
							t.Error(err)
						}
					}
				})
			}
			crowd.Wait()
			if s := r.Stats(); s.Lines != 2*writers*each || s.Dropped != 0 {
				t.Errorf("got %+v", s)
			}
		})
	}
}
