package faults

import (
	"fmt"
	"strings"
	"time"

	"github.com/heraldpush/herald/apns"
)

// Plan says which faults there are. Parse reads one; a Plan made otherwise is
// checked by Validate.
type Plan struct {
	// Name is for people; it may be empty.
	Name string `json:"name,omitempty"`
	// Seed decides what is left to chance. The same plan with the same seed does
	// the same to the same connections and requests.
	Seed uint64 `json:"seed"`
	// Rules are what happens; there is one at least. Of those that decide about the
	// answer to a request, each gets its share of all requests that it matches;
	// where the shares exceed the whole, the earlier rule wins.
	Rules []Rule `json:"rules"`
}

// Kind is what a rule does.
type Kind string

// The kinds of faults. Of the first group a request meets one at most; a delay
// comes on top of it. Those of the last group meet a connection, once.
const (
	KindReject      Kind = "reject"       // the answer is a refusal, with Reason
	KindLose        Kind = "lose"         // the answer is 200, and nothing is delivered
	KindSilence     Kind = "silence"      // there is no answer
	KindResetStream Kind = "reset_stream" // the answer is RST_STREAM, with Code
	KindClockSkew   Kind = "clock_skew"   // the gateway's clock is off by Skew

	KindDelay Kind = "delay" // the answer waits, for Delay

	KindGoAway          Kind = "goaway"           // GOAWAY, with Code and Reason
	KindStreamLimit     Kind = "stream_limit"     // no more than Streams at a time
	KindResetConnection Kind = "reset_connection" // the TCP connection is reset
	KindBlackHole       Kind = "black_hole"       // all is read, and nothing written any more
)

// kinds are all of them, for messages.
var kinds = [...]Kind{
	KindReject, KindLose, KindSilence, KindResetStream, KindClockSkew, KindDelay,
	KindGoAway, KindStreamLimit, KindResetConnection, KindBlackHole,
}

// ofConnection reports whether a rule of this kind meets a connection, and
// not each request for itself.
func (k Kind) ofConnection() bool {
	switch k {
	case KindGoAway, KindStreamLimit, KindResetConnection, KindBlackHole:
		return true
	default:
		return false
	}
}

// Rule is one fault and whom it meets.
type Rule struct {
	// Name is for people; it may be empty.
	Name string `json:"name,omitempty"`
	// Fault is the kind. Required.
	Fault Kind `json:"fault"`
	// Share is how many of those that match are met, above 0 and up to 1: of
	// requests, or of connections for a fault of a connection and for clock_skew. Nil
	// means all.
	Share *float64 `json:"share,omitempty"`
	// Match says which connections and requests are looked at.
	Match Match `json:"match,omitzero"`
	// From and Until bound the time in which the rule acts, counted from when the
	// plan came into force. A zero Until means for ever.
	From  Duration `json:"from,omitzero"`
	Until Duration `json:"until,omitzero"`
	// Limit is how often the rule acts at most. Zero means any number of times.
	Limit uint64 `json:"limit,omitempty"`
	// After is at which request of a connection a fault of the connection comes.
	// Zero means when it is opened.
	After uint64 `json:"after,omitempty"`

	// Reason is of reject, and of goaway, where empty means Shutdown.
	Reason apns.Reason `json:"reason,omitempty"`
	// Since is how long ago, for reject with status 410, the device token was found
	// to be no longer valid. Zero means an hour.
	Since Duration `json:"since,omitzero"`
	// RetryAfter is what a reject with status 429 or 503 tells the sender to wait.
	// Zero means a second.
	RetryAfter Duration `json:"retry_after,omitzero"`
	// Code is of reset_stream, where nil means INTERNAL_ERROR, and of goaway, where
	// nil means NO_ERROR.
	Code *ErrorCode `json:"code,omitempty"`
	// Delay is of delay.
	Delay *Delay `json:"delay,omitempty"`
	// Streams is of stream_limit: how many there may be at a time, 1 at least.
	Streams uint32 `json:"streams,omitempty"`
	// Skew is of clock_skew: how much the gateway's clock is ahead.
	Skew Duration `json:"skew,omitzero"`
}

// Match says whom a rule looks at: all conditions that are not empty have to hold.
type Match struct {
	// Environment is the gateway's.
	Environment apns.Environment `json:"environment,omitzero"`
	// Topics and Teams list those that are met. A fault that comes when a
	// connection is opened knows neither.
	Topics []apns.Topic  `json:"topics,omitempty"`
	Teams  []apns.TeamID `json:"teams,omitempty"`
	// Connections is a share of the connections, above 0 and up to 1. Rules that
	// have the same share here look at the same connections. Nil means all.
	Connections *float64 `json:"connections,omitempty"`
}

// Delay says how long an answer waits. Exactly one field is set.
type Delay struct {
	// Fixed is always the same.
	Fixed Duration `json:"fixed,omitzero"`
	// Uniform is the least and the greatest of equally likely ones.
	Uniform []Duration `json:"uniform,omitempty"`
	// Percentiles gives points of a distribution, such as 50 and 99; between them,
	// and from zero to the first one, it is linear, and the last one is the greatest.
	Percentiles map[string]Duration `json:"percentiles,omitempty"`
}

// Duration is a span of time that reads "250ms" or "1h30m" in a plan.
type Duration time.Duration

// String returns d in the form of a plan.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a duration as time.ParseDuration does.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("%.40q is no duration", b)
	}
	*d = Duration(v)
	return nil
}

// String says in a few words what a plan does.
func (p Plan) String() string {
	var parts []string
	for i, r := range p.Rules {
		if i == maxSummary {
			parts = append(parts, fmt.Sprintf("%d more", len(p.Rules)-i))
			break
		}
		parts = append(parts, r.String())
	}
	s := strings.Join(parts, ", ")
	if p.Name != "" {
		s = p.Name + ": " + s
	}
	return fmt.Sprintf("%s (seed %d)", s, p.Seed)
}

// maxSummary is how many rules a summary names.
const maxSummary = 4

// String says in a few words what a rule does.
func (r Rule) String() string {
	s := string(r.Fault)
	switch {
	case r.Reason != "":
		s += " " + string(r.Reason)
	case r.Skew != 0:
		s += " " + r.Skew.String()
	case r.Streams != 0:
		s += fmt.Sprintf(" %d", r.Streams)
	}
	if r.Share != nil {
		s += fmt.Sprintf(" %.4g %%", *r.Share*100)
	}
	return s
}

// share returns the value of a share, of which nil means all.
func share(p *float64) float64 {
	if p == nil {
		return 1
	}
	return *p
}
