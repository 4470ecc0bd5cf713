//go:build unix

package bench

import (
	"time"

	"golang.org/x/sys/unix"
)

// ownCPU returns how long this process has run, in user space and in the
// kernel; 0 if that is not known.
func ownCPU() time.Duration {
	var r unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// fileLimit returns how many files a process may have open, once it has raised
// its limit as far as it may; 0 if that is not known.
func fileLimit() uint64 {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil {
		return 0
	}
	return uint64(l.Max) //nolint:unconvert // it is signed on some systems
}
