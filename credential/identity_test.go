package credential

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"software.sslmate.com/src/go-pkcs12"
)

func newIdentity(tb testing.TB, key crypto.Signer) Identity {
	tb.Helper()
	all := newAuthorities(tb, IntermediateProfile{PermittedDNS: []string{"localhost"}})
	cert, err := all.providers.IssuePush(PushProfile{
		Kind: PushUniversal, BundleID: "com.example.push", TeamID: "ABCDE12345", Organization: "Example",
	}, key.Public(), oneYear)
	if err != nil {
		tb.Fatal(err)
	}
	return Identity{Certificate: cert, Chain: []*x509.Certificate{all.providers.Certificate}, Key: key}
}

func pemTypes(text []byte) []string {
	var types []string
	for {
		var b *pem.Block
		if b, text = pem.Decode(text); b == nil {
			return types
		}
		types = append(types, b.Type)
	}
}

func TestIdentityPEM(t *testing.T) {
	for name, key := range map[string]crypto.Signer{"RSA": rsaKey(), "P-256": newECKey(t, elliptic.P256())} {
		t.Run(name, func(t *testing.T) {
			id := newIdentity(t, key)
			text, err := id.MarshalPEM()
			if err != nil {
				t.Fatal(err)
			}
			if got, want := fmt.Sprint(pemTypes(text)), "[CERTIFICATE PRIVATE KEY CERTIFICATE]"; got != want {
				t.Errorf("blocks: got %v, want %v", got, want)
			}
			if _, err := tls.X509KeyPair(text, text); err != nil {
				t.Errorf("crypto/tls: %v", err)
			}
			got, err := ParseIdentityPEM(text)
			if err != nil {
				t.Fatal(err)
			}
			sameIdentity(t, got, id)
			// The key was overwritten after it was read, and nothing else was.
			if again, err := got.MarshalPEM(); err != nil || !bytes.Equal(again, text) {
				t.Errorf("written again: differs, or %v", err)
			}
			c := got.TLS()
			if len(c.Certificate) != 2 || !bytes.Equal(c.Certificate[0], id.Certificate.Raw) || c.PrivateKey == nil || c.Leaf == nil {
				t.Error("TLS: not the whole identity")
			}
		})
	}
	if c := (Identity{}).TLS(); len(c.Certificate) != 0 {
		t.Error("TLS: the zero identity presents something")
	}
}

func sameIdentity(t *testing.T, got, want Identity) {
	t.Helper()
	if !got.Certificate.Equal(want.Certificate) || !samePublicKey(got.Key.Public(), want.Key.Public()) {
		t.Error("another certificate or key")
	}
	if len(got.Chain) != len(want.Chain) {
		t.Fatalf("chain of %d, want %d", len(got.Chain), len(want.Chain))
	}
	for i := range got.Chain {
		if !got.Chain[i].Equal(want.Chain[i]) {
			t.Errorf("another certificate at %d of the chain", i)
		}
	}
}

func TestParseIdentityPEMForms(t *testing.T) {
	key := rsaKey()
	id := newIdentity(t, key)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	block := func(label string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
	}
	cert, issuer := block("CERTIFICATE", id.Certificate.Raw), block("CERTIFICATE", id.Chain[0].Raw)
	for name, text := range map[string]string{
		"certificate first": cert + block("PRIVATE KEY", pkcs8) + issuer,
		"key first":         block("PRIVATE KEY", pkcs8) + cert + issuer,
		"issuer first":      issuer + cert + block("PRIVATE KEY", pkcs8),
		"traditional key":   cert + block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)) + issuer,
		"CRLF":              strings.ReplaceAll(cert+block("PRIVATE KEY", pkcs8)+issuer, "\n", "\r\n"),
		"bag attributes":    "Bag Attributes\n    friendlyName: a\n" + cert + "Key Attributes: <No Attributes>\n" + block("PRIVATE KEY", pkcs8) + issuer,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseIdentityPEM([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			sameIdentity(t, got, id)
		})
	}
}

func TestParseIdentityPEMRefused(t *testing.T) {
	key := newECKey(t, elliptic.P256())
	id := newIdentity(t, key)
	text, err := id.MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	p8, err := MarshalP8(key)
	if err != nil {
		t.Fatal(err)
	}
	otherKey, err := MarshalP8(newECKey(t, elliptic.P256()))
	if err != nil {
		t.Fatal(err)
	}
	cert := MarshalCertificatePEM(id.Certificate)
	body := strings.Split(string(p8), "\n")[1]
	tests := []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "empty"},
		{"words", []byte("hello"), "no PEM block"},
		{"no key", cert, "without a private key"},
		{"no certificate", p8, "without a certificate"},
		{"another key", append(bytes.Clone(cert), otherKey...), "not the one that the certificate was issued for"},
		{"two keys", append(bytes.Clone(text), otherKey...), "more than one private key"},
		{"request", append(bytes.Clone(p8), MarshalRequestPEM(newRequest(t, key))...), "is a certificate request"},
		{"encrypted key", append(bytes.Clone(cert), pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("sealed")})...), "encrypted"},
		{"cut", text[:len(text)-40], "damaged"},
		{"damaged certificate", append(bytes.Clone(p8), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})...), "block 2: labelled a certificate"},
		{"long chain", append(bytes.Clone(p8), bytes.Repeat(cert, maxChain+1)...), "more than 10 certificates"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseIdentityPEM(tt.data)
			wantError(t, err, tt.want)
			wantNoSecret(t, err, body, body[:16])
			if got, want := errors.Is(err, ErrKeyMismatch), tt.name == "another key"; got != want {
				t.Errorf("error is ErrKeyMismatch: got %v, want %v", got, want)
			}
		})
	}
}

