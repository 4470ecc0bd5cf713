package spool_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/spool/spooltest"
)

const (
	stores  = apns.MostRecentMessageStored
	forgets = apns.NoMessageStored
)

// on returns what follows the channel of publish under demo, with the stored
// message.
func on(p apns.StoragePolicy, checkpoint spool.Timestamp) spool.Following {
	return spool.Following{
		Channel: spool.Channel{ID: channel, App: demo, Environment: apns.Production, Term: 1, StoragePolicy: p},
		Topic:   demo, Checkpoint: checkpoint, Replay: true,
	}
}

// follow has the inbox follow one channel more.
func (r *room) follow(in *spool.Inbox, f spool.Following) {
	r.t.Helper()
	if err := in.Subscribe(r.t.Context(), spool.Subscriptions{Follow: []spool.Following{f}}); err != nil {
		r.t.Fatalf("follow: %v", err)
	}
}

// follower returns an inbox of a device that has demo enabled and follows.
func (r *room) follower(d apns.DeviceOrdinal, f spool.Following) *spool.Inbox {
	r.t.Helper()
	in := r.attach(d, true)
	r.follow(in, f)
	return in
}

// say publishes a payload, to be kept where the policy is to, and waits until it
// has reached all.
func (r *room) say(p apns.StoragePolicy, payload string) spool.Receipt {
	r.t.Helper()
	e := in(time.Hour)
	if p == forgets {
		e = apns.DoNotStore
	}
	got := r.publish(p, payload, e)
	synctest.Wait()
	return got
}

// TestBroadcast follows messages from the channel to devices that are there, come
// late and come again.
func TestBroadcast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, spool.Config{})
		one, other := r.follower(1, on(stores, 0)), r.attach(2, true)
		r.nothing(one)
		first := r.say(stores, "first")
		if !r.isReady(one) || r.isReady(other) {
			t.Error("want a wake-up for the one who follows, and for nobody else")
		}
		r.nothing(other)
		d := r.next(one, "first")
		want := spool.Delivery{
			MessageID: 1, Address: to(1), Channel: channel, Timestamp: first.Timestamp,
			Notification: apns.Notification{Topic: demo, PushType: apns.PushTypeLiveActivity, Expiration: d.Notification.Expiration, Payload: apns.Payload("first")},
		}
		if diff := cmp.Diff(want, d, cmp.AllowUnexported(apns.Expiration{})); diff != "" {
			t.Errorf("delivery (-want +got):\n%s", diff)
		}
		r.ack(one, d)
		r.nothing(one)
		r.stored(1) // the message, for those who come late

		second := r.say(stores, "second")
		r.ack(one, r.next(one, "second"))
		if second.Timestamp <= first.Timestamp {
			t.Errorf("timestamps %d, then %d, want them to increase", first.Timestamp, second.Timestamp)
		}

		late := r.follower(3, on(stores, 0))
		if d := r.next(late, "second"); !d.Stored || d.Timestamp != second.Timestamp {
			t.Errorf("late: got %+v, want it stored, with the timestamp of the other", d)
		}
		r.nothing(late) // what it has is unacknowledged

		again := r.follower(3, on(stores, first.Timestamp)) // it never acknowledged
		r.ack(again, r.next(again, "second"))
		again = r.follower(3, on(stores, second.Timestamp))
		r.nothing(again)
		r.say(stores, "third")
		r.ack(again, r.next(again, "third"))
		r.ack(one, r.next(one, "third"))
		r.nothing(other)
		r.stored(1)
	})
}

// TestBroadcastNotStored proves that without storage a message is for those who
// are there.
func TestBroadcastNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, spool.Config{})
		one := r.follower(1, on(forgets, 0))
		r.say(forgets, "goal")
		late := r.follower(2, on(forgets, 0))
		r.nothing(late)
		r.ack(one, r.next(one, "goal"))

		r.say(forgets, "second")
		one = r.follower(1, on(forgets, 0)) // it attached anew, and never saw it
		r.nothing(one)
		r.ack(late, r.next(late, "second"))
		r.stored(0)
	})
}

