package credential

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// maxInputBytes bounds every credential that is read. An identity with a
// chain of three RSA 4096 certificates takes less than 12 KiB.
const maxInputBytes = 64 << 10

// The labels of PEM blocks.
const (
	pemCertificate   = "CERTIFICATE"
	pemRequest       = "CERTIFICATE REQUEST"
	pemOldRequest    = "NEW CERTIFICATE REQUEST"
	pemPKCS8         = "PRIVATE KEY"
	pemEncryptedKey  = "ENCRYPTED PRIVATE KEY"
	pemRSAKey        = "RSA PRIVATE KEY"
	pemECKey         = "EC PRIVATE KEY"
	pemECParameters  = "EC PARAMETERS"
	pemPublicKey     = "PUBLIC KEY"
	pemBeginning     = "-----BEGIN "
	pemKeyEncryption = "DEK-Info" // header of a key in the encryption of RFC 1423
)

// errNoPEM says that the input has no PEM block at all.
var errNoPEM = errors.New("no PEM block: the text has no line that starts with -----BEGIN")

// pemBlocks returns all blocks of data, of which there is at least one.
//
// pem.Decode passes over a block that it cannot read and returns the next,
// so that a certificate behind a byte-order mark vanishes and its key is
// taken for the first block. Here that is an error.
func pemBlocks(data []byte) ([]*pem.Block, error) {
	if err := checkSize(data); err != nil {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return nil, errors.New("the text starts with a byte-order mark: save it as UTF-8 without one")
	case bytes.HasPrefix(data, []byte("\xfe\xff")), bytes.HasPrefix(data, []byte("\xff\xfe")):
		return nil, errors.New("the text is UTF-16: save it as UTF-8")
	}
	want := bytes.Count(data, []byte(pemBeginning))
	if want == 0 {
		return nil, errNoPEM
	}
	var blocks []*pem.Block
	for {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			break
		}
		blocks = append(blocks, b)
	}
	if len(blocks) != want {
		return nil, fmt.Errorf("%d of %d PEM blocks are damaged: each BEGIN and END must be a line of its own, with unbroken base64 between", want-len(blocks), want)
	}
	return blocks, nil
}

func checkSize(data []byte) error {
	switch {
	case len(data) == 0:
		return errors.New("empty")
	case len(data) > maxInputBytes:
		return fmt.Errorf("%d bytes, at most %d are read", len(data), maxInputBytes)
	}
	return nil
}

// looksLikePEM reports whether data is text with PEM blocks, or text that a
// person would take for it, and not DER, which starts with a SEQUENCE.
func looksLikePEM(data []byte) bool {
	return len(data) > 0 && data[0] != 0x30
}

// describePEM says what a block holds, for the sentence "this is …".
func describePEM(b *pem.Block) string {
	switch b.Type {
	case pemCertificate:
		return "a certificate"
	case pemRequest, pemOldRequest:
		return "a certificate request"
	case pemEncryptedKey:
		return "an encrypted private key"
	case pemRSAKey, pemECKey, pemPKCS8:
		if b.Headers[pemKeyEncryption] != "" {
			return "an encrypted private key"
		}
		if b.Type == pemRSAKey {
			return "an RSA private key"
		}
		return "a private key"
	case pemPublicKey:
		return "a public key"
	}
	return fmt.Sprintf("a PEM block labelled %.40q", b.Type)
}

// describeDER says what der holds, for the sentence "this is …". It is empty
// when that is none of the things this package knows.
func describeDER(der []byte) string {
	if _, err := x509.ParseCertificate(der); err == nil {
		return "a certificate"
	}
	if _, err := x509.ParseCertificateRequest(der); err == nil {
		return "a certificate request"
	}
	if _, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return "a private key"
	}
	if _, err := x509.ParsePKIXPublicKey(der); err == nil {
		return "a public key"
	}
	return ""
}

// MarshalRequestPEM returns a certificate request as text, the form of a
// .certSigningRequest file.
func MarshalRequestPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: pemRequest, Bytes: der})
}

// MarshalCertificatePEM returns certificates as text, in the given order.
func MarshalCertificatePEM(certs ...*x509.Certificate) []byte {
	var text []byte
	for _, c := range certs {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: c.Raw})...)
	}
	return text
}
