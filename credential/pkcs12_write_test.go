package credential

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
	"software.sslmate.com/src/go-pkcs12"
)

var styles = []struct {
	style      PKCS12Style
	encryption []string // of certificates, then keys
	mac        string
}{
	{PKCS12Modern, []string{"AES-256"}, "HMAC-SHA-256"},
	{PKCS12Compat, []string{"3DES"}, "HMAC-SHA-1"},
	{PKCS12Legacy, []string{"RC2-40", "3DES"}, "HMAC-SHA-1"},
}

// sameFile compares what two files hold, without how they are locked.
func sameFile(t *testing.T, got, want *PKCS12) {
	t.Helper()
	diff := cmp.Diff(want, got,
		cmpopts.IgnoreFields(PKCS12{}, "Encryption", "Old", "MAC"), cmpopts.EquateEmpty(),
		cmp.Comparer(func(a, b crypto.Signer) bool { return samePublicKey(a.Public(), b.Public()) }),
		cmp.Comparer(func(a, b *x509.Certificate) bool { return a.Equal(b) }),
	)
	if diff != "" {
		t.Errorf("want -, got +\n%s", diff)
	}
}

// Whatever was read is written as it was, under a new password.
func TestPKCS12Marshal(t *testing.T) {
	id, second := newIdentity(t, rsaKey()), newIdentity(t, newECKey(t, elliptic.P256()))
	for name, file := range map[string]*PKCS12{
		"key only":         {Keys: []PKCS12Key{{Key: id.Key, FriendlyName: "Schlüssel 🔑"}}},
		"certificate only": {Certificates: []PKCS12Certificate{{Certificate: id.Certificate, FriendlyName: "a"}}},
		"two identities": {
			Keys: []PKCS12Key{{Key: second.Key, LocalKeyID: []byte{2}}, {Key: id.Key, FriendlyName: "first", LocalKeyID: []byte{1}}},
			Certificates: []PKCS12Certificate{
				{Certificate: id.Certificate, FriendlyName: "first", LocalKeyID: []byte{1}},
				{Certificate: second.Certificate, LocalKeyID: []byte{2}},
				{Certificate: id.Chain[0], FriendlyName: "issuer"},
			},
		},
	} {
		for _, tt := range styles {
			t.Run(name+" "+tt.style.String(), func(t *testing.T) {
				data, err := file.Marshal("pässwörd", tt.style)
				if err != nil {
					t.Fatal(err)
				}
				got, err := ParsePKCS12(data, "pässwörd")
				if err != nil {
					t.Fatal(err)
				}
				sameFile(t, got, file)
				encryption := tt.encryption
				switch {
				case len(file.Keys) == 0:
					encryption = encryption[:1]
				case len(file.Certificates) == 0:
					encryption = encryption[len(encryption)-1:]
				}
				if diff := cmp.Diff(encryption, got.Encryption); diff != "" || got.MAC != tt.mac || got.Old != (tt.style != PKCS12Modern) {
					t.Errorf("MAC %q, old %v, encryption:\n%s", got.MAC, got.Old, diff)
				}
				if _, err := ParsePKCS12(data, "password"); !errors.Is(err, ErrPassword) {
					t.Errorf("wrong password: got %v, want ErrPassword", err)
				}
				if again, err := file.Marshal("pässwörd", tt.style); err != nil || bytes.Equal(again, data) {
					t.Errorf("written twice with the same salts, or %v", err)
				}
			})
		}
	}
}

// All golden files survive being locked anew.
func TestPKCS12MarshalGolden(t *testing.T) {
	for _, tt := range goldenPKCS12 {
		p, err := ParsePKCS12(readTestdata(t, "pkcs12/"+tt.file+".p12"), goldenPassword(tt.password))
		if err != nil {
			t.Fatal(err)
		}
		data, err := p.Marshal("another", PKCS12Modern)
		if err != nil {
			t.Fatalf("%s: %v", tt.file, err)
		}
		got, err := ParsePKCS12(data, "another")
		if err != nil {
			t.Fatalf("%s: %v", tt.file, err)
		}
		if got.Old || got.MAC == "" {
			t.Errorf("%s: old %v, MAC %q", tt.file, got.Old, got.MAC)
		}
		if tt.file == "identity-aes256" {
			sameFile(t, got, p)
		}
	}
}

