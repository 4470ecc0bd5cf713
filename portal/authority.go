package portal

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/heraldpush/herald/credential"
)

const (
	rootLifetime         = 10 * 365 * 24 * time.Hour
	intermediateLifetime = 5 * 365 * 24 * time.Hour
	serverLifetime       = 60 * 24 * time.Hour
)

// authority is the portal's certificate authority, in two tiers
// (docs/protocol/certificates.md#authority).
type authority struct {
	root                        *x509.Certificate
	providers, devices, servers credential.Authority
}

// authorityRecord is how it is stored.
type authorityRecord struct {
	Root      issuerRecord
	Providers issuerRecord
	Devices   issuerRecord
	Servers   issuerRecord
	// ServerNames and ServerIPs are what the servers' intermediate permits.
	ServerNames []string
	ServerIPs   []netip.Prefix
}

// issuerRecord is a certificate, DER, and its key, PKCS #8, DER, sealed.
type issuerRecord struct {
	Certificate []byte
	Key         []byte
}

// sealContext names a key of the authority to the sealer.
func sealContext(cert *x509.Certificate) string { return "authority key " + cert.Subject.CommonName }

const theAuthority = "herald"

// The names that server certificates may always be for: Apple's, under which
// unchanged clients look for the service, and this machine's.
var (
	standardNames = []string{"push.apple.com", "localhost"}
	standardIPs   = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
)

// openAuthority loads the authority, or makes what is missing of it.
func (p *Portal) openAuthority(ctx context.Context, cfg Config) error {
	names := append(slices.Clone(standardNames), cfg.ServerNames...)
	ips := slices.Clone(standardIPs)
	for _, ip := range cfg.ServerIPs {
		ips = append(ips, netip.PrefixFrom(ip, ip.BitLen()))
	}
	var rec authorityRecord
	err := p.store.Update(ctx, func(tx Tx) error {
		err := get(tx, kindAuthority, theAuthority, &rec)
		switch {
		case errors.Is(err, ErrNotFound):
			err = rec.make(cfg)
		case err != nil:
			return err
		case rec.permits(names, ips):
			return nil
		}
		if err != nil {
			return err
		}
		// The servers' intermediate depends on the names, so it is made anew
		// when these change. Clients trust the root and do not notice.
		if err := rec.makeServers(cfg.Name, cfg.Sealer, names, ips); err != nil {
			return err
		}
		if err := note(ctx, tx, "authority.create", cfg.Name, "servers: %v", names); err != nil {
			return err
		}
		return put(tx, kindAuthority, theAuthority, rec)
	})
	if err != nil {
		return err
	}
	return p.authority.load(rec, cfg.Sealer)
}

func (r *authorityRecord) permits(names []string, ips []netip.Prefix) bool {
	for _, n := range names {
		if !slices.Contains(r.ServerNames, n) {
			return false
		}
	}
	for _, ip := range ips {
		if !slices.Contains(r.ServerIPs, ip) {
			return false
		}
	}
	return true
}

// make fills r with a root and the intermediates but that of servers.
func (r *authorityRecord) make(cfg Config) error {
	name, sealer := cfg.Name, cfg.Sealer
	newKey := newECDSAKey
	if cfg.RSA {
		newKey = newRSAKey
	}
	key, err := newKey()
	if err != nil {
		return err
	}
	cert, err := credential.NewRoot(name+" Root Authority", key, validFor(rootLifetime, nil))
	if err != nil {
		return err
	}
	if r.Root, err = recordIssuer(cert, key, sealer); err != nil {
		return err
	}
	root := credential.Authority{Certificate: cert, Key: key}
	r.Providers, err = newIntermediate(root, sealer, newKey, credential.IntermediateProfile{Name: name + " Provider Authority", Purpose: credential.ForProviders})
	if err != nil {
		return err
	}
	r.Devices, err = newIntermediate(root, sealer, newECDSAKey, credential.IntermediateProfile{Name: name + " Device Authority", Purpose: credential.ForDevices})
	return err
}

func (r *authorityRecord) makeServers(name string, sealer Sealer, names []string, ips []netip.Prefix) error {
	root, err := r.Root.load(sealer)
	if err != nil {
		return err
	}
	r.ServerNames, r.ServerIPs = names, ips
	r.Servers, err = newIntermediate(root, sealer, newECDSAKey, credential.IntermediateProfile{
		Name: name + " Server Authority", Purpose: credential.ForServers, PermittedDNS: names, PermittedIPs: ips,
	})
	return err
}

