package outbox

import (
	"context"
	"errors"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/audience"
)

// Errors of a Store.
var (
	// ErrNotFound says that the outbox has no such message: it never had, or it has
	// ended and was removed.
	ErrNotFound = errors.New("no such message")
	// ErrOtherRequest says that an idempotency key was used for another request.
	ErrOtherRequest = errors.New("the idempotency key was used for another request")
	// ErrFenced says that a shard was claimed by another since, or that its message
	// was removed.
	ErrFenced = errors.New("the shard is not held any more")
	// ErrFull says that there is no room for more.
	ErrFull = errors.New("the outbox is full")
	// ErrClosed says that the outbox was closed.
	ErrClosed = errors.New("the outbox is closed")
)

// Submission is a message to be stored.
type Submission struct {
	Intent Intent
	// Shards are those of a message that is not Open; they have at least one member
	// each.
	Shards []Shard
	// Once, if its Key is not zero, makes the submission one that happens once.
	Once Once
}

// Once identifies a request that may come more than once.
type Once struct {
	// Key is the idempotency key of the app, in a form of that length.
	Key [16]byte
	// Fingerprint is that of the request.
	Fingerprint [16]byte
	// Until is how long the key is remembered.
	Until time.Time
}

// Claim is a shard that the caller holds, until another may claim it.
type Claim struct {
	Message *Intent
	Shard   Shard
	// Fence is greater than that of all claims before it.
	Fence uint64
}

// Queue is where the shards of an app wait that are in a lane.
type Queue struct {
	Lane Lane
	App  audience.AppNumber
}

// Wanted says what is to be claimed.
type Wanted struct {
	Queue
	// Shards and Members bound what is claimed; one shard may exceed Members.
	Shards, Members int
	// Until is when others may claim what was not released.
	Until time.Time
}

// Progress is how far the holder of a shard has come.
type Progress struct {
	Message MessageID
	Shard   uint32
	Fence   uint64
	// Receipts are all of the shard's.
	Receipts Receipts
	// Failures are those since the last Progress.
	Failures []Failure
	// Release gives the shard back. If some are still pending, it can be claimed
	// from Next on, for another pass.
	Release bool
	Next    time.Time
	// Until is as in Wanted, for a shard that is not released.
	Until time.Time
}

// Checked is what became of a Progress.
type Checked struct {
	// Status is that of the message.
	Status Status
	// Err is ErrFenced if nothing was stored.
	Err error
}

// Store keeps messages and their shards. It is safe for concurrent use; what a
// method changes is durable (if the store is) when it returns, and nobody is
// handed a shard of a message before that is durable. Times are to the
// millisecond at least, in UTC. The suite providertest.Outbox proves an
// implementation.
type Store interface {
	Reader

	// Submit stores a message. If Once says that it was submitted before, it
	// returns the message that it was, with its ID alone if that was removed, and
	// true. The error may be ErrOtherRequest or ErrFull.
	Submit(ctx context.Context, s Submission, now time.Time) (Message, bool, error)

	// Step carries out Message.Step, and returns the message as it is then. Shards
	// are stored with it, which come with Extend alone. When a message starts or
	// resumes, its shards can be claimed. The error may be ErrNotFound, ErrFull, or
	// wrap ErrState.
	Step(ctx context.Context, id MessageID, e Event, shards []Shard, now time.Time) (Message, error)

	// Claim returns shards that have some pending, of messages that are running,
	// and that nobody else holds; those first that have waited longest.
	Claim(ctx context.Context, w Wanted, now time.Time) ([]Claim, error)

	// Checkpoint stores progress, each by itself and all at once, and Answered
	// happens to the messages.
	Checkpoint(ctx context.Context, all []Progress, now time.Time) ([]Checked, error)

	// Remove removes messages and all that belongs to them, as far as they are there.
	Remove(ctx context.Context, ids ...MessageID) error

	// Close closes the store, when what was asked of it is done.
	Close() error
}

// Reader is what there is to be read in a Store.
type Reader interface {
	// Message returns a message, or ErrNotFound.
	Message(ctx context.Context, id MessageID) (Message, error)
	// Shards returns up to limit shards of a message, from a number on.
	Shards(ctx context.Context, id MessageID, from uint32, limit int) ([]Shard, error)
	// Failures returns up to limit failures of a message after one, by shard and
	// rank; the first are those after the zero value.
	Failures(ctx context.Context, id MessageID, after FailureAt, limit int) ([]ShardFailure, error)
	// Ready returns the queues with shards that can be claimed, and when else there
	// will be one; zero if there will not.
	Ready(ctx context.Context, now time.Time) ([]Queue, time.Time, error)
	// Waiting returns of each queue the oldest message of which a shard waits that can
	// be claimed until a time, or is held. It may look at no more than the first
	// thousands of a queue.
	Waiting(ctx context.Context, until time.Time) (map[Queue]MessageID, error)
	// Due returns up to limit messages whose Alarm is over, the longest ago first,
	// and when the next will be if these are all; zero if there is none.
	Due(ctx context.Context, now time.Time, limit int) ([]Message, time.Time, error)
	// List returns up to limit messages of an app that are older than one, by their
	// IDs, the newest first; the zero ID is that of none, and newer than all.
	List(ctx context.Context, app audience.AppNumber, before MessageID, limit int) ([]Message, error)
	// Ended returns up to limit messages that have ended and of which nobody holds a
	// shard, the longest ago first. They do not change any more: who held a shard of
	// one for longer than allowed is refused with ErrFenced.
	Ended(ctx context.Context, now time.Time, limit int) ([]Message, error)
}

// FailureAt is the place of a failure in its message. The zero value is before
// the first.
type FailureAt struct {
	Shard uint32
	// Next is the rank after that of the failure.
	Next uint32
}

// ShardFailure is a failure with its place.
type ShardFailure struct {
	Shard uint32
	Failure
}

// At returns the place of f.
func (f ShardFailure) At() FailureAt { return FailureAt{f.Shard, uint32(f.Rank) + 1} }

// Answered returns what happens to the message by progress on a shard that was as
// it says, and whether that is possible: the receipts are of as many members.
func (p *Progress) Answered(was *Shard) (Answered, bool) {
	if p.Receipts.Len() != was.Receipts.Len() {
		return Answered{}, false
	}
	e := Answered{Change: p.Receipts.Count().Minus(was.Receipts.Count())}
	for _, f := range p.Failures {
		if e.Reasons == nil {
			e.Reasons = make(map[apns.Reason]int)
		}
		e.Reasons[f.Reason]++
	}
	return e, true
}
