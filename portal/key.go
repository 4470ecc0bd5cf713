package portal

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

// KeyScope is how far a key reaches.
type KeyScope string

// The scopes (docs/protocol/certificates.md#provider-keys).
const (
	// ScopeTeam is for all apps of the team, present and future.
	ScopeTeam KeyScope = "team"
	// ScopeTopic is for the topics that the key lists.
	ScopeTopic KeyScope = "topic"
)

// Quotas (docs/protocol/certificates.md#provider-keys).
const (
	maxTeamKeys  = 2   // of a team in an environment
	maxTopicKeys = 200 // of a team in an environment
	maxKeyTopics = 400 // of a key
)

// KeySpec says what kind of key is wanted.
type KeySpec struct {
	Team apns.TeamID `json:"team"`
	Name string      `json:"name"`
	// Scope is ScopeTeam if empty.
	Scope KeyScope `json:"scope,omitempty"`
	// Environment is where the key is good; zero stands for both, as with
	// Apple's older keys, and only ScopeTeam can have that.
	Environment apns.Environment `json:"environment,omitzero"`
	// Topics are the bundle IDs of a key with ScopeTopic.
	Topics []apns.Topic `json:"topics,omitempty"`
	// Related is another key with ScopeTopic in the same environment, which
	// may send on the same connections.
	Related apns.KeyID `json:"related,omitempty"`
}

// Key is the public half of a provider's signing key (.p8).
type Key struct {
	ID apns.KeyID `json:"id"`
	KeySpec
	Created time.Time `json:"created"`
	// Revoked is when it was revoked, zero for one that was not.
	Revoked time.Time `json:"revoked,omitzero"`
	// Public is the public key, PKIX, DER.
	Public []byte `json:"public"`
}

// Allows reports whether k is good in an environment.
func (k *Key) Allows(env apns.Environment) bool { return k.Environment == 0 || k.Environment == env }

// reaches reports whether k is for an app; whether that is the team's, the
// caller checks.
func (k *Key) reaches(bundleID apns.Topic) bool {
	return k.Scope == ScopeTeam || slices.Contains(k.Topics, bundleID)
}

// check checks what can be said of a spec without looking at others, and fills
// in what was left out.
func (s *KeySpec) check() (err error) {
	if s.Name, err = cleanName("a key", s.Name); err != nil {
		return err
	}
	if s.Scope == "" {
		s.Scope = ScopeTeam
	}
	switch {
	case s.Scope != ScopeTeam && s.Scope != ScopeTopic:
		return refuse(CodeKeyScope, "team or topic.", "%q is not a scope", s.Scope)
	case s.Scope == ScopeTeam && (len(s.Topics) > 0 || s.Related != ""):
		return refuse(CodeKeyScope, "Use scope topic.", "a key of the whole team has neither topics nor a related key")
	case s.Scope == ScopeTeam:
		return nil
	case s.Environment == 0:
		return refuse(CodeKeyScope, "sandbox or production.", "a key for topics is for one environment")
	case len(s.Topics) == 0 || len(s.Topics) > maxKeyTopics:
		return refuse(CodeKeyScope, "", "a key for %d topics: it takes from 1 to %d", len(s.Topics), maxKeyTopics)
	}
	return nil
}

// CreateKey makes a signing key. The private key, a .p8 file, is returned this
// once and not kept. It returns a Refusal for a spec that cannot be, and when
// the team has as many keys of the kind as it may have.
func (p *Portal) CreateKey(ctx context.Context, spec KeySpec) (Key, []byte, error) {
	if err := spec.check(); err != nil {
		return Key{}, nil, fmt.Errorf("creating key: %w", err)
	}
	private, err := credential.NewProviderKey()
	if err != nil {
		return Key{}, nil, fmt.Errorf("creating key: %w", err)
	}
	p8, err := credential.MarshalP8(private)
	if err != nil {
		return Key{}, nil, fmt.Errorf("creating key: %w", err)
	}
	k := Key{ID: credential.NewKeyID(), KeySpec: spec, Created: time.Now().UTC()}
	if k.Public, err = x509.MarshalPKIXPublicKey(private.Public()); err != nil {
		return Key{}, nil, fmt.Errorf("creating key: %w", err)
	}
	var related *Key
	err = p.change(ctx, func(tx Tx) error {
		if err := mayCreateKey(tx, spec); err != nil {
			return err
		}
		if related, err = relate(tx, &k); err != nil {
			return err
		}
		if err := note(ctx, tx, "key.create", string(k.ID), "team %s, scope %s", spec.Team, spec.Scope); err != nil {
			return err
		}
		return put(tx, kindKey, string(k.ID), k)
	}, func() {
		p.keys[k.ID] = &k
		if related != nil {
			p.keys[related.ID] = related
		}
	})
	if err != nil {
		return Key{}, nil, fmt.Errorf("creating key: %w", err)
	}
	return k, p8, nil
}

// mayCreateKey checks the rules between keys and apps.
func mayCreateKey(tx Tx, spec KeySpec) error {
	if _, err := getTeam(tx, spec.Team); err != nil {
		return err
	}
	for _, t := range spec.Topics {
		c, err := getCertified(tx, t)
		if err != nil {
			return err
		}
		if c.team.ID != spec.Team {
			return refuse(CodeApp, "", "%s is not an App ID of team %s", t, spec.Team)
		}
	}
	count := make(map[apns.Environment]int)
	err := each(tx, kindKey, func(k *Key) error {
		for _, env := range apns.Environments {
			if k.Team == spec.Team && k.Scope == spec.Scope && k.Revoked.IsZero() && k.Allows(env) {
				count[env]++
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	limit := maxTeamKeys
	if spec.Scope == ScopeTopic {
		limit = maxTopicKeys
	}
	for _, env := range apns.Environments {
		if (spec.Environment == 0 || spec.Environment == env) && count[env] >= limit {
			return refuse(CodeKeyQuota, "Revoke one.", "team %s has %d keys of scope %s in %v, and no more may be", spec.Team, count[env], spec.Scope, env)
		}
	}
	return nil
}

// relate makes k and the key it names related, and returns that one.
func relate(tx Tx, k *Key) (*Key, error) {
	if k.Related == "" {
		return nil, nil //nolint:nilnil // nothing to relate to is no error
	}
	other := new(Key)
	if err := get(tx, kindKey, string(k.Related), other); isNotFound(err) {
		return nil, errNoKey(k.Related)
	} else if err != nil {
		return nil, err
	}
	switch {
	case other.Team != k.Team, other.Scope != ScopeTopic, other.Environment != k.Environment, !other.Revoked.IsZero():
		return nil, refuse(CodeRelatedKey, "It is a key for topics, of the same team and environment.", "key %s cannot be related to this one", other.ID)
	case other.Related != "":
		return nil, refuse(CodeRelatedKey, "", "key %s has a related key already, %s", other.ID, other.Related)
	}
	other.Related = k.ID
	return other, put(tx, kindKey, string(other.ID), other)
}

func errNoKey(id apns.KeyID) *Refusal {
	return refuse(CodeKey, "`herald portal key list` names them.", "there is no key %q", id)
}

// Keys returns all keys, revoked ones too, by ID.
func (p *Portal) Keys(ctx context.Context) (keys []Key, err error) {
	err = p.store.View(ctx, func(tx Tx) error {
		return each(tx, kindKey, func(k *Key) error { keys = append(keys, *k); return nil })
	})
	return keys, err
}

func parsePublic(der []byte) (*ecdsa.PublicKey, error) {
	pub, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, err
	}
	k, ok := pub.(*ecdsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%T: want an ECDSA key", pub)
	}
	return k, nil
}
