package trace

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"time"
)

// The header of a segment:
//
//	 0  8 bytes  "HERALDtr"
//	 8  u16      version, 1
//	10  u16      size of a record, 96
//	16  i64      when it was begun, nanoseconds since the epoch, UTC
//	60  u32      CRC-32C of all before
//
// Its trailer, the last bytes of the file:
//
//	 0  8 bytes  "HERALDte"
//	 8  u16      version, 1
//	10  u16      size of a record, 96
//	12  u32      blocks of the filter
//	16  u64      records
//	24  i64      time of the earliest record
//	32  i64      time of the latest record
//	60  u32      CRC-32C of all before
const (
	headerBytes   = 64
	trailerBytes  = 64
	headerMagic   = "HERALDtr"
	trailerMagic  = "HERALDte"
	formatVersion = 1
)

// segment is a file of records, as it was when it was looked at.
type segment struct {
	span
	path    string
	size    int64 // of the file
	records int64
	blocks  int // of its filter; 0 if it has none, as before it is sealed
	// unreadable reports that nothing in it can be read.
	unreadable bool
}

// errHeader says that a file does not begin as a segment.
var errHeader = errors.New("the header is not one of a trace segment, or is damaged")

func appendSealed(b []byte, magic string, size int, fill func(b []byte)) []byte {
	from := len(b)
	b = append(b, make([]byte, size)...)
	h := b[from:]
	copy(h, magic)
	binary.LittleEndian.PutUint16(h[8:], formatVersion)
	binary.LittleEndian.PutUint16(h[10:], recordBytes)
	fill(h)
	binary.LittleEndian.PutUint32(h[size-4:], crc32.Checksum(h[:size-4], castagnoli))
	return b
}

// isSealed reports whether b is a header or trailer of this version.
func isSealed(b []byte, magic string) bool {
	end := len(b) - 4
	le := binary.LittleEndian
	return string(b[:8]) == magic && le.Uint16(b[8:]) == formatVersion && le.Uint16(b[10:]) == recordBytes &&
		le.Uint32(b[end:]) == crc32.Checksum(b[:end], castagnoli)
}

func appendHeader(b []byte, begun time.Time) []byte {
	return appendSealed(b, headerMagic, headerBytes, func(h []byte) {
		binary.LittleEndian.PutUint64(h[16:], uint64(begun.UnixNano())) //nolint:gosec // read back the same way
	})
}

func (s *segment) appendTrailer(b []byte) []byte {
	return appendSealed(b, trailerMagic, trailerBytes, func(t []byte) {
		le := binary.LittleEndian
		le.PutUint32(t[12:], uint32(s.blocks))  //nolint:gosec // a segment is bounded
		le.PutUint64(t[16:], uint64(s.records)) //nolint:gosec // it is not negative
		le.PutUint64(t[24:], uint64(s.first))   //nolint:gosec // read back the same way
		le.PutUint64(t[32:], uint64(s.last))    //nolint:gosec // read back the same way
	})
}

// openSegment looks at a file. It reports in mended what had to be cut off, in
// bytes, and how many damaged records there are besides, if the segment was not
// sealed; it is then. A segment without any whole record has no records.
//
// The error is errHeader, or of the file.
func openSegment(path string) (s segment, torn, damaged int64, err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return s, 0, 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return s, 0, 0, err
	}
	s = segment{path: path, size: info.Size()}
	if err := s.checkHeader(f); err != nil {
		return s, 0, 0, err
	}
	if ok, err := s.readTrailer(f); ok || err != nil {
		return s, 0, 0, err
	}
	all, err := surveyRecords(f, s.size)
	if err != nil {
		return s, 0, 0, err
	}
	end := headerBytes + all.records*recordBytes
	torn = s.size - end
	s.span, s.records, s.size = all.span, all.records, end
	if s.records == 0 {
		return s, torn, 0, nil
	}
	if err := f.Truncate(end); err != nil {
		return s, torn, all.damaged, err
	}
	return s, torn, all.damaged, s.seal(f, all.keys)
}

