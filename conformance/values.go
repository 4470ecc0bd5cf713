package conformance

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// lackError says what a target does not have.
type lackError struct{ what string }

func (e *lackError) Error() string { return "no " + e.what }

// values are what stands for the names in a case.
type values struct {
	target *Target
	turn   int               // which of several values
	kept   map[string]string // of earlier steps
	own    map[string]string // of this case
	ghost  string            // a device token that nobody has
}

// newValues returns the values of the case that is the nth.
func newValues(t *Target, turn int) *values {
	var ghost [32]byte
	_, _ = rand.Read(ghost[:]) // never fails
	marker := rand.Text()
	return &values{
		target: t, turn: turn, kept: make(map[string]string), ghost: hex.EncodeToString(ghost[:]),
		own: map[string]string{"marker": marker[:12], "uuid": newUUID(), "device token of nobody": hex.EncodeToString(ghost[:])},
	}
}

// newUUID returns an apns-id.
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// value returns what a name stands for. The error is a *lackError.
func (v *values) value(name string) (string, error) {
	if s, ok := v.own[name]; ok {
		return s, nil
	}
	if s, ok := v.kept[name]; ok {
		return s, nil
	}
	if all := v.target.Values[name]; len(all) > 0 {
		return all[v.turn%len(all)], nil
	}
	return "", &lackError{name}
}

// deviceToken returns the device token of a name, or one that nobody has where
// nothing may be delivered and nothing is to be.
func (v *values) deviceToken(name string, delivers bool) (string, error) {
	if name == "" {
		name = DeviceToken
		if !v.target.Deliver && !delivers {
			return v.ghost, nil
		}
	}
	if _, harmless := v.own[name]; !harmless && !v.target.Deliver {
		return "", &lackError{"leave to deliver"}
	}
	return v.value(name)
}

// expand replaces each ${…} in a text. It may be a name, "now" with seconds to
// add or take away, "repeat" with a text and a count, "spaces" with a count,
// "upper" or "changed" (in the first digit) with a name, or "chars" with bytes
// in hex.
func (v *values) expand(s string) (string, error) {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(s, "${")
		b.WriteString(before)
		if !ok {
			return b.String(), nil
		}
		inside, after, ok := strings.Cut(rest, "}")
		if !ok {
			return "", fmt.Errorf("%q: a brace is not closed", s)
		}
		with, err := v.placeholder(inside)
		if err != nil {
			return "", err
		}
		b.WriteString(with)
		s = after
	}
}

// maxRepeat bounds what one placeholder stands for, in bytes.
const maxRepeat = 1 << 20

func (v *values) placeholder(inside string) (string, error) {
	word, rest, _ := strings.Cut(inside, " ")
	switch {
	case strings.HasPrefix(inside, "now"):
		return seconds(strings.TrimPrefix(inside, "now"))
	case word == "upper":
		s, err := v.value(rest)
		return strings.ToUpper(s), err
	case word == "changed":
		s, err := v.value(rest)
		if err != nil || s == "" {
			return s, err
		}
		digit := byte('0')
		if s[0] == digit {
			digit++
		}
		return string(digit) + s[1:], nil
	case word == "repeat":
		text, count, _ := strings.Cut(rest, " ")
		n, err := strconv.Atoi(count)
		if err != nil || n < 0 || n*len(text) > maxRepeat {
			return "", fmt.Errorf("${%s}: want a text and a count", inside)
		}
		return strings.Repeat(text, n), nil
	case word == "spaces":
		n, err := strconv.Atoi(rest)
		if err != nil || n < 0 || n > maxRepeat {
			return "", fmt.Errorf("${%s}: want a count", inside)
		}
		return strings.Repeat(" ", n), nil
	case word == "chars":
		var b strings.Builder
		for code := range strings.FieldsSeq(rest) {
			n, err := strconv.ParseUint(code, 16, 8)
			if err != nil {
				return "", fmt.Errorf("${%s}: want bytes in hex", inside)
			}
			b.WriteByte(byte(n))
		}
		return b.String(), nil
	}
	return v.value(inside)
}

// seconds returns the time in so many seconds, since the epoch.
func seconds(offset string) (string, error) {
	n := 0
	if offset != "" {
		var err error
		if n, err = strconv.Atoi(offset); err != nil {
			return "", fmt.Errorf("${now%s}: want a sign and seconds", offset)
		}
	}
	return strconv.FormatInt(time.Now().Unix()+int64(n), 10), nil
}
