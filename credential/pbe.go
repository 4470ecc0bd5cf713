package credential

import (
	"crypto/cipher"
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
)

// encryption is a password-based encryption whose parameters were read.
type encryption struct {
	cipher blockCipher
	// secrets derives the key and the initialization vector.
	secrets func(w *workLimit, p passphrase) (key, iv []byte, err error)
}

// pbeParameters is PBEParameter (RFC 8018 appendix A.3) and pkcs-12PbeParams
// (RFC 7292 appendix C).
type pbeParameters struct {
	Salt   []byte
	Rounds int
}

// pbes2Parameters is PBES2-params (RFC 8018 appendix A.4).
type pbes2Parameters struct {
	Derivation pkix.AlgorithmIdentifier
	Cipher     pkix.AlgorithmIdentifier
}

// pbkdf2Parameters is PBKDF2-params (RFC 8018 appendix A.2). The salt is one
// of two kinds, of which only octets are in use.
type pbkdf2Parameters struct {
	Salt     []byte
	Rounds   int
	KeyBytes int                      `asn1:"optional"`
	PRF      pkix.AlgorithmIdentifier `asn1:"optional"`
}

// scryptParameters is scrypt-params (RFC 7914 section 7).
type scryptParameters struct {
	Salt     []byte
	N        int
	R        int
	P        int
	KeyBytes int `asn1:"optional"`
}

// parseEncryption reads what an algorithm says. It fails with an
// UnsupportedError for what can not be decrypted.
func parseEncryption(alg pkix.AlgorithmIdentifier) (encryption, error) {
	oid := alg.Algorithm.String()
	if alg.Algorithm.Equal(oidPBES2) {
		return parsePBES2(alg.Parameters.FullBytes)
	}
	var p pbeParameters
	if c, ok := pkcs12Ciphers[oid]; ok {
		if err := unmarshalAll(alg.Parameters.FullBytes, &p); err != nil {
			return encryption{}, err
		}
		return encryption{c, p.pkcs12(c)}, nil
	}
	if a, ok := pbes1s[oid]; ok {
		if err := unmarshalAll(alg.Parameters.FullBytes, &p); err != nil {
			return encryption{}, err
		}
		return encryption{a.cipher, p.pbes1(a)}, nil
	}
	return encryption{}, unsupported("encryption", alg.Algorithm)
}

// pkcs12 derives both with the key derivation of PKCS#12.
func (p pbeParameters) pkcs12(c blockCipher) func(*workLimit, passphrase) ([]byte, []byte, error) {
	return func(w *workLimit, pw passphrase) (key, iv []byte, err error) {
		if key, err = pkcs12KDF(w, hashSHA1.newHash, pw.bmp, p.Salt, p.Rounds, pkcs12ForKey, c.keyBytes); err != nil {
			return nil, nil, err
		}
		iv, err = pkcs12KDF(w, hashSHA1.newHash, pw.bmp, p.Salt, p.Rounds, pkcs12ForIV, c.blockBytes)
		return key, iv, err
	}
}

// pbes1 derives both at once (RFC 8018 section 6.1).
func (p pbeParameters) pbes1(a pbes1) func(*workLimit, passphrase) ([]byte, []byte, error) {
	return func(w *workLimit, pw passphrase) (key, iv []byte, err error) {
		if err := checkSalt(p.Salt); err != nil {
			return nil, nil, err
		}
		both, err := pbkdf1(w, a.hash.newHash, pw.text, p.Salt, p.Rounds, a.cipher.keyBytes+a.cipher.blockBytes)
		if err != nil {
			return nil, nil, err
		}
		return both[:a.cipher.keyBytes], both[a.cipher.keyBytes:], nil
	}
}

// parsePBES2 reads the parameters of PBES2 (RFC 8018 section 6.2).
func parsePBES2(der []byte) (encryption, error) {
	var p pbes2Parameters
	if err := unmarshalAll(der, &p); err != nil {
		return encryption{}, err
	}
	c, ok := pbes2Ciphers[p.Cipher.Algorithm.String()]
	if !ok {
		return encryption{}, unsupported("encryption", p.Cipher.Algorithm)
	}
	var iv []byte
	if err := unmarshalAll(p.Cipher.Parameters.FullBytes, &iv); err != nil {
		return encryption{}, err
	}
	if len(iv) != c.blockBytes {
		return encryption{}, errDamaged
	}
	derive, size, err := parseDerivation(p.Derivation)
	if err != nil {
		return encryption{}, err
	}
	if size != 0 && size != c.keyBytes { // the length of the key is the cipher's, if it is given at all
		return encryption{}, errDamaged
	}
	return encryption{c, func(w *workLimit, pw passphrase) ([]byte, []byte, error) {
		key, err := derive(w, pw.text, c.keyBytes)
		return key, iv, err
	}}, nil
}

// derivation derives size bytes from a password.
type derivation func(w *workLimit, password []byte, size int) ([]byte, error)

