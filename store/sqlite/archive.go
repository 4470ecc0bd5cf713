package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
)

// Archive is an outbox.Archive. A message is one row, with its shards and failures
// in it; only of what was stored in parts these are rows of their own.
type Archive struct {
	db            *Database
	written, read archiveStatements // for changes, and for looking
}

var _ outbox.Archive = (*Archive)(nil)

type archiveStatements struct {
	put, begin, number           *sql.Stmt
	putPart, removeParts         *sql.Stmt
	oldest, trimParts, trim      *sql.Stmt
	message, list                *sql.Stmt
	shards, shardParts           *sql.Stmt
	failures, failuresAfterParts *sql.Stmt
}

// The forms of a row of messages.
const (
	formBegun = 0 // there is no such message yet
	formWhole = 1 // shards and failures are in it
	formParts = 2 // they are in message_parts
)

func prepareArchive(p *preparer) archiveStatements {
	const (
		one  = " FROM messages WHERE app = ? AND id = ? AND form <> 0"
		some = " FROM message_parts WHERE message = ? AND last >= ? ORDER BY last"
		old  = "number >= ?1 AND number < ?1 + ?2 AND ended < ?3"
	)
	return archiveStatements{
		put: p.stmt("INSERT INTO messages (app, id, ended, form, body, shards, failures) VALUES (?, ?, ?, ?, ?, ?, ?)" +
			" ON CONFLICT (app, id) DO UPDATE SET ended = excluded.ended, form = excluded.form, body = excluded.body," +
			" shards = excluded.shards, failures = excluded.failures"),
		begin: p.stmt("INSERT INTO messages (app, id, ended, form, body) VALUES (?, ?, ?, 0, x'')" +
			" ON CONFLICT (app, id) DO NOTHING"),
		number:      p.stmt("SELECT number FROM messages WHERE app = ? AND id = ?"),
		putPart:     p.stmt("INSERT INTO message_parts (message, last, shards, failures) VALUES (?, ?, ?, ?)"),
		removeParts: p.stmt("DELETE FROM message_parts WHERE message = ? AND last BETWEEN ? AND ?"),

		oldest:    p.stmt("SELECT min(number) FROM messages"),
		trimParts: p.stmt("DELETE FROM message_parts WHERE message IN (SELECT number FROM messages WHERE " + old + ")"),
		trim:      p.stmt("DELETE FROM messages WHERE " + old),

		message:            p.stmt("SELECT body" + one),
		list:               p.stmt("SELECT id, body FROM messages WHERE app = ? AND id < ? AND form <> 0 ORDER BY id DESC LIMIT ?"),
		shards:             p.stmt("SELECT number, form, shards" + one),
		failures:           p.stmt("SELECT number, form, failures" + one),
		shardParts:         p.stmt("SELECT last, shards" + some),
		failuresAfterParts: p.stmt("SELECT last, failures" + some),
	}
}

// Put implements outbox.Archive.
func (a *Archive) Put(ctx context.Context, all []outbox.Finished) error {
	if len(all) == 0 {
		return ctx.Err()
	}
	return a.db.writer.change(ctx, func(ctx context.Context) error {
		var room []byte // for what is handed over, which nobody keeps
		for i := range all {
			var err error
			if room, err = a.put(ctx, &all[i], room[:0]); err != nil {
				return err
			}
		}
		return nil
	})
}

// put stores a message, and returns the room it used.
func (a *Archive) put(ctx context.Context, f *outbox.Finished, room []byte) ([]byte, error) {
	m := &f.Message
	ended, err := nanoseconds(m.EndedAt)
	if err != nil {
		return room, err
	}
	room = m.Append(room)
	body := len(room)
	form, shards, failures := formParts, []byte(nil), []byte(nil)
	if !f.Begun {
		room = outbox.AppendShards(room, f.Part.Shards)
		end := len(room)
		room = outbox.AppendFailures(room, f.Part.Failures)
		form, shards, failures = formWhole, room[body:end], room[end:]
	}
	if _, err := a.written.put.ExecContext(ctx, m.App, m.ID[:], ended, form, room[:body], shards, failures); err != nil {
		return room, fault(a.db.path, err)
	}
	if f.Begun {
		err = a.putPart(ctx, m, &f.Part, true)
	}
	return room, err
}

// Add implements outbox.Archive.
func (a *Archive) Add(ctx context.Context, m *outbox.Message, p outbox.Part) error {
	ended, err := nanoseconds(m.EndedAt)
	if err != nil {
		return err
	}
	return a.db.writer.change(ctx, func(ctx context.Context) error {
		if _, err := a.written.begin.ExecContext(ctx, m.App, m.ID[:], ended); err != nil {
			return fault(a.db.path, err)
		}
		return a.putPart(ctx, m, &p, false)
	})
}

// maxShard is greater than the number of any shard.
const maxShard = 1 << 32

