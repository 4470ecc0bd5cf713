package credential

import "crypto/x509"

// Contents is what a file holds, with its secrets, each kind in the file's
// order: a Report says what there is, and this is it. It never prints its keys.
type Contents struct {
	// Keys are the private keys that opened.
	Keys []PKCS12Key
	// Certificates are those of the keys and those of the chain alike.
	Certificates []PKCS12Certificate
	// Requests are certificate requests. Their signatures were not checked.
	Requests []*x509.CertificateRequest
}

// Contents returns what the file that r is about holds. What could not be read
// is missing: the error of Inspect says so.
func (r *Report) Contents() Contents {
	var c Contents
	if r.contents == nil {
		return c
	}
	for _, i := range r.contents.items {
		switch {
		case i.key != nil:
			c.Keys = append(c.Keys, PKCS12Key{Key: i.key, FriendlyName: i.friendly})
		case i.cert != nil:
			c.Certificates = append(c.Certificates, PKCS12Certificate{Certificate: i.cert, FriendlyName: i.friendly})
		case i.request != nil:
			c.Requests = append(c.Requests, i.request)
		}
	}
	return c
}
