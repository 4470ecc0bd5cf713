package faults

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/heraldpush/herald/apns"
)

// A magic device token has the size of a genuine one, and reads in hex:
//
//	fa17fa17…fa17  28 bytes, the same for all
//	0410           what happens: a status, or the type of an HTTP/2 frame
//	0002           which one of those
//
// A genuine one is sealed, and so begins with these 28 bytes once in 2^224.
const (
	magicWord    = "fa17"
	magicPrefix  = magicWord + magicWord + magicWord + magicWord + magicWord + magicWord + magicWord + magicWord + magicWord + magicWord + magicWord + magicWord + magicWord + magicWord
	prefixBytes  = len(magicPrefix) / 2
	magicBytes   = prefixBytes + 4
	silenceGroup = "0000"
	resetGroup   = "0003" // the type of RST_STREAM (RFC 9113 section 6.4)
	goAwayGroup  = "0007" // the type of GOAWAY (RFC 9113 section 6.8)
	acceptGroup  = "0200"
)

var rawPrefix = func() string {
	b, err := hex.DecodeString(magicPrefix)
	if err != nil {
		return "" // not reached: the test of the tokens reads it back
	}
	return string(b)
}()

// numbers gives each reason of a device push its number among those of its
// status. A number once given is never changed: people write the tokens down.
var numbers = map[apns.Reason]int{
	apns.BadCollapseID:               1,
	apns.BadDeviceToken:              2,
	apns.BadExpirationDate:           3,
	apns.BadMessageID:                4,
	apns.BadPriority:                 5,
	apns.BadTopic:                    6,
	apns.DeviceTokenNotForTopic:      7,
	apns.DuplicateHeaders:            8,
	apns.IdleTimeout:                 9,
	apns.InvalidPushType:             10,
	apns.MissingDeviceToken:          11,
	apns.MissingTopic:                12,
	apns.PayloadEmpty:                13,
	apns.TopicDisallowed:             14,
	apns.BadCertificate:              1,
	apns.BadCertificateEnvironment:   2,
	apns.ExpiredProviderToken:        3,
	apns.Forbidden:                   4,
	apns.InvalidProviderToken:        5,
	apns.MissingProviderToken:        6,
	apns.UnrelatedKeyIDInToken:       7,
	apns.BadEnvironmentKeyInToken:    8,
	apns.BadPath:                     1,
	apns.MethodNotAllowed:            1,
	apns.ExpiredToken:                1,
	apns.Unregistered:                2,
	apns.PayloadTooLarge:             1,
	apns.TooManyProviderTokenUpdates: 1,
	apns.TooManyRequests:             2,
	apns.InternalServerError:         1,
	apns.ServiceUnavailable:          1,
	apns.Shutdown:                    2,
}

// byTail finds the reason of a magic device token by its last 8 hex digits.
var byTail = func() map[string]apns.Reason {
	m := make(map[string]apns.Reason, len(numbers))
	for r := range numbers {
		m[tailOf(r)] = r
	}
	return m
}()

// tailOf returns the last 8 hex digits of a reason's token.
func tailOf(r apns.Reason) string { return fmt.Sprintf("%04d%04d", r.Status(), numbers[r]) }

// Reasons returns the reasons of a device push, by status and number.
func Reasons() []apns.Reason {
	var all []apns.Reason
	for _, tail := range slices.Sorted(maps.Keys(byTail)) {
		all = append(all, byTail[tail])
	}
	return all
}

// ReasonToken returns the magic device token whose pushes are refused for r, and
// false if r is no reason of a device push.
func ReasonToken(r apns.Reason) (apns.DeviceToken, bool) {
	if _, ok := numbers[r]; !ok {
		return "", false
	}
	return magicToken(tailOf(r)), true
}

// MaxMagicSeconds is how long a magic device token can have an answer wait.
const MaxMagicSeconds = 3600

// AcceptToken returns the magic device token whose pushes are accepted after
// some seconds, from 0 to MaxMagicSeconds, and never delivered.
func AcceptToken(seconds int) apns.DeviceToken {
	return magicToken(fmt.Sprintf("%s%04d", acceptGroup, min(max(seconds, 0), MaxMagicSeconds)))
}

