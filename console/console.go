// Package console is the web console: what a person wants to see of a running
// platform, in a browser. It is plain HTML, rendered here, and works without
// scripts.
package console

import (
	"embed"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/heraldpush/herald/device"
	"github.com/heraldpush/herald/trace"
)

//go:embed templates
var files embed.FS

var pages = template.Must(template.ParseFS(files, "templates/*.html"))

// maxShown is how many notifications the page keeps.
const maxShown = 20

// Console is the pages. It is safe for concurrent use.
type Console struct {
	mux http.ServeMux

	mu    sync.Mutex
	facts []Fact                // guarded by mu
	try   string                // guarded by mu
	warn  string                // guarded by mu
	shown []device.Presentation // newest first; guarded by mu
	trace *trace.Recorder       // guarded by mu
}

// Fact is a line about the platform. It is public: no secret goes here.
type Fact struct{ Name, Value string }

// New returns a console that knows nothing yet.
func New() *Console {
	c := &Console{}
	c.mux.HandleFunc("GET /{$}", c.page("home.html"))
	c.mux.HandleFunc("GET /device", c.page("device.html")) // alone, as it reloads itself
	c.mux.HandleFunc("GET /traces/{id}", c.story)
	return c
}

// Describe tells what the platform is, and a command to try it with.
func (c *Console) Describe(facts []Fact, try string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.facts, c.try = facts, try
}

// Warn has the home page say, above all else, what must not be overlooked, until
// the next call. Empty ends it.
func (c *Console) Warn(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.warn = text
}

// Show adds a notification as the device shows it.
func (c *Console) Show(p device.Presentation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shown = slices.Insert(c.shown, 0, p)
	c.shown = c.shown[:min(len(c.shown), maxShown)]
}

// ServeHTTP serves the pages, to those who came by an address or a local name:
// a page elsewhere that has its own name point here must not read them.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if net.ParseIP(host) == nil && host != "localhost" && !strings.HasSuffix(host, ".localhost") {
		http.Error(w, "This host name is not one of the console: use its address or localhost.", http.StatusMisdirectedRequest)
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-src 'self'; frame-ancestors 'self'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	c.mux.ServeHTTP(w, r)
}

// view is what the pages are made of.
type view struct {
	Facts []Fact
	Try   string
	Warn  string
	Shown []device.Presentation
	// HasStories tells that there is a page for each of them.
	HasStories bool
}

// page returns the handler of a page.
func (c *Console) page(template string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		v := view{Facts: c.facts, Try: c.try, Warn: c.warn, Shown: slices.Clone(c.shown), HasStories: c.trace != nil}
		c.mu.Unlock()
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if err := pages.ExecuteTemplate(w, template, v); err != nil {
			slog.DebugContext(r.Context(), "console page was not read", slog.Any("error", err))
		}
	}
}
