package provide

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/http2"

	"github.com/heraldpush/herald/platform"
)

// Limits of the API's HTTP server.
const (
	headerTimeout  = 10 * time.Second
	readTimeout    = time.Minute
	writeTimeout   = 2 * time.Minute
	idleTimeout    = 3 * time.Minute
	maxHeaderBytes = 32 << 10
	maxStreams     = 250
)

// doors are what a run listens on.
type doors struct {
	public net.Listener
	local  net.Listener // nil: public is for this machine, too
	tls    *tls.Config  // of public; nil without TLS
	served bool         // they belong to those who serve on them
}

// listen opens all listeners, or none.
func listen(ctx context.Context, cfg Config) (_ *doors, err error) {
	d := &doors{}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	if cfg.CertFile != "" {
		pair, err := loadPair(cfg.CertFile, cfg.KeyFile, cfg.Logger)
		if err != nil {
			return nil, err
		}
		d.tls = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: pair.get}
	}
	public := platform.ListenLoopback
	if d.tls != nil || cfg.Insecure {
		public = platform.Listen
	}
	if d.public, err = public(ctx, "API", cfg.Listen); err != nil {
		d.public = nil
		return nil, err
	}
	if at, ok := d.public.Addr().(*net.TCPAddr); d.tls == nil && ok && at.IP.IsLoopback() {
		return d, nil
	}
	if d.local, err = platform.ListenLoopback(ctx, "API for this machine", "127.0.0.1:0"); err != nil {
		d.local = nil
		return nil, err
	}
	return d, nil
}

// url returns the base of the API.
func (d *doors) url() string {
	if d.tls != nil {
		return "https://" + d.public.Addr().String()
	}
	return "http://" + d.public.Addr().String()
}

// localURL returns the base of the API for programs of this machine.
func (d *doors) localURL() string {
	if d.local != nil {
		return "http://" + d.local.Addr().String()
	}
	return d.url()
}

// close closes what nobody came to serve on.
func (d *doors) close() error {
	if d.served {
		return nil
	}
	var errs []error
	for _, l := range []net.Listener{d.public, d.local} {
		if l != nil {
			errs = append(errs, l.Close())
		}
	}
	return errors.Join(errs...)
}

// serve serves on all listeners until ctx ends or one of them does; then it waits
// for the requests under way, for no longer than Drain.
func (d *doors) serve(run context.Context, h http.Handler, cfg Config) error {
	d.served = true
	ctx, cancel := context.WithCancelCause(run)
	defer cancel(nil)
	var serving sync.WaitGroup
	for _, l := range []net.Listener{d.public, d.local} {
		if l == nil {
			continue
		}
		server, err := newServer(h, cfg.Logger)
		if err != nil {
			cancel(errors.Join(err, l.Close()))
			break
		}
		serving.Go(func() {
			<-ctx.Done()
			shutDown(ctx, server, cfg)
		})
		serving.Go(func() {
			serve := server.Serve
			if l == d.public && d.tls != nil {
				server.TLSConfig.GetCertificate = d.tls.GetCertificate
				serve = func(l net.Listener) error { return server.ServeTLS(l, "", "") }
			}
			if err := serve(l); !errors.Is(err, http.ErrServerClosed) {
				cancel(fmt.Errorf("serving HTTP on %v: %w", l.Addr(), err))
			}
		})
	}
	serving.Wait()
	if run.Err() != nil {
		return nil
	}
	return context.Cause(ctx)
}

// shutDown ends a server when the requests under way are answered, or have had
// their time.
func shutDown(ctx context.Context, server *http.Server, cfg Config) {
	drain := cfg.Drain
	if drain == 0 {
		drain = DefaultDrain
	}
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer stop()
	if server.Shutdown(last) != nil {
		cfg.Logger.Warn("requests were cut short", slog.Duration("after", drain))
		_ = server.Close()
	}
}

// newServer returns a server for a listener.
func newServer(h http.Handler, log *slog.Logger) (*http.Server, error) {
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12},
	}
	// Not the HTTP/2 that comes with net/http: x/net's is mended without another Go.
	err := http2.ConfigureServer(server, &http2.Server{MaxConcurrentStreams: maxStreams, IdleTimeout: idleTimeout}) //nolint:staticcheck // see above
	return server, err
}
