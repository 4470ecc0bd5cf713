package gateway_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

// library sends requests with the client of x/net, one connection for all.
func (w *world) library(t *testing.T, d dialing) func(q *push) *answer {
	t.Helper()
	transport := &http2.Transport{ //nolint:staticcheck // what Go providers stand on
		DialTLSContext: func(context.Context, string, string, *tls.Config) (net.Conn, error) { //nolint:staticcheck // see above
			return w.dialTLS(t, d) //nolint:contextcheck // it has a deadline of its own
		},
	}
	t.Cleanup(transport.CloseIdleConnections) //nolint:staticcheck // see above
	return func(q *push) *answer {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		var body io.Reader // not even an empty one for an empty body
		if len(q.body) > 0 {
			body = bytes.NewReader(q.body)
		}
		r, err := http.NewRequestWithContext(ctx, q.method, "https://"+sandboxName+q.path, body)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range q.fields {
			r.Header.Add(f.Name, f.Value)
		}
		resp, err := transport.RoundTrip(r) //nolint:staticcheck // see above
		if err != nil {
			t.Fatalf("%s %s: %v", q.method, q.path, err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatalf("%s %s: body: %v", q.method, q.path, err)
		}
		a := &answer{body: string(b), frames: []string{"HEADERS"}, ended: true}
		if len(b) > 0 {
			a.frames = append(a.frames, "DATA")
		}
		a.fields = append(a.fields, hpack.HeaderField{Name: ":status", Value: strconv.Itoa(resp.StatusCode)})
		for name, values := range resp.Header {
			for _, v := range values {
				a.fields = append(a.fields, hpack.HeaderField{Name: strings.ToLower(name), Value: v})
			}
		}
		if err := checkForm(q, a); err != nil {
			t.Errorf("form of the answer: %v\n%+v", err, a)
		}
		return a
	}
}

// vector is a request made out of a good one, and what it is answered.
type vector struct {
	name string
	make func(q *push)
	want string // with a provider token
	cert string // with a certificate; want if empty
}

// vectors are requests of which each has one particular.
func (w *world) vectors(t *testing.T) []vector {
	t.Helper()
	set := func(name, value string) func(*push) { return func(q *push) { q.set(name, value) } }
	path := func(path string) func(*push) { return func(q *push) { q.path = path } }
	method := func(method string) func(*push) { return func(q *push) { q.method = method } }
	body := func(n int) func(*push) { return func(q *push) { q.carrying(sized(n)) } }
	bearer := func(token string) func(*push) { return set("authorization", "bearer "+token) }
	token := func(topic apns.Topic, env apns.Environment) func(*push) {
		return func(q *push) { q.to(w.deviceToken(t, topic, env)) }
	}
	both := func(fs ...func(*push)) func(*push) {
		return func(q *push) {
			for _, f := range fs {
				f(q)
			}
		}
	}
	voip := both(token(demo+".voip", apns.Sandbox), set("apns-topic", string(demo+".voip")), set("apns-push-type", "voip"))
	impostor := w.team
	impostor.private = newKey(t)
	unknown := w.team
	unknown.key = "ZZZZZZZZZZ"
	misnamed := w.team
	misnamed.team = w.otherTeam.team
	now := time.Now()
	upper := "27CFDC15-E305-27E0-E290-8FC98E115899" // of Apple's own; the variant is none
	return []vector{
		{"good", func(*push) {}, accepted, ""},
		{"apns-id", set("apns-id", "eabeae54-14a8-11e5-b60b-1697f925ec7b"), accepted, ""},
		{"apns-id in upper case", set("apns-id", upper), accepted, ""},
		{"apns-id in upper case, refused", both(set("apns-id", upper), set("apns-priority", "7")), refused(apns.BadPriority), ""},
		{"apns-id no UUID", set("apns-id", "123"), refused(apns.BadMessageID), ""},
		{"apns-id empty", set("apns-id", ""), refused(apns.BadMessageID), ""},
		{"apns-id without hyphens", set("apns-id", strings.ReplaceAll(upper, "-", "")), refused(apns.BadMessageID), ""},
		{"apns-id in braces", set("apns-id", "{"+upper+"}"), refused(apns.BadMessageID), ""},

		{"GET", method("GET"), refused(apns.MethodNotAllowed), ""},
		{"PUT", method("PUT"), refused(apns.MethodNotAllowed), ""},
		{"no device token", path("/3/device/"), refused(apns.MissingDeviceToken), ""},
		{"no device token, no slash", path("/3/device"), refused(apns.MissingDeviceToken), ""},
		{"other path", path("/3/devices/x"), refused(apns.BadPath), ""},
		{"root", path("/"), refused(apns.BadPath), ""},

		{"no provider token", func(q *push) { q.drop("authorization") }, refused(apns.MissingProviderToken), accepted},
		{"no more than bearer", set("authorization", "bearer"), refused(apns.MissingProviderToken), accepted},
		{"other scheme", set("authorization", "Basic Zm9vOmJhcg=="), refused(apns.MissingProviderToken), accepted},
		{"scheme glued on", set("authorization", "bearer"+w.team.token(t, now)), refused(apns.MissingProviderToken), accepted},
		{"Bearer", set("authorization", "Bearer "+w.team.token(t, now)), accepted, ""},
		{"BEARER", set("authorization", "BEARER "+w.team.token(t, now)), accepted, ""},
		{"provider token malformed", bearer("not.a.token"), refused(apns.InvalidProviderToken), accepted},
		{"provider token too long", bearer(strings.Repeat("a", 4097)), refused(apns.InvalidProviderToken), accepted},
		{"provider token by another key", bearer(impostor.token(t, now)), refused(apns.InvalidProviderToken), accepted},
		{"provider token by an unknown key", bearer(unknown.token(t, now)), refused(apns.InvalidProviderToken), accepted},
		{"provider token by a key of another team", bearer(misnamed.token(t, now)), refused(apns.InvalidProviderToken), accepted},
		{"provider token RS256", bearer(algorithm(w.team.token(t, now), "RS256")), refused(apns.InvalidProviderToken), accepted},
		{"provider token unsigned", bearer(algorithm(w.team.token(t, now), "none")), refused(apns.InvalidProviderToken), accepted},
		{"provider token too old", bearer(w.team.token(t, now.Add(-time.Hour-time.Minute))), refused(apns.ExpiredProviderToken), accepted},

		{"no topic", func(q *push) { q.drop("apns-topic") }, refused(apns.MissingTopic), ""},
		{"topic empty", set("apns-topic", ""), refused(apns.BadTopic), ""},
		{"topic with a space", set("apns-topic", "com.example demo"), refused(apns.BadTopic), ""},
		{"topic too long", set("apns-topic", strings.Repeat("a", 256)), refused(apns.BadTopic), ""},
		{"topic of another team", set("apns-topic", string(stranger)), refused(apns.TopicDisallowed), ""},
		{"topic of nobody", set("apns-topic", "com.nobody.app"), refused(apns.TopicDisallowed), ""},
		{"another topic of the team", both(set("apns-topic", string(second)), token(second, apns.Sandbox)), accepted, refused(apns.TopicDisallowed)},

		{"expiration no number", set("apns-expiration", "soon"), refused(apns.BadExpirationDate), ""},
		{"expiration negative", set("apns-expiration", "-1"), refused(apns.BadExpirationDate), ""},
		{"expiration with a fraction", set("apns-expiration", "1700000000.5"), refused(apns.BadExpirationDate), ""},
		{"expiration beyond 64 bits", set("apns-expiration", "9223372036854775808"), refused(apns.BadExpirationDate), ""},
		{"expiration empty", set("apns-expiration", ""), refused(apns.BadExpirationDate), ""},
		{"expiration 0", set("apns-expiration", "0"), accepted, ""},
		{"expiration in the past", set("apns-expiration", "1"), accepted, ""},
		{"expiration far off", set("apns-expiration", "9223372036854775807"), accepted, ""},
		{"priority 7", set("apns-priority", "7"), refused(apns.BadPriority), ""},
		{"priority 010", set("apns-priority", "010"), refused(apns.BadPriority), ""},
		{"priority 1", set("apns-priority", "1"), accepted, ""},
		{"priority 5", set("apns-priority", "5"), accepted, ""},
		{"priority 10", set("apns-priority", "10"), accepted, ""},
		{"background", set("apns-push-type", "background"), accepted, ""},
		{"background, priority 5", both(set("apns-push-type", "background"), set("apns-priority", "5")), accepted, ""},
		{"background, priority 10", both(set("apns-push-type", "background"), set("apns-priority", "10")), refused(apns.BadPriority), ""},
		{"65 bytes of collapse ID", set("apns-collapse-id", strings.Repeat("a", 65)), refused(apns.BadCollapseID), ""},
		{"65 bytes of collapse ID in 33 letters", set("apns-collapse-id", strings.Repeat("é", 32)+"a"), refused(apns.BadCollapseID), ""},
		{"64 bytes of collapse ID", set("apns-collapse-id", strings.Repeat("a ", 31)+"é"), accepted, ""},
		{"push type widget", set("apns-push-type", "widget"), refused(apns.InvalidPushType), ""},
		{"push type in upper case", set("apns-push-type", "Alert"), refused(apns.InvalidPushType), ""},
		{"push type empty", set("apns-push-type", ""), refused(apns.InvalidPushType), ""},
		{"background to the topic of a widget", both(set("apns-push-type", "background"), set("apns-topic", string(demo+".push-type.widgets"))), refused(apns.InvalidPushType), refused(apns.TopicDisallowed)},
		{"background to the topic of VoIP", both(set("apns-push-type", "background"), set("apns-topic", string(demo+".voip"))), refused(apns.InvalidPushType), ""},
		{"voip to the plain topic", set("apns-push-type", "voip"), refused(apns.InvalidPushType), ""},
		{"alert", set("apns-push-type", "alert"), accepted, ""},
		{"voip", voip, accepted, ""},
		{"voip, not said so", both(voip, func(q *push) { q.drop("apns-push-type") }), accepted, ""},

		{"no body", body(0), refused(apns.PayloadEmpty), ""},
		{"4096 bytes", body(4096), accepted, ""},
		{"4097 bytes", body(4097), refused(apns.PayloadTooLarge), ""},
		{"voip, 5120 bytes", both(voip, body(5120)), accepted, ""},
		{"voip, 5121 bytes", both(voip, body(5121)), refused(apns.PayloadTooLarge), ""},
		{"voip, 5120 bytes, not said so", both(voip, body(5120), func(q *push) { q.drop("apns-push-type") }), accepted, ""},
		{"more than a window", body(100_000), refused(apns.PayloadTooLarge), ""},
		{"more than is read", body(3 << 20), refused(apns.PayloadTooLarge), ""},
		{"much that is no JSON", func(q *push) { q.carrying(strings.Repeat("x", 8192)) }, refused(apns.PayloadTooLarge), ""},
		{"no JSON", func(q *push) { q.carrying("hello") }, refused(apns.PayloadEmpty), ""},
		{"no JSON object", func(q *push) { q.carrying(`["aps"]`) }, refused(apns.PayloadEmpty), ""},
		{"JSON cut short", func(q *push) { q.carrying(`{"aps":`) }, refused(apns.PayloadEmpty), ""},
		{"two objects", func(q *push) { q.carrying(`{}{}`) }, refused(apns.PayloadEmpty), ""},
		{"nothing in the object", func(q *push) { q.carrying(`{}`) }, accepted, ""},

		{"device token no hex", path("/3/device/xyz"), refused(apns.BadDeviceToken), ""},
		{"device token of an odd length", path("/3/device/abc"), refused(apns.BadDeviceToken), ""},
		{"device token too long", path("/3/device/" + strings.Repeat("ab", 101)), refused(apns.BadDeviceToken), ""},
		{"device token of nobody", path("/3/device/" + strings.Repeat("ab", 32)), refused(apns.BadDeviceToken), ""},
		{"longest device token", path("/3/device/" + strings.Repeat("ab", 100)), refused(apns.BadDeviceToken), ""},
		{"device token and a slash", func(q *push) { q.path += "/" }, refused(apns.BadDeviceToken), ""},
		{"device token and a query", func(q *push) { q.path += "?a=b" }, refused(apns.BadDeviceToken), ""},
		{"device token in upper case", func(q *push) {
			q.path = "/3/device/" + strings.ToUpper(strings.TrimPrefix(q.path, "/3/device/"))
		}, accepted, ""},
		{"device token of production", token(demo, apns.Production), refused(apns.BadDeviceToken), ""},
		{"device token of another app", token(second, apns.Sandbox), refused(apns.DeviceTokenNotForTopic), ""},
		{"device token for VoIP", token(demo+".voip", apns.Sandbox), refused(apns.DeviceTokenNotForTopic), ""},
		{"removed app", func(q *push) { q.to(w.goneToken(t, demo, apns.Sandbox)) }, refused(apns.Unregistered), ""},

		{"two topics", func(q *push) { q.add("apns-topic", string(demo)) }, refused(apns.DuplicateHeaders), ""},
		{"two authorizations", func(q *push) { q.set("authorization", "bearer x").add("authorization", "bearer x") }, refused(apns.DuplicateHeaders), ""},
		{"two apns-ids", func(q *push) { q.add("apns-id", upper).add("apns-id", upper) }, refused(apns.DuplicateHeaders), ""},
		{"two priorities", func(q *push) { q.add("apns-priority", "10").add("apns-priority", "5") }, refused(apns.DuplicateHeaders), ""},
		{"unknown headers", func(q *push) {
			q.add("apns-unique-id", "x").add("apns-foo", "").add("apns-foo", "y").add("x-y", "z")
		}, accepted, ""},
		{"form", set("content-type", "application/x-www-form-urlencoded"), accepted, ""},
		{"content-encoding", set("content-encoding", "gzip"), accepted, ""},
	}
}

// sized returns a payload of n bytes.
func sized(n int) string {
	const frame = `{"aps":{"alert":""}}`
	if n < len(frame) {
		return ""
	}
	return `{"aps":{"alert":"` + strings.Repeat("a", n-len(frame)) + `"}}`
}

// algorithm returns a provider token that claims another algorithm.
func algorithm(token, alg string) string {
	_, rest, _ := strings.Cut(token, ".")
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"`+alg+`","kid":"ABCDE12345"}`)) + "." + rest
}

func TestVectors(t *testing.T) {
	w := newWorld(t)
	for _, mode := range []struct {
		name string
		dialing
	}{
		{"provider token", dialing{}},
		{"certificate", dialing{certificate: w.pushCertificate(t, demo, credential.PushUniversal)}},
	} {
		t.Run(mode.name, func(t *testing.T) {
			raw := w.dial(t, mode.dialing)
			library := w.library(t, mode.dialing)
			for _, v := range w.vectors(t) {
				want := v.want
				if mode.certificate != nil && v.cert != "" {
					want = v.cert
				}
				for _, by := range []struct {
					name string
					ask  func(*push) *answer
				}{{"frames", raw.ask}, {"library", library}} {
					q := w.push(t)
					if mode.certificate != nil {
						q.drop("authorization")
					}
					v.make(q)
					if len(q.body) > 60_000 && by.name == "frames" {
						continue // see TestLargeBody
					}
					a := by.ask(q)
					if got := a.outcome(); got != want {
						t.Errorf("%s, by %s: got %s, want %s", v.name, by.name, got, want)
					}
					if gone := `{"reason":"Unregistered","timestamp":1508249865488}`; want == refused(apns.Unregistered) && a.body != gone {
						t.Errorf("%s: got %s, want %s", v.name, a.body, gone)
					}
				}
			}
		})
	}
}
