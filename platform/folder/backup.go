package folder

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/heraldpush/herald/internal/envelope"
	"github.com/heraldpush/herald/store/pebble"
)

// copiedFile is the copy of the database while a backup is made.
const copiedFile = databaseFile + ".copy"

// A provider's backup is
//
//	line        what it is, JSON
//	4 bytes     length of the master key's file, and that
//	            the outbox, as pebble.OutboxCopy writes it
//	8 bytes     length of the database, and that
//
// with numbers big-endian. Whether it is whole is for what it is encrypted with.
const (
	backupTitle  = "provider backup"
	backupFormat = 1
	maxKeyFile   = 1 << 10 // bytes
)

// backupHeader is the first line of a backup.
type backupHeader struct {
	Herald string          `json:"herald"` // backupTitle
	Format int             `json:"format"`
	Time   time.Time       `json:"time"`
	Folder int             `json:"folder"` // Format of the folder
	Kept   json.RawMessage `json:"kept,omitempty"`
}

// BackupError says that what is to be restored is no whole backup.
type BackupError struct{ Err error }

// Error says why.
func (e *BackupError) Error() string {
	return "this is no whole backup of a provider: " + e.Err.Error()
}

// Unwrap returns what it comes from.
func (e *BackupError) Unwrap() error { return e.Err }

// Backup is what a provider's folder holds, copied. One at a time can be made of a
// folder.
type Backup struct {
	header backupHeader
	key    []byte
	outbox *pebble.OutboxCopy
	file   *os.File // the copy of the database
	remove func() error
}

// Backup copies what a provider's folder holds, beside whoever runs on it: the outbox
// first, and then the database. A message that ends is in the database before it
// leaves the outbox, so that it is in one of the copies at least. Whoever calls it
// closes it, before the outbox.
func (f *Folder) Backup(ctx context.Context, box *pebble.Outbox) (_ *Backup, err error) {
	b := &Backup{
		header: backupHeader{Herald: backupTitle, Format: backupFormat, Time: time.Now().UTC(), Folder: f.mark.Format, Kept: f.mark.Kept},
		remove: func() error { return f.remove(copiedFile) },
	}
	if b.key, err = f.readKey(); err != nil {
		return nil, f.Explain(err)
	}
	if b.outbox, err = box.Copy(); err != nil {
		return nil, f.Explain(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(f.Explain(err), b.outbox.Close())
		}
	}()
	if err := f.remove(copiedFile); err != nil { // of a process that was killed
		return nil, err
	}
	if err := f.database.Copy(ctx, f.Path(copiedFile)); err != nil {
		return nil, err
	}
	if b.file, err = os.Open(f.Path(copiedFile)); err != nil {
		return nil, errors.Join(err, b.remove())
	}
	return b, nil
}

// Close ends the backup, and gives back its room.
func (b *Backup) Close() error { return errors.Join(b.outbox.Close(), b.file.Close(), b.remove()) }

// Write writes the backup to w. The master key is in it, readable: whoever calls must
// encrypt what is written.
func (b *Backup) Write(ctx context.Context, w io.Writer) error {
	header, err := json.Marshal(b.header)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	head := binary.BigEndian.AppendUint32(append(header, '\n'), uint32(len(b.key)))
	if _, err := w.Write(append(head, b.key...)); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if err := b.outbox.Write(ctx, w); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	info, err := b.file.Stat()
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if _, err := w.Write(binary.BigEndian.AppendUint64(nil, uint64(info.Size()))); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if _, err := io.Copy(w, b.file); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}

// readKey returns the file of the master key, be it in the folder or a service
// manager's.
func (f *Folder) readKey() ([]byte, error) {
	path, err := credential()
	if err != nil {
		return nil, err
	}
	if path == "" {
		path = f.Path(keyFile)
	}
	return readSmall(path)
}

// Restore makes a provider's folder of a backup, as Create makes one that is empty:
// it is there when Finish is called, and Close before takes it back. The errors are
// those of Create, and a *BackupError for what is no backup.
func Restore(ctx context.Context, dir string, r io.Reader, log *slog.Logger) (*Folder, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	header, err := readHeader(in)
	if err != nil {
		return nil, err
	}
	return createWith(ctx, dir, MadeByProvider, envelope.LoadKeyFile, func(f *Folder) error { //nolint:contextcheck // the outbox is closed again
		if header.Folder > Format {
			return f.refuse(nil, "use the version of herald that wrote it, or a later one.",
				"the backup is of a later version of herald (format %d, this one has %d)", header.Folder, Format)
		}
		f.mark.Kept = header.Kept
		return f.unpack(in, log)
	})
}

// maxHeader bounds the first line of a backup, in bytes.
const maxHeader = 1 << 20

func readHeader(r *bufio.Reader) (h backupHeader, err error) {
	var line []byte
	for more := true; more; {
		var part []byte
		part, err = r.ReadSlice('\n')
		line = append(line, part...)
		more = errors.Is(err, bufio.ErrBufferFull) && len(line) < maxHeader
	}
	if err == nil {
		err = json.Unmarshal(line, &h)
	}
	switch {
	case err != nil:
		return h, &BackupError{err}
	case h.Herald != backupTitle:
		return h, &BackupError{errors.New("it says that it is something else")}
	case h.Format != backupFormat:
		return h, &BackupError{fmt.Errorf("it is of format %d, this version reads %d", h.Format, backupFormat)}
	}
	return h, nil
}

// unpack puts the files of a backup into a folder that is being made.
func (f *Folder) unpack(r *bufio.Reader, log *slog.Logger) error {
	var size [8]byte
	if _, err := io.ReadFull(r, size[:4]); err != nil {
		return &BackupError{err}
	}
	n := binary.BigEndian.Uint32(size[:4])
	if n > maxKeyFile {
		return &BackupError{fmt.Errorf("a master key of %d bytes", n)}
	}
	key := make([]byte, n)
	defer clear(key)
	if _, err := io.ReadFull(r, key); err != nil {
		return &BackupError{err}
	}
	// A service manager's key has to be the same, as the secrets say when they are
	// opened; what is in the folder is not looked at then.
	if err := f.write(keyFile, key, privateMode); err != nil {
		return err
	}
	if err := f.makes(outboxDir); err != nil {
		return err
	}
	if err := pebble.RestoreOutbox(f.Path(outboxDir), pebble.Config{Logger: log}, r); err != nil {
		return f.unpacked(err)
	}
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return &BackupError{err}
	}
	return f.unpackDatabase(r, binary.BigEndian.Uint64(size[:]))
}

// unpackDatabase writes the database, durably, and reads the backup to its end.
func (f *Folder) unpackDatabase(r io.Reader, size uint64) (err error) {
	file, err := os.OpenFile(f.Path(databaseFile), os.O_CREATE|os.O_EXCL|os.O_WRONLY, privateMode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	n, err := io.Copy(file, r) // to its end, which is when it is known to be whole
	if err != nil {
		return f.unpacked(err)
	}
	if uint64(n) != size {
		return &BackupError{fmt.Errorf("a database of %d bytes, it says %d", n, size)}
	}
	return file.Sync()
}

// unpacked tells what is wrong with the folder from what is wrong with the backup.
func (f *Folder) unpacked(err error) error {
	if _, isPath := errors.AsType[*fs.PathError](err); isPath || isExplained(f.Explain(err)) {
		return err
	}
	return &BackupError{err}
}
