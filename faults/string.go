package faults

import (
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// String says what f does, "none" for nothing.
func (f Fault) String() string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if f.Delay > 0 {
		add("delay %v", f.Delay)
	}
	switch f.Answer {
	case Usual:
	case Reject:
		s := fmt.Sprintf("reject %d %s", f.Rejection.Status, f.Rejection.Reason)
		if !f.Rejection.Since.IsZero() {
			s += " since " + f.Rejection.Since.UTC().Format(time.RFC3339)
		}
		if f.Rejection.RetryAfter > 0 {
			s += fmt.Sprintf(" retry after %v", f.Rejection.RetryAfter)
		}
		parts = append(parts, s)
	case Lose:
		add("lose")
	case Silence:
		add("silence")
	case ResetStream:
		add("reset stream %v", f.ResetCode)
	}
	switch f.Line {
	case Steady:
	case GoAway:
		add("goaway %v %s", f.GoAwayCode, f.GoAwayReason)
	case ResetConnection:
		add("reset connection")
	case BlackHole:
		add("black hole")
	}
	if f.StreamLimit > 0 {
		add("streams %d", f.StreamLimit)
	}
	if f.MayVanish {
		add("may vanish")
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// LogValue implements slog.LogValuer.
func (f Fault) LogValue() slog.Value { return slog.StringValue(f.String()) }
