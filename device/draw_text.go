package device

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxMarks bounds the combining marks on one character: more climb out of
// their line.
const maxMarks = 3

// ellipsis stands at the end of what was cut off. It is one column wide.
const ellipsis = "…"

// sanitise calls yield with each character of s that may go to a terminal, and
// with '\n' for each line break, until it returns false.
//
// Escape sequences begin with control characters, which become spaces; a text
// could also forge what is around it by turning the direction of writing, so
// that format characters are dropped, except for the one that separates
// letters in some scripts.
func sanitise(s string, yield func(r rune) bool) {
	marks := 0
	for i, r := range s {
		switch {
		case r == '\r' && strings.HasPrefix(s[i+1:], "\n"):
			continue
		case r == '\n', r == '\r', r == '\u0085', r == '\u2028', r == '\u2029', r == '\v', r == '\f':
			r, marks = '\n', 0
		case unicode.IsControl(r), unicode.IsSpace(r):
			r, marks = ' ', 0
		case r == '\u200c': // zero width non-joiner
		case unicode.Is(unicode.Cf, r), unicode.Is(unicode.Variation_Selector, r), invisible(r):
			continue
		case unicode.Is(unicode.M, r):
			if marks++; marks > maxMarks {
				continue
			}
		case !unicode.IsPrint(r):
			r, marks = utf8.RuneError, 0
		default:
			marks = 0
		}
		if !yield(r) {
			return
		}
	}
}

// invisible reports whether r is a letter by its class, but drawn as nothing.
func invisible(r rune) bool {
	switch r {
	case '\u034f', '\u115f', '\u1160', '\u17b4', '\u17b5', '\u3164', '\uffa0':
		return true
	}
	return false
}

// plain returns s in one line that is safe for a terminal, with runs of spaces
// as one.
func plain(s string) string {
	var b strings.Builder
	for r := range func(yield func(rune) bool) { sanitise(s, yield) } {
		if r == '\n' {
			r = ' '
		}
		b.WriteRune(r)
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// columns returns how many columns a terminal needs for s, which is plain.
func columns(s string) int {
	n := 0
	for _, r := range s {
		n += runeColumns(r)
	}
	return n
}

// runeColumns returns how many columns a terminal needs for r: none for marks,
// two for the wide characters of East Asia and most emoji (UAX #11).
func runeColumns(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case r == '\u200c', unicode.Is(unicode.Mn, r), unicode.Is(unicode.Me, r):
		return 0
	case unicode.Is(wide, r):
		return 2
	}
	return 1
}

// wide has the ranges in which nearly all characters take two columns.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{
		{0x1100, 0x115f, 1},  // Hangul initial consonants
		{0x231a, 0x231b, 1},  // watch, hourglass
		{0x23e9, 0x23ec, 1},  // player's keys
		{0x23f0, 0x23f3, 3},  // clocks
		{0x25fd, 0x25fe, 1},  // squares
		{0x2614, 0x2615, 1},  // umbrella, hot drink
		{0x2648, 0x2653, 1},  // zodiac
		{0x267f, 0x2693, 20}, // wheelchair, anchor
		{0x26a1, 0x26aa, 9},  // lightning, circle
		{0x26ab, 0x26bd, 18}, // circle, football
		{0x26be, 0x26c4, 6},  // baseball, snowman
		{0x26c5, 0x26ce, 9},  // sun, Ophiuchus
		{0x26d4, 0x26ea, 22}, // no entry, church
		{0x26f2, 0x26f3, 1},  // fountain, golf
		{0x26f5, 0x26fa, 5},  // boat, tent
		{0x26fd, 0x2705, 8},  // petrol, check mark
		{0x270a, 0x270b, 1},  // hands
		{0x2728, 0x274c, 36}, // sparkles, cross
		{0x274e, 0x2753, 5},  // cross, question
		{0x2754, 0x2755, 1},  // question, exclamation
		{0x2757, 0x2757, 1},  // exclamation
		{0x2795, 0x2797, 1},  // arithmetic
		{0x27b0, 0x27bf, 15}, // loops
		{0x2b1b, 0x2b1c, 1},  // squares
		{0x2b50, 0x2b55, 5},  // star, circle
		{0x2e80, 0x303e, 1},  // radicals, punctuation
		{0x3041, 0x33ff, 1},  // kana, Hangul letters, enclosed
		{0x3400, 0x4dbf, 1},  // ideographs
		{0x4e00, 0x9fff, 1},  // ideographs
		{0xa000, 0xa4cf, 1},  // Yi
		{0xa960, 0xa97f, 1},  // Hangul initial consonants
		{0xac00, 0xd7a3, 1},  // Hangul syllables
		{0xf900, 0xfaff, 1},  // ideographs
		{0xfe30, 0xfe6f, 1},  // punctuation
		{0xff01, 0xff60, 1},  // full width
		{0xffe0, 0xffe6, 1},  // full width
	},
	R32: []unicode.Range32{
		{0x16fe0, 0x18cff, 1}, // Tangut, Khitan
		{0x1b000, 0x1b2ff, 1}, // kana
		{0x1f004, 0x1f004, 1}, // tile
		{0x1f0cf, 0x1f0cf, 1}, // joker
		{0x1f18e, 0x1f18e, 1}, // button
		{0x1f191, 0x1f19a, 1}, // buttons
		{0x1f200, 0x1f202, 1}, // buttons
		{0x1f210, 0x1f23b, 1}, // buttons
		{0x1f240, 0x1f248, 1}, // buttons
		{0x1f250, 0x1f251, 1}, // buttons
		{0x1f260, 0x1f265, 1}, // symbols
		{0x1f300, 0x1f64f, 1}, // pictographs
		{0x1f680, 0x1f6ff, 1}, // transport
		{0x1f7e0, 0x1f7f0, 1}, // circles
		{0x1f900, 0x1f9ff, 1}, // pictographs
		{0x1fa70, 0x1faff, 1}, // pictographs
		{0x20000, 0x2fffd, 1}, // ideographs
		{0x30000, 0x3fffd, 1}, // ideographs
	},
}

