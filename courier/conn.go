package courier

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/heraldpush/herald/internal/wheel"
)

// conn is a connection with a device, from the end of the TLS handshake: a
// conversation, the transport that it is on, and what there is to do for it. It
// has no goroutine. What happens raises an event; that brings the connection into
// the queue of its loop's crew, once, and one worker has it for a turn. So all
// but the events is for one goroutine at a time, and needs no lock.
type conn struct {
	loop  *loop
	wire  transport
	talk  conversation
	guest *guest // nil once the device has proved who it is

	events atomic.Uint32
	// held is the events that wait until a write is done.
	held uint32
	// alarm is when the timer fires, from the start of the loop; zero if nobody
	// knows.
	alarm time.Duration

	timer wheel.Timer[*conn] // guarded by the lock of the loop
	place int                // among the connections of the loop; guarded by its lock
}

// Events.
const (
	evReadable uint32 = 1 << iota // bytes have come, or the end
	evWritable                    // a write that was not done can go on
	evWake                        // the inbox has something, or has ended
	evDue                         // it may be time for tick
	evPart                        // the courier drains
	evCut                         // the connection is to end
	evQueued                      // it is in the queue, or has its turn
)

// raise has the connection get a turn. It may be called from any goroutine, and
// returns at once.
func (c *conn) raise(event uint32) {
	if c.note(event) {
		c.loop.crew.add(c)
	}
}

// note is raise by one who puts the connection into the queue if it reports true.
func (c *conn) note(event uint32) bool { return c.events.Or(event|evQueued)&evQueued == 0 }

// These make a line of a conn.

func (c *conn) Wake()   { c.raise(evWake) }
func (c *conn) part()   { c.raise(evPart) }
func (c *conn) yield()  { c.loop.crew.yield() }
func (c *conn) resume() { c.loop.crew.resume() }

func (c *conn) cut() {
	c.wire.interrupt()
	c.raise(evCut)
}

func (c *conn) proven() {
	if c.guest != nil {
		c.guest.leave()
		c.guest = nil
	}
}

func (c *conn) remote() slog.Attr {
	if a := c.wire.remote(); a != nil {
		return slog.String("remote", a.String())
	}
	return slog.Attr{}
}

// Limits of a turn, so that a busy device does not keep others waiting. They are
// passed by one record of input, and one frame of output, at most.
const (
	maxTurnBytes  = 64 << 10 // that are read
	maxBatchBytes = 16 << 10 // that are written
)

// Why a connection ends that its conversation does not end.
var (
	errCut    = errors.New("the connection was cut")
	errClosed = errors.New("the device closed the connection")
	errStuck  = errors.New("the device does not read")
)

// brokenError says that a connection cannot be written to any more.
type brokenError struct{ error }

// Unwrap returns what went wrong.
func (e brokenError) Unwrap() error { return e.error }

func isBroken(err error) bool {
	_, broken := errors.AsType[brokenError](err)
	return broken
}

// turn does what there is to do, within limits, and reports whether there is
// more.
func (c *conn) turn(ctx context.Context, d *desk) (again bool) {
	events := c.events.Swap(evQueued) | c.held
	c.held = 0
	d.out = d.out[:0]
	if err := c.step(ctx, events, d); err != nil {
		c.finish(ctx, err)
		return false // it stays in the queue for all that others see
	}
	return !c.events.CompareAndSwap(evQueued, 0)
}

func (c *conn) step(ctx context.Context, events uint32, d *desk) error {
	if events&evCut != 0 {
		return brokenError{errCut}
	}
	if events&evDue != 0 {
		c.alarm = 0
	}
	if _, left := c.wire.left(); left {
		if err := c.wire.flush(); err != nil {
			return brokenError{err}
		}
		if by, left := c.wire.left(); left {
			if !time.Now().Before(by) {
				return brokenError{errStuck}
			}
			c.held = events & (evReadable | evWake | evPart)
			c.arm(by)
			return nil
		}
	}
	err := c.exchange(ctx, events, d)
	if len(d.out) > 0 && !isBroken(err) {
		if werr := c.wire.write(d.out); werr != nil {
			return brokenError{errors.Join(err, werr)}
		}
	}
	if err != nil {
		return err
	}
	due := c.talk.due()
	if by, left := c.wire.left(); left && by.Before(due) {
		due = by
	}
	c.arm(due)
	return nil
}

// exchange gives the conversation what came, and gathers what is to be written.
func (c *conn) exchange(ctx context.Context, events uint32, d *desk) (err error) {
	if events&evReadable != 0 {
		if err := c.read(ctx, d); err != nil {
			return err
		}
		// What was acknowledged makes room for more, which goes along.
		events |= c.events.And(^evWake)
	}
	if events&evWake != 0 {
		var more bool
		if d.out, more, err = c.talk.deliver(d.out, maxBatchBytes); err != nil {
			return err
		}
		if more {
			c.events.Or(evWake)
		}
	}
	if events&evPart != 0 {
		if d.out, err = c.talk.part(time.Now(), d.out); err != nil {
			return err
		}
	}
	if events&evDue != 0 {
		d.out, err = c.talk.tick(time.Now(), d.out)
	}
	return err
}

func (c *conn) read(ctx context.Context, d *desk) error {
	c.wire.begin()
	for bytes := 0; ; {
		n, err := c.wire.read(d.in[:])
		switch {
		case errors.Is(err, errWait):
			c.wire.await()
			return nil
		case errors.Is(err, io.EOF):
			return errClosed
		case err != nil:
			return brokenError{err}
		}
		if d.out, err = c.talk.receive(ctx, d.in[:n], d.out); err != nil {
			return err
		}
		if bytes += n; bytes >= maxTurnBytes || len(d.out) >= maxBatchBytes {
			c.events.Or(evReadable)
			return nil
		}
	}
}

// arm has an event raised at a time, or before.
func (c *conn) arm(at time.Time) {
	alarm := max(at.Sub(c.loop.start), 1)
	if c.alarm != 0 && c.alarm <= alarm {
		return // it looks again then: most frames only make it later
	}
	c.alarm = alarm
	c.loop.set(c, at)
}

// finish ends the connection, and gives back what it holds.
func (c *conn) finish(ctx context.Context, why error) {
	c.talk.end()
	c.proven() // it is a stranger no more
	log := c.talk.log()
	if log.Enabled(ctx, slog.LevelDebug) {
		log.DebugContext(ctx, "device connection ended", slog.Any("reason", why), c.remote())
	}
	c.wire.close(!isBroken(why))
	c.loop.leave(c)
}
