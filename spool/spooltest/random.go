package spooltest

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/spool"
)

// testRandomOperations does the same to the store and to a model, and compares
// what can be seen of them.
func testRandomOperations(t *testing.T, open Open) {
	rapid.Check(t, func(rt *rapid.T) {
		store, again := open(t)
		r := &random{ctx: t, store: store, again: again, model: NewModel()}
		defer func() {
			if err := r.store.Close(); err != nil {
				rt.Errorf("close: %v", err)
			}
		}()
		rt.Repeat(map[string]func(*rapid.T){
			"put": r.put, "publish": r.publish, "delete": r.delete, "expire": r.expire, "open again": r.openAgain, "": r.compare,
		})
	})
}

// random is a store and the model it is compared with. Few addresses and keys
// make them meet often.
type random struct {
	ctx     *testing.T
	store   spool.Store
	again   func() spool.Store
	model   *Model
	ms      int             // the time, after the epoch
	count   int             // of entries
	written []spool.Version // for delete
}

const (
	randomDevices = 2
	randomTopics  = 3
)

func (r *random) put(rt *rapid.T) {
	writes := rapid.SliceOfN(rapid.Custom(r.write), 1, 4).Draw(rt, "writes")
	forModel := append([]spool.Write(nil), writes...)
	if err := r.store.Put(r.ctx.Context(), writes); err != nil {
		rt.Fatalf("put: %v", err)
	}
	if err := r.model.Put(r.ctx.Context(), forModel); err != nil {
		rt.Fatalf("put into model: %v", err)
	}
	for i := range writes {
		r.written = append(r.written, writes[i].Version())
		if got, want := writes[i].Repeat, forModel[i].Repeat; got != want {
			rt.Fatalf("write %d: repeat is %v, want %v", i, got, want)
		}
	}
}

func (r *random) write(rt *rapid.T) spool.Write {
	r.ms += rapid.IntRange(0, 5*60*1000).Draw(rt, "ms")
	a := address(apns.DeviceOrdinal(rapid.IntRange(1, randomDevices).Draw(rt, "device")),
		byte(rapid.IntRange(1, randomTopics).Draw(rt, "topic")))
	e := entry(a, r.ms+rapid.SampledFrom([]int{0, 0, -1000}).Draw(rt, "delay"))
	r.count++
	e.Timestamp += spool.Timestamp(r.count) // no two are the same
	if rapid.Bool().Draw(rt, "expires") {
		e.Notification.Expiration = apns.ExpiresAt(e.Timestamp.Time().
			Add(time.Duration(rapid.IntRange(1, 3600).Draw(rt, "seconds")) * time.Second))
	}
	w := once(e, byte(rapid.IntRange(0, 6).Draw(rt, "key"))) // 0 is no key
	w.Keep = rapid.IntRange(0, 3).Draw(rt, "keep") > 0
	return w
}

func (r *random) delete(rt *rapid.T) {
	if len(r.written) == 0 {
		rt.Skip("nothing to delete")
	}
	versions := rapid.SliceOfN(rapid.SampledFrom(r.written), 1, 3).Draw(rt, "versions")
	if err := r.store.Delete(r.ctx.Context(), versions); err != nil {
		rt.Fatalf("delete: %v", err)
	}
	if err := r.model.Delete(r.ctx.Context(), versions); err != nil {
		rt.Fatalf("delete from model: %v", err)
	}
}

// expire lets a minute pass in which no entry expires, so that stores that find
// expired entries by the minute have found all.
func (r *random) expire(rt *rapid.T) {
	r.ms += rapid.IntRange(0, 3*60*60*1000).Draw(rt, "ms")
	now := at(r.ms).Time()
	for _, e := range r.model.entries {
		if d := e.Deadline(); d.After(now.Add(-time.Minute)) && !d.After(now) {
			rt.Skip("an entry has just expired")
		}
	}
	for _, m := range r.model.messages {
		if d := m.Deadline(); d.After(now.Add(-time.Minute)) && !d.After(now) {
			rt.Skip("a message has just expired")
		}
	}
	got, err := r.store.Expire(r.ctx.Context(), now)
	if err != nil {
		rt.Fatalf("expire: %v", err)
	}
	want, err := r.model.Expire(r.ctx.Context(), now)
	if err != nil {
		rt.Fatalf("expire model: %v", err)
	}
	if got != want {
		rt.Fatalf("expire: got %d, want %d", got, want)
	}
}

func (r *random) openAgain(rt *rapid.T) {
	if r.again == nil {
		rt.Skip("the store ends with what it holds")
	}
	if err := r.store.Close(); err != nil {
		rt.Fatalf("close: %v", err)
	}
	r.store = r.again()
}

func (r *random) compare(rt *rapid.T) {
	r.compareMessages(rt)
	for d := apns.DeviceOrdinal(1); d <= randomDevices; d++ {
		box := spool.MailboxOf(address(d, 0))
		got, err := r.store.Load(r.ctx.Context(), box, randomTopics)
		if err != nil {
			rt.Fatalf("load: %v", err)
		}
		want, err := r.model.Load(r.ctx.Context(), box, randomTopics)
		if err != nil {
			rt.Fatalf("load from model: %v", err)
		}
		if diff := diff(want, got); diff != "" {
			rt.Fatalf("mailbox of device %d (-want +got):\n%s", d, diff)
		}
	}
	got, want := r.store.Usage(), r.model.Usage()
	got.Newest, want.Newest = 0, 0
	if got != want {
		rt.Fatalf("usage: got %+v, want %+v", got, want)
	}
}
