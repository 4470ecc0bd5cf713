package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// applicationID marks a database as one of Herald: "Hrld".
const applicationID = 0x48726c64

// migrations bring a database from each version to the next; the first makes
// it. What is here was in use and is not changed: what changes is added.
//
// Times are nanoseconds since the epoch, UTC; NULL is the zero time.
var migrations = []string{`
CREATE TABLE records (
	kind TEXT NOT NULL,
	id   TEXT NOT NULL,
	body BLOB NOT NULL, -- JSON
	PRIMARY KEY (kind, id)
) WITHOUT ROWID, STRICT;

CREATE TABLE token_keys (
	environment TEXT PRIMARY KEY,
	key         BLOB NOT NULL
) WITHOUT ROWID, STRICT;

CREATE TABLE devices (
	ordinal INTEGER PRIMARY KEY,
	id      TEXT NOT NULL UNIQUE,
	entered INTEGER
) STRICT;

CREATE TABLE topics (
	ordinal INTEGER PRIMARY KEY,
	hash    BLOB NOT NULL UNIQUE
) STRICT;

CREATE TABLE exceptions (
	device      INTEGER NOT NULL, -- its ordinal, as a signed number
	topic       BLOB NOT NULL,    -- its hash
	environment TEXT NOT NULL,
	generation  INTEGER NOT NULL,
	removed     INTEGER,
	former      INTEGER,
	PRIMARY KEY (device, topic, environment)
) WITHOUT ROWID, STRICT;
`, `
CREATE TABLE feedback (
	number       INTEGER PRIMARY KEY AUTOINCREMENT, -- never given out twice
	topic        BLOB NOT NULL,                     -- its hash
	environment  TEXT NOT NULL,
	device_token BLOB NOT NULL,
	gone         INTEGER NOT NULL,
	noted        INTEGER NOT NULL,
	UNIQUE (topic, environment, device_token)
) STRICT;

CREATE INDEX feedback_lists ON feedback (topic, environment, number);
`, `
CREATE TABLE channels (
	ordinal     INTEGER PRIMARY KEY AUTOINCREMENT, -- never given a second time
	id          TEXT NOT NULL UNIQUE,
	app         TEXT NOT NULL,
	environment TEXT NOT NULL,
	term        INTEGER NOT NULL,
	policy      INTEGER NOT NULL,
	created     INTEGER
) STRICT;

CREATE INDEX channels_of_owners ON channels (app, environment, term, ordinal);
`, `
CREATE TABLE audiences (
	app     INTEGER PRIMARY KEY,
	next    INTEGER NOT NULL, -- ordinal
	persons INTEGER NOT NULL  -- given so far
) STRICT;

CREATE TABLE installations (
	app      INTEGER NOT NULL,
	ordinal  INTEGER NOT NULL,
	id       TEXT NOT NULL,
	person   INTEGER,
	sequence INTEGER NOT NULL, -- as a signed number
	created  INTEGER,
	updated  INTEGER,
	body     BLOB NOT NULL,    -- JSON: what nobody asks for by itself
	PRIMARY KEY (app, ordinal)
) WITHOUT ROWID, STRICT;

CREATE UNIQUE INDEX installations_by_id ON installations (app, id);
CREATE INDEX installations_of_people ON installations (app, person) WHERE person IS NOT NULL;

CREATE TABLE destinations (
	app         INTEGER NOT NULL,
	ordinal     INTEGER NOT NULL,
	kind        TEXT NOT NULL,
	name        TEXT NOT NULL,
	environment INTEGER NOT NULL,
	value       BLOB NOT NULL,    -- the device token
	digest      INTEGER NOT NULL, -- of app, environment and value: a short way to it
	state       INTEGER NOT NULL,
	registered  INTEGER,
	accepted    INTEGER,
	reason      TEXT NOT NULL,
	reason_at   INTEGER,
	strikes     INTEGER NOT NULL,
	judged_by   BLOB,
	PRIMARY KEY (app, ordinal, kind, name, environment)
) WITHOUT ROWID, STRICT;

CREATE INDEX destinations_by_value ON destinations (digest);
CREATE INDEX destinations_judged ON destinations (app, judged_by) WHERE judged_by IS NOT NULL;

CREATE TABLE tags (
	app     INTEGER NOT NULL,
	tag     TEXT NOT NULL,
	ordinal INTEGER NOT NULL,
	PRIMARY KEY (app, tag, ordinal)
) WITHOUT ROWID, STRICT;

CREATE TABLE aliases (
	app    INTEGER NOT NULL,
	label  TEXT NOT NULL,
	id     TEXT NOT NULL,
	person INTEGER NOT NULL,
	PRIMARY KEY (app, label, id)
) WITHOUT ROWID, STRICT;
`, `
CREATE TABLE accounts ( -- of the provider
	kind TEXT NOT NULL,
	id   TEXT NOT NULL,
	body BLOB NOT NULL, -- JSON; secrets in it are sealed
	PRIMARY KEY (kind, id)
) WITHOUT ROWID, STRICT;
`, `
CREATE TABLE events ( -- of the provider
	sequence INTEGER PRIMARY KEY,
	id       TEXT NOT NULL UNIQUE,
	time     INTEGER,
	app      TEXT NOT NULL,
	kind     TEXT NOT NULL,
	subject  TEXT NOT NULL,
	body     BLOB NOT NULL -- JSON
) STRICT;

CREATE TABLE event_count (
	one  INTEGER PRIMARY KEY CHECK (one = 1),
	last INTEGER NOT NULL -- the sequence number that was given last
) STRICT;
`, `
CREATE TABLE messages ( -- of the provider, when they have ended
	number   INTEGER PRIMARY KEY, -- in the order in which they were stored
	app      INTEGER NOT NULL,
	id       BLOB NOT NULL,
	ended    INTEGER,
	form     INTEGER NOT NULL,    -- 0: only begun; 1: whole; 2: whole, with message_parts
	body     BLOB NOT NULL,
	shards   BLOB,
	failures BLOB
) STRICT;

CREATE UNIQUE INDEX messages_by_id ON messages (app, id);

CREATE TABLE message_parts ( -- of what is too large to be stored at once
	message  INTEGER NOT NULL, -- its number
	last     INTEGER NOT NULL, -- the number of the last shard
	shards   BLOB NOT NULL,
	failures BLOB NOT NULL,
	PRIMARY KEY (message, last)
) STRICT;
`, `
CREATE INDEX destinations_gone ON destinations (reason_at) WHERE state = 2;
`}

