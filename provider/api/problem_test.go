package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/heraldpush/herald/provider"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
)

// problem is the whole document of a problem, as reply.said has it. errs are its
// faults, as JSON.
func problem(code Code, detail string, errs ...string) string {
	k := problems[code]
	all := ""
	if len(errs) > 0 {
		all = `,"errors":[` + strings.Join(errs, ",") + `]`
	}
	return fmt.Sprintf(`%d {"type":"https://github.com/heraldpush/herald/blob/main/docs/problems.md#%s","title":%q,"status":%d,"detail":%q,`+
		`"instance":"/requests/req_","code":"%s"%s}`, k.status, code, k.title, k.status, detail, code, all)
}

// TestRefused has what is refused before an operation is carried out, to the letter.
func TestRefused(t *testing.T) {
	w := newWorld(t, nil)
	w.newApp(t, "zoo", "com.example.zoo")
	revoked := w.newKey(t, account.KeySpec{Scopes: []account.Scope{account.ScopeAdmin}})
	if _, err := w.book.RevokeKey(t.Context(), account.KeyID(revoked[:19])); err != nil {
		t.Fatal(err)
	}
	reader := w.newKey(t, account.KeySpec{Scopes: []account.Scope{account.ScopeRead}})
	ofZoo := w.newKey(t, account.KeySpec{Scopes: []account.Scope{account.ScopeAdmin}, Apps: []account.AppID{"zoo"}})
	put := func(key, body string, header ...string) *http.Request {
		r := httptest.NewRequestWithContext(t.Context(), "PUT", phone, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+key)
		for n := 0; n < len(header); n += 2 {
			r.Header.Set(header[n], header[n+1])
		}
		return r
	}
	with := func(key, method, target string) *http.Request {
		r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
		if key != "" {
			r.Header.Set("Authorization", key)
		}
		return r
	}
	admin := "Bearer " + w.admin
	unread := put(w.admin, "")
	unread.Body = http.NoBody
	unread.ContentLength = smallBody + 1
	for _, tt := range []struct {
		name   string
		r      *http.Request
		want   string
		header string // "name: value"
	}{
		{"no path", with(admin, "GET", "/v2"), problem(CodeNotFound, "there is no such path; /openapi.json has those that there are"), ""},
		{"no end", with(admin, "GET", "/v1/apps/"), problem(CodeNotFound, "there is no such path; /openapi.json has those that there are"), ""},
		{"a long path", with(admin, "GET", "/v1/apps/"+strings.Repeat("x", maxPathBytes)), problem(CodeURI, "at most 2048 bytes are possible"), ""},
		{"a long query", with(admin, "GET", "/v1/apps?cursor="+strings.Repeat("x", maxQueryBytes)), problem(CodeURI, "a query may have 8192 bytes"), ""},
		{"another method", with(admin, "PUT", "/v1/apps"), problem(CodeMethod, "here goes GET, HEAD, POST"), "Allow: GET, HEAD, POST"},
		{"no key", with("", "GET", "/v1/apps"), problem(CodeKey, "there is no API key: send it as Authorization: Bearer sk_…"), `WWW-Authenticate: Bearer realm="herald"`},
		{
			"a password", with("Basic c2s6", "GET", "/v1/apps"),
			problem(CodeKey, "the API key is not one, or was revoked, or its time is over"), `WWW-Authenticate: Bearer realm="herald", error="invalid_token"`,
		},
		{
			"a revoked key", with("Bearer "+revoked, "GET", "/v1/apps"),
			problem(CodeKey, "the API key is not one, or was revoked, or its time is over"), `WWW-Authenticate: Bearer realm="herald", error="invalid_token"`,
		},
		{
			"another scope", with("Bearer "+reader, "GET", phone),
			problem(CodeForbidden, "this key lacks the scope devices"), `WWW-Authenticate: Bearer realm="herald", error="insufficient_scope", scope="devices"`,
		},
		{"another app", with("Bearer "+ofZoo, "GET", "/v1/apps/shop"), problem(CodeForbidden, "this key is not for this app"), ""},
		{"no app, and not for it", with("Bearer "+ofZoo, "GET", "/v1/apps/none"), problem(CodeForbidden, "this key is not for this app"), ""},
		{"what is of no app", with("Bearer "+ofZoo, "GET", "/v1/keys"), problem(CodeForbidden, "this key is for some apps alone, and this is of none"), ""},
		{"no app", with(admin, "GET", "/v1/apps/none"), problem(CodeNotFound, `app "none": not found`), ""},
		{
			"a parameter that is none", with(admin, "GET", "/v1/apps?page=2"),
			problem(CodeParameter, "page: there is no such parameter", `{"parameter":"page","code":"unknown","detail":"there is no such parameter"}`), "",
		},
		{
			"a parameter twice", with(admin, "GET", "/v1/apps?limit=2&limit=3"),
			problem(CodeParameter, "limit: it is there twice", `{"parameter":"limit","code":"duplicate","detail":"it is there twice"}`), "",
		},
		{
			"a page too large", with(admin, "GET", "/v1/apps?limit=1001"),
			problem(CodeParameter, "limit: a number from 1 to 1000", `{"parameter":"limit","code":"malformed","detail":"a number from 1 to 1000"}`), "",
		},
		{"a query that is none", with(admin, "GET", "/v1/apps?%zz"), problem(CodeParameter, "the query cannot be read"), ""},
		{
			"an installation that cannot be", with(admin, "GET", "/v1/apps/shop/installations/a%2Fb"),
			problem(CodeParameter, "installation: an installation's ID has letters, digits and -._~:@ only",
				`{"parameter":"installation","code":"malformed","detail":"an installation's ID has letters, digits and -._~:@ only"}`), "",
		},
		{"no body", put(w.admin, ""), problem(CodeJSON, "there is no body"), ""},
		{"no JSON", put(w.admin, `{"tags":`), problem(CodeJSON, "at byte 8: unexpected end of JSON input"), ""},
		{"no UTF-8", put(w.admin, "\"\xff\""), problem(CodeJSON, "the body is not UTF-8"), ""},
		{"two documents", put(w.admin, `{} {}`), problem(CodeJSON, "at byte 4: invalid character '{' after top-level value"), ""},
		{"a large body", put(w.admin, `{"tags":["`+strings.Repeat("x", smallBody)+`"]}`), problem(CodeTooLarge, "a body here may have 65536 bytes"), ""},
		{"a body that is announced too large", unread, problem(CodeTooLarge, "a body here may have 65536 bytes"), ""},
		{"a form", put(w.admin, "{}", "Content-Type", "text/plain"), problem(CodeMediaType, "here goes application/json: say so with Content-Type"), ""},
		{"compressed", put(w.admin, "{}", "Content-Encoding", "gzip"), problem(CodeContentEncoding, "send it as it is, without a Content-Encoding"), ""},
		{
			"all that is wrong", put(w.admin, `{"tags":["a",1],"locale":null,"device_tokens":[{"environment":"x"}],"colour":"red","person":{"a/b":2}}`),
			problem(CodeInvalid, "/tags/1: here goes a string, not a number; /locale: null cannot stand here: leave it out; "+
				"/device_tokens/0/value: it is missing; /colour: there is no such field; /person/a~1b: here goes a string, not a number",
				`{"pointer":"/tags/1","code":"malformed","detail":"here goes a string, not a number"}`,
				`{"pointer":"/locale","code":"malformed","detail":"null cannot stand here: leave it out"}`,
				`{"pointer":"/device_tokens/0/value","code":"required","detail":"it is missing"}`,
				`{"pointer":"/colour","code":"unknown","detail":"there is no such field"}`,
				`{"pointer":"/person/a~1b","code":"malformed","detail":"here goes a string, not a number"}`), "",
		},
		{
			"what only the room knows", put(w.admin, `{"device_tokens":[{"environment":"moon","value":"00"}],"time_zone":"Nowhere"}`),
			problem(CodeInvalid, "/device_tokens/0/environment: sandbox or production; /time_zone: not the name of a time zone, such as Europe/Zurich",
				`{"pointer":"/device_tokens/0/environment","code":"required","detail":"sandbox or production"}`,
				`{"pointer":"/time_zone","code":"malformed","detail":"not the name of a time zone, such as Europe/Zurich"}`), "",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := w.ask(t, tt.r)
			if said := got.said(); said != tt.want {
				t.Errorf("got  %s\nwant %s", said, tt.want)
			}
			if name, value, _ := strings.Cut(tt.header, ": "); value != got.header.Get(name) {
				t.Errorf("%s is %q, want %q", name, got.header.Get(name), value)
			}
		})
	}
	if w.log.Len() > 0 {
		t.Errorf("logged: %s", w.log)
	}
}

