package memory

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
)

// Archive is an outbox.Archive.
type Archive struct {
	mu   sync.Mutex
	apps map[audience.AppNumber]*archivedApp // guarded by mu
	line []*archived                         // as they were stored; guarded by mu
}

// archivedApp has the messages of an app.
type archivedApp struct {
	byID map[outbox.MessageID]*archived
	// ids has those that are whole, in order.
	ids []outbox.MessageID
}

// archived is a message as it is stored: in bytes, so that nobody shares it.
type archived struct {
	app   audience.AppNumber
	id    outbox.MessageID
	ended time.Time
	whole bool   // it was Put
	body  []byte // as outbox.Message appends it
	parts []archivedPart
}

// archivedPart is a part that ends with a shard. One that was cut otherwise by an
// earlier attempt may overlap with the one before it.
type archivedPart struct {
	last             uint32
	shards, failures []byte
}

var _ outbox.Archive = (*Archive)(nil)

// NewArchive returns an empty archive.
func NewArchive() *Archive { return &Archive{apps: make(map[audience.AppNumber]*archivedApp)} }

// Put implements outbox.Archive.
func (a *Archive) Put(ctx context.Context, all []outbox.Finished) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	for i := range all {
		f := &all[i]
		e := a.entry(&f.Message)
		if !f.Begun {
			e.parts = nil
		}
		e.add(f.Part, true)
		if e.ended, e.body = f.Message.EndedAt, f.Message.Append(nil); e.whole {
			continue
		}
		e.whole = true
		of := a.apps[e.app]
		at, _ := slices.BinarySearchFunc(of.ids, e.id, compareIDs)
		of.ids = slices.Insert(of.ids, at, e.id)
	}
	return nil
}

// Add implements outbox.Archive.
func (a *Archive) Add(ctx context.Context, m *outbox.Message, p outbox.Part) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	a.entry(m).add(p, false)
	return nil
}

// entry returns what is stored of a message, made if there is nothing.
func (a *Archive) entry(m *outbox.Message) *archived {
	of := a.apps[m.App]
	if of == nil {
		of = &archivedApp{byID: make(map[outbox.MessageID]*archived)}
		a.apps[m.App] = of
	}
	e := of.byID[m.ID]
	if e == nil {
		e = &archived{app: m.App, id: m.ID, ended: m.EndedAt}
		of.byID[m.ID] = e
		a.line = append(a.line, e)
	}
	return e
}

// add stores a part in the place of what is there; of all from its first shard on,
// if it is the end.
func (e *archived) add(p outbox.Part, end bool) {
	if len(p.Shards) == 0 {
		return
	}
	first, last := p.Shards[0].Number, p.Shards[len(p.Shards)-1].Number
	e.parts = slices.DeleteFunc(e.parts, func(q archivedPart) bool { return q.last >= first && (end || q.last <= last) })
	e.parts = append(e.parts, archivedPart{last, outbox.AppendShards(nil, p.Shards), outbox.AppendFailures(nil, p.Failures)})
	slices.SortFunc(e.parts, func(q, r archivedPart) int { return int(int64(q.last) - int64(r.last)) })
}

func compareIDs(a, b outbox.MessageID) int { return bytes.Compare(a[:], b[:]) }

// find returns a message that is whole, or nil.
func (a *Archive) find(app audience.AppNumber, id outbox.MessageID) *archived {
	of := a.apps[app]
	if of == nil {
		return nil
	}
	if e := of.byID[id]; e != nil && e.whole {
		return e
	}
	return nil
}

// Message implements outbox.Archive.
func (a *Archive) Message(ctx context.Context, app audience.AppNumber, id outbox.MessageID) (outbox.Message, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return outbox.Message{}, err
	}
	e := a.find(app, id)
	if e == nil {
		return outbox.Message{}, outbox.ErrNotFound
	}
	return outbox.ParseMessage(id, e.body)
}

// Shards implements outbox.Archive.
func (a *Archive) Shards(ctx context.Context, app audience.AppNumber, id outbox.MessageID, from uint32, limit int) (all []outbox.Shard, err error) {
	err = a.eachPart(ctx, app, id, from, func(p *archivedPart) (uint32, bool, error) {
		some, err := outbox.ParseShards(p.shards, from, limit-len(all))
		all = append(all, some...)
		from = max(from, p.last+1)
		return from, len(all) < limit, err
	})
	return all, err
}

// Failures implements outbox.Archive.
func (a *Archive) Failures(ctx context.Context, app audience.AppNumber, id outbox.MessageID, after outbox.FailureAt, limit int) (all []outbox.ShardFailure, err error) {
	err = a.eachPart(ctx, app, id, after.Shard, func(p *archivedPart) (uint32, bool, error) {
		some, err := outbox.ParseFailures(p.failures, after, limit-len(all))
		all = append(all, some...)
		if p.last >= after.Shard {
			after = outbox.FailureAt{Shard: p.last + 1}
		}
		return after.Shard, len(all) < limit, err
	})
	return all, err
}

// eachPart calls f with the parts of a message that have shards from a number on,
// which f returns for the next, as long as it reports true.
func (a *Archive) eachPart(ctx context.Context, app audience.AppNumber, id outbox.MessageID, from uint32, f func(*archivedPart) (uint32, bool, error)) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	e := a.find(app, id)
	if e == nil {
		return nil
	}
	for i := range e.parts {
		if e.parts[i].last < from {
			continue
		}
		next, goesOn, err := f(&e.parts[i])
		if err != nil || !goesOn {
			return err
		}
		from = next
	}
	return nil
}

// List implements outbox.Archive.
func (a *Archive) List(ctx context.Context, app audience.AppNumber, before outbox.MessageID, limit int) (all []outbox.Message, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	of := a.apps[app]
	if err := ctx.Err(); err != nil || of == nil {
		return nil, err
	}
	at := len(of.ids)
	if before != (outbox.MessageID{}) {
		at, _ = slices.BinarySearchFunc(of.ids, before, compareIDs)
	}
	for at--; at >= 0 && len(all) < limit; at-- {
		m, err := outbox.ParseMessage(of.ids[at], of.byID[of.ids[at]].body)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// Trim implements outbox.Archive.
func (a *Archive) Trim(ctx context.Context, ended time.Time, most int) (n int, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	a.line = slices.DeleteFunc(a.line, func(e *archived) bool {
		if n >= most || !e.ended.Before(ended) {
			return false
		}
		n++
		of := a.apps[e.app]
		delete(of.byID, e.id)
		if at, known := slices.BinarySearchFunc(of.ids, e.id, compareIDs); known {
			of.ids = slices.Delete(of.ids, at, at+1)
		}
		return true
	})
	return n, nil
}
