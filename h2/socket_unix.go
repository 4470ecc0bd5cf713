//go:build unix

package h2

import (
	"io"
	"os"
	"syscall"
)

// rawReads says that readRaw can be used here.
const rawReads = true

// readRaw reads what has arrived at the socket fd, and reports false if there is
// nothing and it has to be waited for, which needs no buffer.
func (s *Socket) readRaw(fd uintptr) bool {
	b := takeChunk()
	for {
		n, err := syscall.Read(int(fd), b)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			giveChunk(b)
			return false
		case n > 0:
			s.buf, s.r, s.w, s.readErr = b, 0, n, nil
			return true
		case err == nil:
			s.readErr = io.EOF
		default:
			s.readErr = os.NewSyscallError("read", err)
		}
		giveChunk(b)
		return true
	}
}
