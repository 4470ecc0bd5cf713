package dispatch

import (
	"context"
	"sync"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
)

// parcel is a shard that is being sent.
type parcel struct {
	claim outbox.Claim

	// Guarded by the load's mu.

	receipts outbox.Receipts
	failures []outbox.Failure // since the last checkpoint
	rulings  []audience.Ruling
	left     int           // items without a result
	asked    time.Duration // the shortest Retry-After of those that are to be tried again
	tries    int           // how many these are
	changed  bool          // since the last checkpoint
	stopped  bool          // nothing more of it is to be sent
	released bool          // its last checkpoint is stored
	saidAt   time.Time     // when the last was
}

// item is a device token that a parcel goes to.
type item struct {
	parcel *parcel
	rank   int
	target audience.Target
	known  bool // the target is an installation's
	id     apns.NotificationID
	began  time.Time
}

// way is where items go: what has a credential of its own.
type way struct {
	environment apns.Environment
	topic       apns.Topic
}

// outlook is what is known of a member by the results of its items so far.
type outlook struct {
	left    int // items without a result
	retry   bool
	failure outbox.Failure
}

// load is what a worker has claimed at once, on its way.
type load struct {
	*Dispatcher
	queue outbox.Queue

	mu       sync.Mutex
	parcels  []*parcel
	outlooks map[*parcel]map[int]*outlook // of members with several items; guarded by mu
}

// pack makes a load of claims, with the items that go each way. Members that cannot be
// sent anything have their receipt.
func (d *Dispatcher) pack(ctx context.Context, q outbox.Queue, claims []outbox.Claim) (*load, map[way][]item, error) {
	now := time.Now()
	l := &load{Dispatcher: d, queue: q, outlooks: make(map[*parcel]map[int]*outlook)}
	items := make(map[way][]item)
	for _, c := range claims {
		p := &parcel{claim: c, receipts: c.Shard.Receipts.Clone(), saidAt: now}
		l.parcels = append(l.parcels, p)
		if !now.Before(c.Message.Deadline) {
			p.expire()
			continue
		}
		found, err := d.find(ctx, p)
		if err != nil {
			return nil, nil, err
		}
		l.address(p, found, items, now)
	}
	return l, items, nil
}

// expire gives all that are pending the receipt for it.
func (p *parcel) expire() {
	for rank := range p.receipts.Len() {
		if p.receipts.Get(rank) == outbox.Pending {
			p.receipts.Set(rank, outbox.Expired)
		}
	}
}

// find returns the items of those members of a parcel that are pending.
func (d *Dispatcher) find(ctx context.Context, p *parcel) (found []item, err error) {
	s := &p.claim.Shard
	if s.Members == nil {
		for rank, a := range s.Listed {
			if p.receipts.Get(rank) == outbox.Pending {
				t := audience.Target{Destination: audience.Destination{Environment: a.Environment, DeviceToken: a.DeviceToken}}
				found = append(found, item{parcel: p, rank: rank, target: t})
			}
		}
		return found, nil
	}
	var pending audience.Members
	for rank, slot := range s.Members.All() {
		if p.receipts.Get(rank) == outbox.Pending {
			pending.Add(slot)
		}
	}
	targets, err := d.cfg.Audience.Targets(ctx, p.claim.Message.App, s.Chunk(), &pending, p.claim.Message.Use)
	for _, t := range targets {
		found = append(found, item{parcel: p, rank: s.Members.Rank(t.Ordinal.Slot()), target: t, known: true})
	}
	return found, err
}

// address adds to items those of a parcel that can be sent, and gives a receipt
// to the members that have none.
func (l *load) address(p *parcel, found []item, items map[way][]item, now time.Time) {
	m := p.claim.Message
	count, inDoubt := make(map[int]int, len(found)), make(map[int]bool)
	for _, i := range found {
		if !i.target.Standing.Reachable(now) {
			inDoubt[i.rank] = inDoubt[i.rank] || i.target.Standing.State == audience.Quarantined
			continue
		}
		if i.id = m.Notification.ID; i.id == "" {
			i.id = outbox.NotificationID(m.ID, i.target.Environment, i.target.DeviceToken)
		}
		w := way{i.target.Environment, m.Notification.Topic}
		items[w] = append(items[w], i)
		count[i.rank]++
		p.left++
	}
	for rank := range p.receipts.Len() {
		if p.receipts.Get(rank) != outbox.Pending {
			continue
		}
		switch n := count[rank]; {
		case n > 1:
			if l.outlooks[p] == nil {
				l.outlooks[p] = make(map[int]*outlook)
			}
			l.outlooks[p][rank] = &outlook{left: n}
		case n == 0:
			reason := outbox.NoDeviceToken
			if inDoubt[rank] {
				reason = outbox.InQuarantine
			}
			p.reject(outbox.Failure{Rank: rank, Reason: reason, At: now})
		}
	}
}

// tryAgain notes that a member is to be tried again, after a time that was asked
// for. All pending members of a shard are tried at once: so it is the first of the
// times that counts.
func (p *parcel) tryAgain(asked time.Duration) {
	if p.tries == 0 || asked < p.asked {
		p.asked = asked
	}
	p.tries++
}

// reject gives a member the receipt Rejected.
func (p *parcel) reject(f outbox.Failure) {
	p.receipts.Set(f.Rank, outbox.Rejected)
	p.failures = append(p.failures, f)
	p.changed = true
}
