package courier_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/wire"
)

// make4K returns a text that makes a payload nearly as large as it may be.
func make4K() []byte { return bytes.Repeat([]byte{'x'}, 4000) }

// baseToken returns the base token of a device.
func (s *service) baseToken(id identity) apns.BaseToken {
	s.t.Helper()
	device, err := s.registry.Device(s.t.Context(), id.id)
	must(s.t, err)
	return s.registry.BaseToken(device, apns.Sandbox)
}

// wantGone checks that a push meets 410 with the time since when.
func (s *service) wantGone(token apns.DeviceToken, since time.Time) {
	s.t.Helper()
	_, err := s.sender.Push(s.t.Context(), token, alert("x"))
	r, ok := errors.AsType[*apns.Rejection](err)
	if !ok || r.Status != 410 || r.Reason != apns.Unregistered {
		s.t.Errorf("push answers %v, want 410 Unregistered", err)
		return
	}
	if !r.Since.Equal(since.Truncate(time.Millisecond)) {
		s.t.Errorf("unregistered since %v, want %v", r.Since, since)
	}
}

func TestStored(t *testing.T) {
	bubble(t, func(s *service) {
		t := s.t
		id := s.newIdentity()
		d := s.login(id, "")
		tokens := make(map[apns.Topic]apns.DeviceToken)
		topics := []apns.Topic{alertTopic, voipTopic, complicationTopic}
		for _, topic := range topics {
			tokens[topic] = d.token(topic)
		}
		d.close()
		for _, text := range []string{"older", "newer"} {
			for _, topic := range topics {
				s.push(tokens[topic], to(topic, alert(text)))
				time.Sleep(time.Second)
			}
		}
		d = s.login(id, "")
		d.wantNothing() // before the Filter
		d.send(frame(wire.CommandKeepAlive))
		d.want(wire.CommandKeepAliveResponse)
		d.filter(topics...)
		var last []byte
		for i, topic := range topics {
			got := d.wantPayload(alert("newer"), []uint8{1, 1, 3}[i])
			if string(got[1]) != string(tokens[topic]) {
				t.Errorf("%s comes as number %d, want oldest first", got[1], i)
			}
			if bytes.Compare(last, got[6]) >= 0 {
				t.Errorf("timestamp %x comes after %x", got[6], last)
			}
			last = got[6]
			d.ack(got, wire.AckOK)
		}
		s.push(tokens[alertTopic], alert("live"))
		d.ack(d.wantPayload(alert("live"), 0), wire.AckOK)
		d.wantNothing()
		d.close()
		d = s.login(id, "")
		d.ready(topics...) // all gone: NoStorage
		d.filter(topics...)
		d.wantNothing() // it is for the first Filter alone
	})
}

func TestUnacknowledgedComesAgain(t *testing.T) {
	bubble(t, func(s *service) {
		t := s.t
		id := s.newIdentity()
		d := s.login(id, "")
		token := d.token(alertTopic)
		d.ready(alertTopic)
		s.push(token, alert("first"))
		first := d.wantPayload(alert("first"), 0)
		d.wantNothing() // not again on this connection
		d.close()
		time.Sleep(time.Hour)

		d = s.login(id, d.base)
		d.filter(alertTopic)
		again := d.wantPayload(alert("first"), 3)
		for _, i := range []uint8{1, 2, 3, 5, 6, 13, 15} {
			if !bytes.Equal(first[i], again[i]) {
				t.Errorf("item %d was %x and now is %x", i, first[i], again[i])
			}
		}
		s.push(token, alert("second"))
		d.wantNothing() // the first is not acknowledged
		d.close()

		d = s.login(id, d.base)
		d.filter(alertTopic)
		d.ack(d.wantPayload(alert("second"), 3), wire.AckOK) // newest wins
		d.wantNothing()
	})
}

func TestLastConnectionWins(t *testing.T) {
	bubble(t, func(s *service) {
		id := s.newIdentity()
		older := s.login(id, "")
		token := older.token(alertTopic)
		older.ready(alertTopic)
		s.push(token, alert("first"))
		older.want(wire.CommandNotification)

		newer := s.login(id, older.base)
		older.wantClosed(0)
		newer.filter(alertTopic)
		newer.ack(newer.wantPayload(alert("first"), 3), wire.AckOK)
		s.push(token, alert("second"))
		newer.wantPayload(alert("second"), 0)

		production := s.open(hello{serverName: "courier.push.apple.com"})
		production.login(id, "")
		newer.wantNothing() // that is another environment
	})
}

