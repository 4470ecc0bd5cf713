package apns

import (
	"encoding/hex"
	"errors"
	"fmt"
)

// DeviceToken names an app on a device, in one environment. It is opaque: only
// the push service can read it. The string holds the raw bytes; print it with
// Hex. Herald's own have 32 bytes; Apple's have had up to 100.
type DeviceToken string

// MaxDeviceTokenBytes bounds a device token (docs/protocol/provider.md#device-tokens).
const MaxDeviceTokenBytes = 100

// ParseDeviceToken reads the hex form of a device token, in either letter
// case. The error says what is wrong with s, without repeating it.
func ParseDeviceToken(s string) (DeviceToken, error) {
	var room [MaxDeviceTokenBytes]byte
	b, err := AppendDeviceToken(room[:0], s)
	if err != nil {
		return "", err
	}
	return DeviceToken(b), nil
}

// AppendDeviceToken appends to b the raw bytes of the device token whose hex
// form is s. The error is that of ParseDeviceToken, and then b is returned as it
// was. It allocates only to grow b.
func AppendDeviceToken(b []byte, s string) ([]byte, error) {
	switch {
	case s == "":
		return b, errors.New("device token: empty")
	case len(s) > 2*MaxDeviceTokenBytes:
		return b, fmt.Errorf("device token: %d characters, at most %d are possible", len(s), 2*MaxDeviceTokenBytes)
	case len(s)%2 != 0:
		return b, fmt.Errorf("device token: %d hex digits, an odd number", len(s))
	}
	to := b
	for i := 0; i < len(s); i += 2 {
		high, low := hexDigits[s[i]], hexDigits[s[i+1]]
		if (high|low)&noHexDigit != 0 {
			return b, errors.New("device token: not hex")
		}
		to = append(to, high<<4|low)
	}
	return to, nil
}

// noHexDigit is what hexDigits has for all other characters.
const noHexDigit = 0x80

// hexDigits has the value of each hex digit.
var hexDigits = func() (all [256]byte) {
	for i := range all {
		switch c := byte(i); {
		case '0' <= c && c <= '9':
			all[i] = c - '0'
		case 'a' <= c && c <= 'f':
			all[i] = c - 'a' + 10
		case 'A' <= c && c <= 'F':
			all[i] = c - 'A' + 10
		default:
			all[i] = noHexDigit
		}
	}
	return all
}()

// Hex returns t as lower-case hex, the form in which it is handed about.
func (t DeviceToken) Hex() string { return hex.EncodeToString([]byte(t)) }

// BaseToken names a device to the courier, in one environment: the courier
// gives it out at the first Connect, and the device presents it at every later
// one. It is never handed to an app. The string holds 32 raw bytes.
type BaseToken string

// CourierTokenBytes is the size of a BaseToken, and of a DeviceToken on a
// courier connection (docs/protocol/courier.md#tokens).
const CourierTokenBytes = 32

// Hex returns t as lower-case hex.
func (t BaseToken) Hex() string { return hex.EncodeToString([]byte(t)) }

// DeviceOrdinal is the push service's number for a device, dense from 1.
type DeviceOrdinal uint64

// Address is where a notification goes: a topic on a device, in an
// environment. It is what a device token says to those who can read it.
type Address struct {
	Device      DeviceOrdinal
	Environment Environment
	Topic       TopicHash
}
