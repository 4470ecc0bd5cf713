package admin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/heraldpush/herald/faults"
	"github.com/heraldpush/herald/portal"
	"github.com/heraldpush/herald/trace"
)

// Prefix is where the API lies: a handler for it belongs at this path.
const Prefix = "/v1/"

// apiHeader is in every answer and has the version of the API, by which a
// caller knows whom it talks to.
const (
	apiHeader  = "Herald-Api"
	apiVersion = "1"
)

// Limits.
const (
	// maxBody bounds the body of a request, in bytes.
	maxBody = 1 << 20
	// requestTimeout bounds an operation, backupTimeout a backup.
	requestTimeout = 30 * time.Second
	backupTimeout  = 10 * time.Minute
)

// Config says what an API is for.
type Config struct {
	// Portal is what it serves. Required.
	Portal *portal.Portal
	// Faults are faults on demand. Nil means that there are none.
	Faults *faults.Simulator
	// Trace is what happened. Nil means that nothing is kept of it.
	Trace *trace.Recorder
	// Key is the API key, a secret of 16 bytes at least: a request must have
	// it as "Authorization: Bearer KEY". With a shorter one, every request is
	// refused.
	Key string
	// Hosts are the host names that it is called by, besides IP addresses,
	// localhost and the names below localhost.
	Hosts []string
	// Actor is whose work the audit log calls what is done. Empty means
	// "admin key".
	Actor string
	// Logger gets the faults. Nil means slog.Default().
	Logger *slog.Logger
}

// minKey is how long an API key is at least, in bytes.
const minKey = 16

// API is the HTTP handler. It is safe for concurrent use.
type API struct {
	cfg     Config
	key     [sha256.Size]byte // the hash of the API key
	log     *slog.Logger
	mux     http.ServeMux
	backups chan struct{} // holds one element while a backup is made
}

// New returns the API of a portal.
func New(cfg Config) *API {
	a := &API{cfg: cfg, key: sha256.Sum256([]byte(cfg.Key)), log: cfg.Logger, backups: make(chan struct{}, 1)}
	if a.log == nil {
		a.log = slog.Default()
	}
	if a.cfg.Actor == "" {
		a.cfg.Actor = "admin key"
	}
	methods := make(map[string][]string) // by path
	handle := func(row Row, h func(http.ResponseWriter, *http.Request) error) {
		methods[row.Path] = append(methods[row.Path], row.Method)
		a.mux.HandleFunc(row.Method+" "+row.Path, func(w http.ResponseWriter, r *http.Request) {
			if err := h(w, r); err != nil {
				a.refuse(w, r, err)
			}
		})
	}
	for _, o := range operations {
		handle(o.row(), func(w http.ResponseWriter, r *http.Request) error { return a.serve(o, w, r) })
	}
	handle(backupRow, a.serveBackup)
	for path, allowed := range methods {
		allow := strings.Join(allowed, ", ")
		a.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", allow)
			a.refuse(w, r, newProblem(http.StatusMethodNotAllowed, CodeOperation, "", "here goes %s", allow))
		})
	}
	a.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		a.refuse(w, r, newProblem(http.StatusNotFound, CodeOperation, "The platform and the caller may be of different versions.", "there is no such operation"))
	})
	return a
}

// ServeHTTP answers a request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set(apiHeader, apiVersion)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	a.extend(w, requestTimeout)
	if !a.isHost(r.Host) {
		a.refuse(w, r, newProblem(http.StatusMisdirectedRequest, CodeHost, "Use its address or localhost.", "this host name is not one of the platform"))
		return
	}
	if !a.knows(r) {
		h.Set("WWW-Authenticate", `Bearer realm="herald"`)
		a.refuse(w, r, newProblem(http.StatusUnauthorized, CodeAPIKey, "It is the one that the platform was started with.", "the API key is missing or not this platform's"))
		return
	}
	a.mux.ServeHTTP(w, r)
}

// isHost reports whether a request was for this platform by its Host header: a
// page elsewhere that has its own name point here must not get through.
func (a *API) isHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	return net.ParseIP(host) != nil || host == "localhost" || strings.HasSuffix(host, ".localhost") ||
		slices.ContainsFunc(a.cfg.Hosts, func(h string) bool { return strings.EqualFold(h, host) })
}

