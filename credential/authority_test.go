package credential

import (
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestAuthorities(t *testing.T) {
	all := newAuthorities(t, IntermediateProfile{PermittedDNS: []string{"push.example.com"}})
	root := all.root.Certificate
	if !root.IsCA || root.MaxPathLen != 1 {
		t.Errorf("root: authority %v, path length %d", root.IsCA, root.MaxPathLen)
	}
	const signs = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	for _, tt := range []struct {
		name  string
		cert  *x509.Certificate
		usage x509.ExtKeyUsage
	}{
		{"providers", all.providers.Certificate, x509.ExtKeyUsageClientAuth},
		{"devices", all.devices.Certificate, x509.ExtKeyUsageClientAuth},
		{"servers", all.servers.Certificate, x509.ExtKeyUsageServerAuth},
	} {
		c := tt.cert
		if !c.IsCA || c.MaxPathLen != 0 || !c.MaxPathLenZero || c.KeyUsage != signs || root.KeyUsage != signs {
			t.Errorf("%s: authority %v, path length %d, usage %b", tt.name, c.IsCA, c.MaxPathLen, c.KeyUsage)
		}
		if len(c.ExtKeyUsage) != 1 || c.ExtKeyUsage[0] != tt.usage {
			t.Errorf("%s: purposes %v, want %v", tt.name, c.ExtKeyUsage, tt.usage)
		}
		if c.SignatureAlgorithm != x509.ECDSAWithSHA256 {
			t.Errorf("%s: signed with %v", tt.name, c.SignatureAlgorithm)
		}
		if c.PermittedDNSDomainsCritical != (tt.name == "servers") {
			t.Errorf("%s: critical name constraints: %v", tt.name, c.PermittedDNSDomainsCritical)
		}
	}
}

func TestAuthoritySignsWithSHA256(t *testing.T) {
	cert, err := NewRoot("RSA", rsaKey(), tenYears)
	if err != nil {
		t.Fatal(err)
	}
	if cert.SignatureAlgorithm != x509.SHA256WithRSA {
		t.Errorf("got %v, want SHA256-RSA", cert.SignatureAlgorithm)
	}
	cert, err = NewRoot("P-384 in hardware", opaqueSigner{newECKey(t, elliptic.P384())}, tenYears)
	if err != nil {
		t.Fatal(err)
	}
	if cert.SignatureAlgorithm != x509.ECDSAWithSHA256 {
		t.Errorf("got %v, want ECDSA-SHA256", cert.SignatureAlgorithm)
	}
}

func TestAuthoritiesRefused(t *testing.T) {
	all := newAuthorities(t, IntermediateProfile{PermittedDNS: []string{"push.example.com"}})
	pub := newECKey(t, elliptic.P256()).Public()
	tests := []struct {
		name string
		p    IntermediateProfile
		want string
	}{
		{"no name", IntermediateProfile{Purpose: ForDevices}, "name: empty"},
		{"no purpose", IntermediateProfile{Name: "a"}, "want providers"},
		{"servers of anything", IntermediateProfile{Name: "a", Purpose: ForServers}, "needs the names"},
		{"devices of names", IntermediateProfile{Name: "a", Purpose: ForDevices, PermittedDNS: []string{"a"}}, "takes no permitted names"},
		{"asterisk", IntermediateProfile{Name: "a", Purpose: ForServers, PermittedDNS: []string{"*.a"}}, "asterisk"},
		{"dot", IntermediateProfile{Name: "a", Purpose: ForServers, PermittedDNS: []string{".a"}}, "not a host name"},
		{"everything", IntermediateProfile{Name: "a", Purpose: ForServers, PermittedDNS: []string{""}}, "not a host name"},
		{"empty range", IntermediateProfile{Name: "a", Purpose: ForServers, PermittedIPs: []netip.Prefix{{}}}, "empty range"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := all.root.IssueIntermediate(tt.p, pub, tenYears)
			wantError(t, err, tt.want)
		})
	}
	t.Run("below an intermediate", func(t *testing.T) {
		_, err := all.devices.IssueIntermediate(IntermediateProfile{Name: "a", Purpose: ForDevices}, pub, tenYears)
		wantError(t, err, "may not issue")
	})
	t.Run("weak key", func(t *testing.T) {
		_, err := all.root.IssueIntermediate(IntermediateProfile{Name: "a", Purpose: ForDevices}, weakRSAKey().Public(), tenYears)
		if !errors.Is(err, ErrWeakKey) {
			t.Errorf("got error %v, want ErrWeakKey", err)
		}
	})
	t.Run("root", func(t *testing.T) {
		_, err := NewRoot("a", nil, tenYears)
		wantError(t, err, "no key")
		_, err = NewRoot("a", weakRSAKey(), tenYears)
		wantError(t, err, "RSA with 1024 bits")
		_, err = NewRoot("", rsaKey(), tenYears)
		wantError(t, err, "name: empty")
		_, err = NewRoot("a", rsaKey(), Validity{})
		wantError(t, err, "validity")
	})
}

