package credential

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"testing"
)

// fuzzRounds bounds the rounds of key derivation in fuzzing, where each input
// is to take well under a millisecond.
const fuzzRounds = 5_000

// costly reports whether reading data with a password derives keys for longer
// than a fuzzer should wait. The parsers themselves allow some seconds.
func costly(data []byte) bool {
	limited := func(err error) bool {
		limit, ok := errors.AsType[*LimitError](err)
		return ok && limit.Max == fuzzRounds
	}
	sealed := func(der []byte) bool {
		var info encryptedKeyInfo
		if unmarshalAll(der, &info) != nil {
			return false
		}
		e, err := parseEncryption(info.Algorithm)
		if err == nil {
			_, _, err = e.secrets(&workLimit{max: fuzzRounds}, passphrase{})
		}
		return limited(err)
	}
	clean, _ := CleanText(data)
	for _, b := range append(decodeBlocks(clean), &pem.Block{Bytes: clean}) {
		if sealed(b.Bytes) {
			return true
		}
		if shapeOf(b.Bytes) != shapePKCS12 {
			continue
		}
		for _, password := range []string{"", "herald"} {
			if _, err := parsePKCS12(b.Bytes, password, &workLimit{max: fuzzRounds}); limited(err) {
				return true
			}
		}
	}
	return false
}

// quickAlgorithms are one of each kind of encryption, with the same salt each
// time and a single round: what is fuzzed is the reading, not the deriving.
func quickAlgorithms() map[string]pkix.AlgorithmIdentifier {
	salt := []byte("saltsalt")
	return map[string]pkix.AlgorithmIdentifier{
		"3DES":       algorithm(oidTripleDES3, pbeParameters{salt, 1}),
		"RC2-40":     algorithm(oidRC2With40, pbeParameters{salt, 1}),
		"DES by MD5": algorithm(under(oidPKCS5, 3), pbeParameters{salt, 1}),
		"AES-256": pbes2By(algorithm(oidPBKDF2, pbkdf2Parameters{
			Salt: salt, Rounds: 1, PRF: pkix.AlgorithmIdentifier{Algorithm: oidHMACSHA256, Parameters: asn1Null},
		})),
		"scrypt": pbes2By(algorithm(oidScrypt, scryptParameters{Salt: salt, N: 2, R: 1, P: 1})),
	}
}

func quickSeal(tb testing.TB, alg pkix.AlgorithmIdentifier, plain []byte) []byte {
	tb.Helper()
	form := must(passphrases("herald"))[0]
	return must(must(parseEncryption(alg)).encrypt(newWorkLimit(), form, plain))
}

// quickKeys are private keys in PEM, locked with "herald".
func quickKeys(tb testing.TB) map[string][]byte {
	tb.Helper()
	block, _ := pem.Decode(readTestdata(tb, "files/AuthKey_2X9R4HXF34.p8"))
	keys := map[string][]byte{}
	for name, alg := range quickAlgorithms() {
		keys[name] = pem.EncodeToMemory(&pem.Block{
			Type: pemEncryptedKey, Bytes: must(asn1.Marshal(encryptedKeyInfo{alg, quickSeal(tb, alg, block.Bytes)})),
		})
	}
	return keys
}

// quickPKCS12 are files of an identity on P-256, locked with "herald" by each
// algorithm, with a MAC and without.
func quickPKCS12(tb testing.TB) map[string][]byte {
	tb.Helper()
	cert, rest := pem.Decode(readTestdata(tb, "files/ck.pem"))
	key, _ := pem.Decode(rest)
	certs := must(asn1.Marshal([]safeBag{must(newBag(oidCertBag, certBag{oidX509Cert, must(explicit(cert.Bytes))}, "push", []byte{1}))}))
	files := map[string][]byte{}
	for name, alg := range quickAlgorithms() {
		locked := must(newBag(oidShroudedBag, encryptedKeyInfo{alg, quickSeal(tb, alg, key.Bytes)}, "push", []byte{1}))
		content := must(asn1.Marshal([]contentInfo{
			sealedSafe(alg, quickSeal(tb, alg, certs)), must(newData(must(asn1.Marshal([]safeBag{locked})))),
		}))
		var mac macData
		mac.MAC.Algorithm = pkix.AlgorithmIdentifier{Algorithm: oidSHA256, Parameters: asn1Null}
		mac.Salt, mac.Rounds = []byte("saltsalt"), 1
		digest, _, err := mac.sum(newWorkLimit(), must(passphrases("herald"))[0], content)
		if err != nil {
			tb.Fatal(err)
		}
		mac.MAC.Digest = digest
		file := pfx{Version: 3, AuthSafe: must(newData(content))}
		files[name+", no MAC"] = must(asn1.Marshal(file))
		file.MAC = asn1.RawValue{FullBytes: must(asn1.Marshal(mac))}
		files[name] = must(asn1.Marshal(file))
	}
	return files
}
