package provide

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/heraldpush/herald/platform/folder"
)

// diskEnv names the folder that a process of TestDisk mounts a disk on, and diskKind
// what becomes of the disk.
const (
	diskEnv  = "HERALD_TEST_DISK"
	diskKind = "HERALD_TEST_DISK_KIND"
)

// onDiskNoMount is the exit status of a process that may have no disk.
const onDiskNoMount = 3

func TestMain(m *testing.M) {
	if dir := os.Getenv(diskEnv); dir != "" {
		os.Exit(onDisk(dir, os.Getenv(diskKind)))
	}
	os.Exit(m.Run())
}

// TestDisk runs on a small disk of its own, which nobody else sees, and which ends
// with the process.
func TestDisk(t *testing.T) {
	for _, kind := range []string{"full", "read-only"} {
		t.Run(kind, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), diskEnv+"="+t.TempDir(), diskKind+"="+kind)
			cmd.SysProcAttr = &syscall.SysProcAttr{
				Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
				UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
				GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
			}
			out, err := cmd.CombinedOutput()
			exit, ended := errors.AsType[*exec.ExitError](err)
			if err != nil && !ended || ended && exit.ExitCode() == onDiskNoMount {
				t.Skipf("no disk can be mounted here: %v %s", err, out)
			}
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// onDisk starts a push server on a disk that is too small for it, or on one that
// cannot be written to since it was there last, and returns the exit status.
func onDisk(disk, kind string) int {
	size := "size=512k"
	if kind == "read-only" {
		size = "size=64m"
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, size); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return onDiskNoMount
	}
	dir, remedy := filepath.Join(disk, "p"), "make room on the disk"
	if kind == "read-only" {
		remedy = "herald needs to read and write everything in it"
		if err := runOnce(dir); err != nil {
			fmt.Fprintln(os.Stderr, "first start:", err)
			return 1
		}
		if err := syscall.Mount("", disk, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return onDiskNoMount
		}
	} else if err := os.WriteFile(filepath.Join(disk, "ballast"), make([]byte, 400<<10), 0o600); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	err := runOnce(dir)
	if e, ok := errors.AsType[*folder.Error](err); !ok || !strings.Contains(e.Remedy, remedy) {
		fmt.Fprintf(os.Stderr, "got %v (%+v), want the remedy %q\n", err, e, remedy)
		return 1
	}
	if _, err := os.Stat(dir); kind == "full" && !errors.Is(err, os.ErrNotExist) {
		fmt.Fprintf(os.Stderr, "what was made stays: %v\n", err)
		return 1
	}
	return 0
}

// runOnce runs a push server until it is ready.
func runOnce(dir string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	return Run(ctx, Config{Dir: dir, Listen: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler), Ready: func(Running) { cancel() }})
}
