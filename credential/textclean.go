package credential

import (
	"bytes"
	"html"
	"regexp"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Repair names one thing that CleanText put right, such as "line-ends". The
// words are stable: logs and tests may rely on them.
type Repair string

// The repairs, in the order in which they are reported. Each table row of
// repairs says what it means.
const (
	RepairUTF16         Repair = "utf-16"
	RepairByteOrderMark Repair = "byte-order-mark"
	RepairLineEnds      Repair = "line-ends"
	RepairEscapes       Repair = "escapes"
	RepairMarkup        Repair = "markup"
	RepairDashes        Repair = "dashes"
	RepairQuotes        Repair = "quotes"
	RepairIndentation   Repair = "indentation"
	RepairJoined        Repair = "joined"
	RepairOneLine       Repair = "one-line"
	RepairWrapping      Repair = "wrapping"
	RepairStray         Repair = "stray-characters"
	RepairPadding       Repair = "padding"
	RepairSurroundings  Repair = "surrounding-text"
	RepairHeader        Repair = "header"
	RepairFooter        Repair = "footer"
	RepairBase64        Repair = "base64"
)

// repairs is the one table of sentences, in the order of reports. A repair
// that is only of the text's encoding is reported with WarnText, any other
// with WarnRepaired.
var repairs = []struct {
	repair   Repair
	encoding bool
	sentence string
}{
	{RepairUTF16, true, "it was UTF-16, as Windows PowerShell writes it"},
	{RepairByteOrderMark, true, "it had a byte-order mark, as Windows editors write it"},
	{RepairLineEnds, true, "its lines ended in a carriage return"},
	{RepairEscapes, false, `its line ends were written out as \n`},
	{RepairMarkup, false, "it held HTML from a web page"},
	{RepairDashes, false, "the dashes of its header or footer were too few, or those of a word processor"},
	{RepairQuotes, false, "it stood in quotes"},
	{RepairIndentation, false, "its lines were indented"},
	{RepairJoined, true, "files had been joined without a line end between them"},
	{RepairOneLine, false, "its line ends had become spaces, or were missing"},
	{RepairWrapping, false, "its lines were longer than most tools read"},
	{RepairStray, false, "characters stood in it that do not belong to base64"},
	{RepairPadding, false, "its last = signs were missing"},
	{RepairSurroundings, false, "other text stood beside its header or footer"},
	{RepairHeader, false, "its line -----BEGIN …----- was missing"},
	{RepairFooter, false, "its line -----END …----- was missing, or was another's"},
	{RepairBase64, false, "it was base64 of the file"},
}

// Sentence says what was wrong, for people, with "it" for the text.
func (r Repair) Sentence() string {
	for _, row := range repairs {
		if row.repair == r {
			return row.sentence
		}
	}
	return string(r)
}

// maxFileBytes bounds the files that are cleaned and inspected: a provisioning
// profile with many devices is larger than any credential.
const maxFileBytes = 1 << 20

// CleanText puts right what editors, web pages, shells and configuration files
// do to PEM text, and says what it did. Text that is sound is returned as it
// is, with no repairs; so are DER, what is not text at all, and more than
// 1 MiB. Of text with 128 blocks or more, only the encoding is put right. Of
// repaired text, only the PEM blocks are returned, in 64 columns; a
// block that can not be repaired stays in it, damaged. Base64 of a whole
// PKCS#12 file or provisioning profile is returned as that file.
//
// What is returned is as secret as data. CleanText never fails: whether the
// result is a credential is for the reader to say.
func CleanText(data []byte) (clean []byte, done []Repair) {
	if len(data) > maxFileBytes {
		return data, nil
	}
	return cleanText(data, 1)
}

// cleanText is CleanText; nested says how many layers of base64 it takes off.
func cleanText(data []byte, nested int) ([]byte, []Repair) {
	if isDER(data) {
		return data, nil
	}
	c := cleaner{nested: nested}
	text := c.decode(data)
	if bytes.IndexByte(text, 0) >= 0 || !utf8.Valid(text) && !bytes.Contains(text, []byte("BEGIN")) {
		return data, nil
	}
	text = c.lineEnds(text)
	if soundPEM(text) || isXML(text) {
		return text, c.sorted()
	}
	rebuilt, ok := c.rebuild(c.unwrap(string(text)))
	if !ok {
		// Not a credential that anybody could make out. What was noted
		// since would be guesses.
		return text, c.encodingOnly()
	}
	return rebuilt, c.sorted()
}

// cleaner collects what was repaired.
type cleaner struct {
	done   []Repair
	nested int
}

func (c *cleaner) note(r Repair) {
	if !slices.Contains(c.done, r) {
		c.done = append(c.done, r)
	}
}

// sorted returns the repairs in the order of the table.
func (c *cleaner) sorted() []Repair {
	var sorted []Repair
	for _, row := range repairs {
		if slices.Contains(c.done, row.repair) {
			sorted = append(sorted, row.repair)
		}
	}
	return sorted
}

func (c *cleaner) encodingOnly() []Repair {
	return slices.DeleteFunc(c.sorted(), func(r Repair) bool { return !r.ofEncoding() })
}

// ofEncoding reports whether r is of the text's encoding, and not of what it
// says.
func (r Repair) ofEncoding() bool {
	for _, row := range repairs {
		if row.repair == r {
			return row.encoding
		}
	}
	return false
}

// byteOrderMark is U+FEFF. It also stands inside joined files.
var byteOrderMark = []byte("\ufeff")

// decode turns UTF-16 into UTF-8 and takes byte-order marks off.
func (c *cleaner) decode(data []byte) []byte {
	if big, ok := utf16Order(data); ok {
		units := make([]uint16, 0, len(data)/2)
		for i := 0; i+1 < len(data); i += 2 {
			hi, lo := data[i+1], data[i]
			if big {
				hi, lo = lo, hi
			}
			units = append(units, uint16(hi)<<8|uint16(lo))
		}
		data = []byte(string(utf16.Decode(units)))
		data = bytes.TrimPrefix(data, byteOrderMark) // part of UTF-16
		c.note(RepairUTF16)
	}
	if bytes.Contains(data, byteOrderMark) {
		c.note(RepairByteOrderMark)
		return bytes.ReplaceAll(data, byteOrderMark, nil)
	}
	return data
}

// utf16Order reports whether data is UTF-16, and in which order. Without a
// mark, it must begin with four characters of ASCII.
func utf16Order(data []byte) (big, ok bool) {
	switch {
	case bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		return true, true
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}):
		return false, true
	case len(data) < 8:
		return false, false
	}
	var even, odd int
	for i, b := range data[:8] {
		switch {
		case b != 0:
		case i%2 == 0:
			even++
		default:
			odd++
		}
	}
	return even == 4, even == 4 && odd == 0 || odd == 4 && even == 0
}

