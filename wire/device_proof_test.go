package wire

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"testing"
	"time"
)

func TestDeviceProof(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	nonce := NewProofNonce(time.UnixMilli(1_700_000_000_000))
	for name, key := range map[string]crypto.Signer{"P-256": ec, "RSA": other} {
		p, err := NewDeviceProof("PEM", key, nonce, ProofRenewal, "request")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.Verify(key.Public(), ProofRenewal, "request"); got != nonce || err != nil {
			t.Errorf("%s: got %x and %v, want %x", name, got, err, nonce)
		}
		refused := func(what string, p DeviceProof, pub crypto.PublicKey, purpose ProofPurpose, over string) {
			t.Helper()
			if _, err := p.Verify(pub, purpose, over); !errors.Is(err, ErrBadProof) {
				t.Errorf("%s, %s: got %v, want %v", name, what, err, ErrBadProof)
			}
		}
		refused("another purpose", p, key.Public(), ProofErasure, "request")
		refused("another request", p, key.Public(), ProofRenewal, "request2")
		changed := p
		changed.Nonce = append([]byte(nil), p.Nonce...)
		changed.Nonce[16] ^= 1
		refused("another nonce", changed, key.Public(), ProofRenewal, "request")
		changed.Nonce = p.Nonce[:16]
		refused("a short nonce", changed, key.Public(), ProofRenewal, "request")
		changed = p
		changed.Signature = nil
		refused("no signature", changed, key.Public(), ProofRenewal, "request")
		for other, pub := range map[string]crypto.PublicKey{"P-256": ec.Public(), "RSA": other.Public(), "none": nil} {
			if other != name {
				refused("the key "+other, p, pub, ProofRenewal, "request")
			}
		}
		// Nor does it open a connection.
		if err := VerifySignature(key.Public(), nonce, append([]byte("\x01\x03"), p.Signature...)); !errors.Is(err, ErrBadSignature) {
			t.Errorf("%s: as a signature in Connect: got %v", name, err)
		}
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewDeviceProof("PEM", edwards, nonce, ProofErasure, ""); err == nil {
		t.Error("Ed25519: got no error")
	}
}