// SilenceToken returns the magic device token whose pushes are never answered.
func SilenceToken() apns.DeviceToken { return magicToken(silenceGroup + "0000") }

// ResetToken returns the magic device token whose pushes are answered with
// RST_STREAM and the code.
func ResetToken(c ErrorCode) apns.DeviceToken {
	return magicToken(fmt.Sprintf("%s%04x", resetGroup, uint32(c)))
}

// GoAwayToken returns the magic device token whose pushes are accepted, not
// delivered, and followed by GOAWAY with the code, which ends the connection.
func GoAwayToken(c ErrorCode) apns.DeviceToken {
	return magicToken(fmt.Sprintf("%s%04x", goAwayGroup, uint32(c)))
}

// magicToken returns the token with the last 8 hex digits, which are good.
func magicToken(tail string) apns.DeviceToken {
	b, err := hex.DecodeString(tail)
	if err != nil || len(b) != magicBytes-prefixBytes {
		return ""
	}
	return apns.DeviceToken(rawPrefix + string(b))
}

// MagicToken is a magic device token with its name.
type MagicToken struct {
	// Name is the reason, or what happens in lower case, such as "silence".
	Name  string
	Token apns.DeviceToken
	// About says what a push to it meets, without a full stop.
	About string
}

// MagicTokens returns the tokens that have a name: one for each reason, and the
// most useful ones of the others.
func MagicTokens() []MagicToken {
	all := []MagicToken{
		{"accept", AcceptToken(0), "200, and never delivered"},
		{"accept_1s", AcceptToken(1), "200 after a second, and never delivered"},
		{"accept_10s", AcceptToken(10), "200 after 10 seconds, and never delivered"},
		{"silence", SilenceToken(), "no answer"},
		{"reset", ResetToken(internalError), "RST_STREAM with INTERNAL_ERROR"},
		{"refused_stream", ResetToken(refusedStream), "RST_STREAM with REFUSED_STREAM: not processed, send it again"},
		{"goaway", GoAwayToken(noError), `200, and GOAWAY with {"reason":"Shutdown"}`},
	}
	for _, r := range Reasons() {
		token, _ := ReasonToken(r)
		all = append(all, MagicToken{string(r), token, fmt.Sprintf("%d: %s", r.Status(), r.Sentence())})
	}
	return all
}

// magic returns the fault that a device token asks for, and whether it is a
// magic one.
func magic(t apns.DeviceToken, now time.Time) (Fault, bool) {
	if len(t) != magicBytes || !strings.HasPrefix(string(t), rawPrefix) {
		return Fault{}, false
	}
	tail := hex.EncodeToString([]byte(t[prefixBytes:]))
	if r, ok := byTail[tail]; ok {
		return Fault{Answer: Reject, Rejection: rejection(r, 0, 0, now, "magic device token")}, true
	}
	group, which := tail[:4], tail[4:]
	code, known := parseMagicCode(which)
	switch {
	case group == acceptGroup:
		seconds, err := strconv.ParseUint(which, 10, 16)
		if err != nil || seconds > MaxMagicSeconds {
			return Fault{}, false
		}
		return Fault{Answer: Lose, Delay: time.Duration(seconds) * time.Second}, true
	case group == silenceGroup && which == "0000":
		return Fault{Answer: Silence}, true
	case group == resetGroup && known:
		return Fault{Answer: ResetStream, ResetCode: code}, true
	case group == goAwayGroup && known:
		return Fault{Answer: Lose, Line: GoAway, GoAwayCode: code, GoAwayReason: apns.Shutdown}, true
	}
	return Fault{}, false
}

// parseMagicCode reads the code of an HTTP/2 frame in a token.
func parseMagicCode(s string) (ErrorCode, bool) {
	n, err := strconv.ParseUint(s, 16, 16)
	return ErrorCode(n), err == nil && ErrorCode(n).known()
}
