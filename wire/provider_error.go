package wire

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/heraldpush/herald/apns"
)

// The body of an answer that refuses, and of the debug data in GOAWAY
// (docs/protocol/provider.md#answers):
//
//	{"reason":"Unregistered","timestamp":1508249865488}
//
// The timestamp, in milliseconds since the epoch, comes with status 410 alone.

// MaxRejectionBytes bounds the body that ParseRejection looks at. The longest
// that is known has fewer than 100 bytes.
const MaxRejectionBytes = 4096

// maxReasonBytes bounds a reason that this version does not know.
const maxReasonBytes = 100

// AppendRejection appends the body that says r. It allocates only to grow b.
func AppendRejection(b []byte, r *apns.Rejection) []byte {
	b = append(b, `{"reason":"`...)
	b = appendJSONText(b, string(r.Reason))
	b = append(b, '"')
	if !r.Since.IsZero() {
		b = append(b, `,"timestamp":`...)
		b = strconv.AppendInt(b, r.Since.UnixMilli(), 10)
	}
	return append(b, '}')
}

// appendJSONText appends s as the inside of a JSON string.
func appendJSONText(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	for _, r := range s { // what is not UTF-8 becomes U+FFFD
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ':
			b = append(b, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return b
}

// ParseRejection reads an answer that refuses, as a provider receives it:
// status, body, and the value of Retry-After, which may be empty.
//
// It is lenient, since the status alone decides much: a body that is not
// Apple's JSON leaves the reason empty, a reason unknown to this version is
// kept, and a Retry-After other than a number of seconds is ignored. The
// reason that Apple's page spells BadEnvironmentKeyIdInToken becomes
// apns.BadEnvironmentKeyInToken, as the service spells it.
func ParseRejection(status int, body []byte, retryAfter string) *apns.Rejection {
	r := &apns.Rejection{Status: status, RetryAfter: parseRetryAfter(retryAfter)}
	var doc struct {
		Reason    json.RawMessage `json:"reason"`
		Timestamp json.RawMessage `json:"timestamp"`
	}
	if len(body) > MaxRejectionBytes || json.Unmarshal(body, &doc) != nil {
		r.Detail = "the answer gives no reason"
		return r
	}
	r.Reason = parseReason(doc.Reason)
	if r.Reason == "" {
		r.Detail = "the answer gives no reason"
	}
	if status == 410 {
		r.Since = parseTimestamp(doc.Timestamp)
	}
	return r
}

func parseReason(raw json.RawMessage) apns.Reason {
	var s string
	if json.Unmarshal(raw, &s) != nil || len(s) > maxReasonBytes {
		return ""
	}
	if s == "BadEnvironmentKeyIdInToken" {
		return apns.BadEnvironmentKeyInToken
	}
	return apns.Reason(s)
}

func parseTimestamp(raw json.RawMessage) time.Time {
	ms, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil || ms <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// parseRetryAfter reads a number of seconds (RFC 9110 section 10.2.3).
func parseRetryAfter(s string) time.Duration {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}
