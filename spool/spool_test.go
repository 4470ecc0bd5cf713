package spool_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/spool/spooltest"
)

const demo = apns.Topic("com.example.demo")

// room is a spool under test with shorthand for what doors do with it.
type room struct {
	*spool.Spool
	t     *testing.T
	store spool.Store
	bells sync.Map // spool.Bell, by the *spool.Inbox that attach returned
}

// open returns a spool over the configuration's store, a model if it has none.
func open(t *testing.T, c spool.Config) *room {
	t.Helper()
	if c.Store == nil {
		c.Store = spooltest.NewModel()
		if strings.HasPrefix(t.Name(), "TestImmediate/") {
			c.Store = immediate{spooltest.NewModel()}
		}
	}
	s, err := spool.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return &room{Spool: s, t: t, store: c.Store}
}

func to(d apns.DeviceOrdinal) apns.Address {
	return apns.Address{Device: d, Environment: apns.Production, Topic: demo.Hash()}
}

func deviceToken(d apns.DeviceOrdinal) apns.DeviceToken {
	return apns.DeviceToken(fmt.Sprintf("device token of %d", d))
}

// notification returns one with the payload, and no id.
func notification(payload string, p apns.Priority, e apns.Expiration) apns.Notification {
	return apns.Notification{
		Topic: demo, PushType: apns.PushTypeAlert, Priority: p, Expiration: e, Payload: apns.Payload(payload),
	}
}

func (r *room) offer(d apns.DeviceOrdinal, n apns.Notification) spool.Receipt {
	r.t.Helper()
	got, err := r.Offer(r.t.Context(), to(d), deviceToken(d), n)
	if err != nil {
		r.t.Fatalf("offer: %v", err)
	}
	return got
}

// attach returns an inbox; with a filter that enables demo if it is to be.
func (r *room) attach(d apns.DeviceOrdinal, filtered bool) *spool.Inbox {
	r.t.Helper()
	bell := spool.NewBell()
	in, err := r.Attach(r.t.Context(), d, apns.Production, bell)
	if err != nil {
		r.t.Fatalf("attach: %v", err)
	}
	r.bells.Store(in, bell)
	if filtered {
		r.filter(in, spool.Filter{Enabled: []apns.TopicHash{demo.Hash()}})
	}
	return in
}

func (r *room) filter(in *spool.Inbox, f spool.Filter) (stored int) {
	r.t.Helper()
	stored, err := in.SetFilter(r.t.Context(), f)
	if err != nil {
		r.t.Fatalf("filter: %v", err)
	}
	return stored
}

// next returns what is handed out next, which must be this payload.
func (r *room) next(in *spool.Inbox, payload string) spool.Delivery {
	r.t.Helper()
	d, ok := in.Next()
	if got := string(d.Notification.Payload); !ok || got != payload {
		r.t.Fatalf("next: got %q, %v, want %q", got, ok, payload)
	}
	return d
}

func (r *room) nothing(in *spool.Inbox) {
	r.t.Helper()
	if d, ok := in.Next(); ok {
		r.t.Errorf("next: got %s, want nothing", d.Notification.Payload)
	}
}

func (r *room) ack(in *spool.Inbox, d spool.Delivery) {
	r.t.Helper()
	if _, err := in.Ack(r.t.Context(), d.MessageID, spool.Delivered); err != nil {
		r.t.Errorf("ack: %v", err)
	}
}

// stored compares how many notifications the store has.
func (r *room) stored(want int64) {
	r.t.Helper()
	if got := r.store.Usage().Notifications; got != want {
		r.t.Errorf("stored notifications: got %d, want %d", got, want)
	}
}

// bell returns that of what attach returned.
func (r *room) bell(in *spool.Inbox) spool.Bell {
	b, _ := r.bells.Load(in)
	bell, _ := b.(spool.Bell)
	return bell
}

