package credential

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"regexp"
	"strings"
)

// mark is a header or footer of a PEM block as it stands in a text.
type mark struct {
	start, end int
	footer     bool
	label      string
	exact      bool // five dashes on both sides, single spaces
}

// afterDashes matches a header or footer from its word on, also with too few
// dashes and with line ends for spaces. At most five dashes are taken behind
// it, since the next mark may follow at once.
var afterDashes = regexp.MustCompile(`^(?:BEGIN|END)\s{1,8}([A-Z0-9](?:[A-Z0-9.\s]{0,38}[A-Z0-9])?)\s{0,8}-{2,5}`)

// maxMarkBytes is the longest that afterDashes matches.
const maxMarkBytes = 5 + 8 + 40 + 8 + 5

// maxMarks bounds the work for a text of nothing but headers. Of a text with as
// many, no block is rebuilt: those behind the last mark would be lost.
const maxMarks = 256

// findMarks returns the headers and footers in text, in order. The expression
// is tried at their words alone: on all of a large text it would take seconds.
func findMarks(text string) []mark {
	var found []mark
	for done, i := 0, 0; len(found) < maxMarks; {
		word, next := nextWord(text, i)
		if word == "" {
			break
		}
		i = next + len(word)
		window := text[next:min(next+maxMarkBytes, len(text))]
		if !strings.Contains(window, "--") || next > 0 && isWordByte(text[next-1]) {
			continue
		}
		m := afterDashes.FindStringSubmatchIndex(window)
		if m == nil {
			continue
		}
		dashes := strings.TrimRight(text[done:next], " \t")
		start := done + len(strings.TrimRight(dashes, "-"))
		// Joined files may share their dashes.
		shared := len(found) > 0 && found[len(found)-1].end == start
		count := done + len(dashes) - start
		end := next + m[1]
		done, i = end, end
		if count < 2 && !shared {
			continue
		}
		label := strings.Join(strings.Fields(text[next+m[2]:next+m[3]]), " ")
		found = append(found, mark{
			start: start, end: end,
			footer: word == "END",
			label:  label,
			exact:  text[start:end] == "-----"+word+" "+label+"-----",
		})
	}
	return found
}

// nextWord returns the first word of a mark in text from i on, and where it is.
func nextWord(text string, i int) (word string, at int) {
	for ; i < len(text); i++ {
		switch text[i] {
		case 'B':
			word = "BEGIN"
		case 'E':
			word = "END"
		default:
			continue
		}
		if strings.HasPrefix(text[i:], word) {
			return word, i
		}
	}
	return "", 0
}

func isWordByte(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '_'
}

// rebuild writes text's blocks anew. It reports false if there is nothing in
// text that could be one.
func (c *cleaner) rebuild(text string) ([]byte, bool) {
	found := findMarks(text)
	switch len(found) {
	case 0:
		return c.bare(text)
	case maxMarks:
		return nil, false
	}
	var out bytes.Buffer
	done := 0 // up to where text was used
	for i := 0; i < len(found); i++ {
		m := found[i]
		c.noteMark(text, found, i)
		if m.footer { // without a header
			c.note(RepairHeader)
			c.block(&out, m.label, lastParagraph(text[done:m.start]))
			done = m.end
			continue
		}
		end, next := len(text), len(text)
		if i+1 < len(found) {
			end, next = found[i+1].start, found[i+1].start
		}
		if i+1 < len(found) && found[i+1].footer {
			i++
			c.noteMark(text, found, i)
			next = found[i].end
			if found[i].label != m.label {
				c.note(RepairFooter)
			}
		} else {
			c.note(RepairFooter)
		}
		c.block(&out, m.label, text[m.end:end])
		done = next
	}
	if len(c.done) == 0 {
		c.note(RepairWrapping) // all else was noted where it was found
	}
	return out.Bytes(), true
}

