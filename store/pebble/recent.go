package pebble

// recent knows what is stored, or that nothing is, under the keys that were asked
// for last, so that they need not be looked for: those of maxRecent to twice as
// many, at about 100 bytes each.
type recent struct{ newer, older map[notificationKey]version }

// maxRecent is no less than the records of a batch, so that what a batch changes is
// known until it is carried out.
const maxRecent = 4 * maxBatchRecords

func newRecent() recent {
	return recent{newer: map[notificationKey]version{}}
}

// get returns what is stored under a key, if that is known.
func (r *recent) get(k notificationKey) (version, bool) {
	if v, ok := r.newer[k]; ok {
		return v, true
	}
	v, ok := r.older[k]
	return v, ok
}

// set notes what is stored under a key.
func (r *recent) set(k notificationKey, v version) {
	if len(r.newer) >= maxRecent {
		older := r.older
		if older == nil {
			older = map[notificationKey]version{}
		}
		clear(older)
		r.newer, r.older = older, r.newer
	}
	r.newer[k] = v
}