// isReady reports whether a wake-up is there, and takes it.
func (r *room) isReady(in *spool.Inbox) bool {
	select {
	case <-r.bell(in):
		return true
	default:
		return false
	}
}

// rejected compares the error with the rejection for a reason.
func rejected(t *testing.T, what string, err error, want apns.Reason) {
	t.Helper()
	if !errors.Is(err, apns.Reject(want, "")) {
		t.Errorf("%s: got error %v, want %s", what, err, want)
	}
}

// TestRoad follows one notification from the offer to the acknowledgement.
func TestRoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, spool.Config{})
		n := notification(`{"n":1}`, apns.PriorityImmediate, apns.Expiration{})
		n.ID = "eabeae54-14a8-11e5-b60b-1697f925ec7b"
		receipt := r.offer(1, n)
		if want := (spool.Receipt{Timestamp: spool.Timestamp(time.Now().UnixNano()), Stored: true}); receipt != want {
			t.Errorf("receipt: got %+v, want %+v", receipt, want)
		}
		r.stored(1)
		time.Sleep(time.Hour)

		in := r.attach(1, false)
		r.nothing(in)
		if r.isReady(in) {
			t.Error("ready before the filter")
		}
		if got := r.filter(in, spool.Filter{Enabled: []apns.TopicHash{demo.Hash()}}); got != 1 || !r.isReady(in) {
			t.Errorf("filter: got %d stored, want 1 and a wake-up", got)
		}
		got := r.next(in, `{"n":1}`)
		want := spool.Delivery{
			MessageID: 1, Address: to(1), DeviceToken: deviceToken(1), Timestamp: receipt.Timestamp,
			Notification: n, Stored: true, Last: true,
		}
		if d := cmp.Diff(want, got, cmp.Comparer(func(x, y apns.Expiration) bool { return x == y })); d != "" {
			t.Errorf("delivery (-want +got):\n%s", d)
		}
		r.nothing(in)
		r.stored(1)
		acked, err := in.Ack(t.Context(), 1, spool.Delivered)
		if err != nil || acked.Notification.ID != n.ID || !acked.Stored || !acked.Last {
			t.Errorf("ack: got %+v and error %v, want what was delivered", acked, err)
		}
		r.stored(0)
		if _, err := in.Ack(t.Context(), 1, spool.Delivered); !errors.Is(err, spool.ErrUnknownMessage) {
			t.Errorf("second ack: got error %v, want %v", err, spool.ErrUnknownMessage)
		}

		r.offer(1, notification(`{"n":2}`, apns.PriorityImmediate, apns.Expiration{}))
		if !r.isReady(in) {
			t.Error("not ready after an offer")
		}
		if d := r.next(in, `{"n":2}`); d.Stored || d.Last || d.MessageID != 2 {
			t.Errorf("live delivery: got %+v, want message 2 without flags", d)
		}
		if !in.Lists(demo.Hash()) || in.Lists(apns.TopicHash{}) {
			t.Error("the filter lists demo and nothing else")
		}
	})
}

// TestEnvironmentsAreApart proves that a device is one mailbox in each
// environment.
func TestEnvironmentsAreApart(t *testing.T) {
	r := open(t, spool.Config{})
	sandbox := to(1)
	sandbox.Environment = apns.Sandbox
	if _, err := r.Offer(t.Context(), sandbox, deviceToken(1), notification("s", 10, apns.Expiration{})); err != nil {
		t.Fatal(err)
	}
	r.offer(1, notification("p", 10, apns.Expiration{}))
	in := r.attach(1, true)
	other, err := r.Attach(t.Context(), 1, apns.Sandbox, spool.NewBell())
	if err != nil {
		t.Fatal(err)
	}
	r.filter(other, spool.Filter{Enabled: []apns.TopicHash{demo.Hash()}})
	r.next(in, "p")
	r.next(other, "s")
	r.nothing(in)
	r.nothing(other)
	if got := r.Stats(); got.Attached != 2 || got.Notifications != 2 || got.Bytes == 0 {
		t.Errorf("stats: got %+v, want two attached and two stored", got)
	}
}

