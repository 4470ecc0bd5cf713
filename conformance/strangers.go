package conformance

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

// The names of certificates that no gateway may take, which each run makes.
const (
	selfSigned  = "self-signed certificate"
	foreign     = "certificate of a foreign authority"
	withoutKey  = "certificate of somebody else"
	strangeDays = 24 * time.Hour
)

// strangers makes them. The foreign one is a push certificate in all but who
// signed it, and for the target's own topic.
func strangers(t *Target) (map[string]tls.Certificate, error) {
	made := make(map[string]tls.Certificate)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "Stranger"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(strangeDays),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("making a certificate: %w", err)
	}
	made[selfSigned] = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	if made[foreign], err = foreignCertificate(t, key); err != nil {
		return nil, err
	}
	if good, ok := t.Certificates[Certificate]; ok {
		leaf, err := x509.ParseCertificate(good.Certificate[0])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", Certificate, err)
		}
		if _, ok := leaf.PublicKey.(*ecdsa.PublicKey); ok {
			good.PrivateKey, good.Leaf = key, nil
			made[withoutKey] = good
		}
	}
	return made, nil
}

func foreignCertificate(t *Target, key *ecdsa.PrivateKey) (tls.Certificate, error) {
	validity := credential.Validity{NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(strangeDays)}
	root, err := credential.NewRoot("Foreign Root", key, validity)
	if err != nil {
		return tls.Certificate{}, err
	}
	authority := credential.Authority{Certificate: root, Key: key}
	providers, err := authority.IssueIntermediate(credential.IntermediateProfile{Name: "Foreign Providers", Purpose: credential.ForProviders}, key.Public(), validity)
	if err != nil {
		return tls.Certificate{}, err
	}
	topic := apns.Topic("com.example.foreign")
	if known := t.Values[Topic]; len(known) > 0 {
		topic = apns.Topic(known[0]).BundleID()
	}
	leaf, err := credential.Authority{Certificate: providers, Key: key}.IssuePush(credential.PushProfile{
		Kind: credential.PushUniversal, BundleID: topic, TeamID: credential.NewTeamID(), Organization: "Foreign",
	}, key.Public(), validity)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{leaf.Raw, providers.Raw}, PrivateKey: key}, nil
}
