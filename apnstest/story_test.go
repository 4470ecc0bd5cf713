package apnstest_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/admin"
	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/apnstest"
	"github.com/heraldpush/herald/courier"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/device"
	"github.com/heraldpush/herald/portal"
)

// alert returns a notification whose body is text.
func alert(text string) apns.Notification {
	return apns.Notification{
		Topic: apnstest.Topic, PushType: apns.PushTypeAlert,
		Payload: apns.Payload(`{"aps":{"alert":"` + text + `"}}`),
	}
}

// story is a test in virtual time with a platform, a phone and a sender.
func story(t *testing.T, tell func(t *testing.T, s *teller)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := apnstest.New(t)
		tell(t, &teller{t: t, Platform: p, phone: p.NewPhone(t), sender: p.NewSender(t)})
	})
}

// teller has what a story speaks of.
type teller struct {
	t *testing.T
	*apnstest.Platform
	phone  *apnstest.Phone
	sender *apnsclient.Sender
}

func (s *teller) push(n apns.Notification) {
	s.t.Helper()
	if _, err := s.sender.Push(s.t.Context(), s.phone.DeviceToken, n); err != nil {
		s.t.Fatal(err)
	}
}

// wantBody checks that the next notification has this body.
func (s *teller) wantBody(want string, stored bool) {
	s.t.Helper()
	got := s.phone.Receive(s.t)
	if a, err := apns.ParseAlert(got.Payload); err != nil || a.Body != want || got.Stored != stored {
		s.t.Errorf("received %s, stored %v, %v; want %q, stored %v", got.Payload, got.Stored, err, want, stored)
	}
}

// wantNothing checks that nothing more has arrived once all is quiet.
func (s *teller) wantNothing() {
	s.t.Helper()
	synctest.Wait()
	if got, ok := s.phone.Received(); ok {
		s.t.Errorf("received %s, want nothing", got.Payload)
	}
}

func TestConnected(t *testing.T) {
	story(t, func(t *testing.T, s *teller) {
		n := alert("hello")
		n.ID, n.CollapseID = "EABEAE54-14A8-11E5-B60B-1697F925EC7B", "score"
		s.push(n)
		got := s.phone.Receive(t)
		if got.ID != n.ID || got.Topic != n.Topic || got.PushType != n.PushType || got.CollapseID != n.CollapseID ||
			got.Priority != apns.PriorityImmediate || string(got.Payload) != string(n.Payload) || got.Stored {
			t.Errorf("received %+v, want %+v", got, n)
		}
		s.wantNothing()
	})
}

func TestAwayThenConnected(t *testing.T) {
	story(t, func(_ *testing.T, s *teller) {
		s.phone.Disconnect()
		s.push(alert("first"))
		s.push(alert("second"))
		time.Sleep(29 * 24 * time.Hour)
		s.push(alert("third"))
		time.Sleep(24 * time.Hour)
		s.phone.Connect(s.t)
		s.wantBody("third", true) // the newest of a topic waits, alone
		s.wantNothing()
		s.push(alert("fourth"))
		s.wantBody("fourth", false)
	})
}

func TestExpiresWhileAway(t *testing.T) {
	story(t, func(_ *testing.T, s *teller) {
		s.phone.Disconnect()
		n := alert("late")
		n.Expiration = apns.ExpiresAt(time.Now().Add(time.Hour))
		s.push(n)
		time.Sleep(time.Hour + time.Second)
		s.phone.Connect(s.t)
		s.wantNothing()
	})
}

func TestComesBackInTime(t *testing.T) {
	story(t, func(_ *testing.T, s *teller) {
		s.phone.Disconnect()
		n := alert("in time")
		n.Expiration = apns.ExpiresAt(time.Now().Add(time.Hour))
		s.push(n)
		time.Sleep(time.Hour - 10*time.Second)
		s.phone.Connect(s.t)
		s.wantBody("in time", true)
	})
}

