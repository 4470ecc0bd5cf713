package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/heraldpush/herald/admin"
	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/portal"
)

// portalCertCmd is about push certificates.
type portalCertCmd struct {
	Issue    portalCertIssueCmd    `cmd:"" aliases:"renew" help:"Issue a push certificate for a certificate signing request. Renewing is issuing again."`
	List     portalCertListCmd     `cmd:"" help:"List the push certificates."`
	Show     portalCertShowCmd     `cmd:"" help:"Show a push certificate."`
	Download portalCertDownloadCmd `cmd:"" help:"Write a push certificate into a file."`
	Revoke   portalCertRevokeCmd   `cmd:"" help:"Revoke a push certificate, now and for good."`
}

// portalCertIssueCmd issues a certificate.
type portalCertIssueCmd struct {
	App  string              `required:"" placeholder:"BUNDLEID" help:"App ID it is for."`
	Kind credential.PushKind `xor:"kind" required:"" enum:"sandbox,universal,voip,complication,pass,website,mdm" placeholder:"KIND" help:"sandbox, universal (sandbox and production), voip, complication, pass, website or mdm."`
	Env  apns.Environment    `xor:"kind" required:"" placeholder:"ENV" help:"sandbox or production: another way to say --kind sandbox or --kind universal."`
	CSR  string              `name:"csr" required:"" placeholder:"FILE" help:"Certificate signing request, PEM or DER; - is standard input."`
	Out  string              `placeholder:"FILE" default:"aps_developer_identity.cer" help:"Where to write it, DER. Default: ${default}."`
	portalAt
}

// issuedCertificate is what the verb prints as JSON.
type issuedCertificate struct {
	portal.Certificate
	File string `json:"file"`
	// Replaces are the serial numbers of the active ones that it overlaps.
	Replaces []string `json:"replaces"`
}

// Run implements the verb.
func (c portalCertIssueCmd) Run(ctx context.Context, s streams) error {
	switch c.Env {
	case apns.Sandbox:
		c.Kind = credential.PushSandbox
	case apns.Production:
		c.Kind = credential.PushUniversal
	}
	csr, err := readRequest(c.CSR)
	if err != nil {
		return err
	}
	return c.do(ctx, func(ctx context.Context, at admin.Target) error {
		file, err := newFileAt(c.Out, public, false) // before the portal has done anything
		if err != nil {
			return err
		}
		defer file.discard() //nolint:errcheck // an error before this one counts
		cert, err := admin.IssueCertificate.Call(ctx, at, admin.CertificateRequest{App: apns.Topic(c.App), Kind: c.Kind, CSR: csr})
		if err != nil {
			return err
		}
		if err := file.keepAll(cert.DER); err != nil {
			return withHint(err, "it was issued: herald portal cert download %s", cert.Serial)
		}
		app, err := admin.GetApp.Call(ctx, at, admin.AppID{BundleID: cert.App})
		if err != nil {
			return err
		}
		result := issuedCertificate{cert, c.Out, []string{}}
		before := slices.DeleteFunc(app.Active, func(o portal.Certificate) bool { return o.Kind != cert.Kind || o.Serial == cert.Serial })
		for _, o := range before {
			result.Replaces = append(result.Replaces, o.Serial)
		}
		return c.print(s, result, func(w io.Writer) error { return c.tell(w, cert, before) })
	})
}

func (c portalCertIssueCmd) tell(w io.Writer, cert portal.Certificate, before []portal.Certificate) error {
	if err := certificateFacts(w, cert); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "Wrote %s\n", plain(c.Out)); err != nil {
		return err
	}
	for _, o := range before {
		_, err := fmt.Fprintf(w, "This is a renewal: %s stays good until %s.\nOnce the new one is in use: herald portal cert revoke %s --reason superseded\n",
			o.Serial, day(o.NotAfter), o.Serial)
		if err != nil {
			return err
		}
	}
	if cert.KeyReused {
		if _, err := fmt.Fprintln(w, "Its key had a certificate before: who holds that key can use both. herald cert request makes a new one."); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "Next: %s\n", joinWithKey(c.Out))
	return err
}

// joinWithKey says what to do with a certificate that was written.
func joinWithKey(file string) string {
	return fmt.Sprintf("herald cert assemble --cert %s --key Push.p12, the key that made the request.", shellWord(file))
}

// kindOf names the kind of a certificate, and where it is good if the name does
// not say that.
func kindOf(c portal.Certificate) string {
	kind := string(c.Kind)
	if where := environmentsOf(c.Kind); where != kind {
		kind += " (" + where + ")"
	}
	return kind
}

// environmentsOf says where a kind of certificate is good.
func environmentsOf(k credential.PushKind) string {
	switch k {
	case credential.PushSandbox:
		return "sandbox"
	case credential.PushUniversal, credential.PushVoIP, credential.PushComplication:
		return "sandbox and production"
	case credential.PushPass, credential.PushWebsite, credential.PushMDM, credential.PushProduction:
		return "production"
	}
	return "unknown"
}