// TestTimestamps proves that they strictly increase for a device, even when
// there is no time between offers and the clock was set back since the store
// was filled.
func TestTimestamps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		model := spooltest.NewModel()
		last := spool.Timestamp(time.Now().Add(time.Hour).UnixNano())
		earlier := []spool.Write{{Entry: spool.Entry{Address: to(1), Timestamp: last}, Keep: true}}
		if err := model.Put(t.Context(), earlier); err != nil {
			t.Fatal(err)
		}
		r := open(t, spool.Config{Store: model})
		for range 10 {
			got := r.offer(1, notification("n", 10, apns.Expiration{})).Timestamp
			if got <= last {
				t.Errorf("got timestamp %d after %d", got, last)
			}
			last = got
		}
		d := r.next(r.attach(1, true), "n")
		if again := r.next(r.attach(1, true), "n"); d.Timestamp != last || again.Timestamp != last {
			t.Errorf("delivered with timestamps %d and %d, want %d", d.Timestamp, again.Timestamp, last)
		}
	})
}

// TestLastAttachWins proves that an earlier inbox ends, and gives back.
func TestLastAttachWins(t *testing.T) {
	r := open(t, spool.Config{})
	r.offer(1, notification("n", 10, apns.Expiration{}))
	earlier := r.attach(1, true)
	d := r.next(earlier, "n")
	in := r.attach(1, true)
	if !earlier.Detached() || !r.isReady(earlier) {
		t.Error("the earlier inbox has not ended, or nobody was told")
	}
	if _, err := earlier.Ack(t.Context(), d.MessageID, spool.Delivered); !errors.Is(err, spool.ErrDetached) {
		t.Errorf("ack: got error %v, want %v", err, spool.ErrDetached)
	}
	if _, err := earlier.SetFilter(t.Context(), spool.Filter{}); !errors.Is(err, spool.ErrDetached) {
		t.Errorf("filter: got error %v, want %v", err, spool.ErrDetached)
	}
	earlier.SetActive(time.Time{})
	r.nothing(earlier)
	earlier.Detach()
	if got := r.Stats().Attached; got != 1 {
		t.Errorf("attached: got %d, want 1", got)
	}
	r.ack(in, r.next(in, "n"))
	in.Detach()
	in.Detach()
	if got := r.Stats().Attached; got != 0 {
		t.Errorf("attached: got %d, want 0", got)
	}
}

// TestDeferred proves that low priority is released after a while, at its own
// time for each device, and that nothing is left of it when the device goes.
func TestDeferred(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, spool.Config{AssumeInactive: true})
		start := time.Now()
		var inboxes []*spool.Inbox
		for d := apns.DeviceOrdinal(1); d <= 4; d++ {
			in := r.attach(d, true)
			r.offer(d, notification("low", apns.PriorityConserve, apns.Expiration{}))
			r.nothing(in)
			inboxes = append(inboxes, in)
			time.Sleep(time.Minute)
		}
		inboxes[1].Detach()
		inboxes[2].SetActive(time.Now().Add(time.Second))
		r.next(inboxes[2], "low")
		if !r.isReady(inboxes[2]) {
			t.Error("not ready when active")
		}
		if got := r.Scheduled(); got != 2 {
			t.Errorf("scheduled: got %d, want 2", got)
		}
		for _, i := range []int{0, 3} {
			<-r.bell(inboxes[i])
			if got, want := time.Since(start), time.Duration(i+15)*time.Minute; got != want {
				t.Errorf("device %d: released after %v, want %v", i+1, got, want)
			}
			r.next(inboxes[i], "low")
		}
		if got := r.Scheduled(); got != 0 {
			t.Errorf("scheduled: got %d, want 0", got)
		}
	})
}

