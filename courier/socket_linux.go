package courier

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// socket is the transport for TCP on Linux, and what is beneath TLS on it: a file
// descriptor that does not block, and no goroutine. A poller raises the events.
// The descriptor is the worker's who has the connection, who alone closes it; the
// poller knows the socket by a slot and its generation.
type socket struct {
	fd      int // -1 once it is closed
	poll    *poller
	slot    int32
	tls     *tls.Conn
	owner   *conn
	timeout time.Duration // for how long a write may not get on

	ended   atomic.Bool // there is an end to be read after what has come
	drained bool        // what has come was read
	ahead   []byte      // was read before there was a socket
	rest    []byte      // what is left of a write
	since   time.Time   // when it got on
}

// maxRestBytes bounds what is left of the writes to a device. A turn writes no
// more than about half of it.
const maxRestBytes = 256 << 10

var errRest = errors.New("the device does not read what is written")

// newSocket takes a TCP connection over, or returns nil, and has not touched it.
func newSocket(p *prelude, owner *conn, poll *poller) *socket {
	fd, ok := takeDescriptor(p.raw)
	if !ok {
		return nil
	}
	s := &socket{fd: fd, poll: poll, tls: p.tls, owner: owner, timeout: p.courier.cfg.WriteTimeout, ahead: p.wait.left()}
	if err := poll.add(s); err != nil {
		_ = unix.Close(fd)
		return nil
	}
	_ = p.raw.Close() // the socket lives on in the copy of its descriptor
	p.under.Conn = s
	return s
}

// takeDescriptor returns a copy of the descriptor of a TCP connection.
func takeDescriptor(raw net.Conn) (fd int, ok bool) {
	c, isTCP := raw.(*net.TCPConn)
	if !isTCP {
		return -1, false
	}
	control, err := c.SyscallConn()
	if err != nil {
		return -1, false
	}
	if e := control.Control(func(of uintptr) { fd, err = unix.FcntlInt(of, unix.F_DUPFD_CLOEXEC, 0) }); e != nil || err != nil {
		return -1, false
	}
	return fd, true
}

// Read is for TLS. It does not wait.
func (s *socket) Read(b []byte) (int, error) {
	if len(s.ahead) > 0 {
		n := copy(b, s.ahead)
		if s.ahead = s.ahead[n:]; len(s.ahead) == 0 {
			s.ahead = nil // it is not kept for nothing
		}
		return n, nil
	}
	if s.drained {
		return 0, errWait
	}
	for {
		n, err := unix.Read(s.fd, b)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			s.drained = true
			return 0, errWait
		case err != nil:
			return 0, os.NewSyscallError("read", err)
		case n == 0:
			return 0, io.EOF
		}
		// Less than was asked for is all that there was. The end comes without
		// an event of its own if it was there already.
		s.drained = n < len(b) && !s.ended.Load()
		return n, nil
	}
}

// Write is for TLS. It does not wait, and keeps what the kernel does not take.
func (s *socket) Write(b []byte) (int, error) {
	n := 0
	if len(s.rest) == 0 {
		var err error
		if n, err = s.writeNow(b); err != nil {
			return n, err
		}
		if n == len(b) {
			return n, nil
		}
		s.since = time.Now()
	}
	if len(s.rest)+len(b)-n > maxRestBytes {
		return n, errRest
	}
	s.rest = append(s.rest, b[n:]...)
	return len(b), nil
}

// writeNow writes what the kernel takes.
func (s *socket) writeNow(b []byte) (n int, err error) {
	for n < len(b) {
		m, err := unix.Write(s.fd, b[n:])
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return n, nil
		case err != nil:
			return n, os.NewSyscallError("write", err)
		default:
			n += m
		}
	}
	return n, nil
}

func (s *socket) read(b []byte) (int, error) { return s.tls.Read(b) }

// begin forgets that what had come was read: more may have come since, of which the
// event has been taken.
func (s *socket) begin() { s.drained = false }

// await has nothing to do: the poller raises an event whenever something comes.
func (*socket) await() {}

func (s *socket) write(frames []byte) error {
	_, err := s.tls.Write(frames)
	return err
}

func (s *socket) left() (time.Time, bool) { return s.since.Add(s.timeout), len(s.rest) > 0 }

func (s *socket) flush() error {
	n, err := s.writeNow(s.rest)
	if n > 0 {
		s.since = time.Now()
	}
	if s.rest = s.rest[n:]; len(s.rest) == 0 {
		s.rest = nil
	}
	return err
}

func (s *socket) close(goodbye bool) {
	if goodbye {
		_ = s.tls.Close() // it does not wait: no more is written than is taken
	}
	_ = s.Close()
}

// Close ends the connection. It may be called again.
func (s *socket) Close() error {
	if s.fd < 0 {
		return nil
	}
	s.poll.remove(s)
	fd := s.fd
	s.fd = -1
	return os.NewSyscallError("close", unix.Close(fd))
}

// interrupt has nothing to do: nothing waits.
func (*socket) interrupt() {}

func (s *socket) remote() net.Addr {
	if s.fd < 0 {
		return nil
	}
	name, err := unix.Getpeername(s.fd)
	if err != nil {
		return nil
	}
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		return &net.TCPAddr{IP: a.Addr[:], Port: a.Port}
	case *unix.SockaddrInet6:
		return &net.TCPAddr{IP: a.Addr[:], Port: a.Port}
	}
	return nil
}

// The rest makes a net.Conn, for TLS, which uses none of it for what it decides.

func (*socket) LocalAddr() net.Addr              { return nil }
func (s *socket) RemoteAddr() net.Addr           { return s.remote() }
func (*socket) SetDeadline(time.Time) error      { return nil }
func (*socket) SetReadDeadline(time.Time) error  { return nil }
func (*socket) SetWriteDeadline(time.Time) error { return nil }
