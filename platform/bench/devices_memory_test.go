package bench

import (
	"testing"
	"time"
)

// maxIdleBytes is how much memory of the service an idle connection may take. It
// is what the loop of today needs, two goroutines for each connection, with
// room for the unrest of a small run; the goal for one goroutine is 21 KiB, and
// that for none 15 KiB.
const maxIdleBytes = 56 << 10

// TestIdleMemory holds the memory of an idle connection, as the bench measures it.
func TestIdleMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector takes memory of its own")
	}
	if testing.Short() {
		t.Skip("connects 1,500 devices")
	}
	if residentBytes(1) == 0 {
		t.Skip("this system does not tell how much memory a process has")
	}
	cfg := devicesConfig(t)
	cfg.Count, cfg.Phases, cfg.Settle = 1500, []Phase{PhaseIdle}, 500*time.Millisecond
	if err := cfg.Check(); err != nil {
		t.Skip(err)
	}
	r := mustRunDevices(t, cfg)
	t.Logf("%.0f bytes an idle connection, %.0f after collecting", *r.BytesPerIdleConnection, *r.BytesPerIdleConnectionAfterGC)
	if got := *r.BytesPerIdleConnection; got > maxIdleBytes {
		t.Errorf("an idle connection takes %.0f bytes, want at most %d", got, maxIdleBytes)
	}
}
