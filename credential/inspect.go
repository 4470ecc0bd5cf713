package credential

import (
	"time"

	"github.com/heraldpush/herald/apns"
)

// PasswordFunc is asked for the password of a file or of a private key. The
// prompt names it, without a colon at its end. An error means that there is no
// answer.
type PasswordFunc func(prompt string) (string, error)

// InspectOptions say how Inspect reads. The zero value is of use.
type InspectOptions struct {
	// Password is asked when something in the file is encrypted. Nil: only an
	// empty password is tried.
	Password PasswordFunc
	// Now is the time for which validity is judged. Zero: it is not judged.
	Now time.Time
}

// ObjectKind says what an object is, in words such as "push certificate". The
// words are stable.
type ObjectKind string

// The kinds of objects.
const (
	KindPushCertificate   ObjectKind = "push certificate"
	KindDeviceCertificate ObjectKind = "device certificate"
	KindServerCertificate ObjectKind = "server certificate"
	KindCodeSigning       ObjectKind = "code-signing certificate"
	KindRootAuthority     ObjectKind = "root authority"
	KindIntermediate      ObjectKind = "intermediate authority"
	KindCertificate       ObjectKind = "certificate"
	KindRequest           ObjectKind = "certificate request"
	KindProviderKey       ObjectKind = "provider key"
	KindPrivateKey        ObjectKind = "private key"
	KindPublicKey         ObjectKind = "public key"
	KindRevocationList    ObjectKind = "revocation list"
	KindProfile           ObjectKind = "provisioning profile"
)

// Report says what a file holds. It has no key material and no password, and
// may be shown to anybody who may know that the credential exists.
type Report struct {
	// Name is the file's, without its folder.
	Name string `json:"name"`
	// Kind says in words what the file is, such as "push certificate" or
	// "PKCS#12 file with an identity".
	Kind string `json:"kind"`
	// Format is "PEM", "DER", "PKCS#12", "CMS", "XML" or empty.
	Format string `json:"format,omitempty"`
	// Encryption lists the algorithms of a PKCS#12 file.
	Encryption []string `json:"encryption,omitempty"`
	// Objects are what is in it, in the file's order.
	Objects []Object `json:"objects,omitempty"`
	// Identities are the certificates whose private key is there too.
	Identities []IdentityFacts `json:"identities,omitempty"`
	// Repairs are what CleanText did.
	Repairs []Repair `json:"repairs,omitempty"`
	// Problems are what is wrong with it, and what is worth knowing.
	Problems []Problem `json:"problems,omitempty"`
	// Next is what to do with such a file. Empty if there is nothing.
	Next string `json:"next,omitempty"`

	contents *contents
	wanted   InspectOptions
}

// Object is one thing in a file. What does not apply to its kind is empty.
type Object struct {
	// Number counts from 1.
	Number int        `json:"number"`
	Kind   ObjectKind `json:"kind"`
	// Name is what a person calls it: the common name, or what Keychain
	// called it.
	Name string `json:"name,omitempty"`
	// Subject and Issuer are whole names in the order of the certificate.
	Subject string `json:"subject,omitempty"`
	Issuer  string `json:"issuer,omitempty"`
	// Serial is in lower-case hex.
	Serial string `json:"serial,omitempty"`
	// Fingerprint is the SHA-256 of a certificate, in lower-case hex.
	Fingerprint string `json:"fingerprint,omitempty"`
	// Signature is the algorithm of the signature.
	Signature string `json:"signature,omitempty"`

	// PushKind, Environments and Topics say what a push certificate allows.
	PushKind     PushKind           `json:"push_kind,omitempty"`
	Environments []apns.Environment `json:"environments,omitempty"`
	Topics       []apns.Topic       `json:"topics,omitempty"`
	// TeamID is the team that holds it, DeviceID the device.
	TeamID   apns.TeamID   `json:"team,omitempty"`
	DeviceID apns.DeviceID `json:"device,omitempty"`
	// Hosts are the names and addresses of a server certificate.
	Hosts []string `json:"hosts,omitempty"`

	// Key is the key of a certificate, request or key. Nil if it is locked.
	Key *KeyFacts `json:"key,omitempty"`
	// Encryption is how a private key is encrypted. Empty if it is not.
	Encryption string `json:"encryption,omitempty"`
	// KeyID is that of a provider key, by the name of its file.
	KeyID apns.KeyID `json:"key_id,omitempty"`
	// SameKey are the numbers of the other objects with the same key.
	SameKey []int `json:"same_key,omitempty"`

	// Validity is nil for what is valid without end.
	Validity *ValidityFacts `json:"validity,omitempty"`
	// Revoked counts the entries of a revocation list.
	Revoked int `json:"revoked,omitempty"`
	// Profile is the content of a provisioning profile.
	Profile *ProvisioningProfile `json:"profile,omitempty"`
}

