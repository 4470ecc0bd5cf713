package registry

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/heraldpush/herald/apns"
)

// exceptional knows the addresses at which anything may be out of the ordinary,
// so that the store need not be asked about all others. It has no more of them
// than a hash: it may name one too many, but misses none. None is ever taken out.
type exceptional struct {
	seed maphash.Seed

	// table has open addressing, and is at most half full. It is read without a
	// lock; a fuller one is replaced.
	table atomic.Pointer[[]atomic.Uint64]

	mu    sync.Mutex // held to add
	count int        // guarded by mu
}

// open puts in those that the store has, and tells seen of each.
func (x *exceptional) open(ctx context.Context, s Store, seen func(apns.Address)) error {
	x.seed = maphash.MakeSeed()
	return s.EachException(ctx, func(a apns.Address) error { x.add(a); seen(a); return nil })
}

// hash returns the hash of an address, which is not zero.
func (x *exceptional) hash(a apns.Address) uint64 { return maphash.Comparable(x.seed, a) | 1 }

// has reports whether there may be something at an address.
func (x *exceptional) has(a apns.Address) bool {
	table := x.table.Load()
	return table != nil && find(*table, x.hash(a)).Load() != 0
}

// add adds an address.
func (x *exceptional) add(a apns.Address) {
	x.mu.Lock()
	defer x.mu.Unlock()
	var table []atomic.Uint64
	if known := x.table.Load(); known != nil {
		table = *known
	}
	if 2*(x.count+1) > len(table) {
		larger := make([]atomic.Uint64, max(64, 2*len(table)))
		for i := range table {
			if h := table[i].Load(); h != 0 {
				find(larger, h).Store(h)
			}
		}
		table = larger
		defer x.table.Store(&larger)
	}
	h := x.hash(a)
	if place := find(table, h); place.Load() == 0 {
		place.Store(h)
		x.count++
	}
}

// find returns the place of a hash, which is zero if it is not there.
func find(table []atomic.Uint64, h uint64) *atomic.Uint64 {
	mask := uint64(len(table) - 1)
	for i := h >> 1 & mask; ; i = (i + 1) & mask {
		if known := table[i].Load(); known == 0 || known == h {
			return &table[i]
		}
	}
}
