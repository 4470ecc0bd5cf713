package h2

import "strings"

// dynamicTable is the dynamic table of a decoder (RFC 7541, 2.3.2): a ring of
// entries, and the bytes of their values in the same order.
type dynamicTable struct {
	entries []tableEntry // a ring, whose length is a power of two
	oldest  int
	count   int
	size    int // as RFC 7541, 4.1 counts
	max     int

	values []byte // from that of the oldest entry, or earlier, to that of the newest
	base   uint64 // position of values[0] among all values ever added
}

// tableEntry is an entry of a dynamic table.
type tableEntry struct {
	name   string // may be kept
	at     uint64 // position of the value
	length int    // of the value
	kind   fieldKind
	valid  bool  // whether the value has only characters that are allowed
	minded bool  // whether the value is one to be remembered
	memo   *Memo // of the value, or nil
}

func (e *tableEntry) size() int { return len(e.name) + e.length + entryOverhead }

// entry returns the entry that is the i-th newest, from 0, or nil.
func (t *dynamicTable) entry(i uint64) *tableEntry {
	if i >= uint64(t.count) {
		return nil
	}
	return &t.entries[(t.oldest+t.count-1-int(i))&(len(t.entries)-1)]
}

// value returns the value of e, until the next entry is added.
func (t *dynamicTable) value(e *tableEntry) []byte {
	at := e.at - t.base
	return t.values[at : at+uint64(e.length)]
}

// resize changes the largest size of the table.
func (t *dynamicTable) resize(n int) {
	t.max = n
	t.evict(0)
}

// evict takes out the oldest entries until there is room for n more bytes, or
// none is left (RFC 7541, 4.3 and 4.4).
func (t *dynamicTable) evict(n int) {
	for t.count > 0 && t.size+n > t.max {
		e := &t.entries[t.oldest]
		t.size -= e.size()
		*e = tableEntry{}
		t.oldest = (t.oldest + 1) & (len(t.entries) - 1)
		t.count--
	}
	if t.count == 0 {
		t.base += uint64(len(t.values))
		t.values = t.values[:0]
	}
}

// add adds f as the newest entry. One that is larger than the table empties it.
func (t *dynamicTable) add(f *decodedField, minded bool) {
	n := int(f.size())
	t.evict(n)
	if n > t.max {
		return
	}
	if t.count == len(t.entries) {
		t.growEntries()
	}
	t.makeRoom(len(f.value))
	t.entries[(t.oldest+t.count)&(len(t.entries)-1)] = tableEntry{
		name: f.name, at: t.base + uint64(len(t.values)), length: len(f.value),
		kind: f.kind, valid: f.valid, minded: minded, memo: f.memo,
	}
	t.values = append(t.values, f.value...)
	t.count++
	t.size += n
}

// growEntries makes the ring twice as long. As an entry counts at least 32
// bytes, it does not get longer than 128.
func (t *dynamicTable) growEntries() {
	entries := make([]tableEntry, max(8, 2*len(t.entries)))
	for i := range t.count {
		entries[i] = t.entries[(t.oldest+i)&(len(t.entries)-1)]
	}
	t.entries, t.oldest = entries, 0
}

// makeRoom sees to it that n bytes can be appended to values, by dropping what
// was evicted. The room is twice what is in use, so that this is seldom.
func (t *dynamicTable) makeRoom(n int) {
	if len(t.values)+n <= cap(t.values) {
		return
	}
	live := t.values[len(t.values):]
	if t.count > 0 {
		live = t.values[t.entries[t.oldest].at-t.base:]
	}
	dropped := len(t.values) - len(live)
	into := t.values[:cap(t.values)]
	if room := 2 * (len(live) + n); room > len(into) {
		into = make([]byte, min(max(room, 256), 2*headerTableBytes))
	}
	t.values = into[:copy(into, live)]
	t.base += uint64(dropped)
}

const (
	// cachedNames is how many names a connection keeps. A provider uses seven.
	cachedNames = 32
	// maxCachedNameBytes is the longest name that is kept.
	maxCachedNameBytes = 64
)

// nameCache keeps the names that came as literals, so that a name is copied
// once and not each time.
type nameCache struct {
	names []cachedName
	next  int // the one to be forgotten next, once there are cachedNames
}

type cachedName struct {
	name string
	kind fieldKind
}

// intern returns the name b as a string that may be kept, and its kind.
func (c *nameCache) intern(b []byte) (string, fieldKind) {
	for i := range c.names {
		if n := &c.names[i]; n.name == string(b) {
			return n.name, n.kind
		}
	}
	name := strings.Clone(textOf(b))
	n := cachedName{name, kindOf(name)}
	switch {
	case len(name) > maxCachedNameBytes:
	case len(c.names) < cachedNames:
		c.names = append(c.names, n)
	default:
		c.names[c.next] = n
		c.next = (c.next + 1) % cachedNames
	}
	return n.name, n.kind
}
