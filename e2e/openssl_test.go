package e2e

import (
	"crypto"
	"crypto/tls"
	"strings"
	"testing"
)

// TestOpenSSLReadsCertificate opens certificate.p12 as a person with the
// command-line tool does, and finds the certificate and key of ck.pem in it.
func TestOpenSSLReadsCertificate(t *testing.T) {
	t.Parallel()
	needTool(t, "openssl", "opens PKCS#12 files", "openssl")
	h := start(t)
	open := func(password string) outcome {
		return program{
			args: []string{"openssl", "pkcs12", "-in", h.CertificateP12, "-passin", "env:P12_PASSWORD", "-clcerts", "-noenc"},
			env:  []string{"P12_PASSWORD=" + password},
		}.run(t)
	}

	opened := open(h.P12Password)
	if opened.status != 0 {
		t.Fatalf("openssl pkcs12: exit status %d\n%s", opened.status, opened.stderr)
	}
	got, want := pair(t, opened.stdout), pair(t, read(t, h.CertificatePEM))
	if !got.Leaf.Equal(want.Leaf) {
		t.Errorf("certificate.p12 has the certificate of %v, ck.pem that of %v", got.Leaf.Subject, want.Leaf.Subject)
	}
	type key interface{ Equal(crypto.PrivateKey) bool }
	if k, ok := got.PrivateKey.(key); !ok || !k.Equal(want.PrivateKey) {
		t.Error("certificate.p12 and ck.pem have different keys")
	}

	if o := open(h.P12Password + "x"); o.status == 0 || !strings.Contains(o.stderr, "invalid password") {
		t.Errorf("with a wrong password: got exit status %d and %q, want a refusal", o.status, o.stderr)
	}
}

// pair reads a certificate and its key, in PEM, out of one text.
func pair(t *testing.T, text string) tls.Certificate {
	t.Helper()
	c, err := tls.X509KeyPair([]byte(text), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}
