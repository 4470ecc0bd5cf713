package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"hash/fnv"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/audience"
)

// Audience is an audience.Store.
type Audience struct {
	db            *Database
	written, read audienceStatements // for changes, and for looking
	batches       batches
	newcomers     newcomers
	lookups       lookups
}

var _ audience.Store = (*Audience)(nil)

type audienceStatements struct {
	installation, list, bound *sql.Stmt
	person, used              *sql.Stmt
	targets, targetsOf        *sql.Stmt
	everybody, tagged, find   *sql.Stmt

	ordinal, ordinals         *sql.Stmt
	enter, enterNew           *sql.Stmt
	update, remove            *sql.Stmt
	count, putCount           *sql.Stmt
	enterDestination          *sql.Stmt
	putDestination, takeToken *sql.Stmt
	removeDestination         *sql.Stmt
	removeDestinations        *sql.Stmt
	putTag, removeTag         *sql.Stmt
	alias, enterAlias         *sql.Stmt
	forgetAlias               *sql.Stmt
	rule, accept, undo, sweep *sql.Stmt
}

// What is read of installations and their destinations, in the order of
// scanInstallation.
const (
	installationColumns = "i.ordinal, i.id, i.person, i.sequence, i.created, i.updated, i.body"
	destinationColumns  = "d.kind, d.name, d.environment, d.value, d.state, d.registered, d.accepted, d.reason, d.reason_at, d.strikes, d.judged_by"
	withDestinations    = " i LEFT JOIN destinations d ON d.app = i.app AND d.ordinal = i.ordinal"
)

func prepareAudience(p *preparer) audienceStatements {
	const (
		ofDestination = " WHERE app = ? AND ordinal = ? AND kind = ? AND name = ? AND environment = ?"
		destination   = " INTO destinations (app, ordinal, kind, name, environment," +
			" value, digest, state, registered, accepted, reason, reason_at, strikes, judged_by)" +
			" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
		ofAlias = " FROM aliases a JOIN installations i ON i.app = a.app AND i.person = a.person" +
			" WHERE a.app = ? AND a.label = ? AND a.id = ? ORDER BY i.ordinal LIMIT ?"
		enter   = "INSERT INTO installations (person, sequence, created, updated, body, app, ordinal, id) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
		reached = "kind = ? AND environment BETWEEN ? AND ? AND state <> 2"
	)
	return audienceStatements{
		installation: p.stmt("SELECT " + installationColumns + ", " + destinationColumns + " FROM installations" + withDestinations +
			" WHERE i.app = ? AND i.id = ? ORDER BY d.kind, d.name, d.environment"),
		list: p.stmt("SELECT " + installationColumns + ", " + destinationColumns +
			" FROM (SELECT * FROM installations WHERE app = ? AND ordinal >= ? ORDER BY ordinal LIMIT ?)" + withDestinations +
			" ORDER BY i.ordinal, d.kind, d.name, d.environment"),
		bound:  p.stmt("SELECT next FROM audiences WHERE app = ?"),
		person: p.stmt("SELECT i.ordinal" + ofAlias),
		used:   p.stmt("SELECT i.id" + ofAlias),
		targets: p.stmt("SELECT " + targetColumns + " FROM destinations d" +
			" WHERE d.app = ? AND d.ordinal BETWEEN ? AND ? AND d.kind = ? AND d.environment BETWEEN ? AND ? ORDER BY d.ordinal"),
		targetsOf: p.stmt("SELECT " + targetColumns + " FROM json_each(?) o CROSS JOIN destinations d" +
			" WHERE d.app = ? AND d.ordinal = o.value AND d.kind = ? AND d.environment BETWEEN ? AND ?"),
		find: p.stmt("SELECT d.ordinal, " + destinationColumns + " FROM destinations d" +
			" WHERE d.digest = ? AND d.app = ? AND d.environment = ? AND d.value = ? LIMIT 1"),
		everybody: p.stmt("SELECT DISTINCT ordinal FROM destinations WHERE app = ? AND ordinal >= ? AND ordinal < ? AND " + reached + " ORDER BY ordinal"),
		tagged: p.stmt("SELECT t.ordinal FROM tags t WHERE t.app = ? AND t.ordinal >= ? AND t.ordinal < ?" +
			" AND EXISTS (SELECT 1 FROM destinations WHERE app = t.app AND ordinal = t.ordinal AND " + reached + ")" +
			" AND t.tag = ? ORDER BY t.ordinal"),

		ordinal:  p.stmt("SELECT ordinal FROM installations WHERE app = ? AND id = ?"),
		ordinals: p.stmt("SELECT o.key, i.ordinal FROM json_each(?) o CROSS JOIN installations i WHERE i.app = ? AND i.id = o.value"),
		enter:    p.stmt(enter),
		enterNew: p.stmt(enter + " ON CONFLICT (app, id) DO NOTHING"),
		update: p.stmt("UPDATE installations SET person = ?, sequence = ?, created = ?, updated = ?, body = ?" +
			" WHERE app = ? AND ordinal = ?"),
		remove:   p.stmt("DELETE FROM installations WHERE app = ? AND ordinal = ?"),
		count:    p.stmt("SELECT next, persons FROM audiences WHERE app = ?"),
		putCount: p.stmt("INSERT OR REPLACE INTO audiences (app, next, persons) VALUES (?, ?, ?)"),

		enterDestination:   p.stmt("INSERT" + destination),
		putDestination:     p.stmt("INSERT OR REPLACE" + destination),
		takeToken:          p.stmt("DELETE FROM destinations WHERE digest = ? AND app = ? AND environment = ? AND value = ? AND ordinal <> ?"),
		removeDestination:  p.stmt("DELETE FROM destinations" + ofDestination),
		removeDestinations: p.stmt("DELETE FROM destinations WHERE app = ? AND ordinal = ?"),

		putTag:    p.stmt("INSERT INTO tags (app, tag, ordinal) VALUES (?, ?, ?)"),
		removeTag: p.stmt("DELETE FROM tags WHERE app = ? AND tag = ? AND ordinal = ?"),

		alias:      p.stmt("SELECT person FROM aliases WHERE app = ? AND label = ? AND id = ?"),
		enterAlias: p.stmt("INSERT INTO aliases (app, label, id, person) VALUES (?, ?, ?, ?)"),

		forgetAlias: p.stmt(forgetAlias),

		rule: p.stmt("UPDATE destinations SET state = ?, registered = ?, accepted = ?, reason = ?, reason_at = ?, strikes = ?, judged_by = ?" +
			ofDestination + " AND value = ? AND registered IS ?"),
		accept: p.stmt(acceptMany),
		undo: p.stmt("UPDATE destinations SET state = 0, reason = '', reason_at = NULL, strikes = 0, judged_by = NULL" +
			" WHERE app = ? AND judged_by = ?"),
		sweep: p.stmt("DELETE FROM destinations WHERE (app, ordinal, kind, name, environment) IN" +
			" (SELECT app, ordinal, kind, name, environment FROM destinations WHERE state = 2 AND reason_at < ? ORDER BY reason_at LIMIT ?)"),
	}
}

