package account

import (
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/provider/audience"
)

// The limits of an upload.
const (
	MaxFileBytes     = 64 << 10
	maxPasswordBytes = 1 << 10
	maxFileNameBytes = 255
	maxKeyTopics     = 64
)

// Upload is a credential that somebody brings. It does not show its file to
// whoever prints or logs it; as JSON it does, for that is how it comes.
type Upload struct {
	// File is a .p12, .pem or .p8, also as editors mangle them. Required.
	File []byte `json:"file"`
	// FileName may be empty. The name of a .p8 has the key ID.
	FileName string `json:"file_name,omitempty"`
	// Password opens the file. It is not kept.
	Password string `json:"password,omitempty"`
	// TeamID is required for a key, and not looked at for a certificate.
	TeamID apns.TeamID `json:"team_id,omitempty"`
	// KeyID is required for a key whose file is not named AuthKey_<key ID>.p8.
	KeyID apns.KeyID `json:"key_id,omitempty"`
	// Environments are "sandbox" and "production". None stands for all that it is
	// good for.
	Environments []string `json:"environments,omitempty"`
	// Topics are for a key that is for some topics alone. None: all of the app.
	Topics []apns.Topic `json:"topics,omitempty"`
	// Replaces is a credential of the app that is removed when this one is proven
	// in all its environments. It may be empty.
	Replaces CredentialID `json:"replaces,omitempty"`
}

// String names the file.
func (u Upload) String() string { return fmt.Sprintf("upload of %.80q", path.Base(u.FileName)) }

// Format names the file, whatever the verb.
func (u Upload) Format(f fmt.State, _ rune) {
	_, _ = f.Write([]byte(u.String())) // as fmt does: its State keeps the error
}

// LogValue implements slog.LogValuer.
func (u Upload) LogValue() slog.Value { return slog.StringValue(u.String()) }

// Read returns the credential of an app that is in the file, at a time. It is pure.
// The error is an *audience.InvalidError, which repeats nothing of the file.
func (u Upload) Read(a App, at time.Time) (Material, error) {
	if err := u.check(); err != nil {
		return Material{}, err
	}
	at = at.UTC().Round(0)
	c := Credential{ID: newCredentialID(), App: a.ID, CreatedAt: at, Replaces: u.Replaces}
	report, err := credential.Inspect(u.FileName, u.File, credential.InspectOptions{
		Password: func(string) (string, error) { return u.Password, nil },
	})
	if err != nil {
		return Material{}, u.unreadable(err)
	}
	if report.Format == "PKCS#12" || len(report.Contents().Certificates) > 0 {
		return u.readCertificate(c, a, at)
	}
	return u.readKey(c, a)
}

// check checks what can be said without looking into the file.
func (u Upload) check() error {
	var faults audience.Faults
	switch {
	case len(u.File) == 0:
		faults.Add("/file", audience.Required, "there is no file")
	case len(u.File) > MaxFileBytes:
		faults.Add("/file", audience.TooLong, fmt.Sprintf("%d bytes, at most %d are possible", len(u.File), MaxFileBytes))
	}
	if len(u.FileName) > maxFileNameBytes {
		faults.Add("/file_name", audience.TooLong, fmt.Sprintf("%d bytes, at most %d are possible", len(u.FileName), maxFileNameBytes))
	}
	if len(u.Password) > maxPasswordBytes {
		faults.Add("/password", audience.TooLong, fmt.Sprintf("at most %d bytes are possible", maxPasswordBytes))
	}
	if len(u.Environments) > len(apns.Environments) {
		faults.Add("/environments", audience.TooMany, "more environments than there are")
	}
	if len(u.Topics) > maxKeyTopics {
		faults.Add("/topics", audience.TooMany, fmt.Sprintf("%d, at most %d are possible", len(u.Topics), maxKeyTopics))
	}
	return faults.Err()
}

// unreadable returns the error for a file that cannot be read. What package
// credential says of it repeats no secret.
func (u Upload) unreadable(err error) error {
	p, ok := errors.AsType[credential.Problem](err)
	locked := errors.Is(err, credential.ErrPassword) || errors.Is(err, credential.ErrNoPassword) || errors.Is(err, credential.ErrKeyPassword) ||
		ok && p.Code == credential.CodePassword
	switch {
	case locked && u.Password == "":
		return wrong("/password", audience.Required, "the file is locked with a password")
	case locked:
		return wrong("/password", audience.Malformed, "the password does not open the file")
	}
	return wrong("/file", audience.Malformed, "%v", err)
}

// readCertificate reads a push certificate.
func (u Upload) readCertificate(c Credential, a App, at time.Time) (Material, error) {
	id, err := credential.OpenIdentity(u.File, u.Password)
	if err != nil {
		return Material{}, u.unreadable(err)
	}
	facts, err := credential.ParsePushCertificate(id.Certificate)
	if err != nil {
		return Material{}, wrong("/file", audience.Malformed, "%v", err)
	}
	if c, err = u.describe(c, a, at, id.Certificate, facts); err != nil {
		return Material{}, err
	}
	return Material{credential: func() Credential { return c }, identity: func() credential.Identity { return id }}, nil
}