func certificateFacts(w io.Writer, c portal.Certificate) error {
	rows := [][]string{
		{"Certificate", c.Subject},
		{"App ID", string(c.App)},
		{"Team", string(c.Team)},
		{"Kind", kindOf(c)},
		{"Serial", c.Serial},
		{"Key", "SHA-256 " + colons(c.Key)},
		{"Issued", day(c.NotBefore)},
		{"Expires", expires(c.NotAfter)},
	}
	if !c.Revoked.IsZero() {
		rows = append(rows, []string{"Revoked", stateOf(c)})
	}
	return table(w, rows...)
}

// stateOf says whether a certificate is good.
func stateOf(c portal.Certificate) string {
	switch {
	case !c.Revoked.IsZero() && c.Reason != "":
		return fmt.Sprintf("revoked %s, %s", day(c.Revoked), c.Reason)
	case !c.Revoked.IsZero():
		return "revoked " + day(c.Revoked)
	case !c.Active(time.Now()):
		return "expired"
	}
	return "active"
}

// certificateTable lists certificates, each app's newest first.
func certificateTable(w io.Writer, certs []portal.Certificate) error {
	certs = slices.Clone(certs)
	slices.SortStableFunc(certs, func(a, b portal.Certificate) int {
		if n := strings.Compare(string(a.App), string(b.App)); n != 0 {
			return n
		}
		return b.NotBefore.Compare(a.NotBefore)
	})
	rows := [][]string{{"SERIAL", "APP ID", "KIND", "ISSUED", "EXPIRES", "STATE"}}
	for _, c := range certs {
		rows = append(rows, []string{c.Serial, string(c.App), string(c.Kind), day(c.NotBefore), day(c.NotAfter), stateOf(c)})
	}
	return table(w, rows...)
}

// portalCertListCmd lists certificates.
type portalCertListCmd struct {
	App string `placeholder:"BUNDLEID" help:"Only those of this App ID."`
	portalAt
}

// Run implements the verb.
func (c portalCertListCmd) Run(ctx context.Context, s streams) error {
	return c.do(ctx, func(ctx context.Context, at admin.Target) error {
		certs, err := admin.All(ctx, at, admin.ListCertificates, "")
		if err != nil {
			return err
		}
		certs = slices.DeleteFunc(certs, func(o portal.Certificate) bool { return c.App != "" && string(o.App) != c.App })
		return c.print(s, certs, func(w io.Writer) error {
			if len(certs) == 0 {
				_, err := fmt.Fprintln(w, "No certificates. herald portal cert issue makes one.")
				return err
			}
			return certificateTable(w, certs)
		})
	})
}

// portalCertShowCmd shows a certificate.
type portalCertShowCmd struct {
	Serial string `arg:"" help:"Its serial number, hex."`
	portalAt
}

// Run implements the verb.
func (c portalCertShowCmd) Run(ctx context.Context, s streams) error {
	return c.do(ctx, func(ctx context.Context, at admin.Target) error {
		cert, err := admin.GetCertificate.Call(ctx, at, admin.CertificateID{Serial: c.Serial})
		if err != nil {
			return err
		}
		return c.print(s, cert, func(w io.Writer) error { return certificateFacts(w, cert) })
	})
}

// portalCertDownloadCmd writes a certificate into a file.
type portalCertDownloadCmd struct {
	Serial string `arg:"" help:"Its serial number, hex."`
	Out    string `placeholder:"FILE" default:"aps_developer_identity.cer" help:"Where to write it, DER. Default: ${default}."`
	portalAt
}

// Run implements the verb.
func (c portalCertDownloadCmd) Run(ctx context.Context, s streams) error {
	return c.do(ctx, func(ctx context.Context, at admin.Target) error {
		cert, err := admin.GetCertificate.Call(ctx, at, admin.CertificateID{Serial: c.Serial})
		if err != nil {
			return err
		}
		if err := writeFile(c.Out, cert.DER, public, false); err != nil {
			return err
		}
		return c.print(s, issuedCertificate{cert, c.Out, []string{}}, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "Wrote %s: %s, %s, expires %s\nNext: %s\n",
				plain(c.Out), cert.Subject, stateOf(cert), expires(cert.NotAfter), joinWithKey(c.Out))
			return err
		})
	})
}

// portalCertRevokeCmd revokes a certificate.
type portalCertRevokeCmd struct {
	Serial string `arg:"" help:"Its serial number, hex."`
	Reason string `default:"unspecified" help:"unspecified, key-compromise, superseded, cessation-of-operation or privilege-withdrawn."`
	portalAt
}

// Run implements the verb.
func (c portalCertRevokeCmd) Run(ctx context.Context, s streams) error {
	return c.do(ctx, func(ctx context.Context, at admin.Target) error {
		cert, err := admin.RevokeCertificate.Call(ctx, at, admin.CertificateRevocation{Serial: c.Serial, Reason: portal.RevocationReason(c.Reason)})
		if err != nil {
			return err
		}
		return c.print(s, cert, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "Certificate %s (%s) is revoked since %s: nobody can send with it any more.\nNext, for gateways elsewhere: herald portal crl providers\n",
				cert.Serial, cert.Subject, minute(cert.Revoked))
			return err
		})
	})
}
