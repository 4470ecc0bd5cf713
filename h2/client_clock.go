package h2

import (
	"time"

	"golang.org/x/net/http2"
)

// partlyTimeout is how long a frame or header block may take from its first
// byte to its last.
const partlyTimeout = 30 * time.Second

// arm sees to it that the keeper looks at the clock at t or before. c.mu is
// held.
func (c *ClientConn) arm(t time.Time) {
	if !c.ended {
		c.alarm.set(t)
	}
}

// tick does what is due at now and arms the timer for what is due next. All
// deadlines of a connection are here, but for those of its writes. c.mu is held.
func (c *ClientConn) tick(now time.Time) {
	c.alarm.at = time.Time{}
	if c.ended {
		return
	}
	due := func(t time.Time) bool {
		if now.Before(t) {
			c.arm(t)
			return false
		}
		return true
	}

	if !c.settled && due(c.started.Add(c.cfg.SettingsTimeout)) {
		c.endWith(&ConnError{http2.ErrCodeSettingsTimeout, "no SETTINGS in time"})
	}
	if !c.partlySince.IsZero() && due(c.partlySince.Add(partlyTimeout)) {
		c.endWith(&ConnError{http2.ErrCodeEnhanceYourCalm, "a frame or header block took too long"})
	}
	if c.going && due(c.leaveAt) {
		c.end(c.goAwayErr())
	}
	if !c.pingSent.IsZero() {
		if due(c.pingSent.Add(c.cfg.PingTimeout)) {
			c.endAs(&ConnError{http2.ErrCodeNo, "no answer to PING"}, http2.ErrCodeNo, "no answer to PING", false)
		}
	} else if c.calls.count > 0 && c.cfg.PingAfter > 0 && due(later(c.lastRead, c.busySince).Add(c.cfg.PingAfter)) {
		c.ping(now)
	}
	if c.cfg.ProbeAfter > 0 && !c.silent && due(c.lastRead.Add(c.cfg.ProbeAfter)) {
		c.silent = true
	}
	if c.calls.count == 0 && c.cfg.IdleTimeout > 0 && due(c.idleSince.Add(c.cfg.IdleTimeout)) {
		c.leave()
		c.endIfDrained()
	}
}

// later returns the later one of two times.
func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// ping asks the peer whether it is there. c.mu is held.
func (c *ClientConn) ping(now time.Time) {
	if c.ended {
		return
	}
	c.pingSent = now
	c.out.room(frameHeaderBytes + 8)
	c.out.last = appendPing(c.out.last, false, [8]byte{'a', 'r', 'e', ' ', 'y', 'o', 'u', '?'})
	c.arm(now.Add(c.cfg.PingTimeout))
	c.signal()
}

// partly notes that a frame or a header block has come only in part. c.mu is held.
func (c *ClientConn) partly() {
	if c.partlySince.IsZero() {
		c.partlySince = c.lastRead
		c.arm(c.partlySince.Add(partlyTimeout))
	}
}
