package credential

import (
	"crypto/hmac"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
)

// Bounds of the key of PBMAC1. With a short one, a file can be forged by
// trying all of its keys.
const (
	minPBMAC1KeyBytes = 20
	maxPBMAC1KeyBytes = 64
)

// macData is MacData (RFC 7292 section 4).
type macData struct {
	MAC struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}
	Salt   []byte
	Rounds int `asn1:"optional,default:1"`
}

// pbmac1Parameters is PBMAC1-params (RFC 8018 appendix A.5).
type pbmac1Parameters struct {
	Derivation pkix.AlgorithmIdentifier
	MAC        pkix.AlgorithmIdentifier
}

// checkMAC compares the MAC with that of content, and returns its name. It
// fails with ErrPassword if they differ.
func (r *pkcs12Reader) checkMAC(der, content []byte) (name string, err error) {
	var m macData
	if err := unmarshalAll(der, &m); err != nil {
		return "", err
	}
	want, name, err := m.sum(r.work, r.password, content)
	if err != nil {
		return "", err
	}
	if len(m.MAC.Digest) != len(want) {
		return "", errDamaged
	}
	if !hmac.Equal(m.MAC.Digest, want) {
		return "", ErrPassword
	}
	return name, nil
}

// sum returns the MAC of content in the way that m says.
func (m *macData) sum(w *workLimit, p passphrase, content []byte) (mac []byte, name string, err error) {
	if m.MAC.Algorithm.Algorithm.Equal(oidPBMAC1) {
		return pbmac1(m.MAC.Algorithm.Parameters.FullBytes, w, p, content)
	}
	h, ok := hashes[m.MAC.Algorithm.Algorithm.String()]
	if !ok {
		return nil, "", unsupported("MAC", m.MAC.Algorithm.Algorithm)
	}
	key, err := pkcs12KDF(w, h.newHash, p.bmp, m.Salt, m.Rounds, pkcs12ForMAC, h.newHash().Size())
	if err != nil {
		return nil, "", err
	}
	return hmacSum(h.newHash, key, content), "HMAC-" + h.name, nil
}

// pbmac1 is the MAC of RFC 9579, whose parameters stand in for the salt and
// the rounds of MacData.
func pbmac1(der []byte, w *workLimit, p passphrase, content []byte) (mac []byte, name string, err error) {
	var params pbmac1Parameters
	if err := unmarshalAll(der, &params); err != nil {
		return nil, "", err
	}
	h, ok := hmacs[params.MAC.Algorithm.String()]
	if !ok {
		return nil, "", unsupported("MAC", params.MAC.Algorithm)
	}
	if !params.Derivation.Algorithm.Equal(oidPBKDF2) { // RFC 9579 section 4
		return nil, "", unsupported("key derivation of the MAC", params.Derivation.Algorithm)
	}
	derive, size, err := parseDerivation(params.Derivation)
	if err != nil {
		return nil, "", err
	}
	if size < minPBMAC1KeyBytes || size > maxPBMAC1KeyBytes {
		return nil, "", fmt.Errorf("the MAC has a key of %d bytes, want %d to %d: it proves nothing", size, minPBMAC1KeyBytes, maxPBMAC1KeyBytes)
	}
	key, err := derive(w, p.text, size)
	if err != nil {
		return nil, "", err
	}
	return hmacSum(h.newHash, key, content), "PBMAC1 with HMAC-" + h.name, nil
}

// newMAC returns the MAC of content with a fresh salt, made with h.
func newMAC(oid asn1.ObjectIdentifier, w *workLimit, p passphrase, content []byte) (m macData, err error) {
	m.MAC.Algorithm = pkix.AlgorithmIdentifier{Algorithm: oid, Parameters: asn1Null}
	m.Salt, m.Rounds = randomBytes(16), writtenRounds
	m.MAC.Digest, _, err = m.sum(w, p, content)
	return m, err
}
