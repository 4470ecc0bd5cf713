package credential

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestContents(t *testing.T) {
	id := newIdentity(t, rsaKey())
	text, err := id.MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	request, err := NewRequest(id.Key, RequestSubject{CommonName: "Push"})
	if err != nil {
		t.Fatal(err)
	}
	p12, err := (&PKCS12{
		Keys:         []PKCS12Key{{Key: id.Key, FriendlyName: "the key"}},
		Certificates: []PKCS12Certificate{{Certificate: id.Certificate, FriendlyName: "the certificate"}},
	}).Marshal("pass word", PKCS12Modern)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name     string
		data     []byte
		certs    []*x509.Certificate
		keys     int
		requests int
		friendly string
	}{
		{"identity, PEM", text, append([]*x509.Certificate{id.Certificate}, id.Chain...), 1, 0, ""},
		{"identity, PKCS#12", p12, []*x509.Certificate{id.Certificate}, 1, 0, "the key"},
		{"certificate, DER", id.Certificate.Raw, []*x509.Certificate{id.Certificate}, 0, 0, ""},
		{"request", MarshalRequestPEM(request), nil, 0, 1, ""},
		{"nothing", []byte("nothing"), nil, 0, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			given := slices.Clone(tt.data)
			r, _ := Inspect("file", tt.data, InspectOptions{Password: func(string) (string, error) { return "pass word", nil }})
			got := r.Contents()
			if len(got.Keys) != tt.keys || len(got.Requests) != tt.requests {
				t.Fatalf("got %d keys and %d requests, want %d and %d", len(got.Keys), len(got.Requests), tt.keys, tt.requests)
			}
			if !slices.EqualFunc(got.Certificates, tt.certs, func(a PKCS12Certificate, b *x509.Certificate) bool { return a.Certificate.Equal(b) }) {
				t.Errorf("got %d certificates, or others, want %d", len(got.Certificates), len(tt.certs))
			}
			if tt.keys == 1 {
				if !samePublicKey(got.Keys[0].Key.Public(), id.Key.Public()) || got.Keys[0].FriendlyName != tt.friendly {
					t.Errorf("got the key %v, or another, want %q", got.Keys[0], tt.friendly)
				}
				got.Certificates = nil
				if text := fmt.Sprintf("%v %+v %#v", got, got, got); strings.Contains(text, "Primes") || strings.Contains(text, "PrivateKey{") {
					t.Errorf("it prints its key: %s", text)
				}
			}
			if !slices.Equal(given, tt.data) {
				t.Error("what was given has changed")
			}
		})
	}
}

// A private key that was read as DER is there afterwards, too: who read the
// file may want to read it again.
func TestInspectLeavesItsInput(t *testing.T) {
	der, err := x509.MarshalPKCS8PrivateKey(rsaKey())
	if err != nil {
		t.Fatal(err)
	}
	given := slices.Clone(der)
	if _, err := Inspect("key.der", der, InspectOptions{}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(given, der) {
		t.Error("the caller's bytes were overwritten")
	}
}
