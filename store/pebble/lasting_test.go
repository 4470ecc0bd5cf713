package pebble

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/spool"
)

// TestNothingBeforeItLasts asks for a notification while the disk still writes it:
// it is not shown until that has ended, and never if it failed. A device would have
// it, and after a crash nobody would know.
func TestNothingBeforeItLasts(t *testing.T) {
	for name, failure := range map[string]error{"written": nil, "failed": syscall.EIO} {
		t.Run(name, func(t *testing.T) {
			armed, reached, release := make(chan struct{}), make(chan struct{}), make(chan struct{})
			disk := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
				select {
				case <-armed:
				default:
					return nil
				}
				if op.Kind != errorfs.OpFileSync && op.Kind != errorfs.OpFileSyncData || !strings.HasSuffix(op.Path, ".log") {
					return nil
				}
				select {
				case reached <- struct{}{}:
					<-release
					return failure
				case <-release:
					return nil
				}
			}))
			s, err := Open(testDir, Config{fs: disk, Logger: quiet})
			if err != nil {
				t.Fatal(err)
			}
			close(armed)
			e := faultEntry(1, 1, 1)
			put := make(chan error, 1)
			go func() { put <- s.Put(context.Background(), []spool.Write{{Entry: e, Keep: true}}) }()
			<-reached

			// The engine begins to write before it shows anything.
			for err := error(nil); err == nil; {
				soon, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
				var list []spool.Entry
				list, err = s.Load(soon, spool.MailboxOf(e.Address), 10)
				cancel()
				if len(list) > 0 || err != nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Fatalf("while it is written: got %v, %v, want none for as long as that takes", list, err)
				}
			}
			if list, err := s.Load(t.Context(), spool.Mailbox{Device: 2, Environment: apns.Sandbox}, 10); len(list) > 0 || err != nil {
				t.Errorf("of another device: got %v, %v, want none, at once", list, err)
			}
			close(release)
			if err := <-put; !errors.Is(err, failure) {
				t.Errorf("put: got %v, want %v", err, failure)
			}
			list, err := s.Load(t.Context(), spool.MailboxOf(e.Address), 10)
			if failure == nil && (err != nil || len(list) != 1) || failure != nil && (err == nil || len(list) > 0) {
				t.Errorf("afterwards: got %v, %v", list, err)
			}
			if err := s.Close(); failure == nil && err != nil {
				t.Error(err)
			}
		})
	}
}
