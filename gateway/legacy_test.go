package gateway_test

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
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

// TestLegacyTopic proves that the topic is that of the certificate's user ID.
func TestLegacyTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.serveLegacy(t)
		for _, tt := range []struct {
			app   apns.Topic
			kind  credential.PushKind
			env   apns.Environment
			topic apns.Topic
		}{
			{demo, credential.PushSandbox, apns.Sandbox, demo},
			{demo, credential.PushUniversal, apns.Sandbox, demo},
			{demo, credential.PushUniversal, apns.Production, demo},
			{demo, credential.PushVoIP, apns.Sandbox, demo + ".voip"},
			{demo, credential.PushComplication, apns.Sandbox, demo + ".complication"},
			{pass, credential.PushPass, apns.Production, pass},
		} {
			name := fmt.Sprintf("%s %v", tt.kind, tt.env)
			address := sandboxName
			if tt.env == apns.Production {
				address = productionName
			}
			o := w.dialOld(t, legacyPort, dialing{address: address, certificate: w.pushCertificate(t, tt.app, tt.kind)})
			m := w.enhanced(t, 1, hello)
			m.DeviceToken = w.deviceToken(t, tt.topic, tt.env)
			o.send(m)
			if err := o.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			o.want(nil)
			in, err := w.spool.Attach(t.Context(), w.device, tt.env)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := in.SetFilter(t.Context(), spool.Filter{Enabled: []apns.TopicHash{tt.topic.Hash()}}); err != nil {
				t.Fatal(err)
			}
			if got := receive(t, in); len(got) != 1 {
				t.Errorf("%s: got %q, want one", name, got)
			}
			in.Detach()
		}
	})
}

// TestLegacyHandshakes proves who gets in.
func TestLegacyHandshakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.serveLegacy(t)
		sandbox := w.pushCertificate(t, demo, credential.PushSandbox)
		universal := w.pushCertificate(t, demo, credential.PushUniversal)
		revoked := w.pushCertificate(t, demo, credential.PushVoIP)
		w.revoke(t, revoked)
		foreign := newWorld(t).pushCertificate(t, demo, credential.PushUniversal)
		for _, tt := range []struct {
			name string
			dialing
			want string // part of the error; empty for none
		}{
			{"sandbox", dialing{certificate: sandbox}, ""},
			{"universal", dialing{certificate: universal}, ""},
			{"universal, production", dialing{certificate: universal, address: productionName}, ""},
			{"other protocols", dialing{certificate: universal, protocols: []string{"http/1.1"}}, ""},
			{"sandbox at production", dialing{certificate: sandbox, address: productionName}, "bad certificate"},
			{"sandbox at production, by name", dialing{certificate: sandbox, address: productionName, serverName: "gateway.sandbox.push.apple.com"}, ""},
			{"sandbox at sandbox, by the other name", dialing{certificate: sandbox, serverName: "gateway.push.apple.com"}, "bad certificate"},
			{"none", dialing{}, "certificate required"},
			{"revoked", dialing{certificate: revoked}, "bad certificate"},
			{"foreign", dialing{certificate: foreign}, "unknown certificate authority"},
			{"HTTP/2", dialing{certificate: universal, protocols: []string{"h2"}}, "no application protocol"},
			{"TLS 1.1", dialing{certificate: universal, version: tls.VersionTLS11}, "protocol version not supported"},
		} {
			conn, err := w.dialOldTLS(t, legacyPort, tt.dialing)
			if err == nil { // under TLS 1.3 the client is through before the server
				_ = conn.CloseWrite() // it may have been refused meanwhile
				_, err = io.ReadAll(conn)
				_ = conn.Close() // it has ended
			}
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("%s: got %v, want none", tt.name, err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
			}
		}
	})
}

