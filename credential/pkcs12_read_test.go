package credential

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"software.sslmate.com/src/go-pkcs12"
)

func readTestdata(tb testing.TB, name string) []byte {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", filepath.FromSlash(name)))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func testCertificate(tb testing.TB, name string) *x509.Certificate {
	tb.Helper()
	cert, err := x509.ParseCertificate(readTestdata(tb, "pkcs12/"+name+".cer"))
	if err != nil {
		tb.Fatal(err)
	}
	return cert
}

// summary is what a file is expected to hold.
type summary struct {
	Keys, Certificates []string // whose, in the order of the file
	Identities         []string // with their chains
	Encryption         string
	Old                bool
	MAC                string
}

// summarize names keys and certificates by the certificates in testdata.
func summarize(t *testing.T, p *PKCS12) (s summary) {
	t.Helper()
	names := []string{"root", "middle", "push", "second"}
	named := func(pub crypto.PublicKey) string {
		for _, n := range names {
			if samePublicKey(pub, testCertificate(t, n).PublicKey) {
				return n
			}
		}
		return "stranger"
	}
	for _, k := range p.Keys {
		s.Keys = append(s.Keys, named(k.Key.Public()))
	}
	for _, c := range p.Certificates {
		s.Certificates = append(s.Certificates, named(c.Certificate.PublicKey))
	}
	for _, id := range p.Identities() {
		if err := id.check(); err != nil {
			t.Error(err)
		}
		var name strings.Builder
		name.WriteString(named(id.Certificate.PublicKey))
		for _, c := range id.Chain {
			name.WriteString(" < " + named(c.PublicKey))
		}
		s.Identities = append(s.Identities, name.String())
	}
	s.Encryption, s.Old, s.MAC = strings.Join(p.Encryption, ", "), p.Old, p.MAC
	return s
}

var (
	justPush = []string{"push"}
	opened   = func(encryption string, old bool, mac string) summary {
		return summary{justPush, justPush, justPush, encryption, old, mac}
	}
)

// goldenPKCS12 are the files in testdata that are read. password is "herald"
// if it is not given.
var goldenPKCS12 = []struct {
	file     string
	password string
	want     summary
}{
	{"key-only-3des", "", summary{Keys: justPush, Encryption: "3DES", Old: true, MAC: "HMAC-SHA-1"}},
	{"key-only-aes256", "", summary{Keys: justPush, Encryption: "AES-256", MAC: "HMAC-SHA-256"}},
	{"identity-rc2-40", "", opened("RC2-40, 3DES", true, "HMAC-SHA-1")},
	{"identity-rc2-128", "", opened("RC2-128, 3DES", true, "HMAC-SHA-1")},
	{"identity-3des", "", opened("3DES", true, "HMAC-SHA-1")},
	{"identity-3des-2", "", opened("3DES with two keys", true, "HMAC-SHA-1")},
	{"identity-aes128", "", opened("AES-128", false, "HMAC-SHA-256")},
	{"identity-aes192", "", opened("AES-192", false, "HMAC-SHA-256")},
	{"identity-aes256", "", opened("AES-256", false, "HMAC-SHA-256")},
	{"identity-pbes2-3des", "", opened("3DES", true, "HMAC-SHA-256")},
	{"identity-mac-sha224", "", opened("AES-256", false, "HMAC-SHA-224")},
	{"identity-mac-sha384", "", opened("AES-256", false, "HMAC-SHA-384")},
	{"identity-mac-sha512", "", opened("AES-256", false, "HMAC-SHA-512")},
	{"identity-iterations", "", opened("AES-256", false, "HMAC-SHA-256")},
	{"identity-one-iteration", "", opened("AES-256", false, "HMAC-SHA-256")},
	{"identity-no-mac", "", opened("AES-256", false, "")},
	{"identity-plain", "", opened("", false, "HMAC-SHA-256")},
	{"identity-plain-no-mac", "", opened("", false, "")},
	{"chain", "", summary{justPush, []string{"push", "middle", "root"}, []string{"push < middle"}, "AES-256", false, "HMAC-SHA-256"}},
	{"certificates-only", "", summary{Certificates: []string{"push", "middle", "root"}, Encryption: "AES-256", MAC: "HMAC-SHA-256"}},
	{"empty-password", "-", opened("RC2-40, 3DES", true, "HMAC-SHA-1")},
	{"empty-password-aes256", "-", opened("AES-256", false, "HMAC-SHA-256")},
	{"empty-password-no-mac", "-", opened("3DES", true, "")},
	{"umlaut-password", "pässwörd", opened("RC2-40, 3DES", true, "HMAC-SHA-1")},
	{"emoji-password", "🔑 key", opened("RC2-40, 3DES", true, "HMAC-SHA-1")},
	{"two-java", "", summary{[]string{"push", "second"}, []string{"push", "second"}, []string{"push", "second"}, "AES-256", false, "HMAC-SHA-256"}},
	{"two-java-old", "", summary{[]string{"push", "second"}, []string{"push", "second"}, []string{"push", "second"}, "3DES, RC2-40", true, "HMAC-SHA-1"}},
	{"java-trust", "", summary{Certificates: []string{"root"}, Encryption: "AES-256", MAC: "HMAC-SHA-256"}},
	{"python-aes256", "", summary{justPush, []string{"push", "root", "middle"}, []string{"push < middle"}, "AES-256", false, "HMAC-SHA-256"}},
	{"python-3des", "", summary{justPush, []string{"push", "root", "middle"}, []string{"push < middle"}, "3DES", true, "HMAC-SHA-1"}},
}