// noteMark says what is wrong with where and how the mark i stands.
func (c *cleaner) noteMark(text string, found []mark, i int) {
	m := found[i]
	if !m.exact {
		c.note(RepairDashes)
	}
	before, after := 0, len(text)
	if i > 0 {
		before = found[i-1].end
	}
	if i+1 < len(found) {
		after = found[i+1].start
	}
	lead := text[before:m.start]
	lead = lead[strings.LastIndexByte(lead, '\n')+1:]
	switch {
	case before == m.start && i > 0:
		c.note(RepairJoined)
	case lead == "":
	case strings.TrimSpace(lead) == "":
		c.note(RepairIndentation)
	case m.footer:
		c.note(RepairOneLine)
	default:
		c.note(RepairSurroundings)
	}
	trail, _, _ := strings.Cut(text[m.end:after], "\n")
	switch {
	case strings.TrimSpace(trail) == "":
	case m.footer:
		c.note(RepairSurroundings)
	default:
		c.note(RepairOneLine)
	}
}

// lastParagraph returns what stands after the last empty line of s, where s
// ends in base64 without its header.
func lastParagraph(s string) string {
	s = strings.TrimSpace(s)
	if i := strings.LastIndex(s, "\n\n"); i >= 0 {
		return s[i+2:]
	}
	return s
}

// block writes one block with the given body, as it is if it can not be
// repaired.
func (c *cleaner) block(out *bytes.Buffer, label, body string) {
	headers, body := cutHeaders(body)
	der, ok := c.base64(body, headers == nil)
	if !ok {
		out.WriteString(pemBeginning + label + "-----\n" + strings.TrimSpace(body) + "\n-----END " + label + "-----\n")
		return
	}
	out.Write(pem.EncodeToMemory(&pem.Block{Type: label, Headers: headers, Bytes: der}))
}

// keyEncryption matches the headers of a key in the encryption of RFC 1423.
var keyEncryption = regexp.MustCompile(`^[\s>|,;]*Proc-Type:\s*4,\s*ENCRYPTED[\s>|,;]*DEK-Info:\s*([A-Z0-9-]+),\s*([0-9A-Fa-f]+)`)

// cutHeaders takes the headers off a body. Those that say nothing of an
// encryption are dropped.
func cutHeaders(body string) (headers map[string]string, rest string) {
	if m := keyEncryption.FindStringSubmatchIndex(body); m != nil {
		algorithm, iv := body[m[2]:m[3]], m[5]
		size := 32 // hex digits of an AES block
		if strings.HasPrefix(algorithm, "DES-") {
			size = 16
		}
		iv = min(iv, m[4]+size) // base64 may follow at once
		return map[string]string{
			"Proc-Type":      "4,ENCRYPTED",
			pemKeyEncryption: algorithm + "," + body[m[4]:iv],
		}, body[iv:]
	}
	rest = strings.TrimLeft(body, "\n")
	for {
		line, after, ok := strings.Cut(rest, "\n")
		if !ok || !strings.Contains(line, ": ") {
			return nil, rest
		}
		rest = after
	}
}

