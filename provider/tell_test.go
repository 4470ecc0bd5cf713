package provider_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnstest/scripted"
	"github.com/heraldpush/herald/provider"
	"github.com/heraldpush/herald/provider/event"
	"github.com/heraldpush/herald/provider/outbox"
)

// told returns the events of some kinds, all if none is given.
func (w *world) told(kinds ...event.Kind) []event.Event {
	w.t.Helper()
	p, err := w.events.Read(w.t.Context(), 0, event.Filter{Kinds: kinds}, event.MaxPage)
	w.must(err)
	return p.Events
}

// tale lists the kinds of events of an app, in their order.
func (w *world) tale(kinds ...event.Kind) string {
	w.t.Helper()
	var all []string
	for _, e := range w.told(kinds...) {
		if e.App != shop {
			w.t.Errorf("%s is of the app %q", e.Kind, e.App)
		}
		all = append(all, string(e.Kind))
	}
	return strings.Join(all, " ")
}

// everybody is an order for all of an app.
var everybody = provider.Order{To: provider.Recipients{Everybody: true}, Notification: apns.Notification{Payload: hello}}

func TestTellsOfMessages(t *testing.T) {
	play(t, func(w *world) {
		w.key("KEY1111111")
		w.crowd(20)
		first := w.order(shop, everybody)
		later := everybody
		later.StartAt = time.Now().Add(time.Hour)
		second := w.order(shop, later)
		w.run(func() {
			w.ended(shop, first)
			if _, err := w.Pause(w.t.Context(), shop, second); err != nil {
				w.t.Error(err)
			}
			time.Sleep(2 * time.Hour)
			if _, err := w.Resume(w.t.Context(), shop, second); err != nil {
				w.t.Error(err)
			}
			w.says(w.ended(shop, second), "20 0 0 0")
			w.ended(shop, w.send(shop, "i1")) // nothing is told of its beginning
		})
		var got []string
		for _, e := range w.told(event.MessageStarted, event.MessagePaused, event.MessageResumed, event.MessageDone) {
			var m event.Message
			w.must(json.Unmarshal(e.Body, &m))
			which := map[string]string{first.String(): "first", second.String(): "second"}[e.Subject]
			got = append(got, fmt.Sprint(which, " ", e.Kind, " ", m.State, m.Why))
		}
		want := []string{
			"first message.started snapshotting", "first message.done done", "second message.paused pausedasked",
			"second message.resumed snapshotting", "second message.started snapshotting", "second message.done done",
		}
		if !slices.Equal(got, want) {
			w.t.Errorf("got %q, want %q", got, want)
		}
	})
}

// What ends is told once, however it ends, but for a few notifications that were all
// accepted.
func TestTellsOfTheEnd(t *testing.T) {
	play(t, func(w *world) {
		w.key("KEY1111111")
		w.crowd(20)
		w.gateway.ReplyTo(tokenOf(1), scripted.Refuse(apns.PayloadEmpty))
		later := everybody
		later.StartAt = time.Now().Add(time.Hour)
		names := make(map[string]string)
		w.run(func() {
			send := func(name string, o provider.Order) outbox.MessageID {
				id := w.order(shop, o)
				names[id.String()] = name
				return id
			}
			w.ended(shop, send("everybody", everybody))
			w.ended(shop, w.send(shop, "i0", "i2"))
			id := w.send(shop, "i1")
			names[id.String()] = "rejected"
			w.ended(shop, id)
			if _, err := w.Cancel(w.t.Context(), shop, send("cancelled", later)); err != nil {
				w.t.Error(err)
			}
			id = send("paused", everybody)
			if _, err := w.Pause(w.t.Context(), shop, id); err != nil {
				w.t.Error(err)
			}
			w.ended(shop, id)       // by its deadline
			time.Sleep(time.Minute) // ends are told by who archives them
		})
		var got []string
		for _, e := range w.told(event.MessageDone, event.MessageCancelled, event.MessageExpired, event.MessageFailed) {
			var m event.Message
			w.must(json.Unmarshal(e.Body, &m))
			got = append(got, fmt.Sprint(names[e.Subject], " ", e.Kind, " ", m.Accepted, "/", m.Targeted))
		}
		want := []string{"everybody message.done 19/20", "rejected message.done 0/1", "cancelled message.cancelled 0/0"}
		if len(got) != 4 || !slices.Equal(got[:3], want) || !strings.HasPrefix(got[3], "paused message.expired") {
			w.t.Errorf("got %q, want %q and one that was paused", got, want)
		}
	})
}

