package provide

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/api"
	"github.com/heraldpush/herald/store/pebble"
)

// metricsPath is where the metrics are.
const metricsPath = "/metrics"

// metricsTimeout is how long gathering them may take.
const metricsTimeout = 20 * time.Second

// door is what answers over HTTP: the API, and the metrics beside it.
type door struct {
	api     http.Handler
	metrics http.Handler
	book    *account.Book
	log     *slog.Logger
	open    atomic.Bool // requests are meant to come
}

func newDoor(s *service, api http.Handler, log *slog.Logger) *door {
	return &door{
		api: api, book: s.book, log: log,
		metrics: promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{
			ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelError), ErrorHandling: promhttp.ContinueOnError,
			Timeout: metricsTimeout, MaxRequestsInFlight: 4,
		}),
	}
}

// ServeHTTP implements http.Handler.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != metricsPath {
		d.api.ServeHTTP(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "here goes GET", http.StatusMethodNotAllowed)
		return
	}
	if status := d.admit(r); status != http.StatusOK {
		w.Header().Set("WWW-Authenticate", "Bearer")
		http.Error(w, "the metrics take an API key with the scope read in all apps: Authorization: Bearer sk_...", status)
		return
	}
	d.metrics.ServeHTTP(w, r)
}

// admit returns the status that a request for the metrics gets: they name all apps.
func (d *door) admit(r *http.Request) int {
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return http.StatusUnauthorized
	}
	key, err := d.book.Authenticate(r.Context(), strings.TrimSpace(text))
	switch {
	case errors.Is(err, account.ErrKey):
		return http.StatusUnauthorized
	case err != nil:
		d.log.Error("API key was not looked up", slog.Any("error", err))
		return http.StatusServiceUnavailable
	case !key.Allows(account.ScopeRead, ""):
		return http.StatusForbidden
	}
	return http.StatusOK
}

// backlogLimit is how many shards of a lane are counted at most.
const backlogLimit = 50_000

// health says how the push server is: not well when it is about to end, and when
// the disk has failed.
func (s *service) health(ctx context.Context) api.Health {
	backlog, err := s.backlog(ctx, 1) // those that wait longest are first
	if err != nil || !s.door.open.Load() {
		return api.Health{}
	}
	h := api.Health{OK: true}
	for _, b := range backlog {
		h.OldestUnsentSeconds = max(h.OldestUnsentSeconds, waited(b, time.Now()))
	}
	return h
}

// waited returns how long the first message of a backlog has waited, in seconds.
func waited(b pebble.Backlog, now time.Time) float64 {
	if b.Oldest.IsZero() {
		return 0
	}
	return max(0, now.Sub(b.Oldest).Seconds())
}
