package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"time"

	"github.com/heraldpush/herald/credential"
)

// certAssembleCmd joins a certificate and its key.
type certAssembleCmd struct {
	Cert     string `required:"" placeholder:"FILE" help:"The certificate from the portal: .cer or .pem, or a .p12 with both; - is standard input."`
	Key      string `placeholder:"FILE" help:"The private key it was requested with: .p12, .pem or .key. Without it, the key is in --cert."`
	PEM      string `name:"pem" placeholder:"FILE" help:"Write the certificate there, PEM."`
	P12      string `name:"p12" placeholder:"FILE" help:"Write both there, PKCS#12 with a password."`
	CK       string `name:"ck" placeholder:"FILE" help:"Write both there, PEM, the key not encrypted."`
	Chain    string `placeholder:"FILE" help:"Certificates of the issuers, to go into the files."`
	Identity int    `placeholder:"N" help:"Which one, if the files hold several."`
	Force    bool   `help:"Replace files that exist."`
	styleFlags
	wantedFlags
	passwordFlags
	newPasswordFlags
	quietFlags
}

// The names of what is written when none is given.
const (
	defaultPEM = "aps_developer_identity.pem"
	defaultP12 = "aps_developer_identity.p12"
	defaultCK  = "ck.pem"
)

// Help says more than the line in the list of verbs.
func (certAssembleCmd) Help() string {
	return `Without --pem, --p12 and --ck all three are written, as ` + defaultPEM + `,
` + defaultP12 + ` and ` + defaultCK + `; with any of them, those alone.
The .p12 gets the password of --new-password-file, --new-password-fd or
--generate-password, else the one that opened the key, else a new one.`
}

// assembled is what the verb prints as JSON.
type assembled struct {
	Certificate *credential.Object   `json:"certificate"`
	Files       []writtenFile        `json:"files"`
	Password    string               `json:"password,omitempty"`
	Problems    []credential.Problem `json:"problems"`
}

// Run implements the verb.
func (c certAssembleCmd) Run(ctx context.Context, s streams) error {
	if c.PEM == "" && c.P12 == "" && c.CK == "" {
		c.PEM, c.P12, c.CK = defaultPEM, defaultP12, defaultCK
	}
	p := c.open(ctx)
	id, problems, err := c.join(p)
	if err != nil {
		return err
	}
	if stops(problems) {
		return tell(s, problems)
	}
	if c.Chain != "" {
		found, err := addChain(&id, c.Chain, p)
		if err != nil {
			return err
		}
		if problems = append(problems, found...); stops(found) {
			return tell(s, problems)
		}
	}
	if err := mayWrite(c.Force, c.PEM, c.P12, c.CK); err != nil {
		return err
	}
	var password newPassword
	if c.P12 != "" {
		if password, err = c.choose(p, "Password for "+c.P12); err != nil {
			return err
		}
	}
	files, err := c.files(id, password)
	if err != nil {
		return err
	}
	if err := writeOutputs(c.Force, files...); err != nil {
		return err
	}
	cert, err := describe(id)
	if err != nil {
		return err
	}
	done := assembled{cert, writtenFiles(files), password.json(), append([]credential.Problem{}, problems...)}
	if err := c.printMade(s, password, done, func(w io.Writer) error { return c.text(w, done, files, password) }); err != nil {
		return err
	}
	return tell(s, problems)
}

// join reads both files and finds the pair.
func (c certAssembleCmd) join(p *passwords) (id credential.Identity, problems []credential.Problem, err error) {
	cert, err := readInput(c.Cert)
	if err != nil {
		return id, nil, err
	}
	key := input{}
	if c.Key != "" {
		if c.Key == "-" && c.Cert == "-" {
			return id, nil, usageError("--cert and --key cannot both be standard input")
		}
		if key, err = readInput(c.Key); err != nil {
			return id, nil, err
		}
	}
	id, problems, err = credential.Assemble(cert.File, key.File, credential.AssembleOptions{
		Password: p.ask, Number: c.Identity, Topic: c.Topic, Environment: c.Env, Now: time.Now(),
	})
	p.explain(problems)
	if err == nil {
		secret := key
		if c.Key == "" {
			secret = cert
		}
		problems = append(problems, secret.exposed()...)
	}
	// The error is one of the problems, which are told all together.
	return id, problems, nil
}

// files returns what is to be written.
func (c certAssembleCmd) files(id credential.Identity, password newPassword) ([]output, error) {
	var files []output
	if c.PEM != "" {
		files = append(files, output{
			path: c.PEM, mode: public,
			data: credential.MarshalCertificatePEM(append([]*x509.Certificate{id.Certificate}, id.Chain...)...),
		})
	}
	if c.P12 != "" {
		data, err := marshalPKCS12(id, password.text, c.style())
		if err != nil {
			return nil, err
		}
		files = append(files, output{path: c.P12, mode: private, data: data, note: styleWords(c.style())})
	}
	if c.CK != "" {
		data, err := id.MarshalPEM()
		if err != nil {
			return nil, err
		}
		files = append(files, output{path: c.CK, mode: private, data: data, note: "unencrypted key, mode 0600"})
	}
	return files, nil
}

// marshalPKCS12 writes an identity under the name of its certificate, as
// Keychain shows it.
func marshalPKCS12(id credential.Identity, password string, style credential.PKCS12Style) ([]byte, error) {
	name := id.Certificate.Subject.CommonName
	file := credential.PKCS12{
		Keys:         []credential.PKCS12Key{{Key: id.Key, FriendlyName: name}},
		Certificates: []credential.PKCS12Certificate{{Certificate: id.Certificate, FriendlyName: name}},
	}
	for _, issuer := range id.Chain {
		file.Certificates = append(file.Certificates, credential.PKCS12Certificate{Certificate: issuer})
	}
	return file.Marshal(password, style)
}

// describe returns the facts of an identity's certificate.
func describe(id credential.Identity) (*credential.Object, error) {
	r, err := credential.Inspect("", credential.MarshalCertificatePEM(id.Certificate), credential.InspectOptions{Now: time.Now()})
	if err != nil {
		return nil, err
	}
	return &r.Objects[0], nil
}

func (c certAssembleCmd) text(w io.Writer, done assembled, files []output, password newPassword) error {
	if err := certificateLines(w, done.Certificate); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%s%sNext: %s\n", wrote(files), password.line(c.P12), c.next(done.Certificate))
	return err
}

// next says what to do with what was written.
func (c certAssembleCmd) next(o *credential.Object) string {
	file := c.CK
	if file == "" {
		file = c.P12
	}
	if file == "" {
		return "give the file to your server, together with the private key."
	}
	next := "herald cert verify " + shellWord(file)
	if len(o.Environments) > 0 {
		next += " --env " + o.Environments[0].String()
	}
	if c.P12 != "" {
		return next + ", or give the .p12 to your server."
	}
	return next + ", or give the file to your server."
}
