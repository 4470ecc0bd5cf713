package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sideshow/apns2"
	"github.com/sideshow/apns2/token"
	"golang.org/x/net/http2"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/provider"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/api"
	"github.com/heraldpush/herald/provider/outbox"
	"github.com/heraldpush/herald/store/memory"
	"github.com/heraldpush/herald/store/pebble"
)

// TestProvider has sideshow/apns2 push to a provider: as its documentation has it,
// with nothing changed but the address, and the environment in that.
func TestProvider(t *testing.T) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	book, err := account.Open(t.Context(), account.Config{Store: memory.NewAccount()})
	must(err)
	o, err := pebble.OpenOutboxInMemory()
	must(err)
	t.Cleanup(func() { must(o.Close()) })
	logger := slog.New(slog.DiscardHandler)
	pushServer, err := provider.New(provider.Config{Book: book, Audience: memory.NewAudience(), Outbox: o, Archive: memory.NewArchive(), Logger: logger})
	must(err)
	handler, err := api.New(api.Config{Server: pushServer, Book: book, Logger: logger})
	must(err)
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)

	const topic, team, keyID = "com.example.shop", "ABCDE12345", "2X9R4HXF34"
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	p8, err := credential.MarshalP8(key)
	must(err)
	_, err = book.CreateApp(t.Context(), account.AppSpec{ID: "shop", BundleID: topic})
	must(err)
	_, err = book.Upload(t.Context(), "shop", account.Upload{File: p8, TeamID: team, KeyID: keyID})
	must(err)

	authKey, err := token.AuthKeyFromBytes(p8)
	must(err)
	client := apns2.NewTokenClient(&token.Token{AuthKey: authKey, KeyID: keyID, TeamID: team})
	transport, ok := client.HTTPClient.Transport.(*http2.Transport) //nolint:staticcheck // the library has it
	if !ok {
		t.Fatal("sideshow/apns2 does not use the transport that it did")
	}
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	transport.TLSClientConfig = &tls.Config{RootCAs: roots} //nolint:staticcheck // the same
	t.Cleanup(client.CloseIdleConnections)

	const id, deviceToken = "eabeae54-14a8-11e5-b60b-1697f925ec7b", "00fe00fe00fe00fe00fe00fe00fe00fe"
	push := func(n apns2.Notification) *apns2.Response {
		t.Helper()
		got, err := client.PushWithContext(t.Context(), &n)
		must(err)
		return got
	}
	for base, e := range map[string]apns.Environment{"": apns.Production, "/sandbox": apns.Sandbox} {
		client.Host = server.URL + base
		n := apns2.Notification{
			DeviceToken: deviceToken, ApnsID: id, Topic: topic, PushType: apns2.PushTypeAlert, CollapseID: "c",
			Priority: apns2.PriorityHigh, Expiration: time.Now().Add(time.Hour), Payload: []byte(`{"aps":{"alert":"by sideshow"}}`),
		}
		if got := push(n); !got.Sent() || got.ApnsID != id {
			t.Errorf("%v: got %+v", e, got)
		}
		n.ApnsID = ""
		if got := push(n); !got.Sent() || !apns.NotificationID(got.ApnsID).Valid() {
			t.Errorf("%v, without an ID: got %+v", e, got)
		}
		n.Topic = "com.example.other"
		if got := push(n); got.StatusCode != 400 || got.Reason != apns2.ReasonTopicDisallowed {
			t.Errorf("%v, another topic: got %+v", e, got)
		}
		n.Topic, n.Payload = topic, []byte(`{"aps":{"alert":"`+strings.Repeat("x", 4096)+`"}}`)
		if got := push(n); got.StatusCode != 413 || got.Reason != apns2.ReasonPayloadTooLarge {
			t.Errorf("%v, too large: got %+v", e, got)
		}
	}
	queues, _, err := o.Ready(t.Context(), time.Now())
	must(err)
	app, err := book.App("shop")
	must(err)
	if len(queues) != 1 || queues[0] != (outbox.Queue{Lane: outbox.Ordinary, App: app.Number}) {
		t.Fatalf("got queues %+v", queues)
	}
	claims, err := o.Claim(t.Context(), outbox.Wanted{Queue: queues[0], Shards: 10, Members: 10, Until: time.Now().Add(time.Minute)}, time.Now())
	must(err)
	count := make(map[apns.Environment]int)
	for _, c := range claims {
		if c.Shard.Listed[0].DeviceToken.Hex() == deviceToken && c.Message.Notification.CollapseID == "c" {
			count[c.Shard.Listed[0].Environment]++
		}
	}
	if count[apns.Production] != 2 || count[apns.Sandbox] != 2 {
		t.Errorf("got %v to send", count)
	}
}
