package credential

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/heraldpush/herald/apns"
)

// describe returns the facts of i, as the object with the given number.
func describe(number int, i item, now time.Time) Object {
	o := Object{Number: number, Name: printable(i.friendly), Encryption: i.encryption}
	if pub := i.publicKey(); pub != nil {
		o.Key = &KeyFacts{Algorithm: keyWords(pub)}
		if sum, err := Fingerprint(pub); err == nil {
			o.Key.Fingerprint = sum
		}
	}
	switch {
	case i.cert != nil:
		o.certificate(i.cert, now)
	case i.request != nil:
		o.Kind = KindRequest
		o.Subject = nameText(i.request.RawSubject)
		o.Name = printable(i.request.Subject.CommonName)
		o.Signature = i.request.SignatureAlgorithm.String()
	case i.list != nil:
		o.Kind = KindRevocationList
		o.Issuer = nameText(i.list.RawIssuer)
		o.Name = printable(i.list.Issuer.CommonName)
		o.Signature = i.list.SignatureAlgorithm.String()
		o.Revoked = len(i.list.RevokedCertificateEntries)
		o.Validity = validityFacts(i.list.ThisUpdate, i.list.NextUpdate, now)
	case i.profile != nil:
		o.Kind = KindProfile
		o.Name = printable(i.profile.Name)
		o.TeamID = i.profile.TeamID
		o.Profile = i.profile
		o.Validity = validityFacts(i.profile.Created, i.profile.Expires, now)
	case i.isKey():
		o.Kind = KindPrivateKey
	default:
		o.Kind = KindPublicKey
	}
	return o
}

// certificate adds what cert says. Its kind follows from extensions, never
// from its names.
func (o *Object) certificate(cert *x509.Certificate, now time.Time) {
	sum := sha256.Sum256(cert.Raw)
	o.Kind = kindOfCertificate(cert)
	o.Name = printable(cert.Subject.CommonName)
	o.Subject = nameText(cert.RawSubject)
	o.Issuer = nameText(cert.RawIssuer)
	o.Serial = fmt.Sprintf("%x", cert.SerialNumber.Bytes()) // whole octets, as others print it
	o.Fingerprint = hex.EncodeToString(sum[:])
	o.Signature = cert.SignatureAlgorithm.String()
	o.Validity = validityFacts(cert.NotBefore, cert.NotAfter, now)
	switch o.Kind {
	case KindPushCertificate:
		push, err := ParsePushCertificate(cert)
		if err != nil {
			break // judge says what is wrong with it
		}
		o.PushKind, o.Topics, o.TeamID = push.Kind, push.Topics, push.TeamID
		o.Environments = environmentsOf(push)
	case KindDeviceCertificate:
		if id, err := ParseDeviceCertificate(cert); err == nil {
			o.DeviceID = id
		}
	case KindServerCertificate:
		for _, h := range cert.DNSNames {
			o.Hosts = append(o.Hosts, printable(h))
		}
		for _, ip := range cert.IPAddresses {
			o.Hosts = append(o.Hosts, ip.String())
		}
	default:
	}
}

func environmentsOf(push PushCertificate) []apns.Environment {
	var list []apns.Environment
	for _, e := range apns.Environments {
		if push.Allows(e) {
			list = append(list, e)
		}
	}
	return list
}

// Apple's marks of certificates that sign code: for development and
// distribution on iOS, for the Mac's stores, and for Developer ID.
var oidsCodeSigning = []asn1.ObjectIdentifier{
	{1, 2, 840, 113635, 100, 6, 1, 2},
	{1, 2, 840, 113635, 100, 6, 1, 4},
	{1, 2, 840, 113635, 100, 6, 1, 7},
	{1, 2, 840, 113635, 100, 6, 1, 12},
	{1, 2, 840, 113635, 100, 6, 1, 13},
}

func kindOfCertificate(cert *x509.Certificate) ObjectKind {
	switch {
	case extension(cert, oidSandbox) != nil || extension(cert, oidProduction) != nil:
		return KindPushCertificate
	case cert.IsCA && slices.Equal(cert.RawSubject, cert.RawIssuer):
		return KindRootAuthority
	case cert.IsCA:
		return KindIntermediate
	case slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageCodeSigning):
		return KindCodeSigning
	}
	for _, oid := range oidsCodeSigning {
		if extension(cert, oid) != nil {
			return KindCodeSigning
		}
	}
	if _, err := ParseDeviceCertificate(cert); err == nil && slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageClientAuth) {
		return KindDeviceCertificate
	}
	if slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageServerAuth) {
		return KindServerCertificate
	}
	return KindCertificate
}

// attributeNames are the short forms of RFC 4514 section 3.
var attributeNames = []struct {
	oid  asn1.ObjectIdentifier
	name string
}{
	{oidUserID, "UID"},
	{oidCommonName, "CN"},
	{oidUnit, "OU"},
	{oidOrganization, "O"},
	{oidCountry, "C"},
	{oidEmailAddress, "emailAddress"},
	{asn1.ObjectIdentifier{2, 5, 4, 7}, "L"},
	{asn1.ObjectIdentifier{2, 5, 4, 8}, "ST"},
}

// nameText returns a name for people, in its own order. pkix.Name would turn
// it round, and show a user ID as a number.
func nameText(der []byte) string {
	n, err := parseName(der)
	if err != nil {
		return ""
	}
	parts := make([]string, 0, len(n))
	for _, a := range n {
		label := a.oid.String()
		for _, known := range attributeNames {
			if known.oid.Equal(a.oid) {
				label = known.name
			}
		}
		parts = append(parts, label+"="+printable(a.value))
	}
	return strings.Join(parts, ", ")
}

func validityFacts(from, to, now time.Time) *ValidityFacts {
	if from.IsZero() && to.IsZero() {
		return nil
	}
	v := &ValidityFacts{NotBefore: from.UTC(), NotAfter: to.UTC()}
	if !now.IsZero() && !to.IsZero() {
		days := daysBetween(now, to)
		v.DaysLeft = &days
	}
	return v
}

// daysBetween returns the whole days from a to b, rounded down, so that what
// has passed is negative.
func daysBetween(a, b time.Time) int {
	// Not Time.Sub, which ends at 292 years.
	return int(math.Floor(float64(b.Unix()-a.Unix()) / day.Seconds()))
}

// dateText is a day for people.
func dateText(t time.Time) string { return t.UTC().Format("2 Jan 2006") }

// count is a number with its noun.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
