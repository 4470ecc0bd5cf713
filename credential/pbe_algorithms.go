package credential

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"hash"
	"slices"
)

// Roots of object identifiers.
var (
	oidPKCS5     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5}
	oidPKCS12PBE = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1}
	oidRSADigest = asn1.ObjectIdentifier{1, 2, 840, 113549, 2}
	oidNISTAES   = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1}
	oidNISTHash  = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2}
)

// Algorithms that are put together from others (RFC 8018).
var (
	oidPBKDF2 = under(oidPKCS5, 12)
	oidPBES2  = under(oidPKCS5, 13)
	oidPBMAC1 = under(oidPKCS5, 14)
	oidScrypt = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11}
)

// Algorithms that are written.
var (
	oidRC2With40   = under(oidPKCS12PBE, 6)
	oidTripleDES3  = under(oidPKCS12PBE, 3)
	oidAES256CBC   = under(oidNISTAES, 42)
	oidHMACSHA256  = under(oidRSADigest, 9)
	oidSHA1        = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
	oidSHA256      = under(oidNISTHash, 1)
	asn1Null       = asn1.RawValue{FullBytes: []byte{5, 0}}
	oidRSAKey      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidECKey       = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
	oidEd25519Key  = asn1.ObjectIdentifier{1, 3, 101, 112}
	oidCurveP224   = asn1.ObjectIdentifier{1, 3, 132, 0, 33}
	oidCurveP256   = asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}
	oidCurveP384   = asn1.ObjectIdentifier{1, 3, 132, 0, 34}
	oidCurveP521   = asn1.ObjectIdentifier{1, 3, 132, 0, 35}
	oidNamedCurves = []asn1.ObjectIdentifier{oidCurveP224, oidCurveP256, oidCurveP384, oidCurveP521}
)

// under returns the identifier n beneath root.
func under(root asn1.ObjectIdentifier, n int) asn1.ObjectIdentifier {
	return append(slices.Clip(root), n)
}

// blockCipher is a cipher of the password-based algorithms, all of which run
// it in CBC mode with a padding.
type blockCipher struct {
	name       string // for people
	old        bool   // better not used any more
	keyBytes   int
	blockBytes int
	newBlock   func(key []byte) (cipher.Block, error)
}

var (
	cipherAES128     = blockCipher{"AES-128", false, 16, aes.BlockSize, aes.NewCipher}
	cipherAES192     = blockCipher{"AES-192", false, 24, aes.BlockSize, aes.NewCipher}
	cipherAES256     = blockCipher{"AES-256", false, 32, aes.BlockSize, aes.NewCipher}
	cipherTripleDES  = blockCipher{"3DES", true, 24, des.BlockSize, des.NewTripleDESCipher}
	cipherTripleDES2 = blockCipher{"3DES with two keys", true, 16, des.BlockSize, newTripleDES2}
	cipherDES        = blockCipher{"DES", true, 8, des.BlockSize, des.NewCipher}
	cipherRC2With40  = blockCipher{"RC2-40", true, 5, rc2BlockBytes, rc2With(40)}
	cipherRC2With64  = blockCipher{"RC2-64", true, 8, rc2BlockBytes, rc2With(64)}
	cipherRC2With128 = blockCipher{"RC2-128", true, 16, rc2BlockBytes, rc2With(128)}
)

func rc2With(effective int) func([]byte) (cipher.Block, error) {
	return func(key []byte) (cipher.Block, error) { return newRC2(key, effective) }
}

// newTripleDES2 uses the first key a third time.
func newTripleDES2(key []byte) (cipher.Block, error) {
	return des.NewTripleDESCipher(append(key[:16:16], key[:8]...))
}

// hashFunction is a hash with its name, for people.
type hashFunction struct {
	name    string
	newHash func() hash.Hash
}

var (
	hashMD5    = hashFunction{"MD5", md5.New}
	hashSHA1   = hashFunction{"SHA-1", sha1.New}
	hashSHA224 = hashFunction{"SHA-224", sha256.New224}
	hashSHA256 = hashFunction{"SHA-256", sha256.New}
	hashSHA384 = hashFunction{"SHA-384", sha512.New384}
	hashSHA512 = hashFunction{"SHA-512", sha512.New}
)

// hashes are the digests of a MAC (RFC 7292 section 4), by their identifier.
var hashes = map[string]hashFunction{
	oidSHA1.String():               hashSHA1,
	under(oidNISTHash, 4).String(): hashSHA224,
	oidSHA256.String():             hashSHA256,
	under(oidNISTHash, 2).String(): hashSHA384,
	under(oidNISTHash, 3).String(): hashSHA512,
}

// hmacs are the pseudorandom functions of PBKDF2 and the MACs of PBMAC1
// (RFC 8018 appendix B), by their identifier.
var hmacs = map[string]hashFunction{
	under(oidRSADigest, 7).String():  hashSHA1,
	under(oidRSADigest, 8).String():  hashSHA224,
	oidHMACSHA256.String():           hashSHA256,
	under(oidRSADigest, 10).String(): hashSHA384,
	under(oidRSADigest, 11).String(): hashSHA512,
}

