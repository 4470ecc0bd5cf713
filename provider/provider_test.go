package provider

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/internal/memnet"
)

const topic = apns.Topic("com.example.demo")

var hello = apns.Notification{Payload: apns.Payload(`{"aps":{"alert":"Hello"}}`)}

// gateway answers pushes as it is told.
type gateway struct {
	network memnet.Network
	roots   *x509.CertPool

	mu     sync.Mutex
	answer string          // "status body"; empty accepts; guarded by mu
	during func()          // called before the answer; guarded by mu
	pushes []*http.Request // guarded by mu
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// newGateway serves one gateway under the name of each environment.
func newGateway(t *testing.T) *gateway {
	t.Helper()
	validity := credential.Validity{NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	key, serverKey := newKey(t), newKey(t)
	root, err := credential.NewRoot("Test Root", key, validity)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := credential.Authority{Certificate: root, Key: key}.IssueServer(
		credential.ServerProfile{DNSNames: []string{"sandbox.example.com", "production.example.com"}}, serverKey.Public(), validity)
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{roots: x509.NewCertPool()}
	g.roots.AddCert(root)
	srv := &http.Server{
		Handler: g,
		TLSConfig: &tls.Config{
			Certificates: []tls.Certificate{credential.Identity{Certificate: leaf, Key: serverKey}.TLS()},
			NextProtos:   []string{"h2"},
		},
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	var running sync.WaitGroup
	for _, e := range apns.Environments {
		l, err := g.network.Listen(e.String() + ".example.com:443")
		if err != nil {
			t.Fatal(err)
		}
		running.Go(func() {
			if err := srv.ServeTLS(net.Listener(l), "", ""); !errors.Is(err, http.ErrServerClosed) {
				t.Errorf("serving: %v", err)
			}
		})
	}
	t.Cleanup(func() {
		srv.Close()
		running.Wait()
	})
	return g
}

// ServeHTTP implements http.Handler.
func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pushes = append(g.pushes, r)
	if g.during != nil {
		g.during()
	}
	w.Header().Set("apns-id", r.Header.Get("apns-id"))
	var status int
	if _, err := fmt.Sscan(g.answer, &status); err != nil {
		return
	}
	_, body, _ := strings.Cut(g.answer, " ")
	w.WriteHeader(status)
	io.WriteString(w, body) //nolint:errcheck // the provider sees what comes
}

// set has g answer so from now on, after calling during.
func (g *gateway) set(answer string, during func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answer, g.during = answer, during
}

// last returns the path and topic of the last push, with the gateway's name.
func (g *gateway) last() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.pushes) == 0 {
		return "nothing"
	}
	r := g.pushes[len(g.pushes)-1]
	token, err := credential.ParseProviderToken(strings.TrimPrefix(r.Header.Get("authorization"), "bearer "))
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%s %s %s by %s", r.Host, r.URL.Path, r.Header.Get("apns-topic"), token.KeyID)
}

