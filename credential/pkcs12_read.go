package credential

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
)

// Bounds of a PKCS#12 file.
const (
	maxPKCS12Bytes = 1 << 20
	maxSafes       = 64
	maxBags        = 256 // of all safes together
	maxAttributes  = 64  // of a bag
	maxNestedSafes = 4   // how deep safes may lie in bags
)

// Kinds of content (RFC 5652).
var (
	oidPKCS7         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7}
	oidData          = under(oidPKCS7, 1)
	oidSignedData    = under(oidPKCS7, 2)
	oidEncryptedData = under(oidPKCS7, 6)
)

// pfx is PFX (RFC 7292 section 4).
//
//	PFX             SEQUENCE { version 3, authSafe, macData OPTIONAL }
//	authSafe        ContentInfo of the type data: an AuthenticatedSafe, and what the MAC covers
//	AuthenticatedSafe  SEQUENCE OF ContentInfo: data or encryptedData, each a SafeContents
//	SafeContents    SEQUENCE OF SafeBag: a key, an encrypted key, a certificate, more bags …
type pfx struct {
	Version  int
	AuthSafe contentInfo
	MAC      asn1.RawValue `asn1:"optional"`
}

// contentInfo is ContentInfo (RFC 5652 section 3).
type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue `asn1:"optional"` // [0] EXPLICIT
}

// encryptedData is EncryptedData (RFC 5652 section 8).
type encryptedData struct {
	Version int
	Info    struct {
		Type      asn1.ObjectIdentifier
		Algorithm pkix.AlgorithmIdentifier
		Content   asn1.RawValue `asn1:"optional"` // [0] IMPLICIT OCTET STRING
	}
}

// ParsePKCS12 reads a PKCS#12 file (RFC 7292), also called .p12 or .pfx, of
// any number of keys and certificates, encrypted or not, in DER or BER
// (docs/protocol/certificates.md#pkcs12), also as base64 or PEM. An empty
// password is tried in both of its forms.
//
// The error is or wraps ErrPassword, ErrKeyPassword, an *UnsupportedError, a
// *LimitError or a *NotPKCS12Error; any other says that the file is damaged.
// None repeats what was read. A hostile file costs some seconds at most, and
// that only with its password or without a MAC.
//
// A file without a MAC is read: see PKCS12.MAC.
func ParsePKCS12(data []byte, password string) (*PKCS12, error) {
	p, err := parsePKCS12(data, password, newWorkLimit())
	if err != nil {
		return nil, fmt.Errorf("pkcs12: %w", err)
	}
	return p, nil
}

func parsePKCS12(data []byte, password string, work *workLimit) (*PKCS12, error) {
	if len(data) > maxPKCS12Bytes {
		return nil, &LimitError{What: "bytes", Got: len(data), Max: maxPKCS12Bytes}
	}
	if len(data) == 0 {
		return nil, errors.New("empty")
	}
	forms, err := passphrases(password)
	if err != nil {
		return nil, err
	}
	file, err := readPFX(data)
	if err != nil {
		return nil, err
	}
	for _, form := range forms {
		r := &pkcs12Reader{work: work, password: form}
		if err = r.file(file); err == nil {
			return &r.found, nil
		}
		if !errors.Is(err, ErrPassword) {
			return nil, err
		}
	}
	return nil, err
}

// readPFX reads the outermost structure, or says what else data is.
func readPFX(data []byte) (file pfx, err error) {
	data = binaryOf(data, shapePKCS12)
	if b, _ := pem.Decode(data); b != nil {
		return file, &NotPKCS12Error{Found: describePEM(b)}
	}
	der, err := toDER(data)
	if err != nil {
		if found := describeForeign(data); found != "" {
			return file, &NotPKCS12Error{Found: found}
		}
		if bytes.HasPrefix(data, []byte{0x30}) { // it may well have been one
			return file, err
		}
		return file, &NotPKCS12Error{}
	}
	if unmarshalAll(der, &file) != nil {
		return file, &NotPKCS12Error{Found: describeForeign(der)}
	}
	if file.Version != 3 {
		if found := describeForeign(der); found != "" { // such as a key, which begins in the same way
			return file, &NotPKCS12Error{Found: found}
		}
		return file, fmt.Errorf("version %d of PKCS#12, want 3", file.Version)
	}
	return file, nil
}

// describeForeign says what data is that is no PKCS#12. It is empty for what
// this package does not know.
func describeForeign(data []byte) string {
	switch {
	case bytes.Contains(data, []byte(pemBeginning)):
		return "damaged PEM text"
	case bytes.HasPrefix(data, []byte{0xfe, 0xed, 0xfe, 0xed}):
		return "a Java keystore of the old kind"
	}
	switch shape := shapeOf(data); shape {
	case shapeUnknown, shapePKCS12:
		return ""
	case shapeSignedData:
		return "a signed message, such as a provisioning profile"
	default:
		return shape.article()
	}
}