func TestNotToBeStored(t *testing.T) {
	story(t, func(_ *testing.T, s *teller) {
		n := alert("now or never")
		n.Expiration = apns.DoNotStore
		s.push(n)
		s.wantBody("now or never", false)
		s.phone.Disconnect()
		s.push(n)
		s.phone.Connect(s.t)
		s.wantNothing()
	})
}

func TestThirtyDays(t *testing.T) {
	story(t, func(_ *testing.T, s *teller) {
		s.phone.Disconnect()
		s.push(alert("too old"))
		time.Sleep(apns.MaxStorage + time.Second)
		s.phone.Connect(s.t)
		s.wantNothing()
	})
}

// TestProviderToken sends with a key instead of the certificate, for longer
// than a provider token is good.
func TestProviderToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := apnstest.New(t)
		phone := p.NewPhone(t)
		private, err := credential.ParseP8(p.Developer.P8)
		if err != nil {
			t.Fatal(err)
		}
		tokens, err := apnsclient.NewProviderTokens(p.Developer.Team.ID, p.Developer.KeyID, private)
		if err != nil {
			t.Fatal(err)
		}
		sender, err := apnsclient.New(apnsclient.Config{
			Environment: apns.Sandbox, Host: p.GatewayAddr(apns.Sandbox), Roots: p.Roots, Dial: p.Dial, ProviderTokens: tokens,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := sender.Close(); err != nil {
				t.Error(err)
			}
		}()
		for range 5 {
			if _, err := sender.Push(t.Context(), phone.DeviceToken, alert("with a key")); err != nil {
				t.Fatal(err)
			}
			phone.Receive(t)
			time.Sleep(45 * time.Minute)
		}
	})
}

func TestRefusals(t *testing.T) {
	story(t, func(t *testing.T, s *teller) {
		phone, reg := s.phone, s.Registry
		device, err := reg.Device(t.Context(), phone.ID())
		if err != nil {
			t.Fatal(err)
		}
		production, err := reg.DeviceToken(t.Context(), apns.Address{Device: device, Environment: apns.Production, Topic: apnstest.Topic.Hash()})
		if err != nil {
			t.Fatal(err)
		}
		gone, err := reg.DeviceToken(t.Context(), apns.Address{Device: device, Environment: apns.Sandbox, Topic: (apnstest.Topic + ".voip").Hash()})
		if err != nil {
			t.Fatal(err)
		}
		at := apns.Address{Device: device, Environment: apns.Sandbox, Topic: (apnstest.Topic + ".voip").Hash()}
		if err := reg.Remove(t.Context(), at, time.Now()); err != nil {
			t.Fatal(err)
		}
		voip := alert("x")
		voip.Topic, voip.PushType = apnstest.Topic+".voip", apns.PushTypeVoIP
		background := alert("x")
		background.PushType, background.Priority = apns.PushTypeBackground, apns.PriorityImmediate
		for _, tt := range []struct {
			name  string
			token apns.DeviceToken
			n     apns.Notification
			want  apns.Reason
		}{
			{"token of the other environment", production, alert("x"), apns.BadDeviceToken},
			{"token of nobody", apns.DeviceToken(strings.Repeat("x", 32)), alert("x"), apns.BadDeviceToken},
			{"short token", "x", alert("x"), apns.BadDeviceToken},
			{"token of another topic", phone.DeviceToken, voip, apns.DeviceTokenNotForTopic},
			{"app that is gone", gone, voip, apns.Unregistered},
			{"background at once", phone.DeviceToken, background, apns.BadPriority},
		} {
			_, err := s.sender.Push(t.Context(), tt.token, tt.n)
			r, ok := errors.AsType[*apns.Rejection](err)
			if !ok || r.Reason != tt.want {
				t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
				continue
			}
			if tt.want == apns.Unregistered && r.Since.IsZero() {
				t.Errorf("%s: no time", tt.name)
			}
		}
		s.wantNothing()
		s.push(alert("still good"))
		s.wantBody("still good", false)
	})
}

