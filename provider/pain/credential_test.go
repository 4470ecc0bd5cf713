package pain

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnstest/scripted"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/outbox"
)

// providerToken is what a push says of who sends it.
type providerToken struct {
	text   string
	Key    apns.KeyID  `json:"kid"`
	Team   apns.TeamID `json:"iss"`
	Issued int64       `json:"iat"`
}

// providerTokenOf reads that of a push.
func providerTokenOf(p scripted.Push) (pt providerToken, err error) {
	text, ok := strings.CutPrefix(p.Value("authorization"), "bearer ")
	parts := strings.Split(text, ".")
	if !ok || len(parts) != 3 {
		return pt, fmt.Errorf("push %d has no provider token", p.Number)
	}
	pt.text = text
	for _, part := range parts[:2] {
		b, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil {
			return pt, err
		}
		if err := json.Unmarshal(b, &pt); err != nil {
			return pt, err
		}
	}
	return pt, nil
}

// pem issues a push certificate for an app that is good until a time, as a file.
func (s *scene) pem(bundle apns.Topic, until time.Time) []byte {
	s.Helper()
	from := time.Now().Add(-time.Hour)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.Fatal(err)
	}
	root, err := credential.NewRoot("Test Root", key, credential.Validity{NotBefore: from, NotAfter: from.AddDate(20, 0, 0)})
	if err != nil {
		s.Fatal(err)
	}
	cert, err := credential.Authority{Certificate: root, Key: key}.IssuePush(
		credential.PushProfile{Kind: credential.PushUniversal, BundleID: bundle, TeamID: team, Organization: "Example"},
		key.Public(), credential.Validity{NotBefore: from, NotAfter: until})
	if err != nil {
		s.Fatal(err)
	}
	b, err := credential.Identity{Certificate: cert, Key: key}.MarshalPEM()
	if err != nil {
		s.Fatal(err)
	}
	return b
}

// Many apps of many teams send from one process, each with its own credential; apps
// that share a key share what is signed with it.
func TestPain06ManyApps(t *testing.T) {
	play(t, func(s *scene) {
		const n = 300
		teams := map[account.AppID]apns.TeamID{shop: team}
		s.register(shop, 0, n)
		for i := range 8 {
			id, of := account.AppID(fmt.Sprint("app", i)), apns.TeamID(fmt.Sprint("TEAM00000", i%4))
			s.app(id, apns.Topic("com.example."+id), of)
			s.register(id, 0, n)
			teams[id] = of
		}
		s.bare("old", "com.example.old")
		s.upload("old", account.Upload{File: s.pem("com.example.old", time.Now().AddDate(1, 0, 0))})
		s.register("old", 0, n)
		s.running(func() {
			ids := make(map[account.AppID]outbox.MessageID)
			for id := range s.tokens {
				ids[id] = s.send(id, toSome(n))
			}
			for id, m := range ids {
				s.accepted(s.ended(id, m), n)
			}
		})
		of := make(map[apns.DeviceToken]account.AppID)
		for id, tokens := range s.tokens {
			for _, token := range tokens {
				of[token] = id
			}
		}
		signed := make(map[apns.TeamID]map[string]bool)
		for _, p := range s.production.Pushes() {
			app := of[p.DeviceToken]
			topic := "com.example." + string(app)
			if app == "old" {
				if p.Value("authorization") != "" {
					s.Error("a push with a certificate has a provider token")
				}
			} else {
				token, err := providerTokenOf(p)
				if err != nil || token.Team != teams[app] || token.Key != apns.KeyID(teams[app]) {
					s.Fatalf("%s: got %+v, %v", app, token, err)
				}
				if signed[token.Team] == nil {
					signed[token.Team] = make(map[string]bool)
				}
				signed[token.Team][token.text] = true
			}
			if got := p.Value("apns-topic"); got != topic {
				s.Fatalf("%s: got the topic %q", app, got)
			}
		}
		for of, tokens := range signed {
			if len(tokens) != 1 {
				s.Errorf("team %s sent %d provider tokens, want one", of, len(tokens))
			}
		}
		if got := s.production.Counts(); got.Processed != n*len(s.tokens) || got.Doubled != 0 {
			s.Errorf("got %+v", got)
		}
	})
}

// A certificate expires. Its app's messages wait, which is said; no other app waits
// for them; and with the next certificate they go.
func TestPain16ExpiredCertificate(t *testing.T) {
	play(t, func(s *scene) {
		const old, n = account.AppID("old"), 500
		s.bare(old, "com.example.old")
		end := time.Now().Add(40 * time.Minute)
		s.upload(old, account.Upload{File: s.pem("com.example.old", end)})
		s.register(old, 0, n)
		s.register(shop, 0, n)
		for _, days := range []int{31, 30, 14, 7, 1, 0} {
			due := s.book.Expiries(end.Add(-time.Duration(days)*24*time.Hour + time.Minute))
			if days > 30 && len(due) == 0 {
				continue
			}
			if len(due) != 1 || due[0].App != old || due[0].Days != days || !due[0].Needed {
				s.Errorf("got notices %v, want that of %d days", due, days)
			}
			if err := s.book.ToldExpiries(s.Context(), due); err != nil {
				s.Error(err)
			}
		}
		s.running(func() {
			s.accepted(s.ended(old, s.send(old, toSome(n))), n)
			late := toSome(n) // begins when the certificate has expired
			late.StartAt = end.Add(time.Minute)
			id := s.send(old, late)
			time.Sleep(time.Hour)
			before := s.production.Counts().Pushes
			for range 5 {
				began := time.Now()
				s.accepted(s.ended(shop, s.send(shop, toSome(n))), n)
				if took := time.Since(began); took > 5*time.Second {
					s.Errorf("a message of another app took %v", took)
				}
			}
			m := s.message(old, id)
			if m.State != outbox.StateSending || m.Counts.Receipts[outbox.Pending] != n {
				s.Errorf("got %+v, want that all wait", m.Status)
			}
			if got := s.production.Counts().Pushes - before; got != 5*n {
				s.Errorf("got %d pushes, want the %d of the other app", got, 5*n)
			}
			if s.logs.count("notifications of an app cannot be sent") == 0 {
				s.Error("nothing was said of it")
			}
			s.upload(old, account.Upload{File: s.pem("com.example.old", time.Now().AddDate(1, 0, 0))})
			s.accepted(s.ended(old, id), n)
		})
	})
}

