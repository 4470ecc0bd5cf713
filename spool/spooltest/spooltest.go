// Package spooltest is the conformance suite of spool.Store: whatever passes it
// can keep what a spool.Spool stores. It also has [Model], the contract as code.
package spooltest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/spool"
)

// Open returns an empty store and a function that opens it again with what it
// holds, after it was closed; nil if what it holds ends with it. The suite
// closes what it was given.
type Open func(*testing.T) (store spool.Store, again func() spool.Store)

// Run runs the suite: the cases, and random operations. Stores live at times of
// the suite's own, in the year 2026: a store takes the time from its arguments
// alone.
func Run(t *testing.T, open Open) {
	RunCases(t, open)
	t.Run("random operations", func(t *testing.T) { testRandomOperations(t, open) })
}

// RunCases runs the cases of the suite, without random operations.
func RunCases(t *testing.T, open Open) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *fixture)
	}{
		{"newest wins", testNewestWins},
		{"older comes late", testOlderComesLate},
		{"mailboxes are apart", testMailboxesAreApart},
		{"load gives the oldest in order", testLoadOrder},
		{"entries come back whole", testEntriesComeBackWhole},
		{"what is put is borrowed", testBorrowed},
		{"put now", testPutNow},
		{"delete takes one version", testDelete},
		{"repeat is not written", testRepeat},
		{"repeat within a batch", testRepeatWithinBatch},
		{"repeat of what was not kept", testRepeatOfUnkept},
		{"repeat after its time", testRepeatAfterItsTime},
		{"no key is no repeat", testNoKey},
		{"one of many at once is no repeat", testConcurrentRepeats},
		{"many writers", testManyWriters},
		{"expire", testExpire},
		{"usage", testUsage},
		{"newest message of a channel", testMessages},
		{"messages expire", testMessagesExpire},
		{"usage of messages", testMessageUsage},
		{"messages, closed", testMessagesClosed},
		{"messages, opened again", testMessagesOpenedAgain},
		{"many publishers", testManyPublishers},
		{"closed", testClosed},
		{"opened again", testOpenedAgain},
		{"repeats, opened again", testRepeatsOpenedAgain},
		{"expire, opened again", testExpireOpenedAgain},
		{"many expire", testManyExpire},
		{"expired when put", testExpiredWhenPut},
	} {
		t.Run(c.name, func(t *testing.T) {
			store, again := open(t)
			f := &fixture{t: t, Store: store, again: again}
			t.Cleanup(func() { f.noError(f.Close()) })
			c.test(t, f)
		})
	}
}

// epoch is the beginning of the suite's time.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// at returns the timestamp some milliseconds after the epoch.
func at(ms int) spool.Timestamp { return spool.Timestamp(epoch.UnixNano() + int64(ms)*1e6) }

// address returns an address by small numbers.
func address(device apns.DeviceOrdinal, topic byte) apns.Address {
	return apns.Address{Device: device, Environment: apns.Production, Topic: apns.TopicHash{topic}}
}

// entry returns an entry with no expiration.
func entry(a apns.Address, ms int) spool.Entry {
	return spool.Entry{
		Address: a, Timestamp: at(ms), DeviceToken: apns.DeviceToken(fmt.Sprintf("token of %d", a.Device)),
		Notification: apns.Notification{
			ID: "eabeae54-14a8-11e5-b60b-1697f925ec7b", Topic: "com.example.demo", PushType: apns.PushTypeAlert,
			Priority: apns.PriorityImmediate, Payload: fmt.Appendf(nil, `{"at":%d}`, ms),
		},
	}
}

// keep returns the write that stores e.
func keep(e spool.Entry) spool.Write { return spool.Write{Entry: e, Keep: true} }

// once returns the write that stores e if the key is new, and remembers it for
// ten minutes.
func once(e spool.Entry, key byte) spool.Write {
	return spool.Write{
		Entry: e, Keep: true, RepeatKey: spool.RepeatKey{15: key}, RepeatUntil: e.Timestamp.Time().Add(10 * time.Minute),
	}
}

// fixture is a store under test.
type fixture struct {
	spool.Store
	t     *testing.T
	again func() spool.Store
}