// TestTwoPhones proves that devices do not share their notifications.
func TestTwoPhones(t *testing.T) {
	story(t, func(t *testing.T, s *teller) {
		other := s.NewPhone(t)
		if other.DeviceToken == s.phone.DeviceToken || other.ID() == s.phone.ID() {
			t.Fatal("two phones have the same name")
		}
		s.push(alert("for the first"))
		s.wantBody("for the first", false)
		synctest.Wait()
		if got, ok := other.Received(); ok {
			t.Errorf("the other phone received %s", got.Payload)
		}
	})
}

// TestRevokedCertificate revokes the certificate of a sender that is connected
// and idle: its connection is closed, and its next push fails for that reason.
func TestRevokedCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := apnstest.New(t)
		phone := p.NewPhone(t)
		pair := p.Developer.Identity.TLS()
		lines := make(chan *line, 10)
		sender, err := apnsclient.New(apnsclient.Config{
			Environment: apns.Sandbox, Host: p.GatewayAddr(apns.Sandbox), Roots: p.Roots, Certificate: &pair,
			Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := p.Dial(ctx, network, address)
				if err != nil {
					return nil, err
				}
				l := &line{Conn: conn, ended: make(chan struct{})}
				lines <- l
				return l, nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := sender.Close(); err != nil {
				t.Error(err)
			}
		}()
		if _, err := sender.Push(t.Context(), phone.DeviceToken, alert("hello")); err != nil {
			t.Fatal(err)
		}
		phone.Receive(t)
		time.Sleep(time.Hour)

		// As `herald portal cert revoke` does.
		local := admin.Local(p.Portal)
		serial := portal.Serial(p.Developer.Identity.Certificate)
		if _, err := admin.RevokeCertificate.Call(t.Context(), local, admin.CertificateRevocation{Serial: serial}); err != nil {
			t.Fatal(err)
		}
		select {
		case <-(<-lines).ended:
		case <-time.After(time.Second):
			t.Error("the idle connection is open a second after the revocation")
		}
		for range 2 {
			_, err = sender.Push(t.Context(), phone.DeviceToken, alert("too late"))
			refused, ok := errors.AsType[*apnsclient.CertificateError](err)
			if !ok || refused.Certificate != "Apple Push Services: "+string(apnstest.Topic) {
				t.Errorf("the next push: got %v, want a CertificateError", err)
			}
		}

		// A new certificate goes on where the old one ended.
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if p.Developer.Identity, err = p.RequestCertificate(t.Context(), apnstest.Topic, key); err != nil {
			t.Fatal(err)
		}
		if _, err := p.NewSender(t).Push(t.Context(), phone.DeviceToken, alert("again")); err != nil {
			t.Fatal(err)
		}
		if got := phone.Receive(t); !strings.Contains(string(got.Payload), "again") {
			t.Errorf("received %s, want the one sent again", got.Payload)
		}
	})
}

// line is a connection that tells when the sender has closed it, which it does
// at once when the gateway has said its last.
type line struct {
	net.Conn
	ended chan struct{}
	once  sync.Once
}

func (l *line) Close() error {
	l.once.Do(func() { close(l.ended) })
	return l.Conn.Close()
}

// TestRevokedDevice revokes the certificate of a device that is connected: it is
// let go within a second, learns why when it comes back, and is given up.
func TestRevokedDevice(t *testing.T) {
	story(t, func(t *testing.T, s *teller) {
		_, code, err := s.Portal.CreateEnrolmentCode(t.Context(), 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		lost, err := device.New(device.Config{
			Courier: s.CourierAddr(), Environment: apns.Sandbox, Roots: s.Roots, Dial: s.Dial,
			Activation: "https://" + s.CourierAddr() + courier.ActivationPath, EnrolmentCode: code,
			Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		go func() { ended <- lost.Run(t.Context()) }()
		if err := lost.Connected(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if _, err := s.Portal.RevokeDevice(t.Context(), lost.ID()); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-ended:
			if !errors.Is(err, device.ErrIdentityRefused) {
				t.Errorf("Run: got %v, want %v", err, device.ErrIdentityRefused)
			}
		case <-time.After(5 * time.Second): // with the pause before it comes back
			t.Error("the device has not given up")
		}
		s.push(alert("to another"))
		s.wantBody("to another", false)
	})
}
