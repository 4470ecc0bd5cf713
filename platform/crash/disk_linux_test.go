package crash

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestDiskFails has every write to the disk fail, at any moment and while pushes
// come in: they are refused with 5xx, and once the disk is as before and the service
// was started again, all that was accepted is there.
func TestDiskFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 8, stays, flaps, away)
	faults := min(4, kills())
	w.story(t, func(ctx context.Context) {
		for i := range faults {
			w.moment(ctx, t)
			refused, accepted := w.ledger.outcome()
			before := limitFiles(t, w.service.pid(), 1)
			for deadline := time.Now().Add(20 * time.Second); ; sleep(ctx, 5*time.Millisecond) {
				now, _ := w.ledger.outcome()
				if now >= refused+pushers {
					break
				}
				if time.Now().After(deadline) {
					t.Errorf("fault %d: got %d pushes refused with 5xx, want %d", i, now-refused, pushers)
					break
				}
			}
			if i%2 == 0 { // the disk recovers before the service is started again
				limitFiles(t, w.service.pid(), before)
				sleep(ctx, rand.N(100*time.Millisecond))
			}
			now, during := w.ledger.outcome()
			t.Logf("fault %d: %d accepted before, %d since it began; %d refused with 5xx", i, accepted, during-accepted, now-refused)
			w.service.kill()
			w.service.run(t)
		}
	})
	t.Logf("%d faults of the disk", faults)
}

// limitFiles bounds how large the files of a process may grow, in bytes, and
// returns what the bound was. What is written beyond fails.
func limitFiles(t *testing.T, pid int, bytes uint64) (before uint64) {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_FSIZE, nil, &limit); err != nil {
		t.Fatal(err)
	}
	before = limit.Cur
	limit.Cur = bytes
	if err := unix.Prlimit(pid, unix.RLIMIT_FSIZE, &limit, nil); err != nil {
		t.Fatal(err)
	}
	return before
}
