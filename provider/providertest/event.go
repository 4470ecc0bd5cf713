package providertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/heraldpush/herald/provider/event"
)

// OpenEvent opens an empty log. The function it returns besides opens the same log
// again, with what it had when it was left, by a crash or otherwise; it is nil for a
// store that cannot be reopened.
type OpenEvent func(t *testing.T) (store event.Store, reopen func() event.Store)

// Event tests the stores that open makes.
func Event(t *testing.T, open OpenEvent) {
	t.Helper()
	for name, test := range map[string]func(*chronicle, *testing.T){
		"Append":     (*chronicle).testAppend,
		"Refuses":    (*chronicle).testRefuses,
		"Read":       (*chronicle).testRead,
		"Trim":       (*chronicle).testTrim,
		"Cancelled":  (*chronicle).testCancelled,
		"Concurrent": (*chronicle).testConcurrent,
		"Random":     (*chronicle).testRandom,
	} {
		t.Run(name, func(t *testing.T) {
			s, reopen := open(t)
			test(&chronicle{s, reopen}, t)
		})
	}
}

// chronicle is a store under test.
type chronicle struct {
	event.Store
	again func() event.Store
}

// epoch is when the first event of a test happens.
var epoch = time.Date(2026, 3, 1, 8, 0, 0, 7, time.UTC)

// anEvent returns the event of a name, which happened so many hours after epoch.
func anEvent(name string, hours int) event.Event {
	id := "evt_" + strings.Repeat("a", 26-len(name)) + name
	return event.Event{
		ID: event.ID(id), Time: epoch.Add(time.Duration(hours) * time.Hour), App: "shop", Kind: event.MessageDone,
		Subject: name, Body: json.RawMessage(fmt.Sprintf(`{"name":%q}`, name)),
	}
}

// numbered returns events as the log has them, from a sequence number on.
func numbered(from uint64, events ...event.Event) []event.Event {
	for i := range events {
		events[i].Sequence = from + uint64(i)
	}
	return events
}

func (c *chronicle) add(t *testing.T, events ...event.Event) {
	t.Helper()
	if err := c.Append(t.Context(), events); err != nil {
		t.Fatal(err)
	}
}

// want compares the whole log, also when it was opened again.
func (c *chronicle) want(t *testing.T, last uint64, events ...event.Event) {
	t.Helper()
	twice(t, &c.Store, c.again, func(t *testing.T) {
		t.Helper()
		got, err := c.Read(t.Context(), 0, 1<<20)
		if d := cmp.Diff(events, got, cmpopts.EquateEmpty()); err != nil || d != "" {
			t.Errorf("%v, events (-want +got):\n%s", err, d)
		}
		first := last + 1 - uint64(len(events))
		if f, l, err := c.Bounds(t.Context()); err != nil || f != first || l != last {
			t.Errorf("bounds: got %d, %d, %v, want %d, %d", f, l, err, first, last)
		}
	})
}

func (c *chronicle) testAppend(t *testing.T) {
	c.want(t, 0)
	c.add(t)
	c.want(t, 0)
	a, b, d := anEvent("a", 0), anEvent("b", 1), anEvent("d", 1)
	a.Time = a.Time.In(time.FixedZone("", 3600))
	b.App, b.Subject = "", ""
	c.add(t, a)
	a.Time = a.Time.UTC()
	c.want(t, 1, numbered(1, a)...)
	c.add(t, b, a, d, b) // some of them again
	c.want(t, 3, numbered(1, a, b, d)...)
	again := anEvent("a", 5)
	again.Kind = event.MessageFailed
	c.add(t, again)
	c.want(t, 3, numbered(1, a, b, d)...)
	body := []byte(`{"n":1}`)
	e := anEvent("e", 2)
	e.Body = body
	c.add(t, e)
	copy(body, "xxxxxxx") // it is the caller's
	e.Body = json.RawMessage(`{"n":1}`)
	c.want(t, 4, numbered(1, a, b, d, e)...)
}