// installationBody is what an installation's body says.
type installationBody struct {
	Person     []audience.Alias `json:"person,omitempty"`
	Tags       []string         `json:"tags,omitempty"`
	Locale     string           `json:"locale,omitempty"`
	TimeZone   string           `json:"time_zone,omitempty"`
	AppVersion string           `json:"app_version,omitempty"`
}

func bodyOf(i *audience.Installation) ([]byte, error) {
	return json.Marshal(installationBody{i.Person, i.Tags, i.Locale, i.TimeZone, i.AppVersion})
}

// enrolled is an installation, with what only the store knows of it.
type enrolled struct {
	audience.Installation
	person sql.NullInt64
}

// destinationRow is a row of destinations, or of none.
type destinationRow struct {
	kind, name, reason             sql.NullString
	environment, state, strikes    sql.NullInt64
	value, judgedBy                []byte
	registered, accepted, reasonAt sql.NullInt64
}

func (r *destinationRow) scanned() []any {
	return []any{
		&r.kind, &r.name, &r.environment, &r.value, &r.state, &r.registered, &r.accepted,
		&r.reason, &r.reasonAt, &r.strikes, &r.judgedBy,
	}
}

func (r *destinationRow) destination() audience.Destination {
	d := audience.Destination{
		Kind: audience.Kind(r.kind.String), Name: r.name.String, Environment: apns.Environment(r.environment.Int64), //nolint:gosec // as it was stored
		DeviceToken: apns.DeviceToken(r.value),
		Standing: audience.Standing{
			State: audience.State(r.state.Int64), RegisteredAt: moment(r.registered), AcceptedAt: moment(r.accepted), //nolint:gosec // as it was stored
			Reason: apns.Reason(r.reason.String), ReasonAt: moment(r.reasonAt), Strikes: uint8(r.strikes.Int64), //nolint:gosec // as it was stored
		},
	}
	copy(d.Standing.JudgedBy[:], r.judgedBy)
	return d
}

