package credential

import (
	"encoding/asn1"
	"errors"
)

// maxBERDepth bounds how deep values may lie in each other. PKCS#12 needs 12.
const maxBERDepth = 32

// errDamaged says that a structure is not what its standard says, and nothing
// else: more would repeat what was decrypted.
var errDamaged = errors.New("damaged, cut short, or of an unknown form")

// toDER rewrites one BER value (ITU-T X.690) as DER as far as the files of
// this package need it: lengths become definite and minimal, and octet strings
// in pieces become whole. The values themselves, the order of a set among
// them, stay. What is DER already comes back as it was.
//
// Files from Windows, browsers and Bouncy Castle have such parts, and
// encoding/asn1 reads only DER.
func toDER(ber []byte) ([]byte, error) {
	der, rest, err := appendDER(make([]byte, 0, len(ber)), ber, maxBERDepth)
	if err != nil {
		return nil, err
	}
	if len(rest) > 0 {
		return nil, errDamaged
	}
	return der, nil
}

// appendDER appends the first value of in and returns what follows it.
func appendDER(out, in []byte, depth int) (extended, rest []byte, err error) {
	if depth == 0 {
		return nil, nil, &LimitError{What: "levels of ASN.1", Got: maxBERDepth + 1, Max: maxBERDepth}
	}
	h, body, err := readBERHeader(in)
	if err != nil {
		return nil, nil, err
	}
	if !h.constructed {
		out = appendDERHeader(out, h.identifier, h.length)
		return append(out, body[:h.length]...), body[h.length:], nil
	}
	pieces, rest := body, []byte(nil)
	if !h.indefinite {
		pieces, rest = body[:h.length], body[h.length:]
	}
	var content []byte
	for {
		switch {
		case h.indefinite && len(pieces) >= 2 && pieces[0] == 0 && pieces[1] == 0: // end of contents
			rest = pieces[2:]
		case h.indefinite || len(pieces) > 0:
			if h.octets() && (len(pieces) == 0 || pieces[0]&^berConstructed != asn1.TagOctetString) {
				return nil, nil, errDamaged
			}
			if content, pieces, err = appendDER(content, pieces, depth-1); err != nil {
				return nil, nil, err
			}
			continue
		}
		break
	}
	if h.octets() {
		if content, err = joinOctets(content); err != nil {
			return nil, nil, err
		}
		h.identifier = []byte{asn1.TagOctetString}
	}
	out = appendDERHeader(out, h.identifier, len(content))
	return append(out, content...), rest, nil
}

// joinOctets returns the contents of octet strings that follow each other, all
// of them in DER.
func joinOctets(pieces []byte) ([]byte, error) {
	var joined []byte
	for len(pieces) > 0 {
		h, body, err := readBERHeader(pieces)
		if err != nil {
			return nil, err
		}
		if h.class != asn1.ClassUniversal || h.tag != asn1.TagOctetString || h.constructed {
			return nil, errDamaged
		}
		joined = append(joined, body[:h.length]...)
		pieces = body[h.length:]
	}
	return joined, nil
}

// berConstructed is the bit of an identifier that says that the value consists
// of values.
const berConstructed = 0x20

// berHeader is what precedes the contents of a value.
type berHeader struct {
	identifier  []byte
	class, tag  int // tag is 31 for all that need more than one byte
	constructed bool
	indefinite  bool
	length      int // of what follows; no more than there is
}

// octets reports whether h is of an octet string in pieces.
func (h berHeader) octets() bool {
	return h.class == asn1.ClassUniversal && h.tag == asn1.TagOctetString && h.constructed
}

// readBERHeader reads the header of the first value of in.
func readBERHeader(in []byte) (h berHeader, body []byte, err error) {
	if len(in) < 2 {
		return h, nil, errDamaged
	}
	size := 1
	h.class, h.tag, h.constructed = int(in[0]>>6), int(in[0]&0x1f), in[0]&berConstructed != 0
	if h.tag == 0x1f {
		for size < 5 && size < len(in) && in[size]&0x80 != 0 {
			size++
		}
		size++
	}
	if len(in) <= size {
		return h, nil, errDamaged
	}
	h.identifier, in = in[:size], in[size:]
	if h.class == asn1.ClassUniversal {
		list := h.tag == asn1.TagSequence || h.tag == asn1.TagSet
		if h.tag == 0 || list && !h.constructed || h.constructed && !list && !h.octets() {
			return h, nil, errDamaged
		}
	}
	first := int(in[0])
	in = in[1:]
	switch {
	case first < 0x80:
		h.length = first
	case first == 0x80:
		if !h.constructed {
			return h, nil, errDamaged
		}
		h.indefinite = true
	default:
		n := first & 0x7f
		if n > 4 || n > len(in) {
			return h, nil, errDamaged
		}
		var length uint64
		for _, b := range in[:n] {
			length = length<<8 | uint64(b)
		}
		in = in[n:]
		if length > uint64(len(in)) {
			return h, nil, errDamaged
		}
		h.length = int(length)
	}
	if h.length > len(in) {
		return h, nil, errDamaged
	}
	return h, in, nil
}

// appendDERHeader appends an identifier and a length.
func appendDERHeader(out, identifier []byte, length int) []byte {
	out = append(out, identifier...)
	if length < 0x80 {
		return append(out, byte(length))
	}
	n := 1
	for length>>(8*n) > 0 {
		n++
	}
	out = append(out, 0x80|byte(n))
	for n--; n >= 0; n-- {
		out = append(out, byte(length>>(8*n)))
	}
	return out
}
