package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heraldpush/herald/credential"
)

// samplePassword is that of every sample that has one.
const samplePassword = "correct-horse-battery"

// samples returns a file of each kind that the verbs read, by its name.
func samples(t *testing.T) (files map[string][]byte, id credential.Identity) {
	t.Helper()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader) // RSA is checked at length when it is read
	ok(err)
	csr, err := credential.NewRequest(key, credential.RequestSubject{CommonName: "Push", Email: "dev@example.com", Country: "US"})
	ok(err)
	rootKey, err := credential.NewProviderKey()
	ok(err)
	now := time.Now()
	v := credential.Validity{NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0)}
	root, err := credential.NewRoot("Test Root", rootKey, v)
	ok(err)
	issuerKey, err := credential.NewProviderKey()
	ok(err)
	issuer, err := credential.Authority{Certificate: root, Key: rootKey}.IssueIntermediate(
		credential.IntermediateProfile{Name: "Test Authority", Purpose: credential.ForProviders}, issuerKey.Public(), v)
	ok(err)
	cert, err := credential.Authority{Certificate: issuer, Key: issuerKey}.IssuePush(credential.PushProfile{
		Kind: credential.PushUniversal, BundleID: "com.example.push", TeamID: "ABCDE12345", Organization: "Example",
	}, key.Public(), v)
	ok(err)
	id = credential.Identity{Certificate: cert, Key: key}
	files = map[string][]byte{
		"aps.cer":                cert.Raw,
		"aps.pem":                credential.MarshalCertificatePEM(cert, issuer),
		"one.certSigningRequest": credential.MarshalRequestPEM(csr),
		"one.mobileprovision":    []byte(`<?xml version="1.0"?><plist version="1.0"><dict><key>Name</key><string>Example</string></dict></plist>`),
	}
	files["ck.pem"], err = id.MarshalPEM()
	ok(err)
	files["key.pem"], err = credential.MarshalPrivateKeyPEM(key)
	ok(err)
	files["AuthKey_2X9R4HXF34.p8"], err = credential.MarshalP8(rootKey)
	ok(err)
	for name, style := range map[string]credential.PKCS12Style{"new.p12": credential.PKCS12Modern, "old.p12": credential.PKCS12Legacy} {
		files[name], err = marshalPKCS12(id, samplePassword, style)
		ok(err)
	}
	files["half.p12"], err = (&credential.PKCS12{Keys: []credential.PKCS12Key{{Key: key}}}).Marshal(samplePassword, credential.PKCS12Modern)
	ok(err)
	return files, id
}

// mutations returns n damaged forms of data, the same ones each time.
func mutations(data []byte, n int) [][]byte {
	r := mathrand.New(mathrand.NewPCG(1, uint64(len(data)))) //nolint:gosec // deterministic on purpose
	list := [][]byte{{}, data[:1], data[:len(data)/2], data[:len(data)-1], bytes.Repeat(data, 2), append(slices.Clone(data), 0)}
	for len(list) < n {
		b := slices.Clone(data)
		switch r.IntN(6) {
		case 0: // cut off
			b = b[:r.IntN(len(b))]
		case 1: // noise
			for i := range b {
				b[i] = byte(r.Uint32()) //nolint:gosec // a byte of it
			}
		case 2: // a hole
			i := r.IntN(len(b))
			b = slices.Delete(b, i, min(len(b), i+1+r.IntN(16)))
		case 3: // something in between
			b = slices.Insert(b, r.IntN(len(b)), byte(r.Uint32()), byte(r.Uint32())) //nolint:gosec // bytes of it
		default: // flipped bits
			for range 1 + r.IntN(4) {
				b[r.IntN(len(b))] ^= 1 << r.IntN(8)
			}
		}
		list = append(list, b)
	}
	return list
}

// ran is what a run of the program did.
type ran struct {
	status   int
	out, err string
}

func runVerb(t *testing.T, args ...string) ran {
	t.Helper()
	var out, err bytes.Buffer
	status := run(t.Context(), args, streams{out: &out, err: &err})
	return ran{status, out.String(), err.String()}
}

// verb is what the command line makes of one: run without that, many times.
type verb interface {
	Run(ctx context.Context, s streams) error
}

