package apnsclient

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/wire"
)

// watched is a connection to a gateway, under the engine. It sees what the
// engine keeps to itself: the first SETTINGS, the reason in the debug data of a
// GOAWAY (docs/protocol/provider.md#goaway), and the TLS alert with which a
// certificate is refused after the handshake, as TLS 1.3 has it.
type watched struct {
	*tls.Conn
	certificate string // common name of what was presented

	// Touched by Read alone, which the engine calls from one goroutine.
	frames       frames
	seenSettings bool
	announced    bool

	reading atomic.Bool   // Read was called
	ready   chan struct{} // closed when the engine has taken in the first SETTINGS
	ended   chan struct{} // closed when there is no more to read

	mu       sync.Mutex
	farewell *farewell // guarded by mu
	err      error     // what ended the reading; guarded by mu
}

// farewell is the first GOAWAY that had a reason.
type farewell struct {
	rejection *apns.Rejection
	last      uint32 // the last stream that the gateway took in
}

// final reports whether another connection would be told the same.
func (f *farewell) final() bool {
	return f.rejection.Status < 500 && f.rejection.Reason != apns.IdleTimeout
}

func newWatched(c *tls.Conn, certificate string) *watched {
	return &watched{Conn: c, certificate: certificate, ready: make(chan struct{}), ended: make(chan struct{})}
}

// Read implements net.Conn.
func (w *watched) Read(b []byte) (int, error) {
	w.reading.Store(true)
	if w.seenSettings && !w.announced { // the engine asks for more: it has taken in what came
		w.announced = true
		close(w.ready)
	}
	n, err := w.Conn.Read(b)
	w.frames.next(b[:n], w)
	if err != nil {
		w.end(err)
	}
	return n, err
}

// Write implements net.Conn. Where not even the preface can be written, the
// gateway may have said why.
func (w *watched) Write(b []byte) (int, error) {
	n, err := w.Conn.Write(b)
	if err != nil && !w.reading.Load() && w.SetReadDeadline(time.Now().Add(closeTimeout)) == nil {
		var said [1]byte
		if _, end := w.Conn.Read(said[:]); end != nil {
			w.end(end)
			err = errors.Join(err, w.cause())
		}
	}
	return n, err
}

func (w *watched) end(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = certificateError(err, w.certificate)
		close(w.ended)
	}
}

// verdict returns why the gateway wants nothing to do with this credential: an
// *apns.Rejection or a *CertificateError. It is nil if it said no such thing.
func (w *watched) verdict() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var refused *CertificateError
	switch {
	case w.farewell != nil && w.farewell.final():
		return w.farewell.rejection
	case errors.As(w.err, &refused):
		return refused
	}
	return nil
}

// unheard returns the reason of a GOAWAY that took in no stream at all, nil if
// there was none.
func (w *watched) unheard() *apns.Rejection {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.farewell == nil || w.farewell.last != 0 {
		return nil
	}
	return w.farewell.rejection
}

// cause returns what ended the reading.
func (w *watched) cause() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// settings is told by frames of SETTINGS.
func (w *watched) settings() { w.seenSettings = true }

// goAway is told by frames of a GOAWAY.
func (w *watched) goAway(last uint32, debug []byte) {
	r := wire.ParseRejection(0, debug, "")
	if r.Reason == "" {
		return
	}
	said := apns.Reject(r.Reason, "the gateway ended the connection")
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.farewell == nil {
		w.farewell = &farewell{rejection: said, last: last}
	}
}

// certificateError returns err, or a *CertificateError where err is the alert
// of a gateway that refuses the certificate named.
func certificateError(err error, certificate string) error {
	var alert *net.OpError
	if !errors.As(err, &alert) || alert.Op != "remote error" {
		return err
	}
	// crypto/tls keeps the type of alerts to itself; their texts are those of
	// RFC 8446 section 6.2.
	s := alert.Err.Error()
	for _, about := range [...]string{"certificate", "access denied", "handshake failure"} {
		if strings.Contains(s, about) {
			return &CertificateError{Certificate: certificate, Err: alert.Err}
		}
	}
	return err
}

// frames finds the frames that matter in a stream of HTTP/2
// (RFC 9113 section 4.1):
//
//	length 3 · type 1 · flags 1 · stream 4 · payload
type frames struct {
	header  [9]byte
	have    int    // bytes of header that are there
	left    int    // bytes of the payload still to come
	payload []byte // of a GOAWAY, as far as it is kept
}

const (
	frameSettings = 4
	frameGoAway   = 7
	flagAck       = 1

	// maxGoAwayBytes bounds what is kept of a GOAWAY.
	maxGoAwayBytes = 8 + wire.MaxRejectionBytes
)

// next takes in the next bytes, and tells w what is in them.
func (f *frames) next(b []byte, w *watched) {
	for len(b) > 0 || f.have == len(f.header) {
		if f.have < len(f.header) {
			n := copy(f.header[f.have:], b)
			f.have, b = f.have+n, b[n:]
			if f.have < len(f.header) {
				return
			}
			f.left = int(f.header[0])<<16 | int(f.header[1])<<8 | int(f.header[2])
			f.payload = nil
		}
		n := min(f.left, len(b))
		if f.header[3] == frameGoAway {
			f.payload = append(f.payload, b[:min(n, maxGoAwayBytes-len(f.payload))]...)
		}
		f.left, b = f.left-n, b[n:]
		if f.left > 0 {
			return
		}
		f.have = 0
		switch {
		case f.header[3] == frameSettings && f.header[4]&flagAck == 0:
			w.settings()
		case f.header[3] == frameGoAway && len(f.payload) >= 8:
			w.goAway(binary.BigEndian.Uint32(f.payload)&0x7fffffff, f.payload[8:])
		}
	}
}