func (c *chronicle) testRefuses(t *testing.T) {
	for name, wrong := range map[string]func(*event.Event){
		"no ID":             func(e *event.Event) { e.ID = "" },
		"another's ID":      func(e *event.Event) { e.ID = "msg_aaaaaaaaaaaaaaaaaaaaaaaaaa" },
		"no time":           func(e *event.Event) { e.Time = time.Time{} },
		"no kind":           func(e *event.Event) { e.Kind = "" },
		"a long subject":    func(e *event.Event) { e.Subject = strings.Repeat("x", event.MaxSubjectBytes+1) },
		"no body":           func(e *event.Event) { e.Body = nil },
		"a body of no JSON": func(e *event.Event) { e.Body = []byte("{") },
		"a long body":       func(e *event.Event) { e.Body = []byte(`"` + strings.Repeat("x", event.MaxBodyBytes) + `"`) },
	} {
		bad := anEvent("b", 0)
		wrong(&bad)
		if err := c.Append(t.Context(), []event.Event{anEvent("a", 0), bad}); err == nil {
			t.Errorf("%s: it was added", name)
		}
	}
	c.want(t, 0)
}

func (c *chronicle) testRead(t *testing.T) {
	var all []event.Event
	for n := range 30 {
		all = append(all, anEvent(fmt.Sprint("x", string(rune('a'+n%26)), string(rune('a'+n/26))), n))
	}
	c.add(t, all...)
	numbered(1, all...)
	for _, tt := range []struct {
		after uint64
		limit int
		want  []event.Event
	}{
		{0, 1, all[:1]},
		{0, 30, all},
		{0, 31, all},
		{7, 5, all[7:12]},
		{29, 5, all[29:]},
		{30, 5, nil},
		{31, 5, nil},
		{math.MaxUint64, 5, nil},
		{0, 0, nil},
		{0, -1, nil},
	} {
		got, err := c.Read(t.Context(), tt.after, tt.limit)
		if d := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); err != nil || d != "" {
			t.Errorf("%d after %d: %v (-want +got):\n%s", tt.limit, tt.after, err, d)
		}
	}
}

// trimAll removes all that there is to be removed.
func (c *chronicle) trimAll(ctx context.Context, hours, keep int) (removed int, err error) {
	for {
		n, err := c.Trim(ctx, epoch.Add(time.Duration(hours)*time.Hour), keep)
		removed += n
		if err != nil || n == 0 {
			return removed, err
		}
	}
}

func (c *chronicle) testTrim(t *testing.T) {
	trim := func(hours, keep, want int) {
		t.Helper()
		if got, err := c.trimAll(t.Context(), hours, keep); err != nil || got != want {
			t.Errorf("trimmed to %d hours and %d events: got %d removed, %v, want %d", hours, keep, got, err, want)
		}
	}
	trim(100, 0, 0)
	a, b, d, e, f := anEvent("a", 0), anEvent("b", 1), anEvent("d", 3), anEvent("e", 2), anEvent("f", 4)
	c.add(t, a, b, d, e, f)
	trim(0, 5, 0)
	trim(-9, 100, 0)
	c.want(t, 5, numbered(1, a, b, d, e, f)...)
	trim(1, 5, 1)
	c.want(t, 5, numbered(2, b, d, e, f)...)
	trim(3, 4, 1) // e is older, and behind d
	c.want(t, 5, numbered(3, d, e, f)...)
	trim(0, 1, 2)
	c.want(t, 5, numbered(5, f)...)
	if got, err := c.Read(t.Context(), 2, 1); err != nil || len(got) != 1 || got[0].Sequence != 5 {
		t.Errorf("after what was removed: got %v, %v, want f", got, err)
	}
	c.add(t, f)
	c.want(t, 5, numbered(5, f)...)
	trim(100, 100, 1)
	c.want(t, 5)
	c.add(t, a, f) // nothing is known of them any more
	c.want(t, 7, numbered(6, a, f)...)
	trim(-9, 0, 2)
	c.want(t, 7)
}