// TestDeferredMoves proves that what is released next may change.
func TestDeferredMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, spool.Config{AssumeInactive: true})
		start := time.Now()
		low := func(d apns.DeviceOrdinal, payload string) {
			t.Helper()
			r.offer(d, notification(payload, apns.PriorityConserve, apns.Expiration{}))
		}
		first, second := r.attach(1, true), r.attach(2, true)
		low(1, "replaced")
		time.Sleep(time.Minute)
		low(2, "second")
		time.Sleep(time.Minute)
		low(1, "first") // its time begins anew
		<-r.bell(second)
		if got, want := time.Since(start), 16*time.Minute; got != want {
			t.Errorf("second device: released after %v, want %v", got, want)
		}
		r.next(second, "second")
		<-r.bell(first)
		if got, want := time.Since(start), 17*time.Minute; got != want {
			t.Errorf("first device: released after %v, want %v", got, want)
		}
		r.next(first, "first")
	})
}

// TestRepeat proves that what was accepted before is accepted again, and is not
// delivered again.
func TestRepeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, spool.Config{})
		n := notification("n", 10, apns.Expiration{})
		n.ID = "eabeae54-14a8-11e5-b60b-1697f925ec7b"
		upper := n
		upper.ID = apns.NotificationID(strings.ToUpper(string(n.ID)))
		unstored := n
		unstored.Expiration = apns.DoNotStore

		in := r.attach(1, true)
		check := func(what string, n apns.Notification, want bool) {
			t.Helper()
			if got := r.offer(1, n); got.Repeat != want {
				t.Errorf("%s: got %+v, want repeat %v", what, got, want)
			}
			if want {
				r.nothing(in)
			} else {
				r.ack(in, r.next(in, "n"))
			}
		}
		check("first", n, false)
		check("again", n, true)
		check("in upper case", upper, true)
		check("not to be stored", unstored, true)
		if got, err := r.Offer(t.Context(), to(2), deviceToken(2), n); err != nil || got.Repeat {
			t.Errorf("another device token: got %+v, %v, want no repeat", got, err)
		}
		time.Sleep(10*time.Minute + time.Second)
		check("after the window", unstored, false)
		check("again, not to be stored", unstored, true)
		n.ID = ""
		check("without an id", n, false)
		check("without an id again", n, false)

		off := open(t, spool.Config{RepeatWindow: -1})
		for range 2 {
			if got := off.offer(1, upper); got.Repeat {
				t.Errorf("switched off: got %+v, want no repeat", got)
			}
		}
	})
}

// TestIgnored proves that an ignored topic takes no room.
func TestIgnored(t *testing.T) {
	r := open(t, spool.Config{})
	r.offer(1, notification("away", 10, apns.Expiration{}))
	in := r.attach(1, false)
	if got := r.filter(in, spool.Filter{Ignored: []apns.TopicHash{demo.Hash()}}); got != 0 {
		t.Errorf("filter: got %d stored, want 0", got)
	}
	if got := r.offer(1, notification("live", 10, apns.Expiration{})); got.Stored || got.Timestamp == 0 {
		t.Errorf("offer: got %+v, want it not stored", got)
	}
	r.stored(0)
	long := spool.Filter{Enabled: make([]apns.TopicHash, spool.MaxFilterTopics), Paused: make([]apns.TopicHash, 1)}
	if _, err := in.SetFilter(t.Context(), long); !errors.Is(err, spool.ErrFilterTooLong) {
		t.Errorf("long filter: got error %v, want %v", err, spool.ErrFilterTooLong)
	}
}

// TestExpires proves that the store is cleared of what expired.
func TestExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, spool.Config{})
		r.offer(1, notification("soon", 10, apns.ExpiresAt(time.Now().Add(time.Hour))))
		r.offer(2, notification("later", 10, apns.Expiration{}))
		time.Sleep(time.Hour + 2*time.Minute)
		r.stored(1)
	})
}

