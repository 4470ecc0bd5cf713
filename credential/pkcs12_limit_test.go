package credential

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math"
	"slices"
	"testing"
	"time"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func mustPassphrase(t *testing.T, password string) passphrase {
	t.Helper()
	forms, err := passphrases(password)
	if err != nil {
		t.Fatal(err)
	}
	return forms[0]
}

// fileOf returns a file of these safes, with whatever MAC is given.
func fileOf(t *testing.T, content []byte, mac any) []byte {
	t.Helper()
	file := pfx{Version: 3, AuthSafe: must(newData(content))}
	if mac != nil {
		file.MAC = asn1.RawValue{FullBytes: must(asn1.Marshal(mac))}
	}
	return must(asn1.Marshal(file))
}

// sealSafes returns a file of these safes with a MAC.
func sealSafes(t *testing.T, password string, safes ...contentInfo) []byte {
	t.Helper()
	content := must(asn1.Marshal(safes))
	return fileOf(t, content, must(newMAC(oidSHA256, newWorkLimit(), mustPassphrase(t, password), content)))
}

// sealedSafe returns a safe that claims to be encrypted by alg.
func sealedSafe(alg pkix.AlgorithmIdentifier, sealed []byte) contentInfo {
	var data encryptedData
	data.Info.Type, data.Info.Algorithm = oidData, alg
	data.Info.Content = asn1.RawValue{Class: asn1.ClassContextSpecific, Bytes: sealed}
	return contentInfo{oidEncryptedData, must(explicit(data))}
}

func algorithm(oid asn1.ObjectIdentifier, params any) pkix.AlgorithmIdentifier {
	return pkix.AlgorithmIdentifier{Algorithm: oid, Parameters: asn1.RawValue{FullBytes: must(asn1.Marshal(params))}}
}

// pbes2By returns PBES2 with AES-256-CBC and the derivation given.
func pbes2By(derivation pkix.AlgorithmIdentifier) pkix.AlgorithmIdentifier {
	return algorithm(oidPBES2, pbes2Parameters{derivation, algorithm(oidAES256CBC, make([]byte, 16))})
}