func (g *gateway) sender(t *testing.T, e apns.Environment, key apns.KeyID) *apnsclient.Sender {
	t.Helper()
	tokens, err := apnsclient.NewProviderTokens("ABCDE12345", key, newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	s, err := apnsclient.New(apnsclient.Config{
		Environment: e, Host: e.String() + ".example.com", Roots: g.roots, Dial: g.network.DialContext, ProviderTokens: tokens,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func newPushServer(t *testing.T, g *gateway) *PushServer {
	t.Helper()
	p, err := New(Config{Routes: []Route{{Sender: g.sender(t, apns.Sandbox, "KEY1111111")}}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func register(t *testing.T, p *PushServer, i Installation) {
	t.Helper()
	if err := p.Register(i); err != nil {
		t.Fatal(err)
	}
}

// installation returns what p knows of "i1".
func installation(t *testing.T, p *PushServer) Installation {
	t.Helper()
	i, err := p.Installation("i1")
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestRegister(t *testing.T) {
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	first := Installation{ID: "i1", DeviceToken: "\x01", Topic: topic, Environment: apns.Sandbox, RegisteredAt: at}
	with := func(f func(*Installation)) Installation {
		i := first
		f(&i)
		return i
	}
	renewed := with(func(i *Installation) { i.DeviceToken, i.RegisteredAt = "\x02", at.Add(time.Hour) })
	tests := []struct {
		name string
		in   []Installation
		want Installation
	}{
		{"once", []Installation{first}, first},
		{"twice", []Installation{first, first}, first},
		{"new device token", []Installation{first, renewed}, renewed},
		{"late", []Installation{renewed, first}, renewed},
		{
			"what only the provider knows is ignored",
			[]Installation{with(func(i *Installation) { i.Gone, i.Doubt = at, apns.BadDeviceToken })},
			first,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPushServer(t, newGateway(t))
			for _, i := range tt.in {
				register(t, p, i)
			}
			if d := cmp.Diff(tt.want, installation(t, p)); d != "" {
				t.Errorf("installation (-want +got):\n%s", d)
			}
		})
	}
}

func TestRegisterRefuses(t *testing.T) {
	good := Installation{ID: "i1", DeviceToken: "\x01", Topic: topic, Environment: apns.Sandbox}
	tests := []struct {
		name   string
		change func(*Installation)
		want   string
	}{
		{"no ID", func(i *Installation) { i.ID = "" }, "no ID"},
		{"long ID", func(i *Installation) { i.ID = InstallationID(strings.Repeat("x", 129)) }, "129 bytes"},
		{"no device token", func(i *Installation) { i.DeviceToken = "" }, "no device token"},
		{"long device token", func(i *Installation) { i.DeviceToken = apns.DeviceToken(make([]byte, 101)) }, "101 bytes"},
		{"topic", func(i *Installation) { i.Topic = "com..example" }, "topic"},
		{"environment", func(i *Installation) { i.Environment = 0 }, "no environment"},
	}
	p := newPushServer(t, newGateway(t))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			i := good
			tt.change(&i)
			if err := p.Register(i); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
			if _, err := p.Installation(i.ID); !errors.Is(err, ErrUnknownInstallation) {
				t.Errorf("got %v, want ErrUnknownInstallation", err)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	s := newGateway(t).sender(t, apns.Sandbox, "KEY1111111")
	tests := []struct {
		name   string
		routes []Route
		want   string
	}{
		{"nothing", nil, "no route"},
		{"no sender", []Route{{Sender: s}, {}}, "route 2 has no sender"},
		{"topic", []Route{{Sender: s, Topics: []apns.Topic{"a b"}}}, "route 1: topic"},
		{"the same twice", []Route{{Sender: s, Topics: []apns.Topic{topic}}, {Sender: s, Topics: []apns.Topic{topic}}}, "route 2: another route"},
		{"everything twice", []Route{{Sender: s}, {Sender: s}}, "route 2: another route"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := New(Config{Routes: tt.routes}); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestNotifyPicksTheCredential(t *testing.T) {
	g := newGateway(t)
	p, err := New(Config{Routes: []Route{
		{Sender: g.sender(t, apns.Sandbox, "SANDBOXALL")},
		{Sender: g.sender(t, apns.Production, "PRODDEMO00"), Topics: []apns.Topic{topic}},
		{Sender: g.sender(t, apns.Production, "PRODVOIP00"), Topics: []apns.Topic{topic + ".voip"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name        string
		topic       apns.Topic
		environment apns.Environment
		want        string // empty: no sender
	}{
		{"everything in the sandbox", "com.example.other", apns.Sandbox, "sandbox.example.com /3/device/ab com.example.other by SANDBOXALL"},
		{"the topic", topic, apns.Production, "production.example.com /3/device/ab com.example.demo by PRODDEMO00"},
		{"the topic before the app", topic + ".voip", apns.Production, "production.example.com /3/device/ab com.example.demo.voip by PRODVOIP00"},
		{"the app", topic + ".complication", apns.Production, "production.example.com /3/device/ab com.example.demo.complication by PRODDEMO00"},
		{"nobody", "com.example.other", apns.Production, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			register(t, p, Installation{ID: InstallationID(tt.name), DeviceToken: "\xab", Topic: tt.topic, Environment: tt.environment})
			receipt, err := p.Notify(t.Context(), InstallationID(tt.name), hello)
			if tt.want == "" {
				if !errors.Is(err, ErrNoSender) {
					t.Errorf("got %v, want ErrNoSender", err)
				}
				return
			}
			if err != nil || !receipt.ID.Valid() {
				t.Errorf("got %+v, %v", receipt, err)
			}
			if got := g.last(); got != tt.want {
				t.Errorf("got push %q, want %q", got, tt.want)
			}
		})
	}
}

func TestNotifyRefuses(t *testing.T) {
	g := newGateway(t)
	p := newPushServer(t, g)
	register(t, p, Installation{ID: "i1", DeviceToken: "\x01", Topic: topic, Environment: apns.Sandbox})
	if _, err := p.Notify(t.Context(), "i2", hello); !errors.Is(err, ErrUnknownInstallation) {
		t.Errorf("got %v, want ErrUnknownInstallation", err)
	}
	n := hello
	n.Topic = "com.example.other"
	if _, err := p.Notify(t.Context(), "i1", n); !errors.Is(err, ErrOtherTopic) {
		t.Errorf("got %v, want ErrOtherTopic", err)
	}
	if got := g.last(); got != "nothing" {
		t.Errorf("got push %q, want none", got)
	}
}

// What an answer says of the device token is remembered, unless the app has
// registered since.
func TestNotifyLearns(t *testing.T) {
	registered := time.Date(2026, 5, 1, 12, 0, 0, 500, time.UTC)
	gone := func(d time.Duration) string {
		return fmt.Sprintf(`410 {"reason":"Unregistered","timestamp":%d}`, registered.Add(d).UnixMilli())
	}
	base := Installation{ID: "i1", DeviceToken: "\x01", Topic: topic, Environment: apns.Sandbox, RegisteredAt: registered}
	with := func(f func(*Installation)) Installation {
		i := base
		f(&i)
		return i
	}
	again := with(func(i *Installation) { i.DeviceToken, i.RegisteredAt = "\x02", registered.Add(time.Hour) })
	tests := []struct {
		name   string
		answer string
		during *Installation // registered while the push is under way
		want   Installation
	}{
		{"accepted", "200", nil, base},
		{"gone", gone(time.Minute), nil, with(func(i *Installation) {
			i.DeviceToken, i.Gone = "", registered.Add(time.Minute).Truncate(time.Millisecond)
		})},
		{"gone in the same millisecond", gone(0), nil, with(func(i *Installation) {
			i.DeviceToken, i.Gone = "", registered.Truncate(time.Millisecond)
		})},
		{"gone before it was registered", gone(-time.Minute), nil, base},
		{"gone, registered anew meanwhile", gone(time.Minute), &again, again},
		{"bad", `400 {"reason":"BadDeviceToken"}`, nil, with(func(i *Installation) { i.Doubt = apns.BadDeviceToken })},
		{"other topic", `400 {"reason":"DeviceTokenNotForTopic"}`, nil, with(func(i *Installation) { i.Doubt = apns.DeviceTokenNotForTopic })},
		{"bad, registered anew meanwhile", `400 {"reason":"BadDeviceToken"}`, &again, again},
		{"about the credential", `400 {"reason":"TopicDisallowed"}`, nil, base},
		{"overloaded", `503 {"reason":"ServiceUnavailable"}`, nil, base},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := newGateway(t)
			p := newPushServer(t, g)
			register(t, p, base)
			var during func()
			if tt.during != nil {
				during = func() { register(t, p, *tt.during) }
			}
			g.set(tt.answer, during)
			_, err := p.Notify(t.Context(), "i1", hello)
			var refused *apns.Rejection
			if accepted := strings.HasPrefix(tt.answer, "200"); accepted != (err == nil) || accepted == errors.As(err, &refused) {
				t.Errorf("got %v for %s", err, tt.answer)
			}
			if d := cmp.Diff(tt.want, installation(t, p)); d != "" {
				t.Errorf("installation (-want +got):\n%s", d)
			}
		})
	}
}

// A device token that is gone is not pushed to again, until the app registers.
func TestGoneUntilRegistered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		p := newPushServer(t, g)
		first := Installation{ID: "i1", DeviceToken: "\x01", Topic: topic, Environment: apns.Sandbox, RegisteredAt: time.Now()}
		register(t, p, first)
		time.Sleep(time.Minute)
		g.set(`410 {"reason":"Unregistered"}`, nil) // without a timestamp
		if _, err := p.Notify(t.Context(), "i1", hello); !errors.Is(err, apns.Reject(apns.Unregistered, "")) {
			t.Fatalf("got %v, want Unregistered", err)
		}
		if got := installation(t, p).Gone; !got.Equal(time.Now()) {
			t.Errorf("got gone at %v, want %v", got, time.Now())
		}
		g.set("200", nil)
		notify := func(want error) {
			t.Helper()
			if _, err := p.Notify(t.Context(), "i1", hello); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		}
		notify(ErrGone)
		register(t, p, first) // sent twice, and late
		notify(ErrGone)
		time.Sleep(time.Minute)
		first.RegisteredAt, first.DeviceToken = time.Now(), "\x02"
		register(t, p, first)
		notify(nil)
	})
}

func TestDoubtEndsWithAnAcceptedPush(t *testing.T) {
	g := newGateway(t)
	p := newPushServer(t, g)
	register(t, p, Installation{ID: "i1", DeviceToken: "\x01", Topic: topic, Environment: apns.Sandbox})
	for _, step := range []struct {
		answer string
		want   apns.Reason
	}{{`400 {"reason":"BadDeviceToken"}`, apns.BadDeviceToken}, {`503 {"reason":"Shutdown"}`, apns.BadDeviceToken}, {"200", ""}} {
		g.set(step.answer, nil)
		if _, err := p.Notify(t.Context(), "i1", hello); (err == nil) != (step.answer == "200") {
			t.Errorf("got %v for %s", err, step.answer)
		}
		if got := installation(t, p).Doubt; got != step.want {
			t.Errorf("after %s: got doubt %q, want %q", step.answer, got, step.want)
		}
	}
}

// A push that ends without an answer says nothing of the device token.
func TestNoAnswerTeachesNothing(t *testing.T) {
	g := newGateway(t)
	p := newPushServer(t, g)
	register(t, p, Installation{ID: "i1", DeviceToken: "\x01", Topic: topic, Environment: apns.Sandbox})
	before := installation(t, p)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var unsent *apnsclient.UnsentError
	if _, err := p.Notify(ctx, "i1", hello); !errors.As(err, &unsent) {
		t.Errorf("got %v, want an UnsentError", err)
	}
	if d := cmp.Diff(before, installation(t, p)); d != "" {
		t.Errorf("installation (-want +got):\n%s", d)
	}
}
