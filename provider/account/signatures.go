package account

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/heraldpush/herald/apns"
)

// ProviderTokenLife is how long a provider token is good from when it was made
// (docs/protocol/provider.md#provider-tokens).
const ProviderTokenLife = time.Hour

// maxSignatures bounds the provider tokens whose signature need not be checked
// again, at about 150 bytes each. A sender makes one or two in an hour.
const maxSignatures = 4096

// signatures remembers provider tokens whose signature was found to be good, until
// they expire, so that one that comes with each of many pushes is checked once. It
// has their digests and not themselves, and only what of them does not change:
// whether the key is still in the book is looked at each time. The zero value is
// empty.
type signatures struct {
	mu   sync.Mutex
	good map[[sha256.Size]byte]signature // guarded by mu
}

// signature says who signed a provider token.
type signature struct {
	key         apns.KeyID
	team        apns.TeamID
	issuedAt    time.Time
	fingerprint string // of the key
}

// find returns what is remembered of a provider token.
func (s *signatures) find(token [sha256.Size]byte) (signature, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok := s.good[token]
	return g, ok
}

// add remembers a provider token.
func (s *signatures) add(token [sha256.Size]byte, g signature, now time.Time) {
	if g.expired(now) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.good) >= maxSignatures {
		s.expire(now)
	}
	if len(s.good) >= maxSignatures {
		clear(s.good) // they are checked again when they come
	}
	if s.good == nil {
		s.good = make(map[[sha256.Size]byte]signature)
	}
	s.good[token] = g
}

// expire forgets those that are no longer good. The lock is held.
func (s *signatures) expire(now time.Time) {
	for token, g := range s.good {
		if g.expired(now) {
			delete(s.good, token)
		}
	}
}

// forget forgets one that is of no use any more.
func (s *signatures) forget(token [sha256.Size]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.good, token)
}

func (g *signature) expired(now time.Time) bool { return now.Sub(g.issuedAt) > ProviderTokenLife }
