package outbox

import (
	"math/rand/v2"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/audience"
)

// MaxListed is how many device tokens a shard may list.
const MaxListed = 1024

// Shard is a part of those a message is for, and what has become of it for each.
type Shard struct {
	// Number is the chunk of the members; or counts from 0 for shards that list
	// device tokens.
	Number uint32
	// Members are installations of the chunk; nil if Listed has device tokens.
	Members *audience.Members
	// Listed are device tokens that came with the message, at most MaxListed.
	Listed []Addressee
	// Receipts are those of the members, by rank, or of the listed.
	Receipts Receipts
	// Pass counts how often all that were pending have been tried.
	Pass int
}

// Addressee is a device token that a message names.
type Addressee struct {
	Environment apns.Environment
	DeviceToken apns.DeviceToken
}

// NewShard returns the shard of the members of a chunk.
func NewShard(c audience.Chunk, m *audience.Members) Shard {
	return Shard{Number: uint32(c), Members: m, Receipts: NewReceipts(m.Count())}
}

// Chunk returns the chunk that the members are of.
func (s *Shard) Chunk() audience.Chunk { return audience.Chunk(s.Number) }

// Failure is why a member has the receipt Rejected.
type Failure struct {
	Rank int
	// Status is that of the answer; 0 if nothing was sent.
	Status int
	// Reason is that of the answer, or one of ours.
	Reason apns.Reason
	At     time.Time
	// ID is the apns-id that was sent; empty if nothing was.
	ID apns.NotificationID
}

// The reasons for sending nothing.
const (
	// NoDeviceToken says that the installation has no device token of the kind and
	// environment any more, or is gone itself.
	NoDeviceToken apns.Reason = "no_device_token"
	// InQuarantine says that the device token is in doubt, and not to be tried yet.
	InQuarantine apns.Reason = "in_quarantine"
)

// The waits between passes.
const (
	firstWait = time.Second
	maxWait   = 5 * time.Minute
	// waitSpread is by how much of itself a wait may be longer or shorter, so that
	// what failed together does not come back together.
	waitSpread = 0.2
)

// Wait returns how long a shard is left alone after a pass, counted from 0, that
// left some pending; asked is a Retry-After of the answers, zero for none: it is
// not less than that.
func Wait(pass int, asked time.Duration) time.Duration {
	wait := maxWait
	if pass < 9 { // 2^9 seconds are more than maxWait
		wait = min(firstWait<<max(pass, 0), maxWait)
	}
	spread := waitSpread * rand.Float64()
	return max(scaled(wait, 1-waitSpread+2*spread), scaled(min(asked, maxAsked), 1+spread))
}

func scaled(d time.Duration, by float64) time.Duration { return time.Duration(float64(d) * by) }

// maxAsked bounds what a gateway may ask for.
const maxAsked = time.Hour