// Hostile files are refused at once, long before their work is done.
func TestParsePKCS12Limits(t *testing.T) {
	salt, sealed := make([]byte, 8), make([]byte, 32)
	mac := func(rounds int, salt []byte) any {
		var m macData
		m.MAC.Algorithm = pkix.AlgorithmIdentifier{Algorithm: oidSHA256, Parameters: asn1Null}
		m.MAC.Digest, m.Salt, m.Rounds = make([]byte, 32), salt, rounds
		return m
	}
	plain := func(bags ...safeBag) contentInfo { return must(newData(must(asn1.Marshal(bags)))) }
	nested := safeBag{Kind: oidSafeBag, Value: must(explicit([]safeBag{}))}
	for range maxNestedSafes {
		nested = safeBag{Kind: oidSafeBag, Value: must(explicit([]safeBag{nested}))}
	}
	crowded := safeBag{Kind: oidBags, Value: must(explicit(0)), Attributes: asn1.RawValue{FullBytes: must(asn1.MarshalWithParams(make([]int, maxAttributes+1), "set"))}}
	unknown := safeBag{Kind: oidBags, Value: must(explicit(0))}
	half := slices.Repeat([]safeBag{unknown}, maxBags/2+1)
	many := must(asn1.Marshal([]contentInfo{}))
	safes := func(all ...contentInfo) []byte { return must(asn1.Marshal(all)) }
	longKey := safeBag{Kind: oidKeyBag, Value: must(explicit(make([]byte, maxKeyBytes+1)))}
	tests := []struct {
		name string
		data []byte
		want string
	}{
		{"bytes", make([]byte, maxPKCS12Bytes+1), "1048577 bytes, at most 1048576"},
		{"rounds of the MAC", fileOf(t, many, mac(math.MaxInt32, salt)), "2147483647 rounds of key derivation"},
		{"most rounds of the MAC", fileOf(t, many, mac(math.MaxInt, salt)), "rounds of key derivation"},
		{"salt of the MAC", fileOf(t, many, mac(1, make([]byte, maxSaltBytes+1))), "1025 bytes of salt"},
		{"rounds of PKCS#12", fileOf(t, safes(sealedSafe(algorithm(oidTripleDES3, pbeParameters{salt, 6_000_000}), sealed)), nil), "12000000 rounds"},
		{"rounds of PBKDF2", fileOf(t, safes(sealedSafe(pbes2By(algorithm(oidPBKDF2, pbkdf2Parameters{Salt: salt, Rounds: maxRounds + 1})), sealed)), nil), "10000001 rounds"},
		{"salt of PBKDF2", fileOf(t, safes(sealedSafe(pbes2By(algorithm(oidPBKDF2, pbkdf2Parameters{Salt: make([]byte, maxSaltBytes+1), Rounds: 1})), sealed)), nil), "1025 bytes of salt"},
		{"scrypt's memory", fileOf(t, safes(sealedSafe(pbes2By(algorithm(oidScrypt, scryptParameters{Salt: salt, N: 1 << 30, R: 8, P: 1})), sealed)), nil), "KiB of memory for scrypt"},
		{"scrypt's width", fileOf(t, safes(sealedSafe(pbes2By(algorithm(oidScrypt, scryptParameters{Salt: salt, N: 1 << 16, R: math.MaxInt32, P: 1})), sealed)), nil), "KiB of memory for scrypt"},
		{"scrypt's turns", fileOf(t, safes(sealedSafe(pbes2By(algorithm(oidScrypt, scryptParameters{Salt: salt, N: 1 << 14, R: 8, P: 1 << 20})), sealed)), nil), "rounds of key derivation"},
		{"nested safes", fileOf(t, safes(plain(nested)), nil), "5 levels of safes, at most 4"},
		{"ASN.1", bytes.Repeat([]byte{0x30, 0x80}, 1000), "33 levels of ASN.1"},
		{"safes", fileOf(t, safes(slices.Repeat([]contentInfo{plain()}, maxSafes+1)...), nil), "65 safes, at most 64"},
		{"bags in a safe", fileOf(t, safes(plain(slices.Repeat(half, 2)...)), nil), "257 bags in a safe, at most 256"},
		{"bags", fileOf(t, safes(plain(half...), plain(half...)), nil), "257 bags, at most 256"},
		{"attributes", fileOf(t, safes(plain(crowded)), nil), "65 attributes of a bag"},
		{"key", fileOf(t, safes(plain(longKey)), nil), "bytes of private key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var took time.Duration
			for range 10 { // a busy machine may take its time over one
				start := time.Now()
				_, err := ParsePKCS12(tt.data, "herald")
				took = time.Since(start)
				wantError(t, err, tt.want)
				if limit := new(LimitError); !errors.As(err, &limit) {
					t.Errorf("got %v, want a LimitError", err)
				}
				if took <= 500*time.Millisecond {
					return
				}
			}
			t.Errorf("took %v", took)
		})
	}
	_, err := ParsePKCS12(sealSafes(t, "herald"), string(make([]byte, maxPasswordBytes+1)))
	wantError(t, err, "1025 bytes of password")
}

// The rounds of all parts of a file are counted together.
func TestParsePKCS12Rounds(t *testing.T) {
	data := readTestdata(t, "pkcs12/identity-iterations.p12")
	const each = 20000 // for the MAC, the certificate and the key; MAC and AES-256 take one block of SHA-256 each
	work := &workLimit{max: 3 * each}
	if _, err := parsePKCS12(data, "herald", work); err != nil {
		t.Fatal(err)
	}
	if work.spent != 3*each {
		t.Errorf("got %d rounds, want %d", work.spent, 3*each)
	}
	_, err := parsePKCS12(data, "herald", &workLimit{max: 3*each - 1})
	wantError(t, err, "60000 rounds of key derivation, at most 59999")
}