// testCancelled proves that nothing is done under a context that has ended.
func (c *chronicle) testCancelled(t *testing.T) {
	c.add(t, anEvent("a", 0))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, read := c.Read(ctx, 0, 1)
	_, _, bounds := c.Bounds(ctx)
	_, trim := c.Trim(ctx, epoch.Add(time.Hour), 0)
	for name, err := range map[string]error{"Append": c.Append(ctx, []event.Event{anEvent("b", 0)}), "Read": read, "Bounds": bounds, "Trim": trim} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v, want %v", name, err, context.Canceled)
		}
	}
	c.want(t, 1, numbered(1, anEvent("a", 0))...)
}

// testConcurrent proves that those who add at once get numbers without gaps, each
// batch in one piece, and those who look see no batch in part.
func (c *chronicle) testConcurrent(t *testing.T) {
	const adders, batches = 4, 8
	done := make(chan struct{})
	var adding, looking sync.WaitGroup
	looking.Go(func() {
		for {
			_, last, err := c.Bounds(t.Context())
			if err != nil || last%2 != 0 {
				t.Errorf("bounds: got %d, %v, want an even number", last, err)
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	for a := range adders {
		adding.Go(func() {
			for n := range batches {
				name := string(rune('a'+a)) + string(rune('a'+n))
				if err := c.Append(t.Context(), []event.Event{anEvent("x"+name, 0), anEvent("y"+name, 0)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	adding.Wait()
	close(done)
	looking.Wait()
	all, err := c.Read(t.Context(), 0, 1000)
	if err != nil || len(all) != adders*batches*2 {
		t.Fatalf("got %d events, %v, want %d", len(all), err, adders*batches*2)
	}
	for n, e := range all {
		if e.Sequence != uint64(n)+1 {
			t.Errorf("event %d: got number %d", n, e.Sequence)
		}
		if n%2 == 1 && e.Subject[1:] != all[n-1].Subject[1:] {
			t.Errorf("got %s after %s, want batches in one piece", e.Subject, all[n-1].Subject)
		}
	}
}

// testRandom does the same to the store and to a list, and compares them.
func (c *chronicle) testRandom(t *testing.T) {
	var want []event.Event
	var last uint64
	rounds := 0
	rapid.Check(t, func(rt *rapid.T) {
		rounds++
		if rapid.IntRange(0, 3).Draw(rt, "trim") == 0 {
			hours, keep := rapid.IntRange(0, 60).Draw(rt, "hours"), rapid.IntRange(0, 20).Draw(rt, "keep")
			before := epoch.Add(time.Duration(hours) * time.Hour)
			if _, err := c.trimAll(t.Context(), hours, keep); err != nil {
				rt.Fatal(err)
			}
			for len(want) > 0 && (want[0].Time.Before(before) || len(want) > keep) {
				want = want[1:]
			}
		}
		var batch []event.Event
		for range rapid.IntRange(0, 6).Draw(rt, "events") {
			e := anEvent(rapid.StringMatching("[a-d][a-d]").Draw(rt, "name"), rapid.IntRange(0, 60).Draw(rt, "hours"))
			batch = append(batch, e)
			if !slices.ContainsFunc(want, func(o event.Event) bool { return o.ID == e.ID }) {
				last++
				e.Sequence = last
				want = append(want, e)
			}
		}
		if err := c.Append(t.Context(), batch); err != nil {
			rt.Fatal(err)
		}
		if c.again != nil && rounds%16 == 0 { // to open a store may take as long as many rounds
			c.Store = c.again()
		}
		got, err := c.Read(t.Context(), 0, 1000)
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); err != nil || d != "" {
			rt.Fatalf("%v, events (-want +got):\n%s", err, d)
		}
		if _, l, err := c.Bounds(t.Context()); err != nil || l != last {
			rt.Fatalf("last: got %d, %v, want %d", l, err, last)
		}
	})
}
