package scripted

import (
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http2/hpack"

	"github.com/heraldpush/herald/apns"
)

// Push is one request that arrived, with what became of it. A request on
// another path than that of pushes, such as a broadcast, is one too; it has no
// device token.
type Push struct {
	// Number counts the pushes of the gateway, from 1, as their headers arrived.
	Number int
	// Connection is the number of the connection that it came on, from 1.
	Connection int
	// Stream is its HTTP/2 stream.
	Stream uint32
	// Header holds all header fields as they were sent, pseudo-header fields
	// first.
	Header []hpack.HeaderField
	// Method and Path are those of the request.
	Method, Path string
	// DeviceToken is what the path names; empty where that is no device token.
	DeviceToken apns.DeviceToken
	// ID is the apns-id: the sender's, or the one that the gateway gave.
	ID apns.NotificationID
	// Attempt is how many times a push of this device token and this apns-id has
	// arrived, this time included. It is 1 in a gateway that discards its record.
	Attempt int
	// Body is the payload, cut off at 64 KiB.
	Body []byte
	// BodyBytes is how long the body was in whole.
	BodyBytes int
	// Arrived is when its headers came, and Ended when its fate was decided.
	Arrived, Ended time.Time
	// Fate is what became of it.
	Fate Fate
	// Processed is whether the gateway took it as accepted. Where its fate is not
	// Accepted, the sender cannot know that.
	Processed bool
}

// maxBodyBytes is how much is kept of a body.
const maxBodyBytes = 64 << 10

// Value returns the value of the first header field of the name, which is in
// lower case, or "".
func (p Push) Value(name string) string {
	for _, f := range p.Header {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// Key names a push across its attempts.
func (p Push) Key() Key {
	return Key{p.DeviceToken, apns.NotificationID(strings.ToLower(string(p.ID)))}
}

// clone returns p with storage of its own.
func (p Push) clone() Push {
	p.Header, p.Body = slices.Clone(p.Header), slices.Clone(p.Body)
	return p
}

// read fills in what the header fields say.
func (p *Push) read(fields []hpack.HeaderField) {
	p.Header = slices.Clone(fields)
	p.Method, p.Path, p.ID = p.Value(":method"), p.Value(":path"), apns.NotificationID(p.Value("apns-id"))
	if hex, ok := strings.CutPrefix(p.Path, "/3/device/"); ok {
		if to, err := apns.ParseDeviceToken(hex); err == nil {
			p.DeviceToken = to
		}
	}
	if p.ID == "" {
		p.ID = apns.NotificationID(apns.NewUUID())
	}
}

// Key is what tells one notification to one device from all others: the pushes
// with the same key are attempts at the same thing.
type Key struct {
	DeviceToken apns.DeviceToken
	// ID is the apns-id in lower case.
	ID apns.NotificationID
}

// Fate is what became of a push.
type Fate uint8

// The fates.
const (
	// Arriving: its headers are here, its body is not yet whole.
	Arriving Fate = iota
	// Waiting: it is whole, and the answer is due later.
	Waiting
	// Accepted: it was answered with a status of success.
	Accepted
	// Rejected: it was answered with another status.
	Rejected
	// Unanswered: the script has no answer for it, or no more than the beginning
	// of one.
	Unanswered
	// RefusedStream: its stream was reset with REFUSED_STREAM: by the script, or
	// because there were more streams than the limit.
	RefusedStream
	// ResetStream: its stream was reset with another code.
	ResetStream
	// LeftOut: it was above the last stream of a GOAWAY.
	LeftOut
	// Cancelled: the sender reset its stream before there was an answer.
	Cancelled
	// Lost: its connection ended before there was an answer.
	Lost

	fates = iota
)

var fateNames = [fates]string{
	"arriving", "waiting", "accepted", "rejected", "unanswered", "refused stream", "reset stream", "left out", "cancelled", "lost",
}

// String returns the fate in words.
func (f Fate) String() string {
	if int(f) < len(fateNames) {
		return fateNames[f]
	}
	return "unknown fate"
}
