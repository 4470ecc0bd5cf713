package pain

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
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
)

// The app that most scenes have.
const (
	shop     account.AppID = "shop"
	bundleID apns.Topic    = "com.example.shop"
	team     apns.TeamID   = "ABCDE12345"
)

// scene is a push server with what is around it: stores in memory, and a gateway for
// each environment that does as it is told.
type scene struct {
	*testing.T
	production, sandbox *scripted.Gateway
	book                *account.Book
	accounts            *memory.Account
	audience            audience.Store
	outbox              outbox.Store
	archive             outbox.Archive
	mu                  *sync.Mutex
	server              *provider.PushServer // the last that was made; where several are, guarded by mu
	logs                *logs
	tokens              map[account.AppID]map[audience.InstallationID]apns.DeviceToken
}

// play plays a scene, in a bubble.
func play(t *testing.T, f func(s *scene)) {
	t.Helper()
	playWith(t, scripted.Config{}, f)
}

// playWith plays one with other gateways.
func playWith(t *testing.T, g scripted.Config, f func(s *scene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o, err := pebble.OpenOutboxInMemory()
		if err != nil {
			t.Fatal(err)
		}
		s := &scene{
			T: t, production: g.New(t), sandbox: g.New(t), accounts: memory.NewAccount(), audience: memory.NewAudience(), outbox: o,
			archive: memory.NewArchive(), mu: new(sync.Mutex), logs: new(logs), tokens: make(map[account.AppID]map[audience.InstallationID]apns.DeviceToken),
		}
		if s.book, err = account.Open(t.Context(), account.Config{Store: s.accounts}); err != nil {
			t.Fatal(err)
		}
		s.app(shop, bundleID, team)
		defer func() {
			if err := s.outbox.Close(); err != nil {
				t.Error(err)
			}
		}()
		f(s)
	})
}

// reach is the provider.Gateway of a scene.
func (s *scene) reach(e apns.Environment) apnsclient.Config {
	g := s.production
	if e == apns.Sandbox {
		g = s.sandbox
	}
	return apnsclient.Config{Dial: g.Dial, Roots: g.Roots()}
}

// start makes a push server of what there is, and runs it until ctx ends. What it
// ended with is sent.
func (s *scene) start(ctx context.Context) <-chan error {
	s.Helper()
	ended := make(chan error, 1)
	p, err := provider.New(provider.Config{
		Book: s.book, Audience: s.audience, Outbox: s.outbox, Archive: s.archive, Gateway: s.reach,
		Logger: slog.New(slog.NewTextHandler(s.logs, nil)),
	})
	if err != nil {
		s.Error(err)
		ended <- err
		return ended
	}
	s.mu.Lock()
	s.server = p
	s.mu.Unlock()
	go func() { ended <- p.Run(ctx) }()
	return ended
}

// run is start until stop is called, which returns the error.
func (s *scene) run() (stop func() error) {
	s.Helper()
	ctx, cancel := context.WithCancel(s.Context())
	ended := s.start(ctx)
	return func() error {
		cancel()
		return <-ended
	}
}

// current returns the last push server that was made.
func (s *scene) current() *provider.PushServer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.server
}

// running calls f while a push server runs, which is to end without an error.
func (s *scene) running(f func()) {
	s.Helper()
	stop := s.run()
	defer func() {
		if err := stop(); err != nil {
			s.Errorf("the push server ended with %v", err)
		}
	}()
	f()
}

// app enters an app, with a key of a team. The keys of a team are the same.
func (s *scene) app(id account.AppID, bundle apns.Topic, of apns.TeamID) {
	s.Helper()
	s.bare(id, bundle)
	p8, err := credential.MarshalP8(keyOf(of))
	if err != nil {
		s.Fatal(err)
	}
	s.upload(id, account.Upload{File: p8, TeamID: of, KeyID: apns.KeyID(of)})
}

// bare enters an app without a credential.
func (s *scene) bare(id account.AppID, bundle apns.Topic) {
	s.Helper()
	if _, err := s.book.CreateApp(s.Context(), account.AppSpec{ID: id, BundleID: bundle}); err != nil {
		s.Fatal(err)
	}
	s.tokens[id] = make(map[audience.InstallationID]apns.DeviceToken)
}

func (s *scene) upload(id account.AppID, u account.Upload) account.Credential {
	s.Helper()
	c, err := s.book.Upload(s.Context(), id, u)
	if err != nil {
		s.Fatal(err)
	}
	return c
}

var (
	keysMu sync.Mutex
	keys   = make(map[apns.TeamID]*ecdsa.PrivateKey) // guarded by keysMu
)

// keyOf returns the key of a team.
func keyOf(of apns.TeamID) *ecdsa.PrivateKey {
	keysMu.Lock()
	defer keysMu.Unlock()
	if keys[of] == nil {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		keys[of] = key
	}
	return keys[of]
}

// installation returns the ID of an installation by its number.
func installation(n int) audience.InstallationID { return audience.InstallationID(fmt.Sprint("i", n)) }

// deviceToken returns the device token of an app's installation by its number.
func deviceToken(app account.AppID, n int) apns.DeviceToken {
	token := make([]byte, 32)
	copy(token, app)
	binary.BigEndian.PutUint32(token[28:], uint32(n))
	return apns.DeviceToken(token)
}