// TestMaxReplay proves that an attachment brings a bounded number, the oldest,
// and that the next one goes on.
func TestMaxReplay(t *testing.T) {
	r := open(t, spool.Config{MaxReplay: 2})
	var f spool.Filter
	for i := range 3 {
		a := to(1)
		a.Topic = apns.TopicHash{byte(i)}
		f.Enabled = append(f.Enabled, a.Topic)
		n := notification(fmt.Sprint(i), 10, apns.Expiration{})
		if _, err := r.Offer(t.Context(), a, deviceToken(1), n); err != nil {
			t.Fatal(err)
		}
	}
	in := r.attach(1, false)
	r.filter(in, f)
	r.ack(in, r.next(in, "0"))
	r.ack(in, r.next(in, "1"))
	r.nothing(in)
	in = r.attach(1, false)
	r.filter(in, f)
	r.ack(in, r.next(in, "2"))
	r.stored(0)
}

// TestOfferAll proves that each of a batch has its own outcome.
func TestOfferAll(t *testing.T) {
	model := spooltest.NewModel()
	r := open(t, spool.Config{Store: model, MaxOffers: 3})
	in := r.attach(1, true)
	n := notification("n", 10, apns.Expiration{})
	n.ID = "eabeae54-14a8-11e5-b60b-1697f925ec7b"
	unstored := notification("unstored", 10, apns.DoNotStore)
	batch := []spool.Offering{
		{Address: to(1), DeviceToken: deviceToken(1), Notification: n},
		{Address: to(2), DeviceToken: deviceToken(2), Notification: unstored}, // away: nothing to do
		{Address: to(2), DeviceToken: deviceToken(2), Notification: n},
		{Address: to(1), DeviceToken: deviceToken(1), Notification: n},
		{Address: to(3), DeviceToken: deviceToken(3), Notification: n},
	}
	r.OfferAll(t.Context(), batch)
	for i, want := range []spool.Receipt{{Stored: true}, {}, {Stored: true}, {Repeat: true}} {
		got := batch[i].Receipt
		got.Timestamp = 0
		if batch[i].Err != nil || got != want {
			t.Errorf("offering %d: got %+v, %v, want %+v", i, batch[i].Receipt, batch[i].Err, want)
		}
	}
	rejected(t, "beyond MaxOffers", batch[4].Err, apns.ServiceUnavailable)
	r.next(in, "n")
	r.stored(2)

	if err := model.Close(); err != nil {
		t.Fatal(err)
	}
	r.OfferAll(t.Context(), batch[1:3])
	if batch[1].Err != nil || !errors.Is(batch[2].Err, spool.ErrStoreClosed) {
		t.Errorf("with a store fault: got %v and %v, want none and %v", batch[1].Err, batch[2].Err, spool.ErrStoreClosed)
	}
}

// TestOverload proves that a full spool refuses what would be stored, and that
// what only passes passes.
func TestOverload(t *testing.T) {
	for name, c := range map[string]spool.Config{
		"notifications": {MaxNotifications: 2},
		"bytes":         {MaxBytes: 256},
	} {
		t.Run(name, func(t *testing.T) {
			r := open(t, c)
			r.offer(1, notification("one", 10, apns.Expiration{}))
			r.offer(2, notification("two", 10, apns.Expiration{}))
			in := r.attach(1, true)
			_, err := r.Offer(t.Context(), to(3), deviceToken(3), notification("three", 10, apns.Expiration{}))
			rejected(t, "offer", err, apns.ServiceUnavailable)
			var rejection *apns.Rejection
			if errors.As(err, &rejection) && rejection.RetryAfter <= 0 {
				t.Errorf("retry after: got %v, want some time", rejection.RetryAfter)
			}
			r.ack(in, r.next(in, "one"))
			r.offer(3, notification("three", 10, apns.Expiration{}))
			r.offer(1, notification("passes", 10, apns.DoNotStore))
			r.next(in, "passes")
		})
	}
}

