package provider

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
	"github.com/heraldpush/herald/store/memory"
	"github.com/heraldpush/herald/store/pebble"
)

// desk is an archivist between its stores, each call of which may fail.
type desk struct {
	t       *testing.T
	outbox  outbox.Store
	archive outbox.Archive
	// calls counts the calls of the archivist; the one with the number failing fails:
	// when it has done what it is to do, if late is set.
	calls, failing int
	late           bool
}

var errInjected = errors.New("injected")

func newDesk(t *testing.T) *desk {
	t.Helper()
	o, err := pebble.OpenOutboxInMemory()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	})
	return &desk{t: t, outbox: o, archive: memory.NewArchive()}
}

func (d *desk) archivist() *archivist {
	return newArchivist(&failingOutbox{d.outbox, d}, &failingArchive{d.archive, d}, shortRetention, slog.New(slog.DiscardHandler))
}

// call does what a store is to do, unless it is to fail.
func (d *desk) call(do func() error) error {
	d.calls++
	if d.calls != d.failing {
		return do()
	}
	if d.late {
		if err := do(); err != nil {
			return err
		}
	}
	return errInjected
}

type failingOutbox struct {
	outbox.Store
	*desk
}

func (o *failingOutbox) Ended(ctx context.Context, now time.Time, limit int) (all []outbox.Message, err error) {
	err = o.call(func() (err error) { all, err = o.Store.Ended(ctx, now, limit); return err })
	return all, err
}

func (o *failingOutbox) Shards(ctx context.Context, id outbox.MessageID, from uint32, limit int) (all []outbox.Shard, err error) {
	err = o.call(func() (err error) { all, err = o.Store.Shards(ctx, id, from, limit); return err })
	return all, err
}

func (o *failingOutbox) Failures(ctx context.Context, id outbox.MessageID, after outbox.FailureAt, limit int) (all []outbox.ShardFailure, err error) {
	err = o.call(func() (err error) { all, err = o.Store.Failures(ctx, id, after, limit); return err })
	return all, err
}

func (o *failingOutbox) Remove(ctx context.Context, ids ...outbox.MessageID) error {
	return o.call(func() error { return o.Store.Remove(ctx, ids...) })
}

type failingArchive struct {
	outbox.Archive
	*desk
}

func (a *failingArchive) Put(ctx context.Context, all []outbox.Finished) error {
	return a.call(func() error { return a.Archive.Put(ctx, all) })
}

func (a *failingArchive) Add(ctx context.Context, m *outbox.Message, p outbox.Part) error {
	return a.call(func() error { return a.Archive.Add(ctx, m, p) })
}

func (a *failingArchive) Trim(ctx context.Context, ended time.Time, most int) (n int, err error) {
	err = a.call(func() (err error) { n, err = a.Archive.Trim(ctx, ended, most); return err })
	return n, err
}

// submit submits a message for so many members in each of its shards, of which so
// many are refused and the others accepted.
func (d *desk) submit(shards, members, refused int) outbox.MessageID {
	d.t.Helper()
	now := time.Now()
	s := outbox.Submission{Intent: outbox.Intent{
		ID: outbox.NewMessageID(now), App: 1, Lane: outbox.Ordinary, Deadline: now.Add(time.Hour),
		Notification: apns.Notification{Topic: bundleOfDesk, Payload: apns.Payload(`{"aps":{"alert":"Hello"}}`)},
	}}
	for n := range shards {
		var m audience.Members
		for slot := range members {
			m.Add(audience.Slot(slot))
		}
		s.Shards = append(s.Shards, outbox.NewShard(audience.Chunk(3*n), &m))
	}
	if _, _, err := d.outbox.Submit(d.t.Context(), s, now); err != nil {
		d.t.Fatal(err)
	}
	claims, err := d.outbox.Claim(d.t.Context(), outbox.Wanted{
		Queue: outbox.Queue{Lane: outbox.Ordinary, App: 1}, Shards: shards, Members: 1 << 30, Until: now.Add(time.Minute),
	}, now)
	if err != nil || len(claims) != shards {
		d.t.Fatalf("got %d claims, %v, want %d", len(claims), err, shards)
	}
	for _, c := range claims {
		p := outbox.Progress{Message: c.Message.ID, Shard: c.Shard.Number, Fence: c.Fence, Receipts: c.Shard.Receipts, Release: true}
		for rank := range members {
			p.Receipts.Set(rank, outbox.Accepted)
			if rank < refused {
				p.Receipts.Set(rank, outbox.Rejected)
				p.Failures = append(p.Failures, outbox.Failure{Rank: rank, Status: 410, Reason: apns.Unregistered, At: now.UTC()})
			}
		}
		if _, err := d.outbox.Checkpoint(d.t.Context(), []outbox.Progress{p}, now); err != nil {
			d.t.Fatal(err)
		}
	}
	return s.Intent.ID
}

// shortRetention is how long the archives of desks keep messages.
const shortRetention = time.Hour

const bundleOfDesk apns.Topic = "com.example.desk"

