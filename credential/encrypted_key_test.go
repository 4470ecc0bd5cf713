package credential

import (
	"bytes"
	"crypto/elliptic"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// lockedKeys are the files of testdata/keys that open, all with the password
// "herald" but the one with the empty password.
func lockedKeys(tb testing.TB) []string {
	tb.Helper()
	files, err := filepath.Glob("testdata/keys/*.pem")
	if err != nil || len(files) < 20 {
		tb.Fatalf("testdata/keys: %d files, %v", len(files), err)
	}
	return files
}

func TestParsePrivateKeyPEM(t *testing.T) {
	for _, file := range lockedKeys(t) {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			password := "herald"
			if name == "empty-password.pem" {
				password = ""
			}
			key, err := ParsePrivateKeyPEM(data, func() (string, error) { return password, nil })
			if unsupported := new(UnsupportedError); name == "pbes2-camellia.pem" || name == "traditional-camellia128.pem" {
				if !errors.As(err, &unsupported) {
					t.Errorf("got %v, want that the algorithm is not supported", err)
				}
				return
			}
			if err != nil || key == nil {
				t.Fatalf("did not open: %v", err)
			}
			owner := "push"
			if strings.Contains(name, "-ec") {
				owner = "second"
			}
			if !samePublicKey(key.Public(), testCertificate(t, owner).PublicKey) {
				t.Errorf("another key than that of %s.cer", owner)
			}
			if _, err := ParsePrivateKeyPEM(data, func() (string, error) { return "not it", nil }); !errors.Is(err, ErrPassword) {
				t.Errorf("another password: got %v, want ErrPassword", err)
			}
			if _, err := ParsePrivateKeyPEM(data, nil); !errors.Is(err, ErrNoPassword) {
				t.Errorf("nobody to ask: got %v, want ErrNoPassword", err)
			}
		})
	}
}

// A ck.pem may have its key locked. Nobody is asked twice, or in vain.
func TestOpenIdentityPEM(t *testing.T) {
	cert := MarshalCertificatePEM(testCertificate(t, "push"))
	other := MarshalCertificatePEM(testCertificate(t, "second"))
	broken := errors.New("the terminal is gone")
	key := func(name string) []byte { return readTestdata(t, "keys/"+name+".pem") }
	for _, tt := range []struct {
		name     string
		text     []byte
		password string
		asking   error // what the question ends with
		asked    int
		want     error // errors.As is not needed for those
	}{
		{"certificate first", append(bytes.Clone(cert), key("pbes2-aes256")...), "herald", nil, 1, nil},
		{"key first", append(key("pbes2-scrypt"), cert...), "herald", nil, 1, nil},
		{"traditional", append(bytes.Clone(cert), key("traditional-des3")...), "herald", nil, 1, nil},
		{"CRLF", bytes.ReplaceAll(append(bytes.Clone(cert), key("traditional-aes256")...), []byte("\n"), []byte("\r\n")), "herald", nil, 1, nil},
		{"wrong password", append(bytes.Clone(cert), key("pbes2-aes256")...), "Herald", nil, 1, ErrPassword},
		{"wrong password, traditional", append(bytes.Clone(cert), key("traditional-aes128")...), "Herald", nil, 1, ErrPassword},
		{"no answer", append(bytes.Clone(cert), key("pbes2-aes256")...), "", broken, 1, broken},
		{"another key", append(bytes.Clone(other), key("pbes2-aes256")...), "herald", nil, 1, ErrKeyMismatch},
		{"no certificate", key("pbes2-aes256"), "herald", nil, 0, ErrNoCertificate},
		{"no key", cert, "herald", nil, 0, ErrNoKey},
	} {
		t.Run(tt.name, func(t *testing.T) {
			asked := 0
			id, err := OpenIdentityPEM(tt.text, func() (string, error) {
				asked++
				return tt.password, tt.asking
			})
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if asked != tt.asked {
				t.Errorf("asked %d times, want %d", asked, tt.asked)
			}
			if err == nil && !id.Certificate.Equal(testCertificate(t, "push")) {
				t.Error("another certificate")
			}
			if tt.want == nil {
				if _, err := ParseIdentityPEM(tt.text); !errors.Is(err, ErrNoPassword) {
					t.Errorf("nobody to ask: got %v, want ErrNoPassword", err)
				}
			}
		})
	}
	asked := false
	_, err := OpenIdentityPEM(append(bytes.Clone(cert), key("pbes2-camellia")...), func() (string, error) {
		asked = true
		return "herald", nil
	})
	wantError(t, err, "Camellia-128")
	if asked {
		t.Error("asked for the password of what can not be opened")
	}
}