// A gateway refuses a key: as TestPain16ExpiredCertificate, and few pushes are spent
// on it.
func TestPain16RefusedKey(t *testing.T) {
	play(t, func(s *scene) {
		const bad, n = account.AppID("bad"), 500
		s.app(bad, "com.example.bad", "REVOKED000")
		s.register(bad, 0, n)
		s.register(shop, 0, n)
		var mended atomic.Bool
		var refused atomic.Int32
		s.production.Script(scripted.Script{ // as with all who come with a provider token
			Streams: 1, Steps: []scripted.Step{{Accepted: 1, Do: scripted.Streams(1000)}},
		})
		s.production.OnPush(func(p scripted.Push) scripted.Reply {
			if p.Value("apns-topic") == "com.example.bad" && !mended.Load() {
				refused.Add(1)
				return scripted.Refuse(apns.InvalidProviderToken).Delay(10 * time.Millisecond)
			}
			return scripted.Accept().Delay(10 * time.Millisecond)
		})
		s.running(func() {
			id := s.send(bad, toSome(n))
			for range 6 {
				began := time.Now()
				s.accepted(s.ended(shop, s.send(shop, toSome(n))), n)
				if took := time.Since(began); took > 5*time.Second {
					s.Errorf("a message of another app took %v", took)
				}
				time.Sleep(30 * time.Second)
			}
			if m := s.message(bad, id); m.Counts.Receipts[outbox.Pending] != n || refused.Load() > 200 {
				s.Errorf("got %+v after %d refusals, want that all wait", m.Status, refused.Load())
			}
			s.Logf("%d pushes were refused in 180 s", refused.Load())
			for i := range n {
				if got := s.standing(bad, i); got.State != 0 {
					s.Fatalf("got %+v, want that no device token is blamed", got)
				}
			}
			mended.Store(true)
			s.accepted(s.ended(bad, id), n)
		})
	})
}

// A provider token is used by all senders of a key, in both environments, for as long
// as it may be, and is renewed before it has expired; a service that counts finds
// nothing to complain of.
func TestPain22ProviderTokens(t *testing.T) {
	play(t, func(s *scene) {
		s.app("tea", "com.example.tea", team) // of the same team, with the same key
		s.register(shop, 0, 20)
		s.register("tea", 0, 20)
		used := make(map[string]time.Time) // provider tokens: when each came first
		var last time.Time
		check := func(p scripted.Push) scripted.Reply {
			token, err := providerTokenOf(p)
			if err != nil {
				s.Error(err)
			}
			if _, known := used[token.text]; !known {
				// docs/protocol/provider.md#provider-tokens
				if !last.IsZero() && time.Since(last) < 20*time.Minute {
					s.Errorf("another provider token after %v", time.Since(last))
					return scripted.Refuse(apns.TooManyProviderTokenUpdates)
				}
				used[token.text], last = time.Now(), time.Now()
			}
			if age := time.Since(time.Unix(token.Issued, 0)); age > time.Hour {
				s.Errorf("a provider token is %v old", age)
				return scripted.Refuse(apns.ExpiredProviderToken)
			}
			return scripted.Accept()
		}
		s.production.OnPush(check)
		s.sandbox.OnPush(check)
		s.running(func() {
			for range 72 { // six hours
				for _, app := range []account.AppID{shop, "tea"} {
					s.accepted(s.ended(app, s.send(app, toSome(20))), 20)
					s.accepted(s.ended(app, s.send(app, toTokens(apns.Sandbox, "one", "two"))), 2)
				}
				time.Sleep(5 * time.Minute)
			}
		})
		if len(used) < 6 || len(used) > 10 {
			s.Errorf("got %d provider tokens in six hours", len(used))
		}
	})
}

// The clock of the machine is wrong, or was: the service says that the provider token
// has expired. It is renewed at once, and nothing is lost.
func TestPain22Expired(t *testing.T) {
	play(t, func(s *scene) {
		const n = 1000
		s.register(shop, 0, n)
		var old string
		s.production.OnPush(func(p scripted.Push) scripted.Reply {
			token, err := providerTokenOf(p)
			if err != nil {
				s.Error(err)
			}
			if old == "" {
				old = token.text
			}
			if token.text == old && p.Number > 300 {
				return scripted.Refuse(apns.ExpiredProviderToken).Delay(20 * time.Millisecond)
			}
			return scripted.Accept().Delay(20 * time.Millisecond)
		})
		all := make(map[scripted.Key]bool)
		s.running(func() {
			for range 2 {
				id := s.send(shop, toSome(n))
				s.accepted(s.ended(shop, id), n)
				s.meant(all, id, n)
				time.Sleep(30 * time.Minute)
			}
		})
		if again := s.sentOnce(s.production, all); again > 0 {
			s.Errorf("%d were processed again", again)
		}
	})
}
