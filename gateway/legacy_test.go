package gateway_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/wire"
)

func refusal(status wire.LegacyStatus, id uint32) *wire.LegacyError {
	return &wire.LegacyError{Status: status, Identifier: id}
}

// TestLegacyGoodBadGood is what the interface is known for: one bad among good
// ones, in one write.
func TestLegacyGoodBadGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.serveLegacy(t)
		in := w.attach(t, w.device, demo)
		o := w.dialOld(t, legacyPort, dialing{})
		bad := w.enhanced(t, 2, `{"n":2}`)
		bad.DeviceToken = apns.DeviceToken(strings.Repeat("\xab", 32))
		o.send(w.enhanced(t, 1, `{"n":1}`), bad, w.enhanced(t, 3, `{"n":3}`))
		if got, want := hex.EncodeToString(o.rest()), "080800000002"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if err := o.Close(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if diff := cmp.Diff([]string{`{"n":1}`}, receive(t, in)); diff != "" {
			t.Errorf("delivered (-want +got):\n%s", diff)
		}
	})
}

// TestLegacyForms sends each form, with what only it can say.
func TestLegacyForms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.serveLegacy(t)
		token := w.deviceToken(t, demo, apns.Sandbox)
		soon := time.Now().Add(time.Hour)
		full := wire.LegacyFramed{
			DeviceToken: token, Payload: apns.Payload(hello), Identifier: 3, Expiry: uint32(soon.Unix()), HasExpiry: true, Priority: apns.PriorityConserve,
		}
		bare := wire.LegacyFramed{DeviceToken: token, Payload: apns.Payload(hello)}
		background := bare
		background.Payload = apns.Payload(`{"aps":{"content-available":1}}`)
		limit := time.Now().Add(apns.MaxStorage)
		for _, tt := range []struct {
			name     string
			sent     interface{ Append(b []byte) []byte }
			priority apns.Priority
			pushType apns.PushType
			deadline time.Time
		}{
			{"simple", wire.LegacySimple{DeviceToken: token, Payload: apns.Payload(hello)}, apns.PriorityImmediate, apns.PushTypeAlert, limit},
			{"enhanced", wire.LegacyEnhanced{Identifier: 1, Expiry: uint32(soon.Unix()), DeviceToken: token, Payload: apns.Payload(hello)}, apns.PriorityImmediate, apns.PushTypeAlert, soon},
			{"enhanced, far away", wire.LegacyEnhanced{Expiry: 1<<31 - 1, DeviceToken: token, Payload: apns.Payload(hello)}, apns.PriorityImmediate, apns.PushTypeAlert, limit},
			{"framed", full, apns.PriorityConserve, apns.PushTypeAlert, soon},
			{"framed, no more than it needs", bare, apns.PriorityImmediate, apns.PushTypeAlert, limit},
			{"framed, background", background, apns.PriorityConserve, apns.PushTypeBackground, limit},
		} {
			o := w.dialOld(t, legacyPort, dialing{})
			o.send(tt.sent)
			if err := o.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			o.want(nil)
			in := w.attach(t, w.device, demo)
			d, ok := in.Next()
			if !ok {
				t.Errorf("%s: nothing was stored", tt.name)
				continue
			}
			n := d.Notification
			if n.Topic != demo || n.PushType != tt.pushType || n.Priority != tt.priority || !n.ID.Valid() || d.DeviceToken != token {
				t.Errorf("%s: got %+v", tt.name, d)
			}
			if got := n.Expiration.Deadline(d.Timestamp.Time()); got.Sub(tt.deadline).Abs() > time.Microsecond {
				t.Errorf("%s: it expires at %v, want %v", tt.name, got, tt.deadline)
			}
			if _, err := in.Ack(t.Context(), d.MessageID, spool.Delivered); err != nil {
				t.Error(err)
			}
			in.Detach()
		}
	})
}

