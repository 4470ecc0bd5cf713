package outbox

import (
	"encoding/binary"
	"errors"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/audience"
)

// What is stored begins with recordVersion.
const recordVersion = 2

// errRecord says that bytes are not what was stored.
var errRecord = errors.New("a stored message cannot be read")

// The flags of an intent and of a status.
const (
	flagExpires   = 1
	flagEverybody = 2

	flagFrozen = 1
	flagBlown  = 2
	flagUntold = 4
)

// Append appends i, but for its ID, as ParseIntent reads it:
//
//	version        1
//	lane           1
//	flags          1  flagExpires, flagEverybody
//	priority       1
//	environment    1  of the use
//	app            uvarint
//	start, deadline   a time each
//	expiration     varint, seconds since the epoch; 0 without the flag
//	then, each behind its length (uvarint): id, topic, push type, collapse id, kind,
//	tag, trace parent; and the payload, which is the rest
//
// A time is the seconds since the epoch (varint) and the nanoseconds (uvarint).
func (i *Intent) Append(b []byte) []byte {
	n := &i.Notification
	b = slices.Grow(b, intentBytes+len(n.ID)+len(n.Topic)+len(n.PushType)+len(n.CollapseID)+len(i.Use.Kind)+len(i.Tag)+len(i.TraceParent)+len(n.Payload))
	seconds, expires := n.Expiration.Seconds()
	b = append(b, recordVersion, byte(i.Lane), flags(expires, i.Everybody), byte(n.Priority), byte(i.Use.Environment))
	b = binary.AppendUvarint(b, uint64(i.App))
	b = appendTime(appendTime(b, i.StartAt), i.Deadline)
	b = binary.AppendVarint(b, seconds)
	b = appendText(b, n.ID)
	b = appendText(b, n.Topic)
	b = appendText(b, n.PushType)
	b = appendText(b, n.CollapseID)
	b = appendText(b, i.Use.Kind)
	b = appendText(b, i.Tag)
	b = appendText(b, i.TraceParent)
	return append(b, n.Payload...)
}

// intentBytes is at most how long an intent is but for its texts.
const intentBytes = 5 + 5*binary.MaxVarintLen64 + 8*binary.MaxVarintLen32

// ParseIntent reads the intent of a message. It keeps nothing of b.
func ParseIntent(id MessageID, b []byte) (Intent, error) {
	r := record{b: b}
	r.version()
	i := Intent{ID: id, Lane: Lane(r.byte())}
	n, set := &i.Notification, r.byte()
	n.Priority, i.Use.Environment = apns.Priority(r.byte()), apns.Environment(r.byte())
	i.App = audience.AppNumber(r.number(math.MaxUint32)) //nolint:gosec // bounded
	i.StartAt, i.Deadline = r.time(), r.time()
	seconds := r.varint()
	n.ID = apns.NotificationID(r.text())
	n.Topic = apns.Topic(r.text())
	n.PushType = apns.PushType(r.text())
	n.CollapseID = apns.CollapseID(r.text())
	i.Use.Kind = audience.Kind(r.text())
	i.Tag = string(r.text())
	i.TraceParent = string(r.text())
	i.Everybody = set&flagEverybody != 0
	if set&flagExpires != 0 {
		n.Expiration = apns.ExpiresAt(time.Unix(seconds, 0))
	}
	if len(r.b) > 0 {
		n.Payload = append(apns.Payload(nil), r.b...)
	}
	if r.bad || set > flagExpires|flagEverybody {
		return Intent{ID: id}, errRecord
	}
	return i, nil
}

// Append appends s as ParseStatus reads it:
//
//	version        1
//	state          1
//	flags          1  flagFrozen, flagBlown, flagUntold
//	next, below       uvarint each
//	targeted, the receipts by their number, answers and bad of the fuse
//	                  varint each
//	ended          a time
//	why            behind its length (uvarint)
//	reasons        their number (uvarint), and of each the text behind its length,
//	               and how many (varint)
//	untold         with the flag alone: see appendTurns
func (s *Status) Append(b []byte) []byte {
	b = append(b, recordVersion, byte(s.State), flags(s.Frozen, s.Fuse.Blown, len(s.Untold) > 0))
	b = binary.AppendUvarint(b, uint64(s.Next))
	b = binary.AppendUvarint(b, uint64(s.Below))
	b = binary.AppendVarint(b, int64(s.Counts.Targeted))
	for _, n := range s.Counts.Receipts {
		b = binary.AppendVarint(b, int64(n))
	}
	b = binary.AppendVarint(b, int64(s.Fuse.Answers))
	b = binary.AppendVarint(b, int64(s.Fuse.Bad))
	b = appendText(appendTime(b, s.EndedAt), s.Why)
	b = binary.AppendUvarint(b, uint64(len(s.Counts.Reasons)))
	if len(s.Counts.Reasons) > 0 {
		for _, reason := range slices.Sorted(maps.Keys(s.Counts.Reasons)) {
			b = binary.AppendVarint(appendText(b, reason), int64(s.Counts.Reasons[reason]))
		}
	}
	if len(s.Untold) > 0 {
		b = appendTurns(b, s.Untold)
	}
	return b
}

