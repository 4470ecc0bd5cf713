package courier_test

import (
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/courier"
	"github.com/heraldpush/herald/wire"
)

// delayed is a KeepAlive that wants its response after a time.
func delayed(after time.Duration) []byte {
	return frame(wire.CommandKeepAlive, item(6, strconv.AppendInt(nil, int64(after/time.Second), 10)))
}

// wantResponse checks for the delayed response after a time, and nothing
// before.
func (d *rawDevice) wantResponse(after time.Duration) {
	d.t.Helper()
	time.Sleep(after - time.Nanosecond)
	d.wantNothing()
	time.Sleep(time.Nanosecond)
	if got := d.want(wire.CommandKeepAliveResponse); len(got) != 1 || len(got[1]) != 1 || got[1][0] != 0 {
		d.t.Errorf("KeepAliveResponse is %x, want item 1 with 00", got)
	}
}

// TestDelayedKeepAlive checks keepalives of version 2
// (docs/protocol/courier.md#keepalive).
func TestDelayedKeepAlive(t *testing.T) {
	for _, delay := range []time.Duration{time.Second, 15 * time.Minute, 24 * time.Hour} {
		t.Run(delay.String(), func(t *testing.T) {
			bubble(t, func(s *service) {
				d := s.login(s.newIdentity(), "")
				d.ready()
				for range 3 { // as a device does: the next follows the response
					d.send(delayed(delay))
					if got := d.want(wire.CommandKeepAliveAck); len(got) != 0 {
						s.t.Errorf("KeepAliveAck is %x, want nothing", got)
					}
					d.wantResponse(delay)
				}
				d.wantNothing()
			})
		})
	}
}

// TestDelayedKeepAliveVoid checks what makes a delayed response void.
func TestDelayedKeepAliveVoid(t *testing.T) {
	bubble(t, func(s *service) {
		d := s.login(s.newIdentity(), "")
		d.send(delayed(30 * time.Second)) // before the Filter, too
		d.want(wire.CommandKeepAliveAck)
		d.wantResponse(30 * time.Second)
		token := d.token(alertTopic)
		d.ready(alertTopic)

		d.send(delayed(5 * time.Minute))
		d.want(wire.CommandKeepAliveAck)
		time.Sleep(4 * time.Minute)
		d.send(delayed(10 * time.Minute)) // a newer one takes its place
		d.want(wire.CommandKeepAliveAck)
		d.wantResponse(10 * time.Minute)

		d.send(delayed(5 * time.Minute))
		d.want(wire.CommandKeepAliveAck)
		d.send(frame(wire.CommandKeepAlive)) // one of version 1 does as well
		d.want(wire.CommandKeepAliveResponse)
		time.Sleep(6 * time.Minute)
		d.wantNothing()

		d.send(delayed(5 * time.Minute))
		d.want(wire.CommandKeepAliveAck)
		time.Sleep(time.Minute)
		s.push(token, alert("hello")) // what comes from the courier does not
		got := d.wantPayload(alert("hello"), 0)
		time.Sleep(10 * time.Second)
		d.wantNothing()
		d.ack(got, wire.AckOK) // and any frame of the device does
		time.Sleep(6 * time.Minute)
		d.wantNothing()
	})
}

// TestDelayedKeepAliveIdle checks that the wanted delay counts as the interval.
func TestDelayedKeepAliveIdle(t *testing.T) {
	bubble(t, func(s *service) {
		d := s.login(s.newIdentity(), "")
		d.ready()
		d.send(delayed(20 * time.Minute))
		d.want(wire.CommandKeepAliveAck)
		d.wantResponse(20 * time.Minute)
		d.wantClosed(21 * time.Minute)
	})
}

// TestRhythm checks the idle limit of a device that sends empty keepalives.
func TestRhythm(t *testing.T) {
	for _, tt := range []struct {
		name string
		gaps []time.Duration // between its keepalives
		want time.Duration
	}{
		{"three are too few", []time.Duration{10 * time.Minute, 10 * time.Minute}, 35 * time.Minute},
		{"every 30 s", []time.Duration{30 * time.Second, 30 * time.Second, 30 * time.Second}, 6 * time.Minute},
		{"every 10 minutes", []time.Duration{10 * time.Minute, 10 * time.Minute, 10 * time.Minute}, 21 * time.Minute},
		{"one that is late", []time.Duration{5 * time.Minute, 10 * time.Minute, 5 * time.Minute}, 2*(10*time.Minute-75*time.Second) + time.Minute},
		{"a burst", []time.Duration{16 * time.Minute, time.Second, time.Second, time.Second}, 2*(16*time.Minute*7*7*7/512) + time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(s *service) {
				d := s.login(s.newIdentity(), "")
				d.ready()
				d.send(frame(wire.CommandKeepAlive))
				d.want(wire.CommandKeepAliveResponse)
				for _, gap := range tt.gaps {
					time.Sleep(gap)
					d.send(frame(wire.CommandKeepAlive))
					d.want(wire.CommandKeepAliveResponse)
				}
				d.wantClosed(tt.want)
			})
		})
	}
}

