//go:build !linux

package bench

import (
	"os/exec"
	"syscall"
	"time"
)

// cores returns false: this system has no way to say where a process runs.
func cores() (server, sender int, ok bool) { return -1, -1, false }

func startOn(_ int, cmd *exec.Cmd) error { return cmd.Start() }

// dieWithParent does nothing here. A part of the bench ends with its standard
// input.
func dieWithParent(*exec.Cmd) {}

// processCPU returns false: parts tell of themselves, and of others nothing is
// known here.
func processCPU(int) (time.Duration, bool) { return 0, false }

// residentBytes returns 0: it is not known here.
func residentBytes(int) int64 { return 0 }

// kernelBytes returns false: it is not known here.
func kernelBytes() (int64, bool) { return 0, false }

// bindWithoutPort does nothing here.
func bindWithoutPort(string, string, syscall.RawConn) error { return nil }
