package credential

import (
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"strings"
	"testing"
)

// sealedParts returns the safes of one key and one certificate, encrypted with
// these passwords and algorithms.
func sealedParts(t *testing.T, keyPassword, certPassword string, alg pkix.AlgorithmIdentifier) []contentInfo {
	t.Helper()
	id := newIdentity(t, newECKey(t, elliptic.P256()))
	seal := func(password string, plain []byte) []byte {
		return must(must(parseEncryption(alg)).encrypt(newWorkLimit(), mustPassphrase(t, password), plain))
	}
	key := must(newBag(oidShroudedBag, encryptedKeyInfo{alg, seal(keyPassword, must(x509.MarshalPKCS8PrivateKey(id.Key)))}, "push", nil))
	cert := must(newBag(oidCertBag, certBag{oidX509Cert, must(explicit(id.Certificate.Raw))}, "", nil))
	return []contentInfo{sealedSafe(alg, seal(certPassword, must(asn1.Marshal([]safeBag{cert})))), must(newData(must(asn1.Marshal([]safeBag{key}))))}
}

// Java and Windows can lock a part with another password than the file. That
// is said as it is: the password that was given is right.
func TestParsePKCS12OtherKeyPassword(t *testing.T) {
	for name, alg := range quickAlgorithms() {
		for _, tt := range []struct {
			name, key, cert, mac string
			given                string
			want                 error
		}{
			{"one for all", "herald", "herald", "herald", "herald", nil},
			{"key", "other", "herald", "herald", "herald", ErrKeyPassword},
			{"certificate", "herald", "other", "herald", "herald", ErrKeyPassword},
			{"both", "other", "other", "herald", "herald", ErrKeyPassword},
			{"each its own", "one", "two", "herald", "herald", ErrKeyPassword},
			{"that of the key is given", "other", "herald", "herald", "other", ErrPassword},
			{"empty for the file", "other", "other", "", "", ErrKeyPassword},
			{"empty for the key", "", "herald", "herald", "herald", ErrKeyPassword},
			{"umlaut", "pässwörd", "herald", "herald", "herald", ErrKeyPassword},
		} {
			t.Run(name+"/"+tt.name, func(t *testing.T) {
				data := sealSafes(t, tt.mac, sealedParts(t, tt.key, tt.cert, alg)...)
				p, err := ParsePKCS12(data, tt.given)
				if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
					t.Fatalf("got %v, want %v", err, tt.want)
				}
				if tt.want == nil && len(p.Identities()) != 1 {
					t.Errorf("got %v, want an identity", p)
				}
				if errors.Is(tt.want, ErrKeyPassword) && errors.Is(err, ErrPassword) {
					t.Errorf("got %v, which blames the password of the file", err)
				}
			})
		}
	}
}

// Without a MAC nothing tells the two apart: the password is wrong.
func TestParsePKCS12OtherKeyPasswordWithoutMAC(t *testing.T) {
	data := fileOf(t, must(asn1.Marshal(sealedParts(t, "other", "herald", quickAlgorithms()["AES-256"]))), nil)
	if _, err := ParsePKCS12(data, "herald"); !errors.Is(err, ErrPassword) {
		t.Errorf("got %v, want ErrPassword", err)
	}
}

func TestInspectOtherKeyPassword(t *testing.T) {
	data := sealSafes(t, "herald", sealedParts(t, "other", "herald", quickAlgorithms()["AES-256"])...)
	asked := 0
	r, err := Inspect("java.p12", data, InspectOptions{Password: func(string) (string, error) { asked++; return "herald", nil }})
	p, ok := errors.AsType[Problem](err)
	if !ok || p.Code != CodePassword || !strings.Contains(p.Message, "opens with this password") || !strings.Contains(p.Hint, "one password for all") {
		t.Errorf("got %v, want that a part has another password", err)
	}
	if asked != 1 || len(r.Objects) != 0 {
		t.Errorf("asked %d times, got %d objects", asked, len(r.Objects))
	}
}
