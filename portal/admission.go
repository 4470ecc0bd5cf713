package portal

import (
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

// Limits of a provider token (docs/protocol/provider.md#provider-tokens).
const (
	maxTokenAge  = time.Hour
	maxTokenSkew = time.Hour // into the future
)

// maxVerified bounds the provider tokens whose signature need not be checked
// again.
const maxVerified = 4096

// Sender is who may send: the holder of a certificate or key.
type Sender struct {
	// Team is the team the credential belongs to.
	Team apns.TeamID
	// Key is the key that signed the provider token; empty for a certificate.
	Key apns.KeyID
	// IssuedAt is when the provider token was made; zero for a certificate.
	IssuedAt time.Time

	certificate *credential.PushCertificate // nil for a key
	key         *Key                        // nil for a certificate
	portal      *Portal

	// The admission holds in this epoch of the portal, between these times, and
	// at both of them.
	epoch       uint64
	from, until time.Time
}

// Current reports whether s, if it were asked for again at the time now, would
// be admitted again and be allowed the same topics. It takes no lock. False means
// that it is to be asked for: it may have been revoked, or its time is over, or
// something else was changed in the portal since.
func (s *Sender) Current(now time.Time) bool {
	return s.portal.epoch.Load() == s.epoch && !now.Before(s.from) && !now.After(s.until)
}

// verified is an accepted provider token.
type verified struct {
	key      *Key
	issuedAt time.Time
}

// AdmitCertificate returns what the holder of a certificate may do in an
// environment. That it comes from ProviderRoots and that the holder has its
// key, TLS has checked. The error is an *apns.Rejection: BadCertificate or
// BadCertificateEnvironment.
func (p *Portal) AdmitCertificate(cert *x509.Certificate, env apns.Environment) (*Sender, error) {
	epoch := p.epoch.Load() // before the checks, so that no change is missed
	if now := time.Now(); now.After(cert.NotAfter) || now.Before(cert.NotBefore) {
		return nil, apns.Reject(apns.BadCertificate, "valid from "+cert.NotBefore.String()+" to "+cert.NotAfter.String())
	}
	if err := p.CheckCertificate(cert); err != nil {
		return nil, err
	}
	push, err := credential.ParsePushCertificate(cert)
	if err != nil {
		return nil, apns.Reject(apns.BadCertificate, err.Error())
	}
	if !push.Allows(env) {
		return nil, apns.Reject(apns.BadCertificateEnvironment, fmt.Sprintf("a %s certificate on %v", push.Kind, env))
	}
	return &Sender{
		Team: push.TeamID, certificate: &push, portal: p, epoch: epoch, from: cert.NotBefore, until: cert.NotAfter,
	}, nil
}

// CheckCertificate checks that a provider's certificate is one of this portal's
// and was not revoked; no more, so that it costs a handshake next to nothing.
// The error is an *apns.Rejection, BadCertificate.
func (p *Portal) CheckCertificate(cert *x509.Certificate) error {
	p.mu.RLock()
	known := p.certificates[Serial(cert)]
	p.mu.RUnlock()
	switch {
	case known == nil:
		return apns.Reject(apns.BadCertificate, "this portal has no record of it")
	case !known.Revoked.IsZero():
		return apns.Reject(apns.BadCertificate, "revoked at "+known.Revoked.Format(time.RFC3339))
	}
	return nil
}

// AdmitProviderToken returns what the holder of a provider token may do in an
// environment. The error is an *apns.Rejection: InvalidProviderToken, whose
// detail tells the log what the wire does not, Forbidden for a revoked key,
// BadEnvironmentKeyInToken or ExpiredProviderToken. It does not keep the string.
func (p *Portal) AdmitProviderToken(token string, env apns.Environment) (*Sender, error) {
	epoch := p.epoch.Load() // before the checks, so that no change is missed
	v, ok := p.wasVerified(token)
	if !ok {
		var err error
		if v, err = p.verify(token); err != nil {
			return nil, err
		}
	}
	if !v.key.Revoked.IsZero() {
		return nil, apns.Reject(apns.Forbidden, fmt.Sprintf("key %s was revoked at %s", v.key.ID, v.key.Revoked.Format(time.RFC3339)))
	}
	if !v.key.Allows(env) {
		return nil, apns.Reject(apns.BadEnvironmentKeyInToken, fmt.Sprintf("key %s is for %v", v.key.ID, v.key.Environment))
	}
	switch age := time.Since(v.issuedAt); {
	case age > maxTokenAge:
		return nil, apns.Reject(apns.ExpiredProviderToken, "made "+age.Round(time.Second).String()+" ago")
	case age < -maxTokenSkew:
		return nil, apns.Reject(apns.InvalidProviderToken, "made "+(-age).Round(time.Second).String()+" in the future")
	}
	return &Sender{
		Team: v.key.Team, Key: v.key.ID, IssuedAt: v.issuedAt, key: v.key, portal: p,
		epoch: epoch, from: v.issuedAt.Add(-maxTokenSkew), until: v.issuedAt.Add(maxTokenAge),
	}, nil
}

func (p *Portal) wasVerified(token string) (verified, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	v, ok := p.verified[token]
	return v, ok && p.keys[v.key.ID] == v.key
}

func (p *Portal) verify(token string) (verified, error) {
	t, err := credential.ParseProviderToken(token)
	if err != nil {
		return verified{}, apns.Reject(apns.InvalidProviderToken, err.Error())
	}
	p.mu.RLock()
	key := p.keys[t.KeyID]
	p.mu.RUnlock()
	switch {
	case key == nil:
		return verified{}, apns.Reject(apns.InvalidProviderToken, fmt.Sprintf("unknown key %q", t.KeyID))
	case key.Team != t.TeamID:
		return verified{}, apns.Reject(apns.InvalidProviderToken, fmt.Sprintf("key %s is not of team %q", key.ID, t.TeamID))
	}
	public, err := parsePublic(key.Public)
	if err != nil {
		return verified{}, fmt.Errorf("key %s: %w", key.ID, err)
	}
	if err := t.Verify(public); err != nil {
		return verified{}, apns.Reject(apns.InvalidProviderToken, fmt.Sprintf("key %s: %v", key.ID, err))
	}
	v := verified{key: key, issuedAt: t.IssuedAt}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.verified) >= maxVerified {
		clear(p.verified) // they are verified again when they come
	}
	p.verified[strings.Clone(token)] = v
	return v, nil
}

