package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/heraldpush/herald/provider"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/event"
)

// Times for a request.
const (
	// requestTimeout is how long one may take, from its head to its answer.
	requestTimeout = 60 * time.Second
	// answerTimeout is how much longer it may take to hand over the answer.
	answerTimeout = 10 * time.Second
	// maxQueryBytes bounds a query.
	maxQueryBytes = 8 << 10
)

// Config says what an API is made of.
type Config struct {
	// Server is what the messages and installations are those of. Required.
	Server *provider.PushServer
	// Book has the apps, the credentials and the API keys. Required.
	Book *account.Book
	// Events is the log of what happened. Nil: it is not kept.
	Events *event.Log
	// Webhooks are where it is posted. Nil: there are none.
	Webhooks *event.Caller
	// Rates are how many requests a key may make. The zero value has the defaults.
	Rates Rates
	// Backup begins a backup of all there is, encrypted to age recipients. Its error is
	// an *audience.InvalidError for recipients that cannot be. Nil: none is made.
	Backup func(ctx context.Context, recipients []string) (Backup, error)
	// Health says how the provider is. Nil: it is well as long as it answers.
	Health func(ctx context.Context) Health
	// Answered is told of every request. It must not block. Nil: nobody is.
	Answered func(Answered)
	// Spans makes the OpenTelemetry spans of requests. Nil: nobody does.
	Spans oteltrace.TracerProvider
	// Logger is told what went wrong on our side, with the ID of the request. Nil is
	// silent.
	Logger *slog.Logger
}

// API answers what is asked of a provider over HTTP. It is safe for concurrent use.
type API struct {
	server   *provider.PushServer
	book     *account.Book
	events   *event.Log                                                     // or nil
	webhooks *event.Caller                                                  // or nil
	backup   func(ctx context.Context, recipients []string) (Backup, error) // or nil
	health   func(ctx context.Context) Health
	answered func(Answered)
	log      *slog.Logger
	routes   routes
	document []byte
	rates    *limiter
	tracer   oteltrace.Tracer
}

