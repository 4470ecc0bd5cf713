package provider

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
	"github.com/heraldpush/herald/store/memory"
	"github.com/heraldpush/herald/store/pebble"
)

const frozenApp audience.AppNumber = 1

// hall is a freezer with what is around it.
type hall struct {
	t        *testing.T
	outbox   outbox.Store
	audience *memory.Audience
}

// withHall calls f with a hall, in a bubble.
func withHall(t *testing.T, f func(h *hall)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o, err := pebble.OpenOutboxInMemory()
		if err != nil {
			t.Fatal(err)
		}
		f(&hall{t, o, memory.NewAudience()})
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	})
}

// freeze runs a freezer on an outbox until it fails or all that is due now is done,
// and returns its error.
func (h *hall) freeze(o outbox.Store) error {
	h.t.Helper()
	return h.freezeWith(o, h.audience)
}

func (h *hall) freezeWith(o outbox.Store, a audience.Store) error {
	h.t.Helper()
	ctx, cancel := context.WithCancel(h.t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- newFreezer(o, a, slog.New(slog.DiscardHandler), func() {}).Run(ctx)
	}()
	synctest.Wait()
	select {
	case err := <-ended:
		return err
	default:
	}
	cancel()
	return <-ended
}

// register registers the installation of a number, with a device token unless it is
// divisible by 5, and the tag "even" if it is by 2.
func (h *hall) register(n int) {
	h.t.Helper()
	r := audience.Registration{}
	if n%5 > 0 {
		value := apns.DeviceToken([]byte{byte(n >> 16), byte(n >> 8), byte(n), 1}).Hex()
		r.DeviceTokens = []audience.RegisteredToken{{Environment: "production", Value: value}}
	}
	if n%2 == 0 {
		r.Tags = []string{"even"}
	}
	_, err := h.audience.Change(h.t.Context(), frozenApp, frozenID(n), func(i audience.Installation) (audience.Installation, bool, error) {
		return i.Register(r, time.Now())
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

func frozenID(n int) audience.InstallationID { return audience.InstallationID(fmt.Sprint("i", n)) }

func (h *hall) remove(n int) {
	h.t.Helper()
	_, err := h.audience.Change(h.t.Context(), frozenApp, frozenID(n), func(audience.Installation) (audience.Installation, bool, error) {
		return audience.Installation{}, true, nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// submit submits a message that is as an intent says.
func (h *hall) submit(i outbox.Intent) outbox.MessageID {
	h.t.Helper()
	now := time.Now()
	i.ID, i.App, i.Lane, i.Use = outbox.NewMessageID(now), frozenApp, outbox.Campaign, audience.Use{Kind: audience.KindAlert}
	i.Notification = apns.Notification{Topic: "com.example.demo", PushType: apns.PushTypeAlert, Payload: apns.Payload(`{"aps":{"alert":"Hi"}}`)}
	if i.Deadline.IsZero() {
		i.Deadline = now.Add(time.Hour)
	}
	if _, _, err := h.outbox.Submit(h.t.Context(), outbox.Submission{Intent: i}, now); err != nil {
		h.t.Fatal(err)
	}
	return i.ID
}

func (h *hall) message(id outbox.MessageID) outbox.Message {
	h.t.Helper()
	m, err := h.outbox.Message(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return m
}

// members returns the ordinals in the shards of a message, in their order.
func (h *hall) members(id outbox.MessageID) (all []audience.Ordinal) {
	h.t.Helper()
	shards, err := h.outbox.Shards(h.t.Context(), id, 0, 1<<20)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, s := range shards {
		for _, slot := range s.Members.All() {
			all = append(all, s.Chunk().Ordinal(slot))
		}
	}
	slices.Sort(all)
	return all
}

// TestFreeze freezes everybody, and a tag.
func TestFreeze(t *testing.T) {
	withHall(t, func(h *hall) {
		t := h.t
		for n := range audience.ChunkWidth + 100 {
			h.register(n)
		}
		everybody, even := h.submit(outbox.Intent{Everybody: true}), h.submit(outbox.Intent{Tag: "even"})
		nobody := h.submit(outbox.Intent{Tag: "odd"})
		if err := h.freeze(h.outbox); err != nil {
			t.Fatal(err)
		}
		var all, some []audience.Ordinal
		for n := range audience.Ordinal(audience.ChunkWidth + 100) {
			if n%5 > 0 {
				all = append(all, n)
				if n%2 == 0 {
					some = append(some, n)
				}
			}
		}
		for id, want := range map[outbox.MessageID][]audience.Ordinal{everybody: all, even: some} {
			if got := h.members(id); !slices.Equal(got, want) {
				t.Errorf("got %d members, want %d others", len(got), len(want))
			}
			if m := h.message(id); m.State != outbox.StateSending || m.Counts.Targeted != len(want) || m.Counts.Receipts[outbox.Pending] != len(want) {
				t.Errorf("got %+v, want %d targeted", m.Status, len(want))
			}
		}
		if m := h.message(nobody); m.State != outbox.StateDone || m.Counts.Targeted != 0 {
			t.Errorf("a message for nobody: got %+v", m.Status)
		}
	})
}

var errStop = errors.New("stopped")

// stoppingOutbox fails with each Extend, before or after it is stored.
type stoppingOutbox struct {
	outbox.Store
	stored bool
}

// Step implements outbox.Store.
func (s *stoppingOutbox) Step(ctx context.Context, id outbox.MessageID, e outbox.Event, shards []outbox.Shard, now time.Time) (m outbox.Message, err error) {
	if _, ok := e.(outbox.Extend); !ok {
		return s.Store.Step(ctx, id, e, shards, now)
	}
	if s.stored {
		m, err = s.Store.Step(ctx, id, e, shards, now)
	}
	return m, errors.Join(err, errStop)
}

// TestFreezeStops has the freezer stop at every piece of an audience, with installations
// that come and go meanwhile: each that was there at the beginning is a member once,
// none that came later is, and who went before its piece was frozen may be or not.
func TestFreezeStops(t *testing.T) {
	withHall(t, func(h *hall) {
		t := h.t
		// A few in each of many chunks: the others of a chunk are removed.
		const chunks = firstShards + 2*maxShards + 10
		ordinals := make(map[audience.Ordinal]int) // the number of the installation
		fill := func(from, n int) {
			for i := range n {
				h.register(from + i)
				known, err := h.audience.Installation(t.Context(), frozenApp, frozenID(from+i))
				if err != nil {
					t.Fatal(err)
				}
				ordinals[known.Ordinal] = from + i
			}
		}
		sparse := &sparseAudience{Audience: h.audience}
		fill(0, 3*chunks)
		id := h.submit(outbox.Intent{Everybody: true})
		removed := make(map[int]bool)
		stops := 0
		for next := 3 * chunks; h.message(id).State == outbox.StateSnapshotting; stops++ {
			before := h.message(id)
			stored := stops%2 == 1
			err := h.freezeWith(&stoppingOutbox{h.outbox, stored}, sparse)
			if !errors.Is(err, errStop) {
				t.Fatalf("got %v", err)
			}
			after := h.message(id)
			if stored == (after.Next == before.Next && !after.Frozen) {
				t.Errorf("stopped with a piece stored: %t; the cursor went from %d to %d", stored, before.Next, after.Next)
			}
			fill(next, 50)
			next += 50
			gone := rand.IntN(3 * chunks)
			h.remove(gone)
			removed[gone] = true
		}
		if stops < 6 {
			t.Errorf("got %d stops, want one before and after each piece", stops)
		}
		members := make(map[int]int)
		shards, err := h.outbox.Shards(t.Context(), id, 0, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		total := 0
		for _, s := range shards {
			for _, slot := range s.Members.All() {
				members[ordinals[sparse.dense(s.Chunk().Ordinal(slot))]]++
				total++
			}
		}
		for n := range 3 * chunks {
			if want := 1; members[n] != want && n%5 > 0 && !removed[n] || members[n] > want || n%5 == 0 && members[n] > 0 {
				t.Errorf("installation %d is a member %d times", n, members[n])
			}
			delete(members, n)
		}
		if len(members) > 0 {
			t.Errorf("%d are members that came later", len(members))
		}
		if m := h.message(id); m.State != outbox.StateSending || m.Counts.Targeted != total {
			t.Errorf("got %+v, want %d targeted", m.Status, total)
		}
	})
}

// sparseAudience has three installations in each chunk: so there are many chunks
// without many installations.
type sparseAudience struct{ *memory.Audience }

func (*sparseAudience) sparse(o audience.Ordinal) audience.Ordinal {
	return audience.Chunk(o / 3).Ordinal(audience.Slot(o % 3))
}

func (*sparseAudience) dense(o audience.Ordinal) audience.Ordinal {
	return audience.Ordinal(o.Chunk())*3 + audience.Ordinal(o.Slot())
}

// Bound implements audience.Store.
func (s *sparseAudience) Bound(ctx context.Context, app audience.AppNumber) (audience.Ordinal, error) {
	o, err := s.Audience.Bound(ctx, app)
	return s.sparse(o), err
}

// Select implements audience.Store.
func (s *sparseAudience) Select(ctx context.Context, app audience.AppNumber, q audience.Selection, f func(audience.Chunk, *audience.Members) error) error {
	from, below := audience.Ordinal(q.From)*3, s.dense(q.Below)
	all := make(map[audience.Chunk]*audience.Members)
	err := s.Audience.Select(ctx, app, audience.Selection{Use: q.Use, Tag: q.Tag, Below: below}, func(c audience.Chunk, m *audience.Members) error {
		for _, slot := range m.All() {
			if o := c.Ordinal(slot); o >= from {
				at := s.sparse(o)
				if all[at.Chunk()] == nil {
					all[at.Chunk()] = &audience.Members{}
				}
				all[at.Chunk()].Add(at.Slot())
			}
		}
		return nil
	})
	for c := q.From; err == nil && len(all) > 0; c++ {
		if m := all[c]; m != nil {
			delete(all, c)
			err = f(c, m)
		}
	}
	return err
}

// TestFreezeTimes takes messages through the states that come with time.
func TestFreezeTimes(t *testing.T) {
	withHall(t, func(h *hall) {
		t := h.t
		h.register(1)
		now := time.Now()
		f := newFreezer(h.outbox, h.audience, slog.New(slog.DiscardHandler), func() {})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- f.Run(ctx) }()
		synctest.Wait()

		scheduled := h.submit(outbox.Intent{Everybody: true, StartAt: now.Add(10 * time.Minute)})
		late := h.submit(outbox.Intent{Everybody: true, StartAt: now.Add(30 * time.Minute), Deadline: now.Add(40 * time.Minute)})
		paused := h.submit(outbox.Intent{Everybody: true, Deadline: now.Add(20 * time.Minute)})
		for _, id := range []outbox.MessageID{late, paused} {
			if _, err := h.outbox.Step(t.Context(), id, outbox.Pause{Why: outbox.WhyAsked}, nil, now); err != nil {
				t.Fatal(err)
			}
		}
		f.Wake()
		want := func(after time.Duration, s, l, p outbox.State) {
			t.Helper()
			time.Sleep(time.Until(now.Add(after)))
			synctest.Wait()
			for n, id := range []outbox.MessageID{scheduled, late, paused} {
				if got := h.message(id); got.State != []outbox.State{s, l, p}[n] {
					t.Errorf("message %d after %v: got %v, want %v", n, after, got.State, []outbox.State{s, l, p}[n])
				}
			}
		}
		want(10*time.Minute-time.Second, outbox.StateScheduled, outbox.StatePaused, outbox.StatePaused)
		h.register(2) // before it begins
		want(10*time.Minute+time.Second, outbox.StateSending, outbox.StatePaused, outbox.StatePaused)
		if got := h.members(scheduled); len(got) != 2 {
			t.Errorf("got members %v, want both", got)
		}
		want(20*time.Minute-time.Second, outbox.StateSending, outbox.StatePaused, outbox.StatePaused)
		want(20*time.Minute+time.Second, outbox.StateSending, outbox.StatePaused, outbox.StateExpired)
		want(40*time.Minute+time.Second, outbox.StateSending, outbox.StateExpired, outbox.StateExpired)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestFreezeOverdue finds messages whose time was over before anybody looked.
func TestFreezeOverdue(t *testing.T) {
	withHall(t, func(h *hall) {
		t := h.t
		h.register(1)
		ids := []outbox.MessageID{h.submit(outbox.Intent{Everybody: true}), h.submit(outbox.Intent{Tag: "even", StartAt: time.Now().Add(time.Minute)})}
		time.Sleep(2 * time.Hour)
		if err := h.freeze(h.outbox); err != nil {
			t.Error(err)
		}
		for _, id := range ids {
			if m := h.message(id); m.State != outbox.StateExpired {
				t.Errorf("got %v, want it expired", m.State)
			}
		}
	})
}

// fullOutbox has no room for shards.
type fullOutbox struct {
	outbox.Store
	full  atomic.Bool
	tries atomic.Int32
}

// Step implements outbox.Store.
func (s *fullOutbox) Step(ctx context.Context, id outbox.MessageID, e outbox.Event, shards []outbox.Shard, now time.Time) (outbox.Message, error) {
	if len(shards) > 0 && s.full.Load() {
		s.tries.Add(1)
		return outbox.Message{}, outbox.ErrFull
	}
	return s.Store.Step(ctx, id, e, shards, now)
}

// TestFreezeFull has no room in the outbox for a while.
func TestFreezeFull(t *testing.T) {
	withHall(t, func(h *hall) {
		t := h.t
		h.register(1)
		id := h.submit(outbox.Intent{Everybody: true})
		full := &fullOutbox{Store: h.outbox}
		full.full.Store(true)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- newFreezer(full, h.audience, slog.New(slog.DiscardHandler), func() {}).Run(ctx) }()
		time.Sleep(time.Minute)
		synctest.Wait()
		if m := h.message(id); m.State != outbox.StateSnapshotting || full.tries.Load() == 0 || full.tries.Load() > 20 {
			t.Errorf("got %v after %d tries in a minute", m.State, full.tries.Load())
		}
		full.full.Store(false)
		time.Sleep(time.Minute)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if m := h.message(id); m.State != outbox.StateSending || m.Counts.Targeted != 1 {
			t.Errorf("got %+v", m.Status)
		}
	})
}
