package courier_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/wire"
)

// TestNoConnect checks what ends a connection on which no Connect is accepted
// within 30 s of its start.
func TestNoConnect(t *testing.T) {
	bubble(t, func(s *service) {
		t := s.t
		raw, err := s.dial(t.Context(), "tcp", s.address) // not even TLS
		must(t, err)
		began := time.Now()
		if _, err := raw.Read(make([]byte, 1)); err == nil {
			t.Error("the courier spoke first")
		}
		if took := time.Since(began); took != 30*time.Second {
			t.Errorf("a connection without TLS ended after %v, want 30s", took)
		}
	})
	bubble(t, func(s *service) {
		s.open(hello{}).wantClosed(30 * time.Second)
	})
	bubble(t, func(s *service) { // a part of it
		d := s.open(hello{})
		time.Sleep(20 * time.Second)
		d.send([]byte{7})
		time.Sleep(5 * time.Second)
		d.send([]byte{0, 0})
		d.wantClosed(5 * time.Second)
	})
	bubble(t, func(s *service) { // a wrong clock, and no second attempt
		t := s.t
		id := s.newIdentity()
		d := s.open(hello{})
		time.Sleep(10 * time.Second)
		d.send(id.connect(t, time.Now().Add(time.Hour), ""))
		d.want(wire.CommandConnectAck)
		time.Sleep(10 * time.Second)
		d.send(id.connect(t, time.Now().Add(time.Hour), ""))
		d.want(wire.CommandConnectAck)
		d.wantClosed(10 * time.Second)
	})
}

func TestNoFilter(t *testing.T) {
	bubble(t, func(s *service) {
		d := s.login(s.newIdentity(), "")
		for range 5 { // other frames do not stand for it
			time.Sleep(10 * time.Second)
			d.send(frame(wire.CommandKeepAlive), frame(wire.CommandFilter, item(1, make([]byte, 32))))
			d.want(wire.CommandKeepAliveResponse)
		}
		d.wantClosed(10 * time.Second)
	})
	bubble(t, func(s *service) { // in the last moment
		d := s.login(s.newIdentity(), "")
		time.Sleep(59 * time.Second)
		d.ready()
		d.wantClosed(35 * time.Minute)
	})
}

// TestIdle checks how long a device may be silent.
func TestIdle(t *testing.T) {
	for _, tt := range []struct {
		name string
		send []byte
		want time.Duration
	}{
		{"nothing announced", nil, 35 * time.Minute},
		{"empty keepalive", frame(wire.CommandKeepAlive), 35 * time.Minute},
		{"ten minutes", frame(wire.CommandKeepAlive, item(5, []byte("10"))), 21 * time.Minute},
		{"one minute", frame(wire.CommandKeepAlive, item(5, []byte("1"))), 6 * time.Minute},
		{"an hour", frame(wire.CommandKeepAlive, item(5, []byte("60"))), 121 * time.Minute},
		{"a day and a minute", frame(wire.CommandKeepAlive, item(5, []byte("1441"))), 35 * time.Minute},
		{"no number", frame(wire.CommandKeepAlive, item(5, []byte("ten"))), 35 * time.Minute},
		{"announced before", append(frame(wire.CommandKeepAlive, item(5, []byte("10"))), frame(wire.CommandKeepAlive)...), 21 * time.Minute},
		{"unknown command", frame(0xff), 35 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(s *service) {
				d := s.login(s.newIdentity(), "")
				d.ready()
				if tt.send != nil {
					d.send(tt.send)
				}
				synctest.Wait()
				for {
					select {
					case <-d.frames:
						continue
					default:
					}
					break
				}
				d.wantClosed(tt.want)
			})
		})
	}
}

// TestAlive checks that each frame is a sign of life, and a part of one is
// none.
func TestAlive(t *testing.T) {
	bubble(t, func(s *service) {
		d := s.login(s.newIdentity(), "")
		d.ready()
		for range 100 {
			time.Sleep(34 * time.Minute)
			d.send(frame(0xff))
			d.wantNothing()
		}
		d.send([]byte{12})
		time.Sleep(20 * time.Minute)
		d.send([]byte{0})
		d.wantClosed(15 * time.Minute)
	})
}

// TestNotReading checks that a device that does not read is let go, and loses
// nothing.
func TestNotReading(t *testing.T) {
	bubble(t, func(s *service) {
		t := s.t
		id := s.newIdentity()
		d := s.login(id, "")
		token := d.token(alertTopic)
		d.ready(alertTopic)
		d.close()

		d = s.openUnread(hello{})
		d.send(id.connect(t, time.Now(), ""))
		for range 400 { // more answers than the network holds
			d.send(frame(wire.CommandFlush, item(1, u16(1024))))
		}
		synctest.Wait()
		s.push(token, alert("first"))
		time.Sleep(29 * time.Second)
		if n := s.spool.Stats().Attached; n != 1 {
			t.Fatalf("%d devices are attached after 29s, want 1", n)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := s.spool.Stats().Attached; n != 0 {
			t.Errorf("%d devices are attached after 30s, want 0", n)
		}
		back := s.login(id, "")
		back.filter(alertTopic)
		back.wantPayload(alert("first"), 3)
	})
}

// TestNotReadingDelivery is the same where it is the delivery that blocks.
func TestNotReadingDelivery(t *testing.T) {
	bubble(t, func(s *service) {
		t := s.t
		id := s.newIdentity()
		d := s.login(id, "")
		token := d.token(alertTopic)
		d.close()

		d = s.openUnread(hello{})
		d.send(id.connect(t, time.Now(), ""))
		hash := alertTopic.Hash()
		d.send(frame(wire.CommandFilter, item(1, []byte(s.baseToken(id))), item(2, hash[:])))
		synctest.Wait()
		// Each Flush has an answer of 1,032 bytes, 1,054 in TLS; 248 leave less
		// room than the notification takes.
		for range 248 {
			d.send(frame(wire.CommandFlush, item(1, u16(1024))))
			synctest.Wait()
		}
		n := alert(string(make4K()))
		s.push(token, n)
		time.Sleep(30*time.Second - time.Nanosecond)
		if n := s.spool.Stats().Attached; n != 1 {
			t.Fatalf("%d devices are attached before 30s, want 1", n)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if n := s.spool.Stats().Attached; n != 0 {
			t.Errorf("%d devices are attached after 30s, want 0", n)
		}
		back := s.login(id, "")
		back.filter(alertTopic)
		back.wantPayload(n, 3)
	})
}
