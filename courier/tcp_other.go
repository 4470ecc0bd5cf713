//go:build !linux

package courier

import (
	"errors"
	"net"
)

// tune sets the options of a socket that was accepted. There are no TCP keepalive
// probes: they would wake each device, at an interval that suits none.
func tune(raw net.Conn) {
	if c, ok := raw.(*net.TCPConn); ok {
		_ = c.SetKeepAlive(false) // it is no fault if it cannot be set
	}
}

// newTransport puts a connection on the transport that there is for it.
func newTransport(p *prelude, owner *conn, _ *loop) transport { return newStream(p, owner) }

// poller is for Linux alone.
type poller struct{}

func newPoller() (*poller, error) { return nil, errors.ErrUnsupported }

func (*poller) run() error { return nil }
func (*poller) close()     {}
