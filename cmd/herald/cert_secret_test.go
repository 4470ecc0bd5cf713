package main

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/heraldpush/herald/credential"
)

// No flag takes a secret itself: others can read a command line.
func TestNoFlagTakesASecret(t *testing.T) {
	parser, err := kong.New(new(verbs))
	if err != nil {
		t.Fatal(err)
	}
	flags := 0
	var walk func(*kong.Node)
	walk = func(n *kong.Node) {
		for _, f := range n.Flags {
			flags++
			secret := slices.ContainsFunc([]string{"password", "passphrase", "secret", "api-key", "code"}, func(word string) bool {
				return strings.Contains(f.Name, word)
			})
			if secret && f.Target.Kind() != reflect.Bool && !strings.HasSuffix(f.Name, "-file") && !strings.HasSuffix(f.Name, "-fd") {
				t.Errorf("%s --%s takes a secret", n.FullPath(), f.Name)
			}
			if slices.Contains(f.Envs, "HERALD_PASSWORD") { // kong would show it in help
				t.Errorf("%s --%s is set by a variable", n.FullPath(), f.Name)
			}
		}
		for _, child := range n.Children {
			walk(child)
		}
	}
	walk(parser.Model.Node)
	if flags < 100 {
		t.Errorf("saw %d flags, want all", flags)
	}
}

