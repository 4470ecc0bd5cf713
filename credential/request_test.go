package credential

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var keychainSubject = RequestSubject{Email: "dev@example.com", CommonName: "Push Example", Country: "US"}

func newRequest(tb testing.TB, key crypto.Signer) []byte {
	tb.Helper()
	der, err := NewRequest(key, keychainSubject)
	if err != nil {
		tb.Fatal(err)
	}
	return der
}

// TestNewRequestLayout compares the request, up to the key and after it, with
// the octets that Keychain's Certificate Assistant writes.
func TestNewRequestLayout(t *testing.T) {
	der := newRequest(t, rsaKey())
	var outer struct {
		Info struct {
			Raw     asn1.RawContent
			Version int
			Subject asn1.RawValue
			Key     asn1.RawValue
			Rest    asn1.RawValue
		}
		Algorithm asn1.RawValue
		Signature asn1.BitString
	}
	if rest, err := asn1.Unmarshal(der, &outer); err != nil || len(rest) > 0 {
		t.Fatal(err)
	}
	wantSubject := unhex(t, "3045"+
		"311E 301C 06092A864886F70D010901 160F 646576406578616D706C652E636F6D"+
		"3115 3013 0603550403 0C0C 50757368204578616D706C65"+
		"310B 3009 0603550406 1302 5553")
	wantSubject[1] = byte(len(wantSubject) - 2)
	if got := outer.Info.Subject.FullBytes; !bytes.Equal(got, wantSubject) {
		t.Errorf("subject: got %X, want %X", got, wantSubject)
	}
	if outer.Info.Version != 0 {
		t.Errorf("version: got %d, want 0", outer.Info.Version)
	}
	if got, want := outer.Info.Rest.FullBytes, []byte{0xa0, 0x00}; !bytes.Equal(got, want) {
		t.Errorf("attributes: got %X, want %X", got, want)
	}
	if got, want := outer.Algorithm.FullBytes, unhex(t, "300D 06092A864886F70D01010B 0500"); !bytes.Equal(got, want) {
		t.Errorf("signature algorithm: got %X, want %X", got, want)
	}
	text := MarshalRequestPEM(der)
	if !bytes.HasPrefix(text, []byte("-----BEGIN CERTIFICATE REQUEST-----\n")) || text[len(text)-1] != '\n' {
		t.Errorf("got PEM %q", text)
	}
	if line := strings.Split(string(text), "\n")[1]; len(line) != 64 {
		t.Errorf("lines of %d columns, want 64", len(line))
	}
}