// pkcs12Reader reads one file with one form of the password.
type pkcs12Reader struct {
	work     *workLimit
	password passphrase
	found    PKCS12
	bags     int // so far
}

// file reads the whole file. The MAC comes first: until it agrees, nothing of
// the file is worth the work.
func (r *pkcs12Reader) file(file pfx) error {
	if !file.AuthSafe.Type.Equal(oidData) { // signedData is the mode with public keys
		return unsupported("integrity mode", file.AuthSafe.Type)
	}
	content, err := file.AuthSafe.octets()
	if err != nil {
		return err
	}
	if len(file.MAC.FullBytes) > 0 {
		if r.found.MAC, err = r.checkMAC(file.MAC.FullBytes, content); err != nil {
			return err
		}
	}
	safes, err := readSequence(content, "safes", maxSafes)
	if err != nil {
		return err
	}
	for _, v := range safes {
		var safe contentInfo
		if err := unmarshalAll(v.FullBytes, &safe); err != nil {
			return err
		}
		if err := r.safe(safe); err != nil {
			return err
		}
	}
	return nil
}

// safe reads one of the safes.
func (r *pkcs12Reader) safe(safe contentInfo) error {
	switch {
	case safe.Type.Equal(oidData):
		content, err := safe.octets()
		if err != nil {
			return err
		}
		return r.safeContents(content, 0)
	case safe.Type.Equal(oidEncryptedData):
		var data encryptedData
		if err := safe.unmarshal(&data); err != nil {
			return err
		}
		sealed, err := implicitOctets(data.Info.Content)
		if err != nil {
			return err
		}
		content, err := r.decrypt(data.Info.Algorithm, sealed)
		if err != nil {
			return err
		}
		defer clear(content)
		return r.safeContents(content, 0)
	}
	return unsupported("privacy mode", safe.Type) // envelopedData is the mode with public keys
}

// decrypt returns what was encrypted, a sequence in DER. Without a MAC,
// anything but a sequence comes from a wrong password.
func (r *pkcs12Reader) decrypt(alg pkix.AlgorithmIdentifier, sealed []byte) ([]byte, error) {
	e, err := parseEncryption(alg)
	if err != nil {
		return nil, err
	}
	plain, err := e.decrypt(r.work, r.password, sealed)
	if err == nil {
		defer clear(plain)
		var der []byte
		if der, err = toDER(plain); err == nil && der[0] == derSequence {
			r.found.note(e.cipher)
			return der, nil
		}
		err = ErrPassword
	}
	if errors.Is(err, ErrPassword) && r.found.MAC != "" {
		return nil, ErrKeyPassword
	}
	return nil, err
}

// note adds what a part was encrypted with.
func (p *PKCS12) note(c blockCipher) {
	if !slices.Contains(p.Encryption, c.name) {
		p.Encryption = append(p.Encryption, c.name)
	}
	p.Old = p.Old || c.old
}

// derSequence is the first byte of a SEQUENCE.
const derSequence = 0x20 | asn1.TagSequence

// unmarshal reads what is in the content.
func (c contentInfo) unmarshal(v any) error {
	if c.Content.Class != asn1.ClassContextSpecific || c.Content.Tag != 0 || !c.Content.IsCompound {
		return errDamaged
	}
	return unmarshalAll(c.Content.Bytes, v)
}

// octets returns the content of the type data.
func (c contentInfo) octets() ([]byte, error) {
	var content []byte
	return content, c.unmarshal(&content)
}

// implicitOctets returns the octet string behind a tag 0 that took the place
// of its own, in pieces or whole.
func implicitOctets(v asn1.RawValue) ([]byte, error) {
	switch {
	case v.Class != asn1.ClassContextSpecific || v.Tag != 0:
		return nil, errDamaged
	case v.IsCompound:
		return joinOctets(v.Bytes)
	}
	return v.Bytes, nil
}

// readSequence returns the elements of a SEQUENCE OF in BER, at most limit of
// them.
func readSequence(ber []byte, what string, limit int) ([]asn1.RawValue, error) {
	der, err := toDER(ber)
	if err != nil {
		return nil, err
	}
	var list asn1.RawValue
	if err := unmarshalAll(der, &list); err != nil {
		return nil, err
	}
	if list.Class != asn1.ClassUniversal || list.Tag != asn1.TagSequence {
		return nil, errDamaged
	}
	return readElements(list.Bytes, what, limit)
}