// secretsOf returns what must not be printed of a private key: its numbers in
// the forms in which printing would show them, and its text, in pieces.
func secretsOf(t *testing.T, text []byte) [][]byte {
	t.Helper()
	b, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(b.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	d := reflect.ValueOf(key).Elem().FieldByName("D").MethodByName("Bytes").Call(nil)[0].Bytes()
	part := d[len(d)/2 : len(d)/2+16]
	secrets := [][]byte{part, []byte(hex.EncodeToString(part)), []byte(strings.ToUpper(hex.EncodeToString(part)))}
	for shift := range 3 { // base64 of the same bytes at each place in a group
		code := base64.StdEncoding.EncodeToString(append(make([]byte, shift), part...))
		secrets = append(secrets, []byte(code[4:20]))
	}
	for line := range bytes.Lines(text) {
		if line = bytes.TrimSpace(line); len(line) >= 16 && !bytes.HasPrefix(line, []byte("-----")) {
			secrets = append(secrets, line)
		}
	}
	return secrets
}

// What the verbs print holds no password and no private key, whatever happens.
func TestNothingPrintsSecrets(t *testing.T) {
	if raceEnabled {
		t.Skip("the verbs have one goroutine, and make many keys")
	}
	files, _ := samples(t)
	secrets := slices.Concat([][]byte{[]byte(samplePassword), []byte("another-password")},
		secretsOf(t, files["key.pem"]), secretsOf(t, files["AuthKey_2X9R4HXF34.p8"]))
	t.Chdir(t.TempDir())
	t.Setenv("HERALD_PASSWORD", samplePassword)
	for name, data := range files {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"new": "another-password\n", "wrong": "not-" + samplePassword + "\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p8 := "AuthKey_2X9R4HXF34.p8"
	lines := []string{
		"cert request --key-out a.p12 --out a.csr", "cert request --key-out a.pem --out b.csr",
		"cert request --key-out c.p12 --out c.csr --password-file new --legacy",
		"cert assemble --cert aps.cer --key half.p12 --pem d.pem --p12 d.p12 --ck d.ck",
		"cert assemble --cert aps.cer --key key.pem --p12 e.p12 --new-password-file new --compat",
		"cert assemble --cert aps.cer --key half.p12 --ck never --password-file wrong",
		"cert assemble --cert one.certSigningRequest --key half.p12 --ck never",
		"cert convert new.p12 f.pem", "cert convert new.p12 g.pem --to ck", "cert convert ck.pem g.p12", "cert convert key.pem h.der",
		"cert convert " + p8 + " i.p8", "cert convert new.p12 j.p8", "cert convert key.pem k.p12 --new-password-file new",
		"cert passwd old.p12 --new-password-file new --out l.p12", "cert passwd ck.pem --new-password-file new --out l.pem",
		"cert passwd old.p12 --new-password-file new --password-file wrong",
		"cert passwd " + p8 + " --new-password-file new",
		"key inspect " + p8, "key verify " + p8 + " --key-id " + samplePassword, "key verify key.pem", "key token " + p8 + " --team ABCDE12345",
		"key new --out m.p8",
		"doctor --gateway 127.0.0.1:1 --credential new.p12 --topic com.example.push --timeout 2s",
		"doctor --gateway 127.0.0.1:1 --credential " + p8 + " --topic com.example.push --team ABCDE12345 --timeout 2s",
		"doctor --gateway 127.0.0.1:1 --credential new.p12 --password-file wrong --timeout 2s",
	}
	for name := range files {
		lines = append(lines, "cert inspect "+name, "cert verify "+name, "cert verify "+name+" --password-file wrong")
	}
	for _, line := range lines {
		for _, more := range []string{"", "--json", "--verbose"} {
			args := strings.Fields(line + " " + more)
			if more == "--json" && strings.HasPrefix(line, "key token") {
				continue
			}
			if strings.Contains(line, " --out ") || strings.HasPrefix(line, "cert convert") || strings.HasPrefix(line, "cert assemble") {
				args = append(args, "--force")
			}
			got := runVerb(t, args...)
			if got.status == exitUsage {
				t.Errorf("herald %s: %s", strings.Join(args, " "), got.err)
			}
			for _, secret := range secrets {
				if strings.Contains(line, string(secret)) { // it was given as something else
					continue
				}
				if bytes.Contains([]byte(got.out+got.err), secret) {
					t.Errorf("herald %s prints a secret (%d bytes of it): %q %q", strings.Join(args, " "), len(secret), got.out, got.err)
				}
			}
		}
	}
	for _, kept := range []string{"d.ck", "g.pem", "h.der", "i.p8"} { // or the secrets are not what they should be
		data, err := os.ReadFile(kept)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(secrets, func(s []byte) bool { return bytes.Contains(data, s) }) {
			t.Errorf("%s holds no secret of those that are looked for", kept)
		}
	}
}

// A password that was made up is printed, and opens what was written; nothing
// else is with --quiet.
func TestGeneratedPassword(t *testing.T) {
	files, _ := samples(t)
	t.Chdir(t.TempDir())
	if err := os.WriteFile("ck.pem", files["ck.pem"], 0o600); err != nil {
		t.Fatal(err)
	}
	got := runVerb(t, "cert", "convert", "ck.pem", "out.p12", "--generate-password", "--quiet")
	password := strings.TrimSuffix(got.out, "\n")
	if got.status != exitOK || got.err != "" || len(password) != 26 {
		t.Fatalf("got status %d, %d characters, %q", got.status, len(password), got.err)
	}
	data, err := os.ReadFile("out.p12")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := credential.ParsePKCS12(data, password); err != nil {
		t.Errorf("it does not open the file: %v", err)
	}
}

// Each code is expected in a script, with its message: one that is new needs a
// line there.
func TestCodesAreScripted(t *testing.T) {
	scripts, err := filepath.Glob("testdata/script/*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("%d scripts, %v", len(scripts), err)
	}
	var expected strings.Builder
	for _, file := range scripts {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		script, _, _ := strings.Cut(string(text), "\n-- ") // the files of the script
		for line := range strings.Lines(script) {
			line = strings.TrimPrefix(line, "[unix] ")
			if strings.HasPrefix(line, "stderr ") || strings.HasPrefix(line, "stdout ") {
				expected.WriteString(line)
			}
		}
	}
	for _, m := range credential.Codes() {
		if !strings.Contains(expected.String(), string(m.Code)+": ") {
			t.Errorf("no script of testdata/script expects %s with its message", m.Code)
		}
	}
}
