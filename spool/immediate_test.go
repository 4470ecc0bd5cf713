package spool_test

import (
	"context"
	"errors"
	"testing"
	"unsafe"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/spool/spooltest"
	"github.com/heraldpush/herald/store/memory"
)

// immediate makes the model an ImmediateStore.
type immediate struct{ *spooltest.Model }

var _ spool.ImmediateStore = immediate{}

func (s immediate) PutNow(w *spool.Write) error {
	writes := []spool.Write{*w}
	err := s.Put(context.Background(), writes)
	*w = writes[0]
	return err
}

// TestImmediate runs tests on a store that does not wait.
func TestImmediate(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"Road": TestRoad, "EnvironmentsAreApart": TestEnvironmentsAreApart, "LastAttachWins": TestLastAttachWins,
		"Deferred": TestDeferred, "DeferredMoves": TestDeferredMoves, "Repeat": TestRepeat, "Ignored": TestIgnored,
		"Expires": TestExpires, "MaxReplay": TestMaxReplay, "Overload": TestOverload, "Crowd": TestCrowd,
		"OfferNow": TestOfferNow, "Borrowed": TestBorrowed,
	} {
		t.Run(name, test)
	}
}

// offering returns one for a device. Its payload is in memory of its own.
func offering(d apns.DeviceOrdinal, payload string, x apns.Expiration) spool.Offering {
	n := notification(payload, apns.PriorityImmediate, x)
	return spool.Offering{Address: to(d), DeviceToken: deviceToken(d), Notification: n}
}