func (f *fixture) noError(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatalf("got error %v, want none", err)
	}
}

// put carries out the writes and returns which were repeats.
func (f *fixture) put(writes ...spool.Write) (repeats []bool) {
	f.t.Helper()
	f.noError(f.Put(f.t.Context(), writes))
	for _, w := range writes {
		repeats = append(repeats, w.Repeat)
	}
	return repeats
}

// holds compares what the production mailbox of a device holds.
func (f *fixture) holds(device apns.DeviceOrdinal, want ...spool.Entry) {
	f.t.Helper()
	got, err := f.Load(f.t.Context(), spool.MailboxOf(address(device, 0)), math.MaxInt32)
	f.noError(err)
	if d := diff(want, got); d != "" {
		f.t.Errorf("mailbox of device %d (-want +got):\n%s", device, d)
	}
}

// diff compares lists of entries. Most are equal, which is found cheaply.
func diff(want, got []spool.Entry) string {
	if slices.EqualFunc(want, got, func(x, y spool.Entry) bool { return reflect.DeepEqual(x, y) }) {
		return ""
	}
	same := cmp.Comparer(func(x, y apns.Expiration) bool { return x == y })
	return cmp.Diff(want, got, same, cmpopts.EquateEmpty())
}

func testNewestWins(_ *testing.T, f *fixture) {
	f.put(keep(entry(address(1, 1), 1)))
	f.put(keep(entry(address(1, 1), 2)))
	f.holds(1, entry(address(1, 1), 2))
	f.put(keep(entry(address(1, 1), 3)), keep(entry(address(1, 1), 4)))
	f.holds(1, entry(address(1, 1), 4))
}

func testOlderComesLate(_ *testing.T, f *fixture) {
	f.put(keep(entry(address(1, 1), 2)))
	f.put(keep(entry(address(1, 1), 1)))
	f.holds(1, entry(address(1, 1), 2))
	f.put(keep(entry(address(1, 2), 6)), keep(entry(address(1, 2), 5)))
	f.holds(1, entry(address(1, 1), 2), entry(address(1, 2), 6))
}

func testMailboxesAreApart(_ *testing.T, f *fixture) {
	sandbox := address(1, 1)
	sandbox.Environment = apns.Sandbox
	f.put(keep(entry(address(1, 1), 1)), keep(entry(address(2, 1), 2)), keep(entry(sandbox, 3)),
		keep(entry(address(1<<40, 1), 4)))
	f.holds(1, entry(address(1, 1), 1))
	f.holds(2, entry(address(2, 1), 2))
	f.holds(1<<40, entry(address(1<<40, 1), 4))
	f.holds(3)
	got, err := f.Load(f.t.Context(), spool.MailboxOf(sandbox), 10)
	f.noError(err)
	if d := diff([]spool.Entry{entry(sandbox, 3)}, got); d != "" {
		f.t.Errorf("sandbox mailbox (-want +got):\n%s", d)
	}
}

func testLoadOrder(t *testing.T, f *fixture) {
	var all []spool.Entry
	for i := range 20 {
		all = append(all, entry(address(1, byte(40-i)), 100+i))
	}
	for i := range all {
		f.put(keep(all[(i*7)%len(all)])) // in any order
	}
	f.holds(1, all...)
	got, err := f.Load(t.Context(), spool.MailboxOf(address(1, 0)), 5)
	f.noError(err)
	if d := diff(all[:5], got); d != "" {
		t.Errorf("the oldest five (-want +got):\n%s", d)
	}
}

func testEntriesComeBackWhole(_ *testing.T, f *fixture) {
	full := entry(address(math.MaxInt64, 1), 1)
	full.Address.Topic = apns.Topic("com.example.demo.voip").Hash()
	full.DeviceToken = apns.DeviceToken(make([]byte, apns.MaxDeviceTokenBytes))
	full.Notification = apns.Notification{
		ID: "EABEAE54-14A8-11E5-B60B-1697F925EC7B", Topic: "com.example.demo.voip", PushType: apns.PushTypeVoIP,
		Priority: apns.PriorityPower, Expiration: apns.ExpiresAt(epoch.Add(time.Hour)), CollapseID: "größer\x00",
		Payload: apns.Payload("{\"bytes\":\"\x00\xff\"}"),
	}
	bare := entry(address(math.MaxInt64, 2), 2)
	bare.DeviceToken = ""
	bare.Notification = apns.Notification{}
	f.put(keep(full), keep(bare))
	f.holds(math.MaxInt64, full, bare)
}