// TestBroadcastReplay proves that the stored message comes only to a device that
// wants it and has no later one.
func TestBroadcastReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, spool.Config{})
		kept := r.say(stores, "kept")
		for d, f := range []spool.Following{
			on(stores, kept.Timestamp), on(stores, kept.Timestamp+1), on(forgets, 0),
			{Channel: on(stores, 0).Channel, Topic: demo},
		} {
			r.nothing(r.follower(apns.DeviceOrdinal(d+1), f))
		}
		in := r.follower(10, on(stores, kept.Timestamp-1))
		r.ack(in, r.next(in, "kept"))
		r.follow(in, on(stores, kept.Timestamp)) // said again
		r.nothing(in)
		r.follow(in, on(stores, 0)) // the device forgot
		r.ack(in, r.next(in, "kept"))

		d := r.follower(11, on(stores, 0))
		r.next(d, "kept")
		r.follow(d, on(stores, 0)) // said again before it acknowledged
		r.nothing(d)

		time.Sleep(time.Hour)
		r.nothing(r.follower(12, on(stores, 0))) // expired
	})
}

// TestBroadcastBesidesPushes proves that messages of a channel and notifications
// of its topic do not take each other's place, and that among the messages the
// newest does.
func TestBroadcastBesidesPushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, spool.Config{})
		in := r.follower(1, on(stores, 0))
		r.offer(1, notification("push", apns.PriorityImmediate, apns.Expiration{}))
		r.say(stores, "message")
		push := r.next(in, "push")
		message := r.next(in, "message")
		if push.Channel != "" || message.Channel != channel {
			t.Errorf("channels: got %q and %q, want the second's alone", push.Channel, message.Channel)
		}
		r.say(stores, "older")
		r.say(stores, "newer")
		r.offer(1, notification("push 2", apns.PriorityImmediate, apns.Expiration{}))
		r.nothing(in) // one of each is unacknowledged
		r.ack(in, message)
		message = r.next(in, "newer")
		r.nothing(in)
		r.ack(in, push)
		push = r.next(in, "push 2")
		r.stored(2) // the push, and what the channel keeps
		for _, d := range []spool.Disposition{spool.Delivered, spool.Dropped} {
			if _, err := in.Ack(t.Context(), message.MessageID, d); err != nil {
				t.Error(err)
			}
			r.say(stores, "next")
			message = r.next(in, "next")
		}
		r.ack(in, push)
		r.stored(1)
		if _, err := in.Ack(t.Context(), message.MessageID, spool.Keep); err != nil {
			t.Error(err)
		}
		r.nothing(in)
		r.latest("next") // no device's acknowledgement takes it away
		in = r.follower(1, on(stores, message.Timestamp-1))
		r.next(in, "next")
	})
}

// TestBroadcastRules proves that the filter, activity and expiration decide about
// messages as about notifications.
func TestBroadcastRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, spool.Config{})
		topics := []apns.TopicHash{demo.Hash()}
		in1 := r.attach(1, false)
		r.follow(in1, on(stores, 0)) // before the filter
		r.say(stores, "early")
		r.nothing(in1)
		if n := r.filter(in1, spool.Filter{}); n != 0 {
			t.Errorf("without the topic: got %d to deliver, want none", n)
		}
		r.nothing(in1) // in no list
		r.filter(in1, spool.Filter{Paused: topics})
		r.say(stores, "while paused")
		r.nothing(in1)
		r.filter(in1, spool.Filter{Enabled: topics})
		r.ack(in1, r.next(in1, "while paused"))

		r.filter(in1, spool.Filter{Ignored: topics})
		r.say(stores, "ignored")
		r.filter(in1, spool.Filter{Enabled: topics})
		r.nothing(in1)
		r.follow(in1, on(stores, 0)) // it asks for it
		r.ack(in1, r.next(in1, "ignored"))

		in1.SetActive(time.Time{})
		low := apns.Notification{Topic: demo, Priority: apns.PriorityConserve, Expiration: in(time.Hour), Payload: apns.Payload("low")}
		if _, err := r.Publish(t.Context(), channel, stores, low); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		r.nothing(in1)
		in1.SetActive(time.Now().Add(time.Minute))
		r.ack(in1, r.next(in1, "low"))
		in1.SetActive(time.Time{})
		low.Expiration = apns.DoNotStore
		if _, err := r.Publish(t.Context(), channel, stores, low); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		in1.SetActive(time.Now().Add(time.Minute))
		r.nothing(in1) // it could not go, and was not to be stored

		r.filter(in1, spool.Filter{Paused: topics})
		r.publish(stores, "for ever", apns.Expiration{})
		synctest.Wait()
		time.Sleep(apns.MaxChannelStorage - time.Second)
		r.filter(in1, spool.Filter{Enabled: topics})
		r.next(in1, "for ever")
		in2 := r.attach(2, false)
		r.follow(in2, on(stores, 0))
		time.Sleep(2 * time.Second)
		r.filter(in2, spool.Filter{Enabled: topics})
		r.nothing(in2)
	})
}

