package providertest

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
)

// OpenArchive opens an empty archive. The function it returns besides opens the
// same one again, as it was left; it is nil for one that cannot be reopened.
type OpenArchive func(t *testing.T) (archive outbox.Archive, reopen func() outbox.Archive)

// Archive tests the archives that open makes.
func Archive(t *testing.T, open OpenArchive) {
	t.Helper()
	for name, test := range map[string]func(*shelf, *testing.T){
		"Put":      (*shelf).testPut,
		"Again":    (*shelf).testAgain,
		"Parts":    (*shelf).testParts,
		"OtherCut": (*shelf).testOtherCut,
		"List":     (*shelf).testList,
		"Trim":     (*shelf).testTrim,
		"TrimPart": (*shelf).testTrimPart,
	} {
		t.Run(name, func(t *testing.T) {
			a, reopen := open(t)
			test(&shelf{a, reopen}, t)
		})
	}
}

// shelf is an archive under test.
type shelf struct {
	outbox.Archive
	again func() outbox.Archive
}

// twice runs check on the archive, and again on the archive reopened.
func (s *shelf) twice(t *testing.T, check func(t *testing.T)) {
	t.Helper()
	twice(t, &s.Archive, s.again, check)
}

// ended returns a message for so many shards, which ended some milliseconds after
// morning; every second of its members was refused.
func ended(ms, shards int) outbox.Finished {
	f := outbox.Finished{Message: outbox.Message{Intent: intent(ms)}}
	at := f.Message.ID.Time().Add(time.Second)
	counts := outbox.Counts{}
	for n := range shards {
		s := shard(audience.Chunk(2*n), 10)
		for rank := range 10 {
			if rank%2 == 0 {
				s.Receipts.Set(rank, outbox.Accepted)
				continue
			}
			s.Receipts.Set(rank, outbox.Rejected)
			f.Part.Failures = append(f.Part.Failures, outbox.ShardFailure{Shard: s.Number, Failure: outbox.Failure{
				Rank: rank, Status: 410, Reason: apns.Unregistered, At: at,
				ID: outbox.NotificationID(f.Message.ID, apns.Production, apns.DeviceToken([]byte{byte(n), byte(rank)})),
			}})
		}
		f.Part.Shards = append(f.Part.Shards, s)
		counts.Targeted += 10
		counts.Receipts[outbox.Accepted] += 5
		counts.Receipts[outbox.Rejected] += 5
		counts.Reasons = map[apns.Reason]int{apns.Unregistered: 5 * shards}
	}
	f.Message.Status = outbox.Status{State: outbox.StateDone, Frozen: true, Counts: counts, EndedAt: at}
	return f
}

func (s *shelf) put(t *testing.T, all ...outbox.Finished) {
	t.Helper()
	if err := s.Put(t.Context(), all); err != nil {
		t.Fatalf("put: %v", err)
	}
}

// add stores the shards from one to another of a message that is larger.
func (s *shelf) add(t *testing.T, f *outbox.Finished, from, to int) {
	t.Helper()
	if err := s.Add(t.Context(), &f.Message, cut(f, from, to)); err != nil {
		t.Fatalf("add: %v", err)
	}
}

// cut returns the shards from one to another, by their place, with their failures.
func cut(f *outbox.Finished, from, to int) (p outbox.Part) {
	p.Shards = f.Part.Shards[from:to]
	for _, failure := range f.Part.Failures {
		if slices.ContainsFunc(p.Shards, func(s outbox.Shard) bool { return s.Number == failure.Shard }) {
			p.Failures = append(p.Failures, failure)
		}
	}
	return p
}