// MayShare checks that s may send on a connection that began with first
// (docs/protocol/provider.md#provider-tokens). The error is an
// *apns.Rejection: InvalidProviderToken for another team,
// UnrelatedKeyIdInToken for a key that is not related.
func (s *Sender) MayShare(first *Sender) error {
	switch {
	case s.Team != first.Team:
		return apns.Reject(apns.InvalidProviderToken, fmt.Sprintf("the connection began with team %s, this is %s", first.Team, s.Team))
	case s.Key == first.Key, s.key == nil, first.key == nil:
		return nil
	case s.key.Scope == ScopeTeam && first.key.Scope == ScopeTeam:
		return nil
	case first.key.Scope == ScopeTopic && (first.key.Related == s.Key || s.key.Related == first.Key):
		return nil
	}
	return apns.Reject(apns.UnrelatedKeyIDInToken, fmt.Sprintf("the connection began with key %s, this is %s", first.Key, s.Key))
}

// Topic returns the topic that a notification of this sender goes to, if it
// asks for asked, which may be empty. The error is an *apns.Rejection:
// MissingTopic, BadTopic or TopicDisallowed.
func (s *Sender) Topic(asked apns.Topic) (apns.Topic, error) {
	switch {
	case asked == "" && s.certificate != nil && s.certificate.DefaultTopic != "":
		return s.certificate.DefaultTopic, nil
	case asked == "":
		return "", apns.Reject(apns.MissingTopic, "")
	case !asked.Valid():
		return "", apns.Reject(apns.BadTopic, "")
	case s.certificate != nil && s.certificate.AllowsTopic(asked):
		return asked, nil
	case s.certificate != nil:
		return "", apns.Reject(apns.TopicDisallowed, fmt.Sprintf("the certificate is for %v", s.certificate.Topics))
	}
	s.portal.mu.RLock()
	app := s.portal.apps[asked.BundleID()]
	s.portal.mu.RUnlock()
	if app == nil || app.Team != s.Team {
		return "", apns.Reject(apns.TopicDisallowed, fmt.Sprintf("%s is not an App ID of team %s", asked.BundleID(), s.Team))
	}
	if !s.key.reaches(app.BundleID) {
		return "", apns.Reject(apns.TopicDisallowed, fmt.Sprintf("key %s is not for %s", s.Key, app.BundleID))
	}
	return asked, nil
}
