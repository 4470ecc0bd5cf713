package device

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/wire"
)

// TestSubscriptionsAreKept proves that device.json has what is subscribed to, with
// the checkpoints, and that one that can not be is damage.
func TestSubscriptionsAreKept(t *testing.T) {
	f := folder{dir: t.TempDir(), environment: apns.Sandbox}
	m := fullMemory()
	for _, id := range []apns.ChannelID{"BBBB", "AAAA"} {
		if err := m.subscribe("com.example.demo", id); err != nil {
			t.Fatal(err)
		}
	}
	const checkpoint = 1<<63 + 1 // more than a float has room for
	m.reached(wire.Notification{TopicHash: apns.Topic("com.example.demo").Hash(), Channel: "AAAA", Checkpoint: checkpoint}, epoch)
	if err := f.saveMemory(m.document(f.environment, "id")); err != nil {
		t.Fatal(err)
	}
	read, err := f.loadMemory("id")
	if err != nil {
		t.Fatal(err)
	}
	want := []subscription{{"com.example.demo", "AAAA", checkpoint}, {"com.example.demo", "BBBB", 0}}
	if diff := cmp.Diff(want, read.subscriptions(), cmp.AllowUnexported(subscription{})); diff != "" {
		t.Errorf("subscriptions (-want +got):\n%s", diff)
	}

	whole := kept(t, f.dir)[memoryFile]
	for _, broken := range []string{
		strings.Replace(whole, "AAAA", "A", 1),
		strings.Replace(whole, "AAAA", "", 1),
		strings.Replace(whole, "9223372036854775809", "-1", 1),
		strings.Replace(whole, `{
					"id": "AAAA"`, strings.Repeat(`{"id": "CCCC"},`, MaxChannels)+`{"id": "AAAA"`, 1),
	} {
		if broken == whole {
			t.Fatal("nothing was replaced")
		}
		if _, _, err := parseMemory([]byte(broken), apns.Sandbox); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("got %v, want damage, of\n%.2000s", err, broken)
		}
	}
}

// TestSubscriptionsFitIntoAFrame proves that as many channels as a device takes can
// be told to the courier, however long the names are.
func TestSubscriptionsFitIntoAFrame(t *testing.T) {
	for _, size := range []int{12, 16, 48, apns.MaxChannelIDBytes / 4 * 3} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			m := newMemory()
			m.setBase(apns.BaseToken(fill("B")))
			count := 0
			for i := 0; ; i++ {
				topic := apns.Topic(fmt.Sprintf("com.example.%d", i%20))
				m.register(topic, Alert, Delegate{})
				raw := fmt.Sprintf("%0*d", size, i)
				if err := m.subscribe(topic, apns.ChannelID(base64.StdEncoding.EncodeToString([]byte(raw)))); err != nil {
					break
				}
				count++
			}
			if count < 400 || count > MaxChannels {
				t.Errorf("got %d subscriptions, want from 400 to %d", count, MaxChannels)
			}
			for h := range m.apps {
				for id := range m.apps[h].channels {
					m.apps[h].channels[id] = 1<<64 - 1
				}
			}
			s := &session{memory: m}
			var o outcome
			s.syncChannels(&o)
			f, n, err := wire.NextFrame(o.frames, wire.MaxPayloadBytes)
			if err != nil || n != len(o.frames) {
				t.Fatalf("got %d of %d bytes, %v", n, len(o.frames), err)
			}
			said, err := wire.ParseSubscriptions(f.Payload)
			if err != nil {
				t.Fatal(err)
			}
			got := 0
			for _, a := range said.Apps {
				got += len(a.Subscribe)
			}
			if got != count {
				t.Errorf("said %d, want all %d", got, count)
			}
		})
	}
}

func TestSubscribeToChannelRefuses(t *testing.T) {
	d := &Device{memory: newMemory(), wake: make(chan struct{}, 1), arrived: make(chan struct{}, 1)}
	for _, id := range []apns.ChannelID{"", "A", "not base64!!", "AAAA"} {
		if err := d.SubscribeToChannel("com.example.demo", id); err == nil {
			t.Errorf("%q for an app that is not registered: got no error", id)
		}
	}
	if err := d.RegisterForRemoteNotifications("com.example.demo", Alert, Delegate{}); err != nil {
		t.Fatal(err)
	}
	if err := d.SubscribeToChannel("com.example.demo", "AAAA"); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]apns.ChannelID{"AAAA"}, d.Channels("com.example.demo")); diff != "" {
		t.Errorf("channels (-want +got):\n%s", diff)
	}
	d.UnsubscribeFromChannel("com.example.demo", "AAAA")
	d.UnsubscribeFromChannel("com.example.other", "AAAA")
	if got := d.Channels("com.example.demo"); got != nil {
		t.Errorf("channels: got %q, want none", got)
	}
}
