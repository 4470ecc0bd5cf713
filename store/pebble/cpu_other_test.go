//go:build !unix

package pebble

import (
	"testing"
	"time"
)

// processorTime returns what this process has used of the processors, which is not
// known here.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	return 0
}
