package api

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
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
	"github.com/heraldpush/herald/provider/outbox"
	"github.com/heraldpush/herald/store/memory"
	"github.com/heraldpush/herald/store/pebble"
	"github.com/heraldpush/herald/trace"
)

const (
	team  apns.TeamID = "ABCDE12345"
	keyID apns.KeyID  = "2X9R4HXF34"
)

// sending is a world that can send: in a bubble, with a gateway that does as it is
// told, and a key of the app.
type sending struct {
	*world
	t       *testing.T
	gateway *scripted.Gateway
	outbox  outbox.Store
	key     *ecdsa.PrivateKey
}

// playSending calls f with a world that can send.
func playSending(t *testing.T, f func(w *sending)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &sending{world: newWorld(t, nil), t: t, gateway: scripted.New(t)}
		w.open(func(e apns.Environment) apnsclient.Config {
			return apnsclient.Config{Host: scripted.Name, Roots: w.gateway.Roots(), Dial: w.gateway.Dial}
		})
		f(w)
	})
}

// open makes the push server.
func (w *sending) open(reach provider.Gateway) {
	w.t.Helper()
	o, err := pebble.OpenOutboxInMemory()
	w.must(err)
	w.t.Cleanup(func() { w.must(o.Close()) })
	w.outbox = o
	w.serve(w.config(reach))
	w.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.must(err)
	w.upload(shop)
}

// config is that of a push server over the outbox of w.
func (w *sending) config(reach provider.Gateway) provider.Config {
	w.t.Helper()
	record, err := trace.Open(trace.Config{})
	w.must(err)
	w.t.Cleanup(record.Close)
	return provider.Config{
		Book: w.book, Audience: memory.NewAudience(), Outbox: w.outbox, Archive: memory.NewArchive(), Gateway: reach, Trace: record, Logger: slog.New(slog.DiscardHandler),
	}
}

// serve has the API be that of another push server.
func (w *sending) serve(cfg provider.Config) {
	w.t.Helper()
	var err error
	w.server, err = provider.New(cfg)
	w.must(err)
	w.API.server = w.server
}

// upload uploads the key to an app.
func (w *sending) upload(app account.AppID) account.Credential {
	w.t.Helper()
	p8, err := credential.MarshalP8(w.key)
	w.must(err)
	c, err := w.book.Upload(w.t.Context(), app, account.Upload{File: p8, TeamID: team, KeyID: keyID})
	w.must(err)
	return c
}

func (w *sending) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// run sends while f is called, and until nothing is left to do.
func (w *sending) run(f func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.server.Run(ctx) }()
	f()
	cancel()
	w.must(<-ended)
}

// register enters an installation of shop with a device token in the sandbox; its
// person is "u-" and the ID.
func (w *sending) register(id audience.InstallationID, tags ...string) apns.DeviceToken {
	w.t.Helper()
	t := apns.DeviceToken(fmt.Sprintf("%-32s", id))
	_, _, err := w.server.Register(w.t.Context(), shop, id, audience.Registration{
		DeviceTokens: []audience.RegisteredToken{{Environment: "sandbox", Value: t.Hex()}},
		Person:       map[string]string{"external_id": "u-" + string(id)}, Tags: tags,
	})
	w.must(err)
	return t
}

const shopMessages = "/v1/apps/shop/messages"

// send sends a message and returns it.
func (w *sending) send(body string) (m Message) {
	w.t.Helper()
	got := w.do(w.t, http.MethodPost, shopMessages, body)
	if got.status != http.StatusAccepted {
		w.t.Fatalf("got %s", got.said())
	}
	got.into(w.t, &m)
	if at := got.header.Get("Location"); at != shopMessages+"/"+m.ID.String() || at != m.Links["self"] {
		w.t.Fatalf("got Location %q", at)
	}
	return m
}

// stored returns all that was ever put into the outbox and is there.
func (w *sending) stored() (all []outbox.Message) {
	w.t.Helper()
	ctx, far := w.t.Context(), time.Now().Add(1000*24*time.Hour)
	queues, _, err := w.outbox.Ready(ctx, far)
	w.must(err)
	ids := make(map[outbox.MessageID]bool)
	for _, q := range queues {
		claims, err := w.outbox.Claim(ctx, outbox.Wanted{Queue: q, Shards: 1000, Members: 1 << 20, Until: far.Add(time.Minute)}, far)
		w.must(err)
		for _, c := range claims {
			ids[c.Message.ID] = true
		}
	}
	due, _, err := w.outbox.Due(ctx, far, 1000)
	w.must(err)
	ended, err := w.outbox.Ended(ctx, far, 1000)
	w.must(err)
	for _, m := range slices.Concat(due, ended) {
		ids[m.ID] = true
	}
	for id := range ids {
		m, err := w.outbox.Message(ctx, id)
		w.must(err)
		all = append(all, m)
	}
	return all
}

// faultsOf lists the faults in a problem: "pointer code", and by how much.
func faultsOf(t *testing.T, got *reply) string {
	t.Helper()
	var p Problem
	got.into(t, &p)
	var all []string
	for _, f := range p.Errors {
		at := f.Parameter
		if f.Pointer != nil {
			at = *f.Pointer
		}
		if s := strings.TrimSpace(at + " " + f.Code); f.OverBy > 0 {
			all = append(all, fmt.Sprintf("%s by %d", s, f.OverBy))
		} else {
			all = append(all, s)
		}
	}
	return strings.Join(all, ", ")
}

// messageIDs are the IDs of messages in answers.
var messageIDs = regexp.MustCompile(`msg_[0-9A-Z]{26}`)

// unnamed is what was said, with "msg_" for each ID of a message.
func unnamed(got *reply) string { return messageIDs.ReplaceAllString(got.said(), "msg_") }
