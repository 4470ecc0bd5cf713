package credential

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/heraldpush/herald/apns"
)

// ErrNotPush is in the chain of the error of ParsePushCertificate for a
// certificate that is none: it allows neither environment.
var ErrNotPush = errors.New("not a push certificate: it allows neither sandbox nor production")

// PushCertificate is what a push certificate allows its holder
// (docs/protocol/certificates.md#rules).
type PushCertificate struct {
	// Kind is read from the extensions and the user ID, never from the common
	// name, which Apple has spelled in several ways.
	Kind PushKind
	// Sandbox and Production say where it may connect. At least one is set.
	Sandbox, Production bool
	// Topics are the topics that it may send to, in the certificate's order,
	// each once. There is at least one.
	Topics []apns.Topic
	// TopicKinds says for each of Topics what the certificate calls it:
	// "topic", "app", "voip", … It is empty where the certificate does not.
	TopicKinds []string
	// DefaultTopic is the topic of a notification that names none. It is
	// empty when there are several topics: such a notification is refused
	// with MissingTopic.
	DefaultTopic apns.Topic
	// UserID is the user ID of the subject: a bundle ID, for some kinds with
	// a suffix.
	UserID string
	// TeamID is the team that holds it, empty for device management.
	TeamID apns.TeamID
}

// Allows reports whether c may connect to the service of e.
func (c PushCertificate) Allows(e apns.Environment) bool {
	return e == apns.Sandbox && c.Sandbox || e == apns.Production && c.Production
}

// AllowsTopic reports whether c may send to t.
func (c PushCertificate) AllowsTopic(t apns.Topic) bool { return slices.Contains(c.Topics, t) }

// ParsePushCertificate reads what cert allows. It does not ask who issued the
// certificate, nor whether it is still valid. The error wraps ErrNotPush for a
// certificate of another kind; any other error means that it claims to be one
// and is malformed.
func ParsePushCertificate(cert *x509.Certificate) (PushCertificate, error) {
	c := PushCertificate{
		Sandbox:    extension(cert, oidSandbox) != nil,
		Production: extension(cert, oidProduction) != nil,
	}
	if !c.Sandbox && !c.Production {
		return PushCertificate{}, ErrNotPush
	}
	if err := c.parse(cert); err != nil {
		return PushCertificate{}, fmt.Errorf("push certificate: %w", err)
	}
	return c, nil
}

func (c *PushCertificate) parse(cert *x509.Certificate) error {
	subject, err := parseName(cert.RawSubject)
	if err != nil {
		return err
	}
	if c.UserID, err = subject.one(oidUserID); err != nil {
		return err
	}
	team, err := subject.one(oidUnit)
	if err != nil {
		return err
	}
	c.TeamID = apns.TeamID(team)
	c.Kind = c.kindOf(cert)

	var topics []pushTopic
	if der := extension(cert, oidTopics); der != nil {
		topics, err = parseTopics(der)
	} else if der := extension(cert, oidVoIPTopics); der != nil {
		topics, err = parseVoIPTopics(der)
	} else {
		topics, err = addTopic(nil, c.UserID)
	}
	if err != nil {
		return fmt.Errorf("topics: %w", err)
	}
	for _, t := range topics {
		if !c.AllowsTopic(t.topic) {
			c.Topics = append(c.Topics, t.topic)
			c.TopicKinds = append(c.TopicKinds, t.kind)
		}
	}
	if len(c.Topics) == 1 {
		c.DefaultTopic = c.Topics[0]
	}
	return nil
}

// kindOf tells the kind by the marks that only it has.
func (c *PushCertificate) kindOf(cert *x509.Certificate) PushKind {
	switch {
	case extension(cert, oidPassID) != nil:
		return PushPass
	case extension(cert, oidWebsiteID) != nil:
		return PushWebsite
	case extension(cert, oidVoIPTopics) != nil:
		return PushVoIP
	case extension(cert, oidService) != nil:
		return PushComplication
	case strings.HasPrefix(c.UserID, mdmID):
		return PushMDM
	case !c.Production:
		return PushSandbox
	case !c.Sandbox:
		return PushProduction
	}
	return PushUniversal
}

// extension returns the value of an extension, nil if there is none.
func extension(cert *x509.Certificate, oid asn1.ObjectIdentifier) []byte {
	for _, e := range cert.Extensions {
		if e.Id.Equal(oid) {
			if e.Value == nil {
				return []byte{}
			}
			return e.Value
		}
	}
	return nil
}

// PushProfile says what a push certificate is to be for. With the public key
// it is all that the certificate is made of: nothing comes from the request.
type PushProfile struct {
	// Kind is required; PushProduction can not be issued.
	Kind PushKind
	// BundleID is the app's bundle ID without a suffix; for PushPass the Pass
	// Type ID (pass.…), for PushWebsite the Website Push ID (web.…), for
	// PushMDM com.apple.mgmt.External. and a UUID. Required.
	BundleID apns.Topic
	// TeamID is the team's. Required, except for PushMDM, which has none.
	TeamID apns.TeamID
	// Organization is the team's name. Required, except for PushSandbox and
	// PushMDM, where it is not written.
	Organization string
	// Country is two upper-case letters. Empty stands for "US".
	Country string
}