// describe says what a push certificate is to be used for.
func (u Upload) describe(c Credential, a App, at time.Time, cert *x509.Certificate, facts credential.PushCertificate) (Credential, error) {
	var faults audience.Faults
	c.Kind, c.TeamID = PushCertificate, facts.TeamID
	c.Name = strings.ToValidUTF8(cut(cert.Subject.CommonName, maxFileNameBytes), "")
	c.NotBefore, c.NotAfter = cert.NotBefore.UTC(), cert.NotAfter.UTC()
	var allowed []apns.Environment
	for _, e := range apns.Environments {
		if facts.Allows(e) {
			allowed = append(allowed, e)
		}
	}
	c.Environments = u.readEnvironments(allowed, &faults)
	// Only what is the app's, whatever else it may be for.
	c.Topics = slices.DeleteFunc(slices.Clone(facts.Topics), func(t apns.Topic) bool { return t.BundleID() != a.BundleID })
	if len(c.Topics) == 0 {
		faults.Add("/file", audience.Conflict, fmt.Sprintf("the certificate is for %s, the app is %s", facts.Topics[0], a.BundleID))
	}
	if len(u.Topics) > 0 {
		faults.Add("/topics", audience.Conflict, "a certificate says itself which topics it is for")
	}
	if !at.Before(c.NotAfter) {
		faults.Add("/file", audience.Malformed, "the certificate expired on "+c.NotAfter.Format(time.DateOnly)+": make a new one")
	}
	var err error
	if c.Fingerprint, err = credential.Fingerprint(cert.PublicKey); err != nil {
		faults.Add("/file", audience.Malformed, err.Error())
	}
	return c, faults.Err()
}

// readKey reads a key of provider tokens.
func (u Upload) readKey(c Credential, a App) (Material, error) {
	key, err := credential.ParseP8(u.File)
	if err != nil {
		return Material{}, u.unreadable(err)
	}
	var faults audience.Faults
	c.Kind, c.TeamID, c.KeyID = ProviderKey, u.TeamID, u.KeyID
	if c.KeyID == "" {
		c.KeyID = credential.KeyIDFromFileName(path.Base(u.FileName))
	}
	checkTen("/key_id", string(c.KeyID), "the key ID, which is in the name of the file: AuthKey_<key ID>.p8", &faults)
	checkTen("/team_id", string(c.TeamID), "the team ID, which stands on the membership page of the developer account", &faults)
	c.Name = "key " + string(c.KeyID)
	c.Environments = u.readEnvironments(apns.Environments[:], &faults)
	for n, t := range u.Topics {
		if !t.Valid() || t.BundleID() != a.BundleID {
			faults.Add(fmt.Sprint("/topics/", n), audience.Conflict, "not a topic of "+string(a.BundleID))
		}
	}
	c.Topics = slices.Compact(slices.Sorted(slices.Values(u.Topics)))
	if c.Fingerprint, err = credential.Fingerprint(key.Public()); err != nil {
		faults.Add("/file", audience.Malformed, err.Error())
	}
	if err := faults.Err(); err != nil {
		return Material{}, err
	}
	return Material{credential: func() Credential { return c }, key: func() *ecdsa.PrivateKey { return key }}, nil
}

// checkTen notes what is wrong with an ID of 10 letters and digits.
func checkTen(at, id, what string, faults *audience.Faults) {
	switch {
	case id == "":
		faults.Add(at, audience.Required, "give "+what)
	case len(id) != 10 || strings.ContainsFunc(id, func(c rune) bool { return (c < 'A' || c > 'Z') && (c < '0' || c > '9') }):
		faults.Add(at, audience.Malformed, "not 10 upper-case letters and digits: give "+what)
	}
}

// readEnvironments returns the environments that are asked for, or all that are
// possible.
func (u Upload) readEnvironments(allowed []apns.Environment, faults *audience.Faults) (all []apns.Environment) {
	if len(u.Environments) == 0 {
		return slices.Clone(allowed)
	}
	for n, name := range u.Environments {
		e, err := apns.ParseEnvironment(name)
		switch {
		case err != nil:
			faults.Add(fmt.Sprint("/environments/", n), audience.Unknown, "sandbox or production")
		case !slices.Contains(allowed, e):
			faults.Add(fmt.Sprint("/environments/", n), audience.Conflict, "the certificate is not for "+e.String())
		case slices.Contains(all, e):
			faults.Add(fmt.Sprint("/environments/", n), audience.Duplicate, "it is there already")
		default:
			all = append(all, e)
		}
	}
	slices.Sort(all)
	return all
}
