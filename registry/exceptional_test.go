package registry

import (
	"hash/maphash"
	"sync"
	"testing"

	"github.com/heraldpush/herald/apns"
)

// TestExceptionalMissesNone adds addresses while others look for those that are
// there already.
func TestExceptionalMissesNone(t *testing.T) {
	const count = 5_000
	x := exceptional{seed: maphash.MakeSeed()}
	at := func(n int) apns.Address {
		return apns.Address{Device: apns.DeviceOrdinal(n), Environment: apns.Sandbox, Topic: apns.Topic("com.example.demo").Hash()}
	}
	if x.has(at(1)) {
		t.Error("an empty one has something")
	}
	added := make(chan int, count)
	var looking sync.WaitGroup
	for range 2 {
		looking.Go(func() {
			for n := range added {
				if !x.has(at(n)) {
					t.Errorf("address %d is missed", n)
				}
			}
		})
	}
	for n := range count {
		x.add(at(n))
		x.add(at(n))
		added <- n
	}
	close(added)
	looking.Wait()
	if x.count != count {
		t.Errorf("got %d hashes, want %d", x.count, count)
	}
	wrong := 0
	for n := range count {
		if !x.has(at(n)) {
			t.Errorf("address %d is missed", n)
		}
		if x.has(at(count + n)) {
			wrong++
		}
	}
	if wrong > 0 {
		t.Errorf("%d addresses too many", wrong)
	}
}
