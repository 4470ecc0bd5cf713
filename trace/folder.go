package trace

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// folder keeps records in segments, files of a folder that is made when there is
// something to keep.
type folder struct {
	dir          string
	log          *slog.Logger
	maxBytes     int64
	maxAge       time.Duration
	segmentBytes int64

	next   uint64    // number of the next segment
	sealed []segment // the oldest first
	active active
}

// active is the segment that is written to; none if file is nil.
type active struct {
	segment
	file  *os.File
	begun time.Time
}

// Bounds of a segment, in bytes of records.
const (
	minSegmentBytes = 64 << 10
	maxSegmentBytes = 16 << 20
	segmentShare    = 32 // of all that is kept
)

// A segment is sealed after this part of the age that lines are kept for, so that
// few of them are kept for much longer.
const ageShare = 8

// segmentName is the end of a segment's file name, after its number.
const segmentName = ".trace"

// openFolder opens what is kept in a folder, which need not exist. What cannot be
// read is logged and passed over.
func openFolder(dir string, maxBytes int64, maxAge time.Duration, log *slog.Logger, now time.Time) (*folder, error) {
	d := &folder{
		dir: dir, log: log, maxBytes: maxBytes, maxAge: maxAge, next: 1,
		segmentBytes: min(max(maxBytes/segmentShare, minSegmentBytes), maxSegmentBytes),
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("opening traces: %w", err)
	}
	var numbers []uint64
	for _, e := range entries {
		if n, ok := parseSegmentName(e.Name()); ok && e.Type().IsRegular() {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	for _, n := range numbers {
		d.next = n + 1
		if s, ok := d.openSealed(d.path(n), now); ok {
			d.sealed = append(d.sealed, s)
		}
	}
	d.prune(now)
	return d, d.shrink(0)
}

func (d *folder) path(number uint64) string {
	return filepath.Join(d.dir, fmt.Sprintf("%016x%s", number, segmentName))
}

// parseSegmentName returns the number of a segment.
func parseSegmentName(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, segmentName)
	n, err := strconv.ParseUint(digits, 16, 64)
	return n, ok && err == nil && len(digits) == 16 && n < 1<<63
}

// openSealed opens a segment of an earlier run. It reports false for one that
// there is no use for any more.
func (d *folder) openSealed(path string, now time.Time) (segment, bool) {
	s, torn, damaged, err := openSegment(path)
	log := d.log.With(slog.String("segment", path))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s, false
	case err != nil && s.records == 0:
		// It takes room all the same, until its turn comes.
		s.path, s.unreadable = path, true
		s.first, s.last = now.UnixNano(), now.UnixNano()
		if info, err := os.Stat(path); err == nil {
			s.size, s.first, s.last = info.Size(), info.ModTime().UnixNano(), info.ModTime().UnixNano()
		}
		log.Warn("trace passes over a segment that cannot be read", slog.Any("error", err))
		return s, true
	case err != nil:
		log.Warn("trace could not seal a segment of an earlier run: it is searched more slowly", slog.Any("error", err))
	case torn > 0 || damaged > 0:
		log.Warn("trace found a segment that was cut short, and goes on with what is whole",
			slog.Int64("records", s.records), slog.Int64("torn_bytes", torn), slog.Int64("damaged_records", damaged))
	}
	if s.records > 0 {
		return s, true
	}
	if err := os.Remove(path); err != nil {
		log.Warn("trace could not remove an empty segment", slog.Any("error", err))
	}
	return s, false
}

func (d *folder) add(records []byte, now time.Time) error {
	if err := d.shrink(int64(len(records))); err != nil {
		return err
	}
	a := &d.active
	if a.file == nil {
		if err := d.begin(now); err != nil {
			return err
		}
	}
	if _, err := a.file.WriteAt(records, a.size); err != nil {
		return fmt.Errorf("writing traces: %w", err) // the next ones go to the same place
	}
	a.cover(records, a.records)
	a.size += int64(len(records))
	a.records += int64(len(records) / recordBytes)
	if a.size >= d.segmentBytes {
		d.finish()
	}
	return nil
}

// begin begins a segment.
func (d *folder) begin(now time.Time) (err error) {
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return fmt.Errorf("writing traces: %w", err)
	}
	path := d.path(d.next)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("writing traces: %w", err)
	}
	d.next++
	header := appendHeader(nil, now)
	if _, err := f.WriteAt(header, 0); err != nil {
		return errors.Join(fmt.Errorf("writing traces: %w", err), f.Close(), os.Remove(path))
	}
	d.active = active{segment: segment{path: path, size: int64(len(header))}, file: f, begun: now}
	return nil
}

// finish seals the active segment, if there is one. One that cannot be sealed is
// kept as it is, for the next start to seal.
func (d *folder) finish() {
	a := &d.active
	if a.file == nil {
		return
	}
	all, err := surveyRecords(a.file, a.size)
	if err == nil {
		err = a.file.Truncate(a.size) // a write may have failed half-way
	}
	if err == nil {
		err = a.seal(a.file, all.keys)
	}
	if err := errors.Join(err, a.file.Close()); err != nil {
		d.log.Warn("trace could not seal a segment: it is searched more slowly", slog.Any("error", err))
	}
	d.sealed = append(d.sealed, a.segment)
	d.active = active{}
}

// shrink removes the oldest segments until there is room for more bytes of
// records.
func (d *folder) shrink(more int64) error {
	need := more + headerBytes + trailerBytes + maxFilterBytes(d.active.records+more/recordBytes)
	for len(d.sealed) > 0 && d.bytes()+need > d.maxBytes {
		if err := d.removeOldest(); err != nil {
			return err
		}
	}
	return nil
}

// removeOldest removes the oldest segment; there is one.
func (d *folder) removeOldest() error {
	if err := os.Remove(d.sealed[0].path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing traces: %w", err)
	}
	d.sealed = slices.Delete(d.sealed, 0, 1)
	return nil
}

func (d *folder) prune(now time.Time) (next time.Time) {
	if d.active.file != nil {
		if next = d.active.begun.Add(d.maxAge / ageShare); !now.Before(next) {
			d.finish()
			next = time.Time{}
		}
	}
	for len(d.sealed) > 0 {
		over := time.Unix(0, d.sealed[0].last).Add(d.maxAge)
		if now.Before(over) {
			return earlier(next, over)
		}
		if err := d.removeOldest(); err != nil {
			d.log.Warn("trace could not remove an old segment", slog.Any("error", err))
			return earlier(next, now.Add(time.Hour))
		}
	}
	return next
}

// earlier returns the earlier of two times, of which one may be zero.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

func (d *folder) chapters() []chapter {
	all := make([]chapter, 0, len(d.sealed)+1)
	for _, s := range d.sealed {
		all = append(all, s)
	}
	if d.active.file != nil {
		all = append(all, d.active.segment)
	}
	return all
}

func (d *folder) bytes() (n int64) {
	for i := range d.sealed {
		n += d.sealed[i].size
	}
	return n + d.active.size
}

func (d *folder) close() { d.finish() }
