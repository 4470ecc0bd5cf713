package courier

import (
	"crypto/rand"
	"strconv"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/wire"
)

// TestNonces checks that no nonce opens a second connection for as long as its
// time is good.
func TestNonces(t *testing.T) {
	var ns nonces
	start := time.Unix(1_700_000_000, 0)
	fresh := func(at time.Time) wire.Nonce {
		var random [8]byte
		if _, err := rand.Read(random[:]); err != nil {
			t.Fatal(err)
		}
		return wire.NewNonce(at, random)
	}
	// One each minute for two hours; each again for as long as it is good.
	type used struct {
		nonce wire.Nonce
		until time.Time
	}
	var all []used
	for minute := range 120 {
		now := start.Add(time.Duration(minute) * time.Minute)
		for i := range all {
			if !now.After(all[i].until) && ns.use(all[i].nonce, now) {
				t.Fatalf("minute %d: a nonce opens a second connection", minute)
			}
		}
		n := fresh(now.Add(nonceWindow)) // the longest time ahead
		if !ns.use(n, now) {
			t.Fatalf("minute %d: a new nonce is refused", minute)
		}
		all = append(all, used{n, now.Add(2 * nonceWindow)})
	}
	if n := len(ns.current) + len(ns.former); n > 70 {
		t.Errorf("%d nonces are remembered after two hours, want those of the last", n)
	}
	// However many come, memory is bounded.
	now := start.Add(3 * time.Hour)
	var n wire.Nonce
	const most = 1000
	for i := range 5 * most / 2 {
		n[1], n[2] = byte(i), byte(i>>8)
		ns.useWithin(n, now, most)
	}
	if c, f := len(ns.current), len(ns.former); c != most/2 || f != most {
		t.Errorf("the generations have %d and %d nonces, want %d and %d", c, f, most/2, most)
	}
}

// TestPaceBounded checks that who is remembered is, for as long as it matters,
// and that memory is bounded.
func TestPaceBounded(t *testing.T) {
	const most, bound = 60, 1000
	p := pace{bound: bound}
	start := time.Unix(1_700_000_000, 0)
	granted := 0
	for tenth := range 10 * 600 { // ten attempts a second for ten minutes
		if p.take("flood", most, start.Add(time.Duration(tenth)*100*time.Millisecond)) == 0 {
			granted++
		}
	}
	if want := most + 600 - 1; granted != want {
		t.Errorf("%d connections in ten minutes, want %d", granted, want)
	}
	now := start.Add(time.Hour)
	for i := range 2*bound + bound/2 {
		p.take(apns.DeviceID(strconv.Itoa(i)), most, now)
	}
	if c, f := len(p.current), len(p.former); c > bound || f > bound {
		t.Errorf("the generations have %d and %d devices, want at most %d", c, f, bound)
	}
	if p.take("flood", -1, now) != 0 {
		t.Error("there is a bound though none is wanted")
	}
}
