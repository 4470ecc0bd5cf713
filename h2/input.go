package h2

import "golang.org/x/net/http2"

// smallInputBytes is how much input an idle connection has room for. The first
// read after a silence brings that much, or less; the rest comes with the next
// one, for which there is a chunk.
const smallInputBytes = 512

// input is what has been read and not yet parsed.
type input struct {
	small [smallInputBytes]byte
	buf   []byte // small or a chunk
	r, w  int    // buf[r:w] is not parsed
	chunk bool   // whether buf is a chunk
}

// pending returns what is not parsed.
func (in *input) pending() []byte { return in.buf[in.r:in.w] }

// room returns where to read to, so that in the end n bytes, at most as many
// as a frame has, can be pending. It takes a chunk if they are more than an idle
// connection has room for, or if the last read left no room, so that there is
// more to come; and always if it need not be frugal.
func (in *input) room(n int, frugal bool) []byte {
	switch {
	case in.r == in.w:
		in.release()
		if !frugal {
			in.buf, in.chunk = takeChunk(), true
		}
	case !in.chunk && (n > len(in.buf) || in.w == len(in.buf)):
		b := takeChunk()
		in.w = copy(b, in.pending())
		in.buf, in.r, in.chunk = b, 0, true
	case in.r+n > len(in.buf):
		in.w = copy(in.buf, in.pending())
		in.r = 0
	}
	return in.buf[in.w:]
}

// release gives back the chunk, and forgets what is pending.
func (in *input) release() {
	if in.chunk {
		giveChunk(in.buf)
	}
	in.buf, in.r, in.w, in.chunk = in.small[:], 0, 0, false
}

// frame is a frame as it is on the wire (RFC 9113, 4.1). Its payload is valid
// until more is read.
type frame struct {
	kind    http2.FrameType
	flags   http2.Flags
	stream  uint32
	payload []byte
}

// has reports whether all the flags are set.
func (f *frame) has(flags http2.Flags) bool { return f.flags&flags == flags }

// next takes the next frame. If it is not there yet, next returns how many bytes
// have to be pending before it is called again; zero says that f is set.
func (in *input) next(f *frame) (need int, err error) {
	h := in.pending()
	if len(h) < frameHeaderBytes {
		return frameHeaderBytes, nil
	}
	n := int(h[0])<<16 | int(h[1])<<8 | int(h[2])
	if n > maxFrameBytes {
		return 0, connError(http2.ErrCodeFrameSize, "frame larger than SETTINGS_MAX_FRAME_SIZE")
	}
	if len(h) < frameHeaderBytes+n {
		return frameHeaderBytes + n, nil
	}
	f.kind, f.flags = http2.FrameType(h[3]), http2.Flags(h[4])
	f.stream = (uint32(h[5])<<24 | uint32(h[6])<<16 | uint32(h[7])<<8 | uint32(h[8])) & maxStreamID
	f.payload = h[frameHeaderBytes : frameHeaderBytes+n]
	in.r += frameHeaderBytes + n
	return 0, nil
}

// readFrame reads a frame. c.mu is held, but not while waiting for input.
func (c *Conn) readFrame(f *frame) error {
	for {
		n, err := c.in.next(f)
		if n == 0 || err != nil {
			return err
		}
		if err := c.need(n); err != nil {
			return err
		}
	}
}

// need sees to it that n bytes are pending. It returns io.EOF if the peer closed
// the connection before the first of them and io.ErrUnexpectedEOF if it did so
// in their midst. c.mu is held, but not while waiting for input.
func (c *Conn) need(n int) error {
	for c.in.w-c.in.r < n {
		if err := c.fill(n); err != nil {
			return err
		}
	}
	return nil
}