// TestLegacyRevoked proves that a connection does not outlive its certificate,
// though nothing is sent.
func TestLegacyRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.serveLegacy(t)
		cert, other := w.pushCertificate(t, demo, credential.PushUniversal), w.pushCertificate(t, demo, credential.PushSandbox)
		revoked, stays := w.dialOld(t, legacyPort, dialing{certificate: cert}), w.dialOld(t, legacyPort, dialing{certificate: other})
		revoked.send(w.enhanced(t, 1, `{"n":1}`))
		stays.send(w.enhanced(t, 2, `{"n":2}`))
		synctest.Wait()
		w.revoke(t, cert)
		start := time.Now()
		revoked.want(nil)
		if took := time.Since(start); took > 0 {
			t.Errorf("it ended after %v, want at once", took)
		}
		synctest.Wait()
		stays.send(w.enhanced(t, 3, `{"n":3}`))
		synctest.Wait()
		if diff := cmp.Diff([]string{`{"n":3}`}, receive(t, w.attach(t, w.device, demo))); diff != "" {
			t.Errorf("stored (-want +got):\n%s", diff)
		}
	})
}

// TestLegacyExpired proves the same of one that expires.
func TestLegacyExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cert *tls.Certificate
		w := newWorldWith(t, options{early: func(w *world) {
			cert = w.pushCertificate(t, demo, credential.PushUniversal)
			time.Sleep(time.Until(cert.Leaf.NotAfter) - time.Minute)
		}})
		w.serveLegacy(t)
		o := w.dialOld(t, legacyPort, dialing{certificate: cert})
		o.send(w.enhanced(t, 1, `{"n":1}`))
		time.Sleep(2 * time.Minute)
		o.send(w.enhanced(t, 2, `{"n":2}`))
		o.want(nil)
		if diff := cmp.Diff([]string{`{"n":1}`}, receive(t, w.attach(t, w.device, demo))); diff != "" {
			t.Errorf("stored (-want +got):\n%s", diff)
		}
	})
}

// TestLegacyOnTheProviderPort speaks the legacy interface where HTTP/2 is
// expected.
func TestLegacyOnTheProviderPort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		in := w.attach(t, w.device, demo)
		token := w.deviceToken(t, demo, apns.Sandbox)
		forms := []interface{ Append(b []byte) []byte }{
			wire.LegacySimple{DeviceToken: token, Payload: apns.Payload(`{"n":0}`)},
			w.enhanced(t, 1, `{"n":1}`),
			wire.LegacyFramed{DeviceToken: token, Payload: apns.Payload(`{"n":2}`), Identifier: 2},
		}
		for i, m := range forms {
			o := w.dialOld(t, ":443", dialing{})
			o.send(m, raw("\x09"))
			o.want(refusal(128, 0))
			if diff := cmp.Diff([]string{fmt.Sprintf(`{"n":%d}`, i)}, receive(t, in)); diff != "" {
				t.Errorf("delivered (-want +got):\n%s", diff)
			}
		}
		wrong := w.dialOld(t, ":443", dialing{address: productionName, certificate: w.pushCertificate(t, demo, credential.PushSandbox)})
		wrong.send(forms[0])
		wrong.want(nil)
		if got := receive(t, in); len(got) > 0 {
			t.Errorf("delivered with a certificate of the other environment: %q", got)
		}
	})
}

// TestLegacyStop stops with connections of all kinds: they are told what was
// accepted last.
func TestLegacyStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		stop := w.serveLegacy(t)
		idle := w.dialOld(t, legacyPort, dialing{})
		busy := w.dialOld(t, legacyPort, dialing{})
		stuck := w.dialOld(t, legacyPort, dialing{})
		release := make(chan error)
		w.store.before(until(release))
		busy.send(w.enhanced(t, 1, `{"n":1}`))
		synctest.Wait()
		busy.send(w.enhanced(t, 2, `{"n":2}`)) // was read, and waits
		synctest.Wait()
		var stopping sync.WaitGroup
		start := time.Now()
		stopping.Go(stop)
		idle.want(refusal(10, 0))
		time.Sleep(time.Second)
		w.store.before(nil)
		close(release)
		busy.want(refusal(10, 2))
		stopping.Wait()
		if took := time.Since(start); took != drainTimeout { // one does not close
			t.Errorf("it stopped after %v, want %v", took, drainTimeout)
		}
		stuck.want(refusal(10, 0))
	})
}

