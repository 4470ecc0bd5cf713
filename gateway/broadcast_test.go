package gateway_test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/portal"
)

// modes are the ways to prove who one is.
func (w *world) modes(t *testing.T) map[string]dialing {
	t.Helper()
	return map[string]dialing{
		"provider token": {}, "certificate": {certificate: w.pushCertificate(t, demo, credential.PushUniversal)},
		"no ALPN": {protocols: []string{}},
	}
}

// TestChannelLife is a channel from its creation to its end.
func TestChannelLife(t *testing.T) {
	w := newBroadcastWorld(t, options{})
	for name, d := range w.modes(t) {
		for _, policy := range []apns.StoragePolicy{apns.NoMessageStored, apns.MostRecentMessageStored} {
			t.Run(fmt.Sprintf("%s, %v", name, policy), func(t *testing.T) {
				p := w.dial(t, d)
				if got := p.channels(w.list(t)); len(got) > 0 {
					t.Errorf("at first: got %q, want none", got)
				}
				a := p.want(w.create(t, policy), created)
				id := apns.ChannelID(a.get("apns-channel-id")[0])
				if _, err := apns.ParseChannelID(string(id)); err != nil {
					t.Errorf("apns-channel-id %q: %v", id, err)
				}
				read := p.want(w.about(t, "GET", id), accepted)
				if want := fmt.Sprintf(`{"message-storage-policy":%d,"push-type":"LiveActivity"}`, policy); read.body != want {
					t.Errorf("got %s, want %s", read.body, want)
				}
				other := w.newChannel(t, policy)
				if got, want := p.channels(w.list(t)), []string{string(id), string(other)}; !cmp.Equal(got, want) {
					t.Errorf("got %q, want %q", got, want)
				}
				p.want(w.broadcast(t, id), accepted)
				for _, c := range []apns.ChannelID{id, other} {
					p.want(w.about(t, "DELETE", c), deleted)
					p.want(w.about(t, "DELETE", c), refused(apns.ChannelNotRegistered))
					p.want(w.about(t, "GET", c), refused(apns.ChannelNotRegistered))
					p.want(w.broadcast(t, c), refused(apns.ChannelNotRegistered))
				}
				p.want(w.push(t), accepted) // the connection is one for pushes too
			})
		}
	}
}

// TestBroadcastVectors are those that can be told in a request and its answer.
func TestBroadcastVectors(t *testing.T) {
	w := newBroadcastWorld(t, options{})
	p := w.dial(t, dialing{})
	silent, storing := w.newChannel(t, apns.NoMessageStored), w.newChannel(t, apns.MostRecentMessageStored)
	for _, tt := range []struct {
		name string
		q    *push
		want string
	}{
		{"create", w.create(t, apns.MostRecentMessageStored), created},
		{"expiration on a channel that stores nothing", w.broadcast(t, silent).set("apns-expiration", far), refused(apns.BadExpirationDate)},
		{"expiration on a channel that stores", w.broadcast(t, storing).set("apns-expiration", far), accepted},
		{"no push type", w.broadcast(t, storing).drop("apns-push-type"), refused(apns.MissingPushType)},
		{"push type as in the tables", w.broadcast(t, storing).set("apns-push-type", "Liveactivity"), accepted},
		{"suffix", w.authorized(t, "POST", broadcastPath+".push-type.liveactivity", update), refused(apns.TopicDisallowed)},
		{"another team's", w.authorized(t, "POST", "/4/broadcasts/apps/com.stranger.app", update), refused(apns.TopicMismatch)},
		{"priority 5", w.broadcast(t, storing).set("apns-priority", "5"), accepted},
		{"priority 1", w.broadcast(t, storing).set("apns-priority", "1"), accepted},
		{"expired", w.broadcast(t, storing).set("apns-expiration", "1"), accepted},
		{"expired, on a channel that stores nothing", w.broadcast(t, silent).set("apns-expiration", "1"), refused(apns.BadExpirationDate)},
		{"5120 bytes", w.broadcast(t, silent).carrying(padded(5120)), accepted},
		{"5121 bytes", w.broadcast(t, silent).carrying(padded(5121)), refused(apns.PayloadTooLarge)},
		{"bodies that are ignored", w.about(t, "GET", silent).carrying("x"), accepted},
		{"header that is ignored", w.broadcast(t, silent).set("apns-topic", string(stranger)), accepted},
		{"header that is ignored, on a create", w.create(t, 0).set("apns-channel-id", "!"), created},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p.t = t
			p.want(tt.q, tt.want)
		})
	}
	p.t = t
}

