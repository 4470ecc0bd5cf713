package api

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// errDuration says what a duration looks like.
var errDuration = errors.New("not a time, such as 2026-12-01T09:00:00Z, nor a duration, such as PT2H or P1DT12H")

// maxDurationDigits bounds each number of a duration, so that their sum is one.
const maxDurationDigits = 4

// parseDuration reads a duration of ISO 8601 in weeks, days, hours, minutes and
// seconds, each a whole number. Years and months are refused: they are not all
// equally long.
func parseDuration(s string) (d time.Duration, err error) {
	rest, ok := strings.CutPrefix(s, "P")
	if !ok {
		return 0, errDuration
	}
	date, clock, hasClock := strings.Cut(rest, "T")
	if date == "" && clock == "" || hasClock && clock == "" {
		return 0, errDuration
	}
	for _, part := range [...]struct{ text, units string }{{date, "WD"}, {clock, "HMS"}} {
		for text, units := part.text, part.units; text != ""; {
			end := strings.IndexFunc(text, func(c rune) bool { return c < '0' || c > '9' })
			if end < 1 || end > maxDurationDigits {
				return 0, errDuration
			}
			n, err := strconv.Atoi(text[:end])
			at := strings.IndexByte(units, text[end])
			if err != nil || at < 0 {
				return 0, errDuration
			}
			d += time.Duration(n) * durationUnits[text[end]]
			text, units = text[end+1:], units[at+1:] // each once, the largest first
		}
	}
	return d, nil
}

var durationUnits = map[byte]time.Duration{
	'W': 7 * 24 * time.Hour, 'D': 24 * time.Hour, 'H': time.Hour, 'M': time.Minute, 'S': time.Second,
}

// parseWhen reads a time of RFC 3339, or a duration that begins at a time.
func parseWhen(s string, from time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	d, err := parseDuration(s)
	return from.Add(d), err
}