// register registers the installations of an app with the numbers from first on, n
// of them, each with a device token of the production environment.
func (s *scene) register(app account.AppID, first, n int) {
	s.Helper()
	a, err := s.book.App(app)
	if err != nil {
		s.Fatal(err)
	}
	for i := first; i < first+n; i++ {
		token := deviceToken(app, i)
		r := audience.Registration{DeviceTokens: []audience.RegisteredToken{{Environment: "production", Value: token.Hex()}}}
		_, err := s.audience.Change(s.Context(), a.Number, installation(i), func(was audience.Installation) (audience.Installation, bool, error) {
			return was.Register(r, time.Now())
		})
		if err != nil {
			s.Fatal(err)
		}
		s.tokens[app][installation(i)] = token
	}
}

// standing returns what has become of the device token of an installation.
func (s *scene) standing(app account.AppID, n int) audience.Standing {
	s.Helper()
	i, err := s.server.Installation(s.Context(), app, installation(n))
	if err != nil {
		s.Fatal(err)
	}
	return i.Destinations[0].Standing
}

// hello is what is sent.
var hello = apns.Notification{PushType: apns.PushTypeAlert, Payload: apns.Payload(`{"aps":{"alert":"Hello"}}`)}

// toSome is an order to the first n installations.
func toSome(n int) provider.Order {
	o := provider.Order{Notification: hello}
	for i := range n {
		o.To.Installations = append(o.To.Installations, installation(i))
	}
	return o
}

func (s *scene) send(app account.AppID, o provider.Order) outbox.MessageID {
	s.Helper()
	sent, err := s.current().Send(s.Context(), app, o)
	if err != nil {
		s.Fatal(err)
	}
	return sent.Message.ID
}

func (s *scene) message(app account.AppID, id outbox.MessageID) outbox.Message {
	s.Helper()
	m, err := s.current().Message(s.Context(), app, id)
	if err != nil {
		s.Fatal(err)
	}
	return m
}

// patience is how long the scenes wait for a message: longer than any is tried.
const patience = 25 * time.Hour

// until waits for a state of a message.
func (s *scene) until(app account.AppID, id outbox.MessageID, is func(outbox.Message) bool) outbox.Message {
	s.Helper()
	pause := 50 * time.Millisecond
	for began := time.Now(); ; time.Sleep(pause) {
		m := s.message(app, id)
		if is(m) {
			return m
		}
		pause = min(pause*5/4, 2*time.Second)
		if time.Since(began) > patience {
			s.Fatalf("the message is %v after %v: %+v", m.State, patience, m.Status)
		}
	}
}

// ended waits until messages have ended, and returns the last.
func (s *scene) ended(app account.AppID, ids ...outbox.MessageID) (m outbox.Message) {
	s.Helper()
	for _, id := range ids {
		m = s.until(app, id, func(m outbox.Message) bool { return m.State.Ended() })
	}
	return m
}

// accepted fails unless a message was accepted for so many, and is done.
func (s *scene) accepted(m outbox.Message, want int) {
	s.Helper()
	if m.State != outbox.StateDone || m.Counts.Targeted != want || m.Counts.Receipts[outbox.Accepted] != want {
		s.Errorf("got %+v, want it done and accepted for %d", m.Status, want)
	}
}

// sentOnce fails unless the gateway processed each notification that is meant
// (keyed by device token and apns-id) and no other. It returns how many of them came
// to it more than once, under the same apns-id, by which a push service that is
// Herald's knows them again: none of them is shown twice.
func (s *scene) sentOnce(g *scripted.Gateway, meant map[scripted.Key]bool) (again int) {
	s.Helper()
	processed := g.Processed()
	lost := 0
	for k := range meant {
		if processed[k] == 0 {
			lost++
		}
	}
	strange := 0
	for k, n := range processed {
		if !meant[k] {
			strange++
		}
		if n > 1 {
			again++
		}
	}
	if lost > 0 || strange > 0 {
		s.Errorf("of %d notifications %d were lost, and %d others were sent", len(meant), lost, strange)
	}
	return again
}

// meant adds what a message for the first n installations of the shop is.
func (s *scene) meant(all map[scripted.Key]bool, id outbox.MessageID, n int) {
	for i := range n {
		token := deviceToken(shop, i)
		all[scripted.Key{DeviceToken: token, ID: outbox.NotificationID(id, apns.Production, token)}] = true
	}
}

// logs is what a push server has logged.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

// Write implements io.Writer.
func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// count returns how many times a text was logged.
func (l *logs) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Count(l.text.Bytes(), []byte(text))
}

// faults returns what is wrong by an error, as "pointer code" each.
func faults(err error) (all []string) {
	if e, ok := errors.AsType[*audience.InvalidError](err); ok {
		for _, f := range e.Faults {
			all = append(all, f.Pointer+" "+string(f.Code))
		}
	}
	return all
}

// toTokens is an order to device tokens.
func toTokens(e apns.Environment, tokens ...string) provider.Order {
	o := provider.Order{Notification: hello}
	for _, token := range tokens {
		o.To.DeviceTokens = append(o.To.DeviceTokens, outbox.Addressee{Environment: e, DeviceToken: apns.DeviceToken(token)})
	}
	return o
}