// faulty is a store whose methods call what is set before they do their work,
// and fail if that fails.
type faulty struct {
	*spooltest.Model
	onPut, onDelete, onLoad, onExpire func(context.Context) error
}

func call(ctx context.Context, f func(context.Context) error) error {
	if f == nil {
		return nil
	}
	return f(ctx)
}

func (s *faulty) Put(ctx context.Context, writes []spool.Write) error {
	if err := call(ctx, s.onPut); err != nil {
		return err
	}
	return s.Model.Put(ctx, writes)
}

func (s *faulty) Delete(ctx context.Context, versions []spool.Version) error {
	if err := call(ctx, s.onDelete); err != nil {
		return err
	}
	return s.Model.Delete(ctx, versions)
}

func (s *faulty) Load(ctx context.Context, box spool.Mailbox, limit int) ([]spool.Entry, error) {
	if err := call(ctx, s.onLoad); err != nil {
		return nil, err
	}
	return s.Model.Load(ctx, box, limit)
}

func (s *faulty) Expire(ctx context.Context, now time.Time) (int, error) {
	if err := call(ctx, s.onExpire); err != nil {
		return 0, err
	}
	return s.Model.Expire(ctx, now)
}

// TestStoreFaults proves that a fault comes back to whom it concerns, and to
// the log otherwise.
func TestStoreFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		boom := errors.New("disk is gone")
		fail := func(context.Context) error { return boom }
		store := &faulty{Model: spooltest.NewModel(), onExpire: fail}
		var log bytes.Buffer
		r := open(t, spool.Config{Store: store, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		store.onPut = fail
		_, err := r.Offer(t.Context(), to(1), deviceToken(1), notification("n", 10, apns.Expiration{}))
		if !errors.Is(err, boom) {
			t.Errorf("offer: got error %v, want %v", err, boom)
		}
		store.onPut = nil
		r.offer(1, notification("n", 10, apns.Expiration{}))

		store.onLoad = fail
		if _, err := r.Attach(t.Context(), 1, apns.Production, spool.NewBell()); !errors.Is(err, boom) {
			t.Errorf("attach: got error %v, want %v", err, boom)
		}
		if got := r.Stats().Attached; got != 0 {
			t.Errorf("attached: got %d, want 0", got)
		}
		store.onLoad = nil
		in := r.attach(1, true)

		store.onDelete = fail
		d := r.next(in, "n")
		if got, err := in.Ack(t.Context(), d.MessageID, spool.Dropped); !errors.Is(err, boom) || got.MessageID != 1 {
			t.Errorf("ack: got %+v and error %v, want the delivery and %v", got, err, boom)
		}
		r.nothing(in)
		store.onDelete = nil
		r.next(r.attach(1, true), "n")

		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		if !strings.Contains(log.String(), boom.Error()) {
			t.Errorf("log: got %q, want it to name %q", log.String(), boom)
		}
	})
}

// TestStoreDeadline proves that a store that hangs does not hang the doors, and
// that a door's own context does not cut a write short.
func TestStoreDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		store := &faulty{Model: spooltest.NewModel(), onPut: hang, onLoad: hang}
		r := open(t, spool.Config{Store: store, StoreTimeout: time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		start := time.Now()
		_, err := r.Offer(ctx, to(1), deviceToken(1), notification("n", 10, apns.Expiration{}))
		if got := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || got != time.Second {
			t.Errorf("offer: got error %v after %v, want %v after a second", err, got, context.DeadlineExceeded)
		}
		_, err = r.Attach(t.Context(), 1, apns.Production, spool.NewBell())
		if got := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || got != 2*time.Second {
			t.Errorf("attach: got error %v after %v, want %v after two seconds", err, got, context.DeadlineExceeded)
		}
	})
}

