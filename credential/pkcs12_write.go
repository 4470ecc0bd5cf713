package credential

import (
	"crypto/sha1"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
)

// Marshal returns p as a PKCS#12 file (RFC 7292), encrypted with password, with
// its friendly names: one safe of encrypted certificates and one of encrypted
// keys, either of which may be missing. A key without a certificate makes a
// file as Keychain exports it before there is a certificate. What
// Identity.MarshalPKCS12 says of the password holds here too.
func (p *PKCS12) Marshal(password string, style PKCS12Style) ([]byte, error) {
	der, err := p.marshal(password, style)
	if err != nil {
		return nil, fmt.Errorf("pkcs12: %w", err)
	}
	return der, nil
}

func (p *PKCS12) marshal(password string, style PKCS12Style) ([]byte, error) {
	if len(p.Keys) == 0 && len(p.Certificates) == 0 {
		return nil, errors.New("neither a private key nor a certificate")
	}
	if len(p.Keys)+len(p.Certificates) > maxBags {
		return nil, &LimitError{What: "keys and certificates", Got: len(p.Keys) + len(p.Certificates), Max: maxBags}
	}
	if err := checkPKCS12Password(password); err != nil {
		return nil, err
	}
	forms, err := passphrases(password)
	if err != nil {
		return nil, err
	}
	// The rounds written are of our own choosing, and need no bound.
	w := &pkcs12Writer{style: style, password: forms[0], work: &workLimit{max: 1 << 30}}
	return w.file(p)
}

// pkcs12Writer writes one file.
type pkcs12Writer struct {
	style    PKCS12Style
	password passphrase
	work     *workLimit
}

func (w *pkcs12Writer) file(p *PKCS12) ([]byte, error) {
	mac := oidSHA1
	switch w.style {
	case PKCS12Modern:
		mac = oidSHA256
	case PKCS12Compat, PKCS12Legacy:
	default:
		return nil, fmt.Errorf("no such style: %v", w.style)
	}
	var safes []contentInfo
	if len(p.Certificates) > 0 {
		safe, err := w.certificates(p)
		if err != nil {
			return nil, err
		}
		safes = append(safes, safe)
	}
	if len(p.Keys) > 0 {
		safe, err := w.keys(p)
		if err != nil {
			return nil, err
		}
		safes = append(safes, safe)
	}
	content, err := asn1.Marshal(safes)
	if err != nil {
		return nil, err
	}
	proof, err := newMAC(mac, w.work, w.password, content)
	if err != nil {
		return nil, err
	}
	proofDER, err := asn1.Marshal(proof)
	if err != nil {
		return nil, err
	}
	data, err := newData(content)
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(pfx{Version: 3, AuthSafe: data, MAC: asn1.RawValue{FullBytes: proofDER}})
}

// certificates returns the safe of the certificates, encrypted as a whole.
func (w *pkcs12Writer) certificates(p *PKCS12) (contentInfo, error) {
	var bags []safeBag
	for _, c := range p.Certificates {
		if c.Certificate == nil {
			return contentInfo{}, errors.New("no certificate")
		}
		value, err := explicit(c.Certificate.Raw)
		if err != nil {
			return contentInfo{}, err
		}
		bag, err := newBag(oidCertBag, certBag{oidX509Cert, value}, c.FriendlyName, p.certificateID(c))
		if err != nil {
			return contentInfo{}, err
		}
		bags = append(bags, bag)
	}
	plain, err := asn1.Marshal(bags)
	if err != nil {
		return contentInfo{}, err
	}
	alg, sealed, err := w.encrypt(plain, w.style == PKCS12Legacy)
	if err != nil {
		return contentInfo{}, err
	}
	var data encryptedData
	data.Info.Type, data.Info.Algorithm = oidData, alg
	data.Info.Content = asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, Bytes: sealed}
	value, err := explicit(data)
	return contentInfo{oidEncryptedData, value}, err
}