func TestIdentityPKCS12Legacy(t *testing.T) {
	id := newIdentity(t, rsaKey())
	data, err := id.MarshalPKCS12("herald", PKCS12Legacy)
	if err != nil {
		t.Fatal(err)
	}
	key, cert, chain, err := pkcs12.DecodeChain(data, "herald")
	if err != nil {
		t.Fatal(err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		t.Fatalf("got a key of type %T", key)
	}
	sameIdentity(t, Identity{Certificate: cert, Chain: chain, Key: signer}, id)
	p, err := ParsePKCS12(data, "herald")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(p.Keys[0].LocalKeyID, p.Certificates[0].LocalKeyID) || len(p.Keys[0].LocalKeyID) != 20 || p.Certificates[1].LocalKeyID != nil {
		t.Errorf("the IDs do not tie the key to its certificate alone: %x, %x, %x",
			p.Keys[0].LocalKeyID, p.Certificates[0].LocalKeyID, p.Certificates[1].LocalKeyID)
	}
}

func TestPKCS12MarshalRefused(t *testing.T) {
	key := newECKey(t, elliptic.P256())
	many := &PKCS12{Keys: make([]PKCS12Key, maxBags+1)}
	for _, tt := range []struct {
		name     string
		file     *PKCS12
		password string
		style    PKCS12Style
		want     string
	}{
		{"nothing", &PKCS12{}, "secret", PKCS12Modern, "neither"},
		{"no key", &PKCS12{Keys: []PKCS12Key{{}}}, "secret", PKCS12Modern, "no private key"},
		{"no certificate", &PKCS12{Certificates: []PKCS12Certificate{{}}}, "secret", PKCS12Modern, "no certificate"},
		{"hardware", &PKCS12{Keys: []PKCS12Key{{Key: opaqueSigner{key}}}}, "secret", PKCS12Modern, "not in memory"},
		{"no password", &PKCS12{Keys: []PKCS12Key{{Key: key}}}, "", PKCS12Modern, "no password"},
		{"long password", &PKCS12{Keys: []PKCS12Key{{Key: key}}}, strings.Repeat("secret", 200), PKCS12Modern, "1200 bytes of password"},
		{"no style", &PKCS12{Keys: []PKCS12Key{{Key: key}}}, "secret", 9, "PKCS12Style(9)"},
		{"many", many, "secret", PKCS12Modern, "257 keys and certificates"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tt.file.Marshal(tt.password, tt.style)
			wantError(t, err, tt.want)
			wantNoSecret(t, err, "secret")
		})
	}
}

// Keys and certificates are paired by their public keys in whatever order they
// come, and nothing else of the file has a say in it.
func TestPKCS12Identities(t *testing.T) {
	first, second := newIdentity(t, rsaKey()), newIdentity(t, newECKey(t, elliptic.P256()))
	renewed := newIdentity(t, second.Key) // another certificate for the same key, of another issuer of the same name
	certs := []*x509.Certificate{first.Certificate, first.Chain[0], second.Certificate, second.Chain[0], renewed.Certificate, renewed.Chain[0]}
	rapid.Check(t, func(t *rapid.T) {
		file := &PKCS12{Keys: []PKCS12Key{{Key: second.Key, LocalKeyID: []byte{1}}, {Key: first.Key, LocalKeyID: []byte{2}}}}
		for _, c := range rapid.Permutation(certs).Draw(t, "certificates") {
			file.Certificates = append(file.Certificates, PKCS12Certificate{Certificate: c, LocalKeyID: []byte{1}})
		}
		all := file.Identities()
		if len(all) != 3 {
			t.Fatalf("got %d identities, want 3", len(all))
		}
		for _, id := range all {
			if err := id.check(); err != nil {
				t.Error(err)
			}
			if len(id.Chain) != 1 {
				t.Fatalf("%v: chain of %d", id, len(id.Chain))
			}
			if err := id.Certificate.CheckSignatureFrom(id.Chain[0]); err != nil {
				t.Errorf("%v: not its issuer: %v", id, err)
			}
		}
		if _, err := file.Identity(); !errors.Is(err, ErrManyIdentities) {
			t.Errorf("got %v, want ErrManyIdentities", err)
		}
	})
}

