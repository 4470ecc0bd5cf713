package gateway_test

import (
	"encoding/hex"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/wire"
)

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
