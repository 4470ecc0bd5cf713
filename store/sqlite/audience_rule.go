package sqlite

import (
	"cmp"
	"context"
	"slices"
	"strconv"

	"github.com/heraldpush/herald/provider/audience"
)

// The first message to everybody proves the device tokens of all: as many rows are
// changed as pushes are sent. So those of which nothing is to be noted but that a
// push was accepted are changed many by one statement, each run of ordinals near each
// other.

// rulingsATurn bounds the rulings that are carried out while others wait.
const rulingsATurn = 256

// Of a run.
const (
	runWidth = 1024 // ordinals, at most
	runGap   = 8    // ordinals between two of its rulings, at most
	runLeast = 8    // rulings
)

// acceptMany notes an accepted push for the destinations of a run that are as they
// were. What they were is in two rows of fields of the same width each, one for each
// ordinal from the first on: the device token, and when it was registered, in digits. A
// field of an ordinal that is not meant fits none.
const acceptMany = "UPDATE destinations SET accepted = ?1" +
	" WHERE app = ?2 AND ordinal BETWEEN ?3 AND ?4 AND kind = ?5 AND name = '' AND environment = ?6 AND state = 0 AND strikes = 0" +
	" AND value = substr(?7, (ordinal - ?3) * ?8 + 1, ?8)" +
	" AND registered = CAST(substr(?9, (ordinal - ?3) * 19 + 1, 19) AS INTEGER)"

// momentDigits is how many digits the nanoseconds of a time have, from 2001 to 2262.
const momentDigits = 19

// Rule implements audience.Store.
func (a *Audience) Rule(ctx context.Context, app audience.AppNumber, rulings []audience.Ruling) error {
	var accepted, others []*audience.Ruling
	for n := range rulings {
		if r := &rulings[n]; accepts(r) {
			accepted = append(accepted, r)
		} else {
			others = append(others, r)
		}
	}
	slices.SortStableFunc(accepted, func(r, s *audience.Ruling) int {
		return cmp.Or(compareRuns(r, s), cmp.Compare(r.Ordinal, s.Ordinal))
	})
	for len(accepted) > 0 {
		n := runLength(accepted)
		run := accepted[:n]
		accepted = accepted[n:]
		if n < runLeast {
			others = append(others, run...)
			continue
		}
		all, err := a.acceptRun(ctx, app, run)
		if err != nil {
			return err
		}
		if !all { // some have changed meanwhile
			others = append(others, run...)
		}
	}
	for some := range slices.Chunk(others, rulingsATurn) {
		err := a.db.writer.change(ctx, func(ctx context.Context) error {
			for _, r := range some {
				if err := a.rule(ctx, app, r); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// accepts reports whether a ruling notes an accepted push, and nothing else.
func accepts(r *audience.Ruling) bool {
	s := r.Standing
	s.AcceptedAt = r.After.AcceptedAt
	return s == r.After && s == audience.Standing{RegisteredAt: s.RegisteredAt, AcceptedAt: s.AcceptedAt} && r.Name == "" &&
		!s.AcceptedAt.IsZero() && s.RegisteredAt.Unix() >= 1e9 && s.RegisteredAt.Before(lastMoment)
}

// compareRuns compares what the rulings of a run have in common.
func compareRuns(r, s *audience.Ruling) int {
	return cmp.Or(
		cmp.Compare(r.Kind, s.Kind), cmp.Compare(r.Environment, s.Environment), cmp.Compare(len(r.DeviceToken), len(s.DeviceToken)),
		r.After.AcceptedAt.Compare(s.After.AcceptedAt),
	)
}

// runLength returns how many of the first rulings are a run.
func runLength(all []*audience.Ruling) int {
	for n := 1; n < len(all); n++ {
		if gap := all[n].Ordinal - all[n-1].Ordinal; compareRuns(all[0], all[n]) != 0 || gap == 0 || gap > runGap ||
			all[n].Ordinal-all[0].Ordinal >= runWidth {
			return n
		}
	}
	return len(all)
}

// acceptRun carries out a run, and reports whether each ruling found its destination
// as it was.
func (a *Audience) acceptRun(ctx context.Context, app audience.AppNumber, run []*audience.Ruling) (all bool, err error) {
	first, last := run[0], run[len(run)-1]
	accepted, err := nanoseconds(first.After.AcceptedAt)
	if err != nil {
		return false, err
	}
	width, size := int(last.Ordinal-first.Ordinal)+1, len(first.DeviceToken)
	values, registered := make([]byte, width*size), make([]byte, width*momentDigits)
	for _, r := range run {
		at := int(r.Ordinal - first.Ordinal)
		copy(values[at*size:], r.DeviceToken)
		field := registered[at*momentDigits : at*momentDigits : (at+1)*momentDigits]
		strconv.AppendInt(field, r.Standing.RegisteredAt.UnixNano(), 10)
	}
	err = a.db.writer.change(ctx, func(ctx context.Context) error {
		done, err := a.written.accept.ExecContext(ctx, accepted, app, first.Ordinal, last.Ordinal, string(first.Kind), first.Environment, values, size, registered)
		if err != nil {
			return fault(a.db.path, err)
		}
		n, err := done.RowsAffected()
		all = n == int64(len(run))
		return fault(a.db.path, err)
	})
	return all, err
}

func (a *Audience) rule(ctx context.Context, app audience.AppNumber, r *audience.Ruling) error {
	args, err := standingArgs(&r.After)
	if err != nil {
		return err
	}
	registered, err := nanoseconds(r.Standing.RegisteredAt)
	if err != nil {
		return err
	}
	args = append(args, app, r.Ordinal, string(r.Kind), r.Name, r.Environment, []byte(r.DeviceToken), registered)
	return a.carryOut(ctx, change{a.written.rule, args})
}
