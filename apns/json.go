package apns

import (
	"encoding/binary"
	"encoding/json"
	"math/bits"
)

// IsObject reports whether p is one well-formed JSON object, as encoding/json
// understands that: it minds neither bytes that are not UTF-8 nor names that come
// twice. It allocates nothing, unless p is nested more than 64 deep.
func (p Payload) IsObject() bool {
	i := skipSpace(p, 0)
	if i == len(p) || p[i] != '{' {
		return false
	}
	var arrays uint64 // the bit of each open level that is an array, the innermost lowest
	depth := 0
value: // one begins at i, after blanks
	for {
		if i = skipSpace(p, i); i == len(p) {
			return false
		}
		switch c := p[i]; c {
		case '{', '[':
			if depth == maxFastDepth {
				return json.Valid(p)
			}
			depth++
			if i = skipSpace(p, i+1); i == len(p) {
				return false
			}
			if c == '[' {
				if arrays = arrays<<1 | 1; p[i] != ']' {
					continue value
				}
			} else if arrays <<= 1; p[i] != '}' {
				if i = skipName(p, i); i < 0 {
					return false
				}
				continue value
			}
			i++
			depth--
			arrays >>= 1
		case '"':
			i = skipString(p, i+1)
		case 't':
			i = skipWord(p, i, "true")
		case 'f':
			i = skipWord(p, i, "false")
		case 'n':
			i = skipWord(p, i, "null")
		default:
			i = skipNumber(p, i)
		}
		if i < 0 {
			return false
		}
		// A value ended at i.
		for {
			i = skipSpace(p, i)
			if depth == 0 {
				return i == len(p)
			}
			if i == len(p) {
				return false
			}
			inArray := arrays&1 != 0
			switch c := p[i]; {
			case c == ',' && inArray:
				i++
				continue value
			case c == ',':
				if i = skipName(p, skipSpace(p, i+1)); i < 0 {
					return false
				}
				continue value
			case c == ']' && inArray, c == '}' && !inArray:
				i++
				depth--
				arrays >>= 1
			default:
				return false
			}
		}
	}
}

// maxFastDepth is how many levels fit into a word.
const maxFastDepth = 64

// The functions below return where what begins at i ends, or -1 if it is not
// well-formed.

// skipSpace never fails.
func skipSpace(p []byte, i int) int {
	for i < len(p) && (p[i] == ' ' || p[i] == '\n' || p[i] == '\t' || p[i] == '\r') {
		i++
	}
	return i
}

// skipName is for a name of an object and the colon after it.
func skipName(p []byte, i int) int {
	if i >= len(p) || p[i] != '"' {
		return -1
	}
	if i = skipString(p, i+1); i < 0 {
		return -1
	}
	if i = skipSpace(p, i); i == len(p) || p[i] != ':' {
		return -1
	}
	return i + 1
}

// skipString is for a string without its first quotation mark.
func skipString(p []byte, i int) int {
	for {
		for i+8 <= len(p) {
			n := plain(binary.LittleEndian.Uint64(p[i:]))
			i += n
			if n < 8 {
				break
			}
		}
		// Here is a byte that is not plain, or fewer than eight are left.
		for i < len(p) && p[i] >= ' ' && p[i] != '"' && p[i] != '\\' {
			i++
		}
		switch {
		case i == len(p) || p[i] < ' ':
			return -1
		case p[i] == '"':
			return i + 1
		}
		if i = skipEscape(p, i+1); i < 0 {
			return -1
		}
	}
}

// plain returns how many of eight bytes come before the first control character,
// quotation mark or backslash.
func plain(w uint64) int {
	const each, high = 0x0101010101010101, 0x8080808080808080
	control := w - ' '*each
	quotes := (w ^ '"'*each) - each
	backslash := (w ^ '\\'*each) - each
	// What a borrow makes of the bytes above such a one does not matter.
	return bits.TrailingZeros64((control|quotes|backslash)&^w&high) / 8
}

// skipEscape is for what follows a backslash.
func skipEscape(p []byte, i int) int {
	if i >= len(p) {
		return -1
	}
	switch p[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1
	case 'u':
		if i+5 > len(p) || (hexDigits[p[i+1]]|hexDigits[p[i+2]]|hexDigits[p[i+3]]|hexDigits[p[i+4]])&noHexDigit != 0 {
			return -1
		}
		return i + 5
	}
	return -1
}

func skipWord(p []byte, i int, word string) int {
	if len(p)-i < len(word) || string(p[i:i+len(word)]) != word {
		return -1
	}
	return i + len(word)
}

func skipNumber(p []byte, i int) int {
	if i < len(p) && p[i] == '-' {
		i++
	}
	if i < len(p) && p[i] == '0' {
		i++
	} else if i = skipDigits(p, i); i < 0 {
		return -1
	}
	if i < len(p) && p[i] == '.' {
		if i = skipDigits(p, i+1); i < 0 {
			return -1
		}
	}
	if i < len(p) && (p[i] == 'e' || p[i] == 'E') {
		if i++; i < len(p) && (p[i] == '+' || p[i] == '-') {
			i++
		}
		return skipDigits(p, i)
	}
	return i
}

// skipDigits is for one digit or more.
func skipDigits(p []byte, i int) int {
	from := i
	for i < len(p) && '0' <= p[i] && p[i] <= '9' {
		i++
	}
	if i == from {
		return -1
	}
	return i
}