// parseDerivation reads PBKDF2 and scrypt. size is the length that they state;
// 0 if they state none.
func parseDerivation(alg pkix.AlgorithmIdentifier) (derive derivation, size int, err error) {
	switch {
	case alg.Algorithm.Equal(oidPBKDF2):
		var p pbkdf2Parameters
		if err := unmarshalAll(alg.Parameters.FullBytes, &p); err != nil {
			return nil, 0, err
		}
		prf := hashSHA1 // the default
		if len(p.PRF.Algorithm) > 0 {
			var ok bool
			if prf, ok = hmacs[p.PRF.Algorithm.String()]; !ok {
				return nil, 0, unsupported("pseudorandom function", p.PRF.Algorithm)
			}
		}
		return func(w *workLimit, password []byte, size int) ([]byte, error) {
			return pbkdf2Key(w, prf.newHash, password, p.Salt, p.Rounds, size)
		}, p.KeyBytes, nil
	case alg.Algorithm.Equal(oidScrypt):
		var p scryptParameters
		if err := unmarshalAll(alg.Parameters.FullBytes, &p); err != nil {
			return nil, 0, err
		}
		return func(w *workLimit, password []byte, size int) ([]byte, error) {
			return scryptKey(w, password, p.Salt, p.N, p.R, p.P, size)
		}, p.KeyBytes, nil
	}
	return nil, 0, unsupported("key derivation", alg.Algorithm)
}

// decrypt returns what was encrypted. It fails with ErrPassword if the padding
// is not one, which a wrong password passes once in 256 times: the caller
// checks what comes out.
func (e encryption) decrypt(w *workLimit, p passphrase, sealed []byte) ([]byte, error) {
	key, iv, err := e.secrets(w, p)
	if err != nil {
		return nil, err
	}
	return e.cipher.decrypt(key, iv, sealed)
}

func (c blockCipher) decrypt(key, iv, sealed []byte) ([]byte, error) {
	defer clear(key)
	if len(sealed) == 0 || len(sealed)%c.blockBytes != 0 {
		return nil, errDamaged
	}
	block, err := c.newBlock(key)
	if err != nil {
		return nil, fmt.Errorf("%s: not in this build", c.name)
	}
	plain := make([]byte, len(sealed))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, sealed)
	pad := int(plain[len(plain)-1])
	if pad == 0 || pad > c.blockBytes {
		return nil, ErrPassword
	}
	for _, b := range plain[len(plain)-pad:] {
		if int(b) != pad {
			return nil, ErrPassword
		}
	}
	return plain[:len(plain)-pad], nil
}

// encrypt is the other direction. It overwrites nothing of plain.
func (e encryption) encrypt(w *workLimit, p passphrase, plain []byte) ([]byte, error) {
	key, iv, err := e.secrets(w, p)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	block, err := e.cipher.newBlock(key)
	if err != nil {
		return nil, fmt.Errorf("%s: not in this build", e.cipher.name)
	}
	pad := e.cipher.blockBytes - len(plain)%e.cipher.blockBytes
	sealed := make([]byte, len(plain)+pad)
	copy(sealed, plain)
	for i := len(plain); i < len(sealed); i++ {
		sealed[i] = byte(pad)
	}
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(sealed, sealed)
	return sealed, nil
}

// writtenRounds is how often written files derive. More would not make a weak
// password strong (docs/protocol/certificates.md#pkcs12).
const writtenRounds = 2048

// randomBytes returns n of them.
func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the program instead
	return b
}

// newPKCS12Encryption returns an algorithm of PKCS#12 with a fresh salt.
func newPKCS12Encryption(oid asn1.ObjectIdentifier) (pkix.AlgorithmIdentifier, error) {
	der, err := asn1.Marshal(pbeParameters{randomBytes(8), writtenRounds})
	return pkix.AlgorithmIdentifier{Algorithm: oid, Parameters: asn1.RawValue{FullBytes: der}}, err
}

// newPBES2 returns PBES2 with AES-256-CBC and PBKDF2 with HMAC-SHA-256, with a
// fresh salt and vector.
func newPBES2(rounds int) (pkix.AlgorithmIdentifier, error) {
	var alg pkix.AlgorithmIdentifier
	derivation, err := asn1.Marshal(pbkdf2Parameters{
		Salt: randomBytes(16), Rounds: rounds,
		PRF: pkix.AlgorithmIdentifier{Algorithm: oidHMACSHA256, Parameters: asn1Null},
	})
	if err != nil {
		return alg, err
	}
	iv, err := asn1.Marshal(randomBytes(cipherAES256.blockBytes))
	if err != nil {
		return alg, err
	}
	der, err := asn1.Marshal(pbes2Parameters{
		pkix.AlgorithmIdentifier{Algorithm: oidPBKDF2, Parameters: asn1.RawValue{FullBytes: derivation}},
		pkix.AlgorithmIdentifier{Algorithm: oidAES256CBC, Parameters: asn1.RawValue{FullBytes: iv}},
	})
	return pkix.AlgorithmIdentifier{Algorithm: oidPBES2, Parameters: asn1.RawValue{FullBytes: der}}, err
}
