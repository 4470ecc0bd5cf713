package registrytest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/registry"
)

// feedback compares a store's feedback with the plainest there is, over random
// changes and reopenings, and reads it in pages.
func feedback(t *testing.T, open opener) {
	s, reopen := open(t)
	const steps, names, most = 600, 12, 8
	var (
		seed  = rand.Uint64()
		r     = rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a test
		lists = []registry.FeedbackList{
			{Topic: apns.Topic("a").Hash(), Environment: apns.Sandbox},
			{Topic: apns.Topic("a").Hash(), Environment: apns.Production},
			{Topic: apns.Topic("b").Hash(), Environment: apns.Sandbox},
		}
		want    = make(map[registry.FeedbackList][]registry.FeedbackEntry)
		highest uint64
	)
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	add := func(e registry.FeedbackEntry) {
		known := slices.IndexFunc(want[e.List], func(x registry.FeedbackEntry) bool { return x.DeviceToken == e.DeviceToken })
		if known >= 0 {
			if !want[e.List][known].Gone.Before(e.Gone) {
				return
			}
			want[e.List] = slices.Delete(want[e.List], known, known+1)
		}
		want[e.List] = append(want[e.List], e)
	}
	// In one call, what is forgotten at its end keeps an older entry out until then.
	old := registry.FeedbackList{Topic: apns.Topic("c").Hash(), Environment: apns.Sandbox}
	entry := func(name, gone int) registry.FeedbackEntry {
		return registry.FeedbackEntry{List: old, DeviceToken: apns.DeviceToken(fmt.Sprint(name)), Gone: time.Unix(int64(gone), 0).UTC(), Noted: time.Unix(9, 0).UTC()}
	}
	for _, entries := range [][]registry.FeedbackEntry{{entry(1, 5), entry(2, 5)}, {entry(3, 5), entry(1, 4)}} {
		if err := s.AddFeedback(t.Context(), entries, 2); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.Feedback(t.Context(), old, 0, names); err != nil || len(got) != 2 || got[0].DeviceToken != "2" || got[1].DeviceToken != "3" {
		t.Fatalf("Feedback: got %v, %v, want those of 2 and 3", got, err)
	}
	for range steps {
		list := lists[r.IntN(len(lists))]
		switch r.IntN(4) {
		case 0, 1:
			var entries []registry.FeedbackEntry
			for range r.IntN(4) {
				e := registry.FeedbackEntry{
					List: lists[r.IntN(len(lists))], DeviceToken: apns.DeviceToken(fmt.Sprint("\xff", r.IntN(names))),
					Gone: time.Unix(r.Int64N(5), r.Int64N(2)).UTC(), Noted: time.Unix(r.Int64N(4_000_000_000), 0).UTC(),
				}
				entries = append(entries, e)
				add(e)
			}
			if err := s.AddFeedback(t.Context(), entries, most); err != nil {
				t.Fatal(err)
			}
			for l, all := range want {
				want[l] = all[max(0, len(all)-most):]
			}
		case 2:
			var got []registry.FeedbackEntry
			limit := 1 + r.IntN(names)
			for after := uint64(0); ; {
				page, err := s.Feedback(t.Context(), list, after, limit)
				if err != nil || len(page) > limit {
					t.Fatalf("Feedback: got %d entries, %v, want at most %d", len(page), err, limit)
				}
				for _, e := range page {
					if e.Number <= after {
						t.Fatalf("Feedback: number %d comes after %d", e.Number, after)
					}
					after = e.Number
				}
				got = append(got, page...)
				if len(page) < limit {
					break
				}
			}
			if diff := cmp.Diff(want[list], got, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(registry.FeedbackEntry{}, "Number")); diff != "" {
				t.Fatalf("Feedback (-want +got):\n%s", diff)
			}
			if len(got) > 0 {
				highest = max(highest, got[len(got)-1].Number)
			}
		case 3:
			page, err := s.Feedback(t.Context(), list, 0, 1+r.IntN(names))
			if err != nil || len(page) == 0 {
				continue
			}
			if err := s.DeleteFeedback(t.Context(), list, page[len(page)-1].Number); err != nil {
				t.Fatal(err)
			}
			want[list] = want[list][len(page):]
		}
		if reopen != nil && r.IntN(steps/4) == 0 {
			s = reopen()
		}
	}
	// A number is not given out again, though what had it is gone.
	for _, list := range lists {
		if err := s.DeleteFeedback(t.Context(), list, highest); err != nil {
			t.Fatal(err)
		}
	}
	late := registry.FeedbackEntry{List: lists[0], DeviceToken: "late", Gone: time.Unix(9, 0).UTC(), Noted: time.Unix(9, 0).UTC()}
	if err := s.AddFeedback(t.Context(), []registry.FeedbackEntry{late}, most); err != nil {
		t.Fatal(err)
	}
	twice(t, s, reopen, func(s registry.Store) {
		if got, err := s.Feedback(t.Context(), lists[0], highest, names); err != nil || len(got) == 0 || got[len(got)-1].DeviceToken != "late" {
			t.Errorf("an entry that came after all was deleted: got %v, %v, want it", got, err)
		}
	})
}
