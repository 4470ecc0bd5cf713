package spool_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/spool/spooltest"
	"github.com/heraldpush/herald/store/memory"
)

// outcomes are short names.
var outcomes = map[spool.Outcome]string{
	spool.WasStored: "stored", spool.WasPassed: "passed", spool.WasMissed: "missed", spool.WasRepeated: "repeated",
	spool.WasRefused: "refused", spool.WasIgnored: "ignored", spool.WasReplaced: "replaced", spool.WasExpired: "expired",
	spool.WasDropped: "dropped", spool.WasTakenBack: "taken back",
}

// witness writes down what is observed.
type witness struct {
	mu   sync.Mutex
	said []string // guarded by mu
}

func (w *witness) observe(ev spool.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	line := string(ev.ID) + " " + outcomes[ev.Outcome]
	if ev.Newer != "" {
		line += " by " + string(ev.Newer)
	}
	w.said = append(w.said, strings.Clone(line))
}

// take returns what was observed since it was called last.
func (w *witness) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	said := w.said
	w.said = nil
	return said
}

// TestObserve plays what may become of notifications, which have one letter as
// apns-id.
func TestObserve(t *testing.T) {
	for _, tt := range []struct {
		name string
		play func(r *room)
		want []string
	}{
		{"away", func(r *room) { r.send("a", apns.Expiration{}) }, []string{"a stored"}},
		{"away, not to be stored", func(r *room) { r.send("a", apns.DoNotStore) }, []string{"a missed"}},
		{"a repeat", func(r *room) { r.send("a", apns.Expiration{}); r.send("a", apns.Expiration{}) }, []string{"a stored", "a repeated"}},
		{"delivered", func(r *room) {
			in := r.attach(1, true)
			r.send("a", apns.Expiration{})
			r.ack(in, r.next(in, "a"))
		}, []string{"a stored"}},
		{"passed and delivered", func(r *room) {
			in := r.attach(1, true)
			r.send("a", apns.DoNotStore)
			r.ack(in, r.next(in, "a"))
		}, []string{"a passed"}},
		{"ignored", func(r *room) {
			in := r.attach(1, false)
			r.filter(in, spool.Filter{Ignored: []apns.TopicHash{demo.Hash()}})
			r.send("a", apns.Expiration{})
			r.send("b", apns.DoNotStore)
		}, []string{"a ignored", "b ignored"}},
		{"ignored while it waits", func(r *room) {
			r.send("a", apns.Expiration{})
			in := r.attach(1, false)
			r.filter(in, spool.Filter{Ignored: []apns.TopicHash{demo.Hash()}})
		}, []string{"a stored", "a ignored"}},
		{"paused, not to be stored", func(r *room) {
			in := r.attach(1, false)
			r.filter(in, spool.Filter{Paused: []apns.TopicHash{demo.Hash()}})
			r.send("a", apns.DoNotStore)
		}, []string{"a missed"}},
		{"replaced behind one in flight", func(r *room) {
			in := r.attach(1, true)
			r.send("a", apns.Expiration{})
			d := r.next(in, "a")
			r.send("b", apns.Expiration{})
			r.send("c", apns.Expiration{})
			r.ack(in, d)
			r.ack(in, r.next(in, "c"))
		}, []string{"a stored", "b stored", "c stored", "b replaced by c"}},
		{"taken back", func(r *room) {
			in := r.attach(1, true)
			r.send("a", apns.Expiration{})
			r.next(in, "a")
			in.Detach()
			in = r.attach(1, true)
			r.ack(in, r.next(in, "a"))
		}, []string{"a stored", "a taken back"}},
		{"taken back by another attachment", func(r *room) {
			in := r.attach(1, true)
			r.send("a", apns.Expiration{})
			r.next(in, "a")
			r.attach(1, true)
		}, []string{"a stored", "a taken back"}},
		{"in flight, the device goes, a newer one waits", func(r *room) {
			in := r.attach(1, true)
			r.send("a", apns.Expiration{})
			r.next(in, "a")
			r.send("b", apns.Expiration{})
			in.Detach()
		}, []string{"a stored", "b stored", "a replaced by b"}},
		{"not stored, the device goes", func(r *room) {
			in := r.attach(1, true)
			r.send("a", apns.DoNotStore)
			r.next(in, "a")
			r.send("b", apns.DoNotStore)
			in.Detach()
		}, []string{"a passed", "b passed", "a dropped", "b dropped"}},
		{"in the place of a stored one", func(r *room) {
			r.send("a", apns.Expiration{})
			in := r.attach(1, true)
			r.send("b", apns.DoNotStore)
			r.ack(in, r.next(in, "b"))
		}, []string{"a stored", "b passed", "a replaced by b"}},
		{"in the place of a stored one, in vain", func(r *room) {
			r.send("a", apns.Expiration{})
			in := r.attach(1, true)
			r.send("b", apns.DoNotStore)
			in.Detach()
		}, []string{"a stored", "b passed", "b dropped"}},
		{"the device cannot take it", func(r *room) {
			in := r.attach(1, true)
			r.send("a", apns.DoNotStore)
			d := r.next(in, "a")
			if _, err := in.Ack(r.t.Context(), d.MessageID, spool.Keep); err != nil {
				r.t.Error(err)
			}
		}, []string{"a passed", "a dropped"}},
		{"expired behind one in flight", func(r *room) {
			in := r.attach(1, true)
			r.send("a", apns.Expiration{})
			d := r.next(in, "a")
			r.send("b", apns.ExpiresAt(time.Now().Add(time.Hour)))
			r.send("c", apns.ExpiresAt(time.Now().Add(time.Hour)))
			time.Sleep(2 * time.Hour)
			r.ack(in, d)
			r.nothing(in)
		}, []string{"a stored", "b stored", "c stored", "b replaced by c", "c expired"}},
		{"lingered behind one in flight", func(r *room) {
			in := r.attach(1, true)
			r.send("a", apns.DoNotStore)
			d := r.next(in, "a")
			r.send("b", apns.DoNotStore)
			time.Sleep(2 * time.Minute)
			r.ack(in, d)
		}, []string{"a passed", "b passed", "b dropped"}},
		{"broadcast", func(r *room) {
			n := notification("x", apns.PriorityImmediate, apns.ExpiresAt(time.Now().Add(time.Hour)))
			for i, policy := range []apns.StoragePolicy{apns.MostRecentMessageStored, apns.NoMessageStored} {
				n.ID = apns.NotificationID("ab"[i : i+1])
				if _, err := r.Publish(r.t.Context(), "dHN0", policy, n); err != nil {
					r.t.Error(err)
				}
			}
		}, []string{"a stored", "b passed"}},
	} {
		for name, newStore := range map[string]func() spool.Store{
			"model": func() spool.Store { return spooltest.NewModel() }, "memory": func() spool.Store { return memory.NewSpool(1000) },
		} {
			t.Run(tt.name+", "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := &witness{}
					r := open(t, spool.Config{Store: newStore(), Observe: w.observe})
					tt.play(r)
					if diff := cmp.Diff(tt.want, w.take()); diff != "" {
						t.Errorf("(-want +got):\n%s", diff)
					}
				})
			})
		}
	}
}

