package apnsclient

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
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
	file *credentialFile[*providerKey] // nil unless the key is from a file

	current atomic.Pointer[signedToken] // nil before the first; stored while mu is held

	mu       sync.Mutex   // held while signing, so that one signs and the others wait
	key      *providerKey // guarded by mu
	holdTill time.Time    // no new token before this; guarded by mu
	clock    clockReading // guarded by mu
	remadeAt time.Time    // when a token was last made in place of one refused; guarded by mu
}

// providerKey is what signs. It is never changed.
type providerKey struct {
	id  apns.KeyID
	key *ecdsa.PrivateKey
}

// signedToken is a provider token. It is never changed.
type signedToken struct {
	token    string
	issuedAt time.Time     // by this machine's clock
	skew     time.Duration // that it was signed with
}

// NewProviderTokens returns the tokens that the team signs with the key, which
// credential.ParseP8 reads from a .p8 file. The error says which of the three
// is missing or of the wrong form. LoadKey does the same with a file.
func NewProviderTokens(team apns.TeamID, id apns.KeyID, key *ecdsa.PrivateKey) (*ProviderTokens, error) {
	if key == nil {
		return nil, errors.New("provider tokens: no key: read one from a .p8 file with credential.ParseP8")
	}
	if err := checkTeam(team); err != nil {
		return nil, err
	}
	k, err := newProviderKey(id, key)
	if err != nil {
		return nil, fmt.Errorf("provider tokens: %w", err)
	}
	return &ProviderTokens{team: team, key: k}, nil
}

func checkTeam(team apns.TeamID) error {
	if team == "" {
		return errors.New("provider tokens: no team ID: it stands on the membership page of the developer account")
	}
	return nil
}

func newProviderKey(id apns.KeyID, key *ecdsa.PrivateKey) (*providerKey, error) {
	switch {
	case key.Curve != elliptic.P256():
		return nil, fmt.Errorf("the key is on the curve %s, not P-256: it is no key of a .p8 file", key.Params().Name)
	case id == "":
		return nil, errors.New("no key ID: it is part of the file name, AuthKey_<key ID>.p8")
	}
	return &providerKey{id, key}, nil
}

// LogValue implements slog.LogValuer.
func (p *ProviderTokens) LogValue() slog.Value {
	return slog.GroupValue(slog.String("team", string(p.team)), slog.String("key", string(p.KeyID())))
}

// String names team and key ID.
func (p *ProviderTokens) String() string { return fmt.Sprintf("key %s of team %s", p.KeyID(), p.team) }

// GoString is String, for the verb %#v.
func (p *ProviderTokens) GoString() string { return p.String() }

// TeamID returns the team that signs.
func (p *ProviderTokens) TeamID() apns.TeamID { return p.team }

// KeyID returns the ID of the key that signs.
func (p *ProviderTokens) KeyID() apns.KeyID {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.key.id
}

// fingerprint tells keys apart.
func (p *ProviderTokens) fingerprint() [sha256.Size]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	b, err := p.key.key.PublicKey.Bytes()
	if err != nil {
		return [sha256.Size]byte{} // it is on no curve, and signs nothing
	}
	return sha256.Sum256(b)
}

// ClockSkew returns how far this machine's clock was ahead of the gateway's
// when the gateway last refused a provider token because of the time; it is
// negative for one that was behind, and zero where that never happened, where the
// difference was below five minutes, and after the clock was set. Provider tokens
// are signed with the gateway's time then, so that pushes go on. Set the clock
// all the same.
func (p *ProviderTokens) ClockSkew() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.clock.skew(time.Now())
}

// get returns the current token, a new one where there is none or the current
// is about to end. It is called for each push.
func (p *ProviderTokens) get(now time.Time) (string, error) {
	if s := p.current.Load(); s != nil && age(s.issuedAt, now) < refreshAfter {
		return s.token, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.current.Load()
	if s == nil || age(s.issuedAt, now) >= refreshAfter && !now.Before(p.holdTill) {
		p.readKey()
		return p.renew(now)
	}
	return s.token, nil
}

// refused hears that the service refused a push with the token for the given
// reason, in an answer of that date. It says whether there is another token to
// try: one that was made in the meantime, or one that is made now
//
//   - because the one refused is old enough, and the reason is its age;
//   - because the clock of this machine is not that of the gateway. It counts
//     once in 20 minutes: gateways may differ among themselves;
//   - because the file of the key has another key now.
//
// In all other cases another token mends nothing.
func (p *ProviderTokens) refused(token string, reason apns.Reason, date string) (again bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, s := time.Now(), p.current.Load()
	timely := false
	switch reason {
	case apns.TooManyProviderTokenUpdates:
		p.holdTill = now.Add(refreshFloor)
		return false, nil
	case apns.ExpiredProviderToken, apns.InvalidProviderToken:
		p.clock.read(date, now)
		timely = true
	case apns.Forbidden: // as after the revocation of a key
	default:
		return false, nil
	}
	if s == nil || s.token != token {
		return s != nil && timely, nil
	}
	if p.readKey() {
		_, err := p.renew(now)
		return err == nil, err
	}
	if !timely || now.Before(p.holdTill) {
		return false, nil
	}
	old := reason == apns.ExpiredProviderToken && age(s.issuedAt, now) >= refreshFloor
	clock := (p.clock.skew(now)-s.skew).Abs() > clockTolerance && (p.remadeAt.IsZero() || now.Sub(p.remadeAt) >= refreshFloor)
	if !old && !clock {
		return false, nil
	}
	p.remadeAt = now
	_, err = p.renew(now)
	return err == nil, err
}

// readKey takes the key that is in the file, if there is one, and reports whether
// it is another. The caller holds mu.
func (p *ProviderTokens) readKey() bool {
	if p.file == nil {
		return false
	}
	k := p.file.get()
	if k.id == p.key.id && k.key.Equal(p.key.key) {
		return false
	}
	p.key = k
	return true
}

// renew signs a token. The caller holds mu.
func (p *ProviderTokens) renew(now time.Time) (string, error) {
	skew := p.clock.skew(now)
	token, err := credential.MintProviderToken(p.key.key, p.key.id, p.team, now.Add(-skew))
	if err != nil {
		return "", fmt.Errorf("signing a provider token with key %s of team %s: %w", p.key.id, p.team, err)
	}
	p.current.Store(&signedToken{token: token, issuedAt: now, skew: skew})
	return token, nil
}

// age returns how old something is by the clock that runs further: the
// monotonic one stands still while a machine sleeps, the other may be set.
func age(since, now time.Time) time.Duration {
	return max(now.Sub(since), now.Round(0).Sub(since.Round(0)))
}
