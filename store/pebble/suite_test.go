package pebble

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/spool/spooltest"
)

// TestSpool runs the suite on a disk of its own in memory, and leaves the store by
// a crash in which all is lost that was not synced.
func TestSpool(t *testing.T) {
	spooltest.Run(t, func(t *testing.T) (spool.Store, func() spool.Store) {
		disk := vfs.NewCrashableMem()
		open := func() spool.Store { return openOn(t, disk) }
		return open(), func() spool.Store {
			disk = disk.CrashClone(vfs.CrashCloneCfg{})
			return open()
		}
	})
}

// TestSpoolOnDisk runs the suite on a real disk. Random operations, each of which
// waits for it, are left to TestSpool unless there is time.
func TestSpoolOnDisk(t *testing.T) {
	run := spooltest.RunCases
	if os.Getenv("HERALD_LONG") != "" {
		run = spooltest.Run
	}
	run(t, func(t *testing.T) (spool.Store, func() spool.Store) {
		dir := filepath.Join(t.TempDir(), "spool")
		open := func() spool.Store {
			s, err := Open(dir, Config{})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		return open(), open
	})
}

// testDir is the folder of a store on a disk in memory.
const testDir = "/spool"

// openOn opens the store on a disk in memory.
func openOn(t *testing.T, disk vfs.FS) *Spool {
	t.Helper()
	s, err := Open(testDir, Config{fs: disk})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
