//go:build !unix

package bench

import "time"

// ownCPU returns 0: how long a process has run is not known here.
func ownCPU() time.Duration { return 0 }

// fileLimit returns 0: it is not known here.
func fileLimit() uint64 { return 0 }