func TestTellsOfDeviceTokens(t *testing.T) {
	play(t, func(w *world) {
		w.key("KEY1111111")
		w.crowd(3)
		w.gateway.ReplyTo(tokenOf(1), scripted.Refuse(apns.Unregistered).Since(time.Now().Add(time.Hour)))
		w.gateway.ReplyTo(tokenOf(2), scripted.Refuse(apns.BadDeviceToken))
		var id outbox.MessageID
		w.run(func() {
			id = w.order(shop, everybody)
			w.ended(shop, id)
			if n, err := w.Undo(w.t.Context(), shop, id); n != 2 || err != nil {
				w.t.Errorf("got %d undone, %v, want 2", n, err)
			}
			if n, err := w.Undo(w.t.Context(), shop, id); n != 0 || err != nil {
				w.t.Errorf("got %d undone again, %v, want 0", n, err)
			}
		})
		if got, want := w.tale(event.DeviceTokenGone, event.DeviceTokenQuarantined, event.DeviceTokenRestored), "device_token.gone device_token.restored"; got != want {
			w.t.Fatalf("got %s, want %s", got, want)
		}
		all := w.told(event.DeviceTokenGone, event.DeviceTokenRestored)
		var gone event.DeviceTokens
		w.must(json.Unmarshal(all[0].Body, &gone))
		var got []string
		for _, d := range gone.DeviceTokens {
			got = append(got, fmt.Sprint(d.Installation, " ", d.Kind, " ", d.Environment, " ", d.Reason))
		}
		slices.Sort(got)
		if want := []string{"i1 alert sandbox Unregistered", "i2 alert sandbox BadDeviceToken"}; !slices.Equal(got, want) {
			w.t.Errorf("got %q, want %q", got, want)
		}
		if all[0].Subject != id.String() || all[1].Subject != id.String() || string(all[1].Body) != `{"device_tokens":2}` {
			w.t.Errorf("got %s %s and %s %s", all[0].Subject, all[0].Body, all[1].Subject, all[1].Body)
		}
	})
}

// A fuse that blows is told once, and so is that the device tokens are back.
func TestTellsOfAFuse(t *testing.T) {
	play(t, func(w *world) {
		w.key("KEY1111111")
		w.crowd(300)
		w.gateway.OnPush(func(scripted.Push) scripted.Reply { return scripted.Refuse(apns.BadDeviceToken) })
		w.run(func() {
			id := w.order(shop, everybody)
			time.Sleep(time.Minute)
			w.gateway.OnPush(func(scripted.Push) scripted.Reply { return scripted.Accept() })
			if got := w.tale(event.MessagePaused); got != "message.paused" {
				w.t.Errorf("got %q, want it told once", got)
			}
			var m event.Message
			if all := w.told(event.MessagePaused); len(all) > 0 {
				w.must(json.Unmarshal(all[0].Body, &m))
			}
			if m.Why != outbox.WhyFuse || m.State != "paused" {
				w.t.Errorf("got %+v, want it paused by its fuse", m)
			}
			now, err := w.Message(w.t.Context(), shop, id)
			if err != nil || now.State != outbox.StatePaused {
				w.t.Errorf("got %v, %v, want it paused", now.State, err)
			}
		})
	})
}

func TestTellsOfCredentials(t *testing.T) {
	play(t, func(w *world) {
		c := w.key("KEY1111111")
		w.crowd(1)
		w.run(func() {
			w.ended(shop, w.send(shop, "i0"))
			w.gateway.OnPush(func(scripted.Push) scripted.Reply { return scripted.Refuse(apns.InvalidProviderToken) })
			id := w.send(shop, "i0")
			time.Sleep(time.Minute)
			w.gateway.OnPush(func(scripted.Push) scripted.Reply { return scripted.Accept() })
			w.ended(shop, id)
		})
		var got []string
		for _, e := range w.told(event.CredentialProven, event.CredentialRefused) {
			var body event.Credential
			w.must(json.Unmarshal(e.Body, &body))
			got = append(got, fmt.Sprint(e.Kind, " ", body.Environment, " ", body.Reason))
			if e.Subject != string(c.ID) || e.App != shop {
				w.t.Errorf("%s is about %s of %s", e.Kind, e.Subject, e.App)
			}
		}
		want := []string{"credential.proven sandbox ", "credential.refused sandbox InvalidProviderToken"}
		if len(got) < 2 || !slices.Equal(got[:2], want) {
			w.t.Errorf("got %q, want %q first", got, want)
		}
	})
}
