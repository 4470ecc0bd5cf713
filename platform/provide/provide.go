package provide

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/heraldpush/herald/platform"
	"github.com/heraldpush/herald/platform/folder"
	"github.com/heraldpush/herald/provider"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/api"
	"github.com/heraldpush/herald/provider/event"
	"github.com/heraldpush/herald/store/pebble"
	"github.com/heraldpush/herald/trace"
)

// DefaultDrain is how long requests under way may take at the end, by default.
const DefaultDrain = 30 * time.Second

// Config says how to run.
type Config struct {
	// Dir is the folder: of an earlier run, or empty, or not there yet. Required.
	Dir string
	// Listen is where the API listens, "host:port"; an empty host stands for all
	// interfaces. Required.
	Listen string
	// CertFile and KeyFile are the certificate chain of the API and its private key,
	// PEM. They are read again when they change. Without them the API has no TLS, and
	// Listen has to be a loopback address.
	CertFile, KeyFile string
	// Insecure lets an API without TLS listen anywhere: where something before it
	// ends TLS.
	Insecure bool
	// Gateway says how the push service is reached. Nil is Apple's.
	Gateway provider.Gateway
	// Trace says how much is kept of what became of pushes. Its Dir and Logger are not
	// used: it is in the folder.
	Trace trace.Config
	// TraceOff has nothing kept of it.
	TraceOff bool
	// Drain is how long requests under way may take at the end. Zero means
	// DefaultDrain.
	Drain time.Duration
	// Ready is called when everything answers. Required.
	Ready func(Running)
	// Logger gets what rooms and doors report. Required.
	Logger *slog.Logger
}

// Running is what Ready is told.
type Running struct {
	// Dir is the folder, absolute.
	Dir string
	// New reports that this run made it.
	New bool
	// URL is the base of the API.
	URL string
	// Local is the base of the API for programs of this machine: URL, if that has no
	// TLS and is on the loopback interface.
	Local string
	// AdminKeyFile is the path of the file with a key for everything.
	AdminKeyFile string
	// AdminKey is that key, if this run made it; it is not told again.
	AdminKey account.APIKey
}

// Run runs the push server until ctx ends, which is no error. It returns when
// everything has ended. The error may be a *folder.Error or a
// *platform.ListenError.
func Run(ctx context.Context, cfg Config) (err error) {
	f, isNew, err := openFolder(ctx, cfg.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(f.Explain(err), f.Close()) }()
	doors, err := listen(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, doors.close()) }()
	s, err := open(ctx, cfg, f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	key, err := s.adminKey(ctx, f)
	if err != nil {
		return err
	}
	if err := f.Finish(); err != nil {
		return err
	}
	r := Running{
		Dir: f.Dir(), New: isNew, URL: doors.url(), Local: doors.localURL(), AdminKeyFile: f.Path(AdminKeyFile), AdminKey: key,
	}
	return s.run(ctx, cfg, f, doors, r)
}

// service is the push server over a folder's stores.
type service struct {
	book     *account.Book
	outbox   *pebble.Outbox
	trace    *trace.Recorder // nil: nothing is kept
	spans    *spans
	events   *event.Log
	webhooks *event.Caller
	push     *provider.PushServer
	metrics  *metrics
	door     *door
	backups  chan struct{} // holds one while a backup is made
}

// open opens the stores of a folder, and makes the push server over them.
func open(ctx context.Context, cfg Config, f *folder.Folder) (_ *service, err error) {
	db := f.Provider()
	s := &service{metrics: newMetrics(), backups: make(chan struct{}, 1)}
	gateway := s.metrics.watch(cfg.Gateway)
	if s.events, err = event.OpenLog(ctx, db.Events()); err != nil {
		return nil, err
	}
	s.book, err = account.Open(ctx, account.Config{
		Store: db.Account(), Sealer: f.Sealer(), Checker: provider.NewChecker(cfg.Gateway), Turned: s.events.Turned, Logger: cfg.Logger,
	})
	if err != nil {
		return nil, err
	}
	if s.spans, err = openSpans(ctx, cfg.Logger); err != nil {
		return nil, err
	}
	if s.webhooks, err = newWebhooks(ctx, s.book, s.events, cfg.Logger); err != nil {
		s.spans.close(ctx)
		return nil, err
	}
	box, err := f.OpenOutbox(cfg.Logger) //nolint:contextcheck // Close ends it
	if err != nil {
		s.spans.close(ctx)
		return nil, err
	}
	s.outbox = box
	defer func() {
		if err != nil {
			s.spans.close(ctx)
			err = errors.Join(err, box.Close())
		}
	}()
	if !cfg.TraceOff {
		kept := cfg.Trace
		kept.Dir, kept.Logger = f.Path(folder.TraceDir), cfg.Logger.With(slog.String("room", "trace"))
		if s.trace, err = trace.Open(kept); err != nil { //nolint:contextcheck // Close ends it
			return nil, err
		}
	}
	if err := s.join(cfg, f, gateway); err != nil {
		s.trace.Close()
		return nil, err
	}
	return s, nil
}

// newWebhooks returns what calls the webhooks that the book has.
func newWebhooks(ctx context.Context, b *account.Book, l *event.Log, logger *slog.Logger) (*event.Caller, error) {
	roll, err := event.OpenRoll(ctx, event.RollConfig{Book: b, Log: l})
	if err != nil {
		return nil, err
	}
	return event.NewCaller(event.CallerConfig{Roll: roll, Log: l, Logger: logger})
}

// join makes the push server and its API.
func (s *service) join(cfg Config, f *folder.Folder, gateway provider.Gateway) (err error) {
	db := f.Provider()
	s.push, err = provider.New(provider.Config{
		Book: s.book, Audience: db.Audience(), Outbox: s.metrics.count(s.outbox, s.book), Archive: db.Archive(), Gateway: gateway,
		Events: s.events, Webhooks: s.webhooks, Trace: s.trace, Spans: s.spans.provider(), Logger: cfg.Logger,
	})
	if err != nil {
		return err
	}
	s.metrics.observe(s)
	handler, err := api.New(api.Config{
		Server: s.push, Book: s.book, Events: s.events, Webhooks: s.webhooks,
		Backup: func(ctx context.Context, recipients []string) (api.Backup, error) {
			return s.backup(ctx, f, recipients)
		},
		Health: s.health, Answered: s.metrics.answered, Spans: s.spans.provider(), Logger: cfg.Logger,
	})
	if err != nil {
		return err
	}
	s.door = newDoor(s, handler, cfg.Logger)
	return nil
}

// close closes what open opened.
func (s *service) close(ctx context.Context) error {
	s.trace.Close()
	s.spans.close(ctx)
	return s.outbox.Close()
}

// run serves until ctx ends, or one of the parts does. The push server goes on
// until the last request is answered.
func (s *service) run(ctx context.Context, cfg Config, f *folder.Folder, doors *doors, r Running) error {
	return platform.RunParts(ctx, func(ctx context.Context, serve func(...platform.Part)) error {
		serve(s.push.Run)
		serve(func(ctx context.Context) error { return doors.serve(ctx, s.door, cfg) })
		if err := f.WriteRun(r.Local, ""); err != nil {
			return err
		}
		s.door.open.Store(true)
		cfg.Ready(r)
		<-ctx.Done()
		s.door.open.Store(false)
		return f.RemoveRun()
	})
}