// padded returns a payload of n bytes.
func padded(n int) string { return update[:len(update)-1] + strings.Repeat(" ", n-len(update)) + "}" }

// TestRequestID proves under which ID a request is answered.
func TestRequestID(t *testing.T) {
	const lower, upper = "eabeae54-14a8-11e5-b60b-1697f925ec7b", "EABEAE54-14A8-11E5-B60B-1697F925EC7C"
	w := newBroadcastWorld(t, options{})
	p := w.dial(t, dialing{})
	c := w.newChannel(t, apns.MostRecentMessageStored)
	for _, id := range []string{lower, upper} {
		for _, name := range []string{"apns-request-id", "apns-id"} {
			p.want(w.broadcast(t, c).set("apns-expiration", far).set(name, id), accepted)
			if m := w.storedOn(t, c, update); string(m.Notification.ID) != id {
				t.Errorf("stored under %s, want %s", m.Notification.ID, id)
			}
			p.want(w.broadcast(t, c).set(name, id).set("apns-priority", "7"), refused(apns.BadPriority))
			p.want(w.list(t).set(name, id).drop("authorization"), refused(apns.MissingProviderToken))
		}
	}
	a := p.ask(w.list(t).set("apns-request-id", lower).set("apns-id", upper))
	if got := a.get("apns-request-id"); len(got) != 1 || got[0] != lower {
		t.Errorf("got %q, want %s", got, lower)
	}
	a = p.want(w.list(t).set("apns-request-id", "123").set("apns-id", upper), refused(apns.BadMessageID))
	if got := a.get("apns-request-id"); len(got) != 1 || got[0] == upper {
		t.Errorf("got %q, want a new one", got)
	}
	first, second := p.ask(w.list(t)).get("apns-request-id")[0], p.ask(w.list(t)).get("apns-request-id")[0]
	if first == second {
		t.Errorf("two requests have the ID %s", first)
	}
}

// broadcastFault is a fault of one kind of request, and what it is a fault of.
type broadcastFault struct {
	of string // broadcast, create, read, list
	fault
}

