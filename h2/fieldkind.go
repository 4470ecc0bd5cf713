package h2

import (
	"encoding/binary"
	"strings"
)

// fieldKind is what the name of a header field means to a connection.
type fieldKind uint8

const (
	kindRegular       fieldKind = iota // the handler's business alone
	kindMethod                         // :method
	kindScheme                         // :scheme
	kindPath                           // :path
	kindAuthority                      // :authority
	kindPseudo                         // a pseudo-header that requests do not have
	kindHost                           // host
	kindContentLength                  // content-length
	kindTE                             // te
	kindConnection                     // one that belongs to HTTP/1.1 (RFC 9113, 8.2.2)
	kindNameless                       // the empty name
	kindInvalid                        // a character that is not allowed in names
)

// kindOf returns the kind of a name.
func kindOf(name string) fieldKind {
	switch name {
	case "":
		return kindNameless
	case ":method":
		return kindMethod
	case ":scheme":
		return kindScheme
	case ":path":
		return kindPath
	case ":authority":
		return kindAuthority
	case "host":
		return kindHost
	case "content-length":
		return kindContentLength
	case "te":
		return kindTE
	case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade":
		return kindConnection
	}
	switch {
	case name[0] == ':':
		return kindPseudo
	case !validName(name):
		return kindInvalid
	}
	return kindRegular
}

// validName reports whether s is the name of a header field: a token (RFC 9110,
// 5.6.2) in lower case.
func validName(s string) bool {
	for i := range len(s) {
		if !nameByte[s[i]] {
			return false
		}
	}
	return s != ""
}

// nameByte says which bytes a name may have.
var nameByte = func() (t [256]bool) {
	for _, b := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") {
		t[b] = true
	}
	return t
}()

// validValue reports whether s is the value of a header field: without NUL,
// line ends, and space at either end (RFC 9113, 8.2.1).
func validValue(s string) bool {
	if s == "" {
		return true
	}
	return !isSpace(s[0]) && !isSpace(s[len(s)-1]) && (!hasControl(s) || !strings.ContainsAny(s, "\x00\n\r"))
}

// hasControl reports whether s may have a byte below 14; it looks at eight at a
// time, and a byte from 128 on may make it say so wrongly.
func hasControl(s string) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	below := func(x uint64) bool { return (x-14*ones)&^x&highs != 0 }
	for ; len(s) >= 8; s = s[8:] {
		if below(binary.LittleEndian.Uint64([]byte(s[:8]))) {
			return true
		}
	}
	for i := range len(s) {
		if s[i] < 14 {
			return true
		}
	}
	return false
}

// isSpace reports whether b is a space or a tab.
func isSpace(b byte) bool { return b == ' ' || b == '\t' }
