package courier_test

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/courier"
	"github.com/heraldpush/herald/wire"
)

// draining runs a test with a courier that drains over 40 s. Stop has it begin,
// and returns what is told how long it took.
func draining(t *testing.T, host string, f func(t *testing.T, s *service, stop func() <-chan time.Duration)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, stop := assemble(t, parts{change: func(c *courier.Config) { c.DrainSpread, c.RedirectHost = 40*time.Second, host }})
		var stopping sync.WaitGroup
		f(t, s, func() <-chan time.Duration {
			took := make(chan time.Duration, 1)
			stopping.Go(func() {
				began := time.Now()
				stop()
				took <- time.Since(began)
			})
			return took
		})
		stopping.Wait()
		if n := s.spool.Stats().Attached; n != 0 {
			t.Errorf("%d devices are attached, want 0", n)
		}
	})
}

// TestDrain checks in what order devices are let go, and that nothing is lost
// by it (docs/protocol/courier.md#drain).
func TestDrain(t *testing.T) {
	draining(t, "", func(t *testing.T, s *service, stop func() <-chan time.Duration) {
		t.Helper()
		ids := []identity{s.newIdentity(), s.newIdentity(), s.newIdentity(), s.newIdentity()}
		var devices []*rawDevice
		for _, id := range ids {
			d := s.login(id, "")
			d.ready(alertTopic)
			devices = append(devices, d)
			time.Sleep(time.Second)
		}
		s.offer(ids[1].id, alert("unacknowledged")) // the second oldest is busy
		devices[1].wantPayload(alert("unacknowledged"), 0)
		took := stop()
		devices[0].wantClosed(0)
		synctest.Wait()
		if _, err := s.dial(t.Context(), "tcp", s.address); err == nil {
			t.Error("the courier still accepts")
		}
		// Those that are left are served as ever, and who has left is offered to.
		time.Sleep(15 * time.Second)
		devices[1].send(frame(0xff)) // it lives
		s.offer(ids[0].id, alert("stored"))
		s.offer(ids[3].id, alert("live"))
		devices[3].ack(devices[3].wantPayload(alert("live"), 0), wire.AckOK)
		devices[2].wantClosed(5 * time.Second)
		devices[3].wantClosed(10 * time.Second)
		devices[1].wantClosed(10 * time.Second)
		if took := <-took; took != 40*time.Second {
			t.Errorf("it took %v, want 40s", took)
		}
		if n := s.spool.Stats().Notifications; n != 2 {
			t.Errorf("%d notifications are stored, want 2", n)
		}
	})
}

// TestDrainWords checks what devices are told.
func TestDrainWords(t *testing.T) {
	for _, tt := range []struct {
		name, host, protocol string
		waits                bool // for the response to a delayed keepalive
		want                 []string
	}{
		{"nowhere to go", "", wire.ALPNSecurityV3, false, nil},
		{"elsewhere", "b.test", wire.ALPNSecurityV3, false, []string{"Redirect 2=b.test 9=drain"}},
		{"waits", "", wire.ALPNSecurityV3, true, []string{"CancelKeepAlive"}},
		{"waits, elsewhere", "b.test", wire.ALPNSecurityV3, true, []string{"CancelKeepAlive", "Redirect 2=b.test 9=drain"}},
		{"Herald's", "", wire.ALPNHerald, false, []string{"Redirect 9=drain 200=\x00\x00\x00\x28"}},
		{"Herald's, elsewhere", "b.test", wire.ALPNHerald, false, []string{"Redirect 2=b.test 9=drain 200=\x00\x00\x00\x00"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			draining(t, tt.host, func(t *testing.T, s *service, stop func() <-chan time.Duration) {
				t.Helper()
				d := s.open(hello{protocols: []string{tt.protocol}})
				d.login(s.newIdentity(), "")
				d.ready()
				if tt.waits {
					d.send(delayed(time.Hour))
					d.want(wire.CommandKeepAliveAck)
				}
				stop()
				for _, want := range tt.want {
					name, items, _ := strings.Cut(want, " ")
					f := <-d.frames
					if f.Command.String() != name {
						t.Fatalf("got %v, want %s", f.Command, name)
					}
					got := parseItems(t, f)
					for part := range strings.FieldsSeq(items) {
						id, value, _ := strings.Cut(part, "=")
						n := map[string]uint8{"2": 2, "9": 9, "200": 200}[id]
						if string(got[n]) != value {
							t.Errorf("item %d of %s is %q, want %q", n, name, got[n], value)
						}
						delete(got, n)
					}
					if len(got) > 0 {
						t.Errorf("%s has items %v besides", name, got)
					}
				}
				if len(tt.want) == 0 {
					d.wantClosed(0)
				} else { // it does not do as it is told
					d.wantClosed(time.Second)
				}
			})
		})
	}
}