func TestWindow(t *testing.T) {
	bubble(t, func(s *service) {
		const count, window = 20, 16
		id := s.newIdentity()
		d := s.login(id, "")
		var topics []apns.Topic
		for i := range count {
			topics = append(topics, apns.Topic(fmt.Sprintf("com.example.app%02d", i)))
		}
		d.ready(topics...)
		for _, topic := range topics {
			s.offer(id.id, to(topic, alert(string(topic))))
		}
		var unacked []map[uint8][]byte
		for i := range window {
			unacked = append(unacked, d.wantPayload(alert(string(topics[i])), 0))
		}
		d.wantNothing()
		d.ack(unacked[7], wire.AckOK) // in any order
		d.wantPayload(alert(string(topics[window])), 0)
		d.wantNothing()
		d.ack(unacked[7], wire.AckOK) // twice: no matter
		d.send(frame(wire.CommandAck, item(8, []byte{0}), item(4, u32(99999))))
		d.send(frame(wire.CommandAck, item(8, []byte{0})))
		d.wantNothing()
		d.ack(unacked[0], wire.AckOK)
		d.wantPayload(alert(string(topics[window+1])), 0)
	})
}

// TestAck checks what each status does to the notification and to the device
// token.
func TestAck(t *testing.T) {
	const listed, unlisted = true, false
	for _, tt := range []struct {
		name   string
		status wire.AckStatus
		stored bool // when it is delivered
		listed bool // the topic, when it is acknowledged
		again  bool
		gone   bool
	}{
		{"OK", wire.AckOK, false, listed, false, false},
		{"not ours", wire.AckNotOurs, false, listed, false, true},
		{"not ours, stored", wire.AckNotOurs, true, listed, false, true},
		{"unreadable", wire.AckUnreadable, false, listed, false, false},
		{"ignored", wire.AckIgnored, false, listed, false, false},
		{"unknown topic", wire.AckUnknownTopic, false, listed, false, false},
		{"unknown topic, not listed", wire.AckUnknownTopic, false, unlisted, false, true},
		{"unknown topic, stored", wire.AckUnknownTopic, true, unlisted, false, false},
		{"unavailable", wire.AckUnavailable, false, listed, true, false},
		{"unavailable, stored", wire.AckUnavailable, true, listed, true, false},
		{"an unknown status", 77, false, listed, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(s *service) {
				t := s.t
				id := s.newIdentity()
				d := s.login(id, "")
				token := d.token(alertTopic)
				var storage uint8
				if tt.stored {
					d.close()
					s.push(token, alert("first"))
					d, storage = s.login(id, ""), 3
					d.filter(alertTopic)
				} else {
					d.ready(alertTopic)
					s.push(token, alert("first"))
				}
				first := d.wantPayload(alert("first"), storage)
				if !tt.listed {
					d.filter()
				}
				time.Sleep(time.Second)
				d.ack(first, tt.status)
				d.wantNothing() // least of all on this connection
				at := time.Now()
				time.Sleep(time.Minute)
				if tt.gone {
					s.wantGone(token, at)
					if now := d.token(alertTopic); now == token {
						t.Error("the app has the same device token again")
					}
				}
				d.close()
				d = s.login(id, "")
				if tt.again {
					d.filter(alertTopic)
					if again := d.wantPayload(alert("first"), 3); !bytes.Equal(first[6], again[6]) {
						t.Errorf("timestamp was %x and now is %x", first[6], again[6])
					}
				} else {
					d.ready(alertTopic)
				}
				if !tt.gone {
					d.close()
					s.push(token, alert("still good"))
				}
			})
		})
	}
}

// TestAckForFormerToken checks that a notification to a device token that the
// app had before does not cost it the one that it has.
func TestAckForFormerToken(t *testing.T) {
	bubble(t, func(s *service) {
		d := s.login(s.newIdentity(), "")
		token := d.token(alertTopic)
		d.ready(alertTopic)
		s.push(token, alert("first"))
		first := d.wantPayload(alert("first"), 0)
		s.push(token, alert("second"))
		d.ack(first, wire.AckNotOurs)
		second := d.wantPayload(alert("second"), 0)
		newer := d.token(alertTopic)
		d.ack(second, wire.AckNotOurs)
		d.wantNothing()
		s.push(newer, alert("third"))
		d.wantPayload(alert("third"), 0)
	})
}

