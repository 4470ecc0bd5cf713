package courier

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/wire"
)

// dialogue is a connection with a device from Connect to its end.
type dialogue struct {
	*link
	greeting greeting
	log      *slog.Logger
	greetBy  time.Time // when a Connect must have been accepted
	proven   func()    // called when one was; may be called again

	session    *session // nil before the device has identified itself
	stop       context.CancelFunc
	delivering sync.WaitGroup
}

// serve serves the connection: the greeting, then the session. It returns why
// it ended.
func (d *dialogue) serve(ctx context.Context) error {
	defer func() {
		_ = d.conn.Close() // ends a write that blocks
		d.endSession()
	}()
	return d.frames(d.limit, d.due, d.tick, func(f wire.Frame) error {
		switch {
		case f.Command == wire.CommandConnect:
			return d.connect(ctx, f)
		case d.session == nil:
			return fmt.Errorf("%v came before Connect", f.Command)
		}
		out, err := d.session.receive(ctx, f, nil)
		return errors.Join(err, d.write(out))
	})
}

// limit returns how large the payload of the next frame may be, in bytes.
func (d *dialogue) limit() int {
	if d.session == nil {
		return wire.MaxConnectPayloadBytes
	}
	return wire.MaxPayloadBytes
}

// due returns when tick is to be called, if no frame comes before.
func (d *dialogue) due() time.Time {
	if d.session == nil {
		return d.greetBy
	}
	return d.session.due()
}

// tick is called when the time that due named has come without a frame.
func (d *dialogue) tick() error {
	if d.session == nil {
		return errors.New("no Connect came in time")
	}
	out, err := d.session.tick(time.Now(), nil)
	return errors.Join(err, d.write(out))
}

// connect handles a Connect: the first, a goodbye, or one that begins anew in
// place of the session there is.
func (d *dialogue) connect(ctx context.Context, f wire.Frame) error {
	m, err := wire.ParseConnect(f.Payload)
	if err != nil {
		return err
	}
	switch {
	case m.State != wire.StateOffline:
	case d.session == nil:
		return errors.New("goodbye before hello")
	case m.BaseToken == d.session.base:
		return errors.New("the device said goodbye")
	default:
		return nil // of a device that is not connected here
	}
	if d.session != nil {
		d.endSession()
		d.greetBy = time.Now().Add(connectTimeout)
	}
	now := time.Now()
	s, err := d.greeting.connect(ctx, m, now, d.link)
	if err != nil {
		return d.refuse(ctx, err, now)
	}
	if err := d.write(s.accepted(now).Append(nil)); err != nil {
		s.end()
		return err
	}
	d.proven()
	d.session = s
	d.log.DebugContext(ctx, "device connected", slog.String("device", string(s.id)), slog.String("environment", s.env.String()))
	ctx, d.stop = context.WithCancel(ctx)
	d.delivering.Go(func() { d.deliver(ctx, s) })
	return nil
}

// refuse answers a Connect that err kept from being accepted. It returns nil
// if the device may try again.
//
// A device that is told that it is invalid may throw its identity away
// (docs/protocol/courier.md#nonce). So it is told nothing where the fault is
// not its own, and meets the end of the connection: then it comes back.
func (d *dialogue) refuse(ctx context.Context, err error, now time.Time) error {
	if parting, ok := errors.AsType[*partingError](err); ok {
		return errors.Join(err, d.write(parting.frames))
	}
	refused, ok := errors.AsType[*refusedError](err)
	if !ok {
		if ctx.Err() == nil && !errors.Is(err, apns.Reject(apns.Shutdown, "")) {
			d.log.ErrorContext(ctx, "courier could not accept a device", slog.Any("error", err))
		}
		return err
	}
	if w := d.write(refused.ack(now).Append(nil)); w != nil {
		return errors.Join(err, w)
	}
	if refused.again {
		d.log.InfoContext(ctx, "device has a wrong clock", slog.Any("error", err))
		return nil
	}
	d.log.WarnContext(ctx, "device was refused", slog.Any("error", err))
	return err
}

// endSession ends the session, if there is one, and what delivers for it.
func (d *dialogue) endSession() {
	if d.session == nil {
		return
	}
	d.stop()
	d.delivering.Wait()
	d.session.end()
	d.session = nil
}

// maxBatchBytes is the size from which frames that were gathered are written.
const maxBatchBytes = 16 << 10

// deliver writes what the spool hands out until ctx ends. If a write fails, or
// the inbox ends because the device attached elsewhere, it closes the
// connection, which ends the reading.
func (l *link) deliver(ctx context.Context, s *session) {
	defer func() {
		if ctx.Err() == nil {
			_ = l.conn.Close()
		}
	}()
	for {
		if err := l.writeWaiting(s); err != nil {
			return
		}
		select {
		case <-s.inbox.Ready():
		case <-s.inbox.Done():
			return
		case <-ctx.Done():
			return
		}
	}
}

// writeWaiting writes what may be delivered now. Its buffer does not outlive
// it: most devices have nothing waiting, most of the time.
func (l *link) writeWaiting(s *session) error {
	var out []byte
	for {
		out = out[:0]
		for len(out) < maxBatchBytes {
			d, ok := s.inbox.Next()
			if !ok {
				break
			}
			out = s.notification(d).Append(out)
		}
		if len(out) == 0 {
			return nil
		}
		if err := l.write(out); err != nil {
			return err
		}
		if err := l.arm(s.due); err != nil {
			return err
		}
	}
}
