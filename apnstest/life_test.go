package apnstest_test

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnstest"
	"github.com/heraldpush/herald/courier"
	"github.com/heraldpush/herald/device"
)

const day = 24 * time.Hour

// kiosk is a device in the sandbox whose Config the test makes, with one app.
type kiosk struct {
	*device.Device
	t        *testing.T
	tokens   chan apns.DeviceToken
	received chan device.Notification
	lost     atomic.Int64 // connections
	stop     context.CancelFunc
	ended    chan error
}

// newKiosk returns a device that is not connected.
func newKiosk(t *testing.T, p *apnstest.Platform, change func(*device.Config)) *kiosk {
	t.Helper()
	k := &kiosk{t: t, tokens: make(chan apns.DeviceToken, 100), received: make(chan device.Notification, 100)}
	c := device.Config{
		Courier: p.CourierAddr(), Environment: apns.Sandbox, Roots: p.Roots, Dial: p.Dial,
		Activation: "https://" + p.CourierAddr() + courier.ActivationPath, EnrolmentCode: enrol(t, p),
		KeepAlive:     6 * time.Hour, // so that months pass quickly
		DidDisconnect: func(error) { k.lost.Add(1) },
	}
	if change != nil {
		change(&c)
	}
	var err error
	if k.Device, err = device.New(c); err != nil {
		t.Fatal(err)
	}
	k.register()
	return k
}

