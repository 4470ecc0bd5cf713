package courier

import (
	"crypto/tls"
	"net"
	"sync/atomic"
	"time"
)

// stream is the transport for any net.Conn, and what is beneath TLS on it. While
// nothing comes, a goroutine waits in the Read of the net.Conn, and so with a small
// stack; when something has come, it is gone. Writes wait, with a deadline, while
// another worker takes the place of the one that waits.
type stream struct {
	net.Conn // the device's
	tls      *tls.Conn
	owner    *conn
	timeout  time.Duration // bounds a write

	// reading reports that a goroutine reads. What follows is that one's then,
	// and the worker's otherwise.
	reading atomic.Bool
	large   bool   // the last read had no end in sight
	ahead   []byte // was read, and not by TLS yet
	err     error  // ends the reading, after ahead
	small   [smallBytes]byte
}

// Sizes of what is read ahead. All that devices send often is, in TLS, smaller
// than the first.
const (
	smallBytes = 128
	largeBytes = 4 << 10
)

// newStream puts a connection on the portable transport.
func newStream(p *prelude, owner *conn) *stream {
	s := &stream{Conn: p.raw, tls: p.tls, owner: owner, timeout: p.courier.cfg.WriteTimeout, ahead: p.wait.left()}
	p.under.Conn = s
	return s
}

// Read is for TLS. It does not wait.
func (s *stream) Read(b []byte) (int, error) {
	switch {
	case s.reading.Load():
	case len(s.ahead) > 0:
		n := copy(b, s.ahead)
		if s.ahead = s.ahead[n:]; len(s.ahead) == 0 {
			s.ahead = nil // it is not kept for nothing
		}
		return n, nil
	case s.err != nil:
		return 0, s.err
	}
	return 0, errWait
}

// Write is for TLS, which also writes by itself when it reads.
func (s *stream) Write(b []byte) (int, error) {
	if err := s.SetWriteDeadline(time.Now().Add(s.timeout)); err != nil {
		return 0, err
	}
	return s.Conn.Write(b)
}

func (s *stream) read(b []byte) (int, error) { return s.tls.Read(b) }

func (*stream) begin() {}

func (s *stream) await() {
	s.reading.Store(true)
	s.owner.loop.readers.Go(s.fetch)
}

// fetch reads ahead, once.
func (s *stream) fetch() {
	b := s.small[:]
	if s.large {
		b = make([]byte, largeBytes)
	}
	n, err := s.Conn.Read(b)
	s.ahead, s.err, s.large = b[:n], err, n == len(b)
	s.reading.Store(false)
	s.owner.raise(evReadable)
}

func (s *stream) write(frames []byte) error {
	s.owner.yield()
	defer s.owner.resume()
	_, err := s.tls.Write(frames)
	return err
}

// left reports nothing: write waits until all is written.
func (*stream) left() (time.Time, bool) { return time.Time{}, false }
func (*stream) flush() error            { return nil }

// goodbyeTimeout bounds how long a device may take to be told of the end.
const goodbyeTimeout = 5 * time.Second

func (s *stream) close(goodbye bool) {
	if !goodbye {
		s.interrupt()
		return
	}
	s.timeout = min(s.timeout, goodbyeTimeout)
	s.owner.yield()
	defer s.owner.resume()
	_ = s.tls.Close()
}

func (s *stream) interrupt() { _ = s.Close() }

func (s *stream) remote() net.Addr { return s.RemoteAddr() }
