package wire

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// KeepAlive is a device's sign of life, command 12; it waits for a
// KeepAliveResponse (docs/protocol/courier.md#keepalive).
//
//	D→S
//	 1  string    carrier
//	 2  string    OS version
//	 3  string    OS build
//	 4  string    hardware model
//	 5  string    interval between keepalives, minutes in decimal
//	 6  string    wanted delay of the response, seconds in decimal
//
// A frame without items is common. Items 8 to 10, how the device arrived at
// its interval, are skipped.
type KeepAlive struct {
	// The strings alias the payload, so that a keepalive costs no allocation:
	// a device says the same in its Connect.
	Carrier       []byte
	OSVersion     []byte
	OSBuild       []byte
	HardwareModel []byte
	// Interval is in whole minutes, at most MaxKeepAliveInterval.
	Interval time.Duration
	// ResponseDelay, if set, makes this a keepalive of version 2: acknowledge
	// it at once with a KeepAliveAck, and respond after this time. In whole
	// seconds, at most MaxKeepAliveInterval.
	ResponseDelay time.Duration
}

// MaxKeepAliveInterval bounds both durations of a KeepAlive. Parse takes a
// longer one as absent.
const MaxKeepAliveInterval = 24 * time.Hour

// ParseKeepAlive reads the payload of a KeepAlive frame, without allocating.
// It fails with a MalformedError alone.
func ParseKeepAlive(payload []byte) (KeepAlive, error) {
	var m KeepAlive
	it := items{rest: payload}
	for it.next() {
		switch it.id {
		case 1:
			it.takeText(&m.Carrier)
		case 2:
			it.takeText(&m.OSVersion)
		case 3:
			it.takeText(&m.OSBuild)
		case 4:
			it.takeText(&m.HardwareModel)
		case 5:
			it.takeDecimal(&m.Interval, time.Minute)
		case 6:
			it.takeDecimal(&m.ResponseDelay, time.Second)
		}
	}
	if err := it.err(CommandKeepAlive); err != nil {
		return KeepAlive{}, err
	}
	return m, nil
}

// takeText is takeString without the copy. An empty string is as if absent.
func (it *items) takeText(p *[]byte) {
	if len(it.value) > 0 && it.isString() {
		*p = it.value
	}
}

// takeDecimal reads a number of units in decimal digits. What is no number, or
// more than MaxKeepAliveInterval, is as if absent.
func (it *items) takeDecimal(p *time.Duration, unit time.Duration) {
	n, limit := int64(0), int64(MaxKeepAliveInterval/unit)
	for _, c := range it.value {
		if c < '0' || c > '9' {
			return
		}
		if n = 10*n + int64(c-'0'); n > limit {
			return
		}
	}
	if n > 0 {
		*p = time.Duration(n) * unit
	}
}

// Append appends m to b as a whole frame.
func (m KeepAlive) Append(b []byte) []byte {
	b, start := begin(b, CommandKeepAlive)
	b = appendText(b, 1, m.Carrier)
	b = appendText(b, 2, m.OSVersion)
	b = appendText(b, 3, m.OSBuild)
	b = appendText(b, 4, m.HardwareModel)
	b = appendDecimal(b, 5, m.Interval, time.Minute)
	b = appendDecimal(b, 6, m.ResponseDelay, time.Second)
	return end(b, start)
}

// appendText is appendString for a slice.
func appendText(b []byte, id uint8, s []byte) []byte {
	if len(s) == 0 || len(s) > MaxStringBytes || !utf8.Valid(s) {
		return b
	}
	return appendItem(b, id, s)
}

// appendDecimal appends the whole units of d in decimal digits, if there are
// any and they are not too many.
func appendDecimal(b []byte, id uint8, d, unit time.Duration) []byte {
	n := d / unit
	if n <= 0 || d > MaxKeepAliveInterval {
		return b
	}
	at := len(b)
	b = strconv.AppendInt(append(b, id, 0, 0), int64(n), 10)
	b[at+2] = byte(len(b) - at - itemHeaderBytes) // five digits at most
	return b
}
