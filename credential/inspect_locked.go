package credential

import (
	"encoding/pem"
	"errors"
	"strings"
)

// pkcs12 reads a PKCS#12 file. The empty password is tried before anybody is
// asked for one.
func (c *contents) pkcs12(data []byte) {
	p, err := parsePKCS12(data, "", c.tried)
	asked := false
	if errors.Is(err, ErrPassword) && c.password != nil {
		var password string
		if password, err = c.password("Password for " + c.name); err != nil {
			err = ErrNoPassword
		} else {
			asked = true
			p, err = parsePKCS12(data, password, c.opened)
		}
	}
	if err != nil {
		c.report(c.lockProblem(err, asked))
		return
	}
	c.encryption = append(c.encryption, p.Encryption...)
	if p.Old {
		c.report(problemf(WarnOldPKCS12, "%s is encrypted with %s, as Keychain Access writes it; that protects it from nobody any more.", c.name, strings.Join(p.Encryption, " and ")))
	}
	if p.MAC == "" {
		c.report(problemf(WarnNoMAC, "%s has no checksum: nobody can tell whether it was changed.", c.name))
	}
	for _, cert := range p.Certificates {
		c.add(item{shape: shapeCertificate, cert: cert.Certificate, friendly: cert.FriendlyName})
	}
	for _, key := range p.Keys {
		c.add(item{shape: shapePKCS8, key: key.Key, friendly: key.FriendlyName})
	}
	if len(p.Certificates)+len(p.Keys) == 0 {
		c.report(problemf(CodeNoKey, "%s is a PKCS#12 file with neither a private key nor a certificate.", c.name))
	}
}

// lockedKey reads an encrypted private key.
func (c *contents) lockedKey(b *pem.Block) {
	asked := false
	var ask func() (string, error)
	if c.password != nil {
		ask = func() (string, error) {
			password, err := c.password("Pass phrase of the private key in " + c.name)
			if err != nil {
				return "", ErrNoPassword
			}
			asked = true
			return password, nil
		}
	}
	i := item{shape: shapeEncryptedPKCS8, encryption: encryptionOf(b)}
	key, err := openKeyBlock(b, ask, c.opened)
	if err != nil {
		c.report(c.lockProblem(err, asked))
	} else {
		i.key = key
	}
	c.add(i)
}

// encryptionOf names the encryption of a private key.
func encryptionOf(b *pem.Block) string {
	if info := b.Headers[pemKeyEncryption]; info != "" {
		name, _, _ := strings.Cut(info, ",")
		return printable(name) + " of traditional PEM"
	}
	var sealed encryptedKeyInfo
	if unmarshalAll(b.Bytes, &sealed) == nil {
		if e, err := parseEncryption(sealed.Algorithm); err == nil {
			return e.cipher.name
		}
	}
	return "unknown"
}

// lockProblem says why something did not open. What can not be decrypted is
// never called a wrong password.
func (c *contents) lockProblem(err error, asked bool) Problem {
	var unsupported *UnsupportedError
	var limit *LimitError
	switch {
	case errors.Is(err, ErrKeyPassword):
		return problemf(CodePassword, "%s opens with this password, but a part of it is locked with another one.", c.name).
			withHint("Export it again, with one password for all.")
	case errors.Is(err, ErrPassword) && asked:
		return problemf(CodePassword, "%s did not open with this password (its own check disagrees).", c.name)
	case errors.Is(err, ErrPassword), errors.Is(err, ErrNoPassword):
		return problemf(CodePassword, "%s is locked with a password, and none was given.", c.name)
	case errors.As(err, &unsupported):
		return problemf(CodeUnsupported, "%s can not be opened: %s.", c.name, printable(unsupported.Error()))
	case errors.As(err, &limit):
		return problemf(CodeTooLarge, "%s asks for too much: %s.", c.name, limit.Error())
	}
	return problemf(CodeDamaged, "%s is damaged: what it should hold is not there in full.", c.name)
}
