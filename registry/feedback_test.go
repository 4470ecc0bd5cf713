package registry_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/registry"
)

func met(topic apns.Topic, token string, gone time.Time) registry.FeedbackEntry {
	return registry.FeedbackEntry{List: registry.FeedbackList{Topic: topic.Hash(), Environment: apns.Sandbox}, DeviceToken: apns.DeviceToken(token), Gone: gone}
}

// readAll reads to the end, and returns the device tokens.
func readAll(t *testing.T, f *registry.FeedbackReading) (tokens []string) {
	t.Helper()
	for {
		entries, err := f.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) == 0 {
			return tokens
		}
		for _, e := range entries {
			tokens = append(tokens, string(e.DeviceToken))
		}
	}
}

// TestFeedback proves that reading in two steps loses nothing.
func TestFeedback(t *testing.T) {
	r := open(t)
	now := time.Now()
	note := func(entries ...registry.FeedbackEntry) {
		t.Helper()
		if err := r.NoteGone(t.Context(), entries); err != nil {
			t.Fatal(err)
		}
	}
	want := func(name string, f *registry.FeedbackReading, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, readAll(t, f), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	topics := []apns.Topic{demo, demo + ".voip"}
	note(met(demo, "a", now), met("com.example.other", "b", now), met(demo+".voip", "c", now), met(demo, "d", now), met(demo, "a", now))
	want("first", r.ReadFeedback(apns.Sandbox, topics), "a", "d", "c")
	f := r.ReadFeedback(apns.Sandbox, topics)
	want("again, as it was not cleared", f, "a", "d", "c")
	note(met(demo, "e", now), met(demo, "a", now), met(demo, "d", now.Add(time.Second)))
	if err := f.Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	f = r.ReadFeedback(apns.Sandbox, topics)
	want("what came since", f, "e", "d")
	if err := f.Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	want("cleared", r.ReadFeedback(apns.Sandbox, topics))
	note(met(demo, "a", now))
	want("failed again", r.ReadFeedback(apns.Sandbox, topics), "a")
	want("the other environment", r.ReadFeedback(apns.Production, topics))
	want("another app", r.ReadFeedback(apns.Sandbox, []apns.Topic{"com.example.other"}), "b")
}

// TestFeedbackLimits reads more than a page, and nothing that is too old.
func TestFeedbackLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		var entries []registry.FeedbackEntry
		for i := range 1500 {
			entries = append(entries, met(demo, fmt.Sprint("old ", i), time.Now()))
		}
		if err := r.NoteGone(t.Context(), entries); err != nil {
			t.Fatal(err)
		}
		if got, want := len(readAll(t, r.ReadFeedback(apns.Sandbox, []apns.Topic{demo}))), 1500; got != want {
			t.Errorf("got %d, want %d", got, want)
		}
		time.Sleep(30*24*time.Hour + time.Second)
		if err := r.NoteGone(t.Context(), []registry.FeedbackEntry{met(demo, "new", time.Now())}); err != nil {
			t.Fatal(err)
		}
		f := r.ReadFeedback(apns.Sandbox, []apns.Topic{demo})
		if diff := cmp.Diff([]string{"new"}, readAll(t, f)); diff != "" {
			t.Errorf("after 30 days (-want +got):\n%s", diff)
		}
		if err := f.Clear(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := readAll(t, r.ReadFeedback(apns.Sandbox, []apns.Topic{demo})); len(got) > 0 {
			t.Errorf("cleared: got %q", got)
		}
	})
}
