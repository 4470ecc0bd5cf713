package providertest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
)

// OpenOutbox opens an empty store. The function it returns besides opens the same
// store again, as it was left: by a crash if crash is true, else closed; it is nil
// for a store that cannot be reopened.
type OpenOutbox func(t *testing.T) (store outbox.Store, reopen func(crash bool) outbox.Store)

// Outbox tests the stores that open makes.
func Outbox(t *testing.T, open OpenOutbox) {
	t.Helper()
	for name, test := range map[string]func(*post, *testing.T){
		"Submit":         (*post).testSubmit,
		"Once":           (*post).testOnce,
		"OnceConcurrent": (*post).testOnceConcurrent,
		"Claim":          (*post).testClaim,
		"Lease":          (*post).testLease,
		"Queues":         (*post).testQueues,
		"Waiting":        (*post).testWaiting,
		"Checkpoint":     (*post).testCheckpoint,
		"Passes":         (*post).testPasses,
		"Pause":          (*post).testPause,
		"Extend":         (*post).testExtend,
		"Due":            (*post).testDue,
		"Remove":         (*post).testRemove,
		"RemoveMany":     (*post).testRemoveMany,
		"List":           (*post).testList,
		"Fuse":           (*post).testFuse,
		"Reopen":         (*post).testReopen,
		"Closed":         (*post).testClosed,
		"Random":         (*post).testRandom,
	} {
		t.Run(name, func(t *testing.T) {
			s, reopen := open(t)
			p := &post{s, reopen}
			test(p, t)
			if err := p.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
}

// post is a store under test.
type post struct {
	outbox.Store
	again func(crash bool) outbox.Store
}

// twice runs check on the store, and again on the store reopened after a crash.
func (p *post) twice(t *testing.T, check func(t *testing.T)) {
	t.Helper()
	check(t)
	if p.again != nil {
		p.Store = p.again(true)
		check(t)
	}
}

// morning is when most messages are submitted.
var morning = time.Date(2026, 5, 1, 8, 0, 0, 999999, time.UTC)

// intent returns the intent of a message made some milliseconds after morning.
func intent(ms int) outbox.Intent {
	at := morning.Add(time.Duration(ms) * time.Millisecond)
	return outbox.Intent{
		ID: outbox.NewMessageID(at), App: someApp, Lane: outbox.Ordinary,
		Notification: apns.Notification{
			Topic: "com.example.demo", PushType: apns.PushTypeAlert, Payload: apns.Payload(`{"aps":{"alert":"Hello"}}`),
		},
		Use: audience.Use{Kind: audience.KindAlert}, Deadline: at.Add(24 * time.Hour),
	}
}

// shard returns the shard of a chunk with so many members.
func shard(c audience.Chunk, members int) outbox.Shard {
	var m audience.Members
	for s := range members {
		m.Add(audience.Slot(3 * s))
	}
	return outbox.NewShard(c, &m)
}

// submit submits a message at the time at which it was made.
func (p *post) submit(t *testing.T, i outbox.Intent, shards ...outbox.Shard) outbox.Message {
	t.Helper()
	m, repeated, err := p.Submit(t.Context(), outbox.Submission{Intent: i, Shards: shards}, i.ID.Time())
	if err != nil || repeated {
		t.Fatalf("submit: got repeated %t, %v", repeated, err)
	}
	return m
}

// claim claims up to so many shards of a queue, for a minute.
func (p *post) claim(t *testing.T, q outbox.Queue, most int, now time.Time) []outbox.Claim {
	t.Helper()
	claims, err := p.Claim(t.Context(), outbox.Wanted{Queue: q, Shards: most, Members: 1 << 30, Until: now.Add(time.Minute)}, now)
	if err != nil {
		t.Fatalf("claim: %v", err)
	}
	return claims
}

// ordinary is the queue of most messages.
var ordinary = outbox.Queue{Lane: outbox.Ordinary, App: someApp}

// check stores progress, and returns the status of the message.
func (p *post) check(t *testing.T, now time.Time, progress outbox.Progress) outbox.Status {
	t.Helper()
	checked, err := p.Checkpoint(t.Context(), []outbox.Progress{progress}, now)
	if err != nil || len(checked) != 1 || checked[0].Err != nil {
		t.Fatalf("checkpoint: got %+v, %v", checked, err)
	}
	return checked[0].Status
}

// finish returns progress by which all of a claim have a receipt.
func finish(c outbox.Claim, to outbox.Receipt) outbox.Progress {
	r := c.Shard.Receipts.Clone()
	for rank := range r.Len() {
		r.Set(rank, to)
	}
	return outbox.Progress{Message: c.Message.ID, Shard: c.Shard.Number, Fence: c.Fence, Receipts: r, Release: true}
}

// wantMessage checks that a message is stored as it is.
func (p *post) wantMessage(t *testing.T, want outbox.Message) {
	t.Helper()
	got, err := p.Message(t.Context(), want.ID)
	if d := diffPost(want, got); err != nil || d != "" {
		t.Errorf("message: %v (-want +got)\n%s", err, d)
	}
}

func diffPost(want, got any) string {
	return cmp.Diff(want, got, cmp.AllowUnexported(apns.Expiration{}, outbox.Receipts{}, audience.Members{}))
}

func (p *post) testSubmit(t *testing.T) {
	i := intent(0)
	i.Notification.Expiration = apns.ExpiresAt(morning)
	i.Notification.CollapseID, i.Notification.Priority = "c", apns.PriorityConserve
	shards := []outbox.Shard{
		shard(3, 2), shard(70_000, audience.ChunkWidth/3),
		{Number: 1 << 31, Listed: []outbox.Addressee{{Environment: apns.Sandbox, DeviceToken: "\xaa"}}, Receipts: outbox.NewReceipts(1)},
	}
	m := p.submit(t, i, shards...)
	if m.State != outbox.StateSending || m.Counts.Targeted != 3+audience.ChunkWidth/3 {
		t.Errorf("got %+v", m.Status)
	}
	p.twice(t, func(t *testing.T) {
		p.wantMessage(t, m)
		got, err := p.Shards(t.Context(), m.ID, 0, 10)
		if d := diffPost(shards, got); err != nil || d != "" {
			t.Errorf("shards: %v (-want +got)\n%s", err, d)
		}
		if got, err := p.Shards(t.Context(), m.ID, 4, 1); err != nil || len(got) != 1 || got[0].Number != 70_000 {
			t.Errorf("one shard from 4 on: got %d, %v", len(got), err)
		}
		if _, err := p.Message(t.Context(), outbox.NewMessageID(morning)); !errors.Is(err, outbox.ErrNotFound) {
			t.Errorf("another message: got %v, want ErrNotFound", err)
		}
	})
	nobody := p.submit(t, intent(1))
	if nobody.State != outbox.StateDone {
		t.Errorf("for nobody: got %v, want done", nobody.State)
	}
}

func once(key, request byte, until time.Time) outbox.Once {
	return outbox.Once{Key: [16]byte{key}, Fingerprint: [16]byte{request}, Until: until}
}

func (p *post) testOnce(t *testing.T) {
	until := morning.Add(time.Hour)
	try := func(i outbox.Intent, o outbox.Once, now time.Time) (outbox.MessageID, bool, error) {
		m, repeated, err := p.Submit(t.Context(), outbox.Submission{Intent: i, Shards: []outbox.Shard{shard(0, 1)}, Once: o}, now)
		return m.ID, repeated, err
	}
	first := intent(0)
	if id, repeated, err := try(first, once(1, 1, until), morning); id != first.ID || repeated || err != nil {
		t.Fatalf("first: got %v, %t, %v", id, repeated, err)
	}
	other := intent(1)
	other.App++
	p.twice(t, func(t *testing.T) {
		if id, repeated, err := try(intent(2), once(1, 1, until), morning.Add(time.Minute)); id != first.ID || !repeated || err != nil {
			t.Errorf("again: got %v, %t, %v, want %v", id, repeated, err, first.ID)
		}
		if _, _, err := try(intent(3), once(1, 2, until), morning.Add(time.Minute)); !errors.Is(err, outbox.ErrOtherRequest) {
			t.Errorf("another request: got %v, want ErrOtherRequest", err)
		}
	})
	if id, repeated, err := try(other, once(1, 2, until), morning); id != other.ID || repeated || err != nil {
		t.Errorf("of another app: got %v, %t, %v", id, repeated, err)
	}
	if err := p.Remove(t.Context(), first.ID); err != nil {
		t.Fatal(err)
	}
	if id, repeated, err := try(intent(4), once(1, 1, until), morning); id != first.ID || !repeated || err != nil {
		t.Errorf("when the message was removed: got %v, %t, %v, want %v", id, repeated, err, first.ID)
	}
	later := intent(5)
	if id, repeated, err := try(later, once(1, 2, until.Add(2*time.Hour)), until); id != later.ID || repeated || err != nil {
		t.Errorf("when it is forgotten: got %v, %t, %v", id, repeated, err)
	}
	// What is forgotten in time does not take the new one with it.
	if _, _, err := try(intent(6), once(9, 9, until), until.Add(time.Hour)); err != nil {
		t.Error(err)
	}
	if id, repeated, err := try(intent(7), once(1, 2, until), until.Add(time.Hour)); id != later.ID || !repeated || err != nil {
		t.Errorf("again: got %v, %t, %v, want %v", id, repeated, err, later.ID)
	}
}

func (p *post) testOnceConcurrent(t *testing.T) {
	const callers = 16
	ids := make([]outbox.MessageID, callers)
	var calling sync.WaitGroup
	for n := range callers {
		calling.Go(func() {
			m, _, err := p.Submit(t.Context(), outbox.Submission{
				Intent: intent(n), Shards: []outbox.Shard{shard(0, 1)}, Once: once(1, 1, morning.Add(time.Hour)),
			}, morning)
			if err != nil {
				t.Error(err)
			}
			ids[n] = m.ID
		})
	}
	calling.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("got messages %v, want one", ids)
		}
	}
	if claims := p.claim(t, ordinary, callers, morning.Add(time.Second)); len(claims) != 1 {
		t.Errorf("got %d shards, want that of one message", len(claims))
	}
}

func (p *post) testPause(t *testing.T) {
	m := p.submit(t, intent(0), shard(0, 1), shard(1, 1), shard(2, 1))
	after := p.submit(t, intent(1), shard(7, 1))
	now := morning.Add(time.Second)
	held := p.claim(t, ordinary, 1, now)[0]
	step := func(e outbox.Event) outbox.State {
		t.Helper()
		got, err := p.Step(t.Context(), m.ID, e, nil, now)
		if err != nil {
			t.Fatal(err)
		}
		return got.State
	}
	if got := step(outbox.Pause{Why: outbox.WhyAsked}); got != outbox.StatePaused {
		t.Errorf("got %v", got)
	}
	// It is in nobody's way, and what was in flight is counted.
	if claims := p.claim(t, ordinary, 9, now); len(claims) != 1 || claims[0].Message.ID != after.ID {
		t.Errorf("got %+v, want that of the other message", claims)
	}
	if s := p.check(t, now, finish(held, outbox.Accepted)); s.State != outbox.StatePaused || s.Counts.Receipts[outbox.Accepted] != 1 {
		t.Errorf("got %+v", s)
	}
	if _, err := p.Step(t.Context(), m.ID, outbox.Start{}, nil, now); !errors.Is(err, outbox.ErrState) {
		t.Errorf("got %v, want ErrState", err)
	}
	if p.again != nil {
		p.Store = p.again(true)
	}
	if got := step(outbox.Resume{}); got != outbox.StateSending {
		t.Errorf("got %v", got)
	}
	var numbers []uint32
	for _, c := range p.claim(t, ordinary, 9, now) {
		if c.Message.ID == m.ID {
			numbers = append(numbers, c.Shard.Number)
		}
	}
	if fmt.Sprint(numbers) != "[1 2]" {
		t.Errorf("got shards %v, want 1 and 2", numbers)
	}
	if _, err := p.Step(t.Context(), outbox.NewMessageID(now), outbox.Cancel{}, nil, now); !errors.Is(err, outbox.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

func (p *post) testExtend(t *testing.T) {
	i := intent(0)
	i.Tag, i.Lane = "news", outbox.Campaign
	m := p.submit(t, i)
	q := outbox.Queue{Lane: outbox.Campaign, App: someApp}
	now := morning.Add(time.Second)
	for n, e := range []outbox.Extend{{Members: 3, Next: 1}, {Members: 3, Next: 2}, {Members: 3, Next: 3, Done: true}} {
		if due, _, err := p.Due(t.Context(), now, 9); err != nil || len(due) != 1 || due[0].ID != m.ID || due[0].Next != audience.Chunk(n) {
			t.Fatalf("due: got %+v, %v, want the message at chunk %d", due, err, n)
		}
		var err error
		if m, err = p.Step(t.Context(), m.ID, e, []outbox.Shard{shard(audience.Chunk(n), 3)}, now); err != nil {
			t.Fatal(err)
		}
		if claims := p.claim(t, q, 9, now); len(claims) != 1 || claims[0].Shard.Number != uint32(n) {
			t.Errorf("got %+v, want shard %d", claims, n)
		}
	}
	if m.State != outbox.StateSending || m.Counts.Targeted != 9 {
		t.Errorf("got %+v", m.Status)
	}
	p.twice(t, func(t *testing.T) {
		p.wantMessage(t, m)
		if due, next, err := p.Due(t.Context(), now, 9); len(due) != 0 || !next.IsZero() || err != nil {
			t.Errorf("due: got %+v, %v, %v, want nothing", due, next, err)
		}
		if claims := p.claim(t, q, 9, now); len(claims) != 3 && p.again != nil && len(claims) != 0 {
			t.Errorf("got %d shards", len(claims))
		}
	})
}

func (p *post) testDue(t *testing.T) {
	var all []outbox.Message
	for n := range 3 {
		i := intent(0)
		i.StartAt = morning.Add(time.Duration(3-n) * time.Hour)
		all = append(all, p.submit(t, i, shard(0, 1)))
	}
	if claims := p.claim(t, ordinary, 9, morning.Add(9*time.Hour)); len(claims) != 0 {
		t.Errorf("before they start: got %+v", claims)
	}
	p.twice(t, func(t *testing.T) {
		if due, next, err := p.Due(t.Context(), morning.Add(90*time.Minute), 9); err != nil || len(due) != 1 || due[0].ID != all[2].ID || next.IsZero() {
			t.Errorf("got %+v, next at %v, %v, want the third", due, next, err)
		}
		if due, _, err := p.Due(t.Context(), morning.Add(9*time.Hour), 2); err != nil || len(due) != 2 || due[1].ID != all[1].ID {
			t.Errorf("got %+v, %v, want the third and the second", due, err)
		}
	})
	start := morning.Add(time.Hour)
	if m, err := p.Step(t.Context(), all[2].ID, outbox.Start{}, nil, start); err != nil || m.State != outbox.StateSending {
		t.Errorf("got %+v, %v", m.Status, err)
	}
	if claims := p.claim(t, ordinary, 9, start); len(claims) != 1 || claims[0].Message.ID != all[2].ID {
		t.Errorf("got %+v, want the one that started", claims)
	}
	// Paused, it is due at its deadline; not a moment before.
	if _, err := p.Step(t.Context(), all[2].ID, outbox.Pause{}, nil, start); err != nil {
		t.Fatal(err)
	}
	due, _, err := p.Due(t.Context(), all[2].Deadline.Add(time.Millisecond), 9)
	if err != nil || len(due) != 3 || due[2].ID != all[2].ID {
		t.Fatalf("got %d, %v, want the paused one as the last", len(due), err)
	}
	if m, err := p.Step(t.Context(), all[2].ID, outbox.Overdue{}, nil, all[2].Deadline); err != nil || m.State != outbox.StateExpired {
		t.Errorf("got %+v, %v", m.Status, err)
	}
}

func (p *post) testRemove(t *testing.T) {
	done, held, running := p.submit(t, intent(0), shard(0, 1)), p.submit(t, intent(1), shard(0, 1)), p.submit(t, intent(2), shard(0, 1))
	now := morning.Add(time.Second)
	claims := p.claim(t, ordinary, 2, now)
	progress := finish(claims[0], outbox.Rejected)
	progress.Failures = []outbox.Failure{{Reason: apns.BadDeviceToken, Status: 400, At: now}}
	p.check(t, now, progress)
	if _, err := p.Step(t.Context(), held.ID, outbox.Cancel{}, nil, now); err != nil {
		t.Fatal(err)
	}
	ended := func(now time.Time) (ids []outbox.MessageID) {
		t.Helper()
		all, err := p.Ended(t.Context(), now, 9)
		if err != nil {
			t.Error(err)
		}
		for _, m := range all {
			ids = append(ids, m.ID)
		}
		return ids
	}
	if d := cmp.Diff([]outbox.MessageID{done.ID}, ended(now)); d != "" {
		t.Errorf("ended, and not held (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]outbox.MessageID{done.ID, held.ID}, ended(now.Add(time.Hour))); d != "" {
		t.Errorf("ended (-want +got):\n%s", d)
	}
	// It has been returned, and changes no more.
	if checked, err := p.Checkpoint(t.Context(), []outbox.Progress{finish(claims[1], outbox.Accepted)}, now); err != nil || !errors.Is(checked[0].Err, outbox.ErrFenced) {
		t.Errorf("late answers: got %+v, %v, want ErrFenced", checked, err)
	}
	for _, ids := range [][]outbox.MessageID{nil, {done.ID, running.ID}, {running.ID, done.ID}} {
		if err := p.Remove(t.Context(), ids...); err != nil {
			t.Error(err)
		}
	}
	p.twice(t, func(t *testing.T) {
		for _, id := range []outbox.MessageID{done.ID, running.ID} {
			_, err := p.Message(t.Context(), id)
			shards, serr := p.Shards(t.Context(), id, 0, 9)
			failures, ferr := p.Failures(t.Context(), id, outbox.FailureAt{}, 9)
			if !errors.Is(err, outbox.ErrNotFound) || len(shards)+len(failures) > 0 || serr != nil || ferr != nil {
				t.Errorf("removed: got %v, %v and %v, %v, %v", err, shards, failures, serr, ferr)
			}
		}
		if claims := p.claim(t, ordinary, 9, now.Add(time.Hour)); len(claims) != 0 {
			t.Errorf("got %+v, want nothing", claims)
		}
		if d := cmp.Diff([]outbox.MessageID{held.ID}, ended(now.Add(time.Hour))); d != "" {
			t.Errorf("ended (-want +got):\n%s", d)
		}
	})
}

// testRemoveMany removes more messages than are dealt with at once, small and large,
// and what is left of a removed one is nothing, even if it is submitted again.
func (p *post) testRemoveMany(t *testing.T) {
	var ids []outbox.MessageID
	for n := range 300 {
		i := intent(n)
		p.submit(t, i, shard(0, 1))
		ids = append(ids, i.ID)
	}
	large := intent(1000)
	p.submit(t, large, shard(0, 2000), shard(1, 2))
	several, many := intent(1001), intent(1002)
	p.submit(t, several, shard(0, 2), shard(1, 2))
	p.submit(t, many, shard(0, 400))
	now := morning.Add(time.Minute)
	for _, c := range p.claim(t, ordinary, 1000, now) {
		if c.Shard.Number != 0 {
			continue
		}
		progress := finish(c, outbox.Rejected)
		progress.Failures = []outbox.Failure{{Status: 400, Reason: apns.BadDeviceToken, At: now}}
		p.check(t, now, progress)
	}
	if err := p.Remove(t.Context(), append(ids[1:], large.ID, several.ID, many.ID)...); err != nil {
		t.Fatal(err)
	}
	p.twice(t, func(t *testing.T) {
		all, err := p.List(t.Context(), someApp, outbox.MessageID{}, 9)
		if err != nil || len(all) != 1 || all[0].ID != ids[0] {
			t.Errorf("got %d messages, %v, want one", len(all), err)
		}
		if all, err := p.Ended(t.Context(), now, 9); err != nil || len(all) != 1 || all[0].ID != ids[0] {
			t.Errorf("ended: got %d messages, %v, want one", len(all), err)
		}
		if claims := p.claim(t, ordinary, 9, now.Add(time.Hour)); len(claims) != 0 {
			t.Errorf("got %d shards, want none", len(claims))
		}
	})
	for _, i := range []outbox.Intent{large, several, many} {
		m := p.submit(t, i)
		shards, err := p.Shards(t.Context(), m.ID, 0, 9)
		failures, ferr := p.Failures(t.Context(), m.ID, outbox.FailureAt{}, 9)
		if len(shards)+len(failures) > 0 || err != nil || ferr != nil {
			t.Errorf("got %d shards and %d failures of what was removed, %v, %v", len(shards), len(failures), err, ferr)
		}
	}
}

func (p *post) testList(t *testing.T) {
	var want []outbox.MessageID
	for n := range 20 {
		i := intent(n / 2) // some of the same millisecond
		if n%4 == 3 {
			i.App++
		} else {
			want = append(want, i.ID)
		}
		p.submit(t, i, shard(0, 1))
	}
	slices.SortFunc(want, func(a, b outbox.MessageID) int { return bytes.Compare(b[:], a[:]) })
	if err := p.Remove(t.Context(), want[3]); err != nil {
		t.Fatal(err)
	}
	want = slices.Delete(want, 3, 4)
	p.twice(t, func(t *testing.T) {
		var got []outbox.MessageID
		for before := (outbox.MessageID{}); ; {
			some, err := p.List(t.Context(), someApp, before, 4)
			if err != nil || len(some) > 4 {
				t.Fatalf("got %d messages, %v", len(some), err)
			}
			if len(some) == 0 {
				break
			}
			for _, m := range some {
				if m.App != someApp || m.State != outbox.StateSending {
					t.Errorf("got %+v", m)
				}
				got = append(got, m.ID)
			}
			before = some[len(some)-1].ID
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("messages (-want +got):\n%s", d)
		}
	})
}

func (p *post) testFuse(t *testing.T) {
	m := p.submit(t, intent(0), shard(0, 200), shard(1, 1))
	now := morning.Add(time.Second)
	progress := finish(p.claim(t, ordinary, 1, now)[0], outbox.Rejected)
	for rank := range 200 {
		progress.Failures = append(progress.Failures, outbox.Failure{Rank: rank, Status: 400, Reason: apns.BadDeviceToken, At: now})
	}
	m.Status = p.check(t, now, progress)
	if m.State != outbox.StatePaused || m.Why != outbox.WhyFuse || !m.Fuse.Blown {
		t.Errorf("got %+v, want it paused", m.Status)
	}
	p.twice(t, func(t *testing.T) {
		p.wantMessage(t, m)
		if claims := p.claim(t, ordinary, 9, now); len(claims) != 0 {
			t.Errorf("got %+v, want nothing", claims)
		}
	})
}

// testReopen leaves a store while somebody holds a shard.
func (p *post) testReopen(t *testing.T) {
	if p.again == nil {
		t.Skip("the store ends with what it holds")
	}
	m := p.submit(t, intent(0), shard(0, 2))
	now := morning.Add(time.Second)
	var last uint64
	for _, crash := range []bool{true, false, true} {
		claims := p.claim(t, ordinary, 1, now)
		if len(claims) != 1 || claims[0].Fence <= last {
			t.Fatalf("got %+v, want the shard at once, with a fence after %d", claims, last)
		}
		last = claims[0].Fence
		if !crash {
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		}
		p.Store = p.again(crash)
		checked, err := p.Checkpoint(t.Context(), []outbox.Progress{finish(claims[0], outbox.Accepted)}, now)
		if err != nil || !errors.Is(checked[0].Err, outbox.ErrFenced) {
			t.Errorf("held before: got %+v, %v, want ErrFenced", checked, err)
		}
	}
	p.wantMessage(t, m)
}

func (p *post) testClosed(t *testing.T) {
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	_, _, err := p.Submit(t.Context(), outbox.Submission{Intent: intent(0)}, morning)
	_, merr := p.Message(t.Context(), outbox.MessageID{})
	if !errors.Is(err, outbox.ErrClosed) || !errors.Is(merr, outbox.ErrClosed) {
		t.Errorf("got %v and %v, want ErrClosed", err, merr)
	}
}
