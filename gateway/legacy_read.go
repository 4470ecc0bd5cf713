package gateway

import (
	"bytes"
	"errors"
	"io"
	"os"
	"time"

	"github.com/heraldpush/herald/wire"
)

// Sizes of the buffer that a connection of the legacy interface is read into.
const (
	legacyBufferBytes = 4 << 10
	legacyRecordBytes = 16 << 10 // as much as one read can bring
)

// read reads notifications into the queue until there are no more to come, and
// from then on reads what comes all the same, for a provider that has not
// noticed yet.
func (s *legacySession) read() {
	end, ok := s.readAll()
	if ok {
		s.queue.finish(end)
	}
	if !end.broken {
		s.setReadDeadline(time.Now().Add(legacyIdle)) // leave sets another
		_, _ = io.Copy(io.Discard, s.conn)            // until the provider closes, or that deadline
	}
}

// readAll reads until the last notification, and says why it is. It returns
// false if the connection was over before.
func (s *legacySession) readAll() (end legacyEnd, ok bool) {
	b := legacyBuffer{room: make([]byte, legacyBufferBytes)}
	var began time.Time // when the notification did of which a part may have been read
	for {
		deadline := time.Now().Add(legacyIdle)
		if len(b.unread) > 0 {
			deadline = began.Add(legacyMessage)
		} else {
			began = time.Time{}
		}
		if !s.setReadDeadline(deadline) {
			return legacyEnd{}, false
		}
		n, err := b.fill(s.conn)
		complete := 0
		for n > 0 {
			m, size, bad := wire.NextLegacy(b.unread)
			if errors.Is(bad, wire.ErrLegacyIncomplete) {
				break
			}
			if bad != nil {
				return legacyEnd{say: legacyErrorOf(bad, 0), why: bad}, true
			}
			complete++
			b.unread = b.unread[size:]
			m.Payload = bytes.Clone(m.Payload) // what is read next takes its place
			if !s.queue.add(m, s.over) {
				return legacyEnd{}, false
			}
		}
		if err != nil {
			return s.ended(err, len(b.unread) > 0), true
		}
		if complete > 0 || began.IsZero() {
			began = time.Now()
		}
	}
}

// ended says what it means that reading failed, when a part of a notification
// was read or none.
func (s *legacySession) ended(err error, partly bool) legacyEnd {
	end := legacyEnd{why: err}
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, os.ErrDeadlineExceeded):
		if partly {
			end.say = &wire.LegacyError{Status: wire.LegacyUnparsable}
		}
	default:
		end.broken = true
	}
	return end
}

// legacyBuffer holds what was read and not parsed.
type legacyBuffer struct {
	room   []byte
	unread []byte // a part of room
}

// fill reads once, after making room. A part of a notification has at most
// wire.MaxLegacyBytes, so that there always is some to be made.
func (b *legacyBuffer) fill(r io.Reader) (n int, err error) {
	size := len(b.room)
	switch {
	case len(b.unread) == 0 && size > legacyRecordBytes:
		size = legacyBufferBytes // the large one is not kept
	case len(b.unread) == size:
		size = min(2*size, wire.MaxLegacyBytes)
	}
	room := b.room
	if size != len(room) {
		room = make([]byte, size)
	}
	kept := copy(room, b.unread)
	n, err = r.Read(room[kept:])
	b.room, b.unread = room, room[:kept+n]
	if n == size-kept && size < legacyRecordBytes {
		// There is more to come in one go.
		b.room = make([]byte, 2*size)
		copy(b.room, b.unread)
		b.unread = b.room[:kept+n]
	}
	return n, err
}