// TestLegacyStopHalfOpen stops with connections that have not come as far as TLS.
func TestLegacyStopHalfOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		stop := w.serveLegacy(t)
		for _, sent := range []string{"", "\x16\x03\x01\x02\x00"} {
			conn, err := w.network.DialContext(t.Context(), "tcp", sandboxName+legacyPort)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, sent); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		start := time.Now()
		stop()
		if took := time.Since(start); took > 0 {
			t.Errorf("it stopped after %v, want at once", took)
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

// TestLegacySlow has senders that stop in the middle, or say nothing.
func TestLegacySlow(t *testing.T) {
	for _, tt := range []struct {
		name   string
		sent   []string // with half a minute before each
		want   *wire.LegacyError
		within time.Duration // after the last
	}{
		{"nothing", nil, nil, time.Hour},
		{"one byte", []string{"\x00"}, refusal(128, 0), time.Minute},
		{"a frame that does not come", []string{"\x02\x00\x01\x10\x00", "\x01\x00"}, refusal(128, 0), time.Minute / 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.serveLegacy(t)
				o := w.dialOld(t, legacyPort, dialing{})
				for _, s := range tt.sent {
					time.Sleep(time.Minute / 2)
					o.send(raw(s))
				}
				start := time.Now()
				o.want(tt.want)
				if took := time.Since(start); took != tt.within {
					t.Errorf("it ended after %v, want %v", took, tt.within)
				}
			})
		})
	}
}

// TestLegacyTruncated ends in the middle of a notification.
func TestLegacyTruncated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.serveLegacy(t)
		whole := string(w.enhanced(t, 2, hello).Append(nil))
		for _, n := range []int{1, 8, 9, 20, len(whole) - 1} {
			o := w.dialOld(t, legacyPort, dialing{})
			o.send(w.enhanced(t, 1, hello), raw(whole[:n]))
			if err := o.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			o.want(refusal(128, 0))
		}
	})
}

// TestLegacyLeaves proves that what was sent is taken, though the sender closes
// at once, or breaks off.
func TestLegacyLeaves(t *testing.T) {
	for name, leave := range map[string]func(*testing.T, old){
		"closes": func(t *testing.T, o old) {
			t.Helper()
			if err := o.Close(); err != nil {
				t.Error(err)
			}
		},
		"breaks off": func(t *testing.T, o old) {
			t.Helper()
			if err := o.NetConn().Close(); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.serveLegacy(t)
				o := w.dialOld(t, legacyPort, dialing{})
				for i := range 100 {
					o.send(w.enhanced(t, uint32(i), fmt.Sprintf(`{"n":%d}`, i)))
				}
				leave(t, o)
				synctest.Wait()
				if diff := cmp.Diff([]string{`{"n":99}`}, receive(t, w.attach(t, w.device, demo))); diff != "" {
					t.Errorf("stored (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestLegacyKeepsWriting has a sender that does not read before it has written
// all, which is much more than there is room for on the way, and that does not
// stop: the error is there when it looks, and the connection is cut in time.
func TestLegacyKeepsWriting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.serveLegacy(t)
		o := w.dialOld(t, legacyPort, dialing{})
		bad := w.enhanced(t, 2, hello)
		bad.DeviceToken = forged(bad.DeviceToken)
		o.send(w.enhanced(t, 1, `{"n":1}`), bad)
		many := []byte{}
		for i := range 1000 {
			many = w.enhanced(t, uint32(i+3), `{"n":3}`).Append(many)
		}
		for range 40 {
			if _, err := o.Write(many); err != nil {
				t.Fatalf("writing after the error: %v", err)
			}
			time.Sleep(time.Second / 10)
		}
		start := time.Now()
		if got, want := hex.EncodeToString(o.rest()), "080800000002"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		var err error
		for err == nil {
			_, err = o.Write(many)
			time.Sleep(time.Second / 10)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("it could write for another %v: %v", took, err)
		}
		if diff := cmp.Diff([]string{`{"n":1}`}, receive(t, w.attach(t, w.device, demo))); diff != "" {
			t.Errorf("stored (-want +got):\n%s", diff)
		}
	})
}

// TestLegacyBackPressure proves that a sender waits for a store that does, and
// that all arrives in order.
func TestLegacyBackPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.serveLegacy(t)
		release := make(chan error)
		w.store.before(until(release))
		o := w.dialOld(t, legacyPort, dialing{})
		m := w.enhanced(t, 1, `{"n":1}`)
		size := len(m.Append(nil))
		sent := 0
		if err := o.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		for {
			m.Identifier = uint32(sent)
			if _, err := o.Write(m.Append(nil)); err != nil {
				break
			}
			sent++
		}
		// The queue, the batch, and what memnet holds for the two directions.
		if most := 4 * (256 << 10); sent*size > most {
			t.Errorf("%d bytes were taken while the store hangs, want at most %d", sent*size, most)
		}
		w.store.before(nil)
		close(release)
		synctest.Wait()
	})
}

