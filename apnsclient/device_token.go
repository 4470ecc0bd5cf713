package apnsclient

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/heraldpush/herald/apns"
)

// DeviceTokenError says why a text is no device token. It does not repeat the
// text.
type DeviceTokenError struct {
	// Problem is what is wrong, such as "it is base64, not hex".
	Problem string
	// Remedy is what to do about it.
	Remedy string
}

// Error names the problem, then the remedy.
func (e *DeviceTokenError) Error() string {
	return fmt.Sprintf("device token: %s: %s", e.Problem, e.Remedy)
}

// Is reports whether target is the rejection with which a gateway would have
// answered: errors.Is(err, apns.Reject(apns.BadDeviceToken, "")).
func (e *DeviceTokenError) Is(target error) bool {
	r, ok := target.(*apns.Rejection)
	return ok && r.Reason == apns.BadDeviceToken
}

// The remedies for what is not hex.
const (
	remedyHex   = `have the app write hex: deviceToken.map { String(format: "%02x", $0) }.joined()`
	remedyWhole = "copy it whole, from the app's first line to its last"
)

// maxDeviceTokenText bounds what ParseDeviceToken looks at, in bytes: the longest
// device token with a space after each byte, and words around it.
const maxDeviceTokenText = 4*apns.MaxDeviceTokenBytes + 64

// ParseDeviceToken reads a device token as people come by it: hex in either letter
// case, and what apps have logged,
//
//	<740f4707 bebcf74f 9b7c25d4 8e335894 5f6aa01d a5ddb387 462c7eaf 61bb78ad>
//
// with white space and quotation marks around it. It takes no more than those, so
// that nothing is read as a device token that is none; apns.ParseDeviceToken is for
// hex alone. The error is a *DeviceTokenError, which also knows what is often
// mistaken for a device token.
func ParseDeviceToken(s string) (apns.DeviceToken, error) {
	s = unwrapped(s)
	if len(s) > maxDeviceTokenText {
		return "", &DeviceTokenError{
			fmt.Sprintf("it has %d bytes of text, and the longest possible one %d hex digits", len(s), 2*apns.MaxDeviceTokenBytes),
			"give one device token at a time, and nothing else",
		}
	}
	if s == "" {
		return "", &DeviceTokenError{"it is empty", "give the one that the app had from its device, in hex"}
	}
	digits := s
	var err error
	switch {
	case strings.HasPrefix(s, "<"):
		inside, ok := strings.CutSuffix(s[1:], ">")
		if !ok {
			return "", &DeviceTokenError{"it begins with < and does not end with >", remedyWhole}
		}
		digits = inside
	case strings.HasPrefix(s, "{"):
		if digits, err = dataDescription(s); err != nil {
			return "", err
		}
	}
	digits = strings.Join(strings.Fields(digits), "")
	digits = strings.TrimPrefix(strings.TrimPrefix(digits, "0x"), "0X")
	t, err := parseHex(digits)
	if err == nil {
		return t, nil
	}
	if mistaken := mistakenFor(s); mistaken != nil {
		return "", mistaken
	}
	return "", err
}

// unwrapped returns s without white space and quotation marks around it.
func unwrapped(s string) string {
	for {
		s = strings.TrimSpace(s)
		before := s
		for _, marks := range [...][2]string{{`"`, `"`}, {"'", "'"}, {"`", "`"}, {"“", "”"}, {"‘", "’"}} {
			if inside, ok := strings.CutPrefix(s, marks[0]); ok {
				if inside, ok = strings.CutSuffix(inside, marks[1]); ok {
					s = inside
				}
			}
		}
		if s == before {
			return s
		}
	}
}

