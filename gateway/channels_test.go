package gateway_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/gateway"
	"github.com/heraldpush/herald/portal"
)

// TestBroadcastStorage proves what is stored under either policy, and for how
// long.
func TestBroadcastStorage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newBroadcastWorld(t, options{})
		p := w.dial(t, dialing{certificate: w.pushCertificate(t, demo, credential.PushUniversal)})
		silent, storing := w.newChannel(t, apns.NoMessageStored), w.newChannel(t, apns.MostRecentMessageStored)
		until := func(d time.Duration, payload string) *push {
			return w.broadcast(t, storing).set("apns-expiration", fmt.Sprint(time.Now().Add(d).Unix())).carrying(payload)
		}
		const first, second, third = `{"n":1}`, `{"n":2}`, `{"n":3}`

		p.want(w.broadcast(t, silent), accepted)
		w.storedOn(t, silent, "")

		p.want(until(time.Hour, first).set("apns-priority", "5"), accepted)
		m := w.storedOn(t, storing, first)
		want := apns.Notification{
			ID: m.Notification.ID, Topic: demo + ".push-type.liveactivity", PushType: apns.PushTypeLiveActivity,
			Priority: apns.PriorityConserve, Expiration: m.Notification.Expiration, Payload: m.Notification.Payload,
		}
		if got := m.Notification; got.Topic != want.Topic || got.PushType != want.PushType || got.Priority != want.Priority || !got.ID.Valid() {
			t.Errorf("got %+v, want %+v", got, want)
		}
		p.want(until(time.Hour, second), accepted)
		w.storedOn(t, storing, second)
		p.want(w.broadcast(t, storing).carrying(third), accepted) // expiration 0
		w.storedOn(t, storing, second)
		p.want(until(-time.Second, third), accepted)
		w.storedOn(t, storing, second)
		time.Sleep(time.Hour)
		w.storedOn(t, storing, "")

		p.want(until(30*24*time.Hour, first), accepted)
		time.Sleep(apns.MaxChannelStorage - time.Second)
		w.storedOn(t, storing, first)
		time.Sleep(time.Second)
		w.storedOn(t, storing, "")
	})
}