// New returns an API. The error names what is missing.
func New(cfg Config) (*API, error) {
	if cfg.Server == nil || cfg.Book == nil {
		return nil, errors.New("API: Server and Book are required")
	}
	a := &API{
		server: cfg.Server, book: cfg.Book, events: cfg.Events, webhooks: cfg.Webhooks, backup: cfg.Backup, health: cfg.Health, answered: cfg.Answered, log: cfg.Logger,
		rates: newLimiter(cfg.Rates), tracer: newTracer(cfg.Spans),
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	table := operations()
	var err error
	if a.routes, err = newRoutes(table); err != nil {
		return nil, err
	}
	a.document, err = newDocument(table)
	return a, err
}

// operations is the table: all that can be asked for, by resource.
func operations() []operation {
	return slices.Concat(
		appOperations(),
		credentialOperations(),
		installationOperations(),
		personOperations(),
		messageOperations(),
		rawOperations(),
		lineOperations(),
		keyOperations(),
		eventOperations(),
		webhookOperations(),
		auditOperations(),
		backupOperations(),
		[]operation{healthOperation(), openAPIOperation()},
	)
}

// ServeHTTP answers a request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := newRequestID()
	h := w.Header()
	h.Set("Request-Id", id)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	op, path, err := a.routes.match(r.Method, r.URL)
	timeout := requestTimeout
	if op != nil && op.timeout != 0 {
		timeout = op.timeout
	}
	a.extend(w, timeout)
	if a.answered != nil {
		noted, began := &statusWriter{ResponseWriter: w}, time.Now()
		w = noted
		defer func() { a.tell(op, noted, began) }()
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	r = r.WithContext(ctx)
	if err != nil {
		a.refuse(w, r, op, id, err)
		return
	}
	ctx, span := a.begin(ctx, r, op, id)
	defer span.End()
	r = r.WithContext(ctx)
	q := &request{Request: r, op: op, id: id, path: path}
	said, err := a.serve(ctx, w, q)
	if err == nil {
		var out rendered
		if out, err = said.render(); err == nil {
			a.write(w, r, out)
			return
		}
	}
	a.refuse(w, r, op, id, err)
}

// extend gives a request its time, whatever the limits of the http.Server. Where there
// are no deadlines, as in tests, there is nothing to extend.
func (a *API) extend(w http.ResponseWriter, timeout time.Duration) {
	c, until := http.NewResponseController(w), time.Now().Add(timeout)
	if err := errors.Join(c.SetReadDeadline(until), c.SetWriteDeadline(until.Add(answerTimeout))); err != nil && !errors.Is(err, http.ErrNotSupported) {
		a.log.Debug("deadline of a request was not set", errorAttr(err))
	}
}

// serve carries out an operation.
func (a *API) serve(ctx context.Context, w http.ResponseWriter, q *request) (answer, error) {
	if err := a.admit(ctx, w, q); err != nil {
		return answer{}, err
	}
	if err := q.readQuery(); err != nil {
		return answer{}, err
	}
	if err := q.readBody(w); err != nil {
		return answer{}, err
	}
	if q.key.ID != "" {
		ctx = account.WithActor(ctx, string(q.key.ID))
	}
	return q.op.run(a, ctx, q)
}

// admit recognises the API key of a request, and checks that it is for the operation,
// in the app that it is about.
func (a *API) admit(ctx context.Context, w http.ResponseWriter, q *request) (err error) {
	if q.op.scope == "" {
		return nil
	}
	if q.key, err = a.authenticate(ctx, q); err != nil {
		return err
	}
	if err := a.rates.take(q.key.ID, q.op.door, time.Now(), w.Header()); err != nil {
		return err
	}
	app := account.AppID(q.path["app"])
	if q.op.app != nil {
		if app, err = q.op.app(a, q); err != nil {
			return err
		}
	}
	if !q.key.Allows(q.op.scope, app) {
		return a.forbidden(q, app)
	}
	if app != "" {
		q.app, err = a.book.App(app)
	}
	return err
}

// authenticate returns the API key of a request.
func (a *API) authenticate(ctx context.Context, q *request) (account.Key, error) {
	header := q.Header.Get("Authorization")
	scheme, text, _ := strings.Cut(header, " ")
	k, err := account.Key{}, account.ErrKey
	if strings.EqualFold(scheme, "Bearer") {
		k, err = a.book.Authenticate(ctx, strings.TrimSpace(text))
	}
	if err == nil {
		return k, nil
	}
	if !errors.Is(err, account.ErrKey) {
		return k, err
	}
	p := newProblem(CodeKey, "the API key is not one, or was revoked, or its time is over")
	challenge := `Bearer realm="herald", error="invalid_token"`
	if header == "" {
		p = newProblem(CodeKey, "there is no API key: send it as Authorization: Bearer sk_…")
		challenge = `Bearer realm="herald"`
	}
	p.header.Set("WWW-Authenticate", challenge)
	return k, p
}

// forbidden says why a key is not for an operation. What apps there are is not said to
// a key that is not for them.
func (a *API) forbidden(q *request, app account.AppID) error {
	var p *Problem
	switch {
	case app == "" && len(q.key.Apps) > 0:
		p = newProblem(CodeForbidden, "this key is for some apps alone, and this is of none")
	case len(q.key.Apps) > 0 && !slices.Contains(q.key.Apps, app):
		p = newProblem(CodeForbidden, "this key is not for this app")
	case q.key.Kind == account.Publishable:
		p = newProblem(CodeForbidden, "a publishable key may register installations, and nothing else")
	default:
		p = newProblem(CodeForbidden, "this key lacks the scope %s", q.op.scope)
	}
	p.header.Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="herald", error="insufficient_scope", scope="%s"`, q.op.scope))
	return p
}

// readQuery reads the query. What the operation does not know is refused, as it is a
// mistake.
func (q *request) readQuery() (err error) {
	if len(q.URL.RawQuery) > maxQueryBytes {
		return newProblem(CodeURI, "a query may have %d bytes", maxQueryBytes)
	}
	if q.given, err = url.ParseQuery(q.URL.RawQuery); err != nil {
		return newProblem(CodeParameter, "the query cannot be read")
	}
	for name, values := range q.given {
		if !slices.ContainsFunc(q.op.query, func(p parameter) bool { return p.name == name }) {
			return wrongParameter(name, "unknown", "there is no such parameter")
		}
		if len(values) > 1 {
			return wrongParameter(name, "duplicate", "it is there twice")
		}
	}
	return nil
}

// flag returns a parameter of the query that is there or not, or is true or false.
func (q *request) flag(name string) (bool, error) {
	if !q.given.Has(name) || q.given.Get(name) == "false" {
		return false, nil
	}
	if v := q.given.Get(name); v != "" && v != "true" {
		return false, wrongParameter(name, "malformed", "true or false")
	}
	return true, nil
}

// readBody reads the body up to its bound.
func (q *request) readBody(w http.ResponseWriter) error {
	in := &q.op.in
	if len(in.contents) == 0 || in.isLeft {
		return nil
	}
	if e := q.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		p := newProblem(CodeContentEncoding, "send it as it is, without a Content-Encoding")
		p.header.Set("Accept-Encoding", "identity")
		return p
	}
	limit := in.limit
	if limit == 0 {
		limit = smallBody
	}
	tooLarge := newProblem(CodeTooLarge, "a body here may have %d bytes", limit)
	if q.ContentLength > limit {
		return tooLarge
	}
	var err error
	q.body, err = io.ReadAll(http.MaxBytesReader(w, q.Body, limit))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge
	}
	if err != nil {
		return newProblem(CodeBody, "the body did not arrive")
	}
	if len(q.body) == 0 && in.optional {
		return nil
	}
	var ok bool
	if q.content, q.params, ok = in.match(q.Header.Get("Content-Type")); !ok {
		var all []string
		for _, c := range in.contents {
			all = append(all, c.media)
		}
		p := newProblem(CodeMediaType, "here goes %s: say so with Content-Type", strings.Join(all, " or "))
		if q.Method == http.MethodPatch || q.Method == http.MethodPost {
			p.header.Set("Accept-"+q.Method[:1]+strings.ToLower(q.Method[1:]), strings.Join(all, ", "))
		}
		return p
	}
	return nil
}

// render returns an answer as it goes out.
func (s answer) render() (out rendered, err error) {
	out = rendered{status: s.status, header: s.header, media: s.media}
	switch body := s.body.(type) {
	case nil:
	case []byte:
		out.body = body
	case Backup:
		out.stream = &body
	default:
		out.media = mediaJSON
		out.body, err = json.Marshal(body)
		out.body = append(out.body, '\n')
	}
	return out, err
}

// refuse answers with an error. What the one who asks cannot mend is logged here, and
// stays here. op is nil for what is no operation.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, op *operation, id string, err error) {
	p := asProblem(err)
	switch {
	case p != nil:
	case errors.Is(r.Context().Err(), context.Canceled):
		// Who asked is gone, it seems; net/http would say 200 where nothing is said.
		p = newProblem(CodeTimeout, "it was given up").after(time.Second)
	default:
		name := ""
		if op != nil {
			name = op.id // not the path: it may have device tokens
		}
		a.log.ErrorContext(r.Context(), "request failed", slog.String("request", id), slog.String("operation", name), errorAttr(err))
		p = newProblem(CodeInternal, "the fault is on our side; the log has more under %s", id)
	}
	var out rendered
	if op != nil && op.refuse != nil {
		out, err = op.refuse(p, r, id)
	} else {
		out, err = p.answer(id)
	}
	if err != nil {
		a.log.ErrorContext(r.Context(), "problem cannot be written", slog.String("request", id), errorAttr(err))
		out = rendered{status: http.StatusInternalServerError}
	}
	a.write(w, r, out)
}

func (a *API) write(w http.ResponseWriter, r *http.Request, out rendered) {
	h := w.Header()
	maps.Copy(h, out.header)
	if out.stream != nil {
		a.stream(w, r, out)
		return
	}
	if out.media != "" {
		h.Set("Content-Type", out.media)
		h.Set("Content-Length", strconv.Itoa(len(out.body)))
	}
	w.WriteHeader(out.status)
	noteStatus(r.Context(), out.status)
	if r.Method == http.MethodHead {
		return
	}
	if _, err := w.Write(out.body); err != nil && len(out.body) > 0 {
		a.log.DebugContext(r.Context(), "answer was not read", errorAttr(err))
	}
}

func errorAttr(err error) slog.Attr { return slog.Any("error", err) }
