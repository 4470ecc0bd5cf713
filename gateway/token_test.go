package gateway_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/portal"
)

// dialect is a way to write a provider token
// (docs/protocol/certificates.md#dialects).
type dialect struct {
	name           string
	header, claims string
	encoding       *base64.Encoding
	der            bool
}

// mint makes a provider token in the dialect.
func (d dialect) mint(t *testing.T, s signer) string {
	t.Helper()
	signed := d.encoding.EncodeToString([]byte(d.header)) + "." + d.encoding.EncodeToString([]byte(d.claims))
	digest := sha256.Sum256([]byte(signed))
	var signature []byte
	if d.der {
		der, err := ecdsa.SignASN1(rand.Reader, s.private, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		signature = der
	} else {
		r, sig, err := ecdsa.Sign(rand.Reader, s.private, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		signature = slices.Concat(r.FillBytes(make([]byte, 32)), sig.FillBytes(make([]byte, 32)))
	}
	return signed + "." + d.encoding.EncodeToString(signature)
}

// TestDialects sends provider tokens as real senders write them, all on one
// connection.
func TestDialects(t *testing.T) {
	w := newWorld(t)
	p := w.dial(t, dialing{})
	id, team, now := w.team.key, w.team.team, time.Now().Unix()
	plain, claims := fmt.Sprintf(`{"alg":"ES256","kid":"%s"}`, id), fmt.Sprintf(`{"iss":"%s","iat":%d}`, team, now)
	padded := fmt.Sprintf(`{"iss":"%s","iat":%d,"n":"???>>>~~"}`, team, now) // has + and / in standard base64
	for _, d := range []dialect{
		{"RFC 7518", plain, claims, base64.RawURLEncoding, false},
		{"typ", fmt.Sprintf(`{"alg":"ES256","typ":"JWT","kid":"%s"}`, id), claims, base64.RawURLEncoding, false},
		{"exp", plain, fmt.Sprintf(`{"iss":"%s","iat":%d,"exp":%d}`, team, now, now+3600), base64.RawURLEncoding, false},
		{"DER", plain, claims, base64.RawURLEncoding, true},
		{"standard base64, DER", plain, padded, base64.StdEncoding, true},
		{"standard base64", plain, padded, base64.StdEncoding, false},
		{"iat as text", fmt.Sprintf("{\n \"alg\":\"ES256\",\n \"kid\":\"%s\"\n}", id), fmt.Sprintf("{\n \"kid\":\"%s\",\"iss\":\"%s\",\n\"iat\":\"%d\"}", id, team, now), base64.RawURLEncoding, false},
		{"kid in the claims alone", `{"alg":"ES256"}`, fmt.Sprintf(`{"kid":"%s","iss":"%s","iat":%d}`, id, team, now), base64.RawURLEncoding, false},
	} {
		token := d.mint(t, w.team)
		if !json.Valid([]byte(d.header)) || !json.Valid([]byte(d.claims)) {
			t.Fatalf("%s: the test is wrong", d.name)
		}
		for range 2 { // verified, and known
			if got := p.ask(w.push(t).set("authorization", "bearer "+token)).outcome(); got != accepted {
				t.Errorf("%s: got %s, want %s", d.name, got, accepted)
			}
		}
		spoilt := d.mint(t, w.otherTeam) // the other team's signature
		if got, want := p.ask(w.push(t).set("authorization", "bearer "+spoilt)).outcome(), refused(apns.InvalidProviderToken); got != want {
			t.Errorf("%s, signed by another key: got %s, want %s", d.name, got, want)
		}
	}
}

func TestIssuedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := w.dial(t, dialing{})
		for _, tt := range []struct {
			age  time.Duration
			want string
		}{
			{0, accepted},
			{time.Hour, accepted},
			{time.Hour + time.Second, refused(apns.ExpiredProviderToken)},
			{-time.Hour, accepted},
			{-time.Hour - time.Second, refused(apns.InvalidProviderToken)},
		} {
			q := w.push(t).set("authorization", "bearer "+w.team.token(t, time.Now().Add(-tt.age)))
			if got := p.ask(q).outcome(); got != tt.want {
				t.Errorf("%v old: got %s, want %s", tt.age, got, tt.want)
			}
		}
		// A provider token that was accepted grows old like any other, and the
		// next one is taken on the same connection.
		q := w.push(t)
		p.want(q, accepted)
		time.Sleep(time.Hour)
		p.want(q, accepted)
		time.Sleep(time.Second)
		p.want(q, refused(apns.ExpiredProviderToken))
		p.want(w.push(t), accepted)
	})
}

// theirs returns a good request of the other team.
func (w *world) theirs(t *testing.T) *push {
	t.Helper()
	return w.push(t).to(w.deviceToken(t, stranger, apns.Sandbox)).set("apns-topic", string(stranger)).
		set("authorization", "bearer "+w.otherTeam.token(t, time.Now()))
}