// knows reports whether a request has the API key. The hashes are compared, as
// the comparison would tell the length.
func (a *API) knows(r *http.Request) bool {
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	hash := sha256.Sum256([]byte(key))
	same := subtle.ConstantTimeCompare(hash[:], a.key[:]) == 1
	return same && strings.EqualFold(scheme, "Bearer") && len(a.cfg.Key) >= minKey
}

// extend gives a request time, whatever the server's own limits. Where there
// are no deadlines, as in tests, there is nothing to extend.
func (a *API) extend(w http.ResponseWriter, d time.Duration) {
	c := http.NewResponseController(w)
	until := time.Now().Add(d)
	if err := errors.Join(c.SetReadDeadline(until), c.SetWriteDeadline(until)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		a.log.Debug("deadline of a request was not set", errorAttr(err))
	}
}

// actor returns the context in which a request is carried out.
func (a *API) actor(ctx context.Context) context.Context {
	return portal.WithActor(ctx, a.cfg.Actor)
}

// serve carries out an operation.
func (a *API) serve(o operation, w http.ResponseWriter, r *http.Request) error {
	in, err := readMembers(o.row(), w, r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(a.actor(r.Context()), requestTimeout)
	defer cancel()
	out, err := o.serve(ctx, Rooms{a.cfg.Portal, a.cfg.Faults, a.cfg.Trace}, in)
	if err != nil {
		return err
	}
	b, err := json.Marshal(out)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	a.write(w, r, append(b, '\n'))
	return nil
}

// readMembers returns what an operation is to be carried out with.
func readMembers(row Row, w http.ResponseWriter, r *http.Request) (members, error) {
	m := members{}
	if row.Method == http.MethodGet {
		query := r.URL.Query()
		for name, values := range query {
			if len(values) != 1 {
				return nil, newProblem(http.StatusBadRequest, CodeArgument, "", "the query has a member twice")
			}
			if err := m.setText(name, values[0]); err != nil {
				return nil, err
			}
		}
	} else {
		var err error
		if m, err = readBody(w, r); err != nil {
			return nil, err
		}
	}
	for _, name := range row.pathNames() {
		if err := m.setText(name, r.PathValue(name)); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// readBody returns the members of the object in a body; an empty body has none.
func readBody(w http.ResponseWriter, r *http.Request) (members, error) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, newProblem(http.StatusRequestEntityTooLarge, CodeTooLarge, "", "the body may have 1 MiB")
	}
	if err != nil {
		return nil, newProblem(http.StatusBadRequest, CodeArgument, "", "the body did not arrive")
	}
	m := members{}
	if len(b) == 0 {
		return m, nil
	}
	if err := decodeStrictly(b, &m); err != nil {
		return nil, newProblem(http.StatusBadRequest, CodeArgument, "", "the body is not a JSON object")
	}
	if m == nil { // the body was null
		m = members{}
	}
	return m, nil
}

// refuse answers with an error. What is no Problem is a fault of ours: it is
// logged here, and stays here.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p, ok := errors.AsType[*Problem](err)
	if !ok {
		if r.Context().Err() != nil {
			return // who asked is gone
		}
		a.log.ErrorContext(r.Context(), "operation failed", slog.String("method", r.Method), slog.String("path", r.URL.Path), errorAttr(err))
		p = newProblem(http.StatusInternalServerError, "", "", "the fault is on the platform's side; its log says more")
	}
	b, err := json.Marshal(p)
	if err != nil {
		a.log.ErrorContext(r.Context(), "problem cannot be written", errorAttr(err))
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	a.write(w, r, append(b, '\n'))
}

const problemType = "application/problem+json"

func (a *API) write(w http.ResponseWriter, r *http.Request, b []byte) {
	if _, err := w.Write(b); err != nil {
		a.log.DebugContext(r.Context(), "answer was not read", errorAttr(err))
	}
}

func errorAttr(err error) slog.Attr { return slog.Any("error", err) }
