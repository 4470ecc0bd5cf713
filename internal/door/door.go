// Package door holds what every door of the platform does with a listener:
// accept until told to stop, pause when the machine runs out of something,
// and return only when all connections have ended.
package door

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"
)

// Limits of the pause after an accept that failed for the moment.
const (
	minPause = 5 * time.Millisecond
	maxPause = time.Second
)

// Serve accepts connections and calls serve for each, on a goroutine of its
// own, until ctx ends or the listener fails. The context that serve gets ends
// with Serve's; closing the connection, then as at any time, is for serve to
// do.
//
// Serve closes the listener, and returns when all calls of serve have: nil if
// ctx ended, or the listener's error.
func Serve(ctx context.Context, l net.Listener, log *slog.Logger, serve func(ctx context.Context, c net.Conn)) error {
	var connections sync.WaitGroup
	defer connections.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	connections.Go(func() {
		<-ctx.Done()
		_ = l.Close()
	})
	for pause := time.Duration(0); ; {
		c, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			connections.Go(func() { serve(ctx, c) })
		case ctx.Err() != nil:
			return nil
		case isTemporary(err): // out of file descriptors, for one
			pause = min(max(2*pause, minPause), maxPause)
			log.WarnContext(ctx, "accepting is paused", slog.Any("error", err), slog.Duration("pause", pause))
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
		default:
			return fmt.Errorf("accepting on %v: %w", l.Addr(), err)
		}
	}
}

// isTemporary reports whether accepting may go well again later. The system
// calls only a part of such errors temporary.
func isTemporary(err error) bool {
	for _, shortage := range []error{syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED} {
		if errors.Is(err, shortage) {
			return true
		}
	}
	t, ok := errors.AsType[interface {
		error
		Temporary() bool
	}](err)
	return ok && t.Temporary()
}
