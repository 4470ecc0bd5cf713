package wire

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/heraldpush/herald/apns"
)

// Connect is the first frame of a device, command 7: who it is, and what
// proves it (docs/protocol/courier.md#connect).
//
//	D→S
//	 1  32 bytes  base token, absent on the first Connect ever
//	 2  u8        state: 1 online, 2 offline
//	 5  u32       presence flags
//	 6  u8        network interface: 0 cellular, 1 Wi-Fi, 3 constrained
//	 7  u32       active interval, seconds
//	 8  string    carrier, such as "WiFi"
//	 9  string    OS version
//	10  string    OS build
//	11  string    hardware model
//	12  bytes     device certificate, DER; repeated for a chain, leaf first
//	13  17 bytes  nonce
//	14  bytes     signature over the nonce
//	16  u16       protocol version
//	17  u16       redirects followed so far
//	19  u16       how long looking up the courier's name took, milliseconds
//	20  u16       how long the TLS handshake took, milliseconds
//	21  6 bytes   an earlier failure: error code u32, count u16; repeated
//	22  u64       when it was last connected, milliseconds
//	25  u16       how long the TCP handshake took, milliseconds
//	26  u32       reason of the last disconnect
//	29  bytes     certificates of the host of a virtual machine, protobuf
//	30  u32       reason of a migration
//	31  u32       flags of a migration
//	32  u8        how many TLS PSKs are wanted
//
// and under ALPNHerald alone (docs/protocol/courier.md#extensions):
//
//	200  28 bytes  received: topic hash, timestamp u64; repeated
type Connect struct {
	BaseToken apns.BaseToken
	State     ConnectState
	// Flags mean nothing to a courier, which stores them at most.
	Flags uint32
	// Interface is as good as absent without HasInterface: zero is cellular.
	Interface    Interface
	HasInterface bool
	// ActiveInterval is given in whole seconds.
	ActiveInterval time.Duration
	Carrier        string
	OSVersion      string
	OSBuild        string
	HardwareModel  string
	// Certificates, Nonce and Signature come together or not at all; not at
	// all where a TLS client certificate is the proof.
	//
	// Certificates is a chain in DER, leaf first, of at most
	// MaxCertificates; its elements alias the payload.
	Certificates [][]byte
	Nonce        Nonce
	// Signature is for VerifySignature. It aliases the payload.
	Signature       []byte
	ProtocolVersion uint16
	Redirects       uint16
	// LookupTime, TLSTime and TCPTime are what the parts of connecting took, in
	// whole milliseconds, at most 65,535.
	LookupTime, TLSTime, TCPTime time.Duration
	// Failures are those of earlier attempts, at most MaxFailures.
	Failures      []ConnectFailure
	LastConnected time.Time
	// LastDisconnect is a reason code of the device's own.
	LastDisconnect uint32
	// HostInfo is the proof of a virtual machine's host, which couriers of
	// Herald's do not read. It aliases the payload.
	HostInfo        []byte
	MigrationReason uint32
	MigrationFlags  uint32
	// WantedPSKs is a number of TLS pre-shared keys; how they would be handed
	// out is not known.
	WantedPSKs uint8

	// Received is the extension: notifications that the device has and whose
	// acknowledgement may not have arrived. At most MaxReceived.
	Received []Received
}

// MaxCertificates bounds the chain in a Connect. Parse drops what comes after.
const MaxCertificates = 8

// MaxFailures bounds Connect.Failures. Parse drops what comes after.
const MaxFailures = 10

// ConnectFailure is a kind of failure to connect, and how often it happened.
type ConnectFailure struct {
	// Code is an error code of the device's own.
	Code  uint32
	Count uint16
}

// MaxReceived bounds Connect.Received. Parse drops what comes after.
const MaxReceived = 64

// Received names a notification that a device has.
type Received struct {
	TopicHash apns.TopicHash
	// Timestamp is that of the Notification.
	Timestamp uint64
}

// ConnectState is what a Connect announces.
type ConnectState uint8

// The states. Zero stands for a Connect that has none.
const (
	// StateOnline asks for what is addressed to the base token.
	StateOnline ConnectState = 1
	// StateOffline says goodbye for a base token on this connection. Only the
	// base token comes with it.
	StateOffline ConnectState = 2
)

// Interface is the kind of network that a device is on.
type Interface uint8

// The interfaces.
const (
	InterfaceCellular    Interface = 0
	InterfaceWiFi        Interface = 1
	InterfaceConstrained Interface = 3
)

