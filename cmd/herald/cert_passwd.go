package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/heraldpush/herald/credential"
)

// certPasswdCmd gives a file another password.
type certPasswdCmd struct {
	File  string `arg:"" help:"File to write anew, in its place: a .p12, or a .pem with a private key."`
	Out   string `placeholder:"FILE" help:"Write there instead, and leave the file as it is."`
	Force bool   `help:"Replace --out if it exists."`
	styleFlags
	passwordFlags
	newPasswordFlags
	quietFlags
}

// Help says more than the line in the list of verbs.
func (certPasswdCmd) Help() string {
	return `What was encrypted with RC2 or 3DES, as Keychain does, is encrypted with
AES-256. The old password comes from --password-file, --password-fd,
HERALD_PASSWORD or the terminal; the new one from --new-password-file,
--new-password-fd, --generate-password or the terminal, which asks twice.`
}

// Run implements the verb.
func (c certPasswdCmd) Run(ctx context.Context, s streams) error {
	if c.File == "-" && c.Out == "" {
		return usageError("standard input cannot be replaced: --out FILE says where to write")
	}
	if c.PasswordFD != nil && c.NewPasswordFD != nil && *c.PasswordFD == *c.NewPasswordFD {
		return usageError("--password-fd and --new-password-fd are the same: each is read to its end")
	}
	in, err := readInput(c.File)
	if err != nil {
		return err
	}
	p := c.open(ctx)
	f := inspect(in, p)
	if f.err != nil {
		return tell(s, f.report.Problems)
	}
	file := output{path: c.Out, mode: private}
	if c.Out == "" {
		// Where it is a link, the file behind it must not keep the old password.
		if file.path, err = filepath.EvalSymlinks(c.File); err != nil {
			return unreadable(err)
		}
	}
	held := f.report.Contents()
	if err := c.check(f, held); err != nil {
		return err
	}
	if err := mayWrite(c.Force, c.Out); err != nil {
		return err
	}
	password, err := c.own(p, "New password for "+file.path)
	if err != nil {
		return err
	}
	if f.isPKCS12() {
		file.note = styleWords(c.style())
		file.data, err = (&credential.PKCS12{Keys: held.Keys, Certificates: held.Certificates}).Marshal(password.text, c.style())
	} else {
		file.note = "AES-256"
		file.data, err = lockPEM(held, password.text)
	}
	if err != nil {
		return err
	}
	if err := writeOutputs(c.Force || c.Out == "", file); err != nil {
		return err
	}
	done := converted{writtenFiles([]output{file}), password.json(), []credential.Problem{}}
	return c.printMade(s, password, done, func(w io.Writer) error {
		_, err := io.WriteString(w, wrote([]output{file})+password.line(file.path))
		return err
	})
}

// check refuses what has no password, or is better without one.
func (c certPasswdCmd) check(f *inspected, held credential.Contents) error {
	switch {
	case f.isPKCS12() && len(held.Keys)+len(held.Certificates) > 0:
		return nil
	case len(held.Keys) == 0:
		return wrong(credential.CodeNoKey, "%s holds no private key, so there is nothing to lock.", f.report.Name)
	case len(f.report.Objects) == 1 && f.report.Objects[0].Kind == credential.KindProviderKey:
		return withHint(&statusError{fmt.Errorf("%s is a provider key, which no server reads with a password", f.report.Name), exitWrong},
			"guard the file: chmod 600.")
	case c.Compat || c.Legacy:
		return usageError("--compat and --legacy are for a .p12")
	case len(held.Requests) > 0:
		return withHint(&statusError{fmt.Errorf("%s holds a request and a private key", f.report.Name), exitWrong},
			"keep them in two files: the request is for others.")
	case c.Out == "" && len(held.Keys)+len(held.Certificates) < len(f.report.Objects):
		return withHint(&statusError{fmt.Errorf("%s holds more than certificates and private keys, which would be lost", f.report.Name), exitWrong},
			"--out FILE writes these into another file.")
	}
	return nil
}

func (f *inspected) isPKCS12() bool { return f.report.Format == "PKCS#12" }

// lockPEM returns certificates and keys as PEM, in the order of a ck.pem, each
// key encrypted.
func lockPEM(held credential.Contents, password string) ([]byte, error) {
	var text []byte
	certs := held.Certificates
	if len(certs) > 0 { // the certificate, the key, the chain
		text, certs = credential.MarshalCertificatePEM(certs[0].Certificate), certs[1:]
	}
	for _, k := range held.Keys {
		locked, err := credential.MarshalEncryptedPrivateKeyPEM(k.Key, password)
		if err != nil {
			return nil, err
		}
		text = append(text, locked...)
	}
	for _, o := range certs {
		text = append(text, credential.MarshalCertificatePEM(o.Certificate)...)
	}
	return text, nil
}
