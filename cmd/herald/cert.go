package main

import (
	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

// certCmd is about push certificates as files: no portal is needed.
type certCmd struct {
	Request  certRequestCmd  `cmd:"" help:"Make a private key and a certificate request for the portal."`
	Assemble certAssembleCmd `cmd:"" help:"Join a certificate and its private key into what servers take."`
	Inspect  certInspectCmd  `cmd:"" help:"Say what a file is and what it holds."`
	Verify   certVerifyCmd   `cmd:"" help:"Say whether a credential is good for a topic and an environment."`
	Convert  certConvertCmd  `cmd:"" help:"Write a credential in another format, cleanly."`
	Passwd   certPasswdCmd   `cmd:"" help:"Give a file another password, and encryption of today."`
}

// Help says more than the line in the list of verbs.
func (certCmd) Help() string {
	return `From nothing to a server that sends:

  herald cert request --name "Push Example" --email dev@example.com
  (upload Push.certSigningRequest on the portal, download the .cer)
  herald cert assemble --cert aps_developer_identity.cer --key Push.p12
  herald cert verify ck.pem --env sandbox

Files from Apple and from anywhere else are read: .cer, .pem, .p12, .p8,
.certSigningRequest, ck.pem, whole or mangled. No portal is needed, and no
network.

Passwords come from --password-file, --password-fd, HERALD_PASSWORD or the
terminal, never from the command line, which others can read.

Nothing is replaced without --force, and nothing is written in part.

Exit status: 0 good, 1 something is wrong (expired, another's key), 2 usage,
3 a file cannot be read (password, format).`
}

// wantedFlags say what a credential is wanted for.
type wantedFlags struct {
	Topic apns.Topic       `placeholder:"TOPIC" help:"What is to be sent to, such as com.example.app."`
	Env   apns.Environment `placeholder:"ENV" help:"The gateway's environment: sandbox or production."`
}

// styleFlags say for whom a PKCS#12 file is encrypted.
type styleFlags struct {
	Modern bool `xor:"style" help:"Encrypt the .p12 with AES-256. The default."`
	Compat bool `xor:"style" help:"Encrypt it with 3DES, for old Java, .NET and Windows."`
	Legacy bool `xor:"style" help:"Encrypt it as Keychain does, with RC2-40 and 3DES, which protects little."`
}

func (f styleFlags) style() credential.PKCS12Style {
	switch {
	case f.Compat:
		return credential.PKCS12Compat
	case f.Legacy:
		return credential.PKCS12Legacy
	}
	return credential.PKCS12Modern
}

// styleWords names the encryption of a style.
func styleWords(s credential.PKCS12Style) string {
	switch s {
	case credential.PKCS12Modern:
		return "AES-256"
	case credential.PKCS12Compat:
		return "3DES"
	case credential.PKCS12Legacy:
		return "RC2-40 and 3DES"
	}
	return s.String()
}
