package payload

import (
	"unicode"
	"unicode/utf8"
)

// cutBefore returns the last place at or before n where s can be cut without
// splitting what a person takes for one character: the rules of UAX 29 that
// matter for texts as people write them, without its tables.
func cutBefore(s string, n int) int {
	if n >= len(s) {
		return len(s)
	}
	for n = max(n, 0); n > 0 && !isBorder(s, n); n-- {
	}
	return n
}

// isBorder reports whether a character of s ends where the next one begins,
// at n, which is inside s.
func isBorder(s string, n int) bool {
	if !utf8.RuneStart(s[n]) {
		return false
	}
	next, _ := utf8.DecodeRuneInString(s[n:])
	last, _ := utf8.DecodeLastRuneInString(s[:n])
	switch {
	case extends(next), last == zeroWidthJoiner:
		return false
	case last == '\r' && next == '\n':
		return false
	case isRegional(last) && isRegional(next): // two are one flag
		return regionalsBefore(s, n)%2 == 0
	case isHangulVowelOrTail(next):
		return !isHangul(last)
	}
	return true
}

const zeroWidthJoiner = '\u200d'

// extends reports whether r changes the character before it and is none by
// itself: an accent, a variation selector, a joiner, a skin colour, a tag of a flag.
func extends(r rune) bool {
	switch {
	case r == zeroWidthJoiner, r == '\u200c',
		'\U0001F3FB' <= r && r <= '\U0001F3FF',
		'\U000E0020' <= r && r <= '\U000E007F':
		return true
	}
	return unicode.Is(unicode.M, r)
}

// isRegional reports whether r is one of the letters of which flags are made.
func isRegional(r rune) bool { return '\U0001F1E6' <= r && r <= '\U0001F1FF' }

// regionalsBefore counts those letters that end at n.
func regionalsBefore(s string, n int) (count int) {
	for n > 0 {
		r, size := utf8.DecodeLastRuneInString(s[:n])
		if !isRegional(r) {
			break
		}
		n -= size
		count++
	}
	return count
}

// isHangulVowelOrTail reports whether r joins the Hangul letter or syllable
// before it.
func isHangulVowelOrTail(r rune) bool { return '\u1160' <= r && r <= '\u11ff' }

func isHangul(r rune) bool { return '\u1100' <= r && r <= '\u11ff' || '\uac00' <= r && r <= '\ud7a3' }
