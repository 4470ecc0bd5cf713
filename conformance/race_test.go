//go:build race

package conformance_test

import (
	"regexp"
	"time"

	"github.com/heraldpush/herald/apns"
)

// caseTimeout bounds a case. The race detector slows TLS manifold.
const caseTimeout = 60 * time.Second

// cases are those that are run in an environment: the pairs of faults, which
// are half of all, take too long with the race detector.
var cases = map[apns.Environment]*regexp.Regexp{
	apns.Sandbox: noPairs, apns.Production: noPairs,
}

var noPairs = regexp.MustCompile(`^[^o]`)
