package credential

import (
	"crypto/elliptic"
	"errors"
	"os"
	"path/filepath"
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
			if _, err := ParsePrivateKeyPEM(data, func() (string, error) { return "not it", nil }); !errors.Is(err, ErrPassword) {
				t.Errorf("another password: got %v, want ErrPassword", err)
			}
			if _, err := ParsePrivateKeyPEM(data, nil); !errors.Is(err, ErrNoPassword) {
				t.Errorf("nobody to ask: got %v, want ErrNoPassword", err)
			}
		})
	}
}

func TestPKCS12Marshal(t *testing.T) {
	key := newECKey(t, elliptic.P256())
	for _, style := range []PKCS12Style{PKCS12Modern, PKCS12Compat} {
		t.Run(style.String(), func(t *testing.T) {
			data, err := (&PKCS12{Keys: []PKCS12Key{{Key: key, FriendlyName: "push"}}}).Marshal("herald", style)
			if err != nil {
				t.Fatal(err)
			}
			got, err := ParsePKCS12(data, "herald")
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Keys) != 1 || got.Keys[0].FriendlyName != "push" || !samePublicKey(got.Keys[0].Key.Public(), key.Public()) || len(got.Certificates) != 0 {
				t.Errorf("got %v, want the key alone", got)
			}
			if got.Old != (style == PKCS12Compat) || got.MAC == "" {
				t.Errorf("old %v, MAC %q", got.Old, got.MAC)
			}
			if _, err := ParsePKCS12(data, "not it"); !errors.Is(err, ErrPassword) {
				t.Errorf("another password: got %v, want ErrPassword", err)
			}
		})
	}
}

func FuzzParsePKCS12(f *testing.F) {
	for _, name := range []string{"identity-aes256", "identity-no-mac", "empty-password-no-mac"} {
		f.Add(readTestdata(f, "pkcs12/"+name+".p12"))
	}
	f.Fuzz(func(_ *testing.T, data []byte) {
		if len(data) > 4<<10 {
			return
		}
		_, _ = parsePKCS12(data, "herald", &workLimit{max: 10_000}) // for speed
	})
}

func FuzzParsePrivateKeyPEM(f *testing.F) {
	for _, file := range lockedKeys(f)[:6] {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(_ *testing.T, data []byte) {
		_, _ = ParsePrivateKeyPEM(data, nil)
	})
}
