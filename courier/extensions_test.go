package courier_test

import (
	"encoding/binary"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/wire"
)

// loginHerald opens a connection with the extensions.
func (s *service) loginHerald(id identity, more ...[]byte) (d *rawDevice, ack map[uint8][]byte) {
	s.t.Helper()
	d = s.open(hello{protocols: []string{wire.ALPNHerald}})
	d.send(withItems(id.connect(s.t, time.Now(), ""), more...))
	ack = d.want(wire.CommandConnectAck)
	if len(ack[3]) != 32 {
		s.t.Fatalf("ConnectAck is %x, want a base token", ack)
	}
	d.base = apns.BaseToken(ack[3])
	return d, ack
}

// withItems returns a frame with further items.
func withItems(f []byte, more ...[]byte) []byte {
	for _, one := range more {
		f = append(f, one...)
	}
	binary.BigEndian.PutUint32(f[1:], uint32(len(f)-wire.HeaderBytes))
	return f
}

// TestAnnounced checks what the courier tells of itself.
func TestAnnounced(t *testing.T) {
	bubble(t, func(s *service) {
		_, ack := s.loginHerald(s.newIdentity())
		if got, want := fmt.Sprintf("%x %x", ack[200], ack[201]), "00000834 0010"; got != want {
			s.t.Errorf("idle limit and window are %s, want %s", got, want)
		}
	})
}

// TestProbe checks that a device is asked before it is given up.
func TestProbe(t *testing.T) {
	bubble(t, func(s *service) {
		d, _ := s.loginHerald(s.newIdentity())
		d.ready()
		for range 3 {
			time.Sleep(35*time.Minute - time.Nanosecond)
			d.wantNothing()
			time.Sleep(time.Nanosecond)
			if got := d.want(wire.CommandCancelKeepAlive); len(got) != 0 {
				s.t.Errorf("CancelKeepAlive is %x, want nothing", got)
			}
			time.Sleep(19 * time.Second)
			d.send(frame(wire.CommandKeepAlive))
			d.want(wire.CommandKeepAliveResponse)
		}
		time.Sleep(35 * time.Minute)
		d.want(wire.CommandCancelKeepAlive)
		d.wantClosed(20 * time.Second)
	})
}

// TestAckRange checks that several notifications are acknowledged at once.
func TestAckRange(t *testing.T) {
	bubble(t, func(s *service) {
		id := s.newIdentity()
		d, _ := s.loginHerald(id)
		topics := []apns.Topic{"com.example.a", "com.example.b", "com.example.c", "com.example.d"}
		d.ready(topics...)
		for _, topic := range topics {
			s.offer(id.id, to(topic, alert(string(topic))))
		}
		var ids [][]byte
		for _, topic := range topics {
			ids = append(ids, d.wantPayload(alert(string(topic)), 0)[4])
		}
		several := func(first, last []byte, status wire.AckStatus) []byte {
			return frame(wire.CommandAck, item(8, []byte{byte(status)}), item(4, last), item(200, first))
		}
		left := func(want int64) {
			s.t.Helper()
			d.wantNothing()
			if got := s.spool.Stats().Notifications; got != want {
				s.t.Errorf("%d are stored, want %d", got, want)
			}
		}
		d.send(several(ids[2], ids[1], wire.AckOK)) // of none
		left(4)
		d.send(several(ids[1], ids[2], wire.AckOK))
		left(2)
		d.send(several(u32(0), u32(99), wire.AckOK)) // zero is no first
		left(2)
		d.send(several(u32(1), ids[3], wire.AckUnreadable)) // all but OK is for one alone
		left(1)
		d.send(several(u32(1), u32(99), wire.AckOK))
		left(0)
		time.Sleep(time.Minute)
		d.send(frame(wire.CommandKeepAlive)) // nothing is unacknowledged
		d.want(wire.CommandKeepAliveResponse)
	})
}