// ParseStatus reads a status. It keeps nothing of b.
func ParseStatus(b []byte) (s Status, err error) {
	r := record{b: b}
	r.version()
	s.State = State(r.byte())
	set := r.byte()
	s.Frozen, s.Fuse.Blown = set&flagFrozen != 0, set&flagBlown != 0
	s.Next = audience.Chunk(r.number(math.MaxUint32))    //nolint:gosec // bounded
	s.Below = audience.Ordinal(r.number(math.MaxUint32)) //nolint:gosec // bounded
	s.Counts.Targeted = int(r.varint())
	for n := range s.Counts.Receipts {
		s.Counts.Receipts[n] = int(r.varint())
	}
	s.Fuse.Answers, s.Fuse.Bad = int(r.varint()), int(r.varint())
	s.EndedAt, s.Why = r.time(), string(r.text())
	for range r.number(maxReasons + 1) {
		if s.Counts.Reasons == nil {
			s.Counts.Reasons = make(map[apns.Reason]int)
		}
		reason := apns.Reason(r.text())
		s.Counts.Reasons[reason] = int(r.varint())
	}
	if set&flagUntold != 0 {
		if s.Untold = r.turns(); len(s.Untold) == 0 {
			r.fail()
		}
	}
	if !r.ended() || set > flagFrozen|flagBlown|flagUntold {
		return Status{}, errRecord
	}
	return s, nil
}

// The forms of a stored shard.
const (
	shardOfMembers = 'm'
	shardListed    = 'l'
)

// Append appends s, but for its number, as ParseShard reads it:
//
//	version    1
//	form       1  shardOfMembers or shardListed
//	pass       uvarint
//	members    behind their length (uvarint), as audience.Members appends them; or
//	listed     their number (uvarint), and of each: environment, 1, and the device
//	           token behind its length, 1
//	receipts   the rest
func (s *Shard) Append(b []byte) []byte {
	if s.Members != nil {
		b = binary.AppendUvarint(append(b, recordVersion, shardOfMembers), uint64(s.Pass))
		var room [1 + audience.ChunkWidth/8]byte
		b = appendText(b, s.Members.Append(room[:0]))
	} else {
		b = binary.AppendUvarint(append(b, recordVersion, shardListed), uint64(s.Pass))
		b = binary.AppendUvarint(b, uint64(len(s.Listed)))
		for _, a := range s.Listed {
			b = append(append(b, byte(a.Environment), byte(len(a.DeviceToken))), a.DeviceToken...)
		}
	}
	return append(b, s.Receipts.Bytes()...)
}

// ParseShard reads a shard. It keeps nothing of b.
func ParseShard(number uint32, b []byte) (s Shard, err error) {
	r := record{b: b}
	r.version()
	form := r.byte()
	s.Number, s.Pass = number, r.number(math.MaxInt32)
	length := 0
	switch form {
	case shardOfMembers:
		members := r.text()
		if r.bad {
			return s, errRecord
		}
		if s.Members, err = audience.ParseMembers(members); err != nil {
			return s, err
		}
		length = s.Members.Count()
	case shardListed:
		length = r.number(MaxListed)
		for range length {
			e := apns.Environment(r.byte())
			s.Listed = append(s.Listed, Addressee{e, apns.DeviceToken(r.take(int(r.byte())))})
		}
	default:
		r.bad = true
	}
	if r.bad {
		return s, errRecord
	}
	s.Receipts, err = ParseReceipts(length, r.b)
	return s, err
}

// Append appends f as ParseFailure reads it:
//
//	version    1
//	rank       uvarint
//	status     uvarint
//	at         a time
//	reason     behind its length (uvarint)
//	id         behind its length (uvarint)
func (f *Failure) Append(b []byte) []byte {
	b = binary.AppendUvarint(append(b, recordVersion), uint64(f.Rank)) //nolint:gosec // a rank
	b = binary.AppendUvarint(b, uint64(f.Status))                      //nolint:gosec // a status of HTTP
	return appendText(appendText(appendTime(b, f.At), f.Reason), f.ID)
}

// ParseFailure reads a failure. It keeps nothing of b.
func ParseFailure(b []byte) (Failure, error) {
	r := record{b: b}
	f := r.failure()
	if !r.ended() {
		return Failure{}, errRecord
	}
	return f, nil
}

func (r *record) failure() (f Failure) {
	r.version()
	f.Rank, f.Status, f.At = r.number(math.MaxInt32), r.number(math.MaxInt32), r.time()
	f.Reason, f.ID = apns.Reason(r.text()), apns.NotificationID(r.text())
	return f
}