// fit returns s, which is plain, in at most the given columns, with an
// ellipsis where something was cut off.
func fit(s string, width int) string {
	if columns(s) <= width {
		return s
	}
	return shorten(s, width)
}

// shorten returns s with an ellipsis, in at most the given columns.
func shorten(s string, width int) string {
	head, _ := cut(s, width-1)
	return strings.TrimRight(head, " ") + ellipsis
}

// cut splits s after as many columns as fit, marks included.
func cut(s string, width int) (head, tail string) {
	n := 0
	for i, r := range s {
		if n += runeColumns(r); n > width {
			return s[:i], s[i:]
		}
	}
	return s, ""
}

// wrap returns s in lines of at most the given columns, safe for a terminal,
// with the line breaks of the text and others between words. The last line
// ends with an ellipsis if there are more than limit.
func wrap(s string, width, limit int) []string {
	var lines []string
	for paragraph := range paragraphs(s) {
		for paragraph != "" {
			if len(lines) == limit {
				lines[limit-1] = shorten(lines[limit-1], width)
				return lines
			}
			var line string
			line, paragraph = breakLine(paragraph, width)
			lines = append(lines, line)
		}
	}
	return lines
}

// paragraphs yields each line of s that is not empty, plain.
func paragraphs(s string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		var b strings.Builder
		flush := func() bool {
			line := strings.Join(strings.Fields(b.String()), " ")
			b.Reset()
			return line == "" || yield(line)
		}
		more := true
		sanitise(s, func(r rune) bool {
			if r != '\n' {
				b.WriteRune(r)
				return true
			}
			more = flush()
			return more
		})
		if more {
			flush()
		}
	}
}

// breakLine takes the first line off s: up to the last space that fits, or in
// the middle of a word that is longer than a line.
func breakLine(s string, width int) (line, rest string) {
	head, tail := cut(s, width)
	if tail == "" || tail[0] == ' ' {
		return head, strings.TrimLeft(tail, " ")
	}
	if i := strings.LastIndexByte(head, ' '); i > 0 {
		return head[:i], s[i+1:]
	}
	return head, tail
}
