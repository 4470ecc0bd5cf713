package credential

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"strings"
	"sync"
	"testing"
	"time"
)

// The tests' own time, so that nothing depends on the day they run.
var (
	now      = time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	tenYears = Validity{now.AddDate(-1, 0, 0), now.AddDate(9, 0, 0)}
	oneYear  = Validity{now.Add(-5 * time.Minute), now.Add(-5 * time.Minute).Add(appLifetime)}
)

// rsaKey is made once: RSA keys are slow to find.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey { return mustRSA(2048) })

var weakRSAKey = sync.OnceValue(func() *rsa.PrivateKey { return mustRSA(1024) })

func mustRSA(bits int) *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return key
}

func newECKey(tb testing.TB, c elliptic.Curve) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// authorities is a root with one intermediate for each purpose.
type authorities struct {
	root, providers, devices, servers Authority
}

func newAuthorities(tb testing.TB, servers IntermediateProfile) authorities {
	tb.Helper()
	rootKey := newECKey(tb, elliptic.P256())
	cert, err := NewRoot("Example Root", rootKey, tenYears)
	if err != nil {
		tb.Fatal(err)
	}
	root := Authority{Certificate: cert, Key: rootKey}
	below := func(p IntermediateProfile) Authority {
		key := newECKey(tb, elliptic.P256())
		cert, err := root.IssueIntermediate(p, key.Public(), tenYears)
		if err != nil {
			tb.Fatal(err)
		}
		return Authority{Certificate: cert, Key: key}
	}
	servers.Name, servers.Purpose = "Example Server Authority", ForServers
	return authorities{
		root:      root,
		providers: below(IntermediateProfile{Name: "Example Provider Authority", Purpose: ForProviders}),
		devices:   below(IntermediateProfile{Name: "Example Device Authority", Purpose: ForDevices}),
		servers:   below(servers),
	}
}

// verify checks cert as a peer would that trusts the root alone.
func (a authorities) verify(cert *x509.Certificate, issuer Authority, usage x509.ExtKeyUsage) error {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(a.root.Certificate)
	between.AddCert(issuer.Certificate)
	_, err := cert.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage},
	})
	return err
}

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// wantError checks that err is there, and says text.
func wantError(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil {
		t.Fatalf("got no error, want one that says %q", text)
	}
	if !strings.Contains(err.Error(), text) {
		t.Errorf("got error %q, want one that says %q", err, text)
	}
}

// wantNoSecret checks that err repeats nothing of the key or text given.
func wantNoSecret(t *testing.T, err error, secrets ...string) {
	t.Helper()
	for _, s := range secrets {
		if s != "" && strings.Contains(err.Error(), s) {
			t.Errorf("error %q repeats %q", err, s)
		}
	}
}

// opaqueSigner hides the private key behind the interface, as hardware does.
type opaqueSigner struct{ crypto.Signer }
