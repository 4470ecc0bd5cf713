package credential

import "encoding/asn1"

// unmarshalAll reads the value that der is, and nothing after it. The parser's
// error is dropped: it may have seen what was decrypted.
func unmarshalAll(der []byte, v any) error {
	if rest, err := asn1.Unmarshal(der, v); err != nil || len(rest) > 0 {
		return errDamaged
	}
	return nil
}

// maxElements bounds the elements of a sequence. A certificate has 10, the list
// of topics two for each.
const maxElements = 256

// sequence returns the elements of a SEQUENCE that fills der.
func sequence(der []byte) ([]asn1.RawValue, error) {
	var list asn1.RawValue
	if err := unmarshalAll(der, &list); err != nil {
		return nil, err
	}
	if !isTag(list, asn1.TagSequence) || !list.IsCompound {
		return nil, errDamaged
	}
	return readElements(list.Bytes, "elements of a sequence", maxElements)
}

// readElements returns the values that follow each other in der, at most limit
// of them: encoding/asn1 would set aside room for as many as there are.
func readElements(der []byte, what string, limit int) ([]asn1.RawValue, error) {
	var elements []asn1.RawValue
	for len(der) > 0 {
		if len(elements) == limit {
			return nil, &LimitError{What: what, Got: limit + 1, Max: limit}
		}
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(der, &v)
		if err != nil {
			return nil, errDamaged
		}
		elements = append(elements, v)
		der = rest
	}
	return elements, nil
}

// parseString returns the string that fills der.
func parseString(der []byte) (string, error) {
	var v asn1.RawValue
	if err := unmarshalAll(der, &v); err != nil {
		return "", err
	}
	return stringOf(v)
}

// utf8String is s as what Apple writes.
func utf8String(s string) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassUniversal, Tag: asn1.TagUTF8String, Bytes: []byte(s)}
}

// isTag reports whether v is of the universal type tag.
func isTag(v asn1.RawValue, tag int) bool { return v.Class == asn1.ClassUniversal && v.Tag == tag }
