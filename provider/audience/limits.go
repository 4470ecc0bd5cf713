package audience

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// MaxOfPerson is how many installations of a person are looked at, or changed at
// once: they are the devices of one.
const MaxOfPerson = 1000

// The limits of what an app may say of an installation; those in bytes are of
// UTF-8.
const (
	MaxInstallationIDBytes = 128
	MaxDestinations        = 32
	MaxNameBytes           = 128
	MaxAliases             = 8
	MaxAliasLabelBytes     = 64
	MaxAliasIDBytes        = 128
	MaxTags                = 64
	MaxTagBytes            = 120
	MaxLocaleBytes         = 35
	MaxAppVersionBytes     = 64
)

// pointer returns the JSON pointer to an element of an array.
func pointer(array string, n int) string { return array + "/" + strconv.Itoa(n) }

func tooMany(n, most int) string { return fmt.Sprintf("%d, at most %d are possible", n, most) }

// Check returns an *InvalidError if id is none.
func (id InstallationID) Check() error {
	var faults Faults
	switch {
	case id == "":
		faults.Add("", Required, "the installation is not named")
	case len(id) > MaxInstallationIDBytes:
		faults.Add("", TooLong, tooLong(string(id), MaxInstallationIDBytes))
	case strings.ContainsFunc(string(id), func(c rune) bool { return !isPlain(c) && !strings.ContainsRune("-._~:@", c) }):
		faults.Add("", Malformed, "an installation's ID has letters, digits and -._~:@ only")
	}
	return faults.Err()
}

func tooLong(s string, most int) string {
	return fmt.Sprintf("%d bytes, at most %d are possible", len(s), most)
}

// isPlain reports whether c is a letter or digit of ASCII.
func isPlain(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// checkText notes what is wrong with a text that may be empty.
func checkText(faults *Faults, at, s string, most int) {
	switch {
	case len(s) > most:
		faults.Add(at, TooLong, tooLong(s, most))
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl):
		faults.Add(at, Malformed, "not a text of printable characters")
	}
}

// checkTag notes what is wrong with a tag.
func checkTag(faults *Faults, at, tag string) {
	if tag == "" {
		faults.Add(at, Required, "the tag is empty")
	}
	checkText(faults, at, tag, MaxTagBytes)
}

// Check returns an *InvalidError if a is no alias. Its pointers begin with at.
func (a Alias) check(at string, faults *Faults) {
	// A label that is malformed is not repeated.
	if a.Label == "" || len(a.Label) > MaxAliasLabelBytes ||
		strings.ContainsFunc(a.Label, func(c rune) bool { return !isPlain(c) && c != '_' && c != '-' }) {
		faults.Add(at, Malformed, "a label has 1 to 64 letters, digits, _ and -")
		return
	}
	at += "/" + a.Label
	if a.ID == "" {
		faults.Add(at, Required, "the alias is empty")
	}
	checkText(faults, at, a.ID, MaxAliasIDBytes)
}

// Check returns an *InvalidError if a is no alias.
func (a Alias) Check() error {
	var faults Faults
	a.check("", &faults)
	return faults.Err()
}

// readLocale returns the locale, as it is stored.
func (r Registration) readLocale(faults *Faults) string {
	locale := strings.ReplaceAll(r.Locale, "_", "-") // as Apple's own locale identifiers have it
	if len(locale) > MaxLocaleBytes {
		faults.Add("/locale", TooLong, tooLong(locale, MaxLocaleBytes))
		return ""
	}
	for part := range strings.SplitSeq(locale, "-") {
		if locale != "" && (part == "" || len(part) > 8 || strings.ContainsFunc(part, func(c rune) bool { return !isPlain(c) })) {
			faults.Add("/locale", Malformed, "not a language tag, such as de-CH")
			return ""
		}
	}
	return locale
}

// zones has the names that were found to be of time zones. There are some
// hundred.
var zones sync.Map

// isTimeZone reports whether s is the name of a time zone.
func isTimeZone(s string) bool {
	if _, ok := zones.Load(s); ok {
		return true
	}
	if s == "Local" {
		return false
	}
	if _, err := time.LoadLocation(s); err != nil {
		return false
	}
	zones.Store(s, nil)
	return true
}
