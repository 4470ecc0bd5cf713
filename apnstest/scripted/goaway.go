package scripted

import (
	"math"
	"slices"
	"time"

	"golang.org/x/net/http2"

	"github.com/heraldpush/herald/apns"
)

// GoAway is an end that is announced. The zero value is the one that loses nothing
// (RFC 9113 section 6.8): a first GOAWAY that names no stream, a second a round trip
// later with the last stream that has come, and the end of the connection when
// all is answered.
type GoAway struct {
	// Code is the error code. Zero is NO_ERROR.
	Code http2.ErrCode
	// Reason is put into the debug data as JSON, {"reason":"…"}.
	Reason apns.Reason
	// Debug is the debug data where there is no Reason.
	Debug string
	// AtOnce leaves the first of the two out: pushes that are on their way
	// meanwhile are left out.
	AtOnce bool
	// LeaveOut is how many of the pushes in progress, the newest, are above the last
	// stream and so will not be processed. There are never more of them than
	// have come since the newest that was answered. Negative: all of these. It
	// implies AtOnce.
	LeaveOut int
	// Close ends the connection right behind the GOAWAY. It implies AtOnce.
	Close bool
}

// debug returns the debug data.
func (g GoAway) debug() []byte {
	if g.Reason != "" {
		return Status(0, g.Reason).text()
	}
	return []byte(g.Debug)
}

// noLastStream is the last stream of a first GOAWAY.
const noLastStream = math.MaxInt32

// roundTrip is how long the second GOAWAY waits for a peer that does not answer the
// PING behind the first.
const roundTrip = time.Second

// pingGoAway and pingGoAwayAgain are the data of the PINGs behind a GOAWAY. Who has
// answered both has read the GOAWAY a round trip ago and more.
var (
	pingGoAway      = [8]byte{'g', 'o', 'a', 'w', 'a', 'y', 0, 1}
	pingGoAwayAgain = [8]byte{'g', 'o', 'a', 'w', 'a', 'y', 0, 2}
)

func (g GoAway) do(c *conn) {
	if c.leaving {
		return
	}
	c.leaving = true
	if g.AtOnce || g.Close || g.LeaveOut != 0 {
		c.leave(g)
		return
	}
	c.write(func(f *http2.Framer) error { return f.WriteGoAway(noLastStream, http2.ErrCodeNo, nil) })
	c.write(func(f *http2.Framer) error { return f.WritePing(false, pingGoAway) })
	c.second = &g
	c.after(roundTrip, c.leaveSecond)
}

// leaveSecond sends the second GOAWAY, unless it was sent.
func (c *conn) leaveSecond() {
	if g := c.second; g != nil {
		c.second = nil
		c.leave(*g)
	}
}

// leave sends the GOAWAY that names the last stream.
func (c *conn) leave(g GoAway) {
	out := c.above(c.answered)
	if g.LeaveOut >= 0 {
		out = out[:min(g.LeaveOut, len(out))]
	}
	c.left, c.last = true, c.highest
	for _, st := range out {
		c.g.record.unprocess(st.push)
		c.drop(st, LeftOut)
	}
	if len(out) > 0 {
		c.last = c.answered
		for id := range c.streams {
			c.last = max(c.last, id)
		}
	}
	c.write(func(f *http2.Framer) error { return f.WriteGoAway(c.last, g.Code, g.debug()) })
	if g.Close {
		c.stop(Close)
		return
	}
	c.write(func(f *http2.Framer) error { return f.WritePing(false, pingGoAway) })
	c.endIfDone()
}

// above returns the streams in progress above the given one, the newest first.
func (c *conn) above(id uint32) (all []*stream) {
	for _, st := range c.streams {
		if st.id > id {
			all = append(all, st)
		}
	}
	slices.SortFunc(all, func(a, b *stream) int { return int(b.id) - int(a.id) })
	return all
}

// endIfDone ends a connection that was announced to end and has nothing left to do.
func (c *conn) endIfDone() {
	if c.left && len(c.streams) == 0 {
		c.stop(Close)
	}
}