// TestSubscribe proves what a change does to what is followed.
func TestSubscribe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, spool.Config{MaxChannels: 3})
		ids := []apns.ChannelID{"AAAA", "BBBB", "CCCC", "DDDD"}
		named := func(names ...apns.ChannelID) (fs []spool.Following) {
			for _, id := range names {
				f := on(forgets, 0)
				f.ID = id
				fs = append(fs, f)
			}
			return fs
		}
		box := r.attach(1, true)
		for _, tt := range []struct {
			name   string
			change spool.Subscriptions
			err    error
			want   []apns.ChannelID
		}{
			{"none", spool.Subscriptions{}, nil, nil},
			{"two more", spool.Subscriptions{Follow: named("AAAA", "BBBB")}, nil, ids[:2]},
			{"one of them again", spool.Subscriptions{Follow: named("BBBB")}, nil, ids[:2]},
			{"one more", spool.Subscriptions{Follow: named("CCCC")}, nil, ids[:3]},
			{"one too many", spool.Subscriptions{Follow: named("DDDD")}, spool.ErrTooManyChannels, ids[:3]},
			{"one less", spool.Subscriptions{Unfollow: ids[:1]}, nil, ids[1:3]},
			{"one that is not followed less", spool.Subscriptions{Unfollow: ids[:1]}, nil, ids[1:3]},
			{"one in place of another", spool.Subscriptions{Follow: named("DDDD"), Unfollow: ids[1:2]}, nil, ids[2:]},
			{"others", spool.Subscriptions{Full: true, Follow: named("AAAA", "CCCC")}, nil, []apns.ChannelID{"AAAA", "CCCC"}},
			{"too many others", spool.Subscriptions{Full: true, Follow: named(ids...)}, spool.ErrTooManyChannels, []apns.ChannelID{"AAAA", "CCCC"}},
			{"no others", spool.Subscriptions{Full: true}, nil, nil},
			{"and one again", spool.Subscriptions{Follow: named("DDDD")}, nil, ids[3:]},
		} {
			if err := box.Subscribe(t.Context(), tt.change); !errors.Is(err, tt.err) {
				t.Errorf("%s: got %v, want %v", tt.name, err, tt.err)
			}
			for _, id := range ids {
				_, got := r.Followed(id)
				if want := slices.Contains(tt.want, id); got != want {
					t.Errorf("%s: %s is followed: got %t, want %t", tt.name, id, got, want)
				}
				if _, err := r.Publish(t.Context(), id, forgets, apns.Notification{Expiration: apns.DoNotStore, Payload: apns.Payload(id)}); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
			var got []apns.ChannelID
			for d, ok := box.Next(); ok; d, ok = box.Next() {
				got = append(got, d.Channel)
				r.ack(box, d)
			}
			slices.Sort(got)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s: delivered (-want +got):\n%s", tt.name, diff)
			}
		}

		other := on(forgets, 0)
		other.ID, other.Topic = "DDDD", "com.example.other"
		r.follow(box, other) // under another topic, in no list
		if _, err := r.Publish(t.Context(), "DDDD", forgets, apns.Notification{Expiration: apns.DoNotStore}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		r.nothing(box)
		box.Detach()
		if _, ok := r.Followed("DDDD"); ok {
			t.Error("a device that is gone follows")
		}
		if err := box.Subscribe(t.Context(), spool.Subscriptions{}); !errors.Is(err, spool.ErrDetached) {
			t.Errorf("detached: got %v, want ErrDetached", err)
		}
	})
}

// TestUnfollowed proves that what waits of a channel goes with it, and what is
// unacknowledged may be acknowledged.
func TestUnfollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, spool.Config{})
		in := r.follower(1, on(stores, 0))
		r.say(stores, "one")
		d := r.next(in, "one")
		r.say(stores, "two")
		if err := in.Subscribe(t.Context(), spool.Subscriptions{Unfollow: []apns.ChannelID{channel}}); err != nil {
			t.Fatal(err)
		}
		r.ack(in, d)
		r.nothing(in)
		r.follow(in, on(stores, d.Timestamp))
		r.next(in, "two")
	})
}