// TestSuspect checks that a connection is given up on which nothing comes back
// for 30 s, and that nothing is lost by it (docs/protocol/courier.md#liveness).
func TestSuspect(t *testing.T) {
	bubble(t, func(s *service) {
		id := s.newIdentity()
		d := s.login(id, "")
		token := d.token(alertTopic)
		d.ready(alertTopic)
		time.Sleep(5 * time.Minute)
		s.push(token, alert("first"))
		first := d.wantPayload(alert("first"), 0)
		d.wantClosed(30 * time.Second) // and not a second time on this connection
		d = s.login(id, "")
		d.filter(alertTopic)
		again := d.wantPayload(alert("first"), 3)
		if string(first[6]) != string(again[6]) {
			s.t.Errorf("timestamp was %x and now is %x", first[6], again[6])
		}
		d.ack(again, wire.AckOK)
		d.wantClosed(35 * time.Minute)
	})
	bubble(t, func(s *service) { // the first one counts, not the last
		d := s.login(s.newIdentity(), "")
		alerts, calls := d.token(alertTopic), d.token(voipTopic)
		d.ready(alertTopic, voipTopic)
		s.push(alerts, alert("first"))
		d.want(wire.CommandNotification)
		time.Sleep(20 * time.Second)
		s.push(calls, to(voipTopic, alert("second")))
		d.want(wire.CommandNotification)
		d.wantClosed(10 * time.Second)
	})
	bubble(t, func(s *service) { // any frame will do
		d := s.login(s.newIdentity(), "")
		token := d.token(alertTopic)
		d.ready(alertTopic)
		s.push(token, alert("first"))
		got := d.want(wire.CommandNotification)
		time.Sleep(29 * time.Second)
		d.send(frame(0xff))
		time.Sleep(29 * time.Second)
		d.ack(got, wire.AckOK)
		d.wantNothing()
		time.Sleep(time.Minute)
		d.wantNothing()
	})
	bubble(t, func(s *service) { // a part of one will not
		d := s.login(s.newIdentity(), "")
		token := d.token(alertTopic)
		d.ready(alertTopic)
		s.push(token, alert("first"))
		d.want(wire.CommandNotification)
		time.Sleep(29 * time.Second)
		d.send([]byte{11, 0, 0})
		d.wantClosed(time.Second)
	})
	bubble(t, func(s *service) { // what was stored is no exception
		id := s.newIdentity()
		d := s.login(id, "")
		d.token(alertTopic)
		d.close()
		s.offer(id.id, alert("first"))
		d = s.login(id, "")
		d.filter(alertTopic)
		d.wantPayload(alert("first"), 3)
		d.wantClosed(30 * time.Second)
	})
}

// TestForgotten checks that a device that lives, but has lost a notification
// within itself, gets it on its next connection.
func TestForgotten(t *testing.T) {
	bubble(t, func(s *service) {
		id := s.newIdentity()
		d := s.login(id, "")
		alerts, calls := d.token(alertTopic), d.token(voipTopic)
		d.ready(alertTopic, voipTopic)
		s.push(alerts, alert("first"))
		d.wantPayload(alert("first"), 0)
		time.Sleep(25 * time.Second)
		d.send(frame(wire.CommandKeepAlive)) // not late enough to say so
		d.want(wire.CommandKeepAliveResponse)
		s.push(calls, to(voipTopic, alert("second")))
		d.ack(d.wantPayload(alert("second"), 0), wire.AckOK)
		time.Sleep(5 * time.Second)
		d.send(frame(wire.CommandKeepAlive))
		d.wantClosed(0)
		d = s.login(id, "")
		d.filter(alertTopic)
		d.ack(d.wantPayload(alert("first"), 3), wire.AckOK)
		d.wantNothing()
	})
}