func (s *segment) checkHeader(f io.ReaderAt) error {
	var h [headerBytes]byte
	if _, err := f.ReadAt(h[:], 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if !isSealed(h[:], headerMagic) {
		return errHeader
	}
	return nil
}

// readTrailer reads the trailer, and reports whether there is one that fits the
// file.
func (s *segment) readTrailer(f io.ReaderAt) (bool, error) {
	if s.size < headerBytes+trailerBytes {
		return false, nil
	}
	var t [trailerBytes]byte
	if _, err := f.ReadAt(t[:], s.size-trailerBytes); err != nil {
		return false, err
	}
	if !isSealed(t[:], trailerMagic) {
		return false, nil
	}
	le := binary.LittleEndian
	blocks, records := int64(le.Uint32(t[12:])), int64(le.Uint64(t[16:])) //nolint:gosec // checked below
	most := s.size / recordBytes
	if blocks == 0 || records <= 0 || records > most || s.size != headerBytes+records*recordBytes+blocks*blockBytes+trailerBytes {
		return false, nil
	}
	s.blocks, s.records = int(blocks), records
	s.first, s.last = int64(le.Uint64(t[24:])), int64(le.Uint64(t[32:])) //nolint:gosec // as they were written
	return true, nil
}

// survey is what records there are.
type survey struct {
	span
	records int64 // up to the last whole one
	damaged int64 // before that
	keys    []key
}

// readBytes is how much is read at a time.
const readBytes = 682 * recordBytes

// surveyRecords reads the records of a file of a size.
func surveyRecords(f io.ReaderAt, size int64) (v survey, err error) {
	var place, whole int64
	err = eachRecords(context.Background(), f, headerBytes, size, func(records []byte) error {
		for r := records; len(r) >= recordBytes; r = r[recordBytes:] {
			place++
			if !isWhole(r) {
				continue
			}
			v.cover(r[:recordBytes], whole)
			v.keys = keysOf(v.keys, r)
			whole++
			v.records = place
		}
		return nil
	})
	v.damaged = v.records - whole
	return v, err
}

// eachRecords calls fn with the whole records of a file between two places.
func eachRecords(ctx context.Context, f io.ReaderAt, from, to int64, fn func(records []byte) error) error {
	buf := make([]byte, min(readBytes, max(0, to-from)))
	for to-from >= recordBytes {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := f.ReadAt(buf[:min(int64(len(buf)), to-from)], from)
		whole := n - n%recordBytes
		if whole > 0 {
			if err := fn(buf[:whole]); err != nil {
				return err
			}
			from += int64(whole)
		}
		switch {
		case whole > 0:
		case errors.Is(err, io.EOF): // it is shorter by now
			return nil
		case err != nil:
			return err
		}
	}
	return nil
}

// seal writes filter and trailer after the records.
func (s *segment) seal(f io.WriterAt, keys []key) error {
	b := newFilter(keys)
	sealed := *s
	sealed.blocks = len(b) / blockBytes
	b = sealed.appendTrailer(b)
	if _, err := f.WriteAt(b, s.size); err != nil {
		return fmt.Errorf("sealing trace segment: %w", err)
	}
	sealed.size += int64(len(b))
	*s = sealed
	return nil
}

func (s segment) times() (first, last int64) { return s.first, s.last }

// open opens the file to read it; nil if it is gone.
func (s *segment) open() (*os.File, error) {
	f, err := os.Open(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // pruned meanwhile
	}
	return f, err
}

func (s segment) mayHave(keys []key) (_ bool, err error) {
	if s.unreadable || s.blocks == 0 {
		return !s.unreadable, nil
	}
	f, err := s.open()
	if f == nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var block [blockBytes]byte
	for _, k := range keys {
		if _, err := f.ReadAt(block[:], headerBytes+s.records*recordBytes+int64(k.block(s.blocks))*blockBytes); err != nil {
			return false, err
		}
		if k.mayBeIn(block[:]) {
			return true, nil
		}
	}
	return false, nil
}

func (s segment) each(ctx context.Context, fn func(records []byte) error) (err error) {
	f, err := s.open()
	if f == nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return eachRecords(ctx, f, headerBytes, headerBytes+s.records*recordBytes, fn)
}
