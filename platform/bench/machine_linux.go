package bench

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// cores returns a core for servers and another one for the load, or false if
// there are not two.
func cores() (server, sender int, ok bool) {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil || set.Count() < 2 {
		return -1, -1, false
	}
	server, sender = -1, -1
	for i := 0; sender < 0; i++ {
		switch {
		case !set.IsSet(i):
		case server < 0:
			server = i
		default:
			sender = i
		}
	}
	return server, sender, true
}

// startOn starts a command on a core, or on any if that is less than zero: a
// process begins where the thread may run that makes it.
func startOn(core int, cmd *exec.Cmd) error {
	if core < 0 {
		return cmd.Start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, only unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("affinity: %w", err)
	}
	only.Set(core)
	if err := unix.SchedSetaffinity(0, &only); err != nil {
		return fmt.Errorf("affinity: %w", err)
	}
	err := cmd.Start()
	if e := unix.SchedSetaffinity(0, &before); err == nil && e != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return fmt.Errorf("affinity: %w", e)
	}
	return err
}

// dieWithParent has a command killed when this process ends, however it does.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// processCPU returns how long the threads of a process have run, or false if
// the system does not tell.
func processCPU(pid int) (cpu time.Duration, ok bool) {
	files, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/schedstat")
	if err != nil {
		return 0, false
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		ran, _, _ := bytes.Cut(text, []byte(" "))
		ns, err := strconv.ParseInt(string(ran), 10, 64)
		if err != nil {
			return 0, false
		}
		cpu += time.Duration(ns)
	}
	return cpu, cpu > 0
}

// residentBytes returns how much memory a process has, or 0 if the system does
// not tell.
func residentBytes(pid int) int64 {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(text)
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// kernelBytes returns how much memory the kernel cannot give back, and what is
// in TCP's buffers; or false if it does not tell.
func kernelBytes() (int64, bool) {
	memory, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, false
	}
	sockets, err := os.ReadFile("/proc/net/sockstat")
	if err != nil {
		return 0, false
	}
	slab, ok := numberAfter(memory, "SUnreclaim:")
	_, tcp, found := bytes.Cut(sockets, []byte("TCP:"))
	pages, ok2 := numberAfter(tcp, "mem ")
	return slab<<10 + pages*int64(os.Getpagesize()), ok && found && ok2
}

// numberAfter returns the number that follows a word.
func numberAfter(text []byte, word string) (int64, bool) {
	_, after, ok := bytes.Cut(text, []byte(word))
	fields := bytes.Fields(after)
	if !ok || len(fields) == 0 {
		return 0, false
	}
	n, err := strconv.ParseInt(string(fields[0]), 10, 64)
	return n, err == nil
}

// bindWithoutPort has a socket with a source address get its port when it
// connects: before, the kernel would have to find one that is free for every
// destination, and search long.
func bindWithoutPort(_, _ string, raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	})
	return errors.Join(err, failed)
}
