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
	began time.Time

	// Guarded by the load's mu.

	receipts  outbox.Receipts
	failures  []outbox.Failure // since the last checkpoint
	judgments []judgment       // since the last checkpoint
	left      int              // items without a result
	asked     time.Duration    // the shortest Retry-After of those that are to be tried again
	tries     int              // how many these are
	changed   bool             // since the last checkpoint
	stopped   bool             // nothing more of it is to be sent
	released  bool             // its last checkpoint is stored
	saidAt    time.Time        // when the last was
	outlooks  map[int]*outlook // of members with several items
}

// item is a device token that a parcel goes to.
type item struct {
	parcel *parcel
	rank   int
	target *audience.Target
	began  time.Time
}

// judgment is what an answer makes of the device token of an item.
type judgment struct {
	target *audience.Target
	after  audience.Standing
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
	soon  chan struct{} // what is known is to be stored; holds one

	mu      sync.Mutex
	parcels []*parcel
	trust   map[way]bool // where the load before went well; guarded by mu
}

// pack makes a load of claims, with the items that go each way. Members that cannot be
// sent anything have their receipt.
func (d *Dispatcher) pack(ctx context.Context, q outbox.Queue, claims []outbox.Claim) (*load, map[way][]item, error) {
	now := time.Now()
	l := &load{Dispatcher: d, queue: q, soon: make(chan struct{}, 1)}
	items := make(map[way][]item)
	var open []*parcel
	for i := range claims {
		c := claims[i]
		p := &parcel{claim: c, began: now, receipts: c.Shard.Receipts.Clone(), saidAt: now}
		l.parcels = append(l.parcels, p)
		if !now.Before(c.Message.Deadline) {
			p.expire()
			continue
		}
		open = append(open, p)
	}
	found, err := d.find(ctx, open)
	if err != nil {
		return nil, nil, err
	}
	for _, p := range open {
		l.address(p, found[p], items, now)
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

// lot is what is looked up at once: of messages to an installation each there are many
// in a load, and to begin a look-up costs more than what it finds.
type lot struct {
	app   audience.AppNumber
	chunk audience.Chunk
	use   audience.Use
}

// find returns the device tokens of those members of parcels that are pending. The
// ordinal of one that is listed is its rank.
func (d *Dispatcher) find(ctx context.Context, parcels []*parcel) (map[*parcel][]audience.Target, error) {
	found := make(map[*parcel][]audience.Target, len(parcels))
	lots := make(map[lot][]*parcel)
	for _, p := range parcels {
		if p.claim.Shard.Members == nil {
			found[p] = p.listed()
			continue
		}
		k := lot{p.claim.Message.App, p.claim.Shard.Chunk(), p.claim.Message.Use}
		lots[k] = append(lots[k], p)
	}
	for k, some := range lots {
		var pending audience.Members
		for _, p := range some {
			for rank, slot := range p.claim.Shard.Members.All() {
				if p.receipts.Get(rank) == outbox.Pending {
					pending.Add(slot)
				}
			}
		}
		targets, err := d.cfg.Audience.Targets(ctx, k.app, k.chunk, &pending, k.use)
		if err != nil {
			return nil, err
		}
		for _, p := range some {
			if len(some) == 1 {
				found[p] = targets
				break
			}
			for n := range targets { // a copy: each is judged by itself
				if p.awaits(&targets[n]) {
					found[p] = append(found[p], targets[n])
				}
			}
		}
	}
	return found, nil
}

// listed returns the device tokens of a parcel that lists them, and are pending.
func (p *parcel) listed() (targets []audience.Target) {
	for rank, a := range p.claim.Shard.Listed {
		if p.receipts.Get(rank) == outbox.Pending {
			targets = append(targets, audience.Target{
				Ordinal:     audience.Ordinal(rank), //nolint:gosec // below MaxListed
				Destination: audience.Destination{Environment: a.Environment, DeviceToken: a.DeviceToken},
			})
		}
	}
	return targets
}

// awaits reports whether a target is of a member of a parcel that is pending.
func (p *parcel) awaits(t *audience.Target) bool {
	return p.claim.Shard.Members.Has(t.Ordinal.Slot()) && p.receipts.Get(p.rank(t)) == outbox.Pending
}

// rank returns which member of a parcel has a target.
func (p *parcel) rank(t *audience.Target) int {
	if p.claim.Shard.Members == nil {
		return int(t.Ordinal)
	}
	return p.claim.Shard.Members.Rank(t.Ordinal.Slot())
}

// of is what address knows of a member.
type of struct {
	now, later uint8 // items to be sent
	inDoubt    bool
}

// address adds to items those of a parcel that can be sent, and gives a receipt
// to the members that have none.
func (l *load) address(p *parcel, targets []audience.Target, items map[way][]item, now time.Time) {
	known := make([]of, p.receipts.Len())
	topic := p.claim.Message.Notification.Topic
	anyLater := !l.later.empty()
	var (
		last way
		some []item // those that go the last way
	)
	for n := range targets {
		t := &targets[n]
		rank := p.rank(t)
		if !t.Standing.Reachable(now) {
			known[rank].inDoubt = known[rank].inDoubt || t.Standing.State == audience.Quarantined
			continue
		}
		if anyLater {
			if wait := l.later.wait(recipient{t.Environment, t.DeviceToken}, now); wait > 0 {
				known[rank].later++
				p.tryAgain(wait)
				continue
			}
		}
		known[rank].now++
		if w := (way{t.Environment, topic}); w != last || some == nil {
			if some != nil {
				items[last] = some
			}
			if last, some = w, items[w]; some == nil {
				some = make([]item, 0, len(targets))
			}
		}
		some = append(some, item{parcel: p, rank: rank, target: t})
		p.left++
	}
	if some != nil {
		items[last] = some
	}
	for rank := range known {
		if p.receipts.Get(rank) != outbox.Pending {
			continue
		}
		switch k := known[rank]; {
		case k.now > 0 && k.now+k.later > 1:
			if p.outlooks == nil {
				p.outlooks = make(map[int]*outlook)
			}
			p.outlooks[rank] = &outlook{left: int(k.now), retry: k.later > 0}
		case k.now+k.later == 0:
			reason := outbox.NoDeviceToken
			if k.inDoubt {
				reason = outbox.InQuarantine
			}
			p.reject(outbox.Failure{Rank: rank, Reason: reason, At: now})
		}
	}
}

// tryAgain notes that a member is to be tried again, after a time that was asked
// for. The shard is when the first of them may be.
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