// borrow returns e with all that it refers to in memory that spoil overwrites.
func borrow(e spool.Entry) (borrowed spool.Entry, spoil func()) {
	var all [][]byte
	lend := func(s string) []byte {
		b := []byte(s)
		all = append(all, b)
		return b
	}
	text := func(s string) string {
		b := lend(s)
		return unsafe.String(unsafe.SliceData(b), len(b))
	}
	n := &e.Notification
	e.DeviceToken = apns.DeviceToken(text(string(e.DeviceToken)))
	n.ID = apns.NotificationID(text(string(n.ID)))
	n.Topic = apns.Topic(text(string(n.Topic)))
	n.PushType = apns.PushType(text(string(n.PushType)))
	n.CollapseID = apns.CollapseID(text(string(n.CollapseID)))
	n.Payload = lend(string(n.Payload))
	return e, func() {
		for _, b := range all {
			for i := range b {
				b[i] = '?'
			}
		}
	}
}

func testBorrowed(_ *testing.T, f *fixture) {
	var want []spool.Entry
	for i := range 4 {
		e := entry(address(1, byte(i)), i)
		e.Notification.CollapseID = "score"
		want = append(want, e)
	}
	var writes []spool.Write
	var spoils []func()
	for i, e := range want {
		borrowed, spoil := borrow(e)
		spoils = append(spoils, spoil)
		writes = append(writes, once(borrowed, byte(i)))
	}
	f.put(writes...)
	for _, spoil := range spoils {
		spoil()
	}
	f.holds(1, want...)
}

// testPutNow is for an ImmediateStore alone.
func testPutNow(t *testing.T, f *fixture) {
	s, ok := f.Store.(spool.ImmediateStore)
	if !ok {
		t.Skip("it may wait")
	}
	want := entry(address(1, 1), 1)
	borrowed, spoil := borrow(want)
	w := once(borrowed, 1)
	f.noError(s.PutNow(&w))
	if w.Repeat {
		t.Error("the first is a repeat")
	}
	spoil()
	w = once(entry(address(1, 1), 2), 1)
	f.noError(s.PutNow(&w))
	if !w.Repeat {
		t.Error("the second is no repeat")
	}
	w = once(entry(address(1, 2), 3), 2)
	w.Keep = false
	f.noError(s.PutNow(&w))
	f.holds(1, want)
	f.repeats("after one that was not kept", f.put(once(entry(address(1, 2), 4), 2)), true)
	f.noError(s.Close())
	if err := s.PutNow(&w); !errors.Is(err, spool.ErrStoreClosed) {
		t.Errorf("after Close: got %v, want %v", err, spool.ErrStoreClosed)
	}
}

func testDelete(t *testing.T, f *fixture) {
	older, newer, other := entry(address(1, 1), 1), entry(address(1, 1), 2), entry(address(1, 2), 3)
	f.put(keep(older), keep(newer), keep(other))
	f.noError(f.Delete(t.Context(), []spool.Version{older.Version(), {Address: address(9, 9), Timestamp: at(1)}}))
	f.holds(1, newer, other)
	f.noError(f.Delete(t.Context(), []spool.Version{newer.Version(), newer.Version()}))
	f.holds(1, other)
	f.noError(f.Delete(t.Context(), nil))
	f.put(keep(older))
	f.holds(1, older, other)
}

// repeats compares which of the writes are repeats.
func (f *fixture) repeats(what string, got []bool, want ...bool) {
	f.t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		f.t.Errorf("%s: repeats (-want +got):\n%s", what, d)
	}
}

func testRepeat(t *testing.T, f *fixture) {
	first := entry(address(1, 1), 1)
	f.repeats("first", f.put(once(first, 1)), false)
	f.repeats("second", f.put(once(entry(address(1, 1), 2), 1)), true)
	f.holds(1, first)
	f.noError(f.Delete(t.Context(), []spool.Version{first.Version()}))
	f.repeats("after the delete", f.put(once(entry(address(1, 1), 3), 1)), true)
	f.holds(1)
	f.repeats("another key", f.put(once(entry(address(1, 1), 4), 2)), false)
	f.holds(1, entry(address(1, 1), 4))
}