// goldenPassword returns the password of a golden file.
func goldenPassword(p string) string {
	switch p {
	case "":
		return "herald"
	case "-":
		return ""
	}
	return p
}

func TestParsePKCS12(t *testing.T) {
	for _, tt := range goldenPKCS12 {
		t.Run(tt.file, func(t *testing.T) {
			data, password := readTestdata(t, "pkcs12/"+tt.file+".p12"), goldenPassword(tt.password)
			p, err := ParsePKCS12(data, password)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, summarize(t, p)); diff != "" {
				t.Errorf("want -, got +\n%s", diff)
			}
			// Only a file with neither encryption nor MAC opens with any password.
			_, err = ParsePKCS12(data, "Herald")
			if got, want := errors.Is(err, ErrPassword), tt.file != "identity-plain-no-mac"; got != want {
				t.Errorf("wrong password: got %v, want ErrPassword %v", err, want)
			}
			if der, err := toDER(data); err != nil || !bytes.Equal(der, data) {
				t.Errorf("DER changed as BER, or %v", err)
			}
		})
	}
}

func TestParsePKCS12Names(t *testing.T) {
	p, err := ParsePKCS12(readTestdata(t, "pkcs12/identity-rc2-40.p12"), "herald")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.Keys[0].FriendlyName, "Push för Änne"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if len(p.Keys[0].LocalKeyID) != 20 || !bytes.Equal(p.Keys[0].LocalKeyID, p.Certificates[0].LocalKeyID) {
		t.Errorf("got IDs %x and %x", p.Keys[0].LocalKeyID, p.Certificates[0].LocalKeyID)
	}
}

// What go-pkcs12 can read, it reads in the same way.
func TestParsePKCS12Differential(t *testing.T) {
	read := 0
	for _, tt := range goldenPKCS12 {
		data, password := readTestdata(t, "pkcs12/"+tt.file+".p12"), goldenPassword(tt.password)
		key, cert, rest, err := pkcs12.DecodeChain(data, password)
		if err != nil {
			t.Logf("%s: go-pkcs12: %v", tt.file, err)
			continue
		}
		read++
		p, err := ParsePKCS12(data, password)
		if err != nil {
			t.Errorf("%s: %v", tt.file, err)
			continue
		}
		signer, ok := key.(crypto.Signer)
		if !ok || !samePublicKey(signer.Public(), p.Keys[0].Key.Public()) {
			t.Errorf("%s: another key", tt.file)
		}
		for i, c := range append([]*x509.Certificate{cert}, rest...) {
			if !c.Equal(p.Certificates[i].Certificate) {
				t.Errorf("%s: another certificate at %d", tt.file, i)
			}
		}
	}
	if read < 15 {
		t.Errorf("only %d files were compared", read)
	}
}