func TestParsePrivateKeyPEMRefused(t *testing.T) {
	block := func(label string, v any, headers map[string]string) []byte {
		der, ok := v.([]byte)
		if !ok {
			der = must(asn1.Marshal(v))
		}
		return pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der, Headers: headers})
	}
	info := func(s string) map[string]string { return map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": s} }
	plainKey := must(MarshalP8(newECKey(t, elliptic.P256())))
	salt := make([]byte, 8)
	for _, tt := range []struct {
		name string
		text []byte
		want string
	}{
		{"nothing", nil, "empty"},
		{"certificate", readTestdata(t, "pkcs12/push.cer"), "no PEM block"},
		{"certificate, PEM", MarshalCertificatePEM(testCertificate(t, "push")), "this is a certificate: a certificate without a private key"},
		{"request", MarshalRequestPEM(newRequest(t, rsaKey())), "is a certificate request; want a private key"},
		{"two keys", append(bytes.Clone(plainKey), plainKey...), "more than one private key"},
		{"damaged", block("ENCRYPTED PRIVATE KEY", []byte("sealed"), nil), "the encrypted private key is damaged"},
		{"unknown", block("ENCRYPTED PRIVATE KEY", encryptedKeyInfo{algorithm(oidData, 0), salt}, nil), "the encryption 1.2.840.113549.1.7.1 is not supported"},
		{"half a block", block("ENCRYPTED PRIVATE KEY", encryptedKeyInfo{algorithm(oidTripleDES3, pbeParameters{salt, 1}), salt[:7]}, nil), "damaged"},
		{"rounds", block("ENCRYPTED PRIVATE KEY", encryptedKeyInfo{algorithm(under(oidPKCS5, 3), pbeParameters{salt, maxRounds + 1}), salt}, nil), "10000001 rounds"},
		{"salt", block("ENCRYPTED PRIVATE KEY", encryptedKeyInfo{algorithm(under(oidPKCS5, 3), pbeParameters{make([]byte, 2000), 1}), salt}, nil), "2000 bytes of salt"},
		{"cipher of PEM", block("RSA PRIVATE KEY", salt, info("IDEA-CBC,0011223344556677")), `the encryption "IDEA-CBC" is not supported`},
		{"no vector", block("RSA PRIVATE KEY", salt, info("DES-CBC")), "no vector of 8 bytes"},
		{"short vector", block("RSA PRIVATE KEY", salt, info("AES-128-CBC,0011223344556677")), "no vector of 16 bytes"},
		{"vector of letters", block("RSA PRIVATE KEY", salt, info("DES-CBC,no hex at all")), "no vector of 8 bytes"},
		{"half a block, PEM", block("RSA PRIVATE KEY", salt[:7], info("DES-CBC,0011223344556677")), "damaged"},
		{"DSA", block("PRIVATE KEY", privateKeyInfo{0, algorithm(asn1.ObjectIdentifier{1, 2, 840, 10040, 4, 1}, 0), salt}, nil), "the kind of private key DSA (1.2.840.10040.4.1) is not supported"},
		{"X25519", block("PRIVATE KEY", privateKeyInfo{0, algorithm(asn1.ObjectIdentifier{1, 3, 101, 110}, 0), salt}, nil), "X25519"},
		{"curve", block("PRIVATE KEY", privateKeyInfo{0, algorithm(oidECKey, asn1.ObjectIdentifier{1, 3, 132, 0, 10}), salt}, nil), "the curve secp256k1 (1.3.132.0.10) is not supported"},
		{"damaged key", block("PRIVATE KEY", privateKeyInfo{0, algorithm(oidRSAKey, 0), salt}, nil), "the private key is damaged"},
		{"long key", block("PRIVATE KEY", make([]byte, maxKeyBytes+1), nil), "bytes of private key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParsePrivateKeyPEM(tt.text, func() (string, error) { return "herald", nil })
			wantError(t, err, tt.want)
			if errors.Is(err, ErrPassword) {
				t.Error("the password is blamed")
			}
		})
	}
	// A password is bounded in both ways of locking.
	for _, name := range []string{"pbes2-aes256", "traditional-aes256"} {
		_, err := ParsePrivateKeyPEM(readTestdata(t, "keys/"+name+".pem"), func() (string, error) {
			return strings.Repeat("x", maxPasswordBytes+1), nil
		})
		wantError(t, err, "1025 bytes of password")
	}
}

// No wrong password gives anything but ErrPassword, though once in 256 times
// the padding agrees.
func TestParsePrivateKeyPEMWrongPasswords(t *testing.T) {
	for _, name := range []string{"traditional-des3", "traditional-ec-aes256"} {
		data := readTestdata(t, "keys/"+name+".pem")
		for i := range 900 {
			_, err := ParsePrivateKeyPEM(data, func() (string, error) { return strings.Repeat("x", i%30) + string(rune('a'+i/30)), nil })
			if !errors.Is(err, ErrPassword) {
				t.Fatalf("%s, %d: got %v, want ErrPassword", name, i, err)
			}
		}
	}
}

func FuzzParsePrivateKeyPEM(f *testing.F) {
	f.Add(readTestdata(f, "keys/traditional-ec-aes256.pem"))
	for _, data := range quickKeys(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if costly(data) {
			return
		}
		key, err := ParsePrivateKeyPEM(data, func() (string, error) { return "herald", nil })
		if (key == nil) != (err != nil) {
			t.Errorf("got %v and %v", key, err)
		}
		if errors.As(err, new(*UnsupportedError)) && errors.Is(err, ErrPassword) {
			t.Errorf("got %v, which blames the password for what can not be read", err)
		}
	})
}
