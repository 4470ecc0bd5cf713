package apnsclient

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"time"

	"github.com/heraldpush/herald/credential"
)

// CertificateFile is a push certificate with its private key in a file, a .p12 or
// a .pem, that is read again when it was replaced. It is safe for concurrent use,
// and prints no secret.
type CertificateFile struct {
	file *credentialFile[*tls.Certificate]
}

// LoadCertificate reads the certificate and key in a .p12 or .pem file. The
// password is empty where there is none. The error names the file and what is
// wrong with it; it wraps credential.ErrPassword where it is the password.
func LoadCertificate(path, password string) (*CertificateFile, error) {
	file, err := loadCredential(path, func(_ string, data []byte) (*tls.Certificate, error) {
		return parseIdentity(data, password)
	})
	if err != nil {
		return nil, fmt.Errorf("push certificate: %w", err)
	}
	return &CertificateFile{file}, nil
}

// parseIdentity reads a certificate and key in any of the forms that files have.
func parseIdentity(data []byte, password string) (*tls.Certificate, error) {
	id, err := credential.OpenIdentity(data, password)
	if err != nil {
		return nil, err
	}
	pair := id.TLS()
	if _, err := readCertificate(&pair); err != nil {
		return nil, err
	}
	return &pair, nil
}

// Certificate returns the certificate that the file holds. Where the file has
// changed since the last call, it is read again; where it cannot be, the one
// from before stays, and OnChange is told.
func (c *CertificateFile) Certificate() *tls.Certificate { return c.file.get() }

// Expires returns when the certificate that the file holds ends to be valid.
func (c *CertificateFile) Expires() time.Time {
	return c.file.get().Leaf.NotAfter
}

// OnChange has f called with nil when another certificate was read, and with the
// error when one could not be: once for each, not for each try. It must not
// block. Nil ends that.
func (c *CertificateFile) OnChange(f func(error)) { c.file.onChange(f) }

// String names the file.
func (c *CertificateFile) String() string { return "push certificate in " + c.file.path }

// GoString is String, for the verb %#v.
func (c *CertificateFile) GoString() string { return c.String() }

// LogValue implements slog.LogValuer.
func (c *CertificateFile) LogValue() slog.Value { return slog.StringValue(c.String()) }