// TestBinding proves that a connection belongs to the team of its first
// accepted request, and that a refused one binds nothing.
func TestBinding(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		name    string
		refused []*push // before
		reason  apns.Reason
	}{
		{"nothing refused", nil, ""},
		{"by the topic", []*push{w.theirs(t).drop("apns-topic")}, apns.MissingTopic},
		{"by the headers", []*push{w.theirs(t).set("apns-priority", "7")}, apns.BadPriority},
		{"by the payload", []*push{w.theirs(t).carrying("x")}, apns.PayloadEmpty},
		{"by the registry", []*push{w.theirs(t).to("x"), w.theirs(t).to("y")}, apns.BadDeviceToken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := w.dial(t, dialing{})
			for _, q := range tt.refused {
				p.want(q, refused(tt.reason))
			}
			p.want(w.push(t), accepted)
			p.want(w.theirs(t), refused(apns.InvalidProviderToken))
			p.want(w.push(t), accepted)
		})
	}
}

// TestBindingFault proves the same of a request that the store lost.
func TestBindingFault(t *testing.T) {
	w := newWorld(t)
	p := w.dial(t, dialing{})
	w.store.before(func(context.Context) error { return errors.New("disk on fire") })
	p.want(w.theirs(t), refused(apns.InternalServerError))
	w.store.before(nil)
	w.logs.take()
	p.want(w.push(t), accepted)
	p.want(w.theirs(t), refused(apns.InvalidProviderToken))
}

// TestBindingUndecided has a request of another team come while the first one
// waits for the store: no two teams are ever accepted.
func TestBindingUndecided(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWith(t, options{exceptional: true})
		p := w.dial(t, dialing{})
		ours, theirs := w.push(t), w.theirs(t)
		decision := make(chan error)
		w.exceptions.before(until(decision))
		first := p.send(ours)
		synctest.Wait()
		p.want(theirs, refused(apns.InvalidProviderToken))
		w.exceptions.before(nil)
		decision <- apns.Reject(apns.BadDeviceToken, "")
		if got, want := p.await(first).outcome(), refused(apns.BadDeviceToken); got != want {
			t.Errorf("first: got %s, want %s", got, want)
		}
		p.want(theirs, accepted)
		p.want(ours, refused(apns.InvalidProviderToken))
	})
}

// TestStreamLimit follows SETTINGS_MAX_CONCURRENT_STREAMS: 1 until a provider
// token was accepted (docs/protocol/provider.md#settings).
func TestStreamLimit(t *testing.T) {
	w := newWorld(t)
	p := w.dial(t, dialing{})
	limits := func(want ...uint32) {
		t.Helper()
		p.settle()
		if !slices.Equal(p.limits, want) {
			t.Errorf("limits: got %v, want %v", p.limits, want)
		}
	}
	limits(1)
	p.want(w.push(t).set("authorization", "bearer x"), refused(apns.InvalidProviderToken))
	p.want(w.push(t).set("authorization", "bearer "+w.team.token(t, time.Now().Add(-2*time.Hour))), refused(apns.ExpiredProviderToken))
	limits(1)

	// A second stream beside the first.
	first := p.headers(w.push(t), false)
	if got, want := p.ask(w.push(t)).outcome(), "REFUSED_STREAM"; got != want {
		t.Errorf("second stream: got %s, want %s", got, want)
	}
	limits(1)
	p.must(p.fr.WriteData(first, true, []byte(hello)))
	if got := p.await(first).outcome(); got != accepted {
		t.Errorf("first stream: got %s, want %s", got, accepted)
	}
	limits(1, 1000)
	p.want(w.push(t), accepted)
	limits(1, 1000)

	p = w.dial(t, dialing{certificate: w.pushCertificate(t, demo, credential.PushUniversal)})
	limits(1000)
	p.want(w.push(t), accepted)
	limits(1000)
}

// TestStreamLimitFalls proves that a provider token that is refused lowers the
// limit, and the next accepted push raises it.
func TestStreamLimitFalls(t *testing.T) {
	w := newWorld(t)
	by := func(token string) *push { return w.push(t).set("authorization", "bearer "+token) }
	for _, tt := range []struct {
		reason apns.Reason
		push   *push
	}{
		{apns.ExpiredProviderToken, by(w.team.token(t, time.Now().Add(-2*time.Hour)))},
		{apns.InvalidProviderToken, by("x")},
		{apns.InvalidProviderToken, by(w.otherTeam.token(t, time.Now()))},
	} {
		t.Run(string(tt.reason), func(t *testing.T) {
			p := w.dial(t, dialing{})
			limits := func(want ...uint32) {
				t.Helper()
				p.settle()
				if !slices.Equal(p.limits, want) {
					t.Errorf("limits: got %v, want %v", p.limits, want)
				}
				p.settle() // the acknowledgement has been read too
			}
			p.want(w.push(t), accepted)
			limits(1, 1000)
			var open []uint32
			for range 3 {
				open = append(open, p.headers(w.push(t), false))
			}
			gone := w.push(t).set("apns-topic", string(second)).to(w.goneToken(t, second, apns.Sandbox))
			for _, q := range []*push{tt.push, tt.push, w.push(t).to("x"), w.push(t).drop("authorization"), gone} {
				if len(open) > 0 { // there is no room beside them
					p.want(q, refused(tt.reason))
					limits(1, 1000, 1)
					p.want(q, "REFUSED_STREAM")
					for _, id := range open {
						p.must(p.fr.WriteRSTStream(id, http2.ErrCodeCancel))
					}
					open = nil
					continue
				}
				p.ask(q)
				limits(1, 1000, 1)
			}
			first := p.headers(w.push(t), false)
			p.want(w.push(t), "REFUSED_STREAM")
			p.must(p.fr.WriteData(first, true, []byte(hello)))
			if got := p.await(first).outcome(); got != accepted {
				t.Errorf("got %s, want %s", got, accepted)
			}
			limits(1, 1000, 1, 1000)
			p.want(w.push(t).drop("authorization"), refused(apns.MissingProviderToken))
			limits(1, 1000, 1, 1000)
		})
	}
}