// ParseConnect reads the payload of a Connect frame. It fails with a
// MalformedError alone; a nonce of the wrong size, for one, is as if absent.
func ParseConnect(payload []byte) (Connect, error) {
	var m Connect
	it := items{rest: payload}
	for it.next() {
		switch it.id {
		case 1:
			it.takeBaseToken(&m.BaseToken)
		case 2:
			it.takeUint8((*uint8)(&m.State))
		case 5:
			it.takeUint32(&m.Flags)
		case 6:
			if it.takeUint8((*uint8)(&m.Interface)) {
				m.HasInterface = true
			}
		case 7:
			it.takeSeconds(&m.ActiveInterval)
		case 8:
			it.takeString(&m.Carrier)
		case 9:
			it.takeString(&m.OSVersion)
		case 10:
			it.takeString(&m.OSBuild)
		case 11:
			it.takeString(&m.HardwareModel)
		case 12:
			if len(it.value) > 0 && len(m.Certificates) < MaxCertificates {
				m.Certificates = append(m.Certificates, it.value)
			}
		case 13:
			if n, ok := ParseNonce(it.value); ok {
				m.Nonce = n
			}
		case 14:
			if len(it.value) > 0 {
				m.Signature = it.value
			}
		case 16:
			it.takeUint16(&m.ProtocolVersion)
		case 17:
			it.takeUint16(&m.Redirects)
		case 22:
			it.takeMillis(&m.LastConnected)
		case 26:
			it.takeUint32(&m.LastDisconnect)
		default:
			m.takeRare(&it)
		}
	}
	if err := it.err(CommandConnect); err != nil {
		return Connect{}, err
	}
	return m, nil
}

// takeRare reads an item that few devices send.
func (m *Connect) takeRare(it *items) {
	switch it.id {
	case 19:
		it.takeShortMillis(&m.LookupTime)
	case 20:
		it.takeShortMillis(&m.TLSTime)
	case 21:
		if len(it.value) == 6 && len(m.Failures) < MaxFailures {
			m.Failures = append(m.Failures, ConnectFailure{
				Code: binary.BigEndian.Uint32(it.value), Count: binary.BigEndian.Uint16(it.value[4:]),
			})
		}
	case 25:
		it.takeShortMillis(&m.TCPTime)
	case 29:
		if len(it.value) > 0 {
			m.HostInfo = it.value
		}
	case 30:
		it.takeUint32(&m.MigrationReason)
	case 31:
		it.takeUint32(&m.MigrationFlags)
	case 32:
		it.takeUint8(&m.WantedPSKs)
	case 200:
		if len(it.value) == receivedBytes && len(m.Received) < MaxReceived {
			m.Received = append(m.Received, Received{
				TopicHash: apns.TopicHash(it.value[:apns.TopicHashSize]),
				Timestamp: binary.BigEndian.Uint64(it.value[apns.TopicHashSize:]),
			})
		}
	}
}

// receivedBytes is the size of a Received.
const receivedBytes = apns.TopicHashSize + 8

// takeShortMillis reads a u16 of milliseconds.
func (it *items) takeShortMillis(p *time.Duration) {
	var n uint16
	it.takeUint16(&n)
	if n != 0 {
		*p = time.Duration(n) * time.Millisecond
	}
}

// Append appends m to b as a whole frame.
func (m Connect) Append(b []byte) []byte {
	b, start := begin(b, CommandConnect)
	b = appendOpaque(b, 1, m.BaseToken)
	if m.State != 0 {
		b = appendUint8(b, 2, uint8(m.State))
	}
	if m.Flags != 0 {
		b = appendUint32(b, 5, m.Flags)
	}
	if m.HasInterface {
		b = appendUint8(b, 6, uint8(m.Interface))
	}
	if m.ActiveInterval != 0 {
		b = appendSeconds(b, 7, m.ActiveInterval)
	}
	b = appendString(b, 8, m.Carrier)
	b = appendString(b, 9, m.OSVersion)
	b = appendString(b, 10, m.OSBuild)
	b = appendString(b, 11, m.HardwareModel)
	for _, der := range m.Certificates {
		b = appendItem(b, 12, der)
	}
	if m.Nonce != (Nonce{}) {
		b = appendItem(b, 13, m.Nonce[:])
	}
	if len(m.Signature) > 0 {
		b = appendItem(b, 14, m.Signature)
	}
	if m.ProtocolVersion != 0 {
		b = appendUint16(b, 16, m.ProtocolVersion)
	}
	if m.Redirects != 0 {
		b = appendUint16(b, 17, m.Redirects)
	}
	b = appendShortMillis(b, 19, m.LookupTime)
	b = appendShortMillis(b, 20, m.TLSTime)
	for _, f := range m.Failures {
		b = binary.BigEndian.AppendUint32(append(b, 21, 0, 6), f.Code)
		b = binary.BigEndian.AppendUint16(b, f.Count)
	}
	b = appendMillis(b, 22, m.LastConnected)
	b = appendShortMillis(b, 25, m.TCPTime)
	if m.LastDisconnect != 0 {
		b = appendUint32(b, 26, m.LastDisconnect)
	}
	if len(m.HostInfo) > 0 {
		b = appendItem(b, 29, m.HostInfo)
	}
	if m.MigrationReason != 0 {
		b = appendUint32(b, 30, m.MigrationReason)
	}
	if m.MigrationFlags != 0 {
		b = appendUint32(b, 31, m.MigrationFlags)
	}
	if m.WantedPSKs != 0 {
		b = appendUint8(b, 32, m.WantedPSKs)
	}
	for _, r := range m.Received {
		b = append(append(b, 200, 0, receivedBytes), r.TopicHash[:]...)
		b = binary.BigEndian.AppendUint64(b, r.Timestamp)
	}
	return end(b, start)
}

// appendShortMillis appends d as a u16 of whole milliseconds, at most as many as
// fit, unless there are none.
func appendShortMillis(b []byte, id uint8, d time.Duration) []byte {
	n := d.Milliseconds()
	if n <= 0 {
		return b
	}
	return appendUint16(b, id, uint16(min(n, math.MaxUint16)))
}
