package portal

import (
	"crypto/x509"
	"testing"
	"time"
)

// TestVouched checks for how long a certificate needs no second check.
func TestVouched(t *testing.T) {
	at := func(hour int) time.Time { return time.Unix(1_700_000_000, 0).Add(time.Duration(hour) * time.Hour) }
	cert := &x509.Certificate{Raw: []byte("leaf"), NotBefore: at(2), NotAfter: at(10)}
	chain := []*x509.Certificate{cert, {NotBefore: at(3), NotAfter: at(8)}, {NotBefore: at(0), NotAfter: at(20)}}
	var v vouched
	if v.known(cert, at(5)) {
		t.Error("a certificate is known that never came")
	}
	v.add(cert, nil) // nobody vouches for it
	if v.known(cert, at(5)) {
		t.Error("a certificate is known that has no chain")
	}
	v.add(cert, [][]*x509.Certificate{chain})
	for hour, want := range map[int]bool{1: false, 2: false, 3: true, 7: true, 8: false, 11: false} {
		if got := v.known(cert, at(hour)); got != want {
			t.Errorf("in hour %d: got %v, want %v", hour, got, want)
		}
	}
	if v.known(&x509.Certificate{Raw: []byte("leaf2"), NotBefore: at(2), NotAfter: at(10)}, at(5)) {
		t.Error("another certificate is taken for it")
	}
	// One that comes back stays, however many come between.
	for generation := range 3 {
		for i := range maxVouched / 2 {
			v.put([32]byte{byte(generation), 1, byte(i), byte(i >> 8), byte(i >> 16)}, period{})
		}
		if !v.known(cert, at(5)) {
			t.Errorf("generation %d: it was forgotten", generation)
		}
	}
	if n := len(v.current) + len(v.former); n > 2*maxVouched {
		t.Errorf("%d are remembered, want %d at most", n, 2*maxVouched)
	}
}
