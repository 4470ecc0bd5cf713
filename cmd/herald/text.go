package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// table writes rows in columns; the first may be the headings.
func table(w io.Writer, rows ...[]string) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i := range row {
			row[i] = plain(row[i])
		}
		if _, err := fmt.Fprintln(tw, strings.TrimRight(strings.Join(row, "\t"), "\t")); err != nil {
			return err
		}
	}
	return tw.Flush()
}

// plain replaces what could steer a terminal: names come from others.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return '?'
		}
		return r
	}, s)
}

// day writes a date for people.
func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// minute writes a time for people.
func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// expires writes when something ends, and how far off that is.
func expires(t time.Time) string {
	days := int(time.Until(t).Hours() / 24)
	switch {
	case time.Now().After(t):
		return day(t) + " (expired)"
	case days == 1:
		return day(t) + " (1 day)"
	}
	return fmt.Sprintf("%s (%d days)", day(t), days)
}

// colons writes a fingerprint, hex, in pairs.
func colons(hex string) string {
	var pairs []string
	for ; len(hex) > 2; hex = hex[2:] {
		pairs = append(pairs, hex[:2])
	}
	return strings.Join(append(pairs, hex), ":")
}

// count writes a number of things.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// shellWord quotes a name where a shell needs it.
func shellWord(s string) string {
	s = plain(s)
	isPlain := func(r rune) bool {
		return '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || strings.ContainsRune("._-+@%/:", r)
	}
	if s != "" && strings.TrimFunc(s, isPlain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
