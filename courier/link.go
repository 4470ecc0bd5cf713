package courier

import (
	"crypto/tls"
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/heraldpush/herald/wire"
)

// link moves bytes: the thin loop around greeting and session.
type link struct {
	conn    *tls.Conn
	first   byte          // was read already
	timeout time.Duration // bounds a write

	writing sync.Mutex // held for a write, so that frames do not mix
	arming  sync.Mutex // held while the time of tick is asked and set
}

// arm has tick called when due says.
func (l *link) arm(due func() time.Time) error {
	l.arming.Lock()
	defer l.arming.Unlock()
	return l.conn.SetReadDeadline(due())
}

// longestIdle is how long a device may be silent that announces the longest
// interval there is.
const longestIdle = 2*wire.MaxKeepAliveInterval + time.Minute

// write writes whole frames, in one record where they fit.
func (l *link) write(frames []byte) error {
	if len(frames) == 0 {
		return nil
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	if err := l.conn.SetWriteDeadline(time.Now().Add(l.timeout)); err != nil {
		return err
	}
	if _, err := l.conn.Write(frames); err != nil {
		l.cut()
		return err
	}
	// TLS writes by itself when it reads, to answer a change of keys, and must
	// not meet the deadline of this write.
	return l.conn.SetWriteDeadline(time.Now().Add(longestIdle))
}

// cut closes the connection and waits for nothing: TLS would say goodbye first,
// for seconds if the device does not read. The reading ends by it.
func (l *link) cut() { _ = l.conn.NetConn().Close() }

// restBytes is the size of the buffer of a connection on which nothing large
// is under way: all that devices send often is smaller.
const restBytes = 512

// frames reads frames and calls f for each until one fails. The limit is asked
// for each frame, and due when frames were handled, after tick, and by arm: a
// part of a frame is no sign of life. When the time that due named has come, it
// calls tick.
func (l *link) frames(limit func() int, due func() time.Time, tick func() error, f func(wire.Frame) error) error {
	buf := append(make([]byte, 0, restBytes), l.first)
	if err := l.arm(due); err != nil {
		return err
	}
	for {
		handled, err := eachFrame(buf, limit, f)
		if err != nil {
			return err
		}
		if handled > 0 {
			buf = keepRest(buf, handled)
			if err := l.arm(due); err != nil {
				return err
			}
		}
		if len(buf) == cap(buf) { // eachFrame bounds how far this goes
			buf = slices.Grow(buf, cap(buf))
		}
		n, err := l.conn.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case n > 0:
		case errors.Is(err, io.EOF):
			return errors.New("the device closed the connection")
		case errors.Is(err, os.ErrDeadlineExceeded): // what was read of a record is kept by TLS
			if err := tick(); err != nil {
				return err
			}
			if err := l.arm(due); err != nil {
				return err
			}
		case err != nil:
			return err
		}
	}
}

// eachFrame calls f for each whole frame in b, and returns how many bytes they
// have.
func eachFrame(b []byte, limit func() int, f func(wire.Frame) error) (handled int, err error) {
	for {
		frame, n, err := wire.NextFrame(b[handled:], limit())
		if errors.Is(err, wire.ErrIncomplete) {
			return handled, nil
		}
		if err == nil {
			err = f(frame)
		}
		if err != nil {
			return handled, err
		}
		handled += n
	}
}

// keepRest returns a buffer with what follows the handled bytes: a small one
// where that is possible, for most connections see one large frame in their
// lives.
func keepRest(buf []byte, handled int) []byte {
	rest := buf[handled:]
	if cap(buf) > restBytes && len(rest) < restBytes {
		return append(make([]byte, 0, restBytes), rest...)
	}
	return append(buf[:0], rest...)
}
