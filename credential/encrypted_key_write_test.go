package credential

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func keysToWrite(t *testing.T) map[string]crypto.Signer {
	t.Helper()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]crypto.Signer{"RSA": rsaKey(), "ECDSA": ec}
}

func TestMarshalEncryptedPrivateKeyPEM(t *testing.T) {
	for name, key := range keysToWrite(t) {
		t.Run(name, func(t *testing.T) {
			const password = "pass wörd"
			text, err := MarshalEncryptedPrivateKeyPEM(key, password)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.HasPrefix(text, []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\n")) {
				t.Errorf("got %.40q", text)
			}
			got, err := ParsePrivateKeyPEM(text, func() (string, error) { return password, nil })
			if err != nil || !samePublicKey(got.Public(), key.Public()) {
				t.Errorf("another key, or %v", err)
			}
			if _, err := ParsePrivateKeyPEM(text, func() (string, error) { return "pass word", nil }); !errors.Is(err, ErrPassword) {
				t.Errorf("another password: got %v, want ErrPassword", err)
			}
			again, err := MarshalEncryptedPrivateKeyPEM(key, password)
			if err != nil || bytes.Equal(again, text) {
				t.Errorf("the same twice, or %v: salt and vector have to be fresh", err)
			}
		})
	}
}

func TestMarshalPrivateKeyPEM(t *testing.T) {
	for name, key := range keysToWrite(t) {
		t.Run(name, func(t *testing.T) {
			text, err := MarshalPrivateKeyPEM(key)
			if err != nil {
				t.Fatal(err)
			}
			got, err := ParsePrivateKeyPEM(text, nil)
			if err != nil || !samePublicKey(got.Public(), key.Public()) {
				t.Errorf("another key, or %v", err)
			}
		})
	}
}

// signerOnly is a key that is not in memory, as in hardware.
type signerOnly struct{ crypto.Signer }

func TestMarshalPrivateKeyPEMRefuses(t *testing.T) {
	key := rsaKey()
	if _, err := MarshalEncryptedPrivateKeyPEM(key, ""); err == nil || !strings.Contains(err.Error(), "no password") {
		t.Errorf("empty password: got %v", err)
	}
	var limit *LimitError
	if _, err := MarshalEncryptedPrivateKeyPEM(key, strings.Repeat("x", maxPasswordBytes+1)); !errors.As(err, &limit) {
		t.Errorf("long password: got %v, want a LimitError", err)
	}
	const want = "the private key can not be written"
	if _, err := MarshalEncryptedPrivateKeyPEM(signerOnly{key}, "pass word"); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("encrypted: got %v, want %q", err, want)
	}
	if _, err := MarshalPrivateKeyPEM(signerOnly{key}); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("not encrypted: got %v, want %q", err, want)
	}
}

// OpenSSL reads what is written.
func TestEncryptedPrivateKeyOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("no openssl here")
	}
	for name, key := range keysToWrite(t) {
		t.Run(name, func(t *testing.T) {
			text, err := MarshalEncryptedPrivateKeyPEM(key, "pass word")
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "key.pem")
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
			var stderr bytes.Buffer
			cmd := exec.CommandContext(t.Context(), openssl, "pkey", "-in", path, "-passin", "pass:pass word")
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v: %s", err, stderr.String())
			}
			got, err := ParsePrivateKeyPEM(out, nil)
			if err != nil || !samePublicKey(got.Public(), key.Public()) {
				t.Errorf("another key, or %v", err)
			}
		})
	}
}