func TestPKCS12Identity(t *testing.T) {
	id := newIdentity(t, rsaKey())
	keys := []PKCS12Key{{Key: id.Key}}
	strangers := []PKCS12Key{{Key: newECKey(t, elliptic.P256())}}
	certs := []PKCS12Certificate{{Certificate: id.Certificate}}
	for _, tt := range []struct {
		name string
		file PKCS12
		want error
	}{
		{"identity", PKCS12{Keys: keys, Certificates: certs}, nil},
		{"twice the same", PKCS12{Keys: append(keys, keys...), Certificates: append(certs, certs...)}, nil},
		{"stranger beside it", PKCS12{Keys: append(strangers, keys...), Certificates: certs}, nil},
		{"no key", PKCS12{Certificates: certs}, ErrNoKey},
		{"no certificate", PKCS12{Keys: keys}, ErrNoCertificate},
		{"strangers", PKCS12{Keys: strangers, Certificates: certs}, ErrKeyMismatch},
	} {
		if _, err := tt.file.Identity(); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
	if _, err := new(PKCS12).Identity(); err == nil {
		t.Error("an empty file has an identity")
	}
}

func TestPKCS12Redacts(t *testing.T) {
	key := rsaKey()
	file := PKCS12{Keys: []PKCS12Key{{Key: key, FriendlyName: "push"}}}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("read", slog.Any("file", file), slog.Any("pointer", &file), slog.Any("key", file.Keys[0]))
	fmt.Fprintf(&log, "%v %+v %#v %v %+v %v %#v", file, file, file, &file, &file, file.Keys, file.Keys[0])
	if strings.Contains(log.String(), key.D.String()[:20]) {
		t.Error("the log holds the key")
	}
	if !strings.Contains(log.String(), "PKCS#12 (keys: 1, certificates: 0)") {
		t.Errorf("the log does not say what it is: %s", log.String())
	}
}

// OpenSSL reads what is written.
func TestPKCS12OpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("no openssl here")
	}
	id := newIdentity(t, rsaKey())
	keyOnly := &PKCS12{Keys: []PKCS12Key{{Key: id.Key, FriendlyName: "Push"}}}
	whole := &PKCS12{Keys: keyOnly.Keys, Certificates: []PKCS12Certificate{{Certificate: id.Certificate}, {Certificate: id.Chain[0]}}}
	for _, tt := range styles {
		for name, file := range map[string]*PKCS12{"key only": keyOnly, "identity": whole} {
			t.Run(name+" "+tt.style.String(), func(t *testing.T) {
				data, err := file.Marshal("pass word", tt.style)
				if err != nil {
					t.Fatal(err)
				}
				path := filepath.Join(t.TempDir(), "file.p12")
				if err := os.WriteFile(path, data, 0o600); err != nil {
					t.Fatal(err)
				}
				args := []string{"pkcs12", "-in", path, "-passin", "pass:pass word", "-noenc"}
				if tt.style == PKCS12Legacy {
					args = append(args, "-legacy")
				}
				var stderr bytes.Buffer
				cmd := exec.CommandContext(t.Context(), openssl, args...)
				cmd.Stderr = &stderr
				text, err := cmd.Output()
				if err != nil {
					if strings.Contains(stderr.String(), "legacy") {
						t.Skip("openssl without its legacy provider")
					}
					t.Fatalf("%v: %s", err, stderr.String())
				}
				if !bytes.Contains(text, []byte("friendlyName: Push")) {
					t.Error("the friendly name is lost")
				}
				if file == keyOnly {
					key, err := ParsePrivateKeyPEM(text, nil)
					if err != nil || !samePublicKey(key.Public(), id.Key.Public()) {
						t.Errorf("another key, or %v", err)
					}
					return
				}
				got, err := ParseIdentityPEM(text)
				if err != nil {
					t.Fatal(err)
				}
				sameIdentity(t, got, id)
			})
		}
	}
}
