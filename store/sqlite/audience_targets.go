package sqlite

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/audience"
)

// targetColumns are what is read of each device token that is pushed to, in the order
// of scanTarget. Those of which nothing bad is known, nearly all, have one column
// less to be read than the others four.
const targetColumns = "d.ordinal, d.name, d.environment, d.value, d.state, d.registered, d.accepted," +
	" CASE WHEN d.state = 0 AND d.strikes = 0 THEN NULL" +
	" ELSE d.strikes || ' ' || coalesce(d.reason_at, '') || ' ' || coalesce(hex(d.judged_by), '') || ' ' || d.reason END"

// sparse is how many ordinals there may be for each that is looked for, before each is
// looked for by itself.
const sparse = 8

// Targets implements audience.Store.
func (a *Audience) Targets(ctx context.Context, app audience.AppNumber, c audience.Chunk, m *audience.Members, u audience.Use) (all []audience.Target, err error) {
	count, from, to := m.Count(), audience.Ordinal(0), audience.Ordinal(0)
	if count == 0 {
		return nil, nil
	}
	var list []byte // of JSON
	for rank, slot := range m.All() {
		if to = c.Ordinal(slot); rank == 0 {
			from = to
		}
	}
	first, last := environments(u)
	var rows *sql.Rows
	if int(to-from) < sparse*count {
		rows, err = a.read.targets.QueryContext(ctx, app, from, to, string(u.Kind), first, last)
	} else {
		for rank, slot := range m.All() {
			if list = append(list, ','); rank == 0 {
				list[0] = '['
			}
			list = strconv.AppendUint(list, uint64(c.Ordinal(slot)), 10)
		}
		rows, err = a.read.targetsOf.QueryContext(ctx, string(append(list, ']')), app, string(u.Kind), first, last)
	}
	if err != nil {
		return nil, fault(a.db.path, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	all = make([]audience.Target, 0, count)
	var r targetRow
	into := r.scanned()
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, fault(a.db.path, err)
		}
		if !m.Has(r.ordinal.Slot()) {
			continue
		}
		t, err := r.target(u.Kind)
		if err != nil {
			return nil, fault(a.db.path, err)
		}
		all = append(all, t)
	}
	return all, fault(a.db.path, rows.Err())
}

// targetRow is a row of targetColumns.
type targetRow struct {
	ordinal              audience.Ordinal
	name                 string
	environment, state   uint8
	value, blemish       sql.RawBytes
	registered, accepted sql.NullInt64
}

func (r *targetRow) scanned() []any {
	return []any{&r.ordinal, &r.name, &r.environment, &r.value, &r.state, &r.registered, &r.accepted, &r.blemish}
}

// errBlemish says that a row is not as it was asked for.
var errBlemish = errors.New("the standing of a device token cannot be read")

// target returns what a row says of a device token of a kind.
func (r *targetRow) target(k audience.Kind) (t audience.Target, err error) {
	t.Ordinal, t.Kind, t.Name, t.Environment = r.ordinal, k, r.name, apns.Environment(r.environment)
	t.DeviceToken = apns.DeviceToken(r.value)
	t.Standing.State = audience.State(r.state)
	t.Standing.RegisteredAt, t.Standing.AcceptedAt = moment(r.registered), moment(r.accepted)
	if r.blemish == nil {
		return t, nil
	}
	parts := strings.SplitN(string(r.blemish), " ", 4)
	if len(parts) != 4 {
		return t, errBlemish
	}
	strikes, err := strconv.ParseUint(parts[0], 10, 8)
	if err != nil {
		return t, errBlemish
	}
	t.Standing.Strikes = uint8(strikes)
	if parts[1] != "" {
		at, err := strconv.ParseInt(parts[1], 10, 64)
		if err != nil {
			return t, errBlemish
		}
		t.Standing.ReasonAt = moment(sql.NullInt64{Int64: at, Valid: true})
	}
	if _, err := hex.Decode(t.Standing.JudgedBy[:], []byte(parts[2][:min(len(parts[2]), 2*len(t.Standing.JudgedBy))])); err != nil {
		return t, errBlemish
	}
	t.Standing.Reason = apns.Reason(parts[3])
	return t, nil
}