// TestLateAck checks that what is acknowledged after its connection has gone
// counts for nothing, and that the device token survives.
func TestLateAck(t *testing.T) {
	bubble(t, func(s *service) {
		id := s.newIdentity()
		d := s.login(id, "")
		token := d.token(alertTopic)
		d.ready(alertTopic)
		s.push(token, alert("first"))
		first := d.wantPayload(alert("first"), 0)
		d.wantClosed(30 * time.Second)
		d = s.login(id, "")
		d.ack(first, wire.AckNotOurs) // the id of another connection
		d.ack(map[uint8][]byte{4: u32(77)}, wire.AckNotOurs)
		d.wantNothing()
		d.filter(alertTopic)
		d.ack(d.wantPayload(alert("first"), 3), wire.AckOK)
		s.push(token, alert("still good"))
		d.wantPayload(alert("still good"), 0)
	})
}

// TestActiveInterval checks for how long a device is active that does not say
// (docs/protocol/courier.md#activity).
func TestActiveInterval(t *testing.T) {
	later := alert("later")
	later.Priority = apns.PriorityPower
	active := frame(wire.CommandSetActiveState, item(1, []byte{1}))
	interval := func(d time.Duration) []byte {
		return frame(wire.CommandSetActiveInterval, item(1, u32(uint32(d/time.Second))))
	}
	for _, tt := range []struct {
		name string
		send [][]byte
		want time.Duration // until it is not active any more
	}{
		{"not said", [][]byte{active}, 10 * time.Minute},
		{"before", [][]byte{interval(time.Minute), active}, time.Minute},
		{"afterwards", [][]byte{active, interval(20 * time.Minute)}, 20 * time.Minute},
		{"twice", [][]byte{active, interval(time.Hour), interval(3 * time.Minute)}, 3 * time.Minute},
		{"zero says nothing", [][]byte{interval(0), active, interval(0)}, 10 * time.Minute},
		{"without its item", [][]byte{active, frame(wire.CommandSetActiveInterval)}, 10 * time.Minute},
		{"with a time of its own", [][]byte{
			interval(time.Hour), frame(wire.CommandSetActiveState, item(1, []byte{1}), item(2, u32(60))), interval(time.Hour),
		}, time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(s *service) {
				d := s.login(s.newIdentity(), "")
				token := d.token(alertTopic)
				d.ready(alertTopic)
				d.send(tt.send...)
				time.Sleep(tt.want - time.Second)
				s.push(token, later)
				d.ack(d.wantPayload(later, 0), wire.AckOK)
				time.Sleep(time.Second)
				s.push(token, later)
				d.wantNothing()
				d.send(interval(24 * time.Hour)) // does not wake it up
				if tt.name != "with a time of its own" {
					d.wantPayload(later, 0) // but makes the time it named longer
					return
				}
				d.wantNothing()
			})
		})
	}
	t.Run("in Connect", func(t *testing.T) {
		bubble(t, func(s *service) {
			id := s.newIdentity()
			d := s.open(hello{protocols: []string{wire.ALPNSecurityV2}, identity: id.tls()})
			d.send(frame(wire.CommandConnect, item(2, []byte{1}), item(5, u32(0x41)), item(7, u32(120))))
			d.wantAccepted()
			token := d.token(alertTopic)
			d.ready(alertTopic)
			d.send(active)
			time.Sleep(119 * time.Second)
			s.push(token, later)
			d.ack(d.wantPayload(later, 0), wire.AckOK)
			time.Sleep(time.Second)
			s.push(token, later)
			d.wantNothing()
		})
	})
}

// TestCountsIgnored checks that what is ignored is counted.
func TestCountsIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c *courier.Courier
		s, _ := assemble(t, parts{made: func(made *courier.Courier) { c = made }})
		d := s.login(s.newIdentity(), "")
		d.ready()
		for i, ignored := range []wire.Command{wire.CommandTransportAck, wire.CommandTaskControl, wire.CommandPresence, 0xff} {
			d.send(frame(ignored))
			d.wantNothing()
			if got, want := c.Stats().Ignored, uint64(i+1); got != want {
				t.Errorf("after %v: %d are counted, want %d", ignored, got, want)
			}
		}
		d.send(frame(wire.CommandKeepAlive), frame(wire.CommandSetActiveInterval))
		d.want(wire.CommandKeepAliveResponse)
		if got := fmt.Sprint(c.Stats().Ignored); got != "4" {
			t.Errorf("%s are counted, want 4", got)
		}
	})
}