// broadcastFaults lists the faults in the order in which they are found
// (docs/protocol/broadcast.md#order).
func (w *world) broadcastFaults(t *testing.T) []broadcastFault {
	t.Helper()
	set := func(name, value string) func(*push) { return func(q *push) { q.set(name, value) } }
	drop := func(name string) func(*push) { return func(q *push) { q.drop(name) } }
	path := func(path string) func(*push) { return func(q *push) { q.path = path } }
	instead := func(topic string) func(*push) {
		return func(q *push) { q.path = strings.Replace(q.path, string(demo), topic, 1) }
	}
	body := func(body string) func(*push) { return func(q *push) { q.body = []byte(body) } }
	now := time.Now()
	var all []broadcastFault
	add := func(kinds, name, where string, change func(*push), want apns.Reason) {
		for kind := range strings.FieldsSeq(kinds) {
			all = append(all, broadcastFault{kind, fault{name, where, change, want}})
		}
	}
	const every = "broadcast create read list"
	add(every, "method", "method", func(q *push) { q.method = "PATCH" }, apns.MethodNotAllowed)
	add(every, "method in lower case", "method", func(q *push) { q.method = strings.ToLower(q.method) }, apns.MethodNotAllowed)
	add("broadcast", "GET of a broadcast", "method", func(q *push) { q.method = "GET" }, apns.BadPath)
	add("broadcast list", "DELETE", "method", func(q *push) { q.method = "DELETE" }, apns.BadPath)
	add("list", "POST of the list", "method", func(q *push) { q.method = "POST" }, apns.BadPath)
	add(every, "channel in the path", "path", path(channelsPath+"/dHN0LXNyY2gtY2hubA=="), apns.BadPath)
	add(every, "another version", "path", path("/4/broadcasts"), apns.BadPath)
	add(every, "no bundle ID", "path", instead(""), apns.BadPath)
	add(every, "two priorities", "priority", func(q *push) { q.set("apns-priority", "10").add("apns-priority", "10") }, apns.DuplicateHeaders)
	add(every, "two channels", "channel", func(q *push) { q.set("apns-channel-id", "AAAA").add("apns-channel-id", "AAAA") }, apns.DuplicateHeaders)
	add(every, "two request IDs", "id", func(q *push) {
		q.set("apns-request-id", apns.NewUUID()).add("apns-request-id", apns.NewUUID())
	}, apns.DuplicateHeaders)
	add(every, "apns-request-id", "id", set("apns-request-id", "123"), apns.BadMessageID)
	add(every, "apns-id", "id", set("apns-id", ""), apns.BadMessageID)
	add(every, "no provider token", "authorization", drop("authorization"), apns.MissingProviderToken)
	add(every, "provider token malformed", "authorization", set("authorization", "bearer x"), apns.InvalidProviderToken)
	add(every, "provider token too old", "authorization", set("authorization", "bearer "+w.team.token(t, now.Add(-2*time.Hour))), apns.ExpiredProviderToken)
	add(every, "provider token of another team", "authorization", set("authorization", "bearer "+w.otherTeam.token(t, now)), apns.InvalidProviderToken)
	add(every, "suffix", "path", instead(string(demo)+".voip"), apns.TopicDisallowed)
	add(every, "suffix of another team", "path", instead(string(stranger)+".push-type.liveactivity"), apns.TopicDisallowed)
	add(every, "malformed bundle ID", "path", instead("a..b"), apns.TopicDisallowed)
	add(every, "bundle ID of another team", "path", instead(string(stranger)), apns.TopicMismatch)
	add(every, "bundle ID of nobody", "path", instead("com.example.none"), apns.TopicMismatch)
	add(every, "capability off", "path", instead(string(second)), apns.FeatureNotEnabled)
	add("broadcast read", "no channel", "channel", drop("apns-channel-id"), apns.MissingChannelID)
	add("broadcast read", "channel empty", "channel", set("apns-channel-id", ""), apns.MissingChannelID)
	add("broadcast read", "channel no base64", "channel", set("apns-channel-id", "!!!!"), apns.BadChannelID)
	add("broadcast read", "channel too long", "channel", set("apns-channel-id", strings.Repeat("A", 132)), apns.BadChannelID)
	add("broadcast", "no push type", "type", drop("apns-push-type"), apns.MissingPushType)
	add("broadcast", "push type", "type", set("apns-push-type", "alert"), apns.InvalidPushType)
	add("broadcast", "no expiration", "expiration", drop("apns-expiration"), apns.BadExpirationDate)
	add("broadcast", "expiration", "expiration", set("apns-expiration", "soon"), apns.BadExpirationDate)
	add("broadcast", "no priority", "priority", drop("apns-priority"), apns.BadPriority)
	add("broadcast", "priority", "priority", set("apns-priority", "7"), apns.BadPriority)
	add("broadcast", "no body", "body", body(""), apns.PayloadEmpty)
	add("broadcast create", "body too large", "body", body(strings.Repeat("x", 5121)), apns.PayloadTooLarge)
	add("create", "no body", "body", body(""), apns.BadRequestPayload)
	add("broadcast create", "body no JSON", "body", body("x"), apns.BadRequestPayload)
	add("broadcast create", "body no object", "body", body("[]"), apns.BadRequestPayload)
	add("create", "attribute", "body", body(`{"message-storage-policy":1,"push-type":"alert","name":"x"}`), apns.BadRequestParams)
	add("create", "policy", "body", body(`{"message-storage-policy":2}`), apns.BadRequestParams)
	add("create", "no push type", "body", body(`{"message-storage-policy":1}`), apns.MissingPushType)
	add("create", "push type", "body", body(`{"message-storage-policy":1,"push-type":"alert"}`), apns.InvalidPushType)
	add("broadcast read", "channel of nobody", "channel", set("apns-channel-id", "dHN0LXNyY2gtY2hubA=="), apns.ChannelNotRegistered)
	production := w.newChannelOf(t, apns.Production, apns.MostRecentMessageStored)
	add("broadcast read", "channel of production", "channel", set("apns-channel-id", string(production)), apns.ChannelNotRegistered)
	add("broadcast", "expiration on a channel that stores nothing", "expiration", set("apns-expiration", far), apns.BadExpirationDate)
	return all
}