func TestParsePKCS12Unsupported(t *testing.T) {
	for file, want := range map[string]string{
		"camellia": "the encryption Camellia-256 (1.2.392.200011.61.1.1.1.4) is not supported",
		"rc4":      "the encryption RC4-128 (1.2.840.113549.1.12.1.1) is not supported",
	} {
		data := readTestdata(t, "pkcs12/"+file+".p12")
		_, err := ParsePKCS12(data, "herald")
		wantError(t, err, want)
		if unsupported := new(UnsupportedError); !errors.As(err, &unsupported) || errors.Is(err, ErrPassword) {
			t.Errorf("%s: got %v, want an UnsupportedError", file, err)
		}
		if _, err := ParsePKCS12(data, "wrong"); !errors.Is(err, ErrPassword) {
			t.Errorf("%s, wrong password: got %v, want ErrPassword", file, err)
		}
	}
	// Whatever the file's algorithms are replaced by, the password is not blamed.
	data := readTestdata(t, "pkcs12/identity-rc2-40.p12")
	sha1MAC := unhex(t, "06052B0E03021A0500")
	other := bytes.Replace(data, sha1MAC, unhex(t, "06052B0E03021B0500"), 1)
	_, err := ParsePKCS12(other, "herald")
	wantError(t, err, "the MAC 1.3.14.3.2.27 is not supported")
}

func TestParsePKCS12OtherKinds(t *testing.T) {
	key := newECKey(t, elliptic.P256())
	p8, err := MarshalP8(key)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(p8)
	cer := readTestdata(t, "pkcs12/push.cer")
	locked := readTestdata(t, "keys/pbes2-aes256.pem")
	lockedBlock, _ := pem.Decode(locked)
	for _, tt := range []struct {
		name string
		data []byte
		want string
	}{
		{"certificate", cer, "this is a certificate, not a PKCS#12 file"},
		{"certificate, PEM", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cer}), "this is a certificate, not a PKCS#12 file"},
		{"request", newRequest(t, key), "this is a certificate request"},
		{"request, PEM", MarshalRequestPEM(newRequest(t, key)), "this is a certificate request"},
		{".p8", p8, "this is a private key"},
		{"key", block.Bytes, "this is a private key"},
		{"locked key", lockedBlock.Bytes, "this is an encrypted private key"},
		{"locked key, PEM", locked, "this is an encrypted private key"},
		{"PEM cut short", p8[:len(p8)/2], "this is damaged PEM text"},
		{"JKS", unhex(t, "feedfeed00000002"), "this is a Java keystore"},
		{"profile", unhex(t, "3010 0609 2A864886F70D010702 A003 020101"), "this is a signed message"},
		{"words", []byte("hello"), "not a PKCS#12 file"},
	} {
		_, err := ParsePKCS12(tt.data, "herald")
		wantError(t, err, tt.want)
		if foreign := new(NotPKCS12Error); !errors.As(err, &foreign) {
			t.Errorf("%s: got %v, want a NotPKCS12Error", tt.name, err)
		}
	}
	if _, err := ParsePKCS12(nil, ""); err == nil {
		t.Error("nothing: accepted")
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PKCS12", Bytes: readTestdata(t, "pkcs12/identity-aes256.p12")})
	if _, err := ParsePKCS12(text, "herald"); err != nil {
		t.Errorf("PKCS#12 as PEM: %v", err)
	}
}

// Each proper prefix is refused, and so is each file with a byte after it.
func TestParsePKCS12Prefixes(t *testing.T) {
	for _, name := range []string{"identity-plain-no-mac", "identity-rc2-40"} {
		data := readTestdata(t, "pkcs12/"+name+".p12")
		for n := range data {
			if _, err := ParsePKCS12(data[:n], "herald"); err == nil || errors.Is(err, ErrPassword) {
				t.Fatalf("%s: %d of %d bytes: got %v", name, n, len(data), err)
			}
		}
		if _, err := ParsePKCS12(append(data, 0), "herald"); err == nil {
			t.Errorf("%s: a byte after the end: accepted", name)
		}
	}
}

// A changed bit never gives another key or certificate where there is a MAC.
func TestParsePKCS12Changed(t *testing.T) {
	data := readTestdata(t, "pkcs12/identity-one-iteration.p12")
	for i := range data {
		changed := bytes.Clone(data)
		changed[i] ^= 0x01
		p, err := parsePKCS12(changed, "herald", &workLimit{max: 10_000})
		if err != nil {
			continue
		}
		if p.MAC != "" && (len(p.Identities()) != 1 || !p.Certificates[0].Certificate.Equal(testCertificate(t, "push"))) {
			t.Errorf("byte %d: another file is read", i)
		}
	}
}

func FuzzParsePKCS12(f *testing.F) {
	for _, data := range quickPKCS12(f) {
		f.Add(data)
		f.Add(toBER(f, data, false))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := parsePKCS12(data, "herald", &workLimit{max: fuzzRounds})
		if err != nil {
			return
		}
		for _, id := range p.Identities() {
			if err := id.check(); err != nil {
				t.Error(err)
			}
		}
	})
}