func enrol(t *testing.T, p *apnstest.Platform) string {
	t.Helper()
	_, code, err := p.Portal.CreateEnrolmentCode(t.Context(), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// register is the app's launch.
func (k *kiosk) register() {
	k.t.Helper()
	err := k.RegisterForRemoteNotifications(apnstest.Topic, device.Alert, device.Delegate{
		DidRegister:       func(token apns.DeviceToken) { k.tokens <- token },
		DidFailToRegister: func(err error) { k.t.Error(err) },
		DidReceive:        func(n device.Notification) { k.received <- n },
	})
	if err != nil {
		k.t.Fatal(err)
	}
}

func (k *kiosk) connect() {
	k.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(k.t.Context()))
	k.stop, k.ended = cancel, make(chan error, 1)
	go func() { k.ended <- k.Run(ctx) }()
}

func (k *kiosk) disconnect() {
	k.t.Helper()
	k.stop()
	if err := <-k.ended; err != nil {
		k.t.Errorf("Run: %v", err)
	}
}

// gets checks that the app receives what is pushed to it.
func (k *kiosk) gets(s *teller, token apns.DeviceToken) {
	k.t.Helper()
	if _, err := s.sender.Push(k.t.Context(), token, alert("hi")); err != nil {
		k.t.Errorf("push: %v", err)
		return
	}
	synctest.Wait()
	select {
	case <-k.received:
	default:
		k.t.Error("the app did not receive what was pushed")
	}
}

// wantGone checks that a device token is Unregistered, since a time.
func (s *teller) wantGone(what string, token apns.DeviceToken, since time.Time) {
	s.t.Helper()
	_, err := s.sender.Push(s.t.Context(), token, alert("hi"))
	r, ok := errors.AsType[*apns.Rejection](err)
	if !ok || r.Reason != apns.Unregistered || r.Since.Sub(since).Abs() > time.Second {
		s.t.Errorf("%s: got %v, want %s since %v", what, err, apns.Unregistered, since)
	}
}

// TestCertificateIsRenewed lets a device live for 70 days, and for 130. It has one
// further certificate, or two, and neither its name, its device token nor its
// connection change.
func TestCertificateIsRenewed(t *testing.T) {
	for days, keepKey := range map[int]bool{130: false, 70: true} {
		t.Run(fmt.Sprintf("%d days, one key %v", days, keepKey), func(t *testing.T) {
			story(t, func(t *testing.T, s *teller) {
				s.phone.Disconnect()
				k := newKiosk(t, s.Platform, func(c *device.Config) { c.KeepKey, c.Dir = keepKey, t.TempDir() })
				k.connect()
				token := <-k.tokens
				id, first := k.ID(), k.Certificate()
				serials := map[string]bool{}
				for range days {
					time.Sleep(day)
					cert := k.Certificate()
					serials[cert.SerialNumber.String()] = true
					if left := time.Until(cert.NotAfter); left < 25*day {
						t.Fatalf("the certificate has %v left", left)
					}
				}
				if len(serials) != 1+days/63 {
					t.Errorf("certificates in %d days: got %d, want one in two months", days, len(serials))
				}
				key, ok := k.Certificate().PublicKey.(*ecdsa.PublicKey)
				if same := ok && key.Equal(first.PublicKey); same != keepKey {
					t.Errorf("the same key: got %v, want %v", same, keepKey)
				}
				if k.ID() != id || k.lost.Load() != 0 || len(k.tokens) != 0 {
					t.Errorf("got device %s, %d connections lost, %d device tokens; want %s, none and none", k.ID(), k.lost.Load(), len(k.tokens), id)
				}
				k.gets(s, token)
				k.disconnect()
				k.connect() // with the newest
				synctest.Wait()
				k.gets(s, token)
				k.disconnect()
				log, err := s.Portal.Audit(t.Context(), 0)
				if err != nil {
					t.Fatal(err)
				}
				renewed := 0
				for _, e := range log {
					if e.Action == "device.renew" && e.Subject == string(id) && e.Actor == "device "+string(id) {
						renewed++
					}
				}
				if renewed != len(serials)-1 {
					t.Errorf("audit: got %d renewals, want %d", renewed, len(serials)-1)
				}
			})
		})
	}
}

// TestOldCertificateStaysGood renews, and shows that both are admitted, and that
// a revocation ends both.
func TestOldCertificateStaysGood(t *testing.T) {
	story(t, func(t *testing.T, s *teller) {
		old := s.phone.Certificate()
		if err := s.phone.Renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		renewed := s.phone.Certificate()
		if renewed.Equal(old) {
			t.Fatal("the certificate is the same")
		}
		if id, err := s.Portal.AdmitDevice(old); id != s.phone.ID() || err != nil {
			t.Errorf("old certificate: got %s and %v", id, err)
		}
		s.push(alert("still here"))
		s.wantBody("still here", false)
		s.phone.Disconnect() // the revocation would end it with an error
		if _, err := s.Portal.RevokeDevice(t.Context(), s.phone.ID()); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Portal.AdmitDevice(old); err == nil {
			t.Error("old certificate of a revoked device: got it admitted")
		}
		if _, err := s.Portal.AdmitDevice(renewed); err == nil {
			t.Error("new certificate of a revoked device: got it admitted")
		}
		refused := new(device.ActivationError)
		if err := s.phone.Renew(t.Context()); !errors.As(err, &refused) || refused.Status != 403 {
			t.Errorf("renewal of a revoked device: got %v, want 403", err)
		}
	})
}

// TestCertificateExpired is a device that was away for too long: it says what to
// do, and that works.
func TestCertificateExpired(t *testing.T) {
	story(t, func(t *testing.T, s *teller) {
		dir := t.TempDir()
		k := newKiosk(t, s.Platform, func(c *device.Config) { c.Dir = dir })
		k.connect()
		token, id := <-k.tokens, k.ID()
		k.disconnect()
		time.Sleep(91 * day)
		k.connect()
		if err := <-k.ended; !errors.Is(err, device.ErrCertificateExpired) || !errors.Is(err, device.ErrIdentityRefused) {
			t.Errorf("Run: got %v, want %v", err, device.ErrCertificateExpired)
		}
		if err := k.Renew(t.Context()); !errors.Is(err, device.ErrCertificateExpired) {
			t.Errorf("Renew: got %v, want %v", err, device.ErrCertificateExpired)
		}
		refused := new(device.ActivationError)
		if err := k.Reactivate(t.Context(), "guess"); !errors.As(err, &refused) {
			t.Errorf("Reactivate with a bad code: got %v", err)
		}
		if err := k.Reactivate(t.Context(), enrol(t, s.Platform)); err != nil {
			t.Fatal(err)
		}
		since := time.Now()
		k.connect()
		next := <-k.tokens
		if next == token || k.ID() == id {
			t.Errorf("got the device token %s again, device %s again", next.Hex(), k.ID())
		}
		time.Sleep(day)
		s.wantGone("the former device token", token, since)
		k.gets(s, next)
		k.disconnect()
		// The same after a restart.
		k = newKiosk(t, s.Platform, func(c *device.Config) { c.Dir, c.EnrolmentCode = dir, "" })
		k.connect()
		if got := <-k.tokens; got != next {
			t.Errorf("after a restart: got device token %s, want %s", got.Hex(), next.Hex())
		}
		k.disconnect()
	})
}

// TestUninstallAndReinstall follows the device token of an app.
func TestUninstallAndReinstall(t *testing.T) {
	for name, away := range map[string]bool{"connected": false, "away": true} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, s *teller) {
				dir := t.TempDir()
				k := newKiosk(t, s.Platform, func(c *device.Config) { c.Dir = dir })
				k.connect()
				token := <-k.tokens
				k.gets(s, token)
				if away {
					k.disconnect()
				}
				k.Uninstall(apnstest.Topic)
				if away {
					k.connect()
				}
				synctest.Wait()
				since := time.Now()
				time.Sleep(day)
				s.wantGone("uninstalled", token, since)

				k.register()
				next := <-k.tokens
				if next == token {
					t.Error("reinstalled: got the same device token")
				}
				synctest.Wait()
				k.gets(s, next)
				s.wantGone("uninstalled, then reinstalled", token, since)
				k.disconnect()
				k.connect() // what was told is not told again
				synctest.Wait()
				k.gets(s, next)
				// Both at once.
				k.Uninstall(apnstest.Topic)
				k.register()
				last := <-k.tokens
				synctest.Wait()
				if last == next {
					t.Error("reinstalled at once: got the same device token")
				}
				k.gets(s, last)
				s.wantGone("reinstalled at once", next, time.Now())
				k.disconnect()
			})
		})
	}
}