func TestIssueServer(t *testing.T) {
	names := IntermediateProfile{PermittedDNS: []string{"push.example.com", "localhost"}}
	addresses := IntermediateProfile{PermittedIPs: []netip.Prefix{
		netip.MustParsePrefix("127.0.0.1/8"), netip.MustParsePrefix("::1/128"),
	}}
	both := IntermediateProfile{PermittedDNS: names.PermittedDNS, PermittedIPs: addresses.PermittedIPs}
	ip := netip.MustParseAddr
	longName := strings.Repeat("a", 63) + ".example" // no room for it in a common name
	tests := []struct {
		name      string
		authority IntermediateProfile
		server    ServerProfile
		want      string // error, or empty
	}{
		{"names", names, ServerProfile{DNSNames: []string{"gateway.push.example.com", "localhost", "*.push.example.com"}}, ""},
		{"addresses", addresses, ServerProfile{IPs: []netip.Addr{ip("127.0.0.1"), ip("::1"), ip("::ffff:127.0.0.2")}}, ""},
		{"both", both, ServerProfile{DNSNames: []string{"push.example.com"}, IPs: []netip.Addr{ip("127.0.0.1")}}, ""},
		{"long name", IntermediateProfile{PermittedDNS: []string{longName}}, ServerProfile{DNSNames: []string{longName}}, ""},
		{"foreign name", names, ServerProfile{DNSNames: []string{"www.example.org"}}, "may not issue"},
		{"second name foreign", names, ServerProfile{DNSNames: []string{"localhost", "www.example.org"}}, "may not issue"},
		{"parent", names, ServerProfile{DNSNames: []string{"example.com"}}, "may not issue"},
		{"address under names", names, ServerProfile{IPs: []netip.Addr{ip("127.0.0.1")}}, "may not issue"},
		{"IPv6 address under names", names, ServerProfile{IPs: []netip.Addr{ip("::1")}}, "may not issue"},
		{"name under addresses", addresses, ServerProfile{DNSNames: []string{"localhost"}}, "may not issue"},
		{"foreign address", both, ServerProfile{IPs: []netip.Addr{ip("192.0.2.1")}}, "may not issue"},
		{"nothing", names, ServerProfile{}, "no name"},
		{"bad name", names, ServerProfile{DNSNames: []string{"a b"}}, "not a host name"},
		{"zone", addresses, ServerProfile{IPs: []netip.Addr{ip("fe80::1%eth0")}}, "with a zone"},
		{"no address", addresses, ServerProfile{IPs: []netip.Addr{{}}}, "empty"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			all := newAuthorities(t, tt.authority)
			issuer := all.servers
			issuer.CRLURL = "http://portal.example.com/servers.crl"
			cert, err := issuer.IssueServer(tt.server, newECKey(t, elliptic.P256()).Public(), oneYear)
			if tt.want != "" {
				wantError(t, err, tt.want)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := all.verify(cert, issuer, x509.ExtKeyUsageServerAuth); err != nil {
				t.Errorf("chain: %v", err)
			}
			if err := all.verify(cert, issuer, x509.ExtKeyUsageClientAuth); err == nil {
				t.Error("chain: good for a client")
			}
			for _, d := range tt.server.DNSNames {
				if err := cert.VerifyHostname(strings.Replace(d, "*", "any", 1)); err != nil {
					t.Error(err)
				}
			}
			for _, a := range tt.server.IPs {
				if err := cert.VerifyHostname(a.String()); err != nil {
					t.Error(err)
				}
			}
			if got := cert.CRLDistributionPoints; len(got) != 1 || got[0] != issuer.CRLURL {
				t.Errorf("revocations at %v, want %v", got, issuer.CRLURL)
			}
		})
	}
}

func TestPurposesDoNotMix(t *testing.T) {
	all := newAuthorities(t, IntermediateProfile{PermittedDNS: []string{"localhost"}})
	pub := newECKey(t, elliptic.P256()).Public()
	if _, err := all.providers.IssueServer(ServerProfile{DNSNames: []string{"localhost"}}, pub, oneYear); err == nil {
		t.Error("the authority for providers issued a server certificate")
	}
	if _, err := all.servers.IssueDevice("eabeae54-14a8-11e5-b60b-1697f925ec7b", pub, oneYear); err == nil {
		t.Error("the authority for servers issued a device certificate")
	}
}

func TestIssueBeforeTheAuthorityBegins(t *testing.T) {
	// A portal that starts issues with notBefore some minutes back, and the
	// authority may have been made a minute ago.
	key := newECKey(t, elliptic.P256())
	cert, err := NewRoot("Young Root", key, Validity{now, now.AddDate(1, 0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Authority{Certificate: cert, Key: key}.IssueIntermediate(
		IntermediateProfile{Name: "Older", Purpose: ForDevices}, newECKey(t, elliptic.P256()).Public(),
		Validity{now.Add(-5 * time.Minute), now.Add(time.Hour)})
	if err != nil {
		t.Error(err)
	}
}
