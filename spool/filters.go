package spool

import (
	"crypto/sha256"
	"encoding/binary"
	"runtime"
	"sync"
	"weak"

	"github.com/heraldpush/herald/apns"
)

// filters has the filters of attached devices, each once: most devices of a kind
// have the same apps. It does not keep one that no device has any more. The zero
// filters is empty.
type filters struct {
	mu sync.Mutex
	by map[filterKey]weak.Pointer[lists] // guarded by mu
}

// filterKey stands for what a filter says.
type filterKey [sha256.Size]byte

func (f *Filter) key() filterKey {
	h := sha256.New()
	for _, list := range [...][]apns.TopicHash{f.Enabled, f.Opportunistic, f.NonWaking, f.Paused, f.Ignored} {
		var length [4]byte
		binary.BigEndian.PutUint32(length[:], uint32(len(list))) //nolint:gosec // MaxFilterTopics fits
		_, _ = h.Write(length[:])                                // it never fails
		for i := range list {
			_, _ = h.Write(list[i][:])
		}
	}
	return filterKey(h.Sum(nil))
}

// share returns the lists of a filter, which are read-only.
func (fs *filters) share(f *Filter) *lists {
	key := f.key()
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if l := fs.by[key].Value(); l != nil {
		return l
	}
	l := new(lists)
	*l = newLists(f)
	if fs.by == nil {
		fs.by = make(map[filterKey]weak.Pointer[lists])
	}
	fs.by[key] = weak.Make(l)
	runtime.AddCleanup(l, fs.forget, key)
	return l
}

// forget is called when no device has a filter any more.
func (fs *filters) forget(key filterKey) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.by[key].Value() == nil { // it may have come back
		delete(fs.by, key)
	}
}
