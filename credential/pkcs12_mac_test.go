package credential

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"testing"

	"software.sslmate.com/src/go-pkcs12"
)

// pbmac1Of returns MacData by RFC 9579 for the password "pässwörd". What stands in for salt and rounds is
// ignored.
func pbmac1Of(t *testing.T, prf, mac asn1.ObjectIdentifier, keyBytes int, content []byte) macData {
	t.Helper()
	var m macData
	params := pbkdf2Parameters{Salt: []byte("salt of the MAC"), Rounds: 16, KeyBytes: keyBytes}
	if prf != nil {
		params.PRF = pkix.AlgorithmIdentifier{Algorithm: prf, Parameters: asn1Null}
	}
	m.MAC.Algorithm = algorithm(oidPBMAC1, pbmac1Parameters{algorithm(oidPBKDF2, params), pkix.AlgorithmIdentifier{Algorithm: mac, Parameters: asn1Null}})
	m.Salt, m.Rounds = []byte("NOT USED"), 1
	hash, prfHash := hmacs[mac.String()], hashSHA1
	if prf != nil {
		prfHash = hmacs[prf.String()]
	}
	if hash.newHash == nil {
		return m
	}
	key := must(pbkdf2Key(newWorkLimit(), prfHash.newHash, []byte("pässwörd"), params.Salt, params.Rounds, max(keyBytes, 1)))
	m.MAC.Digest = hmacSum(hash.newHash, key, content)
	return m
}

func TestPBMAC1(t *testing.T) {
	id := newIdentity(t, newECKey(t, elliptic.P256()))
	w := pkcs12Writer{style: PKCS12Modern, password: mustPassphrase(t, "pässwörd"), work: newWorkLimit()}
	safe := must(w.keys(&PKCS12{Keys: []PKCS12Key{{Key: id.Key}}}))
	content := must(asn1.Marshal([]contentInfo{safe}))
	for n, mac := range map[int]string{7: "SHA-1", 8: "SHA-224", 9: "SHA-256", 10: "SHA-384", 11: "SHA-512"} {
		for _, prf := range []asn1.ObjectIdentifier{nil, oidHMACSHA256, under(oidRSADigest, 11)} {
			for _, size := range []int{minPBMAC1KeyBytes, 32, maxPBMAC1KeyBytes} {
				t.Run(fmt.Sprint(mac, " ", prf, " ", size), func(t *testing.T) {
					p, err := ParsePKCS12(fileOf(t, content, pbmac1Of(t, prf, under(oidRSADigest, n), size, content)), "pässwörd")
					if err != nil {
						t.Fatal(err)
					}
					if got, want := p.MAC, "PBMAC1 with HMAC-"+mac; got != want {
						t.Errorf("got %q, want %q", got, want)
					}
				})
			}
		}
	}
	for _, tt := range []struct {
		name string
		mac  macData
		want string
	}{
		{"no key length", pbmac1Of(t, nil, oidHMACSHA256, 0, content), "a key of 0 bytes"},
		{"short key", pbmac1Of(t, nil, oidHMACSHA256, minPBMAC1KeyBytes-1, content), "a key of 19 bytes"},
		{"long key", pbmac1Of(t, nil, oidHMACSHA256, maxPBMAC1KeyBytes+1, content), "a key of 65 bytes"},
		{"another MAC", pbmac1Of(t, nil, under(oidRSADigest, 6), 32, content), "the MAC HMAC-MD5 (1.2.840.113549.2.6) is not supported"},
	} {
		_, err := ParsePKCS12(fileOf(t, content, tt.mac), "pässwörd")
		wantError(t, err, tt.want)
		if errors.Is(err, ErrPassword) {
			t.Errorf("%s: the password is blamed", tt.name)
		}
	}
	scrypt := pbmac1Of(t, nil, oidHMACSHA256, 32, content)
	scrypt.MAC.Algorithm = algorithm(oidPBMAC1, pbmac1Parameters{
		algorithm(oidScrypt, scryptParameters{[]byte("salt"), 2, 1, 1, 32}), pkix.AlgorithmIdentifier{Algorithm: oidHMACSHA256},
	})
	_, err := ParsePKCS12(fileOf(t, content, scrypt), "pässwörd")
	wantError(t, err, "the key derivation of the MAC 1.3.6.1.4.1.11591.4.11 is not supported")
	cut := pbmac1Of(t, nil, oidHMACSHA256, 32, content)
	cut.MAC.Digest = cut.MAC.Digest[:8]
	_, err = ParsePKCS12(fileOf(t, content, cut), "pässwörd")
	wantError(t, err, "damaged")
	_, err = ParsePKCS12(fileOf(t, content, "no MacData"), "pässwörd")
	wantError(t, err, "damaged")
}

