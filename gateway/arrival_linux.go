package gateway

import (
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// tcpClosed is the state of a connection of which both sides have acknowledged
// the end, or that was reset.
const tcpClosed = 7

// arrivalPoll is how often that is looked for; nothing tells of it.
const arrivalPoll = 10 * time.Millisecond

// arrived waits until the system at the other end has acknowledged all that was
// written on a TCP connection, which both sides have ended. It returns an error
// if that has not happened by a time, or if it was reset instead: a reader sees
// nothing of a reset that comes after the other side's end.
func arrived(c net.Conn, by time.Time) error {
	socket, ok := c.(syscall.Conn)
	if !ok {
		return nil // in memory
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	for {
		closed, pending := false, 0
		var failed error
		err := raw.Control(func(fd uintptr) {
			var info *unix.TCPInfo
			if info, failed = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); failed != nil || info.State != tcpClosed {
				return
			}
			closed = true
			pending, failed = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		})
		switch {
		case err != nil:
			return err
		case failed != nil:
			return fmt.Errorf("asking for the state of a connection: %w", failed)
		case pending != 0:
			return syscall.Errno(pending)
		case closed:
			return nil
		case time.Now().After(by):
			return os.ErrDeadlineExceeded
		}
		time.Sleep(arrivalPoll)
	}
}
