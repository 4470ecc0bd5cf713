package load

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/net/http2"
)

// handle handles a frame from the peer.
func (l *link) handle(t http2.FrameType, flags http2.Flags, stream uint32, body []byte, now time.Time) error {
	switch t {
	case http2.FrameHeaders:
		return l.handleHeaders(flags, stream, body, now)
	case http2.FrameData:
		return l.handleData(flags, stream, body, now)
	case http2.FrameSettings:
		return l.handleSettings(flags, body)
	case http2.FrameWindowUpdate:
		if len(body) != 4 {
			return errors.New("a WINDOW_UPDATE frame of a wrong length")
		}
		if stream == 0 {
			l.window += int64(binary.BigEndian.Uint32(body) & lastStream)
		}
	case http2.FramePing:
		if !flags.Has(http2.FlagPingAck) {
			l.out = append(appendFrameHeader(l.out, len(body), http2.FramePing, http2.FlagPingAck, 0), body...)
		}
	case http2.FrameGoAway:
		if len(body) < 8 {
			return errors.New("a GOAWAY frame of a wrong length")
		}
		code := http2.ErrCode(binary.BigEndian.Uint32(body[4:]))
		return fmt.Errorf("the peer ends the connection: GOAWAY %v %q", code, body[8:])
	case http2.FrameRSTStream:
		// After an answer it says no more than that the rest of the body, of which
		// there is none, is not wanted (RFC 9113, 8.1).
		if _, err := l.slot(stream); err == nil {
			return fmt.Errorf("the peer resets stream %d", stream)
		}
	case http2.FrameContinuation, http2.FramePushPromise:
		return fmt.Errorf("a frame of type %v, which this reads not", t)
	default: // others are to be ignored (RFC 9113, 5.5)
	}
	return nil
}

// handleHeaders reads the status of an answer.
func (l *link) handleHeaders(flags http2.Flags, stream uint32, body []byte, now time.Time) error {
	if !flags.Has(http2.FlagHeadersEndHeaders) || flags.Has(http2.FlagHeadersPadded) || flags.Has(http2.FlagHeadersPriority) {
		return errors.New("a HEADERS frame that continues, or has padding or priority, which this reads not")
	}
	s, err := l.slot(stream)
	if err != nil {
		return err
	}
	status, err := l.answers.status(body)
	if err != nil {
		return err
	}
	if s.status == 0 { // else these are trailers
		s.status = status
	}
	if flags.Has(http2.FlagHeadersEndStream) {
		l.answered(s, nil, now)
	}
	return nil
}

// handleData reads the body of an answer, or the end of it.
func (l *link) handleData(flags http2.Flags, stream uint32, body []byte, now time.Time) error {
	s, err := l.slot(stream)
	if err != nil {
		return err
	}
	if l.consumed += len(body); l.consumed >= windowBehind {
		l.out = appendFrameHeader(l.out, 4, http2.FrameWindowUpdate, 0, 0)
		l.out = binary.BigEndian.AppendUint32(l.out, uint32(l.consumed))
		l.consumed = 0
	}
	if flags.Has(http2.FlagDataEndStream) {
		l.answered(s, body, now)
	}
	return nil
}

// slot returns the push of a stream.
func (l *link) slot(stream uint32) (*slot, error) {
	s := &l.slots[stream/2%slots]
	if s.stream != stream || stream == 0 {
		return nil, fmt.Errorf("an answer on stream %d, on which none is due", stream)
	}
	return s, nil
}

// answered counts an answer. The body is the end of it, at least.
func (l *link) answered(s *slot, body []byte, now time.Time) {
	l.tally.latency.Add(now.Sub(s.sent))
	bad := badRequest{status: http.StatusOK}
	if s.bad > 0 {
		bad = l.requests.bad[s.bad-1]
	}
	switch {
	case s.status == http.StatusOK && bad.status == http.StatusOK:
		l.tally.accepted++
	case s.status == http.StatusOK:
		count(&l.tally.wrongs, "200")
	default:
		reason := reasonIn(body)
		if s.status == bad.status && reason == bad.reason {
			count(&l.tally.reasons, reason)
		} else {
			count(&l.tally.wrongs, fmt.Sprintf("%d %s", s.status, reason))
		}
	}
	s.stream = 0
	l.inFlight--
}

// handleSettings obeys the peer's settings.
func (l *link) handleSettings(flags http2.Flags, body []byte) error {
	if flags.Has(http2.FlagSettingsAck) {
		return nil
	}
	limit := l.limit
	if !l.settled {
		limit = MaxStreams // without a word it is without limit (RFC 9113, 6.5.2)
	}
	for ; len(body) >= 6; body = body[6:] {
		value := binary.BigEndian.Uint32(body[2:])
		switch http2.SettingID(binary.BigEndian.Uint16(body)) {
		case http2.SettingMaxConcurrentStreams:
			limit = int(min(value, MaxStreams))
		case http2.SettingHeaderTableSize:
			if value < maxTableBytes {
				return fmt.Errorf("the peer's header table is of %d bytes only", value)
			}
		case http2.SettingInitialWindowSize:
			if int(value) < l.requests.longest {
				return fmt.Errorf("the peer's window for a stream is of %d bytes only", value)
			}
		case http2.SettingEnablePush, http2.SettingMaxFrameSize, http2.SettingMaxHeaderListSize,
			http2.SettingEnableConnectProtocol, http2.SettingNoRFC7540Priorities:
		}
	}
	l.limit, l.settled = limit, true
	l.out = appendFrameHeader(l.out, 0, http2.FrameSettings, http2.FlagSettingsAck, 0)
	return nil
}
