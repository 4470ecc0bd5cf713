package credential

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
)

// Extensions and key purposes of RFC 5280 section 4.2.
var (
	oidSubjectKeyID     = asn1.ObjectIdentifier{2, 5, 29, 14}
	oidKeyUsage         = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidBasicConstraints = asn1.ObjectIdentifier{2, 5, 29, 19}
	oidCRLDistribution  = asn1.ObjectIdentifier{2, 5, 29, 31}
	oidAuthorityKeyID   = asn1.ObjectIdentifier{2, 5, 29, 35}
	oidExtKeyUsage      = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidAuthorityInfo    = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 1}

	oidMethodOCSP      = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1}
	oidMethodCAIssuers = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 2}
	oidClientAuth      = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 2}
)

// extensionList collects the extensions of a certificate in the order in
// which they are to stand; crypto/x509 has an order of its own for those that
// it writes from fields. The first error stays.
type extensionList struct {
	list []pkix.Extension
	err  error
}

func (e *extensionList) addASN1(oid asn1.ObjectIdentifier, critical bool, value any) {
	der, err := asn1.Marshal(value)
	if err != nil {
		e.err = errors.Join(e.err, err)
		return
	}
	e.list = append(e.list, pkix.Extension{Id: oid, Critical: critical, Value: der})
}

// leafExtensions is what the certificates of providers and devices have in
// common, in the order of a push certificate of Apple's G4 issuer
// (docs/protocol/certificates.md#push-extensions), without the policies,
// which would be Apple's own. The authority's addresses are left out where it
// has none.
func (a Authority) leafExtensions(subjectKeyID []byte, usages ...asn1.ObjectIdentifier) *extensionList {
	e := new(extensionList)
	e.addASN1(oidBasicConstraints, true, struct{}{}) // not an authority
	e.addASN1(oidAuthorityKeyID, false, struct {
		ID []byte `asn1:"tag:0"`
	}{a.Certificate.SubjectKeyId})
	type access struct {
		Method   asn1.ObjectIdentifier
		Location asn1.RawValue
	}
	var info []access
	if a.IssuerURL != "" {
		info = append(info, access{oidMethodCAIssuers, uriName(a.IssuerURL)})
	}
	if a.OCSPURL != "" {
		info = append(info, access{oidMethodOCSP, uriName(a.OCSPURL)})
	}
	if info != nil {
		e.addASN1(oidAuthorityInfo, false, info)
	}
	e.addASN1(oidExtKeyUsage, false, usages)
	if a.CRLURL != "" {
		type point struct {
			Name struct {
				Full []asn1.RawValue `asn1:"tag:0"`
			} `asn1:"tag:0"`
		}
		var p point
		p.Name.Full = []asn1.RawValue{uriName(a.CRLURL)}
		e.addASN1(oidCRLDistribution, false, []point{p})
	}
	e.addASN1(oidSubjectKeyID, false, subjectKeyID)
	e.addASN1(oidKeyUsage, true, asn1.BitString{Bytes: []byte{0x80}, BitLength: 1}) // digitalSignature
	return e
}

// uriName is a GeneralName that holds an address (RFC 5280 section 4.2.1.6).
func uriName(uri string) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 6, Bytes: []byte(uri)}
}
