package device

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/heraldpush/herald/apns"
)

// historyEntries bounds what a device remembers of what it received. A
// repetition comes with the next connection, so that few are enough.
const historyEntries = 1024

// entryBytes is the size of a historyEntry.
const entryBytes = 16

// historyEntry stands for a notification that was received: the beginning of
// the SHA-256 of device token and timestamp, which a repetition has in common
// with the original, and no other notification does
// (docs/protocol/courier.md#repetition).
type historyEntry [entryBytes]byte

// history is what was received lately. The oldest gives way to the newest.
type history struct {
	ring    []historyEntry
	next    int // in ring, once it is full: the oldest
	known   map[historyEntry]struct{}
	changed bool // since it was last written to the folder
}

func newHistory() history { return history{known: make(map[historyEntry]struct{})} }

// entryFor returns the entry of a notification; ok is false for one without
// timestamp, of which no repetition can be recognised.
func entryFor(t apns.DeviceToken, timestamp uint64) (e historyEntry, ok bool) {
	b := binary.BigEndian.AppendUint64([]byte(t), timestamp)
	sum := sha256.Sum256(b)
	return historyEntry(sum[:entryBytes]), timestamp != 0
}

func (h *history) has(e historyEntry) bool {
	_, ok := h.known[e]
	return ok
}

func (h *history) add(e historyEntry) {
	if h.has(e) {
		return
	}
	if len(h.ring) < historyEntries {
		h.ring = append(h.ring, e)
	} else {
		delete(h.known, h.ring[h.next])
		h.ring[h.next] = e
		h.next = (h.next + 1) % historyEntries
	}
	h.known[e] = struct{}{}
	h.changed = true
}

// entries returns all entries, the oldest first.
func (h *history) entries() []historyEntry {
	return append(append(make([]historyEntry, 0, len(h.ring)), h.ring[h.next:]...), h.ring[:h.next]...)
}