// VersionError says that a database was written by a later version of Herald.
type VersionError struct {
	Path string
	// Have is the version of the database, Known the last one that this
	// program knows.
	Have, Known int
}

// Error names the file and both versions.
func (e *VersionError) Error() string {
	return fmt.Sprintf("%s is of a later version of herald (schema %d, this one knows up to %d)", e.Path, e.Have, e.Known)
}

// checkVersion returns an error unless the database is ours, or empty, and of
// a version that is known.
func checkVersion(ctx context.Context, conn *sql.Conn, path string) error {
	var version, application, tables int
	err := errors.Join(
		conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version),
		conn.QueryRowContext(ctx, "PRAGMA application_id").Scan(&application),
		conn.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables),
	)
	if err != nil {
		return fault(path, err)
	}
	isEmpty := version == 0 && application == 0 && tables == 0
	if !isEmpty && application != applicationID {
		return fmt.Errorf("%s is not a database of herald", path)
	}
	if version > len(migrations) {
		return &VersionError{path, version, len(migrations)}
	}
	return nil
}

// migrate brings the database up to date, in one transaction.
func migrate(ctx context.Context, conn *sql.Conn, path string) (err error) {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return fault(path, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fault(path, err), tx.Rollback())
		}
	}()
	var version int
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	for n, migration := range migrations {
		if n < version {
			continue
		}
		if _, err := tx.ExecContext(ctx, migration); err != nil {
			return fmt.Errorf("to version %d: %w", n+1, err)
		}
	}
	if version < len(migrations) {
		marks := fmt.Sprintf("PRAGMA application_id=%d; PRAGMA user_version=%d", applicationID, len(migrations))
		if _, err := tx.ExecContext(ctx, marks); err != nil {
			return err
		}
	}
	return tx.Commit()
}
