package pebble

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"

	engine "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/heraldpush/herald/spool"
)

// Versions of what is on the disk.
const (
	// format is that of keys and values, which is stored under formatKey.
	format = 1
	// formatMagic is what the value there begins with; format follows, 2 bytes.
	formatMagic = "herald spool "
	// engineFormat is that of the engine's files.
	engineFormat = engine.FormatValueSeparation
	// memTables is how many tables there may be in memory before those who write
	// have to wait.
	memTables = 4
)

// lockFolder makes the folder, if it is missing, and locks it.
func lockFolder(disk vfs.FS, dir string) (*engine.Lock, error) {
	if _, err := disk.Stat(disk.PathDir(dir)); err != nil {
		return nil, explain(dir, err, nil)
	}
	names, err := disk.List(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, explain(dir, err, nil)
	}
	if foreign(names) {
		return nil, &fault{dir, ErrForeign, fmt.Errorf("%s, for one", names[0])}
	}
	if err := makeFolder(disk, dir); err != nil {
		return nil, explain(dir, err, nil)
	}
	lock, err := engine.LockDirectory(dir, disk)
	if err != nil {
		kind := ErrInUse
		if _, ok := errors.AsType[*fs.PathError](err); ok { // the file itself
			kind = nil
		}
		return nil, explain(dir, err, kind)
	}
	return lock, nil
}

// makeFolder makes a folder in one that exists, durably.
func makeFolder(disk vfs.FS, dir string) error {
	if err := disk.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	around, err := disk.OpenDir(disk.PathDir(dir))
	if err != nil {
		return err
	}
	return errors.Join(around.Sync(), around.Close())
}

// foreign reports whether a folder with these files is none of the engine's, and
// not one that it began to make.
func foreign(names []string) bool {
	for _, name := range names {
		if strings.HasPrefix(name, "marker.") {
			return false
		}
	}
	for _, name := range names {
		if name != "LOCK" && !strings.HasPrefix(name, "MANIFEST-") && !strings.HasPrefix(name, "OPTIONS-") &&
			!strings.HasSuffix(name, ".log") && !strings.HasSuffix(name, ".dbtmp") {
			return true
		}
	}
	return false
}

// dropBegun removes what is left of the making of a store that a crash cut short,
// which the engine may not be able to read: there was no log yet, so that nothing
// was stored.
func dropBegun(disk vfs.FS, dir string) error {
	names, err := disk.List(dir)
	if err != nil {
		return explain(dir, err, nil)
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".log") || strings.HasSuffix(name, ".sst") || strings.HasSuffix(name, ".blob") {
			return nil
		}
	}
	for _, name := range names {
		if !strings.HasPrefix(name, "marker.") && !strings.HasPrefix(name, "MANIFEST-") && !strings.HasPrefix(name, "OPTIONS-") {
			continue
		}
		if err := disk.Remove(disk.PathJoin(dir, name)); err != nil {
			return explain(dir, err, nil)
		}
	}
	return nil
}

// checkEngine checks that the engine can read its files.
func checkEngine(disk vfs.FS, dir string) error {
	_, err := engine.Peek(dir, disk)
	if err != nil && strings.Contains(err.Error(), "unknown format major version") { // the engine has no better name for it
		return &VersionError{Dir: dir, Known: format}
	}
	return explain(dir, err, nil)
}

