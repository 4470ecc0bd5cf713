package wire

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"testing"
	"time"
)

const (
	vectorRSAKey = "30819f300d06092a864886f70d010101050003818d0030818902818100bf8152aa9260803aae60da97157aaac81d442835e825740a62bee9bdbd3e7443" +
		"516cf63250988be3fd5c37a69222956e760433cd050834202d15acc509c4f63cba6f25f1ae6a5041e91a53bbe696620769b2cb2fccce669614adf167b99d5d" +
		"f08da4ea18eba22caa2154e8d9d3b32d7f10c760ced0b3656b5973e7d509c540bf0203010001"
	vectorRSASignature = "0101" +
		"69ea35ca798a4be5c3f59f1f19fa7db3ade273ba359b3a18e6626eb73c3c010d6258d7db739fa4f619db8db440ea271d83089e9c1cf444633160d7bf2825e7" +
		"17c7cdd950b8bd00926d32b887b7a6578abce40f3906d6db628543d7e400a8c1ebb7c38a142f4730444ae385ff184fc61987f5d2716a9cd6a949fdcda83c0998c2"
	vectorECDSAKey = "3059301306072a8648ce3d020106082a8648ce3d030107034200048172c18e9348506c76422f677e0acafd0f8d9f2a584aab194020f2e76d44d9b2f77134b4" +
		"027267e6f2f1434c335726b5799ebfdc99968b6e46cc841472dc3a07"
	vectorECDSASignature = "0103" +
		"3044022029e46b8b7c7952b5d904e0cfb8744ed473a68e9d5654b0b2afff16f3815400e502205b53fdab28bd37bb0272332254861b375be1898b2c5d113008" +
		"7edb0cb317a835"
)

var errBroken = errors.New("broken")

// brokenKey fails to sign.
type brokenKey struct{ crypto.Signer }

func (brokenKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, errBroken }

func TestNonce(t *testing.T) {
	n := NewNonce(vectorTime, [8]byte{0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8})
	if got := hexOf(string(n[:])); got != vectorNonce {
		t.Errorf("got %s, want %s", got, vectorNonce)
	}
	if got := n.Time(); !got.Equal(vectorTime) {
		t.Errorf("got %v, want %v", got, vectorTime)
	}
	for size := range 2 * NonceBytes {
		if _, ok := ParseNonce(make([]byte, size)); ok != (size == NonceBytes) {
			t.Errorf("%d bytes: got %v", size, ok)
		}
	}
	// A time that no clock shows must not look near.
	var far Nonce
	for i := range far {
		far[i] = 0xff
	}
	if got := vectorTime.Sub(far.Time()); got < time.Hour {
		t.Errorf("got %v from now", got)
	}
}

func TestVerifySignatureVectors(t *testing.T) {
	for _, tt := range []struct{ name, key, signature string }{
		{"RSA 1024", vectorRSAKey, vectorRSASignature},
		{"P-256", vectorECDSAKey, vectorECDSASignature},
	} {
		t.Run(tt.name, func(t *testing.T) {
			key, err := x509.ParsePKIXPublicKey(mustHex(tt.key))
			if err != nil {
				t.Fatal(err)
			}
			n, signature := Nonce(mustHex(vectorNonce)), mustHex(tt.signature)
			if err := VerifySignature(key, n, signature); err != nil {
				t.Fatal(err)
			}
			checkRefusals(t, key, n, signature)
		})
	}
}

// checkRefusals checks that nothing near a good signature passes.
func checkRefusals(t *testing.T, key crypto.PublicKey, n Nonce, signature []byte) {
	t.Helper()
	refused := func(what string, i int, key crypto.PublicKey, n Nonce, signature []byte) {
		if err := VerifySignature(key, n, signature); !errors.Is(err, ErrBadSignature) {
			t.Errorf("%s %d: got %v, want ErrBadSignature", what, i, err)
		}
	}
	for i := range n {
		changed := n
		changed[i] ^= 1
		refused("nonce changed at", i, key, changed, signature)
	}
	for i := range signature {
		changed := append([]byte(nil), signature...)
		changed[i] ^= 1
		refused("signature changed at", i, key, n, changed)
		refused("signature cut to", i, key, n, signature[:i])
	}
	for i := range 256 {
		if prefix := byte(i); prefix != signature[1] {
			refused("prefix", i, key, n, append([]byte{1, prefix}, signature[2:]...))
		}
	}
	refused("signature and more", 1, key, n, append(append([]byte(nil), signature...), 0))
	refused("no key", 0, nil, n, signature)
	refused("key of another kind", 0, ed25519.PublicKey(make([]byte, ed25519.PublicKeySize)), n, signature)
}

func TestSign(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	n := NewNonce(vectorTime, [8]byte{1})
	for _, tt := range []struct {
		name, prefix string
		key          crypto.Signer
	}{
		{"RSA", signedRSASHA1, rsaKey},
		{"ECDSA", signedECDSASHA256, p256},
	} {
		t.Run(tt.name, func(t *testing.T) {
			signature, err := n.Sign(tt.key)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(signature[:2]); got != tt.prefix {
				t.Errorf("got prefix %x, want %x", got, tt.prefix)
			}
			if err := VerifySignature(tt.key.Public(), n, signature); err != nil {
				t.Error(err)
			}
			if err := VerifySignature(other.Public(), n, signature); !errors.Is(err, ErrBadSignature) {
				t.Errorf("another key: got %v, want ErrBadSignature", err)
			}
		})
	}

	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Sign(edKey); err == nil {
		t.Error("Ed25519: got no error")
	}
	if _, err := n.Sign(brokenKey{p256}); !errors.Is(err, errBroken) {
		t.Errorf("broken key: got %v, want %v", err, errBroken)
	}
}

// A key too large to be worth the work is refused before any is done.
func TestVerifySignatureBoundsTheKey(t *testing.T) {
	key := &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 8*maxRSABytes), E: 65537}
	if err := VerifySignature(key, Nonce{}, mustHex(vectorRSASignature)); !errors.Is(err, ErrBadSignature) {
		t.Errorf("got %v, want ErrBadSignature", err)
	}
}

// A nonce made for another service is not one for the courier, even if the
// signature is good.
func TestVerifySignatureRefusesOtherKindsOfNonce(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	n := NewNonce(vectorTime, [8]byte{})
	n[0] = 1
	signature, err := n.Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := VerifySignature(key.Public(), n, signature); !errors.Is(err, ErrBadSignature) {
		t.Errorf("got %v, want ErrBadSignature", err)
	}
}
