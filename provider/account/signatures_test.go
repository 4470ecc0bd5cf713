package account

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"
	"time"
)

// However many provider tokens come, few are remembered, and of those that have
// expired none for long.
func TestSignaturesBounded(t *testing.T) {
	var s signatures
	now := time.Now()
	token := func(n int) [sha256.Size]byte {
		return sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(n)))
	}
	s.add(token(0), signature{key: "OLD", issuedAt: now.Add(-ProviderTokenLife - time.Second)}, now)
	if _, ok := s.find(token(0)); ok {
		t.Error("one that has expired is remembered")
	}
	const old = maxSignatures / 2
	for n := range old {
		s.add(token(n), signature{issuedAt: now.Add(-ProviderTokenLife)}, now)
	}
	for n := old; n < maxSignatures; n++ {
		s.add(token(n), signature{key: "NEW", issuedAt: now}, now)
	}
	if got := len(s.good); got != maxSignatures {
		t.Fatalf("got %d, want %d", got, maxSignatures)
	}
	now = now.Add(time.Second)
	s.add(token(maxSignatures), signature{key: "NEW", issuedAt: now}, now)
	if got, want := len(s.good), maxSignatures-old+1; got != want {
		t.Errorf("when the old ones have expired: got %d, want %d", got, want)
	}
	for n := range 3 * maxSignatures {
		if s.add(token(-n), signature{issuedAt: now}, now); len(s.good) > maxSignatures {
			t.Fatalf("got %d, want at most %d", len(s.good), maxSignatures)
		}
	}
	s.forget(token(1 - 3*maxSignatures))
	if _, ok := s.find(token(1 - 3*maxSignatures)); ok {
		t.Error("it was not forgotten")
	}
}