// TestCapability proves what is left of channels when the capability is
// switched off and on.
func TestCapability(t *testing.T) {
	w := newWorld(t)
	p := w.dial(t, dialing{})
	p.want(w.list(t), refused(apns.FeatureNotEnabled))
	p.want(w.create(t, 0), refused(apns.FeatureNotEnabled))
	if got, want := w.setBroadcast(t, true), (portal.Broadcast{On: true, Term: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	c := apns.ChannelID(p.want(w.create(t, 1), created).get("apns-channel-id")[0])
	p.want(w.broadcast(t, c), accepted)

	w.setBroadcast(t, false)
	for _, q := range []*push{w.list(t), w.create(t, 0), w.about(t, "GET", c), w.about(t, "DELETE", c), w.broadcast(t, c)} {
		p.want(q, refused(apns.FeatureNotEnabled))
	}
	p.want(w.push(t), accepted)

	w.setBroadcast(t, true)
	if got := p.channels(w.list(t)); len(got) > 0 {
		t.Errorf("after it was switched off: got %q, want none", got)
	}
	for _, q := range []*push{w.about(t, "GET", c), w.about(t, "DELETE", c), w.broadcast(t, c)} {
		p.want(q, refused(apns.ChannelNotRegistered))
	}
	p.want(w.create(t, 1), created)
}

// TestChannelEnvironments proves that channels of the environments are apart,
// and that Apple's host names say which is meant.
func TestChannelEnvironments(t *testing.T) {
	w := newBroadcastWorld(t, options{})
	ids := make(map[apns.Environment]apns.ChannelID)
	for _, env := range apns.Environments {
		ids[env] = w.newChannelOf(t, env, apns.NoMessageStored)
	}
	for _, tt := range []struct {
		dialing
		want apns.Environment
	}{
		{dialing{}, apns.Sandbox},
		{dialing{address: productionName}, apns.Production},
		{dialing{address: productionName, serverName: "api-broadcast.sandbox.push.apple.com"}, apns.Sandbox},
		{dialing{address: productionName, serverName: "api-manage-broadcast.sandbox.push.apple.com"}, apns.Sandbox},
		{dialing{serverName: "api-broadcast.push.apple.com"}, apns.Production},
		{dialing{serverName: "api-manage-broadcast.push.apple.com"}, apns.Production},
	} {
		p := w.dial(t, tt.dialing)
		if got := p.channels(w.list(t)); len(got) != 1 || got[0] != string(ids[tt.want]) {
			t.Errorf("%s: got %q, want %s", tt.serverName, got, ids[tt.want])
		}
		for env, c := range ids {
			want := accepted
			if env != tt.want {
				want = refused(apns.ChannelNotRegistered)
			}
			p.want(w.broadcast(t, c), want)
			p.want(w.about(t, "GET", c), want)
		}
	}
}

// TestChannelLimit proves that the limit is one for each environment.
func TestChannelLimit(t *testing.T) {
	w := newBroadcastWorld(t, options{channels: 2})
	p, elsewhere := w.dial(t, dialing{}), w.dial(t, dialing{address: productionName})
	first := apns.ChannelID(p.want(w.create(t, 0), created).get("apns-channel-id")[0])
	p.want(w.create(t, 0), created)
	p.want(w.create(t, 0), refused(apns.CannotCreateChannelConfig))
	elsewhere.want(w.create(t, 0), created)
	p.want(w.about(t, "DELETE", first), deleted)
	p.want(w.create(t, 0), created)
}

// TestManyChannels proves that a long list arrives, and that many requests may
// be under way at once.
func TestManyChannels(t *testing.T) {
	w := newBroadcastWorld(t, options{})
	p := w.dial(t, dialing{certificate: w.pushCertificate(t, demo, credential.PushUniversal)})
	const rounds, together = 15, 200
	seen := make(map[string]bool)
	for range rounds {
		streams := make([]uint32, 0, together)
		for range together {
			streams = append(streams, p.send(w.create(t, 1).drop("authorization")))
		}
		for _, id := range streams {
			a := p.await(id)
			if got := a.outcome(); got != created {
				t.Fatalf("got %s, want %s", got, created)
			}
			seen[a.get("apns-channel-id")[0]] = true
		}
	}
	got := p.channels(w.list(t).drop("authorization")) // more than a stream's window
	if len(got) != rounds*together || len(seen) != len(got) {
		t.Errorf("got %d channels, %d were made, want %d", len(got), len(seen), rounds*together)
	}
	for _, id := range got {
		if !seen[id] {
			t.Errorf("nobody made %q", id)
		}
	}
}

// TestChannelStoreFaults proves that a fault of a store is told as one, logged
// in one line, and does not outlast itself.
func TestChannelStoreFaults(t *testing.T) {
	w := newBroadcastWorld(t, options{})
	c := w.newChannel(t, apns.MostRecentMessageStored)
	p := w.dial(t, dialing{certificate: w.pushCertificate(t, demo, credential.PushUniversal)})
	fail := func(context.Context) error { return errDisk }
	w.exceptions.beforeChannels(fail)
	for _, q := range []*push{w.create(t, 0), w.about(t, "GET", c), w.about(t, "DELETE", c), w.list(t), w.broadcast(t, c)} {
		a := p.want(q, refused(apns.InternalServerError))
		wantFault(t, a)
		w.wantLogged(t, "pushes=1", a.get("apns-request-id")[0])
	}
	w.exceptions.beforeChannels(nil)
	p.want(w.broadcast(t, c), accepted)

	w.store.before(fail)
	wantFault(t, p.want(w.broadcast(t, c).set("apns-expiration", far), refused(apns.InternalServerError)))
	w.wantLogged(t, "pushes=1")
	w.storedOn(t, c, "")
	p.want(w.broadcast(t, c), accepted) // is not stored
	w.store.before(nil)
	p.want(w.broadcast(t, c).set("apns-expiration", far), accepted)
}

// TestChannelStoreHangs proves that a registry that does not answer holds up no
// other requests, and is waited for no longer than a deadline.
func TestChannelStoreHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newBroadcastWorld(t, options{})
		p := w.dial(t, dialing{certificate: w.pushCertificate(t, demo, credential.PushUniversal)})
		w.exceptions.beforeChannels(func(ctx context.Context) error {
			<-ctx.Done()
			return fmt.Errorf("%w: %w", errDisk, ctx.Err())
		})
		start := time.Now()
		ids := []uint32{p.send(w.list(t))}
		synctest.Wait()
		for range 20 {
			ids = append(ids, p.send(w.create(t, 0)))
		}
		p.want(w.push(t), accepted)
		p.want(w.create(t, 0).carrying("x"), refused(apns.BadRequestPayload))
		if took := time.Since(start); took != 0 {
			t.Errorf("others waited for %v", took)
		}
		for _, id := range ids {
			wantFault(t, p.await(id))
		}
		if took, want := time.Since(start), 20*time.Second; took != want {
			t.Errorf("answered after %v, want %v", took, want)
		}
		w.exceptions.beforeChannels(nil)
		if lines := w.logs.take(); len(lines) != 2 {
			t.Errorf("logged %q, want two lines", lines)
		}
		p.want(w.create(t, 0), created)
	})
}

