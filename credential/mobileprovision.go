package credential

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/heraldpush/herald/apns"
)

// ProvisioningProfile is what a .mobileprovision or .provisionprofile says of
// the app that it is for. It is no credential, but often taken for one; its
// aps-environment says to which service the app's device tokens belong.
type ProvisioningProfile struct {
	// Name is the profile's, UUID its own identifier.
	Name string `json:"name"`
	UUID string `json:"uuid,omitempty"`
	// TeamID is the team's, TeamName its name.
	TeamID   apns.TeamID `json:"team,omitempty"`
	TeamName string      `json:"team_name,omitempty"`
	// AppID is the App ID with its prefix, such as
	// "ABCDE12345.com.example.push" or "ABCDE12345.*".
	AppID string `json:"app_id,omitempty"`
	// BundleID is AppID without the prefix: a bundle ID or a wildcard.
	BundleID string `json:"bundle_id,omitempty"`
	// PushEnvironment is the app's aps-environment, zero if it has none, and
	// so no push.
	PushEnvironment apns.Environment `json:"aps_environment,omitzero"`
	// Created and Expires bound the time in which it is valid. Zero if the
	// profile does not say.
	Created time.Time `json:"created,omitzero"`
	Expires time.Time `json:"expires,omitzero"`
	// Devices counts the devices that it lists, Certificates the developers.
	Devices      int `json:"devices"`
	Certificates int `json:"certificates"`
	// AllDevices says that it is for any device, as in-house profiles are.
	AllDevices bool `json:"all_devices,omitempty"`
}

// Wildcard reports whether p is for more than one app. Such an App ID can not
// have push.
func (p ProvisioningProfile) Wildcard() bool { return strings.Contains(p.BundleID, "*") }

// ParseProvisioningProfile reads a provisioning profile: a property list in
// XML, signed (CMS, RFC 5652) or bare, also as base64 or PEM. It does not ask
// who signed the profile, nor whether anybody did: it says what is written in
// it, for people. No error repeats what was read.
func ParseProvisioningProfile(data []byte) (ProvisioningProfile, error) {
	if len(data) > maxFileBytes {
		return ProvisioningProfile{}, fmt.Errorf("provisioning profile: %d bytes, at most %d are read", len(data), maxFileBytes)
	}
	list := binaryOf(data, shapeSignedData)
	if isDER(list) {
		var err error
		if list, err = signedContent(list); err != nil {
			return ProvisioningProfile{}, fmt.Errorf("provisioning profile: %w", err)
		}
	}
	root, err := parsePropertyList(list)
	if err != nil {
		return ProvisioningProfile{}, fmt.Errorf("provisioning profile: %w", err)
	}
	p, err := profileOf(root)
	if err != nil {
		return ProvisioningProfile{}, fmt.Errorf("provisioning profile: %w", err)
	}
	return p, nil
}

// profileOf reads the members that matter. Members of another type than theirs
// are as good as missing.
func profileOf(root plistDict) (ProvisioningProfile, error) {
	entitlements := root.dict("Entitlements")
	if entitlements == nil {
		return ProvisioningProfile{}, errors.New("a property list without entitlements")
	}
	p := ProvisioningProfile{
		Name:         root.text("Name"),
		UUID:         root.text("UUID"),
		TeamName:     root.text("TeamName"),
		Created:      root.time("CreationDate"),
		Expires:      root.time("ExpirationDate"),
		Devices:      len(root.list("ProvisionedDevices")),
		Certificates: len(root.list("DeveloperCertificates")),
	}
	p.AllDevices, _ = root["ProvisionsAllDevices"].(bool)
	if teams := root.list("TeamIdentifier"); len(teams) > 0 {
		team, _ := teams[0].(string)
		p.TeamID = apns.TeamID(team)
	}
	// The names on a Mac have a prefix.
	for _, key := range []string{"application-identifier", "com.apple.application-identifier"} {
		if p.AppID == "" {
			p.AppID = entitlements.text(key)
		}
	}
	if _, id, ok := strings.Cut(p.AppID, "."); ok {
		p.BundleID = id
	}
	for _, key := range []string{"aps-environment", "com.apple.developer.aps-environment"} {
		if e, err := apns.ParseEnvironment(entitlements.text(key)); err == nil {
			p.PushEnvironment = e
		}
	}
	return p, nil
}

// signedContent returns what a CMS message signs (RFC 5652 sections 3 and
// 5.1), without a look at the signatures.
//
//	30 len
//	   06 09 signed-data   A0 len
//	      30 len
//	         02 01 version   31 len digest algorithms
//	         30 len
//	            06 09 data   A0 len  04 len content
//	         …
func signedContent(data []byte) ([]byte, error) {
	der, err := toDER(data)
	if err != nil {
		return nil, errors.New("a signed message that is damaged")
	}
	var outer, inner contentInfo
	if unmarshalAll(der, &outer) != nil || !outer.Type.Equal(oidSignedData) {
		return nil, errors.New("not a signed message")
	}
	elements, err := sequence(outer.Content.Bytes)
	if err != nil || len(elements) < 3 || unmarshalAll(elements[2].FullBytes, &inner) != nil {
		return nil, errors.New("a signed message that is damaged")
	}
	if len(inner.Content.FullBytes) == 0 {
		return nil, errors.New("a signed message without its content: a chain of certificates, or a signature of its own")
	}
	content, err := inner.octets()
	if err != nil {
		return nil, errors.New("a signed message whose content is damaged")
	}
	return content, nil
}
