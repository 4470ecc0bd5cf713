package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/internal/memnet"
	"github.com/heraldpush/herald/provider"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/event"
	"github.com/heraldpush/herald/provider/outbox"
	"github.com/heraldpush/herald/store/memory"
	"github.com/heraldpush/herald/store/pebble"
)

const (
	shop     account.AppID = "shop"
	bundleID apns.Topic    = "com.example.shop"
)

// world is an API under test, over stores in memory, with a book that has the app shop
// and a key for everything. Nothing is sent: the loops of its server do not run.
type world struct {
	*API
	server *provider.PushServer
	book   *account.Book
	outbox outbox.Store
	events *event.Log
	roll   *event.Roll
	admin  string // the text of the key
	log    *bytes.Buffer
	// gateway is what is answered when credentials are checked; what it has not is
	// that the device token is none, as usual.
	gateway map[apns.Environment]error
}

// Check implements account.Checker.
func (w *world) Check(_ context.Context, p account.Probe) error {
	if err, ok := w.gateway[p.Environment]; ok {
		return err
	}
	return fmt.Errorf("push: %w", apns.Reject(apns.BadDeviceToken, ""))
}

// newWorld returns a world. change, if it is not nil, changes its Config.
func newWorld(t *testing.T, change func(*Config)) *world {
	t.Helper()
	w := &world{log: &bytes.Buffer{}, gateway: map[apns.Environment]error{}}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	w.book, err = account.Open(t.Context(), account.Config{Store: memory.NewAccount(), Checker: w})
	must(err)
	w.events, err = event.OpenLog(t.Context(), memory.NewEvent())
	must(err)
	w.roll, err = event.OpenRoll(t.Context(), event.RollConfig{Book: w.book, Log: w.events})
	must(err)
	caller, err := event.NewCaller(event.CallerConfig{Roll: w.roll, Log: w.events, Dial: new(memnet.Network).DialContext})
	must(err)
	o, err := pebble.OpenOutboxInMemory()
	must(err)
	w.outbox = o
	t.Cleanup(func() { must(o.Close()) })
	logger := slog.New(slog.NewTextHandler(w.log, nil))
	w.server, err = provider.New(provider.Config{Book: w.book, Audience: memory.NewAudience(), Outbox: o, Archive: memory.NewArchive(), Logger: logger})
	must(err)
	cfg := Config{
		Server: w.server, Book: w.book, Events: w.events, Webhooks: caller, Logger: logger,
		Rates: Rates{Rest: Rate{PerSecond: -1}, Register: Rate{PerSecond: -1}, Send: Rate{PerSecond: -1}},
	}
	if change != nil {
		change(&cfg)
	}
	w.API, err = New(cfg)
	must(err)
	w.newApp(t, shop, bundleID)
	w.admin = w.newKey(t, account.KeySpec{Scopes: []account.Scope{account.ScopeAdmin}})
	return w
}

func (w *world) newApp(t *testing.T, id account.AppID, bundle apns.Topic) {
	t.Helper()
	if _, err := w.book.CreateApp(t.Context(), account.AppSpec{ID: id, BundleID: bundle}); err != nil {
		t.Fatal(err)
	}
}

// newKey returns the text of a new key.
func (w *world) newKey(t *testing.T, s account.KeySpec) string {
	t.Helper()
	_, whole, err := w.book.CreateKey(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return whole.Reveal()
}

// reply is what was answered.
type reply struct {
	status int
	header http.Header
	body   string
}

// requestIDs are the Request-Ids in answers.
var requestIDs = regexp.MustCompile(`req_[a-z2-7]{20}`)

// said is the status and the body, in which the Request-Id is "req_".
func (r *reply) said() string {
	return strconv.Itoa(r.status) + " " + strings.TrimSpace(requestIDs.ReplaceAllString(r.body, "req_"))
}

// into reads the body, which must be JSON.
func (r *reply) into(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.body), v); err != nil {
		t.Fatalf("%v: %s", err, r.body)
	}
}

// do asks with the key for everything. The body is JSON, if there is one.
func (w *world) do(t *testing.T, method, target, body string) *reply {
	t.Helper()
	return w.as(t, w.admin, method, target, body)
}

// as asks with a key.
func (w *world) as(t *testing.T, key, method, target, body string) *reply {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return w.ask(t, r)
}

// ask carries out a request, and holds what was answered against the OpenAPI
// document.
func (w *world) ask(t *testing.T, r *http.Request) *reply {
	t.Helper()
	var sent bytes.Buffer
	if r.Body != nil {
		r.Body = io.NopCloser(io.TeeReader(r.Body, &sent))
	}
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	got := &reply{rec.Code, rec.Header(), rec.Body.String()}
	if id := got.header.Get("Request-Id"); requestIDs.FindString(id) != id || id == "" {
		t.Errorf("%s %s: Request-Id is %q", r.Method, r.URL, id)
	}
	op, _, _ := w.routes.match(r.Method, r.URL) // of what is no operation, only that of its door
	if err := w.documented(op, r, sent.Bytes(), got); err != nil {
		t.Errorf("%s %s is not as the document says: %v\nanswered: %s", r.Method, r.URL, err, got.said())
	}
	return got
}

// exercised are the answers that tests had, as "operation status".
var exercised sync.Map

