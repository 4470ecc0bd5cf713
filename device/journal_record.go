package device

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/heraldpush/herald/wire"
)

// A journal begins with journalMagic; then come records:
//
//	0  u32      size of the body
//	4  u32      CRC-32C of the body
//	8  u8       kind, the first byte of the body
//	9           the rest of it
//
//	received    u64 sequence number, i64 time of receipt in nanoseconds since
//	            the epoch, 16 bytes historyEntry, Notification frame
//	handled     u64 sequence number, u8 what was done about it
//	remembered  u32 time of receipt in seconds since the epoch, 16 bytes
//	            historyEntry
//	synced      8 bytes syncedMagic, u64 size of the journal that was on the
//	            disk when this was written
//
// A crash tears off the end, from the first byte that was not on the disk. The
// records of kind synced tell that from damage.
const (
	journalMagic = "HRLDRCV1"
	syncedMagic  = "\xf1synced\x0a"
)

// The kinds of records.
const (
	recordReceived byte = 1 + iota
	recordHandled
	recordRemembered
	recordSynced
)

// handling is what was done about a notification that was received, in bits.
type handling byte

const (
	shown  handling = 1 << iota // it was on the screen, as far as it is to be
	handed                      // its app has it, or is not to get it; the end of it
)

const (
	recordHeaderBytes = 8
	receivedBytes     = 1 + 8 + 8 + entryBytes // of the body, before the frame
	handledBytes      = 1 + 8 + 1
	rememberedBytes   = 1 + 4 + entryBytes
	syncedBytes       = 1 + 8 + 8
	maxRecordBytes    = receivedBytes + wire.HeaderBytes + wire.MaxPayloadBytes
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// beginRecord makes room for a header; endRecord fills it in.
func beginRecord(b []byte, kind byte) (_ []byte, start int) {
	start = len(b)
	return append(b, 0, 0, 0, 0, 0, 0, 0, 0, kind), start
}

func endRecord(b []byte, start int) []byte {
	body := b[start+recordHeaderBytes:]
	binary.BigEndian.PutUint32(b[start:], uint32(len(body))) //nolint:gosec // of maxRecordBytes at most
	binary.BigEndian.PutUint32(b[start+4:], crc32.Checksum(body, castagnoli))
	return b
}

// unhanded is a notification that was received and is not known to be handed
// to its app.
type unhanded struct {
	sequence uint64
	at       time.Time
	entry    historyEntry // zero if there is none
	frame    []byte       // a Notification
	done     handling
	// waits tells that nobody is about to hand it: its app has not registered
	// since the process began.
	waits bool
	// earlier tells that it was received by an earlier process, which may have
	// handed it.
	earlier bool
}

func (u *unhanded) append(b []byte) []byte {
	b, start := beginRecord(b, recordReceived)
	b = binary.BigEndian.AppendUint64(b, u.sequence)
	b = binary.BigEndian.AppendUint64(b, uint64(u.at.UnixNano())) //nolint:gosec // and back
	b = append(b, u.entry[:]...)
	return endRecord(append(b, u.frame...), start)
}

func appendHandled(b []byte, sequence uint64, done handling) []byte {
	b, start := beginRecord(b, recordHandled)
	b = binary.BigEndian.AppendUint64(b, sequence)
	return endRecord(append(b, byte(done)), start)
}

func (r remembered) append(b []byte) []byte {
	b, start := beginRecord(b, recordRemembered)
	b = binary.BigEndian.AppendUint32(b, r.at)
	return endRecord(append(b, r.entry[:]...), start)
}

func appendSynced(b []byte, size int64) []byte {
	b, start := beginRecord(b, recordSynced)
	b = append(b, syncedMagic...)
	return endRecord(binary.BigEndian.AppendUint64(b, uint64(size)), start) //nolint:gosec // sizes are positive
}

// nextRecord returns the body of the first record in b and its size with the
// header; ok is false if there is no whole, sound record.
func nextRecord(b []byte) (body []byte, size int, ok bool) {
	if len(b) < recordHeaderBytes+1 {
		return nil, 0, false
	}
	n := binary.BigEndian.Uint32(b)
	if n == 0 || n > maxRecordBytes || int(n) > len(b)-recordHeaderBytes {
		return nil, 0, false
	}
	body = b[recordHeaderBytes:][:n]
	return body, recordHeaderBytes + int(n), crc32.Checksum(body, castagnoli) == binary.BigEndian.Uint32(b[4:])
}

// contents is what a journal says.
type contents struct {
	history  []remembered // the oldest first
	unhanded []*unhanded  // by sequence number
	last     uint64       // sequence number
}

// errDamaged says that a journal is wrong where it was on the disk already.
var errDamaged = errors.New("damaged")

// parseJournal reads a journal whose end may be torn off. The error wraps
// errDamaged. What it returns may be in the memory of data.
func parseJournal(data []byte) (c contents, err error) {
	if len(data) < len(journalMagic) && bytes.HasPrefix([]byte(journalMagic), data) {
		return contents{}, nil
	}
	if !bytes.HasPrefix(data, []byte(journalMagic)) {
		return contents{}, fmt.Errorf("%w: it does not begin as a journal", errDamaged)
	}
	open := make(map[uint64]*unhanded)
	at := len(journalMagic)
	for at < len(data) {
		body, size, ok := nextRecord(data[at:])
		if !ok {
			if synced := syncedAfter(data[at:]); synced > uint64(at) { //nolint:gosec // sizes are positive
				return contents{}, fmt.Errorf("%w: what is at byte %d was whole when byte %d was written", errDamaged, at, synced)
			}
			break
		}
		if err := c.take(body, open); err != nil {
			return contents{}, fmt.Errorf("%w: byte %d: %w", errDamaged, at, err)
		}
		at += size
	}
	kept := c.unhanded[:0]
	for _, u := range c.unhanded {
		if u.done&handed == 0 {
			kept = append(kept, u)
		}
	}
	clear(c.unhanded[len(kept):])
	c.unhanded = kept
	return c, nil
}

// take reads the body of a record.
func (c *contents) take(body []byte, open map[uint64]*unhanded) error {
	switch kind := body[0]; {
	case kind == recordReceived && len(body) > receivedBytes:
		u := &unhanded{
			sequence: binary.BigEndian.Uint64(body[1:]),
			at:       time.Unix(0, int64(binary.BigEndian.Uint64(body[9:]))), //nolint:gosec // as it was written
			entry:    historyEntry(body[17:]),
			frame:    body[receivedBytes:],
			waits:    true,
			earlier:  true,
		}
		if u.sequence <= c.last {
			return fmt.Errorf("sequence number %d after %d", u.sequence, c.last)
		}
		if _, err := u.notification(); err != nil {
			return err
		}
		c.last, open[u.sequence] = u.sequence, u
		c.unhanded = append(c.unhanded, u)
		if (u.entry != historyEntry{}) {
			c.history = append(c.history, remembered{u.entry, uint32(max(0, u.at.Unix()))}) //nolint:gosec // good until 2106
		}
	case kind == recordHandled && len(body) == handledBytes:
		if u := open[binary.BigEndian.Uint64(body[1:])]; u != nil {
			u.done |= handling(body[9])
		}
	case kind == recordRemembered && len(body) == rememberedBytes:
		c.history = append(c.history, remembered{historyEntry(body[5:]), binary.BigEndian.Uint32(body[1:])})
	case kind == recordSynced && len(body) == syncedBytes:
	default:
		return fmt.Errorf("a record of kind %d and %d bytes", kind, len(body))
	}
	return nil
}

// notification reads the frame.
func (u *unhanded) notification() (wire.Notification, error) {
	f, n, err := wire.NextFrame(u.frame, wire.MaxPayloadBytes)
	switch {
	case err != nil:
		return wire.Notification{}, err
	case f.Command != wire.CommandNotification || n != len(u.frame):
		return wire.Notification{}, errors.New("not one notification")
	}
	return wire.ParseNotification(f.Payload)
}

// syncedAfter returns the largest size that a whole record of kind synced in b
// names, zero if there is none.
func syncedAfter(b []byte) (size uint64) {
	mark := append([]byte{recordSynced}, syncedMagic...)
	for {
		i := bytes.Index(b, mark)
		if i < 0 {
			return size
		}
		if i >= recordHeaderBytes {
			if body, _, ok := nextRecord(b[i-recordHeaderBytes:]); ok && len(body) == syncedBytes {
				size = max(size, binary.BigEndian.Uint64(body[9:]))
			}
		}
		b = b[i+1:]
	}
}
