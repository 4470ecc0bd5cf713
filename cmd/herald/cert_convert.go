package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/heraldpush/herald/credential"
)

// certConvertCmd writes a credential in another format.
type certConvertCmd struct {
	In       string       `arg:"" help:"File to read; - is standard input."`
	Out      string       `arg:"" help:"File to write; its name says the format, unless --to does."`
	To       targetFormat `placeholder:"FORMAT" help:"pem, der, p12, ck (certificate and key, PEM) or p8."`
	Identity int          `placeholder:"N" help:"For ck: which one, if the file holds several."`
	Force    bool         `help:"Replace the file if it exists."`
	styleFlags
	passwordFlags
	newPasswordFlags
	quietFlags
}

// targetFormat is what to convert to. Zero: the name says it.
type targetFormat string

const (
	toPEM targetFormat = "pem"
	toDER targetFormat = "der"
	toP12 targetFormat = "p12"
	toCK  targetFormat = "ck"
	toP8  targetFormat = "p8"
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *targetFormat) UnmarshalText(text []byte) error {
	all := []targetFormat{toPEM, toDER, toP12, toCK, toP8}
	if !slices.Contains(all, targetFormat(text)) {
		return fmt.Errorf("%q is none of pem, der, p12, ck, p8", text)
	}
	*t = targetFormat(text)
	return nil
}

// Help says more than the line in the list of verbs.
func (certConvertCmd) Help() string {
	return `  pem  certificates, else a request, else the private key, not encrypted
  der  one of these, as the .cer from the portal is
  p12  everything, with a password
  ck   certificate, key, chain: a ck.pem
  p8   a provider key, which repairs a mangled one

Names: .pem .crt .csr .certSigningRequest .key are pem, .cer .der are der,
.p12 .pfx are p12, .p8 is p8, and ck.pem is ck.`
}

// converted is what the verb prints as JSON.
type converted struct {
	Files    []writtenFile        `json:"files"`
	Password string               `json:"password,omitempty"`
	Problems []credential.Problem `json:"problems"`
}

// Run implements the verb.
func (c certConvertCmd) Run(ctx context.Context, s streams) error {
	if c.To == "" {
		var ok bool
		if c.To, ok = formatOf(c.Out); !ok {
			return withHint(usageError("the name %s does not say the format", plain(c.Out)), "--to pem, der, p12, ck or p8 does.")
		}
	}
	in, err := readInput(c.In)
	if err != nil {
		return err
	}
	if in.is(c.Out) {
		return withHint(usageError("%s would be read and replaced", plain(c.Out)), "give another name: what the new format has no room for would be lost.")
	}
	p := c.open(ctx)
	f := inspect(in, p)
	if f.err != nil {
		return tell(s, f.report.Problems)
	}
	if err := mayWrite(c.Force, c.Out); err != nil {
		return err
	}
	file, password, err := c.convert(f, p)
	if err != nil {
		return err
	}
	if err := writeOutputs(c.Force, file); err != nil {
		return err
	}
	// Whether the credential is good for anything is not asked here.
	told := append([]credential.Problem{}, warnings(f.report.Problems)...)
	done := converted{writtenFiles([]output{file}), password.json(), told}
	if err := c.printMade(s, password, done, func(w io.Writer) error {
		_, err := io.WriteString(w, wrote([]output{file})+password.line(c.Out))
		return err
	}); err != nil {
		return err
	}
	return tell(s, told)
}

// formatOf returns the format that a file's name says.
func formatOf(name string) (targetFormat, bool) {
	base := strings.ToLower(filepath.Base(name))
	if base == defaultCK {
		return toCK, true
	}
	switch filepath.Ext(base) {
	case ".pem", ".crt", ".csr", ".certsigningrequest", ".key":
		return toPEM, true
	case ".cer", ".der":
		return toDER, true
	case ".p12", ".pfx":
		return toP12, true
	case ".p8":
		return toP8, true
	}
	return "", false
}

// convert returns the file to be written, and its password if it gets one.
func (c certConvertCmd) convert(f *inspected, p *passwords) (output, newPassword, error) {
	if c.To == toCK {
		file, err := c.identity(f)
		return file, newPassword{}, err
	}
	switch held := f.report.Contents(); c.To {
	case toP12:
		return c.toPKCS12(f, held, p)
	case toP8:
		file, err := c.toP8(f, held)
		return file, newPassword{}, err
	case toDER:
		file, err := c.toDER(f, held)
		return file, newPassword{}, err
	default:
		file, err := c.toPEM(f, held)
		return file, newPassword{}, err
	}
}