// TestOfferNow takes what needs no waiting, and nothing else.
func TestOfferNow(t *testing.T) {
	r := open(t, spool.Config{})
	_, atOnce := r.store.(spool.ImmediateStore)
	attach := func(d apns.DeviceOrdinal, f spool.Filter) *spool.Inbox {
		t.Helper()
		in, err := r.Attach(t.Context(), d, apns.Production, spool.NewBell())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := in.SetFilter(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		return in
	}
	there := attach(2, spool.Filter{Enabled: []apns.TopicHash{demo.Hash()}})
	attach(3, spool.Filter{Ignored: []apns.TopicHash{demo.Hash()}})
	for _, tt := range []struct {
		name       string
		device     apns.DeviceOrdinal
		expiration apns.Expiration
		waits      bool
		stored     bool
	}{
		{"away, not to be stored", 1, apns.DoNotStore, false, false},
		{"away, to be stored", 1, apns.Expiration{}, true, true},
		{"there, not to be stored", 2, apns.DoNotStore, true, false},
		{"there, to be stored", 2, apns.Expiration{}, true, true},
		{"ignored, not to be stored", 3, apns.DoNotStore, false, false},
		{"ignored, to be stored", 3, apns.Expiration{}, false, false},
	} {
		before := r.store.Usage().Notifications
		o := offering(tt.device, `{"now":1}`, tt.expiration)
		done := r.OfferNow(&o)
		if want := atOnce || !tt.waits; done != want || o.Err != nil {
			t.Errorf("%s: got %v, %v, want %v", tt.name, done, o.Err, want)
		}
		if !done {
			if o.Receipt != (spool.Receipt{}) {
				t.Errorf("%s: got receipt %+v, want none", tt.name, o.Receipt)
			}
			batch := []spool.Offering{o}
			r.OfferAll(t.Context(), batch)
			o = batch[0]
		}
		if o.Receipt.Timestamp == 0 || o.Receipt.Stored != tt.stored || o.Receipt.Repeat {
			t.Errorf("%s: got %+v, want stored %v", tt.name, o.Receipt, tt.stored)
		}
		if stored := r.store.Usage().Notifications > before; stored != tt.stored {
			t.Errorf("%s: the store has it: %v, want %v", tt.name, stored, tt.stored)
		}
		if _, ok := there.Next(); ok != (tt.device == 2 && tt.expiration == apns.DoNotStore) {
			// The second one waits for the acknowledgement of the first.
			t.Errorf("%s: delivered: %v", tt.name, ok)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	o := offering(1, `{}`, apns.DoNotStore)
	if done := r.OfferNow(&o); !done || !errors.Is(o.Err, apns.Reject(apns.Shutdown, "")) {
		t.Errorf("after Close: got %v, %v, want Shutdown", done, o.Err)
	}
}

// TestBorrowed overwrites what was offered once the outcome is there. What was
// stored and what waits for a device is whole all the same.
func TestBorrowed(t *testing.T) {
	r := open(t, spool.Config{})
	in, err := r.Attach(t.Context(), 2, apns.Production, spool.NewBell())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.SetFilter(t.Context(), spool.Filter{Enabled: []apns.TopicHash{demo.Hash()}}); err != nil {
		t.Fatal(err)
	}
	for _, x := range []apns.Expiration{apns.DoNotStore, {}} {
		for _, d := range []apns.DeviceOrdinal{1, 2} {
			o := offering(d, `{"borrowed":true}`, x)
			id, name, collapse := []byte("eabeae54-14a8-11e5-b60b-1697f925ec7b"), []byte(demo), []byte("score")
			id[0] = byte('0' + d)
			if x == apns.DoNotStore {
				id[1] = '0'
			}
			tok := []byte(o.DeviceToken)
			str := func(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
			o.DeviceToken = apns.DeviceToken(str(tok))
			n := &o.Notification
			n.ID, n.Topic, n.CollapseID = apns.NotificationID(str(id)), apns.Topic(str(name)), apns.CollapseID(str(collapse))
			n.Payload = []byte(`{"borrowed":true}`)
			batch := []spool.Offering{o}
			if !r.OfferNow(&batch[0]) {
				r.OfferAll(t.Context(), batch)
			}
			if batch[0].Err != nil {
				t.Fatal(batch[0].Err)
			}
			for _, b := range [][]byte{id, name, collapse, tok, n.Payload} {
				for i := range b {
					b[i] = '?'
				}
			}
		}
		whole := func(n apns.Notification, tok apns.DeviceToken) {
			t.Helper()
			if string(n.Payload) != `{"borrowed":true}` || n.Topic != demo || n.CollapseID != "score" || !n.ID.Valid() || tok != deviceToken(2) && tok != deviceToken(1) {
				t.Errorf("got %+v to %x", n, string(tok))
			}
		}
		d, ok := in.Next()
		if !ok {
			t.Fatal("nothing was delivered")
		}
		whole(d.Notification, d.DeviceToken)
		if _, err := in.Ack(t.Context(), d.MessageID, spool.Delivered); err != nil {
			t.Fatal(err)
		}
		if x != apns.DoNotStore {
			stored, err := r.store.Load(t.Context(), spool.MailboxOf(to(1)), 10)
			if err != nil || len(stored) != 1 {
				t.Fatalf("got %d entries, %v, want 1", len(stored), err)
			}
			whole(stored[0].Notification, stored[0].DeviceToken)
		}
	}
}

// TestOfferNowAllocs bounds what an offer allocates: nothing, where nothing is
// kept, and the copy of what is. A device that had nothing takes one more.
func TestOfferNowAllocs(t *testing.T) {
	r := open(t, spool.Config{Store: memory.NewSpool(1)})
	for _, tt := range []struct {
		name string
		x    apns.Expiration
		want float64
	}{
		{"not to be stored", apns.DoNotStore, 0},
		{"stored", apns.Expiration{}, 1},
	} {
		o := offering(1, `{"aps":{"alert":"hello"}}`, tt.x)
		if got := testing.AllocsPerRun(1000, func() {
			if !r.OfferNow(&o) || o.Err != nil {
				t.Fatal(o.Err)
			}
		}); got > tt.want {
			t.Errorf("%s: got %v allocations, want at most %v", tt.name, got, tt.want)
		}
	}
}
