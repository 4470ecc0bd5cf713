package h2

import (
	"cmp"
	"io"
	"log/slog"
	"net"
	"time"
)

const (
	// lingerTimeout is how long an ended connection waits for the peer to read
	// the last frames and to close.
	lingerTimeout = time.Second
	// lingerBytes is how much input is thrown away in that time.
	lingerBytes = 4 << 20
	// maxRecordBytes is what TLS writes at once.
	maxRecordBytes = 16 << 10
)

// pipe is what a connection of either side runs over.
type pipe struct {
	nc     net.Conn
	socket *Socket // nc, or what its TLS is over; nil if that is another
	logger *slog.Logger
}

// newPipe returns a pipe over nc.
func newPipe(nc net.Conn, logger *slog.Logger) pipe {
	nc, socket := withSocket(nc)
	return pipe{nc, socket, logger}
}

// write writes b. What takes several TLS records goes to the network at once if
// that can be had.
func (p *pipe) write(b []byte) error {
	if p.socket == nil || len(b) <= maxRecordBytes {
		_, err := p.nc.Write(b)
		return err
	}
	p.socket.cork()
	_, err := p.nc.Write(b)
	return cmp.Or(err, p.socket.uncork())
}

// sever closes the connection without a word.
func (p *pipe) sever() {
	var nc io.Closer = p.nc
	if over, ok := p.nc.(interface{ NetConn() net.Conn }); ok {
		nc = over.NetConn()
	}
	if err := nc.Close(); err != nil {
		p.logger.Debug("closing failed", slog.Any("error", err))
	}
}

// linger gives the peer time to read what was written. Closing a socket with
// unread input would make the kernel throw away what the peer has not read yet.
// It reports false if that took too long, and the connection is closed already.
func (p *pipe) linger() (inTime bool) {
	severed := make(chan struct{})
	over := time.AfterFunc(2*lingerTimeout, func() {
		defer close(severed)
		p.sever()
	})
	defer func() {
		if inTime = over.Stop(); !inTime {
			<-severed
		}
	}()
	if cw, ok := p.nc.(interface{ CloseWrite() error }); ok {
		if cw.CloseWrite() != nil {
			return true // the peer is gone
		}
	}
	if p.nc.SetReadDeadline(time.Now().Add(lingerTimeout)) != nil {
		return true
	}
	// However this ends, there is nothing left to do but to close.
	_, err := io.Copy(io.Discard, io.LimitReader(p.nc, lingerBytes))
	p.logger.Debug("connection lingered", slog.Any("error", err))
	return true
}
