package sqlite

import (
	"context"
	"slices"

	"github.com/heraldpush/herald/provider/audience"
)

// forgetAlias removes an alias of a person, unless an installation of theirs has it. What
// is stored of an installation is JSON, in which its aliases are as audience.Alias has
// them.
const forgetAlias = "DELETE FROM aliases WHERE app = ?1 AND label = ?2 AND id = ?3 AND NOT EXISTS (" +
	"SELECT 1 FROM installations i, json_each(CAST(i.body AS TEXT), '$.person') p WHERE i.app = ?1 AND i.person = ?4" +
	" AND json_extract(p.value, '$.Label') = ?2 AND json_extract(p.value, '$.ID') = ?3)"

// forgetAliases removes the aliases of a person that an installation of theirs had before,
// and that none has now. It is stored as it is after.
func (a *Audience) forgetAliases(ctx context.Context, app audience.AppNumber, before *enrolled, after []audience.Alias) error {
	for _, alias := range before.Person {
		if slices.Contains(after, alias) {
			continue
		}
		if err := a.carryOut(ctx, change{a.written.forgetAlias, []any{app, alias.Label, alias.ID, before.person}}); err != nil {
			return err
		}
	}
	return nil
}