// lineEnds turns CRLF and CR into LF.
func (c *cleaner) lineEnds(text []byte) []byte {
	if bytes.IndexByte(text, '\r') < 0 {
		return text
	}
	c.note(RepairLineEnds)
	text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	return bytes.ReplaceAll(text, []byte("\r"), []byte("\n"))
}

// maxLineBytes is what old readers take in a line of base64: OpenSSL before
// 1.1 stops at 76.
const maxLineBytes = 76

// soundPEM reports whether text has PEM blocks, and every reader finds them
// all.
func soundPEM(text []byte) bool {
	want := len(findMarks(string(text)))
	if want == 0 {
		return false
	}
	blocks := decodeBlocks(text)
	clearKeys(blocks)
	if 2*len(blocks) != want {
		return false
	}
	inside := false
	for line := range bytes.SplitSeq(text, []byte("\n")) {
		switch {
		case bytes.HasPrefix(line, []byte(pemBeginning)):
			inside = true
		case bytes.HasPrefix(line, []byte("-----END ")):
			inside = false
		case inside && len(line) > maxLineBytes:
			return false
		}
	}
	return true
}

// isXML reports whether text is a document of its own kind, in which base64
// is not PEM.
func isXML(text []byte) bool {
	text = bytes.TrimSpace(text)
	return bytes.HasPrefix(text, []byte("<?xml")) || bytes.HasPrefix(text, []byte("<plist")) || bytes.HasPrefix(text, []byte("<!DOCTYPE plist"))
}

// escapes are the ways in which JSON, shells and .env files write what has a
// meaning in them. No backslash ever stands in base64.
var escapes = strings.NewReplacer(
	`\\r\\n`, "\n", `\\n`, "\n", `\r\n`, "\n", `\n`, "\n", `\r`, "\n", `\t`, " ",
	"\\\n", "\n", `\"`, `"`, `\/`, "/",
	`\u002b`, "+", `\u002B`, "+", `\u002f`, "/", `\u002F`, "/", `\u003d`, "=", `\u003D`, "=",
)

// dashes are what word processors make of hyphens. Two stand for each: an em
// dash was typed as two or three.
var dashes = strings.NewReplacer(
	"\u2010", "-", "\u2011", "-", "\u2012", "--", "\u2013", "--", "\u2014", "--", "\u2015", "--",
	"\u2212", "-", "\ufe58", "--", "\ufe63", "-", "\uff0d", "-", "\x96", "--", "\x97", "--",
)

// invisible characters come with text from web pages.
var invisible = strings.NewReplacer(
	"\u00a0", " ", "\u2007", " ", "\u202f", " ", "\u2028", "\n", "\u2029", "\n", "\u0085", "\n",
	"\u200b", "", "\u200c", "", "\u200d", "", "\u2060", "", "\u00ad", "",
)

var (
	quotes = strings.NewReplacer(`"`, " ", "'", " ", "`", " ",
		"\u201c", " ", "\u201d", " ", "\u201e", " ", "\u2018", " ", "\u2019", " ", "\u00ab", " ", "\u00bb", " ")
	// quotedEnds are the quotes that hug the text; they are no indentation.
	quotedEnds = "\"'`\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb"

	tags = regexp.MustCompile(`(?i)</?(?:br|p|pre|div|span|code|td|tr|li|textarea)(?:\s[^<>]{0,200})?/?>`)
)

// unwrap takes off what surrounds and replaces the characters of PEM.
func (c *cleaner) unwrap(text string) string {
	replace := func(r Repair, with func(string) string) {
		if s := with(text); s != text {
			text = s
			c.note(r)
		}
	}
	if strings.Contains(text, `\`) {
		replace(RepairEscapes, escapes.Replace)
	}
	if strings.ContainsAny(text, "<&") { // the expression is slow
		replace(RepairMarkup, func(s string) string { return tags.ReplaceAllString(html.UnescapeString(s), "\n") })
	}
	if utf8.ValidString(text) {
		replace(RepairStray, invisible.Replace)
	}
	replace(RepairDashes, dashes.Replace)
	text = strings.TrimSpace(text)
	replace(RepairQuotes, func(s string) string { return strings.Trim(s, quotedEnds) })
	replace(RepairQuotes, quotes.Replace)
	return strings.TrimSpace(text)
}