func TestNewRequestSubject(t *testing.T) {
	key := newECKey(t, elliptic.P256())
	der, err := NewRequest(key, RequestSubject{CommonName: "Änderung"})
	if err != nil {
		t.Fatal(err)
	}
	req, err := ParseRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	want := []subjectLine{{"2.5.4.3", asn1.TagUTF8String, "Änderung"}}
	if diff := cmp.Diff(want, walkSubject(t, req.RawSubject)); diff != "" {
		t.Errorf("subject (-want +got):\n%s", diff)
	}
	for name, s := range map[string]RequestSubject{
		"empty":             {},
		"long name":         {CommonName: strings.Repeat("n", 65)},
		"email not ASCII":   {CommonName: "a", Email: "ä@example.com"},
		"long email":        {CommonName: "a", Email: strings.Repeat("e", 256)},
		"country":           {CommonName: "a", Country: "USA"},
		"control character": {CommonName: "a\x00"},
		"not UTF-8":         {CommonName: "\xff"},
	} {
		if _, err := NewRequest(key, s); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := NewRequest(nil, keychainSubject); err == nil {
		t.Error("no key: accepted")
	}
}

func TestParseRequest(t *testing.T) {
	for name, key := range map[string]crypto.Signer{
		"RSA 2048": rsaKey(),
		"P-256":    newECKey(t, elliptic.P256()),
		"P-384":    newECKey(t, elliptic.P384()),
		"opaque":   opaqueSigner{newECKey(t, elliptic.P256())},
	} {
		t.Run(name, func(t *testing.T) {
			der := newRequest(t, key)
			text := MarshalRequestPEM(der)
			for form, data := range map[string][]byte{
				"DER":       der,
				"PEM":       text,
				"CRLF":      bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")),
				"old label": bytes.ReplaceAll(text, []byte("CERTIFICATE REQUEST"), []byte("NEW CERTIFICATE REQUEST")),
				"comment":   append([]byte("Requested by Example\n"), text...),
			} {
				req, err := ParseRequest(data)
				if err != nil {
					t.Errorf("%s: %v", form, err)
					continue
				}
				if !samePublicKey(req.PublicKey, key.Public()) {
					t.Errorf("%s: another key", form)
				}
			}
		})
	}
}

// rawRequest makes a request for keys that NewRequest refuses.
func rawRequest(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// exponentThree is a key of an RSA with e = 3, of which only the public half
// is right: the check of the key comes before that of the signature.
type exponentThree struct{ *rsa.PrivateKey }

func (k exponentThree) Public() crypto.PublicKey {
	return &rsa.PublicKey{N: new(big.Int).Set(k.N), E: 3}
}

func TestWeakKeys(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		key  crypto.Signer
		want []string // what was found, and what to do
	}{
		{"RSA 1024", weakRSAKey(), []string{"RSA with 1024 bits", "2048"}},
		{"P-224", newECKey(t, elliptic.P224()), []string{"P-224", "P-256"}},
		{"P-521", newECKey(t, elliptic.P521()), []string{"P-521", "P-256"}},
		{"Ed25519", ed, []string{"Ed25519", "2048"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseRequest(rawRequest(t, tt.key))
			if !errors.Is(err, ErrWeakKey) {
				t.Fatalf("got error %v, want ErrWeakKey", err)
			}
			for _, w := range tt.want {
				wantError(t, err, w)
			}
			if _, err := NewRequest(tt.key, keychainSubject); !errors.Is(err, ErrWeakKey) {
				t.Errorf("NewRequest: got error %v, want ErrWeakKey", err)
			}
		})
	}
	wantError(t, checkPublicKey(exponentThree{rsaKey()}.Public()), "exponent 3")
	wantError(t, checkPublicKey(&rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 9000), E: 65537}), "9001 bits")
	for _, empty := range []crypto.PublicKey{nil, &rsa.PublicKey{}, &ecdsa.PublicKey{}, (*ecdsa.PublicKey)(nil), "key"} {
		if err := checkPublicKey(empty); !errors.Is(err, ErrWeakKey) {
			t.Errorf("%T: got error %v, want ErrWeakKey", empty, err)
		}
	}
}

func TestParseRequestRefused(t *testing.T) {
	key := newECKey(t, elliptic.P256())
	der := newRequest(t, key)
	text := MarshalRequestPEM(der)
	forged := bytes.Clone(der)
	forged[len(forged)-1] ^= 1
	renamed := bytes.Replace(der, []byte("Push Example"), []byte("Push Attempt"), 1)
	cert := handmade(t, name{{oidCommonName, asn1.TagUTF8String, "x"}})
	p8, err := MarshalP8(key)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(p8)
	tests := []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "empty"},
		{"huge", make([]byte, maxInputBytes+1), "at most"},
		{"words", []byte("hello"), "no PEM block"},
		{"signature", forged, "not signed by the key"},
		{"changed", renamed, "not signed by the key"},
		{"certificate", cert.Raw, "this is a certificate"},
		{"certificate as PEM", MarshalCertificatePEM(cert), "this is a certificate"},
		{"certificate with the wrong label", MarshalRequestPEM(cert.Raw), "this is a certificate"},
		{"private key", p8, "this is a private key"},
		{"private key as DER", block.Bytes, "this is a private key"},
		{"request and key", append(bytes.Clone(text), p8...), "keep the private key"},
		{"not UTF-16", append([]byte("\xff\xfe"), text...), "no PEM block"},
		{"cut", text[:len(text)/2], "damaged"},
		{"DER cut", der[:len(der)-1], "not PKCS#10"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseRequest(tt.data)
			wantError(t, err, tt.want)
		})
	}
	for i := range der {
		if _, err := ParseRequest(der[:i]); err == nil {
			t.Fatalf("the first %d of %d bytes were accepted", i, len(der))
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	text := readTestdata(f, "files/device.certSigningRequest") // small, and cheap to verify
	block, _ := pem.Decode(text)
	f.Add(block.Bytes)
	f.Add(text)
	f.Add([]byte(strings.ReplaceAll(string(text), "\n", `\n`)))
	f.Add(readTestdata(f, "files/aps.pem"))
	f.Fuzz(func(t *testing.T, data []byte) {
		req, err := ParseRequest(data)
		if err != nil {
			return
		}
		if err := checkPublicKey(req.PublicKey); err != nil {
			t.Fatal(err)
		}
	})
}