// TestConflict has what is refused for what is there already.
func TestConflict(t *testing.T) {
	w := newWorld(t, nil)
	got := w.do(t, "POST", "/v1/apps", `{"id":"shop","bundle_id":"com.example.other"}`)
	if want := `409 conflict [{"pointer":"/id","code":"conflict","detail":"there is an app shop already"}]`; got.refusal(t) != want {
		t.Errorf("got  %s\nwant %s", got.refusal(t), want)
	}
}

// TestAsProblem has the problem of each error of the rooms.
func TestAsProblem(t *testing.T) {
	for _, tt := range []struct {
		err   error
		want  Code
		retry string
	}{
		{account.ErrNotFound, CodeNotFound, ""},
		{audience.ErrNotFound, CodeNotFound, ""},
		{outbox.ErrNotFound, CodeNotFound, ""},
		{audience.ErrPersons, CodePeople, ""},
		{outbox.ErrState, CodeState, ""},
		{outbox.ErrOtherRequest, CodeIdempotencyKey, ""},
		{provider.ErrNoCredential, CodeNoCredential, ""},
		{account.ErrNoChecker, CodeNoChecker, ""},
		{outbox.ErrFull, CodeFull, "5"},
		{audience.ErrFull, CodeFull, "5"},
		{outbox.ErrClosed, CodeStopping, "1"},
		{context.DeadlineExceeded, CodeTimeout, "1"},
		{&audience.InvalidError{Faults: []audience.Fault{{Pointer: "/a", Code: audience.Conflict, Detail: "b"}}}, CodeConflict, ""},
		{&audience.InvalidError{Faults: []audience.Fault{{Code: audience.Conflict}, {Code: audience.TooMany}}}, CodeInvalid, ""},
	} {
		p := asProblem(fmt.Errorf("doing it: %w", tt.err))
		if p == nil || p.Code != tt.want || p.header.Get("Retry-After") != tt.retry || p.Error() == "" {
			t.Errorf("%v: got %+v, want %s", tt.err, p, tt.want)
		}
	}
	if p := asProblem(errors.New("disk")); p != nil {
		t.Errorf("an internal error is %+v", p)
	}
}

