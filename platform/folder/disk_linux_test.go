package folder

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/heraldpush/herald/portal"
)

// Exit statuses of a process that has a disk of its own.
const (
	onDiskOK      = 0
	onDiskFailed  = 1
	onDiskNoMount = 3
)

func init() {
	children["HERALD_TEST_FULL"] = func(dir string) int { return onDisk(dir, full) }
	children["HERALD_TEST_READONLY"] = func(dir string) int { return onDisk(dir, readOnly) }
}

// TestDisk runs on a small disk of its own, which nobody else sees, and which
// ends with the process.
func TestDisk(t *testing.T) {
	for name, env := range map[string]string{"full": "HERALD_TEST_FULL", "read-only": "HERALD_TEST_READONLY"} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), env+"="+t.TempDir())
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

// onDisk calls f with a folder on a disk of half a megabyte.
func onDisk(dir string, f func(ctx context.Context, dir string) error) int {
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=512k"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return onDiskNoMount
	}
	if err := f(context.Background(), dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return onDiskFailed
	}
	return onDiskOK
}

// want returns an error unless err is an *Error with a remedy that says so.
func want(err error, text, remedy string) error {
	if e, ok := errors.AsType[*Error](err); !ok || !strings.Contains(e.Reason, text) || !strings.Contains(e.Remedy, remedy) {
		return fmt.Errorf("got %w, want %q, and the remedy %q", err, text, remedy)
	}
	return nil
}

// fill leaves no room on the disk, and returns what makes room again.
func fill(disk string) (func() error, error) {
	path := filepath.Join(disk, "ballast")
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	for err == nil {
		_, err = file.Write(make([]byte, 512))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return nil, err
	}
	return func() error { return os.Remove(path) }, file.Close()
}

// full fills the disk at each stage of a folder's life.
func full(ctx context.Context, disk string) error {
	const room = "make room on the disk"
	dir := filepath.Join(disk, "p")
	empty, err := fill(disk)
	if err != nil {
		return err
	}
	_, err = Create(ctx, dir, MadeByPortal)
	if err := errors.Join(want(err, "no space left on device", room), empty()); err != nil {
		return fmt.Errorf("creating: %w", err)
	}
	if left, err := os.ReadDir(disk); err != nil || len(left) > 0 {
		return fmt.Errorf("got %v, %w, want nothing left", left, err)
	}

	f, err := Create(ctx, dir, MadeByPortal)
	if err != nil {
		return err
	}
	p, err := f.Portal(ctx)
	if err != nil {
		return err
	}
	if err := f.Finish(); err != nil {
		return err
	}
	team, err := p.CreateTeam(ctx, "before")
	if err != nil {
		return err
	}
	if empty, err = fill(disk); err != nil {
		return err
	}
	for err == nil { // as long as there is room in the log
		_, err = p.CreateTeam(ctx, strings.Repeat("a", 60))
	}
	if err := want(f.Explain(err), databaseFile+": the disk is full", room); err != nil {
		return fmt.Errorf("storing: %w", err)
	}
	if err := want(f.WriteRun("http://127.0.0.1:1", "key"), "writing run.json", room); err != nil {
		return err
	}
	before, err := os.ReadFile(f.Path(markFile))
	if err != nil {
		return err
	}
	if err := want(f.Keep("something"), "writing herald.json", room); err != nil {
		return err
	}
	if after, err := os.ReadFile(f.Path(markFile)); err != nil || string(after) != string(before) {
		return fmt.Errorf("herald.json: got %s, %w, want it as before", after, err)
	}
	if err := f.Close(); err != nil { // full as the disk is
		return fmt.Errorf("closing: %w", err)
	}
	if err := empty(); err != nil {
		return err
	}
	if f, err = Open(ctx, dir, MadeByPortal); err != nil {
		return err
	}
	if p, err = f.Portal(ctx); err != nil {
		return err
	}
	teams, err := p.Teams(ctx)
	if err != nil || !contains(teams, team) {
		return fmt.Errorf("got %v, %w, want the team from before among them", teams, err)
	}
	return f.Close()
}

func contains(teams []portal.Team, want portal.Team) bool {
	for _, t := range teams {
		if t.ID == want.ID && t.Name == want.Name {
			return true
		}
	}
	return false
}

// readOnly makes a disk read-only under a folder.
func readOnly(ctx context.Context, disk string) error {
	const remedy = "herald needs to read and write everything in it"
	dir := filepath.Join(disk, "p")
	f, err := Create(ctx, dir, MadeByPortal)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Finish(), f.Close()); err != nil {
		return err
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		return err
	}
	_, err = Open(ctx, dir, MadeByPortal)
	if err := want(err, "read-only file system", remedy); err != nil {
		return err
	}
	_, err = Create(ctx, filepath.Join(disk, "q"), MadeByPortal)
	return want(err, "read-only file system", remedy)
}
