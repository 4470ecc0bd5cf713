package spooltest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/spool"
)

// message returns a message with an expiration that its channel's storage comes
// before.
func message(c apns.ChannelID, ms int) spool.Message {
	return spool.Message{
		Channel: c, Timestamp: at(ms),
		Notification: apns.Notification{
			ID: "eabeae54-14a8-11e5-b60b-1697f925ec7b", Topic: "com.example.demo", PushType: apns.PushTypeLiveActivity,
			Priority: apns.PriorityConserve, Expiration: apns.ExpiresAt(epoch.Add(1000 * time.Hour)), Payload: fmt.Appendf(nil, `{"at":%d}`, ms),
		},
	}
}

// publish puts messages, in their order.
func (f *fixture) publish(messages ...spool.Message) {
	f.t.Helper()
	for _, m := range messages {
		f.noError(f.PutMessage(f.t.Context(), m))
	}
}

// says checks the message of a channel; nil for none.
func (f *fixture) says(c apns.ChannelID, want *spool.Message) {
	f.t.Helper()
	got, ok, err := f.Message(f.t.Context(), c)
	f.noError(err)
	switch {
	case ok != (want != nil):
		f.t.Errorf("channel %s: got a message %t, want one %t", c, ok, want != nil)
	case want != nil:
		if diff := messageDiff(*want, got); diff != "" {
			f.t.Errorf("channel %s (-want +got):\n%s", c, diff)
		}
	}
}

func messageDiff(want, got spool.Message) string {
	return cmp.Diff(want, got, cmp.AllowUnexported(apns.Expiration{}), cmpopts.EquateEmpty())
}

func testMessages(t *testing.T, f *fixture) {
	f.says("AAAA", nil)
	first, newer, other := message("AAAA", 1), message("AAAA", 2), message("BBBB", 3)
	f.publish(first)
	f.says("AAAA", &first)
	f.publish(newer, other)
	f.says("AAAA", &newer)
	f.says("BBBB", &other)
	f.publish(first) // late
	f.says("AAAA", &newer)
	f.says("CCCC", nil)
	if got, err := f.Load(t.Context(), spool.Mailbox{}, 10); err != nil || len(got) > 0 {
		t.Errorf("mailbox: got %d entries, %v, want none", len(got), err)
	}
}

func testMessagesExpire(t *testing.T, f *fixture) {
	expiring := func(c apns.ChannelID, ms int, after time.Duration) spool.Message {
		m := message(c, ms)
		m.Notification.Expiration = apns.ExpiresAt(epoch.Add(after))
		return m
	}
	minute, hour, late := expiring("MINU", 1, time.Minute), expiring("HOUR", 2, time.Hour), message("LATE", 3)
	replaced := message("REPL", 5)
	f.publish(minute, hour, late, expiring("REPL", 4, time.Minute), replaced)
	for _, step := range []struct {
		now  time.Duration
		want int
		left map[apns.ChannelID]*spool.Message
	}{
		{30 * time.Second, 0, map[apns.ChannelID]*spool.Message{"MINU": &minute, "HOUR": &hour, "LATE": &late, "REPL": &replaced}},
		{3 * time.Minute, 1, map[apns.ChannelID]*spool.Message{"MINU": nil, "HOUR": &hour, "LATE": &late, "REPL": &replaced}},
		{3 * time.Minute, 0, nil},
		{time.Hour + 2*time.Minute, 1, map[apns.ChannelID]*spool.Message{"HOUR": nil, "LATE": &late, "REPL": &replaced}},
		{apns.MaxChannelStorage - time.Second, 0, map[apns.ChannelID]*spool.Message{"LATE": &late, "REPL": &replaced}},
		{apns.MaxChannelStorage + 2*time.Minute, 2, map[apns.ChannelID]*spool.Message{"LATE": nil, "REPL": nil}},
	} {
		n, err := f.Expire(t.Context(), epoch.Add(step.now))
		f.noError(err)
		if n != step.want {
			t.Errorf("expire after %v: got %d, want %d", step.now, n, step.want)
		}
		for c, m := range step.left {
			f.says(c, m)
		}
	}
	if u := f.Usage(); u.Notifications != 0 || u.Bytes != 0 {
		t.Errorf("usage: got %+v, want none", u)
	}
}

