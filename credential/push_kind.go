package credential

import (
	"encoding/asn1"
	"strings"
	"time"

	"github.com/heraldpush/herald/apns"
)

// PushKind is a kind of push certificate, such as "universal". The words are
// for configuration, stores and people; none is in a certificate.
type PushKind string

// The kinds (docs/protocol/certificates.md#kinds).
const (
	// PushSandbox is an app's certificate for the sandbox alone.
	PushSandbox PushKind = "sandbox"
	// PushUniversal is an app's certificate for both environments.
	PushUniversal PushKind = "universal"
	// PushVoIP is an app's certificate for VoIP pushes, in both environments.
	PushVoIP PushKind = "voip"
	// PushComplication is a watch app's certificate, for both environments.
	// Apple calls the service WatchKit Services.
	PushComplication PushKind = "complication"
	// PushPass is the certificate of a Pass Type ID, for production.
	PushPass PushKind = "pass"
	// PushWebsite is the certificate of a Website Push ID, for production.
	PushWebsite PushKind = "website"
	// PushMDM is the certificate of a device management server, for
	// production.
	PushMDM PushKind = "mdm"
	// PushProduction is an app's certificate for production alone. Apple
	// stopped issuing it, so it is read and never made.
	PushProduction PushKind = "production"
)

// Lifetime returns how long Apple makes a certificate of this kind valid. It
// is zero for PushProduction and for words that are no kind.
func (k PushKind) Lifetime() time.Duration { return pushKinds[k].lifetime }

// The push arc and its neighbours (docs/protocol/certificates.md#push-extensions).
var (
	oidSandbox    = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 6, 3, 1}
	oidProduction = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 6, 3, 2}
	oidBundleID   = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 6, 3, 3}
	oidVoIPTopics = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 6, 3, 4}
	oidService    = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 6, 3, 5}
	oidTopics     = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 6, 3, 6}

	oidPassID         = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 6, 1, 16}
	oidWebsiteID      = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 6, 1, 17}
	oidPassPurpose    = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 4, 14}
	oidWebsitePurpose = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 4, 15}
)

// pushKind is a row of the table of kinds.
type pushKind struct {
	commonName string                  // what stands before the identifier in the common name
	idPrefix   string                  // how an identifier of this kind starts
	uidSuffix  string                  // what the user ID adds to the identifier
	team       bool                    // the subject names the team
	owner      bool                    // the subject names the organization
	purpose    asn1.ObjectIdentifier   // a key purpose besides clientAuth
	marks      []asn1.ObjectIdentifier // Apple's extensions, in order
	lifetime   time.Duration
}

const (
	day         = 24 * time.Hour
	appLifetime = 395*day - time.Second // both ends count, hence the second
	mdmLifetime = 365*day - time.Second

	mdmID         = "com.apple.mgmt." // how the topics of device management start
	mdmExternalID = mdmID + "External."
)

// PushKindOf returns the kind of certificate that an App ID of this form is
// mostly for: PushUniversal unless the ID is that of a pass, a website or
// device management.
func PushKindOf(id apns.Topic) PushKind {
	for _, k := range []PushKind{PushPass, PushWebsite, PushMDM} {
		if strings.HasPrefix(string(id), pushKinds[k].idPrefix) {
			return k
		}
	}
	return PushUniversal
}

// pushKinds holds what is issued, as of the G4 issuer. A row's marks are in
// Apple's order, which is not that of the numbers.
var pushKinds = map[PushKind]pushKind{
	PushSandbox: {
		commonName: "Apple Sandbox Push Services: ",
		team:       true,
		marks:      []asn1.ObjectIdentifier{oidTopics, oidSandbox},
		lifetime:   appLifetime,
	},
	PushUniversal: {
		commonName: "Apple Push Services: ",
		team:       true, owner: true,
		marks:    []asn1.ObjectIdentifier{oidTopics, oidSandbox, oidProduction},
		lifetime: appLifetime,
	},
	PushVoIP: {
		commonName: "VoIP Services: ",
		uidSuffix:  ".voip",
		team:       true, owner: true,
		marks:    []asn1.ObjectIdentifier{oidSandbox, oidProduction, oidBundleID, oidVoIPTopics, oidService},
		lifetime: appLifetime,
	},
	PushComplication: {
		commonName: "WatchKit Services: ",
		uidSuffix:  ".complication",
		team:       true, owner: true,
		marks:    []asn1.ObjectIdentifier{oidSandbox, oidProduction, oidService, oidTopics},
		lifetime: appLifetime,
	},
	PushPass: {
		commonName: "Pass Type ID: ",
		idPrefix:   "pass.",
		team:       true, owner: true,
		purpose:  oidPassPurpose,
		marks:    []asn1.ObjectIdentifier{oidProduction, oidPassID},
		lifetime: appLifetime,
	},
	PushWebsite: {
		commonName: "Website Push ID: ",
		idPrefix:   "web.",
		team:       true, owner: true,
		purpose:  oidWebsitePurpose,
		marks:    []asn1.ObjectIdentifier{oidProduction, oidWebsiteID},
		lifetime: appLifetime,
	},
	PushMDM: {
		commonName: "APSP:",
		idPrefix:   mdmExternalID,
		marks:      []asn1.ObjectIdentifier{oidProduction},
		lifetime:   mdmLifetime,
	},
}
