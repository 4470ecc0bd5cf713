package credential

import (
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

// errNoPEM says that the input has no PEM block at all, nor anything that one
// could be made of.
var errNoPEM = errors.New("no PEM block")

// pemBlocks returns all blocks of data, of which there is at least one. It is
// the one door through which text comes to the parsers, so that all of them
// take what CleanText can repair. Who wants to warn of that calls CleanText
// first: text is cleaned once only, since what is clean is left alone.
func pemBlocks(data []byte) ([]*pem.Block, error) {
	if err := checkSize(data); err != nil {
		return nil, err
	}
	text, done := CleanText(data)
	if len(done) > 0 {
		defer clear(text) // a copy, which may hold a key
	}
	if isDER(text) {
		return nil, fmt.Errorf("%w: this is %s in binary form (DER); herald cert convert makes text of it", errNoPEM, shapeOf(text).article())
	}
	blocks := decodeBlocks(text)
	switch damaged := damagedBlocks(text, blocks); {
	case damaged > 0:
		clearKeys(blocks)
		return nil, fmt.Errorf("%d of %d PEM blocks are damaged: their base64 is cut off or changed; copy the file itself, not its text",
			damaged, damaged+len(blocks))
	case len(blocks) == 0:
		return nil, fmt.Errorf("%w: the text has no line that starts with -----BEGIN; copy the whole file, with its first and its last line", errNoPEM)
	}
	return blocks, nil
}

// decodeBlocks returns the blocks of text that are sound. pem.Decode passes
// over a block that it cannot read and returns the next, so that a damaged
// certificate would vanish and its key be taken for the first block: see
// damagedBlocks.
func decodeBlocks(text []byte) []*pem.Block {
	var blocks []*pem.Block
	for {
		var b *pem.Block
		if b, text = pem.Decode(text); b == nil {
			return blocks
		}
		blocks = append(blocks, b)
	}
}

// damagedBlocks returns how many headers text has for which there is no block.
func damagedBlocks(text []byte, blocks []*pem.Block) int {
	headers := 0
	for _, m := range findMarks(string(text)) {
		if !m.footer {
			headers++
		}
	}
	return max(headers-len(blocks), 0)
}

// binaryOf returns the bytes of a file that is binary by nature, also where
// somebody made text of it: base64, or PEM. Other text comes back cleaned.
func binaryOf(data []byte, shape derShape) []byte {
	clean, _ := CleanText(data)
	if b, _ := pem.Decode(clean); b != nil && (b.Type == shape.label() || shapeOf(b.Bytes) == shape) {
		return b.Bytes
	}
	return clean
}

func checkSize(data []byte) error {
	switch {
	case len(data) == 0:
		return errors.New("empty: some commands leave an empty file behind when they fail; make or download it again")
	case len(data) > maxInputBytes:
		return fmt.Errorf("%d bytes, at most %d are read: check that it is the right file", len(data), maxInputBytes)
	}
	return nil
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

// ParseCertificatesPEM reads certificates as text: at least one, at most the given
// number, and nothing else. The error says what was found.
func ParseCertificatesPEM(data []byte, most int) ([]*x509.Certificate, error) {
	blocks, err := pemBlocks(data)
	if err != nil {
		return nil, fmt.Errorf("certificates: %w", err)
	}
	defer clearKeys(blocks)
	if len(blocks) > most {
		return nil, fmt.Errorf("certificates: %d PEM blocks, at most %d are wanted", len(blocks), most)
	}
	certs := make([]*x509.Certificate, 0, len(blocks))
	for _, b := range blocks {
		if b.Type != pemCertificate {
			return nil, fmt.Errorf("certificates: this is %s", describePEM(b))
		}
		cert, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificates: %w", err)
		}
		certs = append(certs, cert)
	}
	return certs, nil
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