// TestUnregister shows that an app which only stops listening keeps its device
// token.
func TestUnregister(t *testing.T) {
	story(t, func(t *testing.T, s *teller) {
		k := newKiosk(t, s.Platform, nil)
		k.connect()
		token := <-k.tokens
		k.UnregisterForRemoteNotifications(apnstest.Topic)
		synctest.Wait()
		k.register()
		if got := <-k.tokens; got != token {
			t.Errorf("registered again: got %s, want %s", got.Hex(), token.Hex())
		}
		synctest.Wait()
		k.gets(s, token)
		k.disconnect()
	})
}

func TestRestore(t *testing.T) {
	story(t, func(t *testing.T, s *teller) {
		k := newKiosk(t, s.Platform, nil)
		k.connect()
		token := <-k.tokens
		time.Sleep(day)
		k.Restore()
		next := <-k.tokens
		since := time.Now()
		if next == token {
			t.Error("got the same device token")
		}
		time.Sleep(day)
		s.wantGone("restored", token, since)
		k.gets(s, next)
		k.disconnect()
	})
}

func TestErase(t *testing.T) {
	story(t, func(t *testing.T, s *teller) {
		dir := t.TempDir()
		k := newKiosk(t, s.Platform, func(c *device.Config) { c.Dir = dir })
		k.connect()
		token, id := <-k.tokens, k.ID()
		if err := k.Erase(t.Context()); !errors.Is(err, device.ErrRunning) {
			t.Errorf("while running: got %v, want %v", err, device.ErrRunning)
		}
		k.disconnect()
		if _, err := s.sender.Push(t.Context(), token, alert("for nobody")); err != nil {
			t.Fatal(err)
		}
		if err := k.Erase(t.Context()); err != nil {
			t.Fatal(err)
		}
		since := time.Now()
		if k.ID() != "" || k.Certificate() != nil || k.BaseToken() != "" || len(k.Registrations()) != 0 {
			t.Errorf("after it: got device %q with %d apps", k.ID(), len(k.Registrations()))
		}
		time.Sleep(day)
		s.wantGone("erased", token, since)

		if err := k.Reactivate(t.Context(), enrol(t, s.Platform)); err != nil {
			t.Fatal(err)
		}
		k.register()
		k.connect()
		next := <-k.tokens
		synctest.Wait()
		if len(k.received) != 0 || next == token || k.ID() == id {
			t.Errorf("as a new device: got %d notifications, the same device token %v, the same name %v", len(k.received), next == token, k.ID() == id)
		}
		k.gets(s, next)
		s.wantGone("erased", token, since)
		k.disconnect()
		_, err := s.Portal.RevokeDevice(t.Context(), id)
		if err != nil {
			t.Errorf("the former device: %v", err)
		}
	})
}

// TestDenied shows what the service and the app have of the user's denial.
func TestDenied(t *testing.T) {
	story(t, func(t *testing.T, s *teller) {
		k := newKiosk(t, s.Platform, nil)
		if err := k.SetPermission(apnstest.Topic, device.Permission{Status: device.Denied}); err != nil {
			t.Fatal(err)
		}
		k.connect()
		token := <-k.tokens // it has one nevertheless
		if _, err := s.sender.Push(t.Context(), token, alert("not seen")); err != nil {
			t.Fatal(err)
		}
		background := alert("")
		background.PushType, background.Priority = apns.PushTypeBackground, apns.PriorityConserve
		background.Payload = apns.Payload(`{"aps":{"content-available":1}}`)
		if _, err := s.sender.Push(t.Context(), token, background); err != nil {
			t.Fatal(err)
		}
		if n := <-k.received; n.PushType != apns.PushTypeBackground {
			t.Errorf("got %s, want the background push alone", n.Payload)
		}
		if err := k.SetPermission(apnstest.Topic, device.Permission{Status: device.Authorized, Types: device.Alert}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		k.gets(s, token)
		k.disconnect()
	})
}
