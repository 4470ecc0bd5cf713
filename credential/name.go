package credential

import (
	"encoding/asn1"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Attribute types of subject names.
var (
	oidEmailAddress = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}
	oidCommonName   = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidCountry      = asn1.ObjectIdentifier{2, 5, 4, 6}
	oidOrganization = asn1.ObjectIdentifier{2, 5, 4, 10}
	oidUnit         = asn1.ObjectIdentifier{2, 5, 4, 11}
	oidUserID       = asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}
)

// attribute is one relative name of a subject, alone in its set, with the
// ASN.1 string type that carries it. pkix.Name loses the type and the order,
// and both are part of what a push certificate looks like
// (docs/protocol/certificates.md#kinds).
type attribute struct {
	oid   asn1.ObjectIdentifier
	tag   int // asn1.TagUTF8String, TagPrintableString or TagIA5String
	value string
}

// name is a subject in the order of its encoding.
type name []attribute

// rawAttribute and relativeNameSET are the encoded forms of the same. The
// suffix SET tells encoding/asn1 to read and write a SET.
type rawAttribute struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

type relativeNameSET []rawAttribute

// marshal returns the DER form of n.
func (n name) marshal() ([]byte, error) {
	raw := make([]relativeNameSET, 0, len(n))
	for _, a := range n {
		v := asn1.RawValue{Class: asn1.ClassUniversal, Tag: a.tag, Bytes: []byte(a.value)}
		if _, err := stringOf(v); err != nil {
			return nil, fmt.Errorf("subject attribute %v: %w", a.oid, err)
		}
		raw = append(raw, relativeNameSET{{Type: a.oid, Value: v}})
	}
	return asn1.Marshal(raw)
}

// parseName reads a DER name, keeping order and string types. Attributes of
// other string types are left out: none of those that matter has one.
func parseName(der []byte) (name, error) {
	var raw []relativeNameSET
	rest, err := asn1.Unmarshal(der, &raw)
	if err != nil {
		return nil, fmt.Errorf("subject: %w", err)
	}
	if len(rest) > 0 {
		return nil, errors.New("subject: bytes after its end")
	}
	var n name
	for _, set := range raw {
		for _, a := range set {
			if s, err := stringOf(a.Value); err == nil {
				n = append(n, attribute{a.Type, a.Value.Tag, s})
			}
		}
	}
	return n, nil
}

// one returns the value of the attribute oid, empty if there is none. Two
// would let reader and issuer disagree on who the subject is.
func (n name) one(oid asn1.ObjectIdentifier) (string, error) {
	var value string
	var found bool
	for _, a := range n {
		if !a.oid.Equal(oid) {
			continue
		}
		if found {
			return "", fmt.Errorf("subject: attribute %v comes more than once", oid)
		}
		value, found = a.value, true
	}
	return value, nil
}

// stringOf returns the text of an ASN.1 string. Apple writes UTF8String; the
// two others are accepted (docs/protocol/certificates.md#rules).
func stringOf(v asn1.RawValue) (string, error) {
	if v.Class != asn1.ClassUniversal || v.IsCompound {
		return "", errors.New("not a string")
	}
	switch v.Tag {
	case asn1.TagUTF8String:
		if !utf8.Valid(v.Bytes) {
			return "", errors.New("not UTF-8")
		}
	case asn1.TagPrintableString, asn1.TagIA5String:
		for _, c := range v.Bytes {
			if c >= utf8.RuneSelf {
				return "", errors.New("not ASCII")
			}
		}
	default:
		return "", fmt.Errorf("string of ASN.1 type %d, want UTF8String, PrintableString or IA5String", v.Tag)
	}
	return string(v.Bytes), nil
}

// checkText refuses what does not belong in a name that people read: nothing
// at all, more than limit bytes, broken UTF-8, control characters.
func checkText(what, s string, limit int) error {
	switch {
	case s == "":
		return fmt.Errorf("%s: empty", what)
	case len(s) > limit:
		return fmt.Errorf("%s: %d bytes, at most %d are possible", what, len(s), limit)
	case !utf8.ValidString(s):
		return fmt.Errorf("%s: not UTF-8", what)
	}
	for _, r := range s {
		if r < ' ' || r == 0x7f {
			return fmt.Errorf("%s: has the control character %U", what, r)
		}
	}
	return nil
}

// checkCountry refuses what is not two upper-case letters.
func checkCountry(s string) error {
	if len(s) != 2 || s[0] < 'A' || s[0] > 'Z' || s[1] < 'A' || s[1] > 'Z' {
		return fmt.Errorf("country: %.20q is not two upper-case letters, such as US", s)
	}
	return nil
}