// KeyFacts describe a key without giving any of it away.
type KeyFacts struct {
	// Algorithm is kind and size, such as "RSA 2048" or "ECDSA P-256".
	Algorithm string `json:"algorithm"`
	// Fingerprint is that of func Fingerprint.
	Fingerprint string `json:"fingerprint,omitempty"`
}

// ValidityFacts say when something is valid.
type ValidityFacts struct {
	NotBefore time.Time `json:"not_before,omitzero"`
	NotAfter  time.Time `json:"not_after,omitzero"`
	// DaysLeft are the whole days until NotAfter, negative when it has passed.
	// Nil if the time is not known.
	DaysLeft *int `json:"days_left,omitempty"`
}

// IdentityFacts name one certificate together with its private key.
type IdentityFacts struct {
	// Number counts from 1, and selects it in Assemble.
	Number int `json:"number"`
	// Certificate and Key are the numbers of the objects.
	Certificate int `json:"certificate"`
	Key         int `json:"key"`
	// Name is the common name.
	Name string `json:"name"`
	// NotAfter is when the certificate expires.
	NotAfter time.Time `json:"not_after"`
}

// Inspect says what a file is and what it holds: certificates, requests, keys,
// identities, revocation lists and provisioning profiles, as PEM, DER or
// PKCS#12, whole or mangled. The name helps to say what is missing, and holds
// the key ID of a provider key.
//
// The report is never nil and holds what could be learned. The error is nil
// or the Problem that kept Inspect from reading the file, such as CodePassword
// or CodeUnknown; what is wrong with a file that could be read is in the
// report alone.
func Inspect(name string, data []byte, o InspectOptions) (*Report, error) {
	c := readFile(name, data, o.Password)
	r := &Report{
		Name:       c.name,
		Format:     c.format,
		Encryption: c.encryption,
		Repairs:    c.repairs,
		Problems:   c.problems,
		contents:   c,
		wanted:     o,
	}
	err := firstError(c.problems)
	for n, i := range c.items {
		r.Objects = append(r.Objects, describe(n+1, i, o.Now))
	}
	r.link()
	r.judge()
	r.Kind = r.kind()
	r.Next = r.next()
	return r, err
}

// link finds the objects that have the same key.
func (r *Report) link() {
	for i := range r.Objects {
		for j := range r.Objects {
			a, b := r.Objects[i].Key, r.Objects[j].Key
			if i != j && a != nil && b != nil && a.Fingerprint == b.Fingerprint && a.Fingerprint != "" {
				r.Objects[i].SameKey = append(r.Objects[i].SameKey, j+1)
			}
		}
	}
	for n, p := range pairs(r.contents.items) {
		cert := r.contents.items[p.cert].cert
		r.Identities = append(r.Identities, IdentityFacts{
			Number: n + 1, Certificate: p.cert + 1, Key: p.key + 1,
			Name: printable(cert.Subject.CommonName), NotAfter: cert.NotAfter.UTC(),
		})
	}
}

// pair holds the indexes of a certificate and its private key.
type pair struct{ cert, key int }

// pairs returns the identities among items, in the order of the certificates.
// Authorities are part of a chain, also when their key is there.
func pairs(items []item) []pair {
	var found []pair
	for c, i := range items {
		if i.cert == nil || i.cert.IsCA {
			continue
		}
		for k, j := range items {
			if j.key != nil && samePublicKey(j.key.Public(), i.cert.PublicKey) {
				found = append(found, pair{c, k})
				break
			}
		}
	}
	return found
}