// pbes2Ciphers are the ciphers of PBES2 (RFC 8018 appendix B.2), by their
// identifier.
var pbes2Ciphers = map[string]blockCipher{
	under(oidNISTAES, 2).String():  cipherAES128,
	under(oidNISTAES, 22).String(): cipherAES192,
	oidAES256CBC.String():          cipherAES256,
	"1.2.840.113549.3.7":           cipherTripleDES,
}

// pkcs12Ciphers are the ciphers with which the key derivation of PKCS#12 is
// used, always with SHA-1 (RFC 7292 appendix C), by their identifier.
var pkcs12Ciphers = map[string]blockCipher{
	oidTripleDES3.String():          cipherTripleDES,
	under(oidPKCS12PBE, 4).String(): cipherTripleDES2,
	under(oidPKCS12PBE, 5).String(): cipherRC2With128,
	oidRC2With40.String():           cipherRC2With40,
}

// pbes1 is an algorithm of RFC 8018 appendix A.3: what OpenSSL wrote before 1.0.
type pbes1 struct {
	cipher blockCipher
	hash   hashFunction
}

var pbes1s = map[string]pbes1{
	under(oidPKCS5, 3).String():  {cipherDES, hashMD5},
	under(oidPKCS5, 6).String():  {cipherRC2With64, hashMD5},
	under(oidPKCS5, 10).String(): {cipherDES, hashSHA1},
	under(oidPKCS5, 11).String(): {cipherRC2With64, hashSHA1},
}

// pemCiphers are the ciphers of a DEK-Info header (RFC 1423 and OpenSSL).
var pemCiphers = map[string]blockCipher{
	"DES-CBC":      cipherDES,
	"DES-EDE3-CBC": cipherTripleDES,
	"AES-128-CBC":  cipherAES128,
	"AES-192-CBC":  cipherAES192,
	"AES-256-CBC":  cipherAES256,
}

// unreadNames are the names of what is met in files and not read.
var unreadNames = map[string]string{
	"1.2.840.113549.1.12.1.1":    "RC4-128",
	"1.2.840.113549.1.12.1.2":    "RC4-40",
	"1.2.840.113549.1.5.1":       "MD2 with DES",
	"1.2.840.113549.1.5.4":       "MD2 with RC2",
	"1.2.840.113549.3.2":         "RC2",
	"1.2.840.113549.3.4":         "RC4",
	"1.3.14.3.2.7":               "DES",
	"1.2.392.200011.61.1.1.1.2":  "Camellia-128",
	"1.2.392.200011.61.1.1.1.3":  "Camellia-192",
	"1.2.392.200011.61.1.1.1.4":  "Camellia-256",
	"1.2.410.200004.1.4":         "SEED",
	"1.2.156.10197.1.104.2":      "SM4",
	"2.16.840.1.101.3.4.1.6":     "AES-128-GCM",
	"2.16.840.1.101.3.4.1.26":    "AES-192-GCM",
	"2.16.840.1.101.3.4.1.46":    "AES-256-GCM",
	"1.2.840.113549.2.2":         "MD2",
	"1.2.840.113549.2.5":         "MD5",
	"1.2.840.113549.2.6":         "HMAC-MD5",
	"1.2.840.113549.2.12":        "HMAC-SHA-512/224",
	"1.2.840.113549.2.13":        "HMAC-SHA-512/256",
	"2.16.840.1.101.3.4.2.5":     "SHA-512/224",
	"2.16.840.1.101.3.4.2.6":     "SHA-512/256",
	"2.16.840.1.101.3.4.2.8":     "SHA3-256",
	"2.16.840.1.101.3.4.2.14":    "HMAC-SHA3-256",
	"1.2.643.7.1.1.2.2":          "Streebog-256",
	"1.2.643.7.1.1.2.3":          "Streebog-512",
	"1.2.840.113549.1.1.10":      "RSA-PSS",
	"1.2.840.10040.4.1":          "DSA",
	"1.2.840.113549.1.3.1":       "Diffie-Hellman",
	"1.3.101.110":                "X25519",
	"1.3.101.111":                "X448",
	"1.3.101.113":                "Ed448",
	"1.3.132.0.10":               "secp256k1",
	"1.3.36.3.3.2.8.1.1.7":       "brainpoolP256r1",
	"2.16.840.1.101.3.4.3.17":    "ML-DSA-44",
	"2.16.840.1.101.3.4.3.18":    "ML-DSA-65",
	"2.16.840.1.101.3.4.3.19":    "ML-DSA-87",
	"1.2.840.113549.1.7.2":       "signed data",
	"1.2.840.113549.1.7.3":       "enveloped data",
	"1.2.840.113549.1.7.4":       "signed and enveloped data",
	"1.2.840.113549.1.9.16.1.23": "authenticated enveloped data",
}

// unsupported returns the error for an algorithm that is not read.
func unsupported(what string, oid asn1.ObjectIdentifier) error {
	return &UnsupportedError{What: what, OID: oid, Name: unreadNames[oid.String()]}
}