// send offers a notification with this apns-id and payload to device 1.
func (r *room) send(id string, x apns.Expiration) {
	r.t.Helper()
	n := notification(id, apns.PriorityImmediate, x)
	n.ID = apns.NotificationID(id)
	r.offer(1, n)
}

// A spool that is full says so.
func TestObserveRefused(t *testing.T) {
	for name, store := range map[string]spool.Store{"model": spooltest.NewModel(), "memory": memory.NewSpool(1000)} {
		w := &witness{}
		r := open(t, spool.Config{Store: store, MaxNotifications: 1, Observe: w.observe})
		r.send("a", apns.Expiration{})
		n := notification("b", 0, apns.Expiration{})
		n.ID = "b"
		if _, err := r.Offer(t.Context(), to(2), deviceToken(2), n); err == nil {
			t.Errorf("%s: taken", name)
		}
		if got := w.take(); !slices.Equal(got, []string{"a stored", "b refused"}) {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

// What is observed allocates nothing beside.
func TestObserveAllocs(t *testing.T) {
	events := 0
	r := open(t, spool.Config{Store: memory.NewSpool(1), Observe: func(spool.Event) { events++ }})
	for x, want := range map[apns.Expiration]float64{apns.DoNotStore: 0, {}: 1} {
		o := offering(1, `{"aps":{"alert":"hello"}}`, x)
		if got := testing.AllocsPerRun(1000, func() {
			if !r.OfferNow(&o) || o.Err != nil {
				t.Fatal(o.Err)
			}
		}); got > want {
			t.Errorf("got %v allocations, want at most %v", got, want)
		}
	}
	if events < 2000 {
		t.Errorf("got %d events", events)
	}
}
