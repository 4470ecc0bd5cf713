package device

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/heraldpush/herald/apns"
)

// A courier repeats what it has no receipt for, with the device's next
// connection and for as long as it stores anything: 30 days
// (docs/protocol/provider.md#storage). What it has no receipt for is what was
// on the way when a connection ended, some ten notifications; or, if the
// courier itself was killed, the receipts that it had not written down yet, some
// seconds of them. The bounds leave room for four seconds at 2,000 a second, and
// for clocks that differ by a day.
const (
	historyEntries = 8192
	historyAge     = 31 * 24 * time.Hour
)

// entryBytes is the size of a historyEntry.
const entryBytes = 16

// historyEntry stands for a notification that was received: the beginning of
// the SHA-256 of device token and timestamp, which a repetition has in common
// with the original, and no other notification does
// (docs/protocol/courier.md#repetition). The zero value stands for none.
type historyEntry [entryBytes]byte

// remembered is a historyEntry and when it was received.
type remembered struct {
	entry historyEntry
	at    uint32 // seconds since the epoch
}

// history is what was received lately. The oldest gives way to the newest.
type history struct {
	ring  []remembered
	next  int                  // in ring, once it is full: the oldest
	known map[historyEntry]int // where in ring
}

func newHistory() history { return history{known: make(map[historyEntry]int)} }

// entryFor returns the entry of a notification; ok is false for one without
// timestamp, of which no repetition can be recognised.
func entryFor(t apns.DeviceToken, timestamp uint64) (e historyEntry, ok bool) {
	if timestamp == 0 {
		return historyEntry{}, false
	}
	b := binary.BigEndian.AppendUint64([]byte(t), timestamp)
	sum := sha256.Sum256(b)
	return historyEntry(sum[:entryBytes]), true
}

// tooOld reports whether what was received at that time need not be known.
func tooOld(at uint32, now time.Time) bool { return now.Sub(time.Unix(int64(at), 0)) > historyAge }

func (h *history) has(e historyEntry, now time.Time) bool {
	i, ok := h.known[e]
	return ok && !tooOld(h.ring[i].at, now)
}

// add remembers e as of a time; the zero entry is none.
func (h *history) add(e historyEntry, at time.Time) {
	if (e == historyEntry{}) {
		return
	}
	r := remembered{e, uint32(max(0, at.Unix()))} //nolint:gosec // good until 2106
	if i, ok := h.known[e]; ok {
		h.ring[i].at = r.at
		return
	}
	if len(h.ring) < historyEntries {
		h.known[e] = len(h.ring)
		h.ring = append(h.ring, r)
		return
	}
	delete(h.known, h.ring[h.next].entry)
	h.known[e], h.ring[h.next] = h.next, r
	h.next = (h.next + 1) % historyEntries
}

// entries returns all that is not too old, the oldest first.
func (h *history) entries(now time.Time) []remembered {
	all := make([]remembered, 0, len(h.ring))
	for i := range h.ring {
		if r := h.ring[(h.next+i)%len(h.ring)]; !tooOld(r.at, now) {
			all = append(all, r)
		}
	}
	return all
}
