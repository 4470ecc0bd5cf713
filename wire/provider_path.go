package wire

import (
	"strings"

	"github.com/heraldpush/herald/apns"
)

// devicePath is where notifications are posted to, followed by a slash and a
// device token in hex.
const devicePath = "/3/device"

// ParseDevicePath reads the path of a push. It returns what stands where the
// device token belongs, which is for apns.ParseDeviceToken to judge: the order
// of the checks puts that last. The rejection is MissingDeviceToken where there
// is nothing, BadPath for any other path, or nil
// (docs/protocol/provider.md#requests).
func ParseDevicePath(path string) (hexToken string, r *apns.Rejection) {
	rest, ok := strings.CutPrefix(path, devicePath)
	switch {
	case !ok, rest != "" && rest[0] != '/':
		return "", apns.Reject(apns.BadPath, "")
	case len(rest) <= 1:
		return "", apns.Reject(apns.MissingDeviceToken, "")
	}
	return rest[1:], nil
}

// AppendDevicePath appends the path of a push to t. It allocates only to grow b.
func AppendDevicePath(b []byte, t apns.DeviceToken) []byte {
	const digits = "0123456789abcdef"
	b = append(b, devicePath+"/"...)
	for i := range len(t) {
		b = append(b, digits[t[i]>>4], digits[t[i]&15])
	}
	return b
}