// read returns all there is of a message, wherever it is.
func (d *desk) read(id outbox.MessageID) (f outbox.Finished) {
	d.t.Helper()
	h := history{d.outbox, d.archive}
	var err error
	if f.Message, err = h.message(d.t.Context(), 1, id); err != nil {
		d.t.Fatalf("message %v: %v", id, err)
	}
	if f.Part.Shards, err = h.shards(d.t.Context(), 1, id, 0, 1<<30); err != nil {
		d.t.Fatal(err)
	}
	if f.Part.Failures, err = h.failures(d.t.Context(), 1, id, outbox.FailureAt{}, 1<<30); err != nil {
		d.t.Fatal(err)
	}
	return f
}

// wantAll checks that all there was of messages is there.
func (d *desk) wantAll(all []outbox.Finished) {
	d.t.Helper()
	for n := range all {
		if diff := cmp.Diff(all[n], d.read(all[n].Message.ID), cmp.AllowUnexported(apns.Expiration{}, outbox.Receipts{}, audience.Members{}), cmpopts.EquateEmpty()); diff != "" {
			d.t.Errorf("message %d (-want +got):\n%s", n, diff)
		}
	}
}

// wantMoved checks that messages are in the archive alone.
func (d *desk) wantMoved(all []outbox.Finished) {
	d.t.Helper()
	d.wantAll(all)
	for n := range all {
		id := all[n].Message.ID
		if _, err := d.outbox.Message(d.t.Context(), id); !errors.Is(err, outbox.ErrNotFound) {
			d.t.Errorf("message %d in the outbox: got %v, want ErrNotFound", n, err)
		}
		if _, err := d.archive.Message(d.t.Context(), 1, id); err != nil {
			d.t.Errorf("message %d in the archive: %v", n, err)
		}
	}
}

// TestArchivistCrash ends the archivist at each of its calls, before and after the
// call has done what it does: whatever is asked for is there all the time, and in the
// end each message is in the archive, whole.
func TestArchivistCrash(t *testing.T) {
	for _, late := range []bool{false, true} {
		for failing, over := 1, false; !over; failing++ {
			d := newDesk(t)
			var all []outbox.Finished
			for _, id := range []outbox.MessageID{d.submit(1, 1, 0), d.submit(3, 20, 3), d.submit(20, 8, 1), d.submit(1, 1, 1)} {
				all = append(all, d.read(id))
			}
			d.failing, d.late = failing, late
			_, err := d.archivist().round(t.Context())
			if over = err == nil; !over && !errors.Is(err, errInjected) {
				t.Fatal(err)
			}
			d.wantAll(all)
			d.failing = 0
			if _, err := d.archivist().round(t.Context()); err != nil { // of the next process
				t.Fatal(err)
			}
			d.wantMoved(all)
			list, err := (&history{d.outbox, d.archive}).list(t.Context(), 1, outbox.MessageID{}, 9)
			if err != nil || len(list) != len(all) {
				t.Errorf("got a list of %d, %v, want %d", len(list), err, len(all))
			}
		}
	}
}

// TestArchivistParts moves messages that are too large for one part, by their shards
// or by their failures.
func TestArchivistParts(t *testing.T) {
	d := newDesk(t)
	var all []outbox.Finished
	for _, id := range []outbox.MessageID{
		d.submit(partShards, 5, 0), d.submit(2*partShards+1, 9, 2), d.submit(3, 4000, 3000), d.submit(1, audience.ChunkWidth, audience.ChunkWidth),
	} {
		all = append(all, d.read(id))
	}
	if more, err := d.archivist().round(t.Context()); err != nil || more {
		t.Errorf("got more %t, %v", more, err)
	}
	d.wantMoved(all)
}

// TestArchivistRun has messages archived soon after they ended, leaves alone those
// that have not, goes on when a store has failed, and keeps what it archived for as
// long as it was told.
func TestArchivistRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		a := d.archivist()
		d.failing = 2
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- a.Run(ctx) }()
		var all []outbox.Finished
		for range putAtOnce + 10 {
			all = append(all, d.read(d.submit(1, 1, 1)))
		}
		waiting := outbox.Intent{ID: outbox.NewMessageID(time.Now()), App: 1, Tag: "news", Deadline: time.Now().Add(time.Hour)}
		if _, _, err := d.outbox.Submit(t.Context(), outbox.Submission{Intent: waiting}, time.Now()); err != nil {
			t.Fatal(err)
		}
		a.Wake()
		time.Sleep(linger + firstPause)
		synctest.Wait()
		d.wantMoved(all)
		if m, err := d.outbox.Message(t.Context(), waiting.ID); err != nil || m.State != outbox.StateSnapshotting {
			t.Errorf("the one that goes on: got %v, %v", m.State, err)
		}
		time.Sleep(shortRetention - time.Minute)
		synctest.Wait()
		d.wantMoved(all)
		time.Sleep(2 * trimEvery)
		synctest.Wait()
		if list, err := d.archive.List(t.Context(), 1, outbox.MessageID{}, 9); err != nil || len(list) != 0 {
			t.Errorf("after the retention: got %d, %v, want none", len(list), err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