// TestResume checks that what a device says it has is not sent again.
func TestResume(t *testing.T) {
	received := func(n map[uint8][]byte, topic apns.Topic) []byte {
		h := topic.Hash()
		return item(200, append(h[:], n[6]...))
	}
	bubble(t, func(s *service) {
		id := s.newIdentity()
		d, _ := s.loginHerald(id)
		topics := []apns.Topic{"com.example.a", "com.example.b", "com.example.c"}
		d.ready(topics...)
		var got []map[uint8][]byte
		for _, topic := range topics {
			s.offer(id.id, to(topic, alert(string(topic))))
			got = append(got, d.want(wire.CommandNotification))
		}
		d.close() // the acknowledgements are lost
		s.offer(id.id, to(topics[2], alert("newer")))
		d, _ = s.loginHerald(id, received(got[0], topics[0]), received(got[2], topics[2]), item(200, make([]byte, 28)), item(200, []byte{1}))
		d.filter(topics...)
		d.ack(d.wantPayload(alert("com.example.b"), 1), wire.AckOK)
		d.ack(d.wantPayload(alert("newer"), 3), wire.AckOK)
		d.wantNothing()
		if n := s.spool.Stats().Notifications; n != 0 {
			s.t.Errorf("%d are stored, want 0", n)
		}
	})
}

// TestExtensionsInvisible checks that a device that did not negotiate the
// extensions meets no byte of them, and that the courier takes none from it.
func TestExtensionsInvisible(t *testing.T) {
	for _, tt := range []struct {
		name      string
		protocols []string
		byTLS     bool
	}{
		{wire.ALPNSecurityV3, []string{wire.ALPNSecurityV3}, false},
		{wire.ALPNSecurityV2, []string{wire.ALPNSecurityV2}, true},
		{"none", []string{}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := assemble(t, parts{})
				id := s.newIdentity()
				open := func(more ...[]byte) *rawDevice {
					h := hello{protocols: tt.protocols}
					connect := id.connect(t, time.Now(), "")
					if tt.byTLS {
						h.identity = id.tls()
						connect = frame(wire.CommandConnect, item(2, []byte{1}))
					}
					d := s.open(h)
					d.send(withItems(connect, more...))
					if diff := cmp.Diff(map[uint8]int{1: 1, 3: 32, 4: 2, 5: 2, 6: 4, 8: 2, 10: 8}, d.plain(wire.CommandConnectAck)); diff != "" {
						t.Errorf("items of ConnectAck (-want +got):\n%s", diff)
					}
					d.base = s.baseToken(id)
					return d
				}
				d := open()
				other := apns.Topic("com.example.b")
				d.ready(alertTopic, other)
				n := alert("first")
				n.ID, n.CollapseID = "eabeae54-14a8-11e5-b60b-1697f925ec7b", "score"
				s.offer(id.id, n)
				s.offer(id.id, to(other, alert("second")))
				first := d.want(wire.CommandNotification)
				if diff := cmp.Diff(map[uint8]int{1: 32, 2: 20, 3: len(n.Payload), 4: 4, 5: 4, 6: 8, 13: 1, 15: 32}, widths(first)); diff != "" {
					t.Errorf("items of Notification (-want +got):\n%s", diff)
				}
				second := d.want(wire.CommandNotification)
				d.send(frame(wire.CommandAck, item(4, second[4]), item(200, first[4]))) // for one alone
				d.wantNothing()
				if got := s.spool.Stats().Notifications; got != 1 {
					t.Errorf("%d are stored, want 1", got)
				}
				d.close()
				h := alertTopic.Hash()
				d = open(item(200, append(h[:], first[6]...)))
				d.filter(alertTopic)
				d.ack(d.wantPayload(n, 3), wire.AckOK)
				d.wantClosed(35 * time.Minute) // and is not asked before
			})
		})
	}
}

// plain returns the sizes of the items of the next frame.
func (d *rawDevice) plain(c wire.Command) map[uint8]int {
	d.t.Helper()
	return widths(d.want(c))
}