func TestActivity(t *testing.T) {
	active := func(state uint8, items ...[]byte) []byte {
		return frame(wire.CommandSetActiveState, append([][]byte{item(1, []byte{state})}, items...)...)
	}
	later := alert("later")
	later.Priority = apns.PriorityConserve

	bubble(t, func(s *service) {
		t := s.t
		d := s.login(s.newIdentity(), "")
		alerts, calls := d.token(alertTopic), d.token(voipTopic)
		d.ready(alertTopic, voipTopic)
		s.push(alerts, later)
		got := d.wantPayload(later, 0) // who does not speak of it is active
		if !slices.Equal(got[13], []byte{5}) {
			t.Errorf("priority is %x, want 05", got[13])
		}
		d.ack(got, wire.AckOK)

		d.send(active(2))
		synctest.Wait()
		s.push(alerts, later)
		d.wantNothing()
		urgent := to(voipTopic, alert("now"))
		s.push(calls, urgent) // takes the other along
		d.ack(d.wantPayload(urgent, 0), wire.AckOK)
		d.ack(d.wantPayload(later, 0), wire.AckOK)

		s.push(alerts, later)
		d.wantNothing()
		d.send(active(1, item(2, u32(60))))
		d.ack(d.wantPayload(later, 0), wire.AckOK)
		time.Sleep(time.Minute)
		s.push(alerts, later)
		d.wantNothing() // the minute is over
		d.send(active(1, item(2, u32(0x7fffffff))))
		d.ack(d.wantPayload(later, 0), wire.AckOK)
		for range 3 { // longer than the idle limit
			time.Sleep(30 * time.Minute)
			d.send(active(9)) // changes nothing
			s.push(alerts, later)
			d.ack(d.wantPayload(later, 0), wire.AckOK)
		}

		d.send(active(1)) // for ten minutes
		time.Sleep(10*time.Minute - time.Second)
		s.push(alerts, later)
		d.ack(d.wantPayload(later, 0), wire.AckOK)
		time.Sleep(time.Second)
		s.push(alerts, later)
		d.wantNothing()
		time.Sleep(15 * time.Minute) // no longer than that
		d.wantPayload(later, 0)
	})
}

// TestActiveBeforeFilter is the order of some devices of third parties.
func TestActiveBeforeFilter(t *testing.T) {
	bubble(t, func(s *service) {
		d := s.login(s.newIdentity(), "")
		d.send(frame(wire.CommandSetActiveState, item(1, []byte{1}), item(2, u32(0x7fffffff))))
		d.ready()
		// And topics come later.
		token := d.token(alertTopic)
		s.push(token, alert("early"))
		d.wantNothing()
		d.filter(alertTopic)
		d.wantPayload(alert("early"), 0)
	})
}

// TestFilter checks that a Filter replaces the one before, and is for the
// device of this connection.
func TestFilter(t *testing.T) {
	bubble(t, func(s *service) {
		d := s.login(s.newIdentity(), "")
		other := s.login(s.newIdentity(), "")
		token := d.token(alertTopic)
		hash := alertTopic.Hash()
		for _, base := range [][]byte{[]byte(other.base), bytes.Repeat([]byte{1}, 32), nil} {
			var items [][]byte
			if base != nil {
				items = append(items, item(1, base))
			}
			d.send(frame(wire.CommandFilter, append(items, item(2, hash[:]))...))
			d.wantNothing()
		}
		s.push(token, alert("first"))
		d.wantNothing()
		other.wantNothing()
		d.send(frame(wire.CommandFilter, item(1, []byte(d.base)), item(5, hash[:]))) // paused
		d.want(wire.CommandNoStorage)
		d.filter(alertTopic)
		d.ack(d.wantPayload(alert("first"), 3), wire.AckOK)
		d.filter()
		d.wantNothing()
		s.push(token, alert("second"))
		d.wantNothing()
		d.send(frame(wire.CommandFilter, item(1, []byte(d.base)), item(3, hash[:]))) // ignored
		d.wantNothing()
		d.filter(alertTopic)
		d.wantNothing()
	})
}

// TestExpiry checks item 5.
func TestExpiry(t *testing.T) {
	bubble(t, func(s *service) {
		t := s.t
		d := s.login(s.newIdentity(), "")
		token := d.token(alertTopic)
		d.ready(alertTopic)
		at := time.Now().Add(time.Hour)
		for _, tt := range []struct {
			expiration apns.Expiration
			want       uint32
		}{
			{apns.Expiration{}, 0xffffffff},
			{apns.DoNotStore, 0},
			{apns.ExpiresAt(at), uint32(at.Unix())},
			{apns.ExpiresAt(time.Unix(1<<33, 0)), 0xffffffff},
		} {
			n := alert("x")
			n.Expiration = tt.expiration
			s.push(token, n)
			got := d.wantPayload(n, 0)
			if !bytes.Equal(got[5], u32(tt.want)) {
				t.Errorf("expiry is %x, want %x", got[5], tt.want)
			}
			d.ack(got, wire.AckOK)
		}
	})
}
