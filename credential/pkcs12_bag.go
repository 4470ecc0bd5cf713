package credential

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"unicode/utf16"
)

// Kinds of bags (RFC 7292 section 4.2). CRLs and secrets are passed over, as
// is what later writers may add.
var (
	oidBags        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1}
	oidKeyBag      = under(oidBags, 1)
	oidShroudedBag = under(oidBags, 2)
	oidCertBag     = under(oidBags, 3)
	oidSafeBag     = under(oidBags, 6)
)

// Attributes, and the kind of certificate that there is (RFC 2985).
var (
	oidFriendlyName = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 20}
	oidLocalKeyID   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 21}
	oidX509Cert     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 22, 1}
)

// safeBag is SafeBag (RFC 7292 section 4.2).
type safeBag struct {
	Kind       asn1.ObjectIdentifier
	Value      asn1.RawValue // [0] EXPLICIT
	Attributes asn1.RawValue `asn1:"optional"` // SET OF bagAttribute
}

// bagAttribute is PKCS12Attribute.
type bagAttribute struct {
	Kind   asn1.ObjectIdentifier
	Values asn1.RawValue // SET OF ANY, of which there is one
}

// certBag is CertBag (RFC 7292 section 4.2.3).
type certBag struct {
	Kind  asn1.ObjectIdentifier
	Value asn1.RawValue // [0] EXPLICIT
}

// encryptedKeyInfo is EncryptedPrivateKeyInfo (RFC 5958 section 3).
type encryptedKeyInfo struct {
	Algorithm pkix.AlgorithmIdentifier
	Sealed    []byte
}

// safeContents reads the bags of a safe.
func (r *pkcs12Reader) safeContents(ber []byte, nested int) error {
	if nested > maxNestedSafes {
		return &LimitError{What: "levels of safes", Got: nested, Max: maxNestedSafes}
	}
	bags, err := readSequence(ber, "bags in a safe", maxBags)
	if err != nil {
		return err
	}
	for _, v := range bags {
		if r.bags++; r.bags > maxBags {
			return &LimitError{What: "bags", Got: r.bags, Max: maxBags}
		}
		var bag safeBag
		if err := unmarshalAll(v.FullBytes, &bag); err != nil {
			return err
		}
		if err := r.bag(bag, nested); err != nil {
			return err
		}
	}
	return nil
}

// bag reads one bag. Its value has the form of a content.
func (r *pkcs12Reader) bag(bag safeBag, nested int) error {
	value := contentInfo{Content: bag.Value}
	name, id, err := bag.names()
	if err != nil {
		return err
	}
	switch {
	case bag.Kind.Equal(oidKeyBag):
		return r.addKey(bag.Value.Bytes, name, id)
	case bag.Kind.Equal(oidShroudedBag):
		var sealed encryptedKeyInfo
		if err := value.unmarshal(&sealed); err != nil {
			return err
		}
		der, err := r.decrypt(sealed.Algorithm, sealed.Sealed)
		if err != nil {
			return err
		}
		defer clear(der)
		return r.addKey(der, name, id)
	case bag.Kind.Equal(oidCertBag):
		var cert certBag
		if err := value.unmarshal(&cert); err != nil {
			return err
		}
		if !cert.Kind.Equal(oidX509Cert) {
			return nil
		}
		der, err := contentInfo{Content: cert.Value}.octets()
		if err != nil {
			return err
		}
		parsed, err := x509.ParseCertificate(bytes.Clone(der)) // which keeps the bytes
		if err != nil {                                        // not repeated: it has seen what was decrypted
			return fmt.Errorf("certificate %d of the file is damaged: export it again", len(r.found.Certificates)+1)
		}
		r.found.Certificates = append(r.found.Certificates, PKCS12Certificate{Certificate: parsed, FriendlyName: name, LocalKeyID: id})
	case bag.Kind.Equal(oidSafeBag):
		return r.safeContents(bag.Value.Bytes, nested+1)
	}
	return nil
}

// addKey adds a key in the form of PKCS#8.
func (r *pkcs12Reader) addKey(der []byte, name string, id []byte) error {
	key, err := parsePKCS8(der)
	if err != nil {
		return fmt.Errorf("private key %d of the file: %w", len(r.found.Keys)+1, err)
	}
	r.found.Keys = append(r.found.Keys, PKCS12Key{Key: key, FriendlyName: name, LocalKeyID: id})
	return nil
}

// names returns the attributes that are read. One of another type than it
// should have is as good as none: it is only for people.
func (b safeBag) names() (friendlyName string, localKeyID []byte, err error) {
	if len(b.Attributes.FullBytes) == 0 {
		return "", nil, nil
	}
	if b.Attributes.Class != asn1.ClassUniversal || b.Attributes.Tag != asn1.TagSet {
		return "", nil, errDamaged
	}
	attributes, err := readElements(b.Attributes.Bytes, "attributes of a bag", maxAttributes)
	if err != nil {
		return "", nil, err
	}
	for _, at := range attributes {
		var a bagAttribute
		if err := unmarshalAll(at.FullBytes, &a); err != nil {
			return "", nil, err
		}
		var v asn1.RawValue
		if a.Values.Class != asn1.ClassUniversal || a.Values.Tag != asn1.TagSet || unmarshalAll(a.Values.Bytes, &v) != nil || v.Class != asn1.ClassUniversal {
			continue
		}
		switch {
		case a.Kind.Equal(oidFriendlyName) && v.Tag == asn1.TagBMPString:
			friendlyName = fromUTF16BE(v.Bytes)
		case a.Kind.Equal(oidLocalKeyID) && v.Tag == asn1.TagOctetString:
			localKeyID = bytes.Clone(v.Bytes)
		}
	}
	return friendlyName, localKeyID, nil
}

// fromUTF16BE is the reverse of utf16BE. What is no text becomes U+FFFD.
func fromUTF16BE(wide []byte) string {
	units := make([]uint16, len(wide)/2)
	for i := range units {
		units[i] = binary.BigEndian.Uint16(wide[2*i:])
	}
	return string(utf16.Decode(units))
}
