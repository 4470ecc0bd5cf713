package dev

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/platform"
)

// The names of the credential files, and of the folder of the device.
const (
	rootFile   = "ca.pem"
	ckFile     = "ck.pem"
	pkcs12File = "aps.p12"
	deviceDir  = "device"
)

// developer is the made-up team and where its credentials are.
type developer struct {
	team  apns.TeamID
	keyID apns.KeyID
	roots *x509.CertPool
	// Paths of the files.
	root, p8, ck, pkcs12 string
}

// develop returns the made-up team with its credentials, making what the
// folder does not hold.
func develop(ctx context.Context, p *platform.Platform, dir *home) (developer, error) {
	d := developer{
		roots: x509.NewCertPool(),
		root:  dir.Path(rootFile), ck: dir.Path(ckFile), pkcs12: dir.Path(pkcs12File),
	}
	d.roots.AddCert(p.Portal.Root())
	if err := dir.Write(rootFile, p.Portal.RootPEM(), 0o644); err != nil {
		return d, err
	}
	teams, err := p.Portal.Teams(ctx)
	if err != nil {
		return d, err
	}
	if len(teams) == 0 {
		return d, d.begin(ctx, p, dir)
	}
	d.team = teams[0].ID
	return d, d.resume(ctx, p, dir)
}

// begin does what a developer does once at the portal.
func (d *developer) begin(ctx context.Context, p *platform.Platform, dir *home) error {
	_, code, err := p.Portal.CreateEnrolmentCode(ctx, -1, 0)
	if err != nil {
		return err
	}
	dir.state = state{EnrolmentCode: code, PKCS12Password: rand.Text()}
	if err := dir.keep(); err != nil {
		return err
	}
	key, err := newKey()
	if err != nil {
		return err
	}
	made, err := p.Develop(ctx, "Example Team", Topic, key)
	if err != nil {
		return err
	}
	d.team = made.Team.ID
	return errors.Join(d.writeIdentity(dir, made.Identity), d.writeKey(dir, made.KeyID, made.P8))
}

// resume finds the files of an earlier run, and replaces those that are gone
// or about to expire.
func (d *developer) resume(ctx context.Context, p *platform.Platform, dir *home) error {
	if !d.goodIdentity(p, dir) {
		key, err := newKey()
		if err != nil {
			return err
		}
		id, err := p.RequestCertificate(ctx, Topic, key)
		if err != nil {
			return fmt.Errorf("%s is missing or unusable, and cannot be replaced: %w", d.ck, err)
		}
		if err := d.writeIdentity(dir, id); err != nil {
			return err
		}
	}
	keys, err := p.Portal.Keys(ctx)
	if err != nil {
		return err
	}
	for _, k := range keys {
		path := dir.Path(credential.P8FileName(k.ID))
		if b, err := os.ReadFile(path); err == nil {
			if _, err := credential.ParseP8(b); err == nil {
				d.keyID, d.p8 = k.ID, path
				return nil
			}
		}
	}
	id, p8, err := p.RequestKey(ctx, d.team)
	if err != nil {
		return err
	}
	return d.writeKey(dir, id, p8)
}

// newKey makes a key of the kind that Keychain's assistant makes.
func newKey() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) }

// goodIdentity reports whether the certificate files are there, good, and will
// be for a while.
func (d *developer) goodIdentity(p *platform.Platform, dir *home) bool {
	b, err := os.ReadFile(d.ck)
	if err != nil {
		return false
	}
	id, err := credential.ParseIdentityPEM(b)
	if err != nil || !fresh(id.Certificate) {
		return false
	}
	if _, err := p.Portal.AdmitCertificate(id.Certificate, apns.Sandbox); err != nil { // revoked, for one
		return false
	}
	if _, err := os.Stat(d.pkcs12); err != nil {
		return d.writeIdentity(dir, id) == nil
	}
	return true
}

func (d *developer) writeIdentity(dir *home, id credential.Identity) error {
	// The leaf alone: the gateway knows the rest, and some old readers take
	// no more.
	id.Chain = nil
	ck, err := id.MarshalPEM()
	if err != nil {
		return err
	}
	p12, err := id.MarshalPKCS12(dir.state.PKCS12Password, credential.PKCS12Compat)
	if err != nil {
		return err
	}
	return errors.Join(dir.Write(ckFile, ck, 0o600), dir.Write(pkcs12File, p12, 0o600))
}

func (d *developer) writeKey(dir *home, id apns.KeyID, p8 []byte) error {
	d.keyID, d.p8 = id, dir.Path(credential.P8FileName(id))
	return dir.Write(filepath.Base(d.p8), p8, 0o600)
}

// renewBefore is how long before its end a certificate is replaced.
const renewBefore = 30 * 24 * time.Hour

func fresh(cert *x509.Certificate) bool { return time.Until(cert.NotAfter) > renewBefore }