// TestStreamLimitFallsBeneath proves that what is open when the limit falls is
// served, and that the fall binds only whoever has heard of it.
func TestStreamLimitFallsBeneath(t *testing.T) {
	w := newWorld(t)
	p := w.dial(t, dialing{})
	p.want(w.push(t), accepted)
	p.settle()
	p.settle()
	var open []uint32
	for range 5 {
		open = append(open, p.headers(w.push(t), false))
	}
	expired := p.send(w.push(t).set("authorization", "bearer "+w.team.token(t, time.Now().Add(-2*time.Hour))))
	crossing := p.headers(w.push(t), false) // it crosses the SETTINGS
	if got, want := p.await(expired).outcome(), refused(apns.ExpiredProviderToken); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, id := range append(open, crossing) {
		p.must(p.fr.WriteData(id, true, []byte(hello)))
	}
	for _, id := range append(open, crossing) {
		if got := p.await(id).outcome(); got != accepted {
			t.Errorf("stream %d: got %s, want %s", id, got, accepted)
		}
	}
}

// TestManyStreams has as many requests in flight as the peer may open, and one
// more.
func TestManyStreams(t *testing.T) {
	w := newWorld(t)
	p := w.dial(t, dialing{certificate: w.pushCertificate(t, demo, credential.PushUniversal)})
	var ids []uint32
	for range 1001 {
		ids = append(ids, p.headers(w.push(t), false))
	}
	for _, id := range ids[:1000] {
		p.must(p.fr.WriteData(id, true, []byte(hello)))
	}
	for i, id := range ids {
		want := accepted
		if i == 1000 {
			want = "REFUSED_STREAM"
		}
		if got := p.await(id).outcome(); got != want {
			t.Errorf("stream %d: got %s, want %s", id, got, want)
		}
	}
}

// keyed returns a signer with a new key of the world's team.
func (w *world) keyed(t *testing.T, spec portal.KeySpec) signer {
	t.Helper()
	spec.Team = w.team.team
	key, p8, err := w.portal.CreateKey(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	private, err := credential.ParseP8(p8)
	if err != nil {
		t.Fatal(err)
	}
	return signer{team: w.team.team, key: key.ID, private: private}
}

// TestKeyScopes proves which keys may send where, and on one connection.
func TestKeyScopes(t *testing.T) {
	w := newWorld(t)
	one := w.keyed(t, portal.KeySpec{Scope: portal.ScopeTopic, Environment: apns.Sandbox, Topics: []apns.Topic{demo}})
	related := w.keyed(t, portal.KeySpec{Scope: portal.ScopeTopic, Environment: apns.Sandbox, Topics: []apns.Topic{demo}, Related: one.key})
	unrelated := w.keyed(t, portal.KeySpec{Scope: portal.ScopeTopic, Environment: apns.Sandbox, Topics: []apns.Topic{demo, second}})
	elsewhere := w.keyed(t, portal.KeySpec{Scope: portal.ScopeTopic, Environment: apns.Production, Topics: []apns.Topic{demo}})
	by := func(s signer) *push { return w.push(t).set("authorization", "bearer "+s.token(t, time.Now())) }
	topic := func(q *push, topic apns.Topic) *push {
		return q.set("apns-topic", string(topic)).to(w.deviceToken(t, topic, apns.Sandbox))
	}

	p := w.dial(t, dialing{})
	p.want(topic(by(unrelated), pass), refused(apns.TopicDisallowed)) // binds nothing
	p.want(by(elsewhere), refused(apns.BadEnvironmentKeyInToken))
	p.want(by(one), accepted)
	p.want(topic(by(one), second), refused(apns.TopicDisallowed))
	p.want(by(related), accepted)
	p.want(by(unrelated), refused(apns.UnrelatedKeyIDInToken))
	p.want(by(w.team), refused(apns.UnrelatedKeyIDInToken))
	p.want(by(elsewhere), refused(apns.BadEnvironmentKeyInToken))
	p.want(w.theirs(t), refused(apns.InvalidProviderToken))
	p.want(by(one), accepted)
}
