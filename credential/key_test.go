package credential

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/heraldpush/herald/apns"
)

// appleP8 repeats the curve inside the key, as Apple's files do. The key was
// made for this test.
const appleP8 = "308193020100301306072A8648CE3D020106082A8648CE3D030107047930770201010420" +
	"%KEY%A00A06082A8648CE3D030107A14403420004%PUB%"

func TestP8RoundTrip(t *testing.T) {
	key, err := NewProviderKey()
	if err != nil {
		t.Fatal(err)
	}
	text, err := MarshalP8(key)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) != 241 || !bytes.HasPrefix(text, []byte("-----BEGIN PRIVATE KEY-----\nMIGHAgEA")) {
		t.Errorf("got %d bytes, want 241 that begin with MIGHAgEA", len(text))
	}
	block, _ := pem.Decode(text)
	sec1, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	curve := pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: unhex(t, "06082A8648CE3D030107")})
	for name, data := range map[string][]byte{
		"as written":     text,
		"CRLF":           bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")),
		"no last line":   bytes.TrimRight(text, "\n"),
		"EC label":       pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: block.Bytes}),
		"SEC 1":          pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1}),
		"ecparam":        append(curve, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1})...),
		"curve repeated": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: curveRepeated(t, key)}),
		"one body line":  oneBodyLine(block),
	} {
		got, err := ParseP8(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !got.Equal(key) {
			t.Errorf("%s: another key", name)
		}
	}
}

func curveRepeated(t *testing.T, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	d, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	pub, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	der := unhex(t, strings.NewReplacer("%KEY%", strings.Repeat("00", 32), "%PUB%", strings.Repeat("00", 64)).Replace(appleP8))
	if len(der) != 150 {
		t.Fatalf("got %d bytes, want 150", len(der))
	}
	copy(der[36:], d)
	copy(der[len(der)-64:], pub[1:])
	return der
}

func oneBodyLine(b *pem.Block) []byte {
	return []byte("-----BEGIN PRIVATE KEY-----\n" + base64.StdEncoding.EncodeToString(b.Bytes) + "\n-----END PRIVATE KEY-----\n")
}

func TestParseP8Refused(t *testing.T) {
	pkcs8 := func(key any) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := NewProviderKey()
	if err != nil {
		t.Fatal(err)
	}
	text, err := MarshalP8(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := MarshalCertificatePEM(handmade(t, name{{oidCommonName, asn1.TagUTF8String, "x"}}))
	pub, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	dek := &pem.Block{
		Type:    "EC PRIVATE KEY",
		Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"},
		Bytes:   []byte("sealed"),
	}
	body := strings.Split(string(text), "\n")[1]
	tests := []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "empty"},
		{"huge", bytes.Repeat([]byte("a"), maxInputBytes+1), "at most"},
		{"no header", []byte(body), "not a .p8 file: no PEM block"},
		{"RSA", pkcs8(rsaKey()), "an RSA private key"},
		{"RSA, traditional", pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaKey())}), "an RSA private key"},
		{"Ed25519", pkcs8(ed), "of another kind"},
		{"P-384", pkcs8(newECKey(t, elliptic.P384())), "curve P-384"},
		{"encrypted", pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("sealed")}), "is encrypted"},
		{"encrypted, traditional", pem.EncodeToMemory(dek), "is encrypted"},
		{"certificate", cert, "this is a certificate"},
		{"certificate labelled as key", bytes.ReplaceAll(cert, []byte("CERTIFICATE"), []byte("PRIVATE KEY")), "but a certificate"},
		{"request", MarshalRequestPEM(newRequest(t, key)), "this is a certificate request"},
		{"public key", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pub}), "this is a public key"},
		{"other label", pem.EncodeToMemory(&pem.Block{Type: "X509 CRL"}), `labelled "X509 CRL"`},
		{"two keys", append(bytes.Clone(text), text...), "2 PEM blocks"},
		{"damaged", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("nonsense")}), "is damaged"},
		{"cut", text[:200], "damaged"},
		{"DER", curveRepeated(t, key), "not a .p8 file: no PEM block: this is a private key in binary form"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseP8(tt.data)
			wantError(t, err, tt.want)
			wantNoSecret(t, err, body, body[:16])
		})
	}
	if _, err := MarshalP8(nil); err == nil {
		t.Error("MarshalP8(nil): accepted")
	}
	if _, err := MarshalP8(newECKey(t, elliptic.P384())); err == nil {
		t.Error("MarshalP8(P-384): accepted")
	}
}

func TestIDs(t *testing.T) {
	seen := make(map[string]bool)
	for range 100 {
		key, team := NewKeyID(), NewTeamID()
		if err := checkKeyID(key); err != nil {
			t.Error(err)
		}
		if err := checkTeamID(team); err != nil {
			t.Error(err)
		}
		seen[string(key)], seen[string(team)] = true, true
	}
	if len(seen) != 200 {
		t.Errorf("got %d different IDs of 200", len(seen))
	}
	for _, bad := range []apns.KeyID{"", "2X9R4HXF3", "2X9R4HXF345", "2x9r4hxf34", "2X9R4HXF3-", "AuthKey_2X9R4HXF34.p8"} {
		if checkKeyID(bad) == nil {
			t.Errorf("key ID %q: accepted", bad)
		}
	}
	if got, want := P8FileName("2X9R4HXF34"), "AuthKey_2X9R4HXF34.p8"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func FuzzParseP8(f *testing.F) {
	f.Add(readTestdata(f, "files/AuthKey_2X9R4HXF34.p8"))
	f.Add(readTestdata(f, "files/AuthKey_7QK2M4ZT6B.p8"))
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := ParseP8(data)
		if err != nil {
			return
		}
		again, err := MarshalP8(key)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ParseP8(again); err != nil || !got.Equal(key) {
			t.Fatalf("written and read again: %v", err)
		}
	})
}
