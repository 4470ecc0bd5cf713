package account

import (
	"slices"
	"time"

	"github.com/heraldpush/herald/apns"
)

// CredentialID names a credential: "cred_" and 20 letters and digits.
type CredentialID string

const credentialPrefix = "cred_"

func newCredentialID() CredentialID { return CredentialID(credentialPrefix + random(20)) }

// CredentialKind is the kind of a credential.
type CredentialKind string

// The kinds of credentials.
const (
	// PushCertificate is a push certificate with its private key, from a .p12 or
	// .pem file.
	PushCertificate CredentialKind = "certificate"
	// ProviderKey is a key that signs provider tokens, from a .p8 file.
	ProviderKey CredentialKind = "key"
)

// Credential is what notifications of an app go out with, without its private key.
type Credential struct {
	ID   CredentialID   `json:"id"`
	App  AppID          `json:"app"`
	Kind CredentialKind `json:"kind"`
	// Name is the common name of a certificate, and "key <ID>" for a key.
	Name string `json:"name"`
	// TeamID is empty for a certificate that names none.
	TeamID apns.TeamID `json:"team_id,omitempty"`
	// KeyID is empty for a certificate.
	KeyID apns.KeyID `json:"key_id,omitempty"`
	// Fingerprint is the SHA-256 of the public key, in hex.
	Fingerprint string `json:"fingerprint"`
	// Environments are those it is used in: at least one.
	Environments []apns.Environment `json:"environments"`
	// Topics are those it is used for. None: all of the app, which only a key has.
	Topics []apns.Topic `json:"topics,omitempty"`
	// NotBefore and NotAfter bound when it is valid; zero for a key, which does not
	// expire.
	NotBefore time.Time `json:"not_before,omitzero"`
	NotAfter  time.Time `json:"not_after,omitzero"`
	CreatedAt time.Time `json:"created_at"`
	// Replaces is the credential whose place it takes when it is proven in all the
	// environments of that. Empty: none, or it has taken it.
	Replaces CredentialID `json:"replaces,omitempty"`
	// Standings are what gateways' answers have made of it, by environment. One
	// that had no answer has none.
	Standings []Standing `json:"standings,omitempty"`
	// Told is how many of the notices of its expiry were given.
	Told int `json:"told,omitempty"`
}

// Standing is what a credential has come to in an environment.
type Standing struct {
	Environment apns.Environment `json:"environment"`
	// ProvenAt is when a gateway took it, to about ProveEvery. Zero: never.
	ProvenAt time.Time `json:"proven_at,omitzero"`
	// Reason and RefusedAt are why and when a gateway refused it; empty and zero
	// once it was taken after that.
	Reason    apns.Reason `json:"reason,omitempty"`
	RefusedAt time.Time   `json:"refused_at,omitzero"`
}

// Proven reports whether the last word is that a gateway took it.
func (s Standing) Proven() bool { return !s.ProvenAt.IsZero() && s.Reason == "" }

// Standing returns what c has come to in an environment.
func (c *Credential) Standing(e apns.Environment) Standing {
	for _, s := range c.Standings {
		if s.Environment == e {
			return s
		}
	}
	return Standing{Environment: e}
}

// Valid reports whether c is valid at a time.
func (c *Credential) Valid(at time.Time) bool {
	return !at.Before(c.NotBefore) && (c.NotAfter.IsZero() || at.Before(c.NotAfter))
}

// Reaches reports whether c is for an environment and a topic of its app.
func (c *Credential) Reaches(e apns.Environment, t apns.Topic) bool {
	return slices.Contains(c.Environments, e) && (len(c.Topics) == 0 || slices.Contains(c.Topics, t))
}

// covers reports whether c is for all the topics of another.
func (c *Credential) covers(other *Credential) bool {
	if len(c.Topics) == 0 {
		return true
	}
	return len(other.Topics) > 0 && !slices.ContainsFunc(other.Topics, func(t apns.Topic) bool { return !slices.Contains(c.Topics, t) })
}

// clone returns a copy that shares nothing with c.
func (c *Credential) clone() Credential {
	d := *c
	d.Environments, d.Topics, d.Standings = slices.Clone(c.Environments), slices.Clone(c.Topics), slices.Clone(c.Standings)
	return d
}
