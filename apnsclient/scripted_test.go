package apnsclient_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"testing"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/apnstest/scripted"
)

const phone = apns.DeviceToken("\x74\x0f\x47\x07\xbe\xbc\xf7\x4f")

var hello = apns.Notification{
	Topic: "com.example.demo", PushType: apns.PushTypeAlert, Payload: apns.Payload(`{"aps":{"alert":"Hello"}}`),
}

// config returns what a sender needs to reach g.
func config(tb testing.TB, g *scripted.Gateway) apnsclient.Config {
	tb.Helper()
	return apnsclient.Config{
		Environment: apns.Production, Host: g.Addr(), Dial: g.Dial, Roots: g.Roots(), ProviderTokens: newProviderTokens(tb),
	}
}

// newSender returns a sender that is closed when the test ends.
func newSender(tb testing.TB, cfg apnsclient.Config) *apnsclient.Sender {
	tb.Helper()
	s, err := apnsclient.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

func newProviderTokens(tb testing.TB) *apnsclient.ProviderTokens {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	tokens, err := apnsclient.NewProviderTokens("DEF123GHIJ", "ABC123DEFG", key)
	if err != nil {
		tb.Fatal(err)
	}
	return tokens
}
