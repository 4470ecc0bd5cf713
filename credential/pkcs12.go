package credential

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// PKCS12Style says for whom a PKCS#12 file is encrypted
// (docs/protocol/certificates.md#pkcs12).
type PKCS12Style uint8

// The styles. There is no zero style. All are pinned: what a library calls its
// modern way may move on, and OpenSSL 3.0 reports the next one's files as a
// wrong password.
const (
	// PKCS12Modern is AES-256-CBC with HMAC-SHA-256, for readers from OpenSSL
	// 1.1.1, Java 12 and Windows Server 2019 on.
	PKCS12Modern PKCS12Style = iota + 1
	// PKCS12Compat is 3DES with SHA-1, for everything else. Whoever has the
	// file and time has the key.
	PKCS12Compat
	// PKCS12Legacy is what Keychain writes: RC2 with 40 bits for the
	// certificates, which protects nothing, and 3DES for the keys. It is for
	// readers that know no more; OpenSSL 3 reads it only with -legacy.
	PKCS12Legacy
)

// String returns "modern", "compat" or "legacy".
func (s PKCS12Style) String() string {
	switch s {
	case PKCS12Modern:
		return "modern"
	case PKCS12Compat:
		return "compat"
	case PKCS12Legacy:
		return "legacy"
	}
	return fmt.Sprintf("PKCS12Style(%d)", uint8(s))
}

// MarshalPKCS12 returns id as a PKCS#12 file (RFC 7292), encrypted with
// password. The password is required, since readers disagree on what an empty
// one is, and is of characters below U+10000. The file protects the key no
// better than the password does: make that a random one.
func (id Identity) MarshalPKCS12(password string, style PKCS12Style) ([]byte, error) {
	if err := id.check(); err != nil {
		return nil, fmt.Errorf("pkcs12: %w", err)
	}
	file := PKCS12{
		Keys:         []PKCS12Key{{Key: id.Key}},
		Certificates: []PKCS12Certificate{{Certificate: id.Certificate}},
	}
	for _, c := range id.Chain {
		file.Certificates = append(file.Certificates, PKCS12Certificate{Certificate: c})
	}
	return file.Marshal(password, style)
}

// checkPKCS12Password refuses what PKCS#12 can not carry: its passwords are
// in UCS-2 (RFC 7292 appendix B.1).
func checkPKCS12Password(password string) error {
	if password == "" {
		return errors.New("no password: give one, since readers disagree on what an empty one is")
	}
	if !utf8.ValidString(password) {
		return errors.New("the password is not UTF-8: choose another")
	}
	for _, r := range password {
		if r > 0xffff {
			return errors.New("the password has a character beyond U+FFFF, such as an emoji: choose another")
		}
	}
	return nil
}
