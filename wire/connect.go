package wire

import (
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
//	22  u64       when it was last connected, milliseconds
//	26  u32       reason of the last disconnect
//
// Items 19, 20, 21 and 25, timings and failures of earlier attempts, and those
// of virtual machines are skipped.
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
	LastConnected   time.Time
	// LastDisconnect is a reason code of the device's own.
	LastDisconnect uint32
}

// MaxCertificates bounds the chain in a Connect. Parse drops what comes after.
const MaxCertificates = 8

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
		}
	}
	if err := it.err(CommandConnect); err != nil {
		return Connect{}, err
	}
	return m, nil
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
	b = appendMillis(b, 22, m.LastConnected)
	if m.LastDisconnect != 0 {
		b = appendUint32(b, 26, m.LastDisconnect)
	}
	return end(b, start)
}