// documented says what in an answer is not as the document has it.
func (w *world) documented(op *operation, r *http.Request, sent []byte, got *reply) error {
	if op != nil && op.isHidden {
		return nil
	}
	c, err := compiled(w.document)
	if err != nil {
		return err
	}
	if op == nil || got.status >= 400 && op.refusal == nil && !slices.ContainsFunc(op.out, func(o outcome) bool { return o.status == got.status }) {
		if media := got.header.Get("Content-Type"); media != mediaProblem {
			return fmt.Errorf("a problem of type %q", media)
		}
		var p Problem
		if err := json.Unmarshal([]byte(got.body), &p); err != nil {
			return err
		}
		if p.Status != got.status || p.Instance != "/requests/"+got.header.Get("Request-Id") {
			return errors.New("status or instance of the problem is not that of the answer")
		}
		return c.holds("/components/schemas/Problem", []byte(got.body))
	}
	exercised.Store(op.id+" "+strconv.Itoa(got.status), true)
	at := "/paths/" + escape(op.path) + "/" + strings.ToLower(op.method)
	if media := r.Header.Get("Content-Type"); got.status < 300 && strings.HasSuffix(media, "json") && len(op.in.contents) > 0 {
		if err := c.holds(at+"/requestBody/content/"+escape(media)+"/schema", sent); err != nil {
			return fmt.Errorf("request: %w", err)
		}
	}
	status := strconv.Itoa(got.status)
	response, err := c.at(at + "/responses/" + status)
	if err != nil && got.status >= 400 {
		status = status[:1] + "XX"
		response, err = c.at(at + "/responses/" + status)
	}
	if err != nil {
		return err
	}
	return c.holdsResponse(at+"/responses/"+status, response, got)
}

// contract is an OpenAPI document, to hold things against. Objects in it have no
// members but those that it names.
type contract struct {
	document any
	compiler *jsonschema.Compiler
	mu       sync.Mutex // guards compiler
}

var contracts sync.Map // of *contract, by document

func compiled(document []byte) (*contract, error) {
	if c, ok := contracts.Load(string(document)); ok {
		if c, ok := c.(*contract); ok {
			return c, nil
		}
	}
	whole, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		return nil, err
	}
	closeAll(whole)
	c := &contract{document: whole, compiler: jsonschema.NewCompiler()}
	c.compiler.AssertFormat()
	c.compiler.AssertContent()
	if err := c.compiler.AddResource("https://herald.example/openapi.json", whole); err != nil {
		return nil, err
	}
	contracts.Store(string(document), c)
	return c, nil
}

// closeAll makes the schemas of objects refuse members that they do not name.
func closeAll(v any) {
	switch v := v.(type) {
	case map[string]any:
		if _, isObject := v["properties"].(map[string]any); isObject && v["type"] == "object" && v["additionalProperties"] == nil {
			v["additionalProperties"] = false
		}
		for _, below := range v {
			closeAll(below)
		}
	case []any:
		for _, below := range v {
			closeAll(below)
		}
	}
}

// at returns the object that a JSON pointer points to.
func (c *contract) at(pointer string) (map[string]any, error) {
	v := c.document
	for part := range strings.SplitSeq(pointer[1:], "/") {
		switch above := v.(type) {
		case map[string]any:
			v = above[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]
		case []any:
			v = nil
			if n, err := strconv.Atoi(part); err == nil && n < len(above) {
				v = above[n]
			}
		}
	}
	if object, ok := v.(map[string]any); ok {
		return object, nil
	}
	return nil, fmt.Errorf("the document has no %s", pointer)
}

// schema returns the schema at a JSON pointer.
func (c *contract) schema(pointer string) (*jsonschema.Schema, error) {
	if _, err := c.at(pointer); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.compiler.Compile("https://herald.example/openapi.json#" + strings.NewReplacer("{", "%7B", "}", "%7D", "+", "%2B").Replace(pointer))
}

// holds reports what of a JSON document is against the schema at a pointer.
func (c *contract) holds(pointer string, body []byte) error {
	s, err := c.schema(pointer)
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return s.Validate(v)
}

// holdsResponse reports what of an answer is against what the document has for it.
func (c *contract) holdsResponse(at string, response map[string]any, got *reply) error {
	if ref, ok := response["$ref"].(string); ok {
		at = strings.TrimPrefix(ref, "#")
		var err error
		if response, err = c.at(at); err != nil {
			return err
		}
	}
	headers, _ := response["headers"].(map[string]any)
	for name, of := range headers {
		if of, ok := of.(map[string]any); ok && of["required"] == true && got.header.Get(name) == "" {
			return fmt.Errorf("there is no header %s", name)
		}
	}
	contents, _ := response["content"].(map[string]any)
	media := got.header.Get("Content-Type")
	if len(contents) == 0 {
		if got.body != "" || media != "" {
			return errors.New("there is a body")
		}
		return nil
	}
	if contents[media] == nil {
		return fmt.Errorf("the body is %s", media)
	}
	if !strings.HasSuffix(media, "json") {
		return nil
	}
	return c.holds(at+"/content/"+escape(media)+"/schema", []byte(got.body))
}

// TestMain runs the tests, and then looks whether each operation was exercised, with
// each answer that it may give but problems.
func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	whole := true
	for _, name := range []string{"test.run", "test.skip", "test.fuzz", "test.list", "test.bench"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			whole = false
		}
	}
	if code == 0 && whole {
		for _, op := range operations() {
			for _, o := range op.out {
				if _, ok := exercised.Load(op.id + " " + strconv.Itoa(o.status)); !ok {
					fmt.Fprintf(os.Stderr, "no test had %s answer %d\n", op.id, o.status)
					code = 1
				}
			}
		}
	}
	os.Exit(code)
}

// refusal is the status, code and faults of a problem.
func (r *reply) refusal(t *testing.T) string {
	t.Helper()
	var p struct {
		Code   string            `json:"code"`
		Errors []json.RawMessage `json:"errors"`
	}
	r.into(t, &p)
	var faults []string
	for _, f := range p.Errors {
		faults = append(faults, string(f))
	}
	return fmt.Sprintf("%d %s [%s]", r.status, p.Code, strings.Join(faults, ","))
}