func testRepeatWithinBatch(_ *testing.T, f *fixture) {
	got := f.put(once(entry(address(1, 1), 1), 1), once(entry(address(1, 1), 2), 1), once(entry(address(1, 1), 3), 2))
	f.repeats("batch", got, false, true, false)
	f.holds(1, entry(address(1, 1), 3))
}

func testRepeatOfUnkept(_ *testing.T, f *fixture) {
	w := once(entry(address(1, 1), 1), 1)
	w.Keep = false
	f.repeats("not kept", f.put(w), false)
	f.holds(1)
	f.repeats("kept", f.put(once(entry(address(1, 1), 2), 1)), true)
	f.holds(1)
	if u := f.Usage(); u.Notifications != 0 || u.Bytes != 0 {
		f.t.Errorf("usage: got %+v, want none", u)
	}
}

func testRepeatAfterItsTime(t *testing.T, f *fixture) {
	const window = 10 * 60 * 1000 // ms
	f.put(once(entry(address(1, 1), 0), 1))
	f.repeats("just within", f.put(once(entry(address(1, 1), window-1), 1)), true)
	f.repeats("at the end", f.put(once(entry(address(1, 1), window), 1)), false)
	f.repeats("in the new window", f.put(once(entry(address(1, 1), window+1), 1)), true)
	_, err := f.Expire(t.Context(), at(window+2).Time())
	f.noError(err)
	f.repeats("after expiry of the first", f.put(once(entry(address(1, 1), window+2), 1)), true)
}

func testNoKey(_ *testing.T, f *fixture) {
	e, later := entry(address(1, 1), 1), entry(address(1, 1), 2)
	f.repeats("no key", f.put(keep(e), keep(later)), false, false)
	f.holds(1, later)
	f.repeats("nothing to do", f.put(spool.Write{Entry: e}), false)
	f.put()
	f.holds(1, later)
}

func testConcurrentRepeats(t *testing.T, f *fixture) {
	var firsts atomic.Int32
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			w := []spool.Write{once(entry(address(1, 1), i), 1)}
			if err := f.Put(t.Context(), w); err != nil {
				t.Errorf("put: got error %v, want none", err)
			} else if !w[0].Repeat {
				firsts.Add(1)
			}
			// Whoever is told of a repeat finds what is repeated.
			if got, err := f.Load(t.Context(), spool.MailboxOf(address(1, 1)), 10); err != nil || len(got) != 1 {
				t.Errorf("load: got %d entries and error %v, want one", len(got), err)
			}
		})
	}
	wg.Wait()
	if got := firsts.Load(); got != 1 {
		t.Errorf("writes that were no repeat: got %d, want 1", got)
	}
}

func testManyWriters(t *testing.T, f *fixture) {
	const writers, rounds = 8, 25
	var wg sync.WaitGroup
	for d := range writers {
		wg.Go(func() {
			device := apns.DeviceOrdinal(d + 1)
			for i := range rounds {
				mine, shared := entry(address(device, 1), i), entry(address(100, 1), i*writers+d)
				err := f.Put(t.Context(), []spool.Write{keep(mine), keep(shared)})
				if i%2 == 0 {
					err = errors.Join(err, f.Delete(t.Context(), []spool.Version{mine.Version()}))
				}
				if _, lerr := f.Load(t.Context(), spool.MailboxOf(mine.Address), 10); errors.Join(err, lerr) != nil {
					t.Errorf("writer %d: %v", d, errors.Join(err, lerr))
				}
			}
		})
	}
	wg.Wait()
	f.holds(100, entry(address(100, 1), rounds*writers-1))
	for d := range writers {
		f.holds(apns.DeviceOrdinal(d + 1)) // the last round deleted it
	}
}

