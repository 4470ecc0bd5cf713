package courier

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// TestBeginReadsOn has something come to a socket that was read to its end, as happens
// between two turns: whoever begins anew reads it.
func TestBeginReadsOn(t *testing.T) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range ends {
		t.Cleanup(func() {
			if err := unix.Close(fd); err != nil {
				t.Error(err)
			}
		})
	}
	s := &socket{fd: ends[0]}
	room := make([]byte, 16)
	for _, said := range []string{"first", "second"} {
		if _, err := unix.Write(ends[1], []byte(said)); err != nil {
			t.Fatal(err)
		}
		s.begin()
		n, err := s.Read(room)
		if err != nil || string(room[:n]) != said {
			t.Errorf("got %q, %v, want %q", room[:n], err, said)
		}
		if _, err := s.Read(room); !errors.Is(err, errWait) {
			t.Errorf("got %v, want %v: it was read to its end", err, errWait)
		}
	}
}
