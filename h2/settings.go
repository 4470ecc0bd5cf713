package h2

import (
	"encoding/binary"
	"time"

	"golang.org/x/net/http2"
)

const (
	// maxStreamsBeforeAck is the limit for a peer that has not acknowledged any
	// SETTINGS: it need not know a lower one yet.
	maxStreamsBeforeAck = 1000
	// maxUnackedSettings is how many SETTINGS frames may be on their way. The
	// last limit is remembered and sent later if there are more.
	maxUnackedSettings = 16
	// settingsTimeout is how long a peer may take to acknowledge SETTINGS (RFC
	// 9113, 6.5.3).
	settingsTimeout = 30 * time.Second
	// settingBytes is the size of one setting: identifier 2 | value 4.
	settingBytes = 6
)

// sentSettings is a SETTINGS frame that the peer has not acknowledged.
type sentSettings struct {
	limit uint32 // its SETTINGS_MAX_CONCURRENT_STREAMS
	at    time.Time
}

// SetMaxConcurrentStreams tells the peer how many streams it may have open from
// now on. A higher limit holds at once. A lower one binds only when the peer
// has acknowledged it; streams that are open then stay, and new ones above it
// are refused with RST_STREAM and REFUSED_STREAM, which tells the peer that it
// may send the request again. Zero means that it may open none.
func (c *Conn) SetMaxConcurrentStreams(n uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || n == c.wantedLimit {
		return
	}
	c.wantedLimit = n
	if len(c.unacked) < maxUnackedSettings {
		c.appendSettings(n)
		c.signal()
	}
}

// appendSettings appends a SETTINGS frame with all settings, as Apple's are
// (docs/protocol/provider.md#http2-settings). c.mu is held, or c is new.
func (c *Conn) appendSettings(limit uint32) {
	c.out = appendSettings(c.out,
		http2.Setting{ID: http2.SettingHeaderTableSize, Val: headerTableBytes},
		http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: limit},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: initialWindowBytes},
		http2.Setting{ID: http2.SettingMaxFrameSize, Val: maxFrameBytes},
		http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: c.cfg.MaxHeaderListBytes},
	)
	now := time.Now()
	c.wantedLimit, c.sentLimit = limit, limit
	c.unacked = append(c.unacked, sentSettings{limit, now})
	c.arm(now.Add(settingsTimeout))
}

// streamLimit returns how many streams the peer may have open: the most
// generous of the limits that it may be going by. c.mu is held.
func (c *Conn) streamLimit() int {
	n := c.ackedLimit
	for _, s := range c.unacked {
		n = max(n, s.limit)
	}
	return int(n)
}

// onSettings handles a SETTINGS frame (RFC 9113, 6.5). c.mu is held.
func (c *Conn) onSettings(f *frame) error {
	ack := f.has(http2.FlagSettingsAck)
	switch {
	case f.stream != 0:
		return connError(http2.ErrCodeProtocol, "SETTINGS on a stream")
	case ack && len(f.payload) > 0:
		return connError(http2.ErrCodeFrameSize, "SETTINGS that acknowledges and says something")
	case len(f.payload)%settingBytes != 0:
		return connError(http2.ErrCodeFrameSize, "SETTINGS not of whole settings")
	case ack && len(c.unacked) > 0:
		c.ackedLimit = c.unacked[0].limit
		c.unacked = append(c.unacked[:0], c.unacked[1:]...)
		if c.wantedLimit != c.sentLimit {
			c.appendSettings(c.wantedLimit)
		}
		return nil
	}
	if err := c.spend(&c.budgets.settings, "SETTINGS frames"); err != nil || ack {
		return err // an ACK of nothing says nothing
	}
	// A frame may hold 2730 settings, and each change of the window touches
	// each stream: of a setting that comes again only the end result counts.
	window := c.peerInitialWindow
	for p := f.payload; len(p) > 0; p = p[settingBytes:] {
		s := http2.Setting{ID: http2.SettingID(binary.BigEndian.Uint16(p)), Val: binary.BigEndian.Uint32(p[2:])}
		if err := s.Valid(); err != nil {
			return settingError(s)
		}
		switch s.ID {
		case http2.SettingHeaderTableSize:
			c.enc.setTableSize(s.Val)
		case http2.SettingInitialWindowSize:
			window = int64(s.Val)
		default:
			// ENABLE_PUSH and MAX_CONCURRENT_STREAMS bind pushes, of which there are
			// none; MAX_FRAME_SIZE can only allow more than this side sends;
			// MAX_HEADER_LIST_SIZE is a hint; others are ignored (RFC 9113, 6.5.2).
		}
	}
	if err := c.setPeerWindow(window); err != nil {
		return err
	}
	c.out = appendSettingsAck(c.out)
	c.pump() // after the ACK, which says by which window the peer must count
	return nil
}

// setPeerWindow changes the window of all streams by what the peer's
// SETTINGS_INITIAL_WINDOW_SIZE changed by (RFC 9113, 6.9.2). c.mu is held.
func (c *Conn) setPeerWindow(n int64) error {
	delta := n - c.peerInitialWindow
	if delta == 0 {
		return nil
	}
	c.peerInitialWindow = n
	for _, s := range c.streams.slots {
		st := s.at
		if st == nil {
			continue
		}
		st.sendWindow += delta
		if st.sendWindow > maxWindowBytes {
			return connError(http2.ErrCodeFlowControl, "SETTINGS make the window of a stream more than 2^31-1")
		}
	}
	return nil
}

// settingError returns the error for a value that is not allowed (RFC 9113, 6.5.2).
func settingError(s http2.Setting) error {
	code := http2.ErrCodeProtocol
	if s.ID == http2.SettingInitialWindowSize {
		code = http2.ErrCodeFlowControl
	}
	return connError(code, "value not allowed: "+s.String())
}
