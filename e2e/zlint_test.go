package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// webOnly are the findings that are excused, each with its reason, and with
// the kinds of certificate that it is excused for. All are rules of the public
// web's authorities (the CA/Browser Forum's Baseline Requirements), which bind
// neither Apple's form nor an authority that nobody trusts but its own users.
// Not one of them is a rule of the RFCs.
var webOnly = []struct {
	lint    string
	kinds   []string
	because string
}{
	{
		"e_ca_country_name_missing",
		[]string{"root", "servers"},
		"the web names the company that runs an authority: ours is named by its root alone, and has no country",
	},
	{
		"e_ca_organization_name_missing",
		[]string{"root", "servers"},
		"as for the country: no company runs it",
	},
	{
		"w_root_ca_basic_constraints_path_len_constraint_field_present",
		[]string{"root"},
		"a root of the web may grow deeper; ours has one floor of intermediates, and says so",
	},
	{
		"e_sub_ca_certificate_policies_missing",
		[]string{"servers"},
		"policies of the web: there are none that a private authority could claim",
	},
	{
		"e_invalid_ca_certificate_policies",
		[]string{"servers"},
		"the same rule once more",
	},
	{
		"e_sub_ca_crl_distribution_points_missing",
		[]string{"servers"},
		"an address for revocations is written where the operator has configured one; this portal has none",
	},
	{
		"w_sub_ca_aia_missing",
		[]string{"servers"},
		"an address of the issuer is written where the operator has configured one; this portal has none",
	},
	{
		"e_ext_nc_intersects_reserved_ip",
		[]string{"servers"},
		"herald dev listens at loopback, which nobody owns on the web: just that is to be permitted",
	},
	{
		"e_ext_san_contains_reserved_ip",
		[]string{"gateway", "courier"},
		"the address is loopback, as above",
	},
	{
		"e_dnsname_not_valid_tld",
		[]string{"gateway", "courier"},
		"localhost and herald.localhost are names for one's own machine",
	},
	{
		"e_sub_cert_certificate_policies_missing",
		[]string{"gateway", "courier"},
		"policies of the web, as above",
	},
	{
		"e_sub_cert_cert_policy_empty",
		[]string{"gateway", "courier"},
		"the same rule once more",
	},
	{
		"e_sub_cert_aia_missing",
		[]string{"gateway", "courier"},
		"no address is configured, as above",
	},
	{
		"w_sub_cert_aia_does_not_contain_issuing_ca_url",
		[]string{"gateway", "courier"},
		"the same rule once more",
	},
	{
		"e_missing_crl_distrib_point",
		[]string{"gateway", "courier"},
		"no address is configured, as above",
	},
	{
		"w_ext_subject_key_identifier_not_recommended_subscriber",
		[]string{"gateway", "courier"},
		"RFC 5280 section 4.2.1.2 wants it where the web has come to save the bytes",
	},
	{
		"w_subject_common_name_included",
		[]string{"gateway", "courier"},
		"old device clients look for the host in the common name and nowhere else",
	},
}

// minLints is how many lints speak about the smallest of our certificates at
// the least. With fewer, the linter has not looked.
const minLints = 40

// TestZlint has the linter of the web's authorities look at one certificate of
// each kind that herald issues.
func TestZlint(t *testing.T) {
	t.Parallel()
	skipRace(t)
	zlint := buildModule(t, "zlint", "the linter zmap/zlint")
	kinds := issueAll(t)

	dir := t.TempDir()
	args, kindOf := []string{zlint}, make(map[string]string)
	for kind, cert := range kinds {
		path := filepath.Join(dir, kind+".der")
		if err := os.WriteFile(path, cert.Raw, 0o600); err != nil {
			t.Fatal(err)
		}
		args, kindOf[path] = append(args, path), kind
	}
	var report struct {
		Applied  map[string]int
		Findings []struct{ File, Lint, Status, Details, Source, Citation, Description string }
	}
	if err := json.Unmarshal([]byte(tool(t, args...).stdout), &report); err != nil {
		t.Fatal(err)
	}

	for path, kind := range kindOf {
		if got := report.Applied[path]; got < minLints {
			t.Errorf("%s: %d lints applied, want %d or more", kind, got, minLints)
		}
	}
	excused := make(map[string]bool) // lint and kind
	for _, f := range report.Findings {
		kind := kindOf[f.File]
		because := excuse(f.Lint, kind)
		switch {
		case because != "":
			excused[f.Lint+" "+kind] = true
			t.Logf("excused: %s: %s %s: %s", kind, f.Status, f.Lint, because)
			if f.Source != "CABF_BR" {
				t.Errorf("%s: %s is a rule of %s: those of the web alone are excused", kind, f.Lint, f.Source)
			}
		case f.Status != "info":
			t.Errorf("%s: %s %s (%s): %s %s", kind, f.Status, f.Lint, f.Citation, f.Description, f.Details)
		}
	}
	for _, w := range webOnly {
		for _, kind := range w.kinds {
			if !excused[w.lint+" "+kind] {
				t.Errorf("%s no longer finds fault with %s: take the excuse away", w.lint, kind)
			}
		}
	}
}

// excuse returns why a finding is excused, nothing where it is not.
func excuse(lint, kind string) string {
	for _, w := range webOnly {
		if w.lint == lint && slices.Contains(w.kinds, kind) {
			return w.because
		}
	}
	return ""
}

// issueAll has herald issue a certificate of each kind, and returns them by
// kind: those of the authority itself, each kind of push certificate, and
// those of a device and of the servers of a running platform.
func issueAll(t *testing.T) map[string]*x509.Certificate {
	t.Helper()
	d := newDesk(t)
	all := d.authority(t)
	for kind, id := range map[string]string{
		"sandbox": "com.example.push", "universal": "com.example.push", "voip": "com.example.push",
		"complication": "com.example.push", "pass": "pass.com.example.push", "website": "web.com.example.push",
		"mdm": "com.apple.mgmt.External.b4c0a1de-5a3f-4b52-9d0e-8c7c0f3f6a11",
	} {
		cert, err := x509.ParseCertificate([]byte(read(t, d.issue(t, id, kind, kind+".cer"))))
		if err != nil {
			t.Fatal(err)
		}
		all[kind] = cert
	}
	chain := certificates(t, read(t, d.device(t)))
	if len(chain) != 2 {
		t.Fatalf("got %d certificates for a device, want its own and its issuer's", len(chain))
	}
	all["device"], all["devices"] = chain[0], chain[1]

	h := start(t)
	for kind, address := range map[string]string{"gateway": h.GatewaySandbox, "courier": h.Courier} {
		chain := presented(t, address)
		all[kind], all["servers"] = chain[0], chain[1]
	}
	return all
}

// presented returns the certificates that a server presents, its own first.
func presented(t *testing.T, address string) []*x509.Certificate {
	t.Helper()
	dialer := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // looked at, not trusted
	c, err := dialer.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	chain := c.(*tls.Conn).ConnectionState().PeerCertificates //nolint:errcheck // a tls.Dialer makes no other
	if len(chain) != 2 {
		t.Fatalf("%s presents %d certificates, want its own and its issuer's", address, len(chain))
	}
	return chain
}

// certificates reads all certificates of a text, in PEM.
func certificates(t *testing.T, text string) (all []*x509.Certificate) {
	t.Helper()
	for block, rest := pem.Decode([]byte(text)); block != nil; block, rest = pem.Decode(rest) {
		if !strings.HasSuffix(block.Type, "CERTIFICATE") {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, cert)
	}
	return all
}
