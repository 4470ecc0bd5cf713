package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/internal/door"
	"github.com/heraldpush/herald/platform"
	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/store/memory"
	"github.com/heraldpush/herald/store/pebble"
	"github.com/heraldpush/herald/store/sqlite"
)

// serviceSetup says what a service works with.
type serviceSetup struct {
	Dir       string // that prepare made
	Spool     SpoolKind
	Transport Transport
}

// warnings is a logger to standard error, of what goes wrong.
func warnings() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// openSpoolStore returns a store of the kind, in dir if it needs one.
func openSpoolStore(kind SpoolKind, dir string) (spool.Store, error) {
	switch kind {
	case SpoolMemory:
		return memory.NewSpool(0), nil
	case SpoolDurable:
		return pebble.Open(dir, pebble.Config{Logger: warnings()})
	default:
		return nil, fmt.Errorf("no spool %q", kind)
	}
}

// runService is the push service: the platform over a data folder.
func (p *part) runService(ctx context.Context, setup serviceSetup) (err error) {
	platform.TuneMemory()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	db, err := sqlite.Open(ctx, filepath.Join(setup.Dir, databaseFile))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	store, err := openSpoolStore(setup.Spool, filepath.Join(setup.Dir, spoolFolder))
	if err != nil {
		return err
	}
	world, err := platform.Open(ctx, platform.Config{
		PortalStore: db.Portal(), RegistryStore: db.Registry(), SpoolStore: store, DrainTimeout: drainTimeout,
		GatewayLimits: new(limits()), CourierPortable: setup.Transport == TransportPortable, Logger: warnings(),
	})
	if err != nil {
		return errors.Join(err, store.Close())
	}
	var serving sync.WaitGroup
	defer func() {
		cancel()
		serving.Wait()
		err = errors.Join(err, world.Close())
	}()
	var doors [2]net.Listener
	for i := range doors {
		if doors[i], err = listen(ctx); err != nil {
			return err
		}
		defer func() { _ = doors[i].Close() }() // once more, where Serve has
	}
	var failed error
	serving.Go(func() {
		failed = world.Serve(ctx, platform.Listeners{
			Gateway: map[apns.Environment]net.Listener{environment: doors[0]}, Courier: doors[1],
		})
	})
	if err := p.answer(reply{Target: &target{Address: doors[0].Addr().String(), Courier: doors[1].Addr().String()}}, nil); err != nil {
		return err
	}
	err = p.obey(map[string]func(*order, *reply) error{
		orderWaiting: func(_ *order, r *reply) error {
			r.Waiting = world.Spool.Stats().Notifications
			return nil
		},
		orderCollect: func(*order, *reply) error {
			debug.FreeOSMemory()
			return nil
		},
	})
	cancel()
	serving.Wait()
	return errors.Join(err, failed)
}

// bareTimeout bounds a handshake with the bare TLS accept loop.
const bareTimeout = 30 * time.Second

// serveBareTLS is what a courier is measured against: it accepts, shakes hands,
// writes one byte, and waits for the other end to close.
func (p *part) serveBareTLS(ctx context.Context, setup httpSetup) (err error) {
	pair, err := tls.X509KeyPair(setup.Certificate, setup.Certificate)
	if err != nil {
		return err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l, err := listen(ctx)
	if err != nil {
		return err
	}
	var serving sync.WaitGroup
	var failed error
	serving.Go(func() {
		failed = door.Serve(ctx, l, warnings(), func(ctx context.Context, raw net.Conn) {
			defer func() { _ = raw.Close() }()
			defer context.AfterFunc(ctx, func() { _ = raw.Close() })()
			conn := tls.Server(raw, config)
			if conn.SetDeadline(time.Now().Add(bareTimeout)) != nil || conn.HandshakeContext(ctx) != nil {
				return // the other end knows
			}
			if _, err := conn.Write([]byte{0}); err != nil {
				return
			}
			if conn.SetDeadline(time.Now().Add(MaxRun)) == nil {
				_, _ = conn.Read(make([]byte, 1))
			}
		})
	})
	if err = p.answer(reply{Target: &target{Courier: l.Addr().String()}}, nil); err == nil {
		err = p.obey(nil)
	}
	cancel()
	serving.Wait()
	return errors.Join(err, failed)
}