// putPart stores a part in the place of what is there; of all from its first shard
// on, if it is the end.
func (a *Archive) putPart(ctx context.Context, m *outbox.Message, p *outbox.Part, end bool) error {
	if len(p.Shards) == 0 {
		return nil
	}
	var number int64
	if err := a.written.number.QueryRowContext(ctx, m.App, m.ID[:]).Scan(&number); err != nil {
		return fault(a.db.path, err)
	}
	first, last := p.Shards[0].Number, p.Shards[len(p.Shards)-1].Number
	until := int64(last)
	if end {
		until = maxShard
	}
	_, err := a.written.removeParts.ExecContext(ctx, number, first, until)
	if err == nil {
		_, err = a.written.putPart.ExecContext(ctx, number, last, outbox.AppendShards([]byte{}, p.Shards), outbox.AppendFailures([]byte{}, p.Failures))
	}
	return fault(a.db.path, err)
}

// Trim implements outbox.Archive.
func (a *Archive) Trim(ctx context.Context, ended time.Time, most int) (n int, err error) {
	before, err := nanoseconds(ended)
	if err != nil {
		return 0, err
	}
	var oldest sql.NullInt64
	if err := a.read.oldest.QueryRowContext(ctx).Scan(&oldest); err != nil || !oldest.Valid {
		return 0, fault(a.db.path, err)
	}
	err = a.db.writer.change(ctx, func(ctx context.Context) error {
		if _, err := a.written.trimParts.ExecContext(ctx, oldest, most, before); err != nil {
			return fault(a.db.path, err)
		}
		done, err := a.written.trim.ExecContext(ctx, oldest, most, before)
		if err != nil {
			return fault(a.db.path, err)
		}
		rows, err := done.RowsAffected()
		n = int(rows)
		return fault(a.db.path, err)
	})
	return n, err
}

// Message implements outbox.Archive.
func (a *Archive) Message(ctx context.Context, app audience.AppNumber, id outbox.MessageID) (m outbox.Message, err error) {
	var body []byte
	switch err := a.read.message.QueryRowContext(ctx, app, id[:]).Scan(&body); {
	case errors.Is(err, sql.ErrNoRows):
		return m, outbox.ErrNotFound
	case err != nil:
		return m, fault(a.db.path, err)
	}
	m, err = outbox.ParseMessage(id, body)
	return m, fault(a.db.path, err)
}

// afterAll is greater than all IDs.
var afterAll = bytes.Repeat([]byte{0xff}, 1+len(outbox.MessageID{}))

// List implements outbox.Archive.
func (a *Archive) List(ctx context.Context, app audience.AppNumber, before outbox.MessageID, limit int) (all []outbox.Message, err error) {
	bound := before[:]
	if before == (outbox.MessageID{}) {
		bound = afterAll
	}
	rows, err := a.read.list.QueryContext(ctx, app, bound, limit)
	if err != nil {
		return nil, fault(a.db.path, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var id outbox.MessageID
	for rows.Next() {
		var text, body sql.RawBytes
		if err := rows.Scan(&text, &body); err != nil {
			return nil, fault(a.db.path, err)
		}
		copy(id[:], text)
		m, err := outbox.ParseMessage(id, body)
		if err != nil {
			return nil, fault(a.db.path, err)
		}
		all = append(all, m)
	}
	return all, fault(a.db.path, rows.Err())
}

// Shards implements outbox.Archive.
func (a *Archive) Shards(ctx context.Context, app audience.AppNumber, id outbox.MessageID, from uint32, limit int) (all []outbox.Shard, err error) {
	err = a.eachPart(ctx, a.read.shards, a.read.shardParts, app, id, from, func(last uint32, b []byte) (bool, error) {
		some, err := outbox.ParseShards(b, from, limit-len(all))
		all = append(all, some...)
		from = max(from, last+1) // parts that were cut otherwise by an earlier attempt may overlap
		return len(all) < limit, err
	})
	return all, err
}

// Failures implements outbox.Archive.
func (a *Archive) Failures(ctx context.Context, app audience.AppNumber, id outbox.MessageID, after outbox.FailureAt, limit int) (all []outbox.ShardFailure, err error) {
	err = a.eachPart(ctx, a.read.failures, a.read.failuresAfterParts, app, id, after.Shard, func(last uint32, b []byte) (bool, error) {
		some, err := outbox.ParseFailures(b, after, limit-len(all))
		all = append(all, some...)
		if last >= after.Shard {
			after = outbox.FailureAt{Shard: last + 1}
		}
		return len(all) < limit, err
	})
	return all, err
}

// eachPart calls f with the last shard of each part of a message that has shards
// from a number on, and what is stored of it, as long as f reports true.
func (a *Archive) eachPart(ctx context.Context, whole, parts *sql.Stmt, app audience.AppNumber, id outbox.MessageID, from uint32, f func(last uint32, b []byte) (bool, error)) (err error) {
	var (
		number int64
		form   int
		b      []byte
	)
	switch err := whole.QueryRowContext(ctx, app, id[:]).Scan(&number, &form, &b); {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return fault(a.db.path, err)
	}
	if form == formWhole {
		_, err := f(0, b)
		return fault(a.db.path, err)
	}
	rows, err := parts.QueryContext(ctx, number, from)
	if err != nil {
		return fault(a.db.path, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var last uint32
		var b sql.RawBytes
		if err := rows.Scan(&last, &b); err != nil {
			return fault(a.db.path, err)
		}
		if goesOn, err := f(last, b); err != nil || !goesOn {
			return fault(a.db.path, err)
		}
	}
	return fault(a.db.path, rows.Err())
}