// TestBroadcastOrder sends each pair of faults in one request: the earlier one
// wins.
func TestBroadcastOrder(t *testing.T) {
	w := newBroadcastWorld(t, options{})
	silent := w.newChannel(t, apns.NoMessageStored)
	good := map[string]func() (*push, string){
		"broadcast": func() (*push, string) { return w.broadcast(t, silent), accepted },
		"create":    func() (*push, string) { return w.create(t, 0), created },
		"read":      func() (*push, string) { return w.about(t, "GET", silent), accepted },
		"list":      func() (*push, string) { return w.list(t), accepted },
	}
	faults := w.broadcastFaults(t)
	for mode, d := range w.modes(t) {
		t.Run(mode, func(t *testing.T) {
			p := w.dial(t, d)
			p.want(w.push(t), accepted) // binds the connection to the team
			pairs := 0
			for i, first := range faults {
				for _, later := range append([]broadcastFault{{of: first.of}}, faults[i+1:]...) { // first alone, then with each
					if later.of != first.of || later.make != nil && overlap(first.fault, later.fault) {
						continue
					}
					q, want := good[first.of]()
					for _, f := range []broadcastFault{later, first} {
						if f.make == nil {
							continue
						}
						f.make(q)
						switch {
						case d.certificate != nil && f.where == "authorization": // ignored
						case d.certificate != nil && f.want == apns.FeatureNotEnabled: // the certificate is for the demo app alone
							want = refused(apns.TopicMismatch)
						default:
							want = refused(f.want)
						}
					}
					if got := p.ask(q).outcome(); got != want {
						t.Errorf("%s: %s, and %s: got %s, want %s", first.of, first.name, later.name, got, want)
					}
					pairs++
				}
			}
			if pairs < 1000 {
				t.Errorf("got %d pairs, want at least 1000", pairs)
			}
			for _, make := range good {
				p.want(make())
			}
		})
	}
}

