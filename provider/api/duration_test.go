package api

import (
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"PT2H":          2 * time.Hour,
		"PT90M":         90 * time.Minute,
		"PT1H30M":       90 * time.Minute,
		"PT0S":          0,
		"P1D":           24 * time.Hour,
		"P1DT12H":       36 * time.Hour,
		"P2W":           14 * 24 * time.Hour,
		"P9999WT9999S":  9999*7*24*time.Hour + 9999*time.Second,
		"P1W2DT3H4M5S":  9*24*time.Hour + 3*time.Hour + 4*time.Minute + 5*time.Second,
		"":              -1,
		"P":             -1,
		"PT":            -1,
		"P1DT":          -1,
		"2H":            -1,
		"PT2":           -1,
		"PTH":           -1,
		"P2H":           -1,
		"PT1D":          -1,
		"P1Y":           -1,
		"P1M":           -1,
		"PT1M1H":        -1,
		"PT1H1H":        -1,
		"PT1.5H":        -1,
		"-PT1H":         -1,
		"PT-1H":         -1,
		"P99999W":       -1,
		"PT2H ":         -1,
		"pt2h":          -1,
		"PT2HT2H":       -1,
		"P\u0661D":      -1,
		"PT1\xff":       -1,
		"P1W1W":         -1,
		"PT100000000S":  -1,
		"P0001DT0002H":  26 * time.Hour,
		"P1DT1H1M1S1MS": -1,
	} {
		got, err := parseDuration(in)
		if want < 0 {
			if err == nil {
				t.Errorf("%q: got %v, want an error", in, got)
			}
			continue
		}
		if err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", in, got, err, want)
		}
	}
}

func TestParseWhen(t *testing.T) {
	from := time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
	for in, want := range map[string]time.Time{
		"2026-12-01T09:00:00Z":      from,
		"2026-12-01T10:00:00+01:00": from,
		"PT2H":                      from.Add(2 * time.Hour),
		"2026-12-01T09:00":          {}, // in which time zone?
		"2026-12-01":                {},
		"tomorrow":                  {},
	} {
		got, err := parseWhen(in, from)
		if (err == nil) != !want.IsZero() || err == nil && !got.Equal(want) {
			t.Errorf("%q: got %v, %v, want %v", in, got, err, want)
		}
	}
}
