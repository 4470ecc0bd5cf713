package e2e

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// desk is a folder in which a person works with herald's files, beside a
// portal with one team.
type desk struct {
	herald string // the binary
	dir    string // for files
	portal string // folder of the portal
	random string // password of all files, unless a test says another
}

// newDesk makes a portal, and a key with its request: Push.p12 and
// Push.certSigningRequest.
func newDesk(t *testing.T) *desk {
	t.Helper()
	dir := t.TempDir()
	d := &desk{herald: binary(t), dir: dir, portal: filepath.Join(dir, "portal"), random: rand.Text()}
	d.run(t, "portal", "init", "--dir", d.portal, "--team", "Example Inc.")
	d.run(t, "cert", "request", "--name", "Push Example", "--email", "push@example.com")
	return d
}

// run runs herald on the desk, with the password of all files.
func (d *desk) run(t *testing.T, args ...string) outcome {
	t.Helper()
	return d.with(d.random, args...).mustRun(t)
}

// with returns a run of herald on the desk, with a password.
func (d *desk) with(password string, args ...string) program {
	return program{
		args: append([]string{d.herald}, args...),
		dir:  d.dir,
		env:  []string{"HERALD_PASSWORD=" + password},
	}
}

// path returns where a file of the desk lies.
func (d *desk) path(name string) string { return filepath.Join(d.dir, name) }

// file writes a file onto the desk, and returns where.
func (d *desk) file(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.WriteFile(d.path(name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return d.path(name)
}

// issue has the portal issue a certificate for Push.certSigningRequest, and
// returns where it lies. The App ID is entered where it is missing.
func (d *desk) issue(t *testing.T, id, kind, out string) string {
	t.Helper()
	if o := d.with("", "portal", "app", "show", "--dir", d.portal, id).run(t); o.status != 0 {
		d.run(t, "portal", "app", "add", "--dir", d.portal, id)
	}
	d.run(t, "portal", "cert", "issue", "--dir", d.portal, "--app", id, "--kind", kind,
		"--csr", "Push.certSigningRequest", "--out", out)
	return d.path(out)
}

// authority returns the certificates of the portal's authority: "root", and
// each intermediate by what it is for.
func (d *desk) authority(t *testing.T) map[string]*x509.Certificate {
	t.Helper()
	type authority struct{ Purpose, PEM string }
	var a struct {
		Root          authority
		Intermediates []authority
	}
	o := d.run(t, "portal", "authority", "--dir", d.portal, "--json")
	if err := json.Unmarshal([]byte(o.stdout), &a); err != nil {
		t.Fatal(err)
	}
	a.Root.Purpose = "root"
	all := make(map[string]*x509.Certificate)
	for _, i := range append(a.Intermediates, a.Root) {
		certs := certificates(t, i.PEM)
		if len(certs) != 1 {
			t.Fatalf("authority for %s: got %d certificates, want 1", i.Purpose, len(certs))
		}
		all[i.Purpose] = certs[0]
	}
	return all
}

// device has the portal activate a device, and returns where its certificate
// and the issuer's lie.
func (d *desk) device(t *testing.T) string {
	t.Helper()
	code, _, _ := strings.Cut(d.run(t, "portal", "device", "enrol", "--dir", d.portal).stdout, "\n")
	d.run(t, "cert", "request", "--name", newID(), "--out", "device.csr", "--key-out", "device-key.pem")
	d.run(t, "portal", "device", "sign", "--dir", d.portal, "--csr", "device.csr",
		"--code-file", d.file(t, "code", code+"\n"), "--out", "device.pem")
	return d.path("device.pem")
}