// TestBroadcastReasons proves that each reason of the page is given, with its
// status.
func TestBroadcastReasons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newBroadcastWorld(t, options{channels: 3, notifications: 1})
		given := make(map[string]bool)
		want := func(p *peer, q *push, r apns.Reason) {
			t.Helper()
			p.want(q, refused(r))
			given[refused(r)] = true
		}
		c := w.newChannel(t, apns.MostRecentMessageStored)
		p := w.dial(t, dialing{})
		p.want(w.broadcast(t, c).set("apns-expiration", far), accepted)
		w.newChannel(t, apns.NoMessageStored)
		for _, f := range w.broadcastFaults(t) { // which makes a channel in production
			q := map[string]func() *push{
				"broadcast": func() *push { return w.broadcast(t, c) }, "create": func() *push { return w.create(t, 0) },
				"read": func() *push { return w.about(t, "GET", c) }, "list": func() *push { return w.list(t) },
			}[f.of]()
			if f.make(q); f.name == "expiration on a channel that stores nothing" {
				continue // c does
			}
			want(p, q, f.want)
		}
		w.newChannel(t, apns.NoMessageStored)
		want(p, w.create(t, 0), apns.CannotCreateChannelConfig)
		want(p, w.broadcast(t, c).set("apns-expiration", far), apns.ServiceUnavailable)

		w.exceptions.beforeChannels(func(context.Context) error { return errDisk })
		for _, q := range []*push{w.create(t, 0), w.about(t, "GET", c), w.about(t, "DELETE", c), w.list(t), w.broadcast(t, c)} {
			wantFault(t, p.ask(q))
			want(p, q, apns.InternalServerError)
		}
		w.logs.take()
		w.exceptions.beforeChannels(func(context.Context) error {
			r := apns.Reject(apns.TooManyRequests, "")
			r.RetryAfter = time.Minute
			return r
		})
		want(p, w.list(t), apns.TooManyRequests)
		w.exceptions.beforeChannels(nil)

		elsewhere := w.keyed(t, portal.KeySpec{Scope: portal.ScopeTopic, Environment: apns.Production, Topics: []apns.Topic{demo}})
		unrelated := w.keyed(t, portal.KeySpec{Scope: portal.ScopeTopic, Environment: apns.Sandbox, Topics: []apns.Topic{demo}})
		by := func(s signer) *push { return w.list(t).set("authorization", "bearer "+s.token(t, time.Now())) }
		want(p, by(elsewhere), apns.BadEnvironmentKeyInToken)
		if _, err := w.portal.RevokeKey(t.Context(), elsewhere.key); err != nil {
			t.Fatal(err)
		}
		want(p, by(elsewhere), apns.Forbidden)
		p = w.dial(t, dialing{})
		p.channels(by(unrelated))
		want(p, w.list(t), apns.UnrelatedKeyIDInToken)

		// What is said of certificates and of the age of provider tokens is
		// common to all requests, and proved of pushes.
		for _, r := range []apns.Reason{apns.BadCertificate, apns.BadCertificateEnvironment, apns.TooManyProviderTokenUpdates} {
			given[refused(r)] = true
		}
		p = w.dial(t, dialing{})
		if err := w.spool.Close(); err != nil {
			t.Fatal(err)
		}
		want(p, w.broadcast(t, c), apns.Shutdown)

		page, err := os.ReadFile("../docs/protocol/broadcast.md")
		if err != nil {
			t.Fatal(err)
		}
		_, table, _ := strings.Cut(string(page), "\n## Reasons\n")
		table, _, _ = strings.Cut(table, "\n## ")
		documented := make(map[string]bool)
		for _, m := range regexp.MustCompile("(?m)^\\| (\\d{3}) \\| `(\\w+)` \\|").FindAllStringSubmatch(table, -1) {
			documented[m[1]+" "+m[2]] = true
		}
		if diff := cmp.Diff(documented, given); diff != "" {
			t.Errorf("reasons (-page +given):\n%s", diff)
		}
	})
}

// TestSharedAdmission proves that what binds a connection counts for broadcasts
// and pushes alike.
func TestSharedAdmission(t *testing.T) {
	w := newBroadcastWorld(t, options{})
	of := func(s signer, q *push) *push { return q.set("authorization", "bearer "+s.token(t, time.Now())) }
	p := w.dial(t, dialing{})
	if want := []uint32{1}; !slices.Equal(p.limits, want) {
		t.Errorf("stream limits: got %v, want %v", p.limits, want)
	}
	p.want(of(w.otherTeam, w.list(t)), refused(apns.TopicMismatch)) // binds nothing
	p.want(w.about(t, "GET", "AAAA"), refused(apns.ChannelNotRegistered))
	p.want(of(w.otherTeam, w.list(t)), refused(apns.TopicMismatch)) // nor does that
	p.channels(w.list(t))
	p.want(of(w.otherTeam, w.list(t)), refused(apns.InvalidProviderToken))
	p.want(of(w.otherTeam, w.push(t)), refused(apns.InvalidProviderToken))
	if len(p.limits) < 2 {
		t.Errorf("stream limits: got %v, want a second", p.limits)
	}
	p = w.dial(t, dialing{})
	p.want(w.push(t), accepted)
	p.want(of(w.otherTeam, w.list(t)), refused(apns.InvalidProviderToken))

	p = w.dial(t, dialing{certificate: w.pushCertificate(t, demo, credential.PushSandbox)})
	p.channels(w.list(t).drop("authorization"))
	p.channels(w.list(t).set("authorization", "nonsense"))
	if _, err := w.portal.RevokeKey(t.Context(), w.team.key); err != nil {
		t.Fatal(err)
	}
	p = w.dial(t, dialing{})
	p.want(w.list(t), refused(apns.Forbidden))
}