// base64 decodes the base64 in s. If sized, the text must begin with the DER
// of one value, whose length says where it ends; what follows is dropped.
func (c *cleaner) base64(s string, sized bool) ([]byte, bool) {
	digits := make([]byte, 0, len(s))
	need := -1 // digits of the whole value, once known
	total, padding, longest := 0, 0, 0
	lineStart, spaced := true, false
	column := 0
	rest := strings.TrimLeft(s, "-")
	for i := 0; i < len(rest); i++ {
		if need >= 0 && len(digits) >= need {
			c.afterBase64(rest[i:], &padding)
			break
		}
		switch b := rest[i]; {
		case b == '\n':
			lineStart, spaced, column = true, false, 0
		case b == ' ' || b == '\t':
			if lineStart && len(digits) > 0 {
				c.note(RepairIndentation)
			}
			spaced = !lineStart
		case isBase64(b):
			if padding > 0 {
				return nil, false // two bodies under one header
			}
			if spaced {
				c.note(RepairOneLine)
			}
			lineStart, spaced = false, false
			digits = append(digits, b)
			column++
			longest = max(longest, column)
			if sized && len(digits) == 8 {
				if total = derLength(digits); total > 0 {
					need = base64.RawStdEncoding.EncodedLen(total)
				}
			}
		case b == '=':
			padding++
		case strings.IndexByte(">|,;*#\\", b) >= 0:
			c.note(RepairStray)
		default:
			return nil, false
		}
	}
	if len(digits) < need || len(digits) < 8 {
		return nil, false // cut off
	}
	der := make([]byte, base64.RawStdEncoding.DecodedLen(len(digits)))
	n, err := base64.RawStdEncoding.Decode(der, digits)
	clear(digits)
	if err != nil { // its text would be of a key
		return nil, false
	}
	der = der[:n]
	if total > 0 {
		der = der[:min(total, n)]
	}
	if (len(der)+padding)%3 != 0 {
		c.note(RepairPadding)
	}
	if longest > maxLineBytes {
		c.note(RepairWrapping)
	}
	return der, true
}

// afterBase64 looks at what follows the last digit of a value.
func (c *cleaner) afterBase64(s string, padding *int) {
	text := strings.TrimLeft(s, "=")
	*padding += len(s) - len(text)
	if strings.Trim(text, " \t\n>|,;*#-=") != "" {
		c.note(RepairSurroundings)
	}
}

func isBase64(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '+' || b == '/'
}

// derLength returns the length of the DER value whose first 6 bytes are in
// digits, with its tag and length; zero if that is not to be seen from them.
func derLength(digits []byte) int {
	var head [6]byte
	if _, err := base64.RawStdEncoding.Decode(head[:], digits[:8]); err != nil {
		return 0
	}
	if head[0] != 0x30 && head[0] != 0x06 {
		return 0
	}
	n, ok := valueLength(head[:])
	if !ok || n > maxFileBytes {
		return 0
	}
	return n
}

// maxBareTries bounds the places at which base64 without header is looked for.
const maxBareTries = 16

// bare reads base64 that has neither header nor footer, perhaps behind the
// name of a variable.
func (c *cleaner) bare(text string) ([]byte, bool) {
	if !strings.ContainsAny(text, "+/") { // the alphabet of URLs
		text = strings.NewReplacer("-", "+", "_", "/").Replace(text)
	}
	tries := 0
	for i := 0; i < len(text) && tries < maxBareTries; i++ {
		if i > 0 && isBase64(text[i-1]) || text[i] != 'M' && !strings.HasPrefix(text[i:], "LS0t") {
			continue
		}
		tries++
		try := cleaner{nested: c.nested}
		der, ok := try.base64(text[i:], text[i] == 'M')
		if !ok {
			continue
		}
		if i > 0 {
			try.note(RepairSurroundings)
		}
		out, ok := try.wrap(der)
		if !ok {
			clear(der)
			continue
		}
		for _, r := range try.done {
			c.note(r)
		}
		return out, true
	}
	return nil, false
}

// wrap makes a file of what was bare base64: its own bytes for the kinds that
// are binary, else PEM with the label of its shape.
func (c *cleaner) wrap(der []byte) ([]byte, bool) {
	switch shape := shapeOf(der); shape {
	case shapePKCS12, shapeSignedData:
		c.note(RepairBase64)
		return der, true
	case shapeUnknown:
		if c.nested == 0 || !bytes.Contains(der, []byte("-----")) {
			return nil, false
		}
		inner, done := cleanText(der, c.nested-1)
		if len(findMarks(string(inner))) == 0 {
			return nil, false
		}
		c.note(RepairBase64)
		for _, r := range done {
			c.note(r)
		}
		return inner, true
	default:
		c.note(RepairHeader)
		return pem.EncodeToMemory(&pem.Block{Type: shape.label(), Bytes: der}), true
	}
}