// identity returns a ck.pem.
func (c certConvertCmd) identity(f *inspected) (output, error) {
	id, _, err := credential.Assemble(f.File, credential.File{}, credential.AssembleOptions{Password: f.password, Number: c.Identity})
	if err != nil {
		return output{}, asProblem(err)
	}
	data, err := id.MarshalPEM()
	return output{path: c.Out, data: data, mode: private, note: "unencrypted key, mode 0600"}, err
}

func (c certConvertCmd) toPKCS12(f *inspected, held credential.Contents, p *passwords) (output, newPassword, error) {
	file := credential.PKCS12{Keys: held.Keys, Certificates: held.Certificates}
	if len(file.Keys)+len(file.Certificates) == 0 {
		return output{}, newPassword{}, f.nothing()
	}
	password, err := c.choose(p, "Password for "+c.Out)
	if err != nil {
		return output{}, newPassword{}, err
	}
	data, err := file.Marshal(password.text, c.style())
	return output{path: c.Out, data: data, mode: private, note: styleWords(c.style())}, password, err
}

func (c certConvertCmd) toP8(f *inspected, held credential.Contents) (output, error) {
	if len(held.Keys) != 1 || len(held.Certificates) > 0 {
		return output{}, wrong(credential.CodeP8, "%s is not a .p8: found %s.", f.report.Name, f.report.Kind)
	}
	key, ok := held.Keys[0].Key.(*ecdsa.PrivateKey)
	if !ok {
		return output{}, wrong(credential.CodeP8, "%s is not a .p8: found a private key that is not ECDSA.", f.report.Name)
	}
	data, err := credential.MarshalP8(key)
	if err != nil {
		return output{}, wrong(credential.CodeP8, "%s is not a .p8: its key is not on the curve P-256.", f.report.Name)
	}
	return output{path: c.Out, data: data, mode: private, note: "provider key, mode 0600"}, nil
}

func (c certConvertCmd) toPEM(f *inspected, held credential.Contents) (output, error) {
	switch {
	case len(held.Certificates) > 0:
		note := ""
		if len(held.Keys) > 0 {
			note = "without the private key, which --to ck keeps"
		}
		var text []byte
		for _, o := range held.Certificates {
			text = append(text, credential.MarshalCertificatePEM(o.Certificate)...)
		}
		return output{path: c.Out, data: text, mode: public, note: note}, nil
	case len(held.Requests) == 1:
		return output{path: c.Out, data: credential.MarshalRequestPEM(held.Requests[0].Raw), mode: public}, nil
	case len(held.Keys) == 1:
		data, err := credential.MarshalPrivateKeyPEM(held.Keys[0].Key)
		return output{path: c.Out, data: data, mode: private, note: "unencrypted key, mode 0600"}, err
	}
	return output{}, f.nothing()
}

func (c certConvertCmd) toDER(f *inspected, held credential.Contents) (output, error) {
	var leaves []*x509.Certificate
	for _, o := range held.Certificates {
		if !o.Certificate.IsCA || len(held.Certificates) == 1 {
			leaves = append(leaves, o.Certificate)
		}
	}
	switch {
	case len(leaves) == 1:
		note := ""
		if len(held.Certificates) > 1 || len(held.Keys) > 0 {
			note = "the certificate alone"
		}
		return output{path: c.Out, data: leaves[0].Raw, mode: public, note: note}, nil
	case len(held.Certificates) > 0:
		return output{}, wrong(credential.CodeMany, "%s holds %d certificates, and DER has room for one.", f.report.Name, len(held.Certificates))
	case len(held.Requests) == 1:
		return output{path: c.Out, data: held.Requests[0].Raw, mode: public}, nil
	case len(held.Keys) == 1:
		text, err := credential.MarshalPrivateKeyPEM(held.Keys[0].Key)
		if err != nil {
			return output{}, err
		}
		block, _ := pem.Decode(text)
		return output{path: c.Out, data: block.Bytes, mode: private, note: "unencrypted key, mode 0600"}, nil
	}
	return output{}, f.nothing()
}

// nothing says that there is nothing to convert, and what there is.
func (f *inspected) nothing() error {
	for _, o := range f.report.Objects {
		if o.Kind == credential.KindRequest {
			return wrong(credential.CodeRequest, "%s is a request, not a certificate.", f.report.Name)
		}
	}
	return wrong(credential.CodeUnknown, "%s (%s) has nothing in it that could be written so.", f.report.Name, f.report.Kind)
}
