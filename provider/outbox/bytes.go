package outbox

import (
	"encoding/binary"
	"time"
)

// record reads what was stored. Once something cannot be read it is bad, and all
// that is read is zero.
type record struct {
	b   []byte // what is left
	bad bool
}

// ended reports whether all was read, and could be.
func (r *record) ended() bool { return !r.bad && len(r.b) == 0 }

// fail makes r bad.
func (r *record) fail() { r.bad, r.b = true, nil }

// version reads a recordVersion.
func (r *record) version() {
	if r.byte() != recordVersion {
		r.fail()
	}
}

// take reads n bytes, which are those of the record.
func (r *record) take(n int) (b []byte) {
	if n > len(r.b) {
		r.fail()
		return nil
	}
	b, r.b = r.b[:n:n], r.b[n:]
	return b
}

func (r *record) byte() byte {
	if b := r.take(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

// number reads an uvarint that is at most a limit.
func (r *record) number(most uint64) int {
	n, size := binary.Uvarint(r.b)
	if size <= 0 || n > most {
		r.fail()
		return 0
	}
	r.b = r.b[size:]
	return int(n) //nolint:gosec // bounded by the callers
}

func (r *record) varint() int64 {
	n, size := binary.Varint(r.b)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[size:]
	return n
}

// text reads what is behind its length. It is the record's.
func (r *record) text() []byte { return r.take(r.number(uint64(len(r.b)))) }

// time reads a time, in UTC.
func (r *record) time() time.Time {
	seconds := r.varint()
	nanoseconds := r.number(uint64(time.Second - 1))
	if r.bad {
		return time.Time{}
	}
	return time.Unix(seconds, int64(nanoseconds)).UTC()
}

func appendText[T ~string | ~[]byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendTime(b []byte, t time.Time) []byte {
	return binary.AppendUvarint(binary.AppendVarint(b, t.Unix()), uint64(t.Nanosecond())) //nolint:gosec // not negative
}

// flags returns up to eight flags as bits, the first as the lowest.
func flags(all ...bool) (b byte) {
	for n, set := range all {
		if set {
			b |= 1 << n
		}
	}
	return b
}