// maxOrganizationBytes bounds the name of a team.
const maxOrganizationBytes = 255

// IssuePush makes a push certificate for the public key pub, in the form of
// those of Apple's G4 issuer: subject, string types, extensions and their
// order (docs/protocol/certificates.md#kinds). Apple makes them valid for
// p.Kind.Lifetime().
func (a Authority) IssuePush(p PushProfile, pub crypto.PublicKey, v Validity) (*x509.Certificate, error) {
	cert, err := a.issuePush(p, pub, v)
	if err != nil {
		return nil, fmt.Errorf("push certificate: %w", err)
	}
	return cert, nil
}

func (a Authority) issuePush(p PushProfile, pub crypto.PublicKey, v Validity) (*x509.Certificate, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	kind, ok := pushKinds[p.Kind]
	if !ok {
		return nil, fmt.Errorf("kind %.40q can not be issued", string(p.Kind))
	}
	if p.Country == "" {
		p.Country = "US"
	}
	if err := p.check(kind); err != nil {
		return nil, err
	}
	subject, err := p.subject(kind).marshal()
	if err != nil {
		return nil, err
	}
	ski, err := keyID(pub)
	if err != nil {
		return nil, err
	}
	purposes := []asn1.ObjectIdentifier{oidClientAuth}
	if kind.purpose != nil {
		purposes = append(purposes, kind.purpose)
	}
	e := a.leafExtensions(ski, purposes...)
	for _, mark := range kind.marks {
		p.mark(e, mark)
	}
	if e.err != nil {
		return nil, e.err
	}
	return a.issue(&x509.Certificate{RawSubject: subject, ExtraExtensions: e.list}, pub, v, x509.ExtKeyUsageClientAuth)
}

// check refuses what Apple's portal would refuse.
func (p PushProfile) check(kind pushKind) error {
	id, isOfKind := strings.CutPrefix(string(p.BundleID), kind.idPrefix)
	switch {
	case strings.Contains(string(p.BundleID), "*"):
		return fmt.Errorf("bundle ID %.80q is a wildcard: push needs an explicit App ID", string(p.BundleID))
	case !p.BundleID.Valid():
		return fmt.Errorf("%.80q is not a bundle ID", string(p.BundleID))
	case !isOfKind || id == "":
		return fmt.Errorf("%.80q does not start with %s", string(p.BundleID), kind.idPrefix)
	case p.Kind == PushMDM && !validUUID(id):
		return fmt.Errorf("%.80q does not end in a UUID", string(p.BundleID))
	case kind.idPrefix == "" && p.BundleID.BundleID() != p.BundleID:
		return fmt.Errorf("%.80q is a topic: give the bundle ID without a suffix", string(p.BundleID))
	case kind.idPrefix == "" && len(p.BundleID) > apns.MaxTopicBytes-len(apns.PushTypeComplication.Suffix()):
		return fmt.Errorf("bundle ID of %d bytes leaves no room for the suffix of a topic", len(p.BundleID))
	}
	if kind.team {
		if err := checkTeamID(p.TeamID); err != nil {
			return err
		}
	}
	if kind.owner {
		if err := checkText("organization", p.Organization, maxOrganizationBytes); err != nil {
			return err
		}
	}
	return checkCountry(p.Country)
}

// subject returns the subject in Apple's order and string types.
func (p PushProfile) subject(kind pushKind) name {
	id := string(p.BundleID)
	n := name{
		{oidUserID, asn1.TagUTF8String, id + kind.uidSuffix},
		{oidCommonName, asn1.TagUTF8String, kind.commonName + id},
	}
	if p.Kind == PushMDM {
		n[1].value = kind.commonName + strings.TrimPrefix(id, kind.idPrefix)
	}
	if kind.team {
		n = append(n, attribute{oidUnit, asn1.TagUTF8String, string(p.TeamID)})
	}
	if kind.owner {
		n = append(n, attribute{oidOrganization, asn1.TagUTF8String, p.Organization})
	}
	return append(n, attribute{oidCountry, asn1.TagPrintableString, p.Country})
}

// mark adds one of Apple's extensions. Most say all by being there.
func (p PushProfile) mark(e *extensionList, oid asn1.ObjectIdentifier) {
	switch {
	case oid.Equal(oidTopics):
		e.addASN1(oid, false, topicsValue(p.topics()))
	case oid.Equal(oidVoIPTopics):
		e.addASN1(oid, false, utf8String(string(p.BundleID+", "+p.BundleID+apns.Topic(apns.PushTypeVoIP.Suffix()))))
	case oid.Equal(oidBundleID), oid.Equal(oidPassID), oid.Equal(oidWebsiteID):
		e.addASN1(oid, false, utf8String(string(p.BundleID)))
	default:
		e.addASN1(oid, false, asn1.NullRawValue)
	}
}

// topics returns what an app's certificate lists, with the kinds of the G4
// issuer.
func (p PushProfile) topics() []pushTopic {
	return []pushTopic{
		{p.BundleID, "topic"},
		{p.BundleID + apns.Topic(apns.PushTypeVoIP.Suffix()), "voip"},
		{p.BundleID + apns.Topic(apns.PushTypeComplication.Suffix()), "complication"},
	}
}