// TestStopDuringChannels stops while requests about channels are under way: what
// can be answered is, and nothing is left running.
func TestStopDuringChannels(t *testing.T) {
	for _, hangs := range []bool{false, true} {
		t.Run(fmt.Sprintf("hangs %t", hangs), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newBroadcastWorld(t, options{})
				p := w.dial(t, dialing{})
				release := make(chan error)
				w.exceptions.beforeChannels(until(release))
				id := p.send(w.create(t, 0))
				synctest.Wait()
				within := w.stopping(t)
				if !hangs {
					synctest.Wait()
					close(release)
					if got := p.await(id).outcome(); got != created {
						t.Errorf("got %s, want %s", got, created)
					}
				}
				for p.tryRead() == nil {
				}
				_ = p.nc.Close()
				within(30 * time.Second)
				w.logs.take()
			})
		})
	}
}

// TestPeerLeavesChannels proves that what was asked for is done though the peer
// has gone.
func TestPeerLeavesChannels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newBroadcastWorld(t, options{})
		p := w.dial(t, dialing{})
		release := make(chan error)
		w.exceptions.beforeChannels(until(release))
		p.send(w.create(t, 0))
		synctest.Wait()
		if err := p.nc.Close(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		close(release)
		synctest.Wait()
		w.exceptions.beforeChannels(nil)
		if got := w.dial(t, dialing{}).channels(w.list(t)); len(got) != 1 {
			t.Errorf("got %q, want one", got)
		}
	})
}

// FuzzBroadcast sends requests of any kind: each has an answer of the right
// form, and the connection goes on.
func FuzzBroadcast(f *testing.F) {
	f.Add("POST", channelsPath, "", "", "", "", "", `{"message-storage-policy":1,"push-type":"LiveActivity"}`)
	f.Add("GET", channelsPath, "AAAA", "", "", "", "", "")
	f.Add("GET", allChannelsPath, "", "", "", "", apns.NewUUID(), "")
	f.Add("POST", broadcastPath, "AAAA", "liveactivity", far, "10", "", update)
	f.Add("PUT", "/1/apps", "\xff", "alert", "-1", "11", "x", "[")
	w := newBroadcastWorld(f, options{})
	f.Fuzz(func(t *testing.T, method, path, channel, pushType, expiration, priority, id, body string) {
		if !strings.HasPrefix(path, "/1/apps") && !strings.HasPrefix(path, "/4/broadcasts") {
			t.Skip("a path of another interface")
		}
		q := w.authorized(t, method, path, body)
		for name, value := range map[string]string{
			"apns-channel-id": channel, "apns-push-type": pushType, "apns-expiration": expiration, "apns-priority": priority, "apns-request-id": id,
		} {
			if value != "" {
				q.add(name, value)
			}
		}
		p := w.dial(t, dialing{})
		stream := p.send(q)
		for !p.answer(stream).ended {
			if p.tryRead() != nil {
				t.Skip("no HTTP/2") // such as a method that could be none
			}
		}
		if a := p.answers[stream]; a.reset == "" && !strings.Contains(a.outcome(), "431") {
			if err := checkBroadcastForm(q, a); err != nil {
				t.Errorf("%v\n%+v", err, a)
			}
			p.channels(w.list(t))
		}
	})
}

// TestBroadcastConduct proves that answers about channels count for a
// connection's conduct as those to pushes do.
func TestBroadcastConduct(t *testing.T) {
	w := newBroadcastWorld(t, options{limits: gateway.Limits{MaxRefusals: 3}})
	p := w.dial(t, dialing{})
	for range 5 { // each refusal is made up for
		p.want(w.about(t, "GET", "AAAA"), refused(apns.ChannelNotRegistered))
		p.channels(w.list(t))
	}
	p.want(w.about(t, "GET", "AAAA"), refused(apns.ChannelNotRegistered))
	p.want(w.about(t, "GET", ""), refused(apns.MissingChannelID))
	p.want(w.broadcast(t, "AAAA"), refused(apns.ChannelNotRegistered))
	for p.tryRead() == nil {
	}
	if len(p.goAways) == 0 || !strings.HasPrefix(p.goAways[0], "ENHANCE_YOUR_CALM ") {
		t.Errorf("GOAWAY: got %q, want ENHANCE_YOUR_CALM", p.goAways)
	}
}
