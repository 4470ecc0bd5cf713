package provider

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/dispatch"
	"github.com/heraldpush/herald/provider/event"
	"github.com/heraldpush/herald/provider/outbox"
	"github.com/heraldpush/herald/trace"
)

// Gateway says how the push service of an environment is reached: all of a
// sender's configuration but the credential. Nil is Apple's service.
type Gateway func(apns.Environment) apnsclient.Config

// config returns the configuration for an environment.
func (g Gateway) config(e apns.Environment) apnsclient.Config {
	var cfg apnsclient.Config
	if g != nil {
		cfg = g(e)
	}
	cfg.Environment = e
	return cfg
}

// Config says of what a PushServer is made. Book, Audience, Outbox and Archive are
// required, and remain the caller's to close after Run has returned.
type Config struct {
	// Book has the apps, their credentials, and the keys of the API.
	Book *account.Book
	// Audience keeps the installations.
	Audience audience.Store
	// Outbox keeps the messages until they have ended.
	Outbox outbox.Store
	// Archive keeps the messages that have ended.
	Archive outbox.Archive
	// Retention is how long the archive keeps a message after its end. Zero means 90
	// days.
	Retention time.Duration
	// Gateway says how the push service is reached.
	Gateway Gateway
	// Trace keeps what became of each push, for Story: a recorder of the provider's
	// own. Nil keeps nothing of it.
	Trace *trace.Recorder
	// Events is where it is told what happens. Nil: it is not told. For what happens
	// to credentials, the book is to tell it too (event.Log.Turned).
	Events *event.Log
	// KeepEvents says how much of Events is kept.
	KeepEvents event.Retention
	// StalledAfter is how long nothing may be answered of what is due in a lane of an
	// app before that is told. Zero means five minutes.
	StalledAfter time.Duration
	// Webhooks posts the events to webhooks. Nil: nobody does.
	Webhooks *event.Caller
	// Spans makes OpenTelemetry spans of what is sent. Nil: nobody does.
	Spans oteltrace.TracerProvider
	// Logger receives what goes wrong. Nil means slog.Default().
	Logger *slog.Logger
}

// retention is how long the archive keeps a message if nothing else is said.
const retention = 90 * 24 * time.Hour

// PushServer is a push server. Its methods are safe for concurrent use.
type PushServer struct {
	book       *account.Book
	audience   audience.Store
	outbox     outbox.Store
	trace      *trace.Recorder
	roads      *roads
	dispatcher *dispatch.Dispatcher
	freezer    *freezer
	archivist  *archivist
	history    history
	hygiene    *hygiene
	reporter   *reporter     // nil: there is no log of events
	sentry     *sentry       // nil: there is no log of events
	webhooks   *event.Caller // or nil
	logger     *slog.Logger
}

// New returns a PushServer, which sends nothing before Run.
func New(cfg Config) (*PushServer, error) {
	if cfg.Book == nil || cfg.Audience == nil || cfg.Outbox == nil || cfg.Archive == nil {
		return nil, errors.New("push server: book, audience, outbox and archive are required")
	}
	p := &PushServer{book: cfg.Book, audience: cfg.Audience, outbox: cfg.Outbox, trace: cfg.Trace, logger: cmp.Or(cfg.Logger, slog.Default())}
	p.history = history{cfg.Outbox, cfg.Archive}
	var t *teller // nil: nothing is told
	if cfg.Events != nil {
		t = &teller{log: cfg.Events, book: cfg.Book, logger: p.logger}
	}
	archive := cfg.Archive
	if t != nil {
		archive = toldArchive{archive, t}
	}
	p.archivist = newArchivist(cfg.Outbox, archive, cmp.Or(cfg.Retention, retention), p.logger)
	p.outbox = &outboxWatch{p.outbox, p.archivist.Wake}
	p.webhooks = cfg.Webhooks
	if t != nil {
		p.outbox, p.audience = toldOutbox{p.outbox, t}, toldAudience{p.audience, t}
		p.reporter = &reporter{t, cfg.KeepEvents}
	}
	p.roads = newRoads(cfg.Book, cfg.Gateway.traced(cfg.Trace), p.logger)
	if t != nil {
		p.sentry = newSentry(t, cfg.Outbox, p.history, p.roads.lastFault, cmp.Or(cfg.StalledAfter, stalledAfter))
	}
	undoFailed := make(chan struct{}, 1)
	var err error
	p.dispatcher, err = dispatch.New(dispatch.Config{
		Outbox: p.outbox, Audience: undoing{p.audience, undoFailed}, Road: p.roads.to, Fault: p.roads.fault, Spans: cfg.Spans, Logger: p.logger,
	})
	if err != nil {
		return nil, err
	}
	p.hygiene = &hygiene{p.book, p.audience, p.outbox, p.logger, undoFailed}
	p.freezer = newFreezer(p.outbox, p.audience, p.logger, p.dispatcher.Wake)
	return p, nil
}

// Run sends until ctx ends; then nothing more is begun, what is under way is
// waited for, and the connections are closed. It returns nil then, or the error of
// a store, which ends it too. It is called once.
func (p *PushServer) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type loop struct {
		name string
		run  func(context.Context) error
	}
	loops := []loop{
		{"dispatcher", p.dispatcher.Run},
		{"freezer", p.freezer.Run},
		{"hygiene", p.hygiene.Run},
		{"archivist", p.archivist.Run},
	}
	if p.reporter != nil {
		loops = append(loops, loop{"reporter", p.reporter.Run}, loop{"sentry", p.sentry.Run})
	}
	if p.webhooks != nil {
		loops = append(loops, loop{"webhooks", func(ctx context.Context) error { p.webhooks.Run(ctx); return nil }})
	}
	errs := make([]error, len(loops))
	var running sync.WaitGroup
	for i, loop := range loops {
		running.Go(func() {
			defer cancel() // none goes on without the others
			if err := loop.run(ctx); err != nil {
				errs[i] = fmt.Errorf("%s: %w", loop.name, err)
			}
		})
	}
	running.Wait()
	return errors.Join(append(errs, p.roads.close())...)
}