// dataDescription returns the digits in what systems since iOS 13 say of data:
// {length = 32, bytes = 0x740f4707 bebcf74f 9b7c25d4 8e335894 ... 462c7eaf 61bb78ad }.
func dataDescription(s string) (string, error) {
	head, digits, ok := strings.Cut(s[1:], "bytes = 0x")
	if !ok || !strings.HasPrefix(head, "length = ") || !strings.HasSuffix(digits, "}") {
		return "", &DeviceTokenError{"it is in braces, and not what a device says of data", remedyHex}
	}
	digits = strings.TrimSpace(strings.TrimSuffix(digits, "}"))
	if strings.Contains(digits, "..") || strings.Contains(digits, "…") {
		return "", &DeviceTokenError{"the system that printed it left the middle out, where the dots are, and nothing brings it back", remedyHex}
	}
	length, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(strings.TrimPrefix(head, "length = ")), ","))
	if bare := strings.Join(strings.Fields(digits), ""); err != nil || length*2 != len(bare) {
		return "", &DeviceTokenError{fmt.Sprintf("its length is not that of its %d hex digits", len(bare)), remedyWhole}
	}
	return digits, nil
}

// mistakenFor recognizes what is often taken for a device token. It returns nil
// where s is none of that.
func mistakenFor(s string) error {
	switch {
	case apns.NotificationID(s).Valid():
		return &DeviceTokenError{"it is a UUID", "give what didRegisterForRemoteNotificationsWithDeviceToken brings, not an identifier of the device or its vendor"}
	case strings.HasSuffix(s, " bytes") && strings.Trim(strings.TrimSuffix(s, " bytes"), "0123456789") == "":
		return &DeviceTokenError{"it says how many bytes the device token has, and not which", remedyHex}
	case strings.Contains(s, ":APA91"):
		return &DeviceTokenError{"it is a registration token of Firebase", "give the device token of APNs, which the app gets from the system itself"}
	case strings.HasPrefix(s, "ExponentPushToken[") || strings.HasPrefix(s, "ExpoPushToken["):
		return &DeviceTokenError{"it is a push token of Expo", "give the device token of APNs: getDevicePushTokenAsync in the app"}
	case isBase64(s):
		return &DeviceTokenError{"it is base64, not hex", remedyHex + "; or decode it first: base64 -d | xxd -p -c 100"}
	}
	return nil
}

// minBase64Bytes is how many bytes a text in base64 stands for at least, to be
// taken for a device token: words are base64 as well.
const minBase64Bytes = 16

// isBase64 reports whether s is base64 that could stand for a device token, and
// has more than hex digits.
func isBase64(s string) bool {
	if !strings.ContainsFunc(s, func(r rune) bool { return !isHexDigit(r) }) {
		return false
	}
	bare := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(s, "="))
	b, err := base64.RawStdEncoding.DecodeString(bare)
	return err == nil && minBase64Bytes <= len(b) && len(b) <= apns.MaxDeviceTokenBytes
}

// parseHex reads the digits of a device token.
func parseHex(digits string) (apns.DeviceToken, error) {
	if !utf8.ValidString(digits) {
		return "", &DeviceTokenError{"it is not text", remedyHex + "; these may be the raw bytes"}
	}
	for i, r := range digits {
		if isHexDigit(r) {
			continue
		}
		return "", &DeviceTokenError{fmt.Sprintf("the %s character is %q, which is no hex digit", ordinal(i+1), r), remedyHex}
	}
	switch n := len(digits); {
	case n == 0:
		return "", &DeviceTokenError{"there are no hex digits in it", remedyHex}
	case n%2 != 0:
		return "", &DeviceTokenError{fmt.Sprintf("it has %d hex digits, an odd number", n), remedyWhole + "; or the app wrote bytes below 16 with one digit: " + remedyHex}
	case n > 2*apns.MaxDeviceTokenBytes:
		return "", &DeviceTokenError{
			fmt.Sprintf("it has %d hex digits, and at most %d are possible", n, 2*apns.MaxDeviceTokenBytes),
			"give one device token at a time",
		}
	}
	t, err := apns.ParseDeviceToken(digits)
	if err != nil {
		return "", &DeviceTokenError{err.Error(), remedyHex}
	}
	return t, nil
}

func isHexDigit(r rune) bool {
	return '0' <= r && r <= '9' || 'a' <= r && r <= 'f' || 'A' <= r && r <= 'F'
}

// ordinal returns "1st", "2nd" and so on.
func ordinal(n int) string {
	suffix := "th"
	if n/10%10 != 1 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return strconv.Itoa(n) + suffix
}
