package api

import (
	"bytes"
	"encoding/json"
)

// scanner goes through a document that is valid JSON. It allocates nothing but for
// strings with escapes in them.
type scanner struct {
	text []byte
	at   int
}

// peek returns the byte that the next value, name or end begins with; 0 at the end of
// the document.
func (s *scanner) peek() byte {
	for ; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; c {
		case ' ', '\t', '\r', '\n', ',', ':': // where they may stand is settled
		default:
			return c
		}
	}
	return 0
}

// enter passes the beginning of an object or array.
func (s *scanner) enter() {
	s.peek()
	s.at++
}

// leave reports whether the object or array ends here, and passes its end. So does the
// end of the document.
func (s *scanner) leave() bool {
	switch s.peek() {
	case '}', ']':
		s.at++
		return true
	case 0:
		return true
	}
	return false
}

// skip passes a value or a name, and returns it as it was written.
func (s *scanner) skip() []byte {
	depth := 0
	s.peek()
	for from := s.at; ; {
		switch s.peek() {
		case '{', '[':
			depth++
			s.at++
		case '}', ']':
			depth--
			s.at++
		case '"':
			s.skipString()
		case 0:
			return s.text[from:s.at]
		default:
			n := bytes.IndexAny(s.text[s.at:], ",:]} \t\r\n")
			if n < 0 {
				n = len(s.text) - s.at
			}
			s.at += n
		}
		if depth <= 0 {
			return s.text[from:s.at]
		}
	}
}

func (s *scanner) skipString() {
	for s.at++; s.at < len(s.text) && s.text[s.at] != '"'; s.at++ {
		if s.text[s.at] == '\\' {
			s.at++
		}
	}
	s.at = min(s.at+1, len(s.text))
}

// str passes a string, and returns what it stands for.
func (s *scanner) str() []byte {
	quoted := s.skip()
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	var plain string
	_ = json.Unmarshal(quoted, &plain) // it is valid
	return []byte(plain)
}
