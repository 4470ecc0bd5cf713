package crash

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// diskVariable names the folder on which TestDiskFull, in a process of its own,
// mounts a small disk.
const diskVariable = "HERALD_TEST_CRASH_DISK"

// noMount begins what that process says if it cannot.
const noMount = "no disk can be mounted here"

// TestDiskFull has the disk fill up while pushes come in: they are refused with
// 5xx until there is room again, and all that was accepted is there. The disk is a
// small one that nobody else sees, and that ends with the process.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	if disk := os.Getenv(diskVariable); disk != "" {
		onSmallDisk(t, disk)
		return
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestDiskFull$", "-test.v", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), diskVariable+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended || strings.Contains(string(out), noMount) {
		t.Skipf("%s: %v", noMount, err)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "_test.go:") {
			t.Log(strings.TrimSpace(line))
		}
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// diskSize is how large the disk is.
const diskSize = "size=64m"

func onSmallDisk(t *testing.T, disk string) {
	t.Helper()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, diskSize); err != nil {
		t.Fatalf("%s: %v", noMount, err)
	}
	w := newWorldIn(t, disk, 8, stays, flaps, away)
	times := min(3, kills())
	w.story(t, func(ctx context.Context) {
		for i := range times {
			w.moment(ctx, t)
			refused, _ := w.ledger.outcome()
			empty := fill(t, disk)
			for deadline := time.Now().Add(20 * time.Second); ; sleep(ctx, 5*time.Millisecond) {
				now, _ := w.ledger.outcome()
				if now >= refused+pushers {
					break
				}
				if time.Now().After(deadline) {
					t.Errorf("full disk %d: got %d pushes refused with 5xx, want %d", i, now-refused, pushers)
					break
				}
			}
			now, accepted := w.ledger.outcome()
			empty()
			by := "by itself"
			if !w.recovers(ctx, accepted) {
				by = "once it was started again"
				w.service.kill()
				w.service.run(t)
			}
			t.Logf("full disk %d: %d accepted before, %d refused with 5xx; then it went on %s", i, accepted, now-refused, by)
		}
	})
}

// recovers reports whether pushes are accepted soon, beyond those that were on
// their way.
func (w *world) recovers(ctx context.Context, accepted int) bool {
	for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); sleep(ctx, 5*time.Millisecond) {
		if _, now := w.ledger.outcome(); now > accepted+pushers {
			return true
		}
	}
	return false
}

// fill leaves no room on the disk, and returns what makes room again.
func fill(t *testing.T, disk string) (empty func()) {
	t.Helper()
	path := filepath.Join(disk, "ballast")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for size := 1 << 20; size >= 512; size /= 2 {
		for err == nil {
			_, err = file.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		err = nil
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	}
}
