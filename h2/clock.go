package h2

import (
	"time"

	"golang.org/x/net/http2"
)

// arm sees to it that the keeper looks at the clock at t or before. c.mu is
// held, or c is new.
func (c *Conn) arm(t time.Time) {
	if !c.ended {
		c.alarm.set(t)
	}
}

// tick does what is due at now and arms the timer for what is due next. All
// deadlines of a connection are here, but for those of its writes. c.mu is held.
func (c *Conn) tick(now time.Time) {
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

	if !c.ready && due(c.started.Add(c.cfg.PrefaceTimeout)) {
		c.endWith(&ConnError{http2.ErrCodeProtocol, "no connection preface in time"})
	}
	if len(c.unacked) > 0 && c.ready && due(c.unacked[0].at.Add(settingsTimeout)) {
		c.endWith(&ConnError{http2.ErrCodeSettingsTimeout, "SETTINGS not acknowledged in time"})
	}
	if c.ready && !c.partlySince.IsZero() && due(c.partlySince.Add(c.cfg.RequestTimeout)) {
		c.endWith(&ConnError{http2.ErrCodeEnhanceYourCalm, "a frame or header block took too long"})
	}
	for st := c.receiving.head; st != nil && due(st.opened.Add(c.cfg.RequestTimeout)); st = c.receiving.head {
		c.resetStream(st.id, http2.ErrCodeCancel)
	}
	if st := c.blocked.head; st != nil && due(st.blockedSince.Add(c.cfg.BlockedTimeout)) {
		c.endWith(&ConnError{http2.ErrCodeEnhanceYourCalm, "an answer waited too long for window"})
	}
	if !c.trimmed && due(c.lastRead.Add(trimAfter)) {
		c.trim()
		if !c.trimmed {
			c.arm(now.Add(trimAfter))
		}
	}
	if d := c.departure; d != nil {
		if !d.final && due(d.at.Add(min(goAwayPingTimeout, c.cfg.DrainTimeout))) {
			c.departFinally()
		}
		if due(d.at.Add(c.cfg.DrainTimeout)) {
			c.end(nil, true)
		}
	}
	c.tickSilence(now, due)
}

// tickSilence asks a silent peer whether it is there, and parts with one that
// has nothing to say. c.mu is held.
func (c *Conn) tickSilence(now time.Time, due func(time.Time) bool) {
	if !c.ready {
		return
	}
	switch {
	case c.cfg.PingAfter <= 0:
	case !c.pingSent.IsZero():
		if due(c.pingSent.Add(c.cfg.PingTimeout)) {
			c.endWith(&ConnError{http2.ErrCodeNo, "no answer to PING"})
		}
	case due(c.lastRead.Add(c.cfg.PingAfter)):
		c.pingSent = now
		c.out = appendPing(c.out, false, [8]byte{'a', 'r', 'e', ' ', 'y', 'o', 'u', '?'})
		c.arm(now.Add(c.cfg.PingTimeout))
	}
	if c.cfg.IdleTimeout < 0 || c.departure != nil {
		return
	}
	if c.streams.count > 0 || c.working > 0 {
		c.lastFrame = now // the silence is this side's
	}
	if due(c.lastFrame.Add(c.cfg.IdleTimeout)) {
		c.depart(http2.ErrCodeNo, c.cfg.IdleDebugData, now)
	}
}
