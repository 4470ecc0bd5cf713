package courier

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// poller raises the events of the sockets of a loop. It has a descriptor of
// epoll, and a goroutine that the runtime wakes when that has something: so no
// thread waits in it.
type poller struct {
	file   *os.File // of epoll
	closed atomic.Bool

	mu    sync.Mutex
	slots []pollSlot // guarded by mu
	free  []int32    // slots without a socket; guarded by mu
}

// pollSlot is where events find their socket. An event that was on its way when the
// socket was closed has an earlier generation.
type pollSlot struct {
	socket     *socket
	generation int32
}

// newPoller returns a poller. Its run must be called.
func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("courier: %w", os.NewSyscallError("epoll_create1", err))
	}
	if err := unix.SetNonblock(fd, true); err != nil { // for the runtime to take it
		_ = unix.Close(fd)
		return nil, fmt.Errorf("courier: %w", os.NewSyscallError("fcntl", err))
	}
	p := &poller{file: os.NewFile(uintptr(fd), "epoll")}
	return p, nil
}

// pollBatch is how many events are taken at a time.
const pollBatch = 256

// run raises events until close is called.
func (p *poller) run() error {
	control, err := p.file.SyscallConn()
	if err != nil {
		return err
	}
	events := make([]unix.EpollEvent, pollBatch)
	var ready []*conn
	var failed error
	err = control.Read(func(fd uintptr) (done bool) {
		for {
			n, err := unix.EpollWait(int(fd), events, 0)
			switch {
			case errors.Is(err, unix.EINTR):
				continue
			case err != nil:
				failed = os.NewSyscallError("epoll_wait", err)
				return true
			}
			ready = p.dispatch(events[:n], ready[:0])
			if n < len(events) {
				return false // until there is more
			}
		}
	})
	if p.closed.Load() {
		return nil
	}
	return errors.Join(err, failed)
}

// dispatch raises events. It uses the room of ready.
func (p *poller) dispatch(events []unix.EpollEvent, ready []*conn) []*conn {
	p.mu.Lock()
	for i := range events {
		e := &events[i]
		slot := &p.slots[e.Fd]
		if slot.generation != e.Pad {
			continue
		}
		raised := uint32(0)
		if e.Events&unix.EPOLLOUT != 0 {
			raised |= evWritable
		}
		if e.Events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
			raised |= evReadable
		}
		if e.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
			slot.socket.ended.Store(true)
		}
		if slot.socket.owner.note(raised) {
			ready = append(ready, slot.socket.owner)
		}
	}
	p.mu.Unlock()
	if len(ready) > 0 {
		ready[0].loop.crew.add(ready...)
		clear(ready)
	}
	return ready
}

// add has the events of a socket raised: when something comes, and when there is
// room again after a write that was not taken.
func (p *poller) add(s *socket) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		s.slot = p.free[n-1]
		p.free = p.free[:n-1]
	} else {
		s.slot = int32(len(p.slots)) //nolint:gosec // there are fewer descriptors than that
		p.slots = append(p.slots, pollSlot{})
	}
	slot := &p.slots[s.slot]
	slot.socket = s
	err := p.control(func(epoll int) error {
		return unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, s.fd, &unix.EpollEvent{
			Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: s.slot, Pad: slot.generation,
		})
	})
	if err != nil {
		p.vacate(s.slot)
	}
	return err
}

// remove ends what add began.
func (p *poller) remove(s *socket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// Closing the descriptor would do it too, if it has no copy.
	_ = p.control(func(epoll int) error { return unix.EpollCtl(epoll, unix.EPOLL_CTL_DEL, s.fd, nil) })
	p.vacate(s.slot)
}

// vacate gives a slot back. The lock is held.
func (p *poller) vacate(slot int32) {
	p.slots[slot].socket = nil
	p.slots[slot].generation++
	p.free = append(p.free, slot)
}

// control calls f with the descriptor of epoll, which is not closed meanwhile.
func (p *poller) control(f func(epoll int) error) (err error) {
	c, err := p.file.SyscallConn()
	if err != nil {
		return err
	}
	if e := c.Control(func(fd uintptr) { err = f(int(fd)) }); e != nil {
		return e
	}
	return err
}

// close ends run.
func (p *poller) close() {
	p.closed.Store(true)
	_ = p.file.Close()
}
