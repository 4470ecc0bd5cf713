package provider_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/apnstest/scripted"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/provider"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/event"
	"github.com/heraldpush/herald/provider/outbox"
	"github.com/heraldpush/herald/store/memory"
	"github.com/heraldpush/herald/store/pebble"
	"github.com/heraldpush/herald/trace"
)

const (
	shop     account.AppID = "shop"
	bundleID apns.Topic    = "com.example.shop"
	team     apns.TeamID   = "ABCDE12345"
)

// hello is a payload.
var hello = apns.Payload(`{"aps":{"alert":"Hello"}}`)

// world is a push server before a gateway that does as it is told, in a bubble.
type world struct {
	t *testing.T
	*provider.PushServer
	gateway  *scripted.Gateway
	book     *account.Book
	audience audience.Store
	outbox   outbox.Store
	events   *event.Log
}

// play calls f with a world in which the app shop is entered, without a credential.
func play(t *testing.T, f func(w *world)) {
	t.Helper()
	playWith(t, func(*provider.Config) {}, f)
}

// playWith is play with a push server that is configured otherwise.
func playWith(t *testing.T, change func(*provider.Config), f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, gateway: scripted.New(t), audience: memory.NewAudience()}
		o, err := pebble.OpenOutboxInMemory()
		w.must(err)
		defer func() { w.must(o.Close()) }()
		w.outbox = o
		reach := func(apns.Environment) apnsclient.Config {
			return apnsclient.Config{Host: scripted.Name, Roots: w.gateway.Roots(), Dial: w.gateway.Dial}
		}
		w.events, err = event.OpenLog(t.Context(), memory.NewEvent())
		w.must(err)
		w.book, err = account.Open(t.Context(), account.Config{
			Store: memory.NewAccount(), Checker: provider.NewChecker(reach), Turned: w.events.Turned,
		})
		w.must(err)
		record, err := trace.Open(trace.Config{})
		w.must(err)
		defer record.Close()
		cfg := provider.Config{
			Book: w.book, Audience: w.audience, Outbox: w.outbox, Archive: memory.NewArchive(),
			Gateway: reach, Trace: record, Events: w.events, Logger: slog.New(slog.DiscardHandler),
		}
		change(&cfg)
		w.PushServer, err = provider.New(cfg)
		w.must(err)
		w.app(shop, bundleID)
		f(w)
	})
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// app enters an app.
func (w *world) app(id account.AppID, bundleID apns.Topic) {
	w.t.Helper()
	_, err := w.book.CreateApp(w.t.Context(), account.AppSpec{ID: id, BundleID: bundleID})
	w.must(err)
}

// key uploads a new provider key for shop.
func (w *world) key(id apns.KeyID) account.Credential {
	w.t.Helper()
	return w.upload(shop, account.Upload{File: w.p8(), TeamID: team, KeyID: id})
}

func (w *world) p8() []byte {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.must(err)
	p8, err := credential.MarshalP8(key)
	w.must(err)
	return p8
}

func (w *world) upload(app account.AppID, u account.Upload) account.Credential {
	w.t.Helper()
	c, err := w.book.Upload(w.t.Context(), app, u)
	w.must(err)
	return c
}

// run runs the push server while f is called.
func (w *world) run(f func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error)
	go func() { ended <- w.Run(ctx) }()
	f()
	cancel()
	w.must(<-ended)
}

// register enters an installation with a device token in the sandbox.
func (w *world) register(app account.AppID, id audience.InstallationID, t apns.DeviceToken) {
	w.t.Helper()
	_, _, err := w.Register(w.t.Context(), app, id, audience.Registration{
		DeviceTokens: []audience.RegisteredToken{{Environment: "sandbox", Value: t.Hex()}},
		Person:       map[string]string{"external_id": "u-" + string(id)},
	})
	w.must(err)
}

// crowd enters n installations of shop, "i0" and on, and returns their IDs.
func (w *world) crowd(n int) (all []audience.InstallationID) {
	w.t.Helper()
	for i := range n {
		all = append(all, audience.InstallationID(fmt.Sprintf("i%d", i)))
		w.register(shop, all[i], tokenOf(i))
	}
	return all
}

// tokenOf is the device token of the nth of a crowd.
func tokenOf(n int) apns.DeviceToken {
	return apns.DeviceToken(fmt.Sprintf("%032d", n))
}

// send sends hello to installations.
func (w *world) send(app account.AppID, to ...audience.InstallationID) outbox.MessageID {
	w.t.Helper()
	return w.order(app, provider.Order{To: provider.Recipients{Installations: to}, Notification: apns.Notification{Payload: hello}})
}

func (w *world) order(app account.AppID, o provider.Order) outbox.MessageID {
	w.t.Helper()
	sent, err := w.Send(w.t.Context(), app, o)
	w.must(err)
	return sent.Message.ID
}

// ended returns a message when it has come to its end, and fails if that takes
// longer than two days.
func (w *world) ended(app account.AppID, id outbox.MessageID) outbox.Message {
	w.t.Helper()
	for range 2 * 24 * 60 * 60 {
		m, err := w.Message(w.t.Context(), app, id)
		w.must(err)
		if m.State.Ended() {
			return m
		}
		time.Sleep(time.Second)
	}
	w.t.Fatalf("message %v has not ended", id)
	return outbox.Message{}
}

// says fails if the counts of a message are not as wanted: "accepted rejected
// expired pending".
func (w *world) says(m outbox.Message, want string) {
	w.t.Helper()
	r := m.Counts.Receipts
	got := fmt.Sprint(r[outbox.Accepted], r[outbox.Rejected], r[outbox.Expired], r[outbox.Pending])
	if got != want {
		w.t.Errorf("message %v (%v): got %s accepted, rejected, expired, pending, want %s", m.ID, m.State, got, want)
	}
}

// signers lists the signers of the pushes that arrived, with "+" where one was the
// last one's too.
func (w *world) signers() string {
	var b strings.Builder
	last := ""
	for _, p := range w.gateway.Pushes() {
		by := signer(p)
		if by == last {
			b.WriteString("+")
			continue
		}
		if last = by; b.Len() > 0 {
			b.WriteString(" ")
		}
		b.WriteString(by)
	}
	return b.String()
}

// signer returns the key ID of the provider token of a push, or "certificate".
func signer(p scripted.Push) string {
	t, err := credential.ParseProviderToken(strings.TrimPrefix(p.Value("authorization"), "bearer "))
	if err != nil {
		return "certificate"
	}
	return string(t.KeyID)
}

// identity issues a push certificate.
func (w *world) identity(id apns.Topic, until time.Time) credential.Identity {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.must(err)
	began := time.Now().Add(-time.Hour)
	root, err := credential.NewRoot("Test Root", key, credential.Validity{NotBefore: began, NotAfter: began.AddDate(20, 0, 0)})
	w.must(err)
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.must(err)
	cert, err := credential.Authority{Certificate: root, Key: key}.IssuePush(
		credential.PushProfile{Kind: credential.PushUniversal, BundleID: id, TeamID: team, Organization: "Example"},
		own.Public(), credential.Validity{NotBefore: began, NotAfter: until})
	w.must(err)
	return credential.Identity{Certificate: cert, Key: own}
}
