package door

import (
	"slices"
	"sync"
)

// Roll is the connections of a door by whose they are, so that those of one who
// must leave are found without looking at all. The zero Roll is empty. It is
// safe for concurrent use.
type Roll[Who, Conn comparable] struct {
	mu sync.Mutex
	by map[Who][]Conn // none is empty; guarded by mu
}

// Enter adds a connection.
func (r *Roll[Who, Conn]) Enter(who Who, c Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by == nil {
		r.by = make(map[Who][]Conn)
	}
	r.by[who] = append(r.by[who], c)
}

// Leave takes out a connection that was entered.
func (r *Roll[Who, Conn]) Leave(who Who, c Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.by[who]
	i := slices.Index(all, c)
	switch {
	case i < 0:
	case len(all) == 1:
		delete(r.by, who)
	default:
		last := len(all) - 1
		all[i] = all[last]
		clear(all[last:]) // nothing of it is kept
		r.by[who] = all[:last]
	}
}

// Of returns the connections of one, in any order.
func (r *Roll[Who, Conn]) Of(who Who) []Conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.by[who])
}
