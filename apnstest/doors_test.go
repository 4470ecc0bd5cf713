package apnstest_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/apnstest"
	"github.com/heraldpush/herald/faults"
	"github.com/heraldpush/herald/gateway"
	"github.com/heraldpush/herald/wire"
)

func connect(t *testing.T, p *apnstest.Platform, address string) *tls.Conn {
	t.Helper()
	raw, err := p.Dial(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	name, _, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	conn := tls.Client(raw, &tls.Config{
		ServerName: name, RootCAs: p.Roots, Certificates: []tls.Certificate{p.Developer.Identity.TLS()},
	})
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// TestLegacyAndFeedback proves that a test can push as the providers of 2009 did,
// and learn from the feedback service that an app is gone.
func TestLegacyAndFeedback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := apnstest.New(t)
		phone := p.NewPhone(t)
		sender := connect(t, p, p.LegacyAddr(apns.Sandbox))
		push := wire.LegacySimple{DeviceToken: phone.DeviceToken, Payload: apns.Payload(`{"aps":{"alert":"old"}}`)}.Append(nil)
		if _, err := sender.Write(push); err != nil {
			t.Fatal(err)
		}
		if n := phone.Receive(t); string(n.Payload) != `{"aps":{"alert":"old"}}` {
			t.Fatalf("got %s", n.Payload)
		}
		device, err := p.Registry.EnterDevice(t.Context(), phone.ID())
		if err != nil {
			t.Fatal(err)
		}
		at := apns.Address{Device: device, Environment: apns.Sandbox, Topic: apnstest.Topic.Hash()}
		if err := p.Registry.Remove(t.Context(), at, time.Now()); err != nil {
			t.Fatal(err)
		}
		if _, err := sender.Write(push); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := sender.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		list, err := io.ReadAll(connect(t, p, p.FeedbackAddr(apns.Sandbox)))
		if err != nil {
			t.Fatal(err)
		}
		tuple, n, err := wire.ParseFeedbackTuple(list)
		if err != nil || n != len(list) || tuple.DeviceToken != phone.DeviceToken {
			t.Errorf("feedback: got %x, %v, want one tuple with %v", list, err, phone.DeviceToken)
		}
	})
}

// newSender returns a sender that tries nothing again.
func newSender(t *testing.T, p *apnstest.Platform) *apnsclient.Sender {
	t.Helper()
	cfg := p.SenderConfig()
	cfg.Retry.Attempts = 1
	return apnstest.NewSender(t, cfg)
}

// TestFaults proves that a test can have the gateway fail by a plan.
func TestFaults(t *testing.T) {
	sim := faults.New(faults.Config{Logger: slog.New(slog.DiscardHandler)})
	p := apnstest.Config{Faults: sim}.New(t)
	phone, sender := p.NewPhone(t), newSender(t, p)
	plan, err := faults.Parse([]byte(`{"rules": [{"fault": "reject", "reason": "ServiceUnavailable", "limit": 1}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sim.Put(plan); err != nil {
		t.Fatal(err)
	}
	n := apns.Notification{Topic: apnstest.Topic, Payload: apns.Payload(`{"aps":{"alert":"x"}}`)}
	if _, err := sender.Push(t.Context(), phone.DeviceToken, n); !errors.Is(err, apns.Reject(apns.ServiceUnavailable, "")) {
		t.Errorf("first: got %v, want ServiceUnavailable", err)
	}
	if _, err := sender.Push(t.Context(), phone.DeviceToken, n); err != nil {
		t.Errorf("second: got %v, want nil", err)
	}
	phone.Receive(t)
}

// TestLimits proves that a test can meet the throttles of production.
func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := apnstest.Config{Limits: new(gateway.ProductionLimits())}.New(t)
		phone, sender := p.NewPhone(t), newSender(t, p)
		n := apns.Notification{Topic: apnstest.Topic, Payload: apns.Payload(`{"aps":{"alert":"x"}}`)}
		var last error
		for range 100 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			_, err := sender.Push(ctx, phone.DeviceToken, n)
			cancel()
			if last = err; err != nil {
				break
			}
		}
		if !errors.Is(last, apns.Reject(apns.TooManyRequests, "")) {
			t.Errorf("got %v, want TooManyRequests", last)
		}
	})
}
