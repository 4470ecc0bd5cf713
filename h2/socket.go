package h2

import (
	"net"
	"sync"
	"syscall"
)

// Socket is a net.Conn that makes few and large system calls for the small
// reads and writes of what is over it. It is made to be put between TLS and
// the network:
//
//	tls.Server(h2.NewSocket(nc), config)
//
// It reads what has arrived, up to 64 KiB, and hands it out piece by piece. A
// [Conn] finds the Socket under its TLS connection, and then writes its answers
// when the Socket is about to wait for the network, so when no TLS record is
// left in memory, instead of after each record. And it has the records of a
// large output written at once.
//
// A Socket over a [*net.TCPConn], or another net.Conn that is a syscall.Conn,
// holds no buffer while it waits. Over any other, and where the operating system
// is not a Unix, it has one of 16 KiB.
type Socket struct {
	net.Conn

	// Owned by the goroutine that reads.
	raw     syscall.RawConn // nil if reading has to go through Conn
	tryRead func(fd uintptr) bool
	own     []byte // what is read to where raw is nil
	buf     []byte // own or a chunk; nil if nothing is left
	r, w    int    // buf[r:w] has not been handed out
	readErr error  // of the last tryRead
	waits   func() // called before the network is waited for
	arrived func() // called when something came from it

	writing sync.Mutex
	corked  bool   // guarded by writing
	out     []byte // written while corked; guarded by writing
}

// NewSocket returns a Socket over nc.
func NewSocket(nc net.Conn) *Socket {
	s := &Socket{Conn: nc, waits: func() {}, arrived: func() {}}
	if sc, ok := nc.(syscall.Conn); ok && rawReads {
		if raw, err := sc.SyscallConn(); err == nil {
			s.raw = raw
			s.tryRead = s.readRaw
		}
	}
	return s
}

// withSocket returns nc and the Socket that it is, or that its TLS is over. What
// is not over anything else becomes a Socket; there is none under TLS if the
// caller put none there.
func withSocket(nc net.Conn) (net.Conn, *Socket) {
	if s, ok := nc.(*Socket); ok {
		return s, s
	}
	if over, ok := nc.(interface{ NetConn() net.Conn }); ok {
		s, _ := over.NetConn().(*Socket) // nil if it is another
		return nc, s
	}
	s := NewSocket(nc)
	return s, s
}

// Read hands out what is left of the last gulp, or takes another.
func (s *Socket) Read(p []byte) (int, error) {
	if s.r == s.w {
		s.waits()
		if err := s.gulp(); err != nil {
			return 0, err
		}
		s.arrived()
	}
	n := copy(p, s.buf[s.r:s.w])
	if s.r += n; s.r == s.w {
		giveChunk(s.buf)
		s.buf, s.r, s.w = nil, 0, 0
	}
	return n, nil
}

// gulp reads what has arrived, and waits if there is nothing.
func (s *Socket) gulp() error {
	if s.raw != nil {
		if err := s.raw.Read(s.tryRead); err != nil {
			return err
		}
		return s.readErr
	}
	if s.own == nil {
		s.own = make([]byte, maxRecordBytes)
	}
	n, err := s.Conn.Read(s.own)
	if n == 0 {
		return err // a net.Conn says it again
	}
	s.buf, s.r, s.w = s.own, 0, n
	return nil
}

// Write writes p, or keeps it if more is to come.
func (s *Socket) Write(p []byte) (int, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if !s.corked {
		return s.Conn.Write(p)
	}
	if len(s.out) > 0 && len(s.out)+len(p) > cap(s.out) {
		if err := s.flush(); err != nil {
			return 0, err
		}
	}
	if s.out == nil {
		s.out = takeChunk()[:0]
	}
	if len(p) > cap(s.out) {
		return s.Conn.Write(p)
	}
	s.out = append(s.out, p...)
	return len(p), nil
}

// cork makes Write keep what is written until uncork.
func (s *Socket) cork() {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.corked = true
}

// uncork writes what was kept.
func (s *Socket) uncork() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.corked = false
	err := s.flush()
	giveChunk(s.out)
	s.out = nil
	return err
}

// flush writes out. s.writing is held.
func (s *Socket) flush() error {
	if len(s.out) == 0 {
		return nil
	}
	_, err := s.Conn.Write(s.out)
	s.out = s.out[:0]
	return err
}

// CloseWrite ends what this side writes, where the network can do that.
func (s *Socket) CloseWrite() error {
	if cw, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		return cw.CloseWrite()
	}
	return nil
}