// TestOfferWhileAttaching proves that a notification offered between the two
// steps of Attach is delivered, and once.
func TestOfferWhileAttaching(t *testing.T) {
	store := &faulty{Model: spooltest.NewModel()}
	r := open(t, spool.Config{Store: store})
	store.onLoad = func(context.Context) error {
		//nolint:contextcheck // what happens meanwhile is another's call
		r.offer(1, notification("meanwhile", 10, apns.Expiration{}))
		return nil
	}
	in := r.attach(1, true)
	r.ack(in, r.next(in, "meanwhile"))
	r.nothing(in)
	r.stored(0)
}

// TestAttachWhileOffering proves the same of an attachment while Offer is in
// the store.
func TestAttachWhileOffering(t *testing.T) {
	store := &faulty{Model: spooltest.NewModel()}
	r := open(t, spool.Config{Store: store})
	var in *spool.Inbox
	store.onPut = func(context.Context) error {
		in = r.attach(1, true) //nolint:contextcheck // see above
		return nil
	}
	r.offer(1, notification("n", 10, apns.Expiration{}))
	r.ack(in, r.next(in, "n"))
	r.nothing(in)
	r.stored(0)

	// A topic that comes to be ignored while its notification is on the way.
	store.onPut = func(context.Context) error {
		//nolint:contextcheck // see above
		r.filter(in, spool.Filter{Ignored: []apns.TopicHash{demo.Hash()}})
		return nil
	}
	r.offer(1, notification("n", 10, apns.Expiration{}))
	r.nothing(in)
	r.stored(0)
}

// TestClose proves that Close refuses what comes, ends what is attached, and
// waits for what is in the store.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		store := &faulty{Model: spooltest.NewModel()}
		s, err := spool.New(spool.Config{Store: store})
		if err != nil {
			t.Fatal(err)
		}
		bell := spool.NewBell()
		in, err := s.Attach(t.Context(), 1, apns.Production, bell)
		if err != nil {
			t.Fatal(err)
		}
		store.onPut = func(context.Context) error { <-release; return nil }
		offered, closed := make(chan error, 1), make(chan error, 1)
		n := notification("n", 10, apns.Expiration{})
		go func() {
			_, err := s.Offer(t.Context(), to(1), deviceToken(1), n)
			offered <- err
		}()
		synctest.Wait()
		go func() { closed <- s.Close() }()
		synctest.Wait()
		select {
		case err := <-closed:
			t.Errorf("close returned %v before the store did", err)
		default:
		}
		<-bell
		if !in.Detached() {
			t.Error("the inbox has not ended")
		}
		_, err = s.Offer(t.Context(), to(1), deviceToken(1), n)
		rejected(t, "offer", err, apns.Shutdown)
		_, err = s.Offer(t.Context(), to(2), deviceToken(2), notification("n", 10, apns.DoNotStore))
		rejected(t, "offer of what is not to be stored", err, apns.Shutdown)
		_, err = s.Attach(t.Context(), 1, apns.Production, spool.NewBell())
		rejected(t, "attach", err, apns.Shutdown)
		close(release)
		if err := <-offered; err != nil {
			t.Errorf("offer in progress: got error %v, want none", err)
		}
		if err := <-closed; err != nil {
			t.Errorf("close: got error %v, want none", err)
		}
		if got := store.Usage().Notifications; got != 1 {
			t.Errorf("stored notifications: got %d, want 1", got)
		}
		if err := s.Close(); err != nil {
			t.Errorf("second close: got error %v, want none", err)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	for name, c := range map[string]spool.Config{
		"no store":        {},
		"negative window": {Store: spooltest.NewModel(), Window: -1},
		"negative size":   {Store: spooltest.NewModel(), MaxBytes: -1},
	} {
		if s, err := spool.New(c); err == nil {
			t.Errorf("%s: got no error", name)
			_ = s.Close()
		}
	}
}
