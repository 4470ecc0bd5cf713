package apnsclient

import (
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// lastWord is how long the reading of a connection that can no longer be
// written to may take.
const lastWord = time.Second

// secured is a connection to a gateway, below HTTP/2. It keeps the alert with
// which the gateway refuses a certificate. Under TLS 1.3 that comes after our
// first bytes, so that a writer may find the connection gone before a reader
// has the reason.
type secured struct {
	*tls.Conn
	presented string // common name of the certificate; empty if there is none

	refused  atomic.Pointer[CertificateError]
	unsaid   atomic.Bool   // a write failed
	reading  atomic.Int32  // calls of Read under way
	ended    chan struct{} // closed when a Read failed
	endOnce  sync.Once
	shutOnce sync.Once
	shutErr  error // of the first Close
}

func newSecured(c *tls.Conn, presented string) *secured {
	return &secured{Conn: c, presented: presented, ended: make(chan struct{})}
}

// Read implements net.Conn.
func (s *secured) Read(b []byte) (int, error) {
	s.reading.Add(1)
	defer s.reading.Add(-1)
	n, err := s.Conn.Read(b)
	if err != nil {
		if refused := certificateRefusal(err, s.presented); refused != nil {
			s.refused.CompareAndSwap(nil, refused)
		}
		s.endOnce.Do(func() { close(s.ended) })
	}
	return n, err
}

// Write implements net.Conn.
func (s *secured) Write(b []byte) (int, error) {
	n, err := s.Conn.Write(b)
	if err != nil {
		s.unsaid.Store(true)
	}
	return n, err
}

// Close implements net.Conn. Where a write failed, what the gateway had to say
// is read first, in a second at most.
func (s *secured) Close() error {
	s.shutOnce.Do(func() {
		if s.unsaid.Load() {
			s.hear()
		}
		s.shutErr = s.Conn.Close()
	})
	return s.shutErr
}

// hear waits until there is no more to read.
func (s *secured) hear() {
	if s.SetReadDeadline(time.Now().Add(lastWord)) != nil {
		return
	}
	if s.reading.Load() > 0 { // whoever reads will hear it
		timer := time.NewTimer(lastWord)
		defer timer.Stop()
		select {
		case <-s.ended:
		case <-timer.C:
		}
		return
	}
	room := make([]byte, 4<<10)
	for {
		if _, err := s.Read(room); err != nil {
			return
		}
	}
}

// certificateRefusal returns the error for err, if that is the alert of a
// gateway that refuses the certificate presented, and else nil.
func certificateRefusal(err error, presented string) *CertificateError {
	var alert *net.OpError
	if !errors.As(err, &alert) || alert.Op != "remote error" {
		return nil
	}
	// crypto/tls keeps the type of alerts to itself; their texts are those of
	// RFC 8446 section 6.2.
	text := alert.Err.Error()
	for _, about := range [...]string{"certificate", "access denied", "handshake failure"} {
		if strings.Contains(text, about) {
			return &CertificateError{Certificate: presented, Err: alert.Err}
		}
	}
	return nil
}
