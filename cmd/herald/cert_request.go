package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/heraldpush/herald/credential"
)

// certRequestCmd makes a key and a request for a certificate.
type certRequestCmd struct {
	Name             string `default:"Push" help:"Name on the request. The certificate will have the app's instead. Default: ${default}."`
	Email            string `placeholder:"ADDRESS" help:"E-mail address on the request."`
	Country          string `placeholder:"US" help:"Country on the request, two letters."`
	Out              string `default:"Push.certSigningRequest" placeholder:"FILE" help:"Where to write the request. Default: ${default}."`
	KeyOut           string `default:"Push.p12" placeholder:"FILE" help:"Where to write the private key: a .p12, with a password, or a .pem, without. Default: ${default}."`
	Force            bool   `help:"Replace files that exist. A private key that is replaced is lost."`
	GeneratePassword bool   `xor:"password" help:"Make the password of the .p12 up, and print it this once."`
	styleFlags
	passwordFlags
	quietFlags
}

// Help says more than the line in the list of verbs.
func (certRequestCmd) Help() string {
	return `The key is RSA with 2048 bits and stays on this machine; the request holds its
public half. It is what Keychain Access calls "Request a Certificate From a
Certificate Authority".`
}

// madeRequest is what the verb prints as JSON.
type madeRequest struct {
	Key      credential.KeyFacts `json:"key"`
	Files    []writtenFile       `json:"files"`
	Password string              `json:"password,omitempty"`
}

// requestKeyBits is the size of the keys of Keychain's Certificate Assistant.
const requestKeyBits = 2048

// Run implements the verb.
func (c certRequestCmd) Run(ctx context.Context, s streams) error {
	locked, err := keyFormat(c.KeyOut)
	if err != nil {
		return err
	}
	if err := mayWrite(c.Force, c.KeyOut, c.Out); err != nil {
		return err
	}
	var password newPassword
	switch {
	case locked && c.GeneratePassword:
		password = generate()
	case locked:
		if password, err = c.open(ctx).fresh("Password for " + c.KeyOut); err != nil {
			return err
		}
	case c.GeneratePassword:
		return usageError("%s is written without a password: --key-out Push.p12 makes a file that has one", plain(c.KeyOut))
	}
	key, err := rsa.GenerateKey(rand.Reader, requestKeyBits)
	if err != nil {
		return err
	}
	csr, err := credential.NewRequest(key, credential.RequestSubject{Email: c.Email, CommonName: c.Name, Country: c.Country})
	if err != nil {
		return usageError("%w", err) // of the key there is nothing to say
	}
	keyFile := output{path: c.KeyOut, mode: private, note: "private key, not encrypted, mode 0600"}
	if locked {
		file := credential.PKCS12{Keys: []credential.PKCS12Key{{Key: key, FriendlyName: c.Name}}}
		keyFile.note = "private key, " + styleWords(c.style()) + ", mode 0600"
		if keyFile.data, err = file.Marshal(password.text, c.style()); err != nil {
			return err
		}
	} else if keyFile.data, err = credential.MarshalPrivateKeyPEM(key); err != nil {
		return err
	}
	// The key first: a request without it is of no use.
	files := []output{keyFile, {
		path: c.Out, mode: public, data: credential.MarshalRequestPEM(csr),
		note: fmt.Sprintf("request of %q, RSA %d", plain(c.Name), requestKeyBits),
	}}
	if err := writeOutputs(c.Force, files...); err != nil {
		return err
	}
	sum, err := credential.Fingerprint(key.Public())
	if err != nil {
		return err
	}
	facts := credential.KeyFacts{Algorithm: fmt.Sprintf("RSA %d", requestKeyBits), Fingerprint: sum}
	return c.printMade(s, password, madeRequest{facts, writtenFiles(files), password.json()}, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s%sNext: upload %s on the portal, then\nherald cert assemble --cert aps_developer_identity.cer --key %s\n",
			wrote(files), password.line(c.KeyOut), plain(c.Out), shellWord(c.KeyOut))
		return err
	})
}

// keyFormat says by the name of a file whether a private key is locked in it.
func keyFormat(name string) (locked bool, err error) {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".p12", ".pfx":
		return true, nil
	case ".pem", ".key":
		return false, nil
	}
	return false, usageError("--key-out %s: want a name that ends in .p12 or .pem, which says the format", plain(name))
}
