package courier

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/wire"
)

// conversation is what is said on a connection with a device, from Connect to
// its end: bytes of the device in, frames for it out. It does no network I/O and
// sets no timer; whoever has the connection gives it bytes with receive, pulls
// with deliver when it was woken, and calls tick when due says. Its methods are
// for one goroutine at a time.
type conversation struct {
	greeting greeting
	line     line
	greetBy  time.Time // when a Connect must have been accepted
	session  *session  // nil before the device has identified itself
	// rest is the beginning of a frame whose end has not come; nil if there is
	// none.
	rest []byte
}

// line is what a conversation needs of the connection that it is on.
type line interface {
	// Wake has deliver called. It is called as spool.Waker says.
	spool.Waker
	// part has part called. It may be called from any goroutine, and returns at
	// once.
	part()
	// cut ends the connection. It may be called from any goroutine, and returns
	// at once.
	cut()
	// proven says that the device has identified itself; it may be called again.
	proven()
	// yield lets another conversation go on while this one waits for a store,
	// until resume. They are called where the conversation's methods are.
	yield()
	resume()
	// remote returns the address of the device, for the log.
	remote() slog.Attr
}

// errGoodbye says that the device ended the connection as it should.
var errGoodbye = errors.New("the device said goodbye")

// receive takes bytes that the device sent, and appends what is to be answered
// to out, also where it returns an error. After an error the connection is to be
// closed. It keeps nothing of b.
func (v *conversation) receive(ctx context.Context, b, out []byte) ([]byte, error) {
	whole := b
	if len(v.rest) > 0 {
		v.rest = append(v.rest, b...)
		whole = v.rest
	}
	for {
		f, n, err := wire.NextFrame(whole, v.limit())
		if errors.Is(err, wire.ErrIncomplete) {
			break
		}
		if err != nil {
			return out, err
		}
		if out, err = v.frame(ctx, f, out); err != nil {
			return out, err
		}
		whole = whole[n:]
	}
	// The limit bounds how far the rest grows.
	switch {
	case len(whole) == 0:
		v.rest = nil // most connections see one large frame in their lives
	case len(whole) < len(v.rest) || v.rest == nil:
		v.rest = append([]byte(nil), whole...)
	}
	return out, nil
}

// limit returns how large the payload of the next frame may be, in bytes.
func (v *conversation) limit() int {
	if v.session == nil {
		return wire.MaxConnectPayloadBytes
	}
	return wire.MaxPayloadBytes
}

// frame handles a frame.
func (v *conversation) frame(ctx context.Context, f wire.Frame, out []byte) ([]byte, error) {
	switch {
	case f.Command == wire.CommandConnect:
		return v.connect(ctx, f, out)
	case v.session == nil:
		return out, fmt.Errorf("%v came before Connect", f.Command)
	case asksStore(f.Command):
		v.line.yield()
		defer v.line.resume()
	}
	return v.session.receive(ctx, f, out)
}

// asksStore reports whether a frame may have to wait for a store.
func asksStore(c wire.Command) bool {
	switch c {
	case wire.CommandKeepAlive, wire.CommandSetActiveState, wire.CommandFlush:
		return false
	default:
		return true
	}
}

// connect handles a Connect: the first, a goodbye, or one that begins anew in
// place of the session there is.
func (v *conversation) connect(ctx context.Context, f wire.Frame, out []byte) ([]byte, error) {
	m, err := wire.ParseConnect(f.Payload)
	if err != nil {
		return out, err
	}
	switch {
	case m.State != wire.StateOffline:
	case v.session == nil:
		return out, errors.New("goodbye before hello")
	case m.BaseToken == v.session.base:
		return out, errGoodbye
	default:
		return out, nil // of a device that is not connected here
	}
	now := time.Now()
	if v.session != nil {
		v.end()
		v.greetBy = now.Add(connectTimeout)
	}
	s, err := v.greeting.connect(ctx, m, now, v.line)
	if err != nil {
		return v.refuse(ctx, err, now, out)
	}
	v.session = s
	v.line.proven()
	v.log().DebugContext(ctx, "device connected", slog.String("device", string(s.id)), slog.String("environment", s.env.String()), v.line.remote())
	return s.accepted(now).Append(out), nil
}

// refuse answers a Connect that err kept from being accepted. It returns no error
// if the device may try again.
//
// A device that is told that it is invalid may throw its identity away
// (docs/protocol/courier.md#nonce). So it is told nothing where the fault is
// not its own, and meets the end of the connection: then it comes back.
func (v *conversation) refuse(ctx context.Context, err error, now time.Time, out []byte) ([]byte, error) {
	if parting, ok := errors.AsType[*partingError](err); ok {
		return append(out, parting.frames...), err
	}
	refused, ok := errors.AsType[*refusedError](err)
	if !ok {
		if ctx.Err() == nil && !errors.Is(err, apns.Reject(apns.Shutdown, "")) {
			v.log().ErrorContext(ctx, "courier could not accept a device", slog.Any("error", err), v.line.remote())
		}
		return out, err
	}
	out = refused.ack(now).Append(out)
	if refused.again {
		v.log().InfoContext(ctx, "device has a wrong clock", slog.Any("error", err), v.line.remote())
		return out, nil
	}
	v.log().WarnContext(ctx, "device was refused", slog.Any("error", err), v.line.remote())
	return out, err
}

func (v *conversation) log() *slog.Logger { return v.greeting.courier.cfg.Logger }

// errElsewhere says that the device attached a second time, or the spool has
// ended.
var errElsewhere = errors.New("the device is connected elsewhere")

// deliver appends what the spool hands out to out, until that has most bytes. It
// reports whether there may be more. After an error the connection is to be
// closed.
func (v *conversation) deliver(out []byte, most int) (_ []byte, more bool, err error) {
	if v.session == nil {
		return out, false, nil
	}
	out = v.session.ended(out)
	for len(out) < most {
		d, ok := v.session.inbox.Next()
		if !ok {
			if v.session.inbox.Detached() {
				err = errElsewhere
			}
			return out, false, err
		}
		out = v.session.notification(d).Append(out)
	}
	return out, true, nil
}

// due returns when tick is to be called. It may name another time after each call
// of any other method.
func (v *conversation) due() time.Time {
	if v.session == nil {
		return v.greetBy
	}
	return v.session.due()
}

// errNoConnect says that a device did not identify itself.
var errNoConnect = errors.New("no Connect came in time")

// tick is called when the time that due named has come, or early, and appends
// what is to be written to out. After an error the connection is to be closed.
func (v *conversation) tick(now time.Time, out []byte) ([]byte, error) {
	if v.session == nil {
		if now.Before(v.greetBy) {
			return out, nil
		}
		return out, errNoConnect
	}
	return v.session.tick(now, out)
}

// part is called when the courier drains, and appends what is to be written to
// out. After an error the connection is to be closed.
func (v *conversation) part(now time.Time, out []byte) ([]byte, error) {
	if v.session == nil {
		return out, nil
	}
	return v.session.part(now, out)
}

// end gives back what the conversation holds. It may be called again.
func (v *conversation) end() {
	if v.session == nil {
		return
	}
	v.session.end()
	v.session = nil
}
