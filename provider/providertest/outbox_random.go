package providertest

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
)

// testRandom sends messages to their end, with crashes, pauses and holders that are
// overtaken in between, and checks that in the end each member has the receipt that
// was stored for it, and had one only.
func (p *post) testRandom(t *testing.T) {
	app := someApp
	rapid.Check(t, func(rt *rapid.T) {
		app++
		w := &worker{post: p, t: t, app: app, now: morning, told: make(map[member]outbox.Receipt)}
		for _, do := range rapid.SliceOfN(rapid.SampledFrom([]func(*worker, *rapid.T){
			(*worker).submit, (*worker).submit, (*worker).work, (*worker).work, (*worker).work, (*worker).pause, (*worker).wait, (*worker).crash,
		}), 1, 20).Draw(rt, "operations") {
			do(w, rt)
		}
		w.finish(rt)
	})
}

// member is one whom a message is for.
type member struct {
	message outbox.MessageID
	shard   uint32
	rank    int
}

// worker sends the messages of an app.
type worker struct {
	*post
	t        *testing.T
	app      audience.AppNumber
	now      time.Time
	crashed  bool
	messages []outbox.MessageID
	held     []outbox.Claim
	told     map[member]outbox.Receipt // what was stored
}

func (w *worker) queue() outbox.Queue { return outbox.Queue{Lane: outbox.Ordinary, App: w.app} }

func (w *worker) submit(rt *rapid.T) {
	i := intent(0)
	i.ID, i.App, i.Deadline = outbox.NewMessageID(w.now), w.app, w.now.Add(24*time.Hour)
	var shards []outbox.Shard
	for n := range rapid.IntRange(1, 3).Draw(rt, "shards") {
		shards = append(shards, shard(audience.Chunk(n), rapid.IntRange(1, 5).Draw(rt, "members")))
	}
	if _, _, err := w.Submit(w.t.Context(), outbox.Submission{Intent: i, Shards: shards}, w.now); err != nil {
		rt.Fatal(err)
	}
	w.messages = append(w.messages, i.ID)
}

// work claims some, and goes on with one of those that it holds.
func (w *worker) work(rt *rapid.T) {
	claims, err := w.Claim(w.t.Context(), outbox.Wanted{
		Queue: w.queue(), Shards: rapid.IntRange(1, 3).Draw(rt, "wanted"), Members: 100, Until: w.now.Add(time.Minute),
	}, w.now)
	if err != nil {
		rt.Fatal(err)
	}
	for _, c := range claims {
		for rank := range c.Shard.Receipts.Len() {
			if got, want := c.Shard.Receipts.Get(rank), w.told[member{c.Message.ID, c.Shard.Number, rank}]; got != want {
				rt.Fatalf("claimed with receipt %v of rank %d, want %v", got, rank, want)
			}
		}
	}
	if w.held = append(w.held, claims...); len(w.held) == 0 {
		return
	}
	at := rapid.IntRange(0, len(w.held)-1).Draw(rt, "of")
	w.goOn(rt, at, rapid.IntRange(1, 4).Draw(rt, "steps"), rapid.Bool().Draw(rt, "release"))
}

// goOn gives some members of what is held a receipt.
func (w *worker) goOn(rt *rapid.T, at, steps int, release bool) {
	c := w.held[at]
	r := c.Shard.Receipts.Clone()
	for ; steps > 0 && r.Cursor() < r.Len(); steps-- {
		r.Set(r.Cursor(), outbox.Receipt(rapid.IntRange(1, 3).Draw(rt, "receipt")))
	}
	checked, err := w.Checkpoint(w.t.Context(), []outbox.Progress{{
		Message: c.Message.ID, Shard: c.Shard.Number, Fence: c.Fence, Receipts: r, Release: release, Next: w.now.Add(time.Second), Until: w.now.Add(time.Minute),
	}}, w.now)
	if err != nil {
		rt.Fatal(err)
	}
	if errors.Is(checked[0].Err, outbox.ErrFenced) {
		w.held = slices.Delete(w.held, at, at+1)
		return
	}
	for rank := range r.Len() {
		w.told[member{c.Message.ID, c.Shard.Number, rank}] = r.Get(rank)
	}
	if w.held[at].Shard.Receipts = r; release || r.Cursor() == r.Len() {
		w.held = slices.Delete(w.held, at, at+1)
	}
}

func (w *worker) pause(rt *rapid.T) {
	if len(w.messages) == 0 {
		return
	}
	id := rapid.SampledFrom(w.messages).Draw(rt, "message")
	e := rapid.SampledFrom([]outbox.Event{outbox.Pause{Why: outbox.WhyAsked}, outbox.Resume{}}).Draw(rt, "event")
	if _, err := w.Step(w.t.Context(), id, e, nil, w.now); err != nil && !errors.Is(err, outbox.ErrState) {
		rt.Fatal(err)
	}
}

// wait lets time pass, by which others may claim what is held.
func (w *worker) wait(rt *rapid.T) {
	w.now = w.now.Add(time.Duration(rapid.IntRange(1, 90).Draw(rt, "seconds")) * time.Second)
}

func (w *worker) crash(*rapid.T) {
	// To open a store may take as long as a whole round.
	if w.again == nil || w.crashed || w.app%4 != 0 {
		return
	}
	w.crashed = true
	w.Store = w.again(true) // and what is held is not, as will be found out
}

// finish resumes all messages, sends them to their end, and checks the receipts.
func (w *worker) finish(rt *rapid.T) {
	for _, id := range w.messages {
		if _, err := w.Step(w.t.Context(), id, outbox.Resume{}, nil, w.now); err != nil && !errors.Is(err, outbox.ErrState) {
			rt.Fatal(err)
		}
	}
	w.held = nil
	w.now = w.now.Add(time.Hour)
	for {
		claims, err := w.Claim(w.t.Context(), outbox.Wanted{Queue: w.queue(), Shards: 9, Members: 100, Until: w.now.Add(time.Minute)}, w.now)
		if err != nil {
			rt.Fatal(err)
		}
		if len(claims) == 0 {
			break
		}
		for w.held = claims; len(w.held) > 0; {
			w.goOn(rt, 0, 100, true)
		}
	}
	got := make(map[member]outbox.Receipt)
	for _, id := range w.messages {
		m, err := w.Message(w.t.Context(), id)
		if err != nil || m.State != outbox.StateDone {
			rt.Fatalf("message: got %v, %v, want it done", m.State, err)
		}
		shards, err := w.Shards(w.t.Context(), id, 0, 100)
		if err != nil {
			rt.Fatal(err)
		}
		var sum outbox.Tally
		for _, s := range shards {
			for rank := range s.Receipts.Len() {
				r := s.Receipts.Get(rank)
				got[member{id, s.Number, rank}] = r
				sum[r]++
			}
		}
		if sum != m.Counts.Receipts || sum[outbox.Pending] != 0 {
			rt.Fatalf("got counts %v for receipts %v", m.Counts.Receipts, sum)
		}
	}
	if !maps.Equal(got, w.told) {
		rt.Fatalf("got receipts %v, want %v", got, w.told)
	}
}