// TestLegacyNotStored sends what asks not to be stored, to a device that is
// away and to one that is not.
func TestLegacyNotStored(t *testing.T) {
	for _, expiry := range []uint32{0, 1, 1 << 31, 0xffffffff} {
		t.Run(fmt.Sprint(expiry), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.serveLegacy(t)
				o := w.dialOld(t, legacyPort, dialing{})
				m := w.enhanced(t, 1, `{"n":1}`)
				m.Expiry = expiry
				o.send(m)
				synctest.Wait()
				in := w.attach(t, w.device, demo)
				m.Payload = apns.Payload(`{"n":2}`)
				o.send(m)
				synctest.Wait()
				if diff := cmp.Diff([]string{`{"n":2}`}, receive(t, in)); diff != "" {
					t.Errorf("delivered (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestLegacyStatuses has every error that a notification can get, each after a
// good one and before another, which is discarded.
func TestLegacyStatuses(t *testing.T) {
	w := newWorld(t)
	w.serveLegacy(t)
	token := w.deviceToken(t, demo, apns.Sandbox)
	other := w.deviceToken(t, second, apns.Sandbox)
	elsewhere := w.deviceToken(t, demo, apns.Production)
	with := func(change func(*wire.LegacyEnhanced)) wire.LegacyEnhanced {
		m := w.enhanced(t, 7, hello)
		change(&m)
		return m
	}
	long := `{"a":"` + strings.Repeat("x", wire.MaxLegacyPayloadBytes+1-8) + `"}`
	if len(long) != 2049 {
		t.Fatalf("the payload has %d bytes", len(long))
	}
	for _, tt := range []struct {
		name string
		bad  interface{ Append(b []byte) []byte }
		want *wire.LegacyError
	}{
		{"no device token", with(func(m *wire.LegacyEnhanced) { m.DeviceToken = "" }), refusal(2, 7)},
		{"no device token, simple", wire.LegacySimple{Payload: apns.Payload(hello)}, refusal(2, 0)},
		{"no payload", with(func(m *wire.LegacyEnhanced) { m.Payload = nil }), refusal(4, 7)},
		{"no JSON", with(func(m *wire.LegacyEnhanced) { m.Payload = apns.Payload("hello") }), refusal(4, 7)},
		{"JSON and a NUL", with(func(m *wire.LegacyEnhanced) { m.Payload = append(m.Payload, 0) }), refusal(4, 7)},
		{"short device token", with(func(m *wire.LegacyEnhanced) { m.DeviceToken = token[:31] }), refusal(5, 7)},
		{"long device token", with(func(m *wire.LegacyEnhanced) { m.DeviceToken += "x" }), refusal(5, 7)},
		{"device token of 101 bytes", with(func(m *wire.LegacyEnhanced) { m.DeviceToken = apns.DeviceToken(strings.Repeat("x", 101)) }), refusal(5, 7)},
		{"payload of 2,049 bytes", with(func(m *wire.LegacyEnhanced) { m.Payload = apns.Payload(long) }), refusal(7, 7)},
		{"payload of 2,049 bytes, simple", wire.LegacySimple{DeviceToken: token, Payload: apns.Payload(long)}, refusal(7, 0)},
		{"payload of 2,049 bytes, framed", wire.LegacyFramed{DeviceToken: token, Payload: apns.Payload(long), Identifier: 7}, refusal(7, 7)},
		{"payload of 65,535 bytes, framed", wire.LegacyFramed{DeviceToken: token, Payload: make([]byte, 65535), Identifier: 7}, refusal(7, 7)},
		{"forged device token", with(func(m *wire.LegacyEnhanced) { m.DeviceToken = forged(token) }), refusal(8, 7)},
		{"forged device token, simple", wire.LegacySimple{DeviceToken: forged(token), Payload: apns.Payload(hello)}, refusal(8, 0)},
		{"device token of production", with(func(m *wire.LegacyEnhanced) { m.DeviceToken = elsewhere }), refusal(8, 7)},
		{"device token of another app", with(func(m *wire.LegacyEnhanced) { m.DeviceToken = other }), refusal(8, 7)},
		{"base token", with(func(m *wire.LegacyEnhanced) {
			m.DeviceToken = apns.DeviceToken(w.registry.BaseToken(w.device, apns.Sandbox))
		}), refusal(8, 7)},
		{"command 9", raw("\x09"), refusal(128, 0)},
		{"HTTP/1.1", raw("GET / HTTP/1.1\r\n\r\n"), refusal(128, 0)},
		{"a frame of 4 GB", raw("\x02\xff\xff\xff\xff"), refusal(128, 0)},
		{"a frame that is none", raw("\x02\x00\x00\x00\x08\x03\x00\x04\x00\x00\x00\x07\x01"), refusal(128, 7)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := w.dialOld(t, legacyPort, dialing{})
			o.send(w.enhanced(t, 1, `{"n":1}`), tt.bad, w.enhanced(t, 8, `{"n":8}`))
			o.want(tt.want)
			in := w.attach(t, w.device, demo)
			if diff := cmp.Diff([]string{`{"n":1}`}, receive(t, in)); diff != "" {
				t.Errorf("stored (-want +got):\n%s", diff)
			}
			in.Detach()
		})
	}
}

// TestLegacyLargest sends the largest payload that is taken, in every form, and
// in pieces of all sizes.
func TestLegacyLargest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.serveLegacy(t)
		payload := apns.Payload(`{"a":"` + strings.Repeat("x", wire.MaxLegacyPayloadBytes-8) + `"}`)
		token := w.deviceToken(t, demo, apns.Sandbox)
		stream := wire.LegacySimple{DeviceToken: token, Payload: payload}.Append(nil)
		stream = wire.LegacyEnhanced{Expiry: 1, DeviceToken: token, Payload: payload}.Append(stream)
		stream = wire.LegacyFramed{DeviceToken: token, Payload: payload}.Append(stream)
		in := w.attach(t, w.device, demo)
		for _, piece := range []int{1, 7, 1000, len(stream)} {
			o := w.dialOld(t, legacyPort, dialing{})
			for rest := stream; len(rest) > 0; rest = rest[min(piece, len(rest)):] {
				if _, err := o.Write(rest[:min(piece, len(rest))]); err != nil {
					t.Fatal(err)
				}
			}
			if err := o.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			o.want(nil)
			if got := receive(t, in); len(got) == 0 || got[len(got)-1] != string(payload) {
				t.Errorf("in pieces of %d: got %d notifications", piece, len(got))
			}
		}
	})
}

// TestLegacyGone proves that a device token whose app is gone is no error.
func TestLegacyGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.serveLegacy(t)
		in := w.attach(t, w.device, demo)
		gone := w.enhanced(t, 2, hello)
		gone.DeviceToken = w.goneToken(t, demo, apns.Sandbox)
		o := w.dialOld(t, legacyPort, dialing{})
		o.send(w.enhanced(t, 1, `{"n":1}`), gone, w.enhanced(t, 3, `{"n":3}`))
		if err := o.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		o.want(nil)
		if got := receive(t, in); len(got) == 0 || got[len(got)-1] != `{"n":3}` {
			t.Errorf("delivered: got %q, want the third one at the end", got)
		}
	})
}

