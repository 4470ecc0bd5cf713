package credential

import (
	"bytes"
	"encoding/asn1"
)

// derShape is what a DER value is, told by the types of its elements alone. A
// value has a shape also when it is damaged further inside.
type derShape uint8

const (
	shapeUnknown derShape = iota
	shapeCertificate
	shapeRequest
	shapeRevocationList
	shapePKCS8
	shapeEncryptedPKCS8
	shapeECKey
	shapeRSAKey
	shapePublicKey
	shapeRSAPublicKey
	shapePKCS12
	shapeSignedData
)

// Labels of blocks that this package reads, but never writes.
const (
	pemRevocationList = "X509 CRL"
	pemRSAPublicKey   = "RSA PUBLIC KEY"
	pemPKCS12         = "PKCS12" // by GnuTLS
	pemPKCS7          = "PKCS7"
)

// label is the label of a PEM block of this shape, empty for shapeUnknown.
func (s derShape) label() string {
	return [...]string{
		shapeUnknown:        "",
		shapeCertificate:    pemCertificate,
		shapeRequest:        pemRequest,
		shapeRevocationList: pemRevocationList,
		shapePKCS8:          pemPKCS8,
		shapeEncryptedPKCS8: pemEncryptedKey,
		shapeECKey:          pemECKey,
		shapeRSAKey:         pemRSAKey,
		shapePublicKey:      pemPublicKey,
		shapeRSAPublicKey:   pemRSAPublicKey,
		shapePKCS12:         pemPKCS12,
		shapeSignedData:     pemPKCS7,
	}[s]
}

// isDER reports whether data is a SEQUENCE in DER or BER, and not text that
// starts with the digit 0.
func isDER(data []byte) bool {
	if len(data) < 2 || data[0] != 0x30 {
		return false
	}
	if data[1] >= 0x80 {
		return true // no text goes on like this
	}
	return len(data) == 2+int(data[1])
}

// valueLength returns the length of the value that starts with head, with its
// tag and length. It reports false for the indefinite form, and for lengths
// that no file has.
func valueLength(head []byte) (int, bool) {
	if len(head) < 2 {
		return 0, false
	}
	octets := int(head[1]) - 0x80
	switch {
	case head[1] < 0x80:
		return 2 + int(head[1]), true
	case octets < 1 || octets > 3 || len(head) < 2+octets:
		return 0, false
	}
	n := 0
	for _, b := range head[2 : 2+octets] {
		n = n<<8 | int(b)
	}
	return 2 + octets + n, true
}

// Beginnings of the two kinds that come in BER as well, behind tag and length.
var (
	beginPKCS12     = []byte{0x02, 0x01, 0x03, 0x30}                                                 // version 3, authSafe (RFC 7292 section 4)
	beginSignedData = []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02, 0xa0} // 1.2.840.113549.1.7.2, signed-data (RFC 5652 section 5)
)

// shapeOf returns the shape of der.
func shapeOf(der []byte) derShape {
	if !isDER(der) {
		return shapeUnknown
	}
	content := der[2:]
	if octets := int(der[1]) - 0x80; octets > 0 && octets <= len(content) {
		content = content[octets:]
	}
	switch {
	case bytes.HasPrefix(content, beginPKCS12):
		return shapePKCS12
	case bytes.HasPrefix(content, beginSignedData):
		return shapeSignedData
	}
	elements, err := sequence(der)
	if err != nil || len(elements) < 2 {
		return shapeUnknown
	}
	switch e := elements; {
	case isTag(e[0], asn1.TagInteger):
		return shapeOfKey(e)
	case !isTag(e[0], asn1.TagSequence):
	case len(e) == 2 && isTag(e[1], asn1.TagOctetString):
		return shapeEncryptedPKCS8
	case len(e) == 2 && isTag(e[1], asn1.TagBitString):
		return shapePublicKey
	case len(e) == 3 && isTag(e[1], asn1.TagSequence) && isTag(e[2], asn1.TagBitString):
		return shapeOfSigned(e[0].FullBytes)
	}
	return shapeUnknown
}

// shapeOfKey tells apart what starts with a version or a modulus.
func shapeOfKey(e []asn1.RawValue) derShape {
	version := -1
	if len(e[0].Bytes) == 1 {
		version = int(e[0].Bytes[0])
	}
	switch {
	case isTag(e[1], asn1.TagSequence) && len(e) >= 3 && isTag(e[2], asn1.TagOctetString) && (version == 0 || version == 1):
		return shapePKCS8
	case isTag(e[1], asn1.TagOctetString) && version == 1:
		return shapeECKey
	case isTag(e[1], asn1.TagInteger) && len(e) >= 9 && (version == 0 || version == 1):
		return shapeRSAKey
	case isTag(e[1], asn1.TagInteger) && len(e) == 2:
		return shapeRSAPublicKey
	}
	return shapeUnknown
}

// shapeOfSigned tells apart what is signed in the same way: certificates,
// requests and revocation lists.
func shapeOfSigned(der []byte) derShape {
	e, err := sequence(der)
	if err != nil || len(e) < 3 {
		return shapeUnknown
	}
	if e[0].Class == asn1.ClassContextSpecific && e[0].Tag == 0 {
		return shapeCertificate
	}
	if isTag(e[0], asn1.TagInteger) {
		switch {
		case len(e) == 3, e[3].Class == asn1.ClassContextSpecific && e[3].Tag == 0:
			return shapeRequest
		case isTag(e[3], asn1.TagSequence):
			return shapeCertificate // version 1
		case isTime(e[3]):
			return shapeRevocationList
		}
	}
	if isTag(e[0], asn1.TagSequence) && isTime(e[2]) {
		return shapeRevocationList // version 1
	}
	return shapeUnknown
}

func isTime(v asn1.RawValue) bool {
	return isTag(v, asn1.TagUTCTime) || isTag(v, asn1.TagGeneralizedTime)
}