func testMessageUsage(t *testing.T, f *fixture) {
	check := func(what string, newest int, entries []spool.Entry, messages ...spool.Message) {
		t.Helper()
		want := spool.Usage{Notifications: int64(len(entries) + len(messages))}
		for _, e := range entries {
			want.Bytes += e.Bytes()
		}
		for _, m := range messages {
			want.Bytes += m.Bytes()
		}
		got := f.Usage()
		if got.Newest < at(newest) {
			t.Errorf("%s: newest is %v, want %v or later", what, got.Newest.Time(), at(newest).Time())
		}
		if got.Newest = 0; got != want {
			t.Errorf("%s: got %+v, want %+v", what, got, want)
		}
	}
	small, big, other := message("AAAA", 1), message("AAAA", 2), message("BBBB", 3)
	big.Notification.Payload = make([]byte, apns.MaxBroadcastBytes)
	f.publish(small)
	check("one", 1, nil, small)
	f.publish(big)
	check("replaced", 2, nil, big)
	f.publish(small)
	check("older came late", 2, nil, big)
	e := entry(address(1, 1), 4)
	f.put(keep(e))
	f.publish(other)
	check("with an entry", 4, []spool.Entry{e}, big, other)
}

func testMessagesClosed(t *testing.T, f *fixture) {
	f.publish(message("AAAA", 1))
	f.noError(f.Close())
	_, _, readErr := f.Message(t.Context(), "AAAA")
	for what, err := range map[string]error{"put": f.PutMessage(t.Context(), message("AAAA", 2)), "read": readErr} {
		if !errors.Is(err, spool.ErrStoreClosed) {
			t.Errorf("%s after close: got error %v, want %v", what, err, spool.ErrStoreClosed)
		}
	}
}

func testMessagesOpenedAgain(t *testing.T, f *fixture) {
	if f.again == nil {
		t.Skip("the store ends with what it holds")
	}
	m, other := message("AAAA", 2), message("BBBB", 3)
	f.publish(message("AAAA", 1), m, other)
	before := f.Usage()
	f.noError(f.Close())
	f.Store = f.again()
	f.says("AAAA", &m)
	f.says("BBBB", &other)
	if after := f.Usage(); after != before {
		t.Errorf("usage: got %+v, want %+v", after, before)
	}
}

func testManyPublishers(t *testing.T, f *fixture) {
	const publishers, rounds = 8, 25
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Go(func() {
			for i := range rounds {
				err := f.PutMessage(t.Context(), message("AAAA", i*publishers+p))
				if _, ok, rerr := f.Message(t.Context(), "AAAA"); !ok || errors.Join(err, rerr) != nil {
					t.Errorf("publisher %d: got a message %t, %v", p, ok, errors.Join(err, rerr))
				}
			}
		})
	}
	wg.Wait()
	last := message("AAAA", publishers*rounds-1)
	f.says("AAAA", &last)
}

// randomChannels are those of the random operations.
var randomChannels = []apns.ChannelID{"AAAA", "BBBB"}

func (r *random) publish(rt *rapid.T) {
	r.ms += rapid.IntRange(0, 5*60*1000).Draw(rt, "ms")
	m := message(rapid.SampledFrom(randomChannels).Draw(rt, "channel"), r.ms+rapid.SampledFrom([]int{0, 0, -1000}).Draw(rt, "delay"))
	r.count++
	m.Timestamp += spool.Timestamp(r.count)
	if rapid.Bool().Draw(rt, "expires") {
		m.Notification.Expiration = apns.ExpiresAt(m.Timestamp.Time().
			Add(time.Duration(rapid.IntRange(1, 3600).Draw(rt, "seconds")) * time.Second))
	}
	if err := r.store.PutMessage(r.ctx.Context(), m); err != nil {
		rt.Fatalf("put message: %v", err)
	}
	if err := r.model.PutMessage(r.ctx.Context(), m); err != nil {
		rt.Fatalf("put message into model: %v", err)
	}
}

func (r *random) compareMessages(rt *rapid.T) {
	for _, c := range randomChannels {
		got, ok, err := r.store.Message(r.ctx.Context(), c)
		if err != nil {
			rt.Fatalf("message: %v", err)
		}
		want, known, err := r.model.Message(r.ctx.Context(), c)
		if err != nil {
			rt.Fatalf("message of model: %v", err)
		}
		if diff := messageDiff(want, got); ok != known || diff != "" {
			rt.Fatalf("channel %s: got one %t, want one %t (-want +got):\n%s", c, ok, known, diff)
		}
	}
}