// TestEndChannel proves that those who follow are told, once, and that nobody
// follows any more.
func TestEndChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, spool.Config{})
		in, other := r.follower(1, on(stores, 0)), r.attach(2, true)
		before := r.ChannelEnds()
		r.EndChannel("AAAA") // which nobody follows
		r.EndChannel(channel)
		if _, ok := r.Followed(channel); ok {
			t.Error("it can still be found")
		}
		r.say(stores, "too late")
		want := []spool.EndedChannel{{ID: channel, Topic: demo}}
		if got := in.EndedChannels(); !r.isReady(in) || !cmp.Equal(got, want) {
			t.Errorf("got %v, want %v and a wake-up", got, want)
		}
		if got := slices.Concat(in.EndedChannels(), other.EndedChannels()); got != nil || r.isReady(other) {
			t.Errorf("got %v for others, or again, want nothing", got)
		}
		r.nothing(in)
		if got := r.ChannelEnds(); got != before+2 {
			t.Errorf("ends: got %d, want %d more", got, 2)
		}

		r.follow(in, on(stores, 0))
		r.say(stores, "waits")
		if n := r.EndChannels(func(c *spool.Channel) bool { return c.Term > 1 }); n != 0 {
			t.Errorf("ended %d of another term", n)
		}
		if n := r.EndChannels(func(c *spool.Channel) bool { return c.App == demo && c.Term == 1 }); n != 1 {
			t.Errorf("ended %d, want 1", n)
		}
		synctest.Wait()
		r.nothing(in)
		if got := in.EndedChannels(); !cmp.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		in.Detach()
		if got := in.EndedChannels(); got != nil {
			t.Errorf("detached: got %v", got)
		}
	})
}

// TestBroadcastAfterRestart proves that what was stored survives the spool, and
// that timestamps go on increasing even if the clock was set back.
func TestBroadcastAfterRestart(t *testing.T) {
	store := spooltest.NewModel()
	var kept spool.Receipt
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Hour) // which the other spool's clock has not done
		r := open(t, spool.Config{Store: unclosed{store}})
		kept = r.publish(stores, "kept", in(2*time.Hour))
	})
	synctest.Test(t, func(t *testing.T) {
		r := open(t, spool.Config{Store: unclosed{store}})
		in := r.follower(1, on(stores, kept.Timestamp-1))
		r.ack(in, r.next(in, "kept"))
		next := r.say(stores, "next")
		if next.Timestamp <= kept.Timestamp {
			t.Errorf("got %d after %d, want a later one", next.Timestamp, kept.Timestamp)
		}
		r.ack(in, r.next(in, "next"))
	})
}

// unclosed is a store that outlives its spool.
type unclosed struct{ spool.Store }

func (unclosed) Close() error { return nil }

func TestBroadcastFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, spool.Config{Store: burning{spooltest.NewModel(), func(context.Context) {}}})
		in := r.attach(1, true)
		err := in.Subscribe(t.Context(), spool.Subscriptions{Follow: []spool.Following{on(stores, 0)}})
		if !errors.Is(err, errChannelDisk) {
			t.Errorf("subscribe: got %v, want %v", err, errChannelDisk)
		}
		if _, err := r.Publish(t.Context(), channel, stores, notification("x", 0, apns.Expiration{})); !errors.Is(err, errChannelDisk) {
			t.Errorf("publish: got %v, want %v", err, errChannelDisk)
		}
		synctest.Wait()
		r.nothing(in)
		r.say(forgets, "not to be stored") // the channel is followed nevertheless
		r.next(in, "not to be stored")
	})
}

// TestFollowBytes bounds the memory of a device that follows, and of one that does
// not.
func TestFollowBytes(t *testing.T) {
	const devices, each = 2000, 4
	r := open(t, spool.Config{})
	boxes := make([]*spool.Inbox, devices)
	for d := range boxes {
		boxes[d] = r.attach(apns.DeviceOrdinal(d+1), true)
	}
	change := spool.Subscriptions{Full: true}
	for i := range each {
		f := on(stores, 0)
		f.ID = apns.ChannelID(fmt.Sprintf("channel%d", i))
		change.Follow = append(change.Follow, f)
	}
	before := heapBytes()
	for _, box := range boxes {
		if err := box.Subscribe(t.Context(), change); err != nil {
			t.Fatal(err)
		}
	}
	if got := (heapBytes() - before) / (devices * each); got > 110 {
		t.Errorf("got %d bytes for each channel that a device follows, want at most 110", got)
	}
	runtime.KeepAlive(boxes)
}

func heapBytes() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc) //nolint:gosec // it fits
}