// want checks that a message is stored with all its shards and failures, whatever
// the pages that they are read in.
func (s *shelf) want(t *testing.T, f *outbox.Finished) {
	t.Helper()
	m := &f.Message
	got, err := s.Message(t.Context(), m.App, m.ID)
	if d := diffPost(*m, got); err != nil || d != "" {
		t.Errorf("message: %v (-want +got)\n%s", err, d)
	}
	for _, limit := range []int{3, 1000} {
		var shards []outbox.Shard
		for from := uint32(0); ; {
			some, err := s.Shards(t.Context(), m.App, m.ID, from, limit)
			if err != nil || len(some) > limit {
				t.Fatalf("shards from %d: got %d, %v", from, len(some), err)
			}
			if shards = append(shards, some...); len(some) < limit {
				break
			}
			from = some[len(some)-1].Number + 1
		}
		if d := cmp.Diff(f.Part.Shards, shards, cmp.AllowUnexported(outbox.Receipts{}, audience.Members{}), cmpopts.EquateEmpty()); d != "" {
			t.Errorf("shards by %d (-want +got):\n%s", limit, d)
		}
		var failures []outbox.ShardFailure
		for after := (outbox.FailureAt{}); ; {
			some, err := s.Failures(t.Context(), m.App, m.ID, after, limit)
			if err != nil || len(some) > limit {
				t.Fatalf("failures after %v: got %d, %v", after, len(some), err)
			}
			if failures = append(failures, some...); len(some) < limit {
				break
			}
			after = some[len(some)-1].At()
		}
		if d := cmp.Diff(f.Part.Failures, failures, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("failures by %d (-want +got):\n%s", limit, d)
		}
	}
}

// wantNone checks that there is nothing of a message.
func (s *shelf) wantNone(t *testing.T, app audience.AppNumber, id outbox.MessageID) {
	t.Helper()
	_, err := s.Message(t.Context(), app, id)
	shards, serr := s.Shards(t.Context(), app, id, 0, 9)
	failures, ferr := s.Failures(t.Context(), app, id, outbox.FailureAt{}, 9)
	if !errors.Is(err, outbox.ErrNotFound) || len(shards)+len(failures) > 0 || serr != nil || ferr != nil {
		t.Errorf("got %v, %d shards and %d failures, %v, %v, want nothing", err, len(shards), len(failures), serr, ferr)
	}
}

func (s *shelf) testPut(t *testing.T) {
	listed := ended(3, 0)
	listed.Part.Shards = []outbox.Shard{{
		Listed:   []outbox.Addressee{{Environment: apns.Sandbox, DeviceToken: "\xaa"}, {Environment: apns.Production, DeviceToken: "\xbb"}},
		Receipts: outbox.NewReceipts(2),
	}}
	listed.Message.State, listed.Message.Why = outbox.StateFailed, "no credential"
	all := []outbox.Finished{ended(0, 1), ended(1, 0), ended(2, 40), listed}
	s.put(t, all...)
	s.put(t)
	s.twice(t, func(t *testing.T) {
		for n := range all {
			s.want(t, &all[n])
		}
		m := &all[0].Message
		s.wantNone(t, m.App+1, m.ID)
		s.wantNone(t, m.App, outbox.NewMessageID(morning))
	})
}

// testAgain stores what is stored, as happens after a crash.
func (s *shelf) testAgain(t *testing.T) {
	first, second := ended(0, 3), ended(1, 2)
	s.put(t, first)
	first.Message.Why = "changed"
	first.Part = cut(&first, 0, 2)
	s.put(t, first, second, first)
	s.twice(t, func(t *testing.T) {
		s.want(t, &first)
		s.want(t, &second)
		if all, err := s.List(t.Context(), someApp, outbox.MessageID{}, 9); err != nil || len(all) != 2 {
			t.Errorf("got %d messages, %v, want 2", len(all), err)
		}
	})
}

// testParts stores a message piece by piece: it is not there before the last.
func (s *shelf) testParts(t *testing.T) {
	large := ended(0, 20)
	for from := 0; from < 16; from += 4 {
		s.add(t, &large, from, from+4)
	}
	s.add(t, &large, 8, 12) // again
	s.twice(t, func(t *testing.T) {
		s.wantNone(t, someApp, large.Message.ID)
		if all, err := s.List(t.Context(), someApp, outbox.MessageID{}, 9); err != nil || len(all) != 0 {
			t.Errorf("got %d messages, %v, want none before it is whole", len(all), err)
		}
	})
	last := outbox.Finished{Message: large.Message, Part: cut(&large, 16, 20), Begun: true}
	s.put(t, last, ended(1, 1))
	s.want(t, &large)
	s.add(t, &large, 0, 4) // once more, from the beginning
	s.want(t, &large)
	s.put(t, last)
	s.twice(t, func(t *testing.T) { s.want(t, &large) })
	s.put(t, outbox.Finished{Message: large.Message, Begun: true}, large)
	s.want(t, &large)
}

