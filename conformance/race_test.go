//go:build race

package conformance_test

import "time"

// caseTimeout bounds a case. The race detector slows TLS manifold.
const caseTimeout = 60 * time.Second
