package spool

import (
	"runtime"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
)

// TestFiltersShared checks that what devices have in common is kept once, for as
// long as a device has it.
func TestFiltersShared(t *testing.T) {
	a, b := apns.Topic("a").Hash(), apns.Topic("b").Hash()
	var fs filters
	one := fs.share(&Filter{Enabled: []apns.TopicHash{a, b}})
	if again := fs.share(&Filter{Enabled: []apns.TopicHash{a, b}}); again != one {
		t.Error("the same filter is kept twice")
	}
	for _, f := range []Filter{
		{},
		{Enabled: []apns.TopicHash{a}},
		{Enabled: []apns.TopicHash{b, a}},
		{Opportunistic: []apns.TopicHash{a, b}},
		{Enabled: []apns.TopicHash{a}, Opportunistic: []apns.TopicHash{b}},
		{Enabled: []apns.TopicHash{a}, Ignored: []apns.TopicHash{b}},
	} {
		if fs.share(&f) == one {
			t.Errorf("%v is taken for another filter", f)
		}
	}
	left := func() int {
		fs.mu.Lock()
		defer fs.mu.Unlock()
		return len(fs.by)
	}
	for end := time.Now().Add(10 * time.Second); left() != 1; runtime.GC() {
		if time.Now().After(end) {
			t.Fatalf("%d filters are left that no device has, want 1", left())
		}
	}
	if again := fs.share(&Filter{Enabled: []apns.TopicHash{a, b}}); again != one {
		t.Error("a filter was forgotten that a device has")
	}
	runtime.KeepAlive(one)
}
