package courier

import (
	"net"

	"golang.org/x/sys/unix"
)

// userTimeoutMillis is how long what was written may be unacknowledged by TCP, in
// milliseconds. It runs only while something is: an idle connection is not
// touched by it.
const userTimeoutMillis = 30_000

// tune sets the options of a socket that was accepted. There are no TCP keepalive
// probes: they would wake each device, at an interval that suits none. It is no
// fault if an option cannot be set.
func tune(raw net.Conn) {
	c, ok := raw.(*net.TCPConn)
	if !ok {
		return
	}
	_ = c.SetKeepAlive(false)
	if control, err := c.SyscallConn(); err == nil {
		_ = control.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, userTimeoutMillis)
		})
	}
}

// newTransport puts a connection on the transport that there is for it.
func newTransport(p *prelude, owner *conn, on *loop) transport {
	if on.poll != nil {
		if s := newSocket(p, owner, on.poll); s != nil {
			return s
		}
	}
	return newStream(p, owner)
}
