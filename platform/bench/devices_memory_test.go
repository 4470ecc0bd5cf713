package bench

import (
	"os"
	"testing"
	"time"
)

// maxIdleBytes is how much memory of the service an idle connection may take on
// each transport. The goal is 15 KiB and 21 KiB where there are many. In a run as
// small as this one, what the collector leaves for later, and what a service has
// besides, is shared by few; a third is room for that, and the rest is still to be
// gained.
var maxIdleBytes = map[Transport]float64{TransportEpoll: 28 << 10, TransportPortable: 34 << 10}

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
	for transport, most := range maxIdleBytes {
		if transport != defaultTransport() && os.Getenv("HERALD_LONG") == "" {
			continue // package courier holds what the transports differ by
		}
		t.Run(string(transport), func(t *testing.T) {
			cfg := devicesConfig(t)
			cfg.Count, cfg.Phases, cfg.Transport, cfg.Settle = 1500, []Phase{PhaseIdle}, transport, 1500*time.Millisecond
			if err := cfg.Check(); err != nil {
				t.Skip(err)
			}
			r := mustRunDevices(t, cfg)
			t.Logf("%.0f bytes an idle connection, %.0f after collecting", *r.BytesPerIdleConnection, *r.BytesPerIdleConnectionAfterGC)
			if got := *r.BytesPerIdleConnection; got > most {
				t.Errorf("an idle connection takes %.0f bytes, want at most %.0f", got, most)
			}
		})
	}
}
