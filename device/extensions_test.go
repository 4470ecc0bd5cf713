package device_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/device"
	"github.com/heraldpush/herald/wire"
)

// TestFarewell checks that a device comes back when the courier wants it to,
// whether it was accepted there or not.
func TestFarewell(t *testing.T) {
	for _, tt := range []struct {
		name        string
		after       time.Duration
		least, most time.Duration
	}{
		{"at once", 0, 0, time.Second},
		{"later", 40 * time.Second, 40 * time.Second, 61 * time.Second},
		{"much later", 24 * time.Hour, 10 * time.Minute, 15*time.Minute + time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.activation(w.issue)
				r := w.start(w.config())
				defer r.stopped()
				goodbye := wire.Redirect{Reason: "drain", RetryAfter: tt.after, HasRetryAfter: true}
				for _, greeted := range []bool{true, false} {
					p := w.accept()
					if greeted {
						p.welcome(0)
					} else {
						p.connect()
					}
					p.send(goodbye)
					p.expectEnd()
					p.close()
					left := time.Now()
					if greeted {
						continue
					}
					w.accept()
					if took := time.Since(left); took < tt.least || took > tt.most {
						t.Errorf("the device came back after %v, want %v to %v", took, tt.least, tt.most)
					}
				}
			})
		})
	}
}

// TestResume checks what a device tells of what it has, and when no more.
func TestResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.activation(w.issue)
		d, err := device.New(w.config())
		if err != nil {
			t.Fatal(err)
		}
		if err := d.RegisterForRemoteNotifications(demo, device.Alert, device.Delegate{}); err != nil {
			t.Fatal(err)
		}
		r := w.run(d)
		defer r.stopped()
		hash := demo.Hash()
		push := func(p *peer, id uint32) {
			t.Helper()
			n := wire.Notification{TopicHash: hash, MessageID: id, Timestamp: uint64(1000 + id), Payload: apns.Payload(`{"aps":{"alert":"x"}}`)}
			if got := p.push(n); got != wire.AckOK {
				t.Fatalf("Ack: got %v", got)
			}
		}
		p := w.accept()
		p.welcome(1)
		push(p, 1)
		time.Sleep(time.Minute)
		p.expect(wire.CommandKeepAlive) // its answer tells that the acknowledgement came
		push(p, 2)                      // and this one came after that
		p.send(wire.KeepAliveResponse{})
		synctest.Wait()
		p.close()
		p = w.accept()
		wantReceived(t, p.connect(), 1002)
		p.close() // the courier goes before it has answered
		p = w.accept()
		wantReceived(t, p.connect(), 1002)
		p.send(wire.ConnectAck{BaseToken: baseToken, Time: time.Now()})
		p.expect(wire.CommandSetActiveState)
		p.close()
		p = w.accept()
		wantReceived(t, p.connect())
		p.close()
	})
}

func wantReceived(t *testing.T, m wire.Connect, want ...uint64) {
	t.Helper()
	if len(m.Received) != len(want) {
		t.Fatalf("Connect names %v, want %v", m.Received, want)
	}
	for i, r := range m.Received {
		if r.Timestamp != want[i] || r.TopicHash != demo.Hash() {
			t.Errorf("Connect names %v, want %v", m.Received, want)
		}
	}
}

// TestWithoutExtensions checks that a device says nothing of the extensions to a
// courier that does not know them.
func TestWithoutExtensions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.protocols = []string{wire.ALPNSecurityV3}
		w.activation(w.issue)
		d, err := device.New(w.config())
		if err != nil {
			t.Fatal(err)
		}
		if err := d.RegisterForRemoteNotifications(demo, device.Alert, device.Delegate{}); err != nil {
			t.Fatal(err)
		}
		r := w.run(d)
		defer r.stopped()
		p := w.accept()
		p.welcome(1)
		hash := demo.Hash()
		var batch []message
		for id := range uint32(5) {
			batch = append(batch, wire.Notification{
				DeviceToken: deviceToken(hash), TopicHash: hash, MessageID: id + 1, Timestamp: uint64(1000 + id), Payload: apns.Payload(`{}`),
			})
		}
		p.send(batch...)
		for id := range uint32(5) {
			m, err := wire.ParseAck(p.expect(wire.CommandAck).Payload)
			if err != nil || m.MessageID != id+1 || m.First != 0 {
				t.Fatalf("Ack: got %+v and %v, want one for %d alone", m, err, id+1)
			}
		}
		p.close()
		p = w.accept()
		wantReceived(t, p.connect())
		p.close()
	})
}
