package pebble

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/heraldpush/herald/provider/outbox"
)

// OutboxCopy is all that an outbox has, as of one moment. The outbox goes on beside
// it, and is not closed before it is.
type OutboxCopy struct {
	o    *Outbox
	seen *engine.Snapshot
}

// Copy returns what the outbox has now: all that was stored when it was called. It
// takes no room. Whoever calls it closes it.
func (o *Outbox) Copy() (*OutboxCopy, error) {
	o.gate.RLock()
	o.mu.Lock()
	closed := o.closed
	o.mu.Unlock()
	if closed {
		o.gate.RUnlock()
		return nil, outbox.ErrClosed
	}
	return &OutboxCopy{o, o.db.NewSnapshot()}, nil
}

// Close ends the copy.
func (c *OutboxCopy) Close() error {
	defer c.o.gate.RUnlock()
	return explain(c.o.dir, c.seen.Close(), nil)
}

// Bounds of what is stored, in bytes, so that a damaged copy is not believed.
const (
	maxCopiedKey   = 1 << 10
	maxCopiedValue = 64 << 20
	restoreBytes   = 4 << 20 // of one batch
)

// Write writes the copy to w: for each key its length, which is not 0, and that of its
// value, both as uvarints, and then the two; at the end a 0.
func (c *OutboxCopy) Write(ctx context.Context, w io.Writer) error {
	out := bufio.NewWriterSize(w, 64<<10)
	lengths := make([]byte, 0, 2*binary.MaxVarintLen64)
	err := each(c.seen, nil, nil, func(key, value []byte) (bool, error) {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		lengths = binary.AppendUvarint(binary.AppendUvarint(lengths[:0], uint64(len(key))), uint64(len(value)))
		for _, part := range [][]byte{lengths, key, value} {
			if _, err := out.Write(part); err != nil {
				return false, err
			}
		}
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("copying the outbox: %w", err)
	}
	return errors.Join(out.WriteByte(0), out.Flush())
}

// RestoreOutbox makes an outbox in a folder, which has none, of a copy. It reads to
// the end of that and no further. The outbox can then be opened; after an error, the
// folder is to be removed.
func RestoreOutbox(dir string, cfg Config, r *bufio.Reader) (err error) {
	cfg.RepeatKeys = 0
	o, err := OpenOutbox(dir, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	for whole := false; !whole; {
		b := o.db.NewBatch()
		if whole, err = readCopied(b, r); err == nil {
			err = b.Commit(engine.Sync)
		}
		if err := errors.Join(err, b.Close(), o.failure()); err != nil {
			return explain(dir, fmt.Errorf("restoring the outbox: %w", err), nil)
		}
	}
	return nil
}

// readCopied adds to a batch what is next of a copy, and reports whether that is all.
func readCopied(b *engine.Batch, r *bufio.Reader) (whole bool, err error) {
	for b.Len() < restoreBytes {
		key, err := binary.ReadUvarint(r)
		if err != nil || key == 0 {
			return err == nil, cutShort(err)
		}
		value, err := binary.ReadUvarint(r)
		if err != nil {
			return false, cutShort(err)
		}
		if key > maxCopiedKey || value > maxCopiedValue {
			return false, fmt.Errorf("a key of %d bytes with a value of %d: it is damaged", key, value)
		}
		pair := make([]byte, key+value)
		if _, err := io.ReadFull(r, pair); err != nil {
			return false, cutShort(err)
		}
		if err := b.Set(pair[:key], pair[key:], nil); err != nil {
			return false, err
		}
	}
	return false, nil
}

// cutShort has an end that comes too early be one.
func cutShort(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
