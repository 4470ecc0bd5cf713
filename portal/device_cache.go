package portal

import (
	"crypto/sha256"
	"crypto/x509"
	"sync"
	"time"
)

// maxVouched bounds a generation of device certificates that are remembered, at
// about 60 bytes each.
const maxVouched = 1 << 18

// vouched remembers which device certificates this portal's authority has signed,
// so that a device that comes back costs no check of a signature. It remembers
// nothing that may change: not whether one is revoked, and for how long it is
// good is looked at each time. The zero value is empty.
type vouched struct {
	mu      sync.Mutex
	current map[[sha256.Size]byte]period // guarded by mu
	former  map[[sha256.Size]byte]period // guarded by mu
}

// period is when a certificate and those above it are all good, in seconds since
// the epoch.
type period struct{ from, until int64 }

// known reports whether the certificate was vouched for, and is good now.
func (v *vouched) known(cert *x509.Certificate, now time.Time) bool {
	key := sha256.Sum256(cert.Raw)
	v.mu.Lock()
	defer v.mu.Unlock()
	p, ok := v.current[key]
	if !ok {
		if p, ok = v.former[key]; !ok {
			return false
		}
		v.put(key, p)
	}
	return p.from <= now.Unix() && now.Unix() < p.until
}

// add remembers a certificate by the chains that vouch for it.
func (v *vouched) add(cert *x509.Certificate, chains [][]*x509.Certificate) {
	if len(chains) == 0 {
		return
	}
	p := period{cert.NotBefore.Unix(), cert.NotAfter.Unix()}
	for _, c := range chains[0] {
		p.from, p.until = max(p.from, c.NotBefore.Unix()), min(p.until, c.NotAfter.Unix())
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.put(sha256.Sum256(cert.Raw), p)
}

// put has the certificate in the current generation. The lock is held.
func (v *vouched) put(key [sha256.Size]byte, p period) {
	if v.current == nil || len(v.current) >= maxVouched {
		v.former, v.current = v.current, make(map[[sha256.Size]byte]period)
	}
	v.current[key] = p
}
