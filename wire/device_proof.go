package wire

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// DeviceProof shows to the activation door that a request is of a device that
// has its certificate already. It is in the body, not in TLS, so that the door
// can say what is wrong with a certificate, and may stand behind a proxy
// (docs/protocol/courier.md#renewal).
type DeviceProof struct {
	// Certificate is the device certificate, PEM.
	Certificate string `json:"certificate"`
	// Nonce is one as in Connect, with the device's time; base64 in JSON.
	Nonce []byte `json:"nonce"`
	// Signature is by the key of the certificate; base64 in JSON.
	Signature []byte `json:"signature"`
}

// ProofPurpose is what a DeviceProof is good for, and nothing else.
type ProofPurpose string

// The purposes.
const (
	// ProofRenewal is for a RenewalRequest, over its CSR.
	ProofRenewal ProofPurpose = "renewal"
	// ProofErasure is for an ErasureRequest, over nothing.
	ProofErasure ProofPurpose = "erasure"
	// ProofFormer is for an ActivationRequest, over its CSR, with the former
	// certificate.
	ProofFormer ProofPurpose = "former"
)

// RenewalRequest asks for a further certificate for the same device. It is
// answered as an ActivationRequest.
type RenewalRequest struct {
	DeviceProof
	// CSR is as in ActivationRequest, for the same key or another one.
	CSR string `json:"certificate_signing_request"`
}

// ErasureRequest says that the device is no more: all its device tokens end,
// and its certificates are revoked. The answer has no body.
type ErasureRequest struct{ DeviceProof }

// proofContext keeps the signatures apart from those for everything else.
const proofContext = "herald device proof 1"

// ErrBadProof says that a DeviceProof does not prove what it should.
var ErrBadProof = errors.New("device proof: does not verify")

// NewDeviceProof signs a proof with the key of a device, RSA or ECDSA, over the
// text of a request.
func NewDeviceProof(certificatePEM string, key crypto.Signer, nonce Nonce, purpose ProofPurpose, over string) (DeviceProof, error) {
	digest := proofDigest(nonce, purpose, over)
	switch pub := key.Public().(type) {
	case *rsa.PublicKey, *ecdsa.PublicKey:
	default:
		return DeviceProof{}, fmt.Errorf("device proof: %T: want an RSA or ECDSA key", pub)
	}
	signature, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return DeviceProof{}, fmt.Errorf("device proof: %w", err)
	}
	return DeviceProof{Certificate: certificatePEM, Nonce: nonce[:], Signature: signature}, nil
}

// proofDigest is what is signed: the SHA-256 of the context, the purpose and the
// nonce, each after its size, and the SHA-256 of the text.
func proofDigest(nonce Nonce, purpose ProofPurpose, over string) [sha256.Size]byte {
	var b []byte
	for _, part := range []string{proofContext, string(purpose), string(nonce[:])} {
		b = binary.BigEndian.AppendUint16(b, uint16(len(part))) //nolint:gosec // all are short
		b = append(b, part...)
	}
	text := sha256.Sum256([]byte(over))
	return sha256.Sum256(append(b, text[:]...))
}

// Verify checks that p was signed by the key pub, for this purpose and over this
// text. Any failure is ErrBadProof. It returns the nonce, and says nothing about
// its time, nor whether it was used before.
func (p DeviceProof) Verify(pub crypto.PublicKey, purpose ProofPurpose, over string) (Nonce, error) {
	nonce, ok := ParseNonce(p.Nonce)
	if !ok {
		return Nonce{}, ErrBadProof
	}
	digest := proofDigest(nonce, purpose, over)
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		if pub.Size() > maxRSABytes || rsa.VerifyPKCS1v15(pub, crypto.SHA256, digest[:], p.Signature) != nil {
			return Nonce{}, ErrBadProof
		}
	case *ecdsa.PublicKey:
		if !ecdsa.VerifyASN1(pub, digest[:], p.Signature) {
			return Nonce{}, ErrBadProof
		}
	default:
		return Nonce{}, ErrBadProof
	}
	return nonce, nil
}

// NewProofNonce returns a nonce for a proof that is made at that time.
func NewProofNonce(t time.Time) Nonce {
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	return NewNonce(t, random)
}