// Numbers that can not be are damage, and no reason to ask for another password.
func TestParsePKCS12Damaged(t *testing.T) {
	salt, sealed := make([]byte, 8), make([]byte, 32)
	file := func(alg pkix.AlgorithmIdentifier, sealed []byte) []byte {
		return fileOf(t, must(asn1.Marshal([]contentInfo{sealedSafe(alg, sealed)})), nil)
	}
	wrongVersion := must(asn1.Marshal(pfx{Version: 4, AuthSafe: must(newData(nil))}))
	pbkdf2 := pbkdf2Parameters{Salt: salt, Rounds: 1}
	short := pbkdf2
	short.KeyBytes = 16
	for _, tt := range []struct {
		name string
		data []byte
		want string
	}{
		{"version", wrongVersion, "version 4"},
		{"no rounds", file(algorithm(oidTripleDES3, pbeParameters{salt, 0}), sealed), "damaged"},
		{"negative rounds", file(algorithm(oidTripleDES3, pbeParameters{salt, -1}), sealed), "damaged"},
		{"half a block", file(algorithm(oidTripleDES3, pbeParameters{salt, 1}), sealed[:12]), "damaged"},
		{"nothing", file(algorithm(oidTripleDES3, pbeParameters{salt, 1}), nil), "damaged"},
		{"short vector", file(algorithm(oidPBES2, pbes2Parameters{algorithm(oidPBKDF2, pbkdf2), algorithm(oidAES256CBC, salt)}), sealed), "damaged"},
		{"key of another length", file(pbes2By(algorithm(oidPBKDF2, short)), sealed), "damaged"},
		{"scrypt", file(pbes2By(algorithm(oidScrypt, scryptParameters{salt, 3, 1, 1, 0})), sealed), "damaged"},
		{"derivation", file(pbes2By(algorithm(oidPBES2, 0)), sealed), "the key derivation 1.2.840.113549.1.5.13 is not supported"},
		{"function", file(pbes2By(algorithm(oidPBKDF2, pbkdf2Parameters{Salt: salt, Rounds: 1, PRF: algorithm(under(oidRSADigest, 6), asn1Null)})), sealed), "the pseudorandom function HMAC-MD5 (1.2.840.113549.2.6) is not supported"},
		{"public-key privacy", fileOf(t, must(asn1.Marshal([]contentInfo{{under(oidPKCS7, 3), must(explicit(0))}})), nil), "the privacy mode enveloped data (1.2.840.113549.1.7.3) is not supported"},
		{"public-key integrity", must(asn1.Marshal(pfx{Version: 3, AuthSafe: contentInfo{oidSignedData, must(explicit(0))}})), "the integrity mode signed data (1.2.840.113549.1.7.2) is not supported"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParsePKCS12(tt.data, "herald")
			wantError(t, err, tt.want)
			if errors.Is(err, ErrPassword) {
				t.Error("the password is blamed")
			}
		})
	}
}

// A file may lie in parts that no tool of today makes.
func TestParsePKCS12Forms(t *testing.T) {
	key := newECKey(t, elliptic.P256())
	id := newIdentity(t, key)
	cert := must(newBag(oidCertBag, certBag{oidX509Cert, must(explicit(id.Certificate.Raw))}, "", nil))
	other := must(newBag(oidCertBag, certBag{under(oidBags, 99), must(explicit(0))}, "", nil))
	crl := must(newBag(under(oidBags, 4), 0, "", nil))
	odd := cert
	odd.Attributes = asn1.RawValue{FullBytes: unhex(t, "31 12 3010 0609 2A864886F70D010914 3103 0101FF")} // friendlyName is a BOOLEAN
	w := pkcs12Writer{style: PKCS12Compat, password: mustPassphrase(t, "herald"), work: newWorkLimit()}
	keys := must(w.keys(&PKCS12{Keys: []PKCS12Key{{Key: key}}}))
	inner := safeBag{Kind: oidSafeBag, Value: must(explicit([]safeBag{crl, odd}))}
	data := sealSafes(t, "herald", keys, must(newData(must(asn1.Marshal([]safeBag{other, inner})))), must(newData(must(asn1.Marshal([]safeBag{})))))
	p, err := ParsePKCS12(data, "herald")
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.Identity()
	if err != nil {
		t.Fatal(err)
	}
	sameIdentity(t, got, Identity{Certificate: id.Certificate, Key: key})
	if p.Certificates[0].FriendlyName != "" {
		t.Errorf("got the name %q", p.Certificates[0].FriendlyName)
	}
}
