package portal

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxNameBytes bounds the name of a team, an app or a key.
const maxNameBytes = 100

// cleanName returns a name that people gave to what, without the white space
// around it, or a Refusal. It is shown in lists and written into certificates
// (docs/protocol/certificates.md#issuance), so there is nothing in it that moves
// a cursor or turns the direction of the text around.
func cleanName(what, name string) (string, error) {
	const hint = "Letters, digits, punctuation and single spaces, up to 100 bytes."
	if len(name) > 2*maxNameBytes { // no work for what is far too long
		return "", refuse(CodeName, hint, "the name of %s has %d bytes, at most %d are possible", what, len(name), maxNameBytes)
	}
	if !utf8.ValidString(name) {
		return "", refuse(CodeName, hint, "the name of %s is not UTF-8", what)
	}
	name = strings.TrimSpace(name)
	if len(name) > maxNameBytes {
		return "", refuse(CodeName, hint, "the name of %s has %d bytes, at most %d are possible", what, len(name), maxNameBytes)
	}
	for _, r := range name {
		if unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control, unicode.Noncharacter_Code_Point) {
			return "", refuse(CodeName, hint, "the name of %s has the control character %U", what, r)
		}
	}
	return name, nil
}