// TestDrainObeyed checks that a device that leaves as it is told holds nobody
// up.
func TestDrainObeyed(t *testing.T) {
	draining(t, "b.test", func(t *testing.T, s *service, stop func() <-chan time.Duration) {
		t.Helper()
		d := s.login(s.newIdentity(), "")
		d.ready()
		took := stop()
		d.want(wire.CommandRedirect)
		d.close()
		if took := <-took; took != 0 {
			t.Errorf("it took %v, want no time", took)
		}
	})
}

// TestDrainConnect checks what a device is told that connects while the courier
// drains.
func TestDrainConnect(t *testing.T) {
	for _, tt := range []struct {
		name, host, protocol string
		want                 wire.Command // 0 for nothing
	}{
		{"nowhere to go", "", wire.ALPNSecurityV3, 0},
		{"elsewhere", "b.test", wire.ALPNSecurityV3, wire.CommandConnectAck},
		{"Herald's", "", wire.ALPNHerald, wire.CommandRedirect},
		{"Herald's, elsewhere", "b.test", wire.ALPNHerald, wire.CommandConnectAck},
	} {
		t.Run(tt.name, func(t *testing.T) {
			draining(t, tt.host, func(t *testing.T, s *service, stop func() <-chan time.Duration) {
				t.Helper()
				for range 2 { // the first goes at once, the second in 20 s
					s.login(s.newIdentity(), "").ready()
				}
				d := s.open(hello{protocols: []string{tt.protocol}})
				stop()
				synctest.Wait()
				d.send(s.newIdentity().connect(t, time.Now(), ""))
				switch tt.want {
				case wire.CommandConnectAck:
					ack := d.want(tt.want)
					if string(ack[2]) != "b.test" || string(ack[9]) != "drain" || ack[3] != nil {
						t.Errorf("ConnectAck is %q, want a redirect to b.test", ack)
					}
				case wire.CommandRedirect:
					if m := d.want(tt.want); string(m[200]) != "\x00\x00\x00\x28" {
						t.Errorf("Redirect is %q, want to come back after 40s", m)
					}
				default:
				}
				d.wantClosed(0)
			})
		})
	}
}

// TestPace checks that a device that connects in a tight loop is bounded, and
// no other by it (docs/protocol/courier.md#floods).
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c *courier.Courier
		s, _ := assemble(t, parts{
			change: func(c *courier.Config) { c.MaxConnects = 6 },
			made:   func(made *courier.Courier) { c = made },
		})
		id, other := s.newIdentity(), s.newIdentity()
		var d *rawDevice
		for range 6 {
			d = s.login(id, "")
		}
		flood := func(protocol string) *rawDevice {
			f := s.open(hello{protocols: []string{protocol}})
			f.send(id.connect(t, time.Now(), ""))
			return f
		}
		for range 20 {
			flood(wire.ALPNSecurityV3).wantClosed(0)
		}
		f := flood(wire.ALPNHerald)
		if m := f.want(wire.CommandRedirect); string(m[200]) != "\x00\x00\x00\x0a" || m[2] != nil {
			t.Errorf("Redirect is %q, want to come back after 10s", m)
		}
		f.wantClosed(0)
		if got := c.Stats().TooOften; got != 21 {
			t.Errorf("%d connections are counted, want 21", got)
		}
		d.ready() // the connection that it has is not ended by that
		s.login(other, "").ready()
		time.Sleep(10 * time.Second)
		s.login(id, "").ready()
		flood(wire.ALPNSecurityV3).wantClosed(0)
		time.Sleep(5 * time.Minute)
		for range 6 {
			s.login(id, "")
		}
		flood(wire.ALPNSecurityV3).wantClosed(0)
	})
}
