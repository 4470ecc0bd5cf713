package courier

import (
	"net"
	"time"
)

// transport moves the bytes of one connection on which the TLS handshake is done.
// Its methods are for the one worker that has the connection, unless they say
// otherwise; they tell what comes by events, see conn.
//
// A transport need not keep a TLS connection: one that keeps the secrets of the
// records alone has what it takes.
type transport interface {
	// begin is called when an event says that the connection is readable: what has
	// come until then is not passed by.
	begin()
	// read returns what the device sent, and never waits. The error is errWait
	// if nothing has come, after which await asks for an event; any other ends
	// the connection.
	read(b []byte) (int, error)
	// await has the connection told that it is readable, once, when something
	// has come.
	await()
	// write writes whole frames, in one TLS record where they fit. If it cannot
	// write them all at once, it may keep what is left, see left.
	write(frames []byte) error
	// left reports whether a write is not done, and by when it must get on. Then
	// there is an event when flush can go on with it, and no other write until
	// it is done.
	left() (by time.Time, left bool)
	flush() error
	// close ends the connection. With goodbye, TLS says so to the device.
	close(goodbye bool)
	// interrupt ends a read or write that waits, as far as there are such. It
	// may be called from any goroutine while the connection is not closed.
	interrupt()
	// remote returns the address of the device, or nil.
	remote() net.Addr
}

// errWait is what is returned instead of waiting. To crypto/tls it is an error
// that goes by: what was read of a record is kept, and the next read goes on with
// it.
var errWait net.Error = waitError{}

type waitError struct{}

func (waitError) Error() string   { return "nothing has come yet" }
func (waitError) Timeout() bool   { return true }
func (waitError) Temporary() bool { return true }

// seam is the connection beneath TLS. What it is made of changes when the
// handshake is done.
type seam struct{ net.Conn }
