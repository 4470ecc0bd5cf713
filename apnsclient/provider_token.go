package apnsclient

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

// The times of a provider token (docs/protocol/provider.md#provider-tokens).
const (
	// refreshAfter is well inside the hour for which a token is good.
	refreshAfter = 50 * time.Minute
	// refreshFloor is the shortest time that the service wants between two.
	refreshFloor = 20 * time.Minute
)

// ProviderTokens makes the provider tokens of one key, and keeps the current
// one. Share it between all senders that use the key, so that they send the
// same token: the service counts how often it changes. It is safe for
// concurrent use and never prints its key.
type ProviderTokens struct {
	team apns.TeamID
	id   apns.KeyID
	key  *ecdsa.PrivateKey

	mu       sync.Mutex // held while signing, so that one signs and the others wait
	current  string     // guarded by mu; empty before the first
	issuedAt time.Time  // of current; guarded by mu
	holdTill time.Time  // no new one before this; guarded by mu
}

// NewProviderTokens returns the tokens that the team signs with the key, which
// credential.ParseP8 reads from a .p8 file. The error says which of the three
// is missing or of the wrong form.
func NewProviderTokens(team apns.TeamID, id apns.KeyID, key *ecdsa.PrivateKey) (*ProviderTokens, error) {
	switch {
	case key == nil:
		return nil, errors.New("provider tokens: no key: read one from a .p8 file with credential.ParseP8")
	case key.Curve != elliptic.P256():
		return nil, fmt.Errorf("provider tokens: the key is on the curve %s, not P-256: it is no key of a .p8 file", key.Params().Name)
	case team == "":
		return nil, errors.New("provider tokens: no team ID: it stands on the membership page of the developer account")
	case id == "":
		return nil, errors.New("provider tokens: no key ID: it is part of the file name, AuthKey_<key ID>.p8")
	}
	return &ProviderTokens{team: team, id: id, key: key}, nil
}

// LogValue implements slog.LogValuer.
func (p *ProviderTokens) LogValue() slog.Value {
	return slog.GroupValue(slog.String("team", string(p.team)), slog.String("key", string(p.id)))
}

// String names team and key ID.
func (p *ProviderTokens) String() string { return fmt.Sprintf("key %s of team %s", p.id, p.team) }

// GoString is String, for the verb %#v.
func (p *ProviderTokens) GoString() string { return p.String() }

// get returns the current token, a new one where there is none or the current
// is about to end.
func (p *ProviderTokens) get() (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.current == "" || age(p.issuedAt, now) >= refreshAfter && !now.Before(p.holdTill) {
		return p.renew(now)
	}
	return p.current, nil
}

// replace returns another token in place of refused, which the service called
// expired, and whether it was signed for this call: another call may have done
// so already. It returns none where refused was signed a short while ago: that
// one is refused because of this machine's clock, which no new token mends.
func (p *ProviderTokens) replace(refused string) (another string, signed bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	switch {
	case p.current != refused:
		return p.current, false, nil
	case age(p.issuedAt, now) < refreshFloor || now.Before(p.holdTill):
		return "", false, nil
	}
	another, err = p.renew(now)
	return another, err == nil, err
}

// hold keeps the current token for as long as the service wants: it said that
// tokens change too often.
func (p *ProviderTokens) hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holdTill = time.Now().Add(refreshFloor)
}

// renew signs a token. The caller holds mu.
func (p *ProviderTokens) renew(now time.Time) (string, error) {
	s, err := credential.MintProviderToken(p.key, p.id, p.team, now)
	if err != nil {
		return "", fmt.Errorf("signing a provider token with %s: %w", p, err)
	}
	p.current, p.issuedAt = s, now
	return s, nil
}

// age returns how old something is by the clock that runs further: the
// monotonic one stands still while a machine sleeps, the other may be set.
func age(since, now time.Time) time.Duration {
	return max(now.Sub(since), now.Round(0).Sub(since.Round(0)))
}
