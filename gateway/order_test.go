package gateway_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/gateway"
)

// fault is one thing that can be wrong with a request.
type fault struct {
	name  string
	where string // what it changes: two faults in one place cannot be had at once
	make  func(q *push)
	want  apns.Reason
}

// faults lists them in the order in which they are found
// (docs/protocol/provider.md#order).
func (w *world) faults(t *testing.T, flooded apns.DeviceToken) []fault {
	t.Helper()
	set := func(name, value string) func(*push) { return func(q *push) { q.set(name, value) } }
	to := func(token apns.DeviceToken) func(*push) { return func(q *push) { q.to(token) } }
	now := time.Now()
	return []fault{
		{"method", "method", func(q *push) { q.method = "PATCH" }, apns.MethodNotAllowed},
		{"path", "path", func(q *push) { q.path = "/4/device" }, apns.BadPath},
		{"no device token", "path", func(q *push) { q.path = "/3/device/" }, apns.MissingDeviceToken},
		{"two collapse IDs", "collapse", func(q *push) { q.add("apns-collapse-id", "a").add("apns-collapse-id", "a") }, apns.DuplicateHeaders},
		{"apns-id", "id", set("apns-id", "123"), apns.BadMessageID},
		{"no provider token", "authorization", func(q *push) { q.drop("authorization") }, apns.MissingProviderToken},
		{"provider token malformed", "authorization", set("authorization", "bearer x"), apns.InvalidProviderToken},
		{"provider token too old", "authorization", set("authorization", "bearer "+w.team.token(t, now.Add(-2*time.Hour))), apns.ExpiredProviderToken},
		{"provider token of another team", "authorization", set("authorization", "bearer "+w.otherTeam.token(t, now)), apns.InvalidProviderToken},
		{"old provider token of another team", "authorization", set("authorization", "bearer "+w.otherTeam.token(t, now.Add(-2*time.Hour))), apns.ExpiredProviderToken},
		{"provider token too soon", "authorization", set("authorization", "bearer "+w.team.token(t, now.Add(-time.Second))), apns.TooManyProviderTokenUpdates},
		{"no topic", "topic", func(q *push) { q.drop("apns-topic") }, apns.MissingTopic},
		{"topic empty", "topic", set("apns-topic", ""), apns.BadTopic},
		{"topic malformed", "topic", set("apns-topic", "a..b"), apns.BadTopic},
		{"topic of another team", "topic", set("apns-topic", string(stranger)), apns.TopicDisallowed},
		{"expiration", "expiration", set("apns-expiration", "soon"), apns.BadExpirationDate},
		{"priority", "priority", set("apns-priority", "7"), apns.BadPriority},
		{"background at once", "type priority", func(q *push) { q.set("apns-push-type", "background").set("apns-priority", "10") }, apns.BadPriority},
		{"collapse ID", "collapse", set("apns-collapse-id", strings.Repeat("a", 65)), apns.BadCollapseID},
		{"push type unknown", "type", set("apns-push-type", "widget"), apns.InvalidPushType},
		{"push type of another topic", "type", set("apns-push-type", "voip"), apns.InvalidPushType},
		{"no body", "body", func(q *push) { q.body = nil }, apns.PayloadEmpty},
		{"body too large", "body", func(q *push) { q.carrying(strings.Repeat("x", 5121)) }, apns.PayloadTooLarge},
		{"body no JSON", "body", func(q *push) { q.carrying("x") }, apns.PayloadEmpty},
		{"device token no hex", "path", func(q *push) { q.path = "/3/device/x" }, apns.BadDeviceToken},
		{"device token of nobody", "path", to("x"), apns.BadDeviceToken},
		{"device token of production", "path", to(w.deviceToken(t, demo, apns.Production)), apns.BadDeviceToken},
		{"device token of another app", "path", to(w.deviceToken(t, second, apns.Sandbox)), apns.DeviceTokenNotForTopic},
		{"device token of a removed app", "path", to(w.goneToken(t, demo, apns.Sandbox)), apns.Unregistered},
		{"device token that got too much", "path", to(flooded), apns.TooManyRequests},
	}
}

// overlap reports whether two faults change the same thing.
func overlap(a, b fault) bool {
	for place := range strings.FieldsSeq(a.where) {
		if strings.Contains(b.where, place) {
			return true
		}
	}
	return false
}

// TestOrder sends each pair of faults in one request: the earlier one wins. Its
// time stands still, so that what came too soon once does so for ever.
func TestOrder(t *testing.T) { synctest.Test(t, testOrder) }

func testOrder(t *testing.T) {
	const burst = 100
	w := newWorldWith(t, options{limits: gateway.Limits{
		ProviderTokenInterval: 20 * time.Minute, DeviceBurst: burst, DeviceInterval: time.Hour,
	}})
	usual := w.device
	w.device = w.newDevice(t, "flooded")
	flooded := w.deviceToken(t, demo, apns.Sandbox)
	w.device = usual
	p := w.dial(t, dialing{})
	for range burst {
		p.want(w.push(t).to(flooded), accepted)
	}
	faults := w.faults(t, flooded)
	p = w.dial(t, dialing{})
	w.testPairs(t, p, faults, func(fault) bool { return false })
	p = w.dial(t, dialing{certificate: w.pushCertificate(t, demo, credential.PushUniversal)})
	w.testPairs(t, p, faults, func(f fault) bool { return f.where == "authorization" })
}

// testPairs sends each fault alone, and then with each later one. Those that are
// ignored are none on this connection.
func (w *world) testPairs(t *testing.T, p *peer, faults []fault, ignored func(fault) bool) {
	t.Helper()
	p.want(w.push(t), accepted) // binds the connection to the team
	pairs := 0
	for i, first := range faults {
		for _, later := range append([]fault{{}}, faults[i+1:]...) {
			if later.make != nil && overlap(first, later) {
				continue
			}
			q := w.push(t)
			want := accepted
			for _, f := range []fault{later, first} {
				if f.make == nil {
					continue
				}
				f.make(q)
				if !ignored(f) {
					want = refused(f.want)
				}
			}
			if got := p.ask(q).outcome(); got != want {
				t.Errorf("%s, and %s: got %s, want %s", first.name, later.name, got, want)
			}
			pairs++
		}
	}
	if pairs < 300 {
		t.Errorf("got %d pairs, want at least 300", pairs)
	}
	p.want(w.push(t), accepted)
}