// TestLegacyFaults proves what senders learn of faults of the stores.
func TestLegacyFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWith(t, options{exceptional: true})
		w.serveLegacy(t)
		fail := func(context.Context) error { return errDisk }
		good := func(id uint32) wire.LegacyEnhanced { return w.enhanced(t, id, hello) }

		o := w.dialOld(t, legacyPort, dialing{})
		o.send(good(1))
		synctest.Wait()
		w.store.before(fail)
		o.send(good(2), good(3))
		o.want(refusal(1, 2))
		w.store.before(nil)
		w.wantLegacyFault(t)

		o = w.dialOld(t, legacyPort, dialing{})
		unlucky := good(2)
		o.send(good(1))
		synctest.Wait()
		w.exceptions.before(fail)
		o.send(unlucky)
		o.want(refusal(1, 2))
		w.exceptions.before(nil)
		w.wantLegacyFault(t)

		o = w.dialOld(t, legacyPort, dialing{})
		o.send(good(1))
		synctest.Wait()
		w.store.before(func(context.Context) error { return apns.Reject(apns.ServiceUnavailable, "") })
		o.send(good(2), good(3))
		o.want(refusal(10, 1))
		w.store.before(nil)

		o = w.dialOld(t, legacyPort, dialing{})
		o.send(good(1))
		synctest.Wait()
		if err := w.spool.Close(); err != nil {
			t.Fatal(err)
		}
		o.send(good(2))
		o.want(refusal(10, 1))
	})
}

func (w *world) wantLegacyFault(t *testing.T) {
	t.Helper()
	lines := w.logs.take()
	if len(lines) != 1 || !strings.Contains(lines[0], errDisk.Error()) || !strings.Contains(lines[0], "level=ERROR") {
		t.Errorf("logged %q, want one line with the fault", lines)
	}
}

// FuzzLegacy sends anything: the service says nothing but one error, and ends.
func FuzzLegacy(f *testing.F) {
	good := wire.LegacyEnhanced{DeviceToken: "0123456789abcdef0123456789abcdef", Payload: apns.Payload(hello)}.Append(nil)
	f.Add(good, 1)
	f.Add(good[:len(good)-1], 100)
	f.Add([]byte("\x02\x00\x01\x10\x00"), 2)
	w := newWorld(f)
	w.serveLegacy(f)
	cert := w.pushCertificate(f, demo, credential.PushUniversal)
	f.Fuzz(func(t *testing.T, sent []byte, piece int) {
		o := w.dialOld(t, legacyPort, dialing{certificate: cert})
		piece = max(1, min(piece, len(sent)))
		for rest := sent; len(rest) > 0; {
			n := min(piece, len(rest))
			if _, err := o.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := o.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		got := o.rest()
		m, n, err := wire.ParseLegacyError(got)
		if len(got) > 0 && (n != len(got) || err != nil || m.Status == wire.LegacyProcessingError || m.Status == wire.LegacyShutdown) {
			t.Errorf("got %x", got)
		}
		if len(sent) > 0 && len(got) == 0 { // no device token is good here
			t.Errorf("%x was accepted", sent)
		}
		_ = o.Close() // it has ended
	})
}

// BenchmarkLegacy sends notifications in batches of a TLS record and more.
func BenchmarkLegacy(b *testing.B) {
	w := newWorld(b)
	w.serveLegacy(b)
	o := w.dialOld(b, legacyPort, dialing{})
	const batch = 1000
	var stream []byte
	for i := range batch {
		stream = w.enhanced(b, uint32(i), sized(200)).Append(stream)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i += batch {
		if _, err := o.Write(stream); err != nil {
			b.Fatal(err)
		}
	}
	if err := o.CloseWrite(); err != nil {
		b.Fatal(err)
	}
	o.want(nil)
}
