package sqlite

import (
	"context"
	"sync"

	"github.com/heraldpush/herald/provider/audience"
)

// Messages come each by itself, many at a time, and each names an installation. Those
// that come while a look-up is under way are the next one: to begin one costs several
// times what each ID in it does.

// lookup is a call that waits for ordinals.
type lookup struct {
	app   audience.AppNumber
	ids   []audience.InstallationID
	found []audience.Located
	err   error
	// leads receives when the call is carried out; true: it is to carry out those that
	// wait, and itself with them.
	leads chan bool
}

// lookups has the calls that wait.
type lookups struct {
	mu      sync.Mutex
	waiting []*lookup // guarded by mu
	led     bool      // somebody carries out some; guarded by mu
}

// maxLookups bounds the calls that are carried out at once, so that none is large that
// waits for others.
const maxLookups = 256

// Ordinals implements audience.Store.
func (a *Audience) Ordinals(ctx context.Context, app audience.AppNumber, ids []audience.InstallationID) ([]audience.Located, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l := &lookup{app: app, ids: ids, found: make([]audience.Located, len(ids)), leads: make(chan bool, 1)}
	if !a.lookups.join(l) && !<-l.leads {
		return l.found, l.err
	}
	// It is short, and others wait for it.
	a.locate(context.WithoutCancel(ctx), a.lookups.take())
	a.lookups.pass()
	return l.found, l.err
}

// join adds a call, and reports whether it has to carry out those that wait.
func (all *lookups) join(l *lookup) bool {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.waiting = append(all.waiting, l)
	leads := !all.led
	all.led = true
	return leads
}

// take returns those that wait, from the first on: it is who takes them.
func (all *lookups) take() []*lookup {
	all.mu.Lock()
	defer all.mu.Unlock()
	n := min(len(all.waiting), maxLookups)
	some := all.waiting[:n:n]
	all.waiting = all.waiting[n:]
	return some
}

// pass has one of those who wait carry out the next ones.
func (all *lookups) pass() {
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.led = len(all.waiting) > 0; all.led {
		all.waiting[0].leads <- true
	}
}

// locate carries out calls, and tells all but the first, which is the caller's.
func (a *Audience) locate(ctx context.Context, calls []*lookup) {
	apps := make(map[audience.AppNumber][]*lookup, 1)
	for _, l := range calls {
		apps[l.app] = append(apps[l.app], l)
	}
	for app, some := range apps {
		if err := a.locateIn(ctx, app, some); err != nil {
			for _, l := range some {
				l.err = fault(a.db.path, err)
			}
		}
	}
	for _, l := range calls[1:] {
		l.leads <- false
	}
}

// locateIn carries out calls for an app.
func (a *Audience) locateIn(ctx context.Context, app audience.AppNumber, calls []*lookup) (err error) {
	var (
		list  []byte // of JSON
		found []*audience.Located
	)
	for _, l := range calls {
		for n, id := range l.ids {
			if id.Check() != nil {
				continue // there is none, and it may be no text of JSON
			}
			if list = append(list, ','); len(found) == 0 {
				list[0] = '['
			}
			list = append(append(append(list, '"'), id...), '"')
			found = append(found, &l.found[n])
		}
	}
	if len(found) == 0 {
		return nil
	}
	rows, err := a.read.ordinals.QueryContext(ctx, string(append(list, ']')), app)
	if err != nil {
		return err
	}
	defer func() {
		if closed := rows.Close(); err == nil {
			err = closed
		}
	}()
	for rows.Next() {
		var n int
		var o audience.Ordinal
		if err := rows.Scan(&n, &o); err != nil {
			return err
		}
		*found[n] = audience.Located{Ordinal: o, Known: true}
	}
	return rows.Err()
}