// scanInstallations reads rows of installations with their destinations.
func (a *Audience) scanInstallations(rows *sql.Rows, err error) (all []enrolled, _ error) {
	if err != nil {
		return nil, fault(a.db.path, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var i enrolled
		var d destinationRow
		var id string
		var sequence int64
		var created, updated sql.NullInt64
		var body sql.RawBytes
		if err := rows.Scan(append([]any{&i.Ordinal, &id, &i.person, &sequence, &created, &updated, &body}, d.scanned()...)...); err != nil {
			return nil, fault(a.db.path, err)
		}
		if n := len(all); n == 0 || all[n-1].Ordinal != i.Ordinal {
			var b installationBody
			if err := json.Unmarshal(body, &b); err != nil {
				return nil, fault(a.db.path, err)
			}
			i.ID, i.Sequence, i.CreatedAt, i.UpdatedAt = audience.InstallationID(id), uint64(sequence), moment(created), moment(updated)
			i.Person, i.Tags, i.Locale, i.TimeZone, i.AppVersion = b.Person, b.Tags, b.Locale, b.TimeZone, b.AppVersion
			all = append(all, i)
		}
		if d.kind.Valid {
			last := &all[len(all)-1]
			last.Destinations = append(last.Destinations, d.destination())
		}
	}
	return all, fault(a.db.path, rows.Err())
}

// find returns an installation, or the zero value but for its ID.
func (a *Audience) find(ctx context.Context, s *audienceStatements, app audience.AppNumber, id audience.InstallationID) (i enrolled, known bool, err error) {
	all, err := a.scanInstallations(s.installation.QueryContext(ctx, app, string(id)))
	if err != nil || len(all) == 0 {
		return enrolled{Installation: audience.Installation{ID: id}}, false, err
	}
	return all[0], true, nil
}

// Installation implements audience.Store.
func (a *Audience) Installation(ctx context.Context, app audience.AppNumber, id audience.InstallationID) (audience.Installation, error) {
	i, known, err := a.find(ctx, &a.read, app, id)
	if err == nil && !known {
		err = audience.ErrNotFound
	}
	if err != nil {
		return audience.Installation{}, err
	}
	return i.Installation, nil
}

// List implements audience.Store.
func (a *Audience) List(ctx context.Context, app audience.AppNumber, from audience.Ordinal, limit int) ([]audience.Installation, error) {
	all, err := a.scanInstallations(a.read.list.QueryContext(ctx, app, from, limit))
	if err != nil {
		return nil, err
	}
	list := make([]audience.Installation, len(all))
	for n := range all {
		list[n] = all[n].Installation
	}
	return list, nil
}

// Person implements audience.Store.
func (a *Audience) Person(ctx context.Context, app audience.AppNumber, alias audience.Alias, limit int) (all []audience.Ordinal, err error) {
	err = a.eachOrdinal(func(o audience.Ordinal) error {
		all = append(all, o)
		return nil
	})(a.read.person.QueryContext(ctx, app, alias.Label, alias.ID, limit))
	return all, err
}

// eachOrdinal returns what calls f with each ordinal of a result.
func (a *Audience) eachOrdinal(f func(audience.Ordinal) error) func(*sql.Rows, error) error {
	return func(rows *sql.Rows, err error) (_ error) {
		if err != nil {
			return fault(a.db.path, err)
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		var o audience.Ordinal
		for rows.Next() {
			if err := rows.Scan(&o); err != nil {
				return fault(a.db.path, err)
			}
			if err := f(o); err != nil {
				return err
			}
		}
		return fault(a.db.path, rows.Err())
	}
}

// Bound implements audience.Store.
func (a *Audience) Bound(ctx context.Context, app audience.AppNumber) (o audience.Ordinal, err error) {
	err = a.read.bound.QueryRowContext(ctx, app).Scan(&o)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return o, fault(a.db.path, err)
}

// environments returns the first and last environment of a use.
func environments(u audience.Use) (first, last apns.Environment) {
	if u.Environment == 0 {
		return apns.Environments[0], apns.Environments[len(apns.Environments)-1]
	}
	return u.Environment, u.Environment
}

// Select implements audience.Store.
func (a *Audience) Select(ctx context.Context, app audience.AppNumber, s audience.Selection, f func(audience.Chunk, *audience.Members) error) error {
	var (
		members *audience.Members // of the chunk that is being read; nil before the first
		chunk   audience.Chunk
	)
	add := a.eachOrdinal(func(o audience.Ordinal) error {
		if n := o.Chunk(); members == nil || n != chunk {
			if members != nil {
				if err := f(chunk, members); err != nil {
					return err
				}
			}
			members, chunk = &audience.Members{}, n
		}
		members.Add(o.Slot())
		return nil
	})
	first, last := environments(s.Use)
	args := []any{app, s.From.Ordinal(0), s.Below, string(s.Use.Kind), first, last}
	var err error
	if s.Tag == "" {
		err = add(a.read.everybody.QueryContext(ctx, args...))
	} else {
		err = add(a.read.tagged.QueryContext(ctx, append(args, s.Tag)...))
	}
	if err == nil && members != nil {
		err = f(chunk, members)
	}
	return err
}

// Find implements audience.Store.
func (a *Audience) Find(ctx context.Context, app audience.AppNumber, e apns.Environment, t apns.DeviceToken) (audience.Target, error) {
	var d destinationRow
	var o audience.Ordinal
	err := a.read.find.QueryRowContext(ctx, digestOf(app, e, t), app, e, []byte(t)).Scan(append([]any{&o}, d.scanned()...)...)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return audience.Target{}, audience.ErrNotFound
	case err != nil:
		return audience.Target{}, fault(a.db.path, err)
	}
	return audience.Target{Ordinal: o, Destination: d.destination()}, nil
}

// digestOf returns what a device token is found by. It need not be the only one
// with it.
func digestOf(app audience.AppNumber, e apns.Environment, t apns.DeviceToken) int64 {
	h := fnv.New64a()
	h.Write([]byte{byte(app), byte(app >> 8), byte(app >> 16), byte(app >> 24), byte(e)})
	h.Write([]byte(t))
	return int64(h.Sum64())
}