// go-pkcs12 writes PBMAC1 by itself.
func TestPBMAC1Differential(t *testing.T) {
	id := newIdentity(t, rsaKey())
	data, err := pkcs12.Modern2026.Encode(id.Key, id.Certificate, id.Chain, "herald")
	if err != nil {
		t.Fatal(err)
	}
	p, err := ParsePKCS12(data, "herald")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.MAC, "PBMAC1 with HMAC-SHA-256"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	got, err := p.Identity()
	if err != nil {
		t.Fatal(err)
	}
	sameIdentity(t, got, id)
	if _, err := ParsePKCS12(data, "Herald"); !errors.Is(err, ErrPassword) {
		t.Errorf("wrong password: got %v, want ErrPassword", err)
	}
}

// Vectors that have been used since PKCS#12 was young: of the key derivation
// with SHA-1, by the purpose of what is derived.
func TestPKCS12KDF(t *testing.T) {
	for _, tt := range []struct {
		password, salt string
		rounds         int
		id             byte
		want           string
	}{
		{"smeg", "0A58CF64530D823F", 1, pkcs12ForKey, "8AAAE6297B6CB04642AB5B077851284EB7128F1A2A7FBCA3"},
		{"smeg", "0A58CF64530D823F", 1, pkcs12ForIV, "79993DFE048D3B76"},
		{"smeg", "3D83C0E4546AC140", 1, pkcs12ForMAC, "8D967D88F6CAA9D714800AB3D48051D63F73A312"},
		{"queeg", "05DEC959ACFF72F7", 1000, pkcs12ForKey, "ED2034E36328830FF09DF1E1A07DD357185DAC0D4F9EB3D4"},
		{"queeg", "05DEC959ACFF72F7", 1000, pkcs12ForIV, "11DEDAD7758D4860"},
		{"queeg", "263216FCC2FAB31C", 1000, pkcs12ForMAC, "5EC4C7A80DF652294C3925B6489A7AB857C83476"},
	} {
		want := unhex(t, tt.want)
		got, err := pkcs12KDF(newWorkLimit(), hashSHA1.newHash, mustPassphrase(t, tt.password).bmp, unhex(t, tt.salt), tt.rounds, tt.id, len(want))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s, %d: got %x, %v, want %x", tt.password, tt.id, got, err, want)
		}
	}
}

func TestPassphrases(t *testing.T) {
	for _, tt := range []struct {
		password string
		want     []string // in hex, as PKCS#12 takes them
	}{
		{"", []string{"0000", ""}},
		{"ab", []string{"006100620000"}},
		{"ä", []string{"00E40000", "00C300A40000"}},
		{"🔑", []string{"D83DDD110000", "00F0009F009400910000"}},
		{"\xff", []string{"00FF0000"}},
	} {
		forms, err := passphrases(tt.password)
		if err != nil || len(forms) != len(tt.want) {
			t.Fatalf("%q: got %d forms, %v", tt.password, len(forms), err)
		}
		for i, form := range forms {
			if want := unhex(t, tt.want[i]); !bytes.Equal(form.bmp, want) || string(form.text) != tt.password {
				t.Errorf("%q: got %x, want %x", tt.password, form.bmp, want)
			}
		}
	}
}

// A password with umlauts in the way of OpenSSL before 1.1.0.
func TestParsePKCS12OldUmlauts(t *testing.T) {
	forms, err := passphrases("pässwörd")
	if err != nil || len(forms) != 2 {
		t.Fatal(forms, err)
	}
	w := pkcs12Writer{style: PKCS12Legacy, password: forms[1], work: newWorkLimit()}
	data, err := w.file(&PKCS12{Keys: []PKCS12Key{{Key: newECKey(t, elliptic.P256())}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParsePKCS12(data, "pässwörd"); err != nil {
		t.Error(err)
	}
}
