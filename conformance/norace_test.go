//go:build !race

package conformance_test

import (
	"regexp"
	"time"

	"github.com/heraldpush/herald/apns"
)

// caseTimeout bounds a case. The machine may be busy with other tests.
const caseTimeout = 20 * time.Second

// cases are those that are run in an environment: all.
var cases map[apns.Environment]*regexp.Regexp