func TestIdentityPKCS12(t *testing.T) {
	for name, key := range map[string]crypto.Signer{"RSA": rsaKey(), "P-256": newECKey(t, elliptic.P256())} {
		id := newIdentity(t, key)
		for _, tt := range []struct {
			style   PKCS12Style
			with    string // the algorithm of the encryption
			without string
		}{
			{PKCS12Modern, "06096086480165030401 2A", "060A2A864886F70D010C0103"}, // AES-256-CBC
			{PKCS12Compat, "060A2A864886F70D010C0103", "06096086480165030401 2A"}, // pbeWithSHAAnd3-KeyTripleDES-CBC
		} {
			t.Run(name+" "+tt.style.String(), func(t *testing.T) {
				der, err := id.MarshalPKCS12("pass wörd", tt.style)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Contains(der, unhex(t, tt.with)) || bytes.Contains(der, unhex(t, tt.without)) {
					t.Error("the wrong encryption")
				}
				gotKey, cert, chain, err := pkcs12.DecodeChain(der, "pass wörd")
				if err != nil {
					t.Fatal(err)
				}
				signer, ok := gotKey.(crypto.Signer)
				if !ok {
					t.Fatalf("got a key of type %T", gotKey)
				}
				sameIdentity(t, Identity{Certificate: cert, Chain: chain, Key: signer}, id)
				if _, _, _, err := pkcs12.DecodeChain(der, "password"); !errors.Is(err, pkcs12.ErrIncorrectPassword) {
					t.Errorf("wrong password: got %v", err)
				}
			})
		}
	}
}

func TestMarshalIdentityRefused(t *testing.T) {
	key := newECKey(t, elliptic.P256())
	id := newIdentity(t, key)
	opaque, stranger := id, id
	opaque.Key, stranger.Key = opaqueSigner{key}, newECKey(t, elliptic.P256())
	for _, tt := range []struct {
		name     string
		id       Identity
		password string
		style    PKCS12Style
		want     string
	}{
		{"nothing", Identity{}, "secret", PKCS12Modern, "no certificate"},
		{"no key", Identity{Certificate: id.Certificate}, "secret", PKCS12Modern, "no private key"},
		{"stranger", stranger, "secret", PKCS12Modern, "not the one"},
		{"hardware", opaque, "secret", PKCS12Modern, "not in memory"},
		{"no password", id, "", PKCS12Modern, "no password"},
		{"emoji", id, "secret🔑", PKCS12Modern, "U+FFFF"},
		{"not UTF-8", id, "secret\xff", PKCS12Modern, "not UTF-8"},
		{"no style", id, "secret", 0, "PKCS12Style(0)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tt.id.MarshalPKCS12(tt.password, tt.style)
			wantError(t, err, tt.want)
			wantNoSecret(t, err, "secret")
		})
	}
	for name, id := range map[string]Identity{"nothing": {}, "stranger": stranger, "hardware": opaque} {
		if _, err := id.MarshalPEM(); err == nil {
			t.Errorf("%s: written as PEM", name)
		}
	}
}

func TestIdentityRedacts(t *testing.T) {
	id := newIdentity(t, rsaKey())
	d := id.Key.(*rsa.PrivateKey).D.String() //nolint:errcheck // a panic is as good a failure
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("loaded", slog.Any("identity", id))
	fmt.Fprintf(&log, "%v %+v %#v %s", id, id, id, id)
	fmt.Fprintf(&log, "%v %+v", Identity{}, struct{ ID Identity }{id})
	if strings.Contains(log.String(), d[:20]) {
		t.Error("the log holds the key")
	}
	if !strings.Contains(log.String(), "Apple Push Services: com.example.push") {
		t.Errorf("the log does not name the identity: %s", log.String())
	}
}

func FuzzParseIdentityPEM(f *testing.F) {
	f.Add(readTestdata(f, "files/ck.pem"))
	f.Add(readTestdata(f, "files/mismatch.pem"))
	f.Add(readTestdata(f, "files/locked-ck.pem"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if costly(data) {
			return
		}
		id, err := OpenIdentityPEM(data, func() (string, error) { return "herald", nil })
		if err != nil {
			return
		}
		if err := id.check(); err != nil {
			t.Fatal(err)
		}
		text, err := id.MarshalPEM()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseIdentityPEM(text)
		if err != nil {
			t.Fatal(err)
		}
		sameIdentity(t, again, id)
	})
}

func TestStringTypes(t *testing.T) {
	for _, v := range []asn1.RawValue{
		{Tag: asn1.TagIA5String, Bytes: []byte("ä")},
		{Tag: asn1.TagT61String, Bytes: []byte("a")},
		{Tag: asn1.TagUTF8String, IsCompound: true},
		{Tag: asn1.TagUTF8String, Class: asn1.ClassContextSpecific},
	} {
		if s, err := stringOf(v); err == nil {
			t.Errorf("%+v: got %q", v, s)
		}
	}
	if _, err := parseName([]byte{0x30, 0, 0}); err == nil {
		t.Error("bytes after a name: accepted")
	}
}