func newIntermediate(root credential.Authority, sealer Sealer, newKey func() (crypto.Signer, error), profile credential.IntermediateProfile) (issuerRecord, error) {
	key, err := newKey()
	if err != nil {
		return issuerRecord{}, err
	}
	cert, err := root.IssueIntermediate(profile, key.Public(), validFor(intermediateLifetime, root.Certificate))
	if err != nil {
		return issuerRecord{}, err
	}
	return recordIssuer(cert, key, sealer)
}

func newECDSAKey() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func newRSAKey() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 2048) }

func recordIssuer(cert *x509.Certificate, key crypto.Signer, sealer Sealer) (issuerRecord, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return issuerRecord{}, err
	}
	sealed, err := sealer.Seal(sealContext(cert), der)
	return issuerRecord{Certificate: cert.Raw, Key: sealed}, err
}

// reseal puts the key under another seal.
func (r *issuerRecord) reseal(from, to Sealer) error {
	cert, err := x509.ParseCertificate(r.Certificate)
	if err != nil {
		return fmt.Errorf("authority certificate: %w", err)
	}
	key, err := from.Open(sealContext(cert), r.Key)
	if err != nil {
		return fmt.Errorf("authority key: %w", err)
	}
	r.Key, err = to.Seal(sealContext(cert), key)
	return err
}

func (r issuerRecord) load(sealer Sealer) (credential.Authority, error) {
	cert, err := x509.ParseCertificate(r.Certificate)
	if err != nil {
		return credential.Authority{}, fmt.Errorf("authority certificate: %w", err)
	}
	der, err := sealer.Open(sealContext(cert), r.Key)
	if err != nil {
		return credential.Authority{}, fmt.Errorf("authority key: %w", err)
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return credential.Authority{}, errors.New("authority key: not a PKCS #8 key")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return credential.Authority{}, fmt.Errorf("authority key: %T cannot sign", key)
	}
	return credential.Authority{Certificate: cert, Key: signer}, nil
}

func (a *authority) load(r authorityRecord, sealer Sealer) error {
	root, err := r.Root.load(sealer)
	if err != nil {
		return err
	}
	a.root = root.Certificate
	for _, i := range []struct {
		into *credential.Authority
		from issuerRecord
	}{{&a.providers, r.Providers}, {&a.devices, r.Devices}, {&a.servers, r.Servers}} {
		if *i.into, err = i.from.load(sealer); err != nil {
			return err
		}
	}
	return nil
}

// Root returns the certificate that everything here is to be trusted by.
func (p *Portal) Root() *x509.Certificate { return p.authority.root }

// RootPEM returns Root as text, for a file that clients are given.
func (p *Portal) RootPEM() []byte { return credential.MarshalCertificatePEM(p.authority.root) }

// ProviderRoots returns what a provider's certificate must come from. It is
// the intermediate, not the root: a certificate of a device or server is none
// of a provider.
func (p *Portal) ProviderRoots() *x509.CertPool { return pool(p.authority.providers.Certificate) }

// DeviceRoots returns what a device's certificate must come from.
func (p *Portal) DeviceRoots() *x509.CertPool { return pool(p.authority.devices.Certificate) }

// ProviderIssuer returns the certificate that signs providers' certificates,
// to be bundled with them.
func (p *Portal) ProviderIssuer() *x509.Certificate { return p.authority.providers.Certificate }

// DeviceIssuer returns the certificate that signs devices' certificates.
func (p *Portal) DeviceIssuer() *x509.Certificate { return p.authority.devices.Certificate }

// ServerIssuer returns the certificate that signs those of ServerCertificate,
// which bring it along. It changes with the names that it permits.
func (p *Portal) ServerIssuer() *x509.Certificate { return p.authority.servers.Certificate }

func pool(cert *x509.Certificate) *x509.CertPool {
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return roots
}

// ServerCertificate makes a key and a certificate for a server with these
// names and addresses, valid for 60 days. The error says so if one of them is
// not permitted (Config.ServerNames, Config.ServerIPs).
func (p *Portal) ServerCertificate(names []string, ips []netip.Addr) (tls.Certificate, error) {
	key, err := newECDSAKey()
	if err != nil {
		return tls.Certificate{}, err
	}
	by := p.authority.servers
	cert, err := by.IssueServer(credential.ServerProfile{DNSNames: names, IPs: ips}, key.Public(), validFor(serverLifetime, by.Certificate))
	if err != nil {
		return tls.Certificate{}, err
	}
	return credential.Identity{Certificate: cert, Chain: []*x509.Certificate{by.Certificate}, Key: key}.TLS(), nil
}
