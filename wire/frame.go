package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// A frame, in both directions (docs/protocol/courier.md#framing):
//
//	command  u8
//	length   u32    of the payload, big-endian; the top bit must be clear
//	payload  items, each: id u8, length u16, value

// HeaderBytes is the size of a frame's header.
const HeaderBytes = 5

// Limits for the payload of a frame that NextFrame is to accept, in bytes
// (docs/protocol/courier.md#framing).
const (
	// MaxConnectPayloadBytes bounds each frame until a Connect is accepted.
	MaxConnectPayloadBytes = 32 << 10
	// MaxPayloadBytes bounds each frame from then on, in both directions.
	MaxPayloadBytes = 64 << 10
)

// ErrIncomplete says that the bytes hold only a part of a frame: read more.
var ErrIncomplete = errors.New("courier frame: incomplete")

// ErrMalformed is what every MalformedError is, for errors.Is.
var ErrMalformed = errors.New("courier frame: malformed")

// MalformedError says that a frame cannot be read. Nothing after it on the
// connection can be trusted: close it.
type MalformedError struct {
	// Command is the command of the frame.
	Command Command
	// Problem says what is wrong, without repeating what was received.
	Problem string
}

// Error names the command and the problem.
func (e *MalformedError) Error() string {
	return fmt.Sprintf("courier frame %v: malformed: %s", e.Command, e.Problem)
}

// Is reports whether target is ErrMalformed.
func (e *MalformedError) Is(target error) bool { return target == ErrMalformed }

// Frame is one frame of the courier protocol. Its payload is for the Parse
// function of its command.
type Frame struct {
	Command Command
	// Payload aliases the bytes that NextFrame was given.
	Payload []byte
}

// NextFrame takes the first frame off b; n is the number of bytes that it
// occupies. The payload may have up to limit bytes.
//
// It returns ErrIncomplete while b holds only a part of the frame, and a
// MalformedError for a frame that is too long. The latter is decided by the
// header alone, so that no one needs to make room for what will be refused.
func NextFrame(b []byte, limit int) (f Frame, n int, err error) {
	if len(b) < HeaderBytes {
		return Frame{}, 0, ErrIncomplete
	}
	command, length := Command(b[0]), binary.BigEndian.Uint32(b[1:])
	switch {
	case length > 1<<31-1:
		return Frame{}, 0, &MalformedError{Command: command, Problem: "the top bit of the length is set"}
	case int(length) > limit:
		return Frame{}, 0, &MalformedError{Command: command, Problem: fmt.Sprintf("%d bytes of payload, at most %d are allowed", length, limit)}
	case len(b)-HeaderBytes < int(length):
		return Frame{}, 0, ErrIncomplete
	}
	n = HeaderBytes + int(length)
	return Frame{Command: command, Payload: b[HeaderBytes:n:n]}, n, nil
}

// begin appends the header of a frame whose length end fills in. It returns
// the place of the frame in b, for end.
func begin(b []byte, c Command) (frame []byte, start int) {
	return append(b, byte(c), 0, 0, 0, 0), len(b)
}

// end completes the frame that begin put at start.
func end(b []byte, start int) []byte {
	binary.BigEndian.PutUint32(b[start+1:], uint32(len(b)-start-HeaderBytes))
	return b
}

// appendEmpty appends a frame without items.
func appendEmpty(b []byte, c Command) []byte { return append(b, byte(c), 0, 0, 0, 0) }
