package outbox

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/audience"
)

// What is stored begins with recordVersion.
const recordVersion = 1

// errRecord says that bytes are not what was stored.
var errRecord = errors.New("a stored message cannot be read")

// intentRecord is the JSON of an Intent, but for its ID and payload.
type intentRecord struct {
	App         audience.AppNumber  `json:"app"`
	Lane        Lane                `json:"lane"`
	ID          apns.NotificationID `json:"id,omitempty"`
	Topic       apns.Topic          `json:"topic"`
	PushType    apns.PushType       `json:"push_type"`
	Priority    apns.Priority       `json:"priority,omitempty"`
	Expiration  *int64              `json:"expiration,omitempty"` // seconds since the epoch
	CollapseID  apns.CollapseID     `json:"collapse_id,omitempty"`
	Kind        audience.Kind       `json:"kind"`
	Environment uint8               `json:"environment,omitempty"`
	Tag         string              `json:"tag,omitempty"`
	Everybody   bool                `json:"everybody,omitempty"`
	StartAt     time.Time           `json:"start_at,omitzero"`
	Deadline    time.Time           `json:"deadline"`
}

// Append appends i as ParseIntent reads it: the version, the length of a JSON
// object (uvarint) and that, and the payload.
func (i *Intent) Append(b []byte) ([]byte, error) {
	n := &i.Notification
	r := intentRecord{
		App: i.App, Lane: i.Lane, ID: n.ID, Topic: n.Topic, PushType: n.PushType, Priority: n.Priority, CollapseID: n.CollapseID,
		Kind: i.Use.Kind, Environment: uint8(i.Use.Environment), Tag: i.Tag, Everybody: i.Everybody, StartAt: i.StartAt, Deadline: i.Deadline,
	}
	if seconds, ok := n.Expiration.Seconds(); ok {
		r.Expiration = &seconds
	}
	text, err := json.Marshal(r)
	if err != nil {
		return b, err
	}
	b = binary.AppendUvarint(append(b, recordVersion), uint64(len(text)))
	return append(append(b, text...), n.Payload...), nil
}

// ParseIntent reads the intent of a message. It keeps nothing of b.
func ParseIntent(id MessageID, b []byte) (i Intent, err error) {
	if len(b) == 0 || b[0] != recordVersion {
		return i, errRecord
	}
	length, size := binary.Uvarint(b[1:])
	if size <= 0 || length > uint64(len(b)-1-size) {
		return i, errRecord
	}
	text, payload := b[1+size:1+size+int(length)], b[1+size+int(length):]
	var r intentRecord
	if err := json.Unmarshal(text, &r); err != nil {
		return i, errors.Join(errRecord, err)
	}
	i = Intent{
		ID: id, App: r.App, Lane: r.Lane, Use: audience.Use{Kind: r.Kind, Environment: apns.Environment(r.Environment)},
		Tag: r.Tag, Everybody: r.Everybody, StartAt: r.StartAt, Deadline: r.Deadline,
		Notification: apns.Notification{ID: r.ID, Topic: r.Topic, PushType: r.PushType, Priority: r.Priority, CollapseID: r.CollapseID},
	}
	if r.Expiration != nil {
		i.Notification.Expiration = apns.ExpiresAt(time.Unix(*r.Expiration, 0))
	}
	if len(payload) > 0 {
		i.Notification.Payload = append(apns.Payload(nil), payload...)
	}
	return i, nil
}

// Append appends s as ParseStatus reads it: the version and a JSON object.
func (s *Status) Append(b []byte) ([]byte, error) {
	text, err := json.Marshal(s)
	return append(append(b, recordVersion), text...), err
}

// ParseStatus reads a status. It keeps nothing of b.
func ParseStatus(b []byte) (s Status, err error) {
	if len(b) == 0 || b[0] != recordVersion {
		return s, errRecord
	}
	if err := json.Unmarshal(b[1:], &s); err != nil {
		return s, errors.Join(errRecord, err)
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
		members := s.Members.Append(room[:0])
		b = binary.AppendUvarint(b, uint64(len(members)))
		b = append(b, members...)
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
	if len(b) < 2 || b[0] != recordVersion {
		return s, errRecord
	}
	form := b[1]
	pass, b, ok := uvarint(b[2:], math.MaxInt32)
	if !ok {
		return s, errRecord
	}
	s.Number, s.Pass = number, pass
	length, b, ok := uvarint(b, max(MaxListed, 1+audience.ChunkWidth/8))
	if !ok {
		return s, errRecord
	}
	switch form {
	case shardOfMembers:
		if length > len(b) {
			return s, errRecord
		}
		if s.Members, err = audience.ParseMembers(b[:length]); err != nil {
			return s, err
		}
		length, b = s.Members.Count(), b[length:]
	case shardListed:
		for range length {
			if len(b) < 2 || int(b[1]) > len(b)-2 {
				return s, errRecord
			}
			end := 2 + int(b[1])
			s.Listed = append(s.Listed, Addressee{apns.Environment(b[0]), apns.DeviceToken(b[2:end])})
			b = b[end:]
		}
	default:
		return s, errRecord
	}
	s.Receipts, err = ParseReceipts(length, b)
	return s, err
}

// uvarint reads a number that is at most a limit.
func uvarint(b []byte, most uint64) (n int, rest []byte, ok bool) {
	v, size := binary.Uvarint(b)
	if size <= 0 || v > most {
		return 0, nil, false
	}
	return int(v), b[size:], true
}