// TestLegacyCrowd has a thousand connections at once, each with a good, a bad
// and another good one.
func TestLegacyCrowd(t *testing.T) {
	connections := 1000
	if raceEnabled || testing.Short() {
		connections = 100
	}
	w := newWorld(t)
	w.serveLegacy(t)
	cert := w.pushCertificate(t, demo, credential.PushUniversal)
	const devices = 100
	tokens := make([]apns.DeviceToken, devices)
	for i := range tokens {
		w.device = w.newDevice(t, apns.DeviceID(fmt.Sprintf("crowd %d", i)))
		tokens[i] = w.deviceToken(t, demo, apns.Sandbox)
	}
	good := w.enhanced(t, 1, `{"n":1}`)
	open := make([]old, connections)
	for i := range open {
		open[i] = w.dialOld(t, legacyPort, dialing{certificate: cert})
	}
	var crowd sync.WaitGroup
	for i, o := range open {
		crowd.Go(func() {
			m, bad, never := good, good, good
			token := tokens[i%devices]
			m.DeviceToken, never.DeviceToken = token, token
			bad.Identifier, bad.DeviceToken = 2, forged(token)
			never.Identifier, never.Payload = 3, apns.Payload(`{"n":3}`)
			if _, err := o.Write(never.Append(bad.Append(m.Append(nil)))); err != nil {
				t.Error(err)
				return
			}
			o.want(refusal(8, 2))
		})
	}
	crowd.Wait()
	if got := w.spool.Stats().Notifications; got != devices {
		t.Errorf("stored: got %d, want %d", got, devices)
	}
}

// TestLegacyOverTCP sends more after the error than the kernel keeps, over real
// sockets: the error is not lost to a reset.
func TestLegacyOverTCP(t *testing.T) {
	w := newWorld(t)
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Skipf("no TCP here: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- w.gateway.ServeLegacy(ctx, l, apns.Sandbox) }()
	cert := w.pushCertificate(t, demo, credential.PushUniversal)
	bad := w.enhanced(t, 2, hello)
	bad.DeviceToken = forged(bad.DeviceToken)
	first := bad.Append(w.enhanced(t, 1, `{"n":1}`).Append(nil))
	var many []byte
	for i := range 1000 {
		many = w.enhanced(t, uint32(i+3), `{"n":3}`).Append(many)
	}
	for range 20 {
		d := tls.Dialer{Config: &tls.Config{RootCAs: w.roots, ServerName: sandboxName, Certificates: []tls.Certificate{*cert}}}
		conn, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(first); err != nil {
			t.Fatal(err)
		}
		for range 100 { // ten megabytes
			if _, err := conn.Write(many); err != nil {
				t.Fatalf("writing after the error: %v", err)
			}
		}
		got, err := io.ReadAll(conn)
		if want := "080800000002"; hex.EncodeToString(got) != want || err != nil {
			t.Errorf("got %x, %v, want %s", got, err, want)
		}
		if err := conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Logf("closing: %v", err)
		}
	}
	cancel()
	if err := <-served; err != nil {
		t.Errorf("ServeLegacy: got %v, want nil", err)
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