// testOtherCut begins a message and, after a crash, cuts it otherwise.
func (s *shelf) testOtherCut(t *testing.T) {
	large, whole := ended(0, 20), ended(1, 20)
	for _, f := range []*outbox.Finished{&large, &whole} {
		s.add(t, f, 0, 5)
		s.add(t, f, 5, 10)
		s.add(t, f, 10, 20)
	}
	for from := 0; from < 18; from += 3 {
		s.add(t, &large, from, from+3)
	}
	s.put(t, outbox.Finished{Message: large.Message, Part: cut(&large, 18, 20), Begun: true}, whole)
	s.want(t, &large)
	s.want(t, &whole)
	empty := outbox.Finished{Message: whole.Message, Begun: true}
	s.add(t, &whole, 0, 20)
	s.put(t, empty)
	s.twice(t, func(t *testing.T) { s.want(t, &whole) })
}

func (s *shelf) testList(t *testing.T) {
	var all []outbox.Finished
	for n := range 20 {
		f := ended(n/2, 1) // some of the same millisecond
		if n%4 == 3 {
			f.Message.App++
		}
		all = append(all, f)
	}
	s.put(t, all[10:]...)
	s.put(t, all[:10]...)
	var want []outbox.MessageID
	for _, f := range all {
		if f.Message.App == someApp {
			want = append(want, f.Message.ID)
		}
	}
	slices.SortFunc(want, func(a, b outbox.MessageID) int { return bytes.Compare(b[:], a[:]) })
	s.twice(t, func(t *testing.T) {
		var got []outbox.MessageID
		for before := (outbox.MessageID{}); ; {
			some, err := s.List(t.Context(), someApp, before, 4)
			if err != nil || len(some) > 4 {
				t.Fatalf("got %d messages, %v", len(some), err)
			}
			if len(some) == 0 {
				break
			}
			for _, m := range some {
				got = append(got, m.ID)
			}
			before = some[len(some)-1].ID
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("messages (-want +got):\n%s", d)
		}
	})
}

func (s *shelf) testTrim(t *testing.T) {
	var all []outbox.Finished
	for n := range 10 {
		all = append(all, ended(n*1000, 1))
	}
	s.put(t, all...)
	until := all[7].Message.EndedAt // itself is to stay
	removed := 0
	for {
		n, err := s.Trim(t.Context(), until, 3)
		if err != nil || n > 3 {
			t.Fatalf("got %d, %v, want 3 at most", n, err)
		}
		if n == 0 {
			break
		}
		removed += n
	}
	if removed != 7 {
		t.Errorf("got %d removed, want 7", removed)
	}
	s.twice(t, func(t *testing.T) {
		for n := range all {
			if n < 7 {
				s.wantNone(t, someApp, all[n].Message.ID)
			} else {
				s.want(t, &all[n])
			}
		}
		if n, err := s.Trim(t.Context(), until, 3); n != 0 || err != nil {
			t.Errorf("got %d, %v, want nothing", n, err)
		}
	})
}

// testTrimPart removes messages that have parts, and one that was begun and never
// ended.
func (s *shelf) testTrimPart(t *testing.T) {
	large, begun, late := ended(0, 8), ended(1, 8), ended(60_000, 8)
	for _, f := range []*outbox.Finished{&large, &begun, &late} {
		s.add(t, f, 0, 4)
		s.add(t, f, 4, 6)
	}
	last := func(f *outbox.Finished) outbox.Finished {
		return outbox.Finished{Message: f.Message, Part: cut(f, 6, 8), Begun: true}
	}
	s.put(t, last(&large), last(&late))
	if n, err := s.Trim(t.Context(), late.Message.EndedAt, 9); n != 2 || err != nil {
		t.Errorf("got %d, %v, want 2", n, err)
	}
	s.wantNone(t, someApp, large.Message.ID)
	s.want(t, &late)
	// Nothing of it is left that another attempt would bring back.
	s.put(t, last(&large), last(&begun))
	for _, f := range []*outbox.Finished{&large, &begun} {
		if shards, err := s.Shards(t.Context(), someApp, f.Message.ID, 0, 9); err != nil || len(shards) != 2 {
			t.Errorf("got %d shards, %v, want those of the last part", len(shards), err)
		}
	}
}