// options are those of the engine.
func (s *Spool) options() *engine.Options {
	o := &engine.Options{
		FS: s.fuse, Lock: s.lock, Comparer: comparer, FormatMajorVersion: engineFormat,
		// The engine takes the room of its tables in memory from that of the cache.
		CacheSize:    s.cfg.CacheBytes + memTables*s.cfg.MemTableBytes,
		MemTableSize: uint64(s.cfg.MemTableBytes), MemTableStopWritesThreshold: memTables,
		L0CompactionThreshold: 4, L0StopWritesThreshold: 40, MaxOpenFiles: 500,
		CompactionConcurrencyRange: func() (int, int) { return 1, 2 },
		Logger:                     engineLogger{s},
		EventListener: &engine.EventListener{
			BackgroundError: s.fuse.blow,
			DataCorruption:  func(i engine.DataCorruptionInfo) { s.fuse.blow(i.Details) },
			DiskSlow: func(i engine.DiskSlowInfo) {
				s.log.Warn("spool store waits for the disk", slog.String("what", i.String()))
			},
			WriteStallBegin: func(i engine.WriteStallBeginInfo) {
				s.log.Warn("spool store is written to faster than the disk takes it", slog.String("reason", i.Reason))
			},
		},
	}
	for i := range o.Levels {
		// About one wrong answer in a hundred.
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return o
}

// begin makes sure that the database is ours, or makes it so, and reads what is
// known without asking.
func (s *Spool) begin() error {
	if err := s.checkFormat(); err != nil {
		return err
	}
	if err := s.readUsage(); err != nil {
		return err
	}
	return s.readRepeats()
}

// get calls f with the value of a key, if it has one, which is valid until f
// returns.
func (s *Spool) get(key []byte, f func([]byte) error) error {
	b, closer, err := s.db.Get(key)
	if errors.Is(err, engine.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(f(b), closer.Close())
}

func (s *Spool) checkFormat() error {
	found := false
	err := s.get(formatKey, func(b []byte) error {
		found = true
		number, ok := strings.CutPrefix(string(b), formatMagic)
		if !ok || len(number) < 2 {
			return &fault{s.dir, ErrDamaged, errors.New("its format is not said")}
		}
		if have := int(binary.BigEndian.Uint16([]byte(number))); have > format {
			return &VersionError{s.dir, have, format}
		}
		return nil
	})
	if err != nil || found {
		return err
	}
	it, err := s.db.NewIter(nil)
	if err != nil {
		return err
	}
	foreign := it.First()
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return err
	}
	if foreign {
		return &fault{s.dir, ErrDamaged, errors.New("its format is not said")}
	}
	return s.db.Set(formatKey, binary.BigEndian.AppendUint16([]byte(formatMagic), format), engine.Sync)
}

// usageBytes is how long the value of usageKey is: notifications, bytes and the
// newest timestamp, each 8 bytes, big-endian.
const usageBytes = 3 * 8

func appendUsage(b []byte, u spool.Usage) []byte {
	for _, n := range []int64{u.Notifications, u.Bytes, int64(u.Newest)} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	return b
}

func (s *Spool) readUsage() error {
	defer s.publish()
	return s.get(usageKey, func(b []byte) error {
		if len(b) != usageBytes {
			return &fault{s.dir, ErrDamaged, errors.New("its size is not said")}
		}
		s.usage = spool.Usage{
			Notifications: int64(binary.BigEndian.Uint64(b)), Bytes: int64(binary.BigEndian.Uint64(b[8:])),
			Newest: spool.Timestamp(binary.BigEndian.Uint64(b[16:])),
		}
		return nil
	})
}

// readRepeats reads the repeat keys, the oldest first.
func (s *Spool) readRepeats() error {
	it, err := s.db.NewIter(&engine.IterOptions{LowerBound: []byte{repeatsKind}, UpperBound: []byte{repeatsKind + 1}})
	if err != nil {
		return err
	}
	for valid := it.First(); valid; valid = it.Next() {
		key := it.Key()
		if len(key) != 1+8 {
			return errors.Join(errRepeats, it.Close())
		}
		number := binary.BigEndian.Uint64(key[1:])
		s.nextRepeats = number + 1
		if err := eachRepeat(it.Value(), func(x repeat) { s.repeats.add(x, number) }); err != nil {
			return errors.Join(err, it.Close())
		}
	}
	return errors.Join(it.Error(), it.Close())
}

// engineLogger hears what the engine says. What it calls fatal blows the fuse, and
// does not end the process.
type engineLogger struct{ s *Spool }

// Infof implements engine.Logger: it is chatter.
func (engineLogger) Infof(string, ...any) {}

// Errorf implements engine.Logger.
func (l engineLogger) Errorf(format string, args ...any) {
	l.s.log.Warn("spool store's engine complains", slog.String("what", fmt.Sprintf(format, args...)))
}

// Fatalf implements engine.Logger.
func (l engineLogger) Fatalf(format string, args ...any) {
	l.s.fuse.blow(fmt.Errorf(format, args...))
}
