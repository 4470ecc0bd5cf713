package dev

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/device"
	"github.com/heraldpush/herald/platform/folder"
)

// TestSecretsAreSealed runs the platform twice and reads its database as bytes,
// while it runs and after: no secret is there, in any encoding.
func TestSecretsAreSealed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "p")
	stored := make(map[string][]byte) // by file and when
	secrets := make(map[string][]byte)
	for n := range 2 {
		look := func(when string) {
			for _, suffix := range []string{"", "-wal"} {
				b, err := os.ReadFile(filepath.Join(dir, "herald.db"+suffix))
				if err != nil && !errors.Is(err, os.ErrNotExist) {
					t.Error(err)
				}
				stored[fmt.Sprintf("herald.db%s of run %d, %s", suffix, n+1, when)] = b
			}
		}
		values := run(t, dir, func() { look("running") })
		look("ended")
		secrets[fmt.Sprintf("admin key of run %d", n+1)] = []byte(values[KeyAPIKey])
		secrets["enrolment code"] = []byte(values[KeyEnrolmentCode])
		secrets["password of the .p12 file"] = []byte(values[KeyP12Password])
		secrets["provider key"] = providerKey(t, values[KeyKey])
	}
	maps.Copy(secrets, sealed(t, dir))

	const want = 2 + 1 + 1 + 1 + 4 + 2 // as above, and keys of authority and tokens
	if len(secrets) != want {
		t.Errorf("got secrets %v, want %d", slices.Collect(maps.Keys(secrets)), want)
	}
	for where, b := range stored {
		for what, secret := range secrets {
			if how, found := find(b, secret); found {
				t.Errorf("%s holds the %s, as %s", where, what, how)
			}
		}
		for _, text := range []string{"PRIVATE KEY", "BEGIN "} {
			if bytes.Contains(b, []byte(text)) {
				t.Errorf("%s holds %q", where, text)
			}
		}
	}
	// What is no secret is there: so would the others be found.
	root, _ := pem.Decode(read(t, filepath.Join(dir, rootFile)))
	for _, where := range []string{"herald.db-wal of run 1, running", "herald.db of run 1, ended"} {
		if how, found := find(stored[where], root.Bytes); !found || how != "base64" {
			t.Errorf("%s: the root certificate was found: %v, as %q; want base64", where, found, how)
		}
	}
}

// run runs the platform until it is ready, and calls look before it ends.
func run(t *testing.T, dir string, look func()) (values Values) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	err := Run(ctx, Config{
		Dir: dir, Addr: netip.MustParseAddr("127.0.0.1"), Ports: PortsAuto, Logger: slog.New(slog.DiscardHandler),
		Show: func(device.Presentation) {},
		Ready: func(r Running) {
			values = r.Values
			look()
			cancel()
		},
	})
	if err != nil || values == nil {
		t.Fatalf("running: %v", err)
	}
	for _, name := range []string{valuesFile, "run.json"} {
		if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s after the end: got %v, want none", name, err)
		}
	}
	return values
}

// sealed returns the secrets that a folder has under its seal.
func sealed(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	secrets := make(map[string][]byte)
	f, err := folder.Open(t.Context(), dir, folder.MadeByDev)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := f.Portal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var backup bytes.Buffer
	if err := p.Backup(t.Context(), &backup); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(&backup)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct {
			Kind string
			Body map[string]json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if line.Kind != "authority" {
			continue
		}
		for _, name := range []string{"Root", "Providers", "Devices", "Servers"} {
			var issuer struct{ Key []byte }
			if err := json.Unmarshal(line.Body[name], &issuer); err != nil {
				t.Fatal(err)
			}
			secrets["authority's key "+name] = scalar(t, issuer.Key)
		}
	}
	keys, err := f.RegistryStore().TokenKeys(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, env := range apns.Environments {
		key, err := f.Sealer().Open("token key "+env.String(), keys[env])
		if err != nil {
			t.Fatal(err)
		}
		secrets["token key "+env.String()] = key
	}
	return secrets
}

// scalar returns the secret number of a key, PKCS #8, DER.
func scalar(t *testing.T, der []byte) []byte {
	t.Helper()
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		t.Fatal(err)
	}
	return number(t, key)
}

func number(t *testing.T, key any) []byte {
	t.Helper()
	switch private := key.(type) {
	case *ecdsa.PrivateKey:
		b, err := private.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		return b
	case *rsa.PrivateKey:
		return private.D.Bytes()
	default:
		t.Fatalf("got a %T, want an ECDSA or RSA key", key)
		return nil
	}
}

func providerKey(t *testing.T, path string) []byte {
	t.Helper()
	key, err := credential.ParseP8(read(t, path))
	if err != nil {
		t.Fatal(err)
	}
	return number(t, key)
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// find looks for a secret in all encodings that it might have, or a part of it:
// a page of the database may end within it.
func find(in, secret []byte) (how string, found bool) {
	const partBytes = 16
	for part := range slices.Chunk(secret, partBytes) {
		if len(part) < 12 {
			break // so little may be there by chance
		}
		if bytes.Contains(in, part) {
			return "it is", true
		}
		if bytes.Contains(bytes.ToLower(in), []byte(hex.EncodeToString(part))) {
			return "hex", true
		}
		// In base64 it depends on how many bytes are before it, and its ends
		// on what is around it.
		for before := range 3 {
			for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
				text := encoding.EncodeToString(append(make([]byte, before), part...))
				if bytes.Contains(in, []byte(text[4:len(text)-4])) {
					return "base64", true
				}
			}
		}
	}
	return "", false
}
