package main

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"

	"github.com/heraldpush/herald/credential"
)

type certificate = x509.Certificate

// contents is what a file holds, with its secrets, in the file's order.
type contents struct {
	certs    []*certificate
	keys     []crypto.Signer
	requests [][]byte           // DER
	pkcs12   *credential.PKCS12 // if it is one
}

// open returns what a file holds. It was read without an error before.
func (f *inspected) open() (*contents, error) {
	c := new(contents)
	clean, _ := credential.CleanText(f.Data) // the report has what was repaired
	if bytes.Contains(clean, []byte("-----BEGIN ")) {
		for {
			var b *pem.Block
			if b, clean = pem.Decode(clean); b == nil {
				return c, nil
			}
			if err := f.add(c, b); err != nil {
				return nil, err
			}
		}
	}
	var value asn1.RawValue
	if _, err := asn1.Unmarshal(clean, &value); err == nil {
		clean = value.FullBytes // without what follows it
	}
	return c, f.add(c, &pem.Block{Type: "PRIVATE KEY", Bytes: clean})
}

// add adds what a block holds, by its content: labels are often wrong.
func (f *inspected) add(c *contents, b *pem.Block) error {
	if b.Type == "EC PARAMETERS" {
		return nil
	}
	if b.Headers["DEK-Info"] == "" {
		if cert, err := x509.ParseCertificate(b.Bytes); err == nil {
			c.certs = append(c.certs, cert)
			return nil
		}
		if _, err := x509.ParseCertificateRequest(b.Bytes); err == nil {
			c.requests = append(c.requests, b.Bytes)
			return nil
		}
		if f.report.Format == "PKCS#12" || b.Type == "PKCS12" {
			return f.addPKCS12(c, b.Bytes)
		}
		b = &pem.Block{Type: "PRIVATE KEY", Bytes: b.Bytes}
	}
	if !f.holdsKey() { // of another kind, such as a revocation list
		return nil
	}
	key, err := credential.ParsePrivateKeyPEM(pem.EncodeToMemory(b), func() (string, error) { return f.password("Pass phrase") })
	if err != nil {
		return unreadable(fmt.Errorf("%s: %w", f.report.Name, err))
	}
	c.keys = append(c.keys, key)
	return nil
}

// addPKCS12 adds what a PKCS#12 file holds. As when it was inspected, the empty
// password is tried before anybody is asked.
func (f *inspected) addPKCS12(c *contents, der []byte) error {
	p, err := credential.ParsePKCS12(der, "")
	if err != nil {
		password, askErr := f.password("Password for " + f.report.Name)
		if askErr != nil {
			return unreadable(fmt.Errorf("%s: %w", f.report.Name, askErr))
		}
		if p, err = credential.ParsePKCS12(der, password); err != nil {
			return unreadable(fmt.Errorf("%s: %w", f.report.Name, err))
		}
	}
	c.pkcs12 = p
	for _, k := range p.Keys {
		c.keys = append(c.keys, k.Key)
	}
	for _, cert := range p.Certificates {
		c.certs = append(c.certs, cert.Certificate)
	}
	return nil
}