func testExpire(t *testing.T, f *fixture) {
	expiring := func(topic byte, after time.Duration) spool.Entry {
		e := entry(address(1, topic), int(topic))
		e.Notification.Expiration = apns.ExpiresAt(epoch.Add(after))
		return e
	}
	minute, hour, month := expiring(1, time.Minute), expiring(2, time.Hour), expiring(3, 365*24*time.Hour)
	never := entry(address(1, 4), 4)
	replaced := expiring(5, time.Minute)
	later := entry(replaced.Address, 10)
	f.put(keep(minute), keep(hour), keep(month), keep(never), keep(replaced), keep(later))
	for _, step := range []struct {
		now  time.Duration
		want int
		left []spool.Entry
	}{
		{30 * time.Second, 0, []spool.Entry{minute, hour, month, never, later}},
		{2 * time.Minute, 1, []spool.Entry{hour, month, never, later}},
		{2 * time.Minute, 0, []spool.Entry{hour, month, never, later}},
		{time.Hour + time.Minute, 1, []spool.Entry{month, never, later}},
		{apns.MaxStorage - time.Second, 0, []spool.Entry{month, never, later}},
		{apns.MaxStorage + 2*time.Minute, 3, nil},
	} {
		n, err := f.Expire(t.Context(), epoch.Add(step.now))
		f.noError(err)
		if n != step.want {
			t.Errorf("expire after %v: got %d, want %d", step.now, n, step.want)
		}
		f.holds(1, step.left...)
	}
	if u := f.Usage(); u.Notifications != 0 || u.Bytes != 0 {
		t.Errorf("usage: got %+v, want none", u)
	}
}

func testUsage(t *testing.T, f *fixture) {
	check := func(what string, newest int, held ...spool.Entry) {
		t.Helper()
		want := spool.Usage{Notifications: int64(len(held))}
		for _, e := range held {
			want.Bytes += e.Bytes()
		}
		got := f.Usage()
		if got.Newest < at(newest) {
			t.Errorf("%s: newest is %v, want %v or later", what, got.Newest.Time(), at(newest).Time())
		}
		if got.Newest = 0; got != want {
			t.Errorf("%s: got %+v, want %+v", what, got, want)
		}
	}
	small, big, other := entry(address(1, 1), 1), entry(address(1, 1), 2), entry(address(2, 1), 3)
	big.Notification.Payload = make([]byte, 4096)
	f.put(keep(small))
	check("one", 1, small)
	f.put(keep(big))
	check("replaced", 2, big)
	f.put(keep(small))
	check("older came late", 2, big)
	f.put(keep(other))
	check("two", 3, big, other)
	f.noError(f.Delete(t.Context(), []spool.Version{small.Version(), big.Version()}))
	check("deleted", 3, other)
}

func testClosed(t *testing.T, f *fixture) {
	f.put(keep(entry(address(1, 1), 1)))
	f.noError(f.Close())
	_, loadErr := f.Load(t.Context(), spool.MailboxOf(address(1, 1)), 1)
	_, expireErr := f.Expire(t.Context(), epoch)
	for what, err := range map[string]error{
		"put":    f.Put(t.Context(), []spool.Write{keep(entry(address(1, 1), 2))}),
		"delete": f.Delete(t.Context(), []spool.Version{{Address: address(1, 1), Timestamp: at(1)}}),
		"load":   loadErr,
		"expire": expireErr,
	} {
		if !errors.Is(err, spool.ErrStoreClosed) {
			t.Errorf("%s after close: got error %v, want %v", what, err, spool.ErrStoreClosed)
		}
	}
	_ = f.Usage() // does not fail
}

func testOpenedAgain(t *testing.T, f *fixture) {
	if f.again == nil {
		t.Skip("the store ends with what it holds")
	}
	gone, stays := entry(address(1, 1), 1), entry(address(1, 2), 2)
	f.put(once(gone, 1), once(stays, 2))
	f.noError(f.Delete(context.WithoutCancel(t.Context()), []spool.Version{gone.Version()}))
	before := f.Usage()
	f.noError(f.Close())
	f.Store = f.again()
	f.holds(1, stays)
	if after := f.Usage(); after != before {
		t.Errorf("usage: got %+v, want %+v", after, before)
	}
	f.repeats("after opening", f.put(once(entry(address(1, 1), 3), 1), once(entry(address(1, 1), 4), 3)), true, false)
}
