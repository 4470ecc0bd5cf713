//go:build !race

package conformance_test

import "time"

// caseTimeout bounds a case. The machine may be busy with other tests.
const caseTimeout = 20 * time.Second