// keys returns the safe of the keys, each encrypted.
func (w *pkcs12Writer) keys(p *PKCS12) (contentInfo, error) {
	var bags []safeBag
	for _, k := range p.Keys {
		if k.Key == nil {
			return contentInfo{}, errors.New("no private key")
		}
		der, err := privateKeyDER(k.Key)
		if err != nil {
			return contentInfo{}, err
		}
		alg, sealed, err := w.encrypt(der, false)
		clear(der)
		if err != nil {
			return contentInfo{}, err
		}
		bag, err := newBag(oidShroudedBag, encryptedKeyInfo{alg, sealed}, k.FriendlyName, p.keyID(k))
		if err != nil {
			return contentInfo{}, err
		}
		bags = append(bags, bag)
	}
	content, err := asn1.Marshal(bags)
	if err != nil {
		return contentInfo{}, err
	}
	return newData(content)
}

// encrypt encrypts in the style of the file; weakly where that is what its
// readers expect.
func (w *pkcs12Writer) encrypt(plain []byte, weakly bool) (alg pkix.AlgorithmIdentifier, sealed []byte, err error) {
	switch {
	case w.style == PKCS12Modern:
		alg, err = newPBES2(writtenRounds)
	case weakly:
		alg, err = newPKCS12Encryption(oidRC2With40)
	default:
		alg, err = newPKCS12Encryption(oidTripleDES3)
	}
	if err != nil {
		return alg, nil, err
	}
	e, err := parseEncryption(alg)
	if err != nil {
		return alg, nil, err
	}
	sealed, err = e.encrypt(w.work, w.password, plain)
	return alg, sealed, err
}

// keyID returns what ties k to its certificate for readers that look at no
// public keys: its own ID, or the SHA-1 of the certificate, as all writers
// have it.
func (p *PKCS12) keyID(k PKCS12Key) []byte {
	if len(k.LocalKeyID) > 0 {
		return k.LocalKeyID
	}
	for _, c := range p.Certificates {
		if c.Certificate != nil && samePublicKey(k.Key.Public(), c.Certificate.PublicKey) {
			if len(c.LocalKeyID) > 0 {
				return c.LocalKeyID
			}
			sum := sha1.Sum(c.Certificate.Raw)
			return sum[:]
		}
	}
	return nil
}

// certificateID is that of the key, or the certificate's own.
func (p *PKCS12) certificateID(c PKCS12Certificate) []byte {
	for _, k := range p.Keys {
		if k.Key != nil && samePublicKey(k.Key.Public(), c.Certificate.PublicKey) {
			return p.keyID(k)
		}
	}
	return c.LocalKeyID
}

// newBag returns a bag with its attributes, as far as there are any.
func newBag(kind asn1.ObjectIdentifier, v any, friendlyName string, localKeyID []byte) (safeBag, error) {
	bag := safeBag{Kind: kind}
	var err error
	if bag.Value, err = explicit(v); err != nil {
		return bag, err
	}
	var attributes []bagAttribute
	add := func(kind asn1.ObjectIdentifier, v asn1.RawValue) error {
		der, err := asn1.Marshal(v)
		attributes = append(attributes, bagAttribute{kind, asn1.RawValue{Tag: asn1.TagSet, IsCompound: true, Bytes: der}})
		return err
	}
	if friendlyName != "" {
		if err := add(oidFriendlyName, asn1.RawValue{Tag: asn1.TagBMPString, Bytes: utf16BE(friendlyName)}); err != nil {
			return bag, err
		}
	}
	if len(localKeyID) > 0 {
		if err := add(oidLocalKeyID, asn1.RawValue{Tag: asn1.TagOctetString, Bytes: localKeyID}); err != nil {
			return bag, err
		}
	}
	if attributes == nil {
		return bag, nil
	}
	set, err := asn1.MarshalWithParams(attributes, "set")
	bag.Attributes = asn1.RawValue{FullBytes: set}
	return bag, err
}

// newData returns content as the type data.
func newData(content []byte) (contentInfo, error) {
	value, err := explicit(content)
	return contentInfo{oidData, value}, err
}

// explicit returns v behind the tag 0.
func explicit(v any) (asn1.RawValue, error) {
	der, err := asn1.Marshal(v)
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: der}, err
}