// TestInternal has what went wrong on our side in the log once, and not in the answer.
func TestInternal(t *testing.T) {
	w := newWorld(t, nil)
	r := w.routes.find("/healthz")
	op := *r.methods["GET"]
	op.run = func(*API, context.Context, *request) (answer, error) {
		return answer{}, errors.New("the secret of the disk")
	}
	r.methods["GET"] = &op
	got := w.as(t, "", "GET", "/healthz", "")
	id := got.header.Get("Request-Id")
	if want := problem(CodeInternal, "the fault is on our side; the log has more under req_"); got.said() != want {
		t.Errorf("got  %s\nwant %s", got.said(), want)
	}
	log := w.log.String()
	if strings.Count(log, "\n") != 1 || !strings.Contains(log, id) || !strings.Contains(log, "the secret of the disk") || !strings.Contains(log, "operation=getHealth") {
		t.Errorf("logged: %s", log)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, httptest.NewRequestWithContext(ctx, "GET", "/healthz", nil))
	if rec.Code != 503 || w.log.String() != log {
		t.Errorf("who is gone was answered %d, and logged: %s", rec.Code, w.log)
	}
}

// find returns the route of a path without parameters.
func (all routes) find(path string) *route {
	for _, r := range all {
		if "/"+strings.Join(r.segments, "/") == path {
			return r
		}
	}
	return nil
}

// TestRate counts a key's requests at each door by itself.
func TestRate(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Rates = Rates{Rest: Rate{PerSecond: 0.001, Burst: 2}, Register: Rate{PerSecond: 0.001, Burst: 1}, Send: Rate{PerSecond: -1}}
	})
	for n, want := range []string{`"default";r=1;t=`, `"default";r=0;t=`} {
		got := w.do(t, "GET", "/v1/apps", "")
		if got.status != 200 || !strings.HasPrefix(got.header.Get("RateLimit"), want) || got.header.Get("RateLimit-Policy") != `"default";q=2;w=2000` {
			t.Errorf("request %d: %s, %v", n, got.said(), got.header)
		}
	}
	got := w.do(t, "GET", "/v1/apps", "")
	if want := problem(CodeRate, "this key may make 0.001 requests a second"); got.said() != want || len(got.header.Get("Retry-After")) < 3 {
		t.Errorf("got  %s, Retry-After %s\nwant %s", got.said(), got.header.Get("Retry-After"), want)
	}
	if got := w.do(t, "PUT", phone, "{}"); got.status != 201 {
		t.Errorf("at another door: %s", got.said())
	}
	if got := w.do(t, "PUT", phone, "{}"); got.status != 429 {
		t.Errorf("at another door, again: %s", got.said())
	}
	other := w.newKey(t, account.KeySpec{Scopes: []account.Scope{account.ScopeRead}})
	if got := w.as(t, other, "GET", "/v1/apps", ""); got.status != 200 {
		t.Errorf("another key: %s", got.said())
	}
}

func TestLimiter(t *testing.T) {
	l := newLimiter(Rates{Rest: Rate{PerSecond: 10, Burst: 3}})
	at := time.Unix(1_000_000_000, 0)
	took := func(n int, at time.Time) (got int) {
		for range n {
			if l.take("sk_a", doorRest, at, http.Header{}) == nil {
				got++
			}
		}
		return got
	}
	for _, step := range []struct {
		after time.Duration
		want  int
	}{{0, 3}, {100 * time.Millisecond, 1}, {350 * time.Millisecond, 2}, {time.Hour, 3}, {-time.Hour, 0}} {
		if got := took(5, at.Add(step.after)); got != step.want {
			t.Errorf("after %v: %d, want %d", step.after, got, step.want)
		}
	}
	for n := range 3 * fewBuckets { // keys that came once do not stay
		_ = l.take(account.KeyID(fmt.Sprint(n)), doorRest, at.Add(time.Duration(n)*time.Second), http.Header{})
	}
	if got := len(l.buckets); got > fewBuckets {
		t.Errorf("there are %d buckets", got)
	}
}
