package wire

import (
	"net"
	"time"

	"github.com/heraldpush/herald/apns"
)

// ConnectAck answers a Connect, command 8 (docs/protocol/courier.md#connect-ack).
//
//	S→D
//	 1  u8        status
//	 2  string    host to connect to instead
//	 3  32 bytes  base token
//	 4  u16       largest message that the device may send, bytes
//	 5  2 bytes   00 02, meaning unknown; always written, some devices require it
//	 6  u32       capabilities; always written, some devices require it
//	 7  u64       courier's time, milliseconds: sign a nonce with this time
//	 8  u16       largest message of the large kind, bytes
//	 9  string    reason of the redirect
//	10  u64       courier's time, milliseconds
//	11  string    region
//	12  u64       a second timestamp, meaning unknown
//	19  bytes     public IP address of the device, 4 or 16
//	21  string    why the status is 2
//	22  u8        outcome of the wish for TLS PSKs
//
// and under ALPNHerald alone (docs/protocol/courier.md#extensions):
//
//	200  u32      idle limit, seconds
//	201  u16      window, notifications
//
// Items 16, 17, 18 and 20 are in use with another framing alone, and skipped.
//
// An accepting courier sets BaseToken, MaxMessageBytes, LargeMessageBytes and
// Time, as all devices are content with that and some with no less.
type ConnectAck struct {
	Status ConnectStatus
	// RedirectHost, if set, is where to connect instead; see also Redirect.
	RedirectHost string
	BaseToken    apns.BaseToken
	// MaxMessageBytes and LargeMessageBytes bound what the device sends, not
	// what it receives.
	MaxMessageBytes uint16
	// Capabilities name what the courier offers beyond the ordinary; Herald's
	// offers none.
	Capabilities uint32
	// NonceTime comes with StatusInvalid if nothing but the time of the nonce
	// was wrong: the device sends Connect again, on the same connection, with
	// a nonce of this time. A device that is refused without it may throw its
	// identity away.
	NonceTime         time.Time
	LargeMessageBytes uint16
	RedirectReason    string
	Time              time.Time
	Region            string
	// OtherTime is what devices know as a second timestamp; zero if absent.
	OtherTime uint64
	// PublicIP is the device's address as the courier sees it, of 4 or 16 bytes,
	// or nil. It aliases the payload.
	PublicIP []byte
	// InvalidReason may come with StatusInvalid.
	InvalidReason string
	// PSKStatus is as good as absent without HasPSKStatus.
	PSKStatus    uint8
	HasPSKStatus bool

	// The extension items, to be set only on a connection that negotiated
	// ALPNHerald. An empty one is left out.

	// IdleLimit is how long the device may be silent, in whole seconds.
	IdleLimit time.Duration
	// Window is how many notifications may be unacknowledged.
	Window uint16
}

// The sizes that Apple's couriers announce, in bytes.
const (
	DefaultMaxMessageBytes   = 4096
	DefaultLargeMessageBytes = 15360
)

// ConnectStatus is the outcome of a Connect. Any but the two make a device
// close the connection.
type ConnectStatus uint8

// The statuses.
const (
	StatusAccepted ConnectStatus = 0
	// StatusInvalid refuses certificate, signature, nonce or base token.
	StatusInvalid ConnectStatus = 2
)

// ParseConnectAck reads the payload of a ConnectAck frame. It fails with a
// MalformedError alone, also for a frame without status: it must not pass for
// an accepted one.
func ParseConnectAck(payload []byte) (ConnectAck, error) {
	var m ConnectAck
	hasStatus := false
	it := items{rest: payload}
	for it.next() {
		switch it.id {
		case 1:
			if it.takeUint8((*uint8)(&m.Status)) {
				hasStatus = true
			}
		case 2:
			it.takeString(&m.RedirectHost)
		case 3:
			it.takeBaseToken(&m.BaseToken)
		case 4:
			it.takeUint16(&m.MaxMessageBytes)
		case 6:
			it.takeUint32(&m.Capabilities)
		case 7:
			it.takeMillis(&m.NonceTime)
		case 8:
			it.takeUint16(&m.LargeMessageBytes)
		case 9:
			it.takeString(&m.RedirectReason)
		case 10:
			it.takeMillis(&m.Time)
		case 11:
			it.takeString(&m.Region)
		case 12:
			it.takeUint64(&m.OtherTime)
		case 19:
			if len(it.value) == net.IPv4len || len(it.value) == net.IPv6len {
				m.PublicIP = it.value
			}
		case 21:
			it.takeString(&m.InvalidReason)
		case 22:
			if it.takeUint8(&m.PSKStatus) {
				m.HasPSKStatus = true
			}
		case 200:
			it.takeSeconds(&m.IdleLimit)
		case 201:
			it.takeUint16(&m.Window)
		}
	}
	if err := it.err(CommandConnectAck); err != nil {
		return ConnectAck{}, err
	}
	if !hasStatus {
		return ConnectAck{}, &MalformedError{Command: CommandConnectAck, Problem: "no status"}
	}
	return m, nil
}

// Append appends m to b as a whole frame.
func (m ConnectAck) Append(b []byte) []byte {
	b, start := begin(b, CommandConnectAck)
	b = appendUint8(b, 1, uint8(m.Status))
	b = appendString(b, 2, m.RedirectHost)
	b = appendOpaque(b, 3, m.BaseToken)
	if m.MaxMessageBytes != 0 {
		b = appendUint16(b, 4, m.MaxMessageBytes)
	}
	b = appendUint16(b, 5, 2)
	b = appendUint32(b, 6, m.Capabilities)
	b = appendMillis(b, 7, m.NonceTime)
	if m.LargeMessageBytes != 0 {
		b = appendUint16(b, 8, m.LargeMessageBytes)
	}
	b = appendString(b, 9, m.RedirectReason)
	b = appendMillis(b, 10, m.Time)
	b = appendString(b, 11, m.Region)
	if m.OtherTime != 0 {
		b = appendUint64(b, 12, m.OtherTime)
	}
	if len(m.PublicIP) == net.IPv4len || len(m.PublicIP) == net.IPv6len {
		b = appendItem(b, 19, m.PublicIP)
	}
	b = appendString(b, 21, m.InvalidReason)
	if m.HasPSKStatus {
		b = appendUint8(b, 22, m.PSKStatus)
	}
	if m.IdleLimit != 0 {
		b = appendSeconds(b, 200, m.IdleLimit)
	}
	if m.Window != 0 {
		b = appendUint16(b, 201, m.Window)
	}
	return end(b, start)
}