// A damaged file is refused with a code and without a trace, or it is read:
// never a panic, never half an output.
func TestMangledInput(t *testing.T) {
	mutated := 200
	switch {
	case raceEnabled: // the verbs have one goroutine
		mutated = 5
	case testing.Short():
		mutated = 30
	}
	files, id := samples(t)
	dir := t.TempDir()
	password, good := filepath.Join(dir, "password"), filepath.Join(dir, "good.cer")
	for path, data := range map[string][]byte{password: []byte(samplePassword), good: id.Certificate.Raw} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	with := passwordFlags{PasswordFile: password}
	coded := regexp.MustCompile(`(?m)^herald: [EW]-[A-Z0-9-]+: `)
	for name, data := range files {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path, folder := filepath.Join(dir, name), filepath.Join(dir, "out")
			if err := os.Mkdir(folder, 0o700); err != nil {
				t.Fatal(err)
			}
			for n, mangled := range mutations(data, mutated) {
				if err := os.WriteFile(path, mangled, 0o600); err != nil {
					t.Fatal(err)
				}
				// Writing waits for the disk: mostly the error that there is no
				// such folder is as good.
				out := func(name string) string {
					if n%30 == 7 {
						return filepath.Join(folder, name)
					}
					return filepath.Join(dir, "none", name)
				}
				for _, v := range []verb{
					certInspectCmd{File: path, passwordFlags: with},
					certVerifyCmd{File: path, passwordFlags: with},
					keyVerifyCmd{File: path, passwordFlags: with},
					certConvertCmd{In: path, Out: out("to.pem"), To: toPEM, passwordFlags: with},
					certConvertCmd{In: path, Out: out("to.p12"), To: toP12, passwordFlags: with},
					certAssembleCmd{Cert: path, CK: out("cert.ck"), passwordFlags: with},
					certAssembleCmd{Cert: good, Key: path, CK: out("key.ck"), PEM: out("key.pem"), passwordFlags: with},
				} {
					var stdout, stderr bytes.Buffer
					s := streams{out: &stdout, err: &stderr}
					status := exitOK
					if err := v.Run(t.Context(), s); err != nil {
						status = report(s, err)
					}
					at := fmt.Sprintf("mutation %d: %T", n, v)
					switch unwritten := strings.Contains(stderr.String(), "herald: writing "); {
					case status == exitOK, status == exitWrong && unwritten:
					case status != exitWrong && status != exitUnreadable:
						t.Errorf("%s: status %d, %s", at, status, stderr.String())
					case !coded.MatchString(stderr.String()):
						t.Errorf("%s: no code in %q", at, stderr.String())
					}
					checkWritten(t, at, folder, status)
				}
				if t.Failed() {
					t.Logf("mutation %d: %x", n, mangled)
					return
				}
			}
		})
	}
}

// checkWritten checks that there are whole files after a success and none after
// a failure, and removes them.
func checkWritten(t *testing.T, at, dir string, status int) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if status != exitOK || info.Size() == 0 || strings.HasPrefix(e.Name(), ".") {
			t.Errorf("%s: status %d left %s of %d bytes", at, status, e.Name(), info.Size())
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
}

// Outputs that cannot all be written leave nothing, and say which and why.
func TestUnwritableOutput(t *testing.T) {
	files, _ := samples(t)
	t.Setenv("HERALD_PASSWORD", samplePassword)
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"no folder", []string{"cert", "assemble", "--cert", "ck.pem", "--pem", "a.pem", "--ck", "none/ck2.pem"}, "writing none/ck2.pem: no such file"},
		{"folder in its place", []string{"cert", "assemble", "--cert", "ck.pem", "--pem", "a.pem", "--ck", "folder", "--force"}, "folder is a folder"},
		{"file for a folder", []string{"cert", "convert", "ck.pem", "aps.cer/x.p12"}, "writing aps.cer/x.p12: not a directory"},
		{"exists", []string{"cert", "assemble", "--cert", "ck.pem", "--pem", "a.pem", "--ck", "aps.cer"}, "aps.cer exists"},
		{"twice the same", []string{"cert", "assemble", "--cert", "ck.pem", "--pem", "a.pem", "--ck", "./a.pem"}, "a.pem is to be two files at once"},
		{"request", []string{"cert", "request", "--key-out", "k.pem", "--out", "none/r.csr"}, "writing none/r.csr: no such file"},
		{"key", []string{"key", "new", "--out", "none/AuthKey_2X9R4HXF34.p8"}, "writing none/AuthKey_2X9R4HXF34.p8: no such file"},
		{"passwd", []string{"cert", "passwd", "new.p12", "--out", "none/x.p12", "--generate-password"}, "writing none/x.p12: no such file"},
		{"name too long", []string{"cert", "convert", "ck.pem", strings.Repeat("x", 300) + ".p12"}, "file name too long"},
		{"standard output", []string{"cert", "convert", "ck.pem", "-", "--to", "pem"}, "give the name of a file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			for name, data := range files {
				if err := os.WriteFile(name, data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Mkdir("folder", 0o700); err != nil {
				t.Fatal(err)
			}
			before := listing(t)
			got := runVerb(t, tt.args...)
			if got.status == exitOK || !strings.Contains(got.err, tt.want) {
				t.Errorf("got status %d, %q, want %q", got.status, got.err, tt.want)
			}
			if got.out != "" {
				t.Errorf("it printed %q", got.out)
			}
			if after := listing(t); !slices.Equal(before, after) {
				t.Errorf("left %v, had %v", after, before)
			}
		})
	}
}

// listing names the files of the current folder with their sizes.
func listing(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, fmt.Sprintf("%s %d", e.Name(), info.Size()))
	}
	return names
}
