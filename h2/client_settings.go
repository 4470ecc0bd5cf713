package h2

import (
	"encoding/binary"
	"math"

	"golang.org/x/net/http2"
)

// onSettings handles a SETTINGS frame (RFC 9113, 6.5). c.mu is held.
func (c *ClientConn) onSettings(f *frame) error {
	ack := f.has(http2.FlagSettingsAck)
	switch {
	case f.stream != 0:
		return connError(http2.ErrCodeProtocol, "SETTINGS on a stream")
	case ack && len(f.payload) > 0:
		return connError(http2.ErrCodeFrameSize, "SETTINGS that acknowledges and says something")
	case len(f.payload)%settingBytes != 0:
		return connError(http2.ErrCodeFrameSize, "SETTINGS not of whole settings")
	}
	if err := c.spend(&c.budgets.settings, "SETTINGS frames"); err != nil || ack {
		return err // what this side has stated, it never changes
	}
	limit := c.limit
	if !c.settled {
		limit = c.cfg.MaxStreams // RFC 9113, 6.5.2: there is no limit unless one is stated
	}
	// A frame may hold 2730 settings, and each change of the window touches each
	// stream: of a setting that comes again only the end result counts.
	window := c.peerInitialWindow
	for p := f.payload; len(p) > 0; p = p[settingBytes:] {
		s := http2.Setting{ID: http2.SettingID(binary.BigEndian.Uint16(p)), Val: binary.BigEndian.Uint32(p[2:])}
		if err := s.Valid(); err != nil {
			return settingError(s)
		}
		switch s.ID {
		case http2.SettingHeaderTableSize:
			c.enc.setTableSize(s.Val)
		case http2.SettingEnablePush:
			if s.Val != 0 { // RFC 9113, 6.5.2
				return connError(http2.ErrCodeProtocol, "a server that says it may be pushed to")
			}
		case http2.SettingMaxConcurrentStreams:
			limit = int(min(s.Val, math.MaxInt32, uint32(c.cfg.MaxStreams)))
		case http2.SettingInitialWindowSize:
			window = int64(s.Val)
		case http2.SettingMaxHeaderListSize:
			c.peerHeaderListSize = s.Val
		default:
			// MAX_FRAME_SIZE can only allow more than this side sends; settings of
			// unknown kinds are ignored (RFC 9113, 6.5.2).
		}
	}
	if err := c.setPeerWindow(window); err != nil {
		return err
	}
	if !c.settled || limit != c.limit {
		c.changed = true
	}
	c.settled, c.limit = true, limit
	c.out.room(frameHeaderBytes)
	c.out.last = appendSettingsAck(c.out.last)
	c.pump() // after the ACK, which says by which window the peer must count
	return nil
}

// setPeerWindow changes the window of all streams by what the peer's
// SETTINGS_INITIAL_WINDOW_SIZE changed by (RFC 9113, 6.9.2). c.mu is held.
func (c *ClientConn) setPeerWindow(n int64) error {
	delta := n - c.peerInitialWindow
	if delta == 0 {
		return nil
	}
	c.peerInitialWindow = n
	for _, s := range c.calls.slots {
		if s.at == nil {
			continue
		}
		s.at.sendWindow += delta
		if s.at.sendWindow > maxWindowBytes {
			return connError(http2.ErrCodeFlowControl, "SETTINGS make the window of a stream more than 2^31-1")
		}
	}
	return nil
}
