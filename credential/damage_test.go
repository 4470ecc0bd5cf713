package credential

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"testing"
)

// everyFile is one file of every kind, and of every encryption.
func everyFile(tb testing.TB) map[string][]byte {
	tb.Helper()
	all := map[string][]byte{}
	names, err := filepath.Glob("testdata/files/*")
	if err != nil || len(names) < 20 {
		tb.Fatalf("testdata/files: %d files, %v", len(names), err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		all[filepath.Base(name)] = data
	}
	for _, name := range []string{"pkcs12/camellia.p12", "pkcs12/rc4.p12", "keys/pbes2-camellia.pem", "keys/traditional-camellia128.pem", "keys/traditional-ec-aes256.pem"} {
		all[name] = readTestdata(tb, name)
	}
	for name, data := range quickPKCS12(tb) {
		all["p12 by "+name] = data
	}
	for name, data := range quickKeys(tb) {
		all["key by "+name] = data
	}
	return all
}

// Of no damaged file does any parser panic, and each problem comes with what
// to do. Nor is the password ever blamed for a cipher that is not read.
func TestDamagedFiles(t *testing.T) {
	const tries = 30 // of each kind of damage, spread over the file
	password := func() (string, error) { return "herald", nil }
	for name, data := range everyFile(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check := func(data []byte) {
				r, err := Inspect(name, data, InspectOptions{Password: herald, Now: now})
				p, ok := errors.AsType[Problem](err)
				if err != nil && (!ok || p.Code.Warning() || p.Hint == "") {
					t.Errorf("got %v, want a problem with its hint", err)
				}
				_ = r.Text()
				_ = r.Verify(VerifyOptions{Topic: diagnosed, Now: now})
				if _, problems, err := Assemble(File{name, data}, File{}, AssembleOptions{Password: herald, Now: now}); err != nil && len(problems) == 0 {
					t.Errorf("got %v, and no problem", err)
				}
				if costly(data) {
					return
				}
				_, _ = ParseP8(data)
				_, _ = ParseRequest(data)
				_, _ = OpenIdentityPEM(data, password)
				_, _ = ParsePrivateKeyPEM(data, password)
				_, _ = ParseProvisioningProfile(data)
				if cert, err := x509.ParseCertificate(data); err == nil {
					_, _ = ParsePushCertificate(cert)
					_, _ = ParseDeviceCertificate(cert)
				}
			}
			step := max(len(data)/tries, 1)
			for i := 0; i < len(data); i += step {
				check(data[:i])
				flipped := bytes.Clone(data)
				flipped[i] ^= 1 << (i / step % 8)
				check(flipped)
			}
		})
	}
}

// bitsOf are all bits of the beginning, where the algorithms stand, and some of
// the rest.
func bitsOf(data []byte) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := 0; i < 8*len(data) && yield(i); i++ {
			if i > 8*160 {
				i += 50
			}
		}
	}
}

// Whatever bit of a file is wrong: what is encrypted by a cipher that is not
// read is never said to have another password.
func TestUnsupportedIsNoPassword(t *testing.T) {
	blamed := func(err error) bool { return errors.Is(err, ErrPassword) || errors.Is(err, ErrKeyPassword) }
	for _, name := range []string{"camellia", "rc4"} {
		file := must(readPFX(readTestdata(t, "pkcs12/"+name+".p12")))
		content := must(file.AuthSafe.octets())
		if name == "rc4" { // the key by 3DES is read: only the safe of the certificates is at stake
			content = must(asn1.Marshal([]asn1.RawValue{must(sequence(content))[0]}))
		}
		form := mustPassphrase(t, "herald")
		for i := range bitsOf(content) {
			changed := bytes.Clone(content)
			changed[i/8] ^= 1 << (i % 8)
			var mac macData // of one round, for speed
			mac.MAC.Algorithm = pkix.AlgorithmIdentifier{Algorithm: oidSHA256, Parameters: asn1Null}
			mac.Salt, mac.Rounds = []byte("saltsalt"), 1
			digest, _, err := mac.sum(newWorkLimit(), form, changed)
			if err != nil {
				t.Fatal(err)
			}
			mac.MAC.Digest = digest
			if _, err := ParsePKCS12(fileOf(t, changed, mac), "herald"); err == nil || blamed(err) {
				t.Fatalf("%s, bit %d: got %v", name, i, err)
			}
		}
	}
	for _, name := range []string{"pbes2-camellia", "traditional-camellia128"} {
		block, _ := pem.Decode(readTestdata(t, "keys/"+name+".pem"))
		for i := range bitsOf(block.Bytes) {
			changed := *block
			changed.Bytes = bytes.Clone(block.Bytes)
			changed.Bytes[i/8] ^= 1 << (i % 8)
			_, err := ParsePrivateKeyPEM(pem.EncodeToMemory(&changed), func() (string, error) {
				t.Errorf("%s, bit %d: the password was asked for in vain", name, i)
				return "herald", nil
			})
			if err == nil || blamed(err) {
				t.Fatalf("%s, bit %d: got %v", name, i, err)
			}
		}
	}
}

// What a file costs is bounded for all of its parts together: a stranger may
// hand over as many locked things as fit into a MiB.
func TestInspectBoundsWork(t *testing.T) {
	const rounds = 100 // of all together; each part wants an eighth
	costs := algorithm(oidTripleDES3, pbeParameters{make([]byte, 8), rounds / 8})
	key := pem.EncodeToMemory(&pem.Block{Type: pemEncryptedKey, Bytes: must(asn1.Marshal(encryptedKeyInfo{costs, make([]byte, 64)}))})
	var mac macData
	mac.MAC.Algorithm = pkix.AlgorithmIdentifier{Algorithm: oidSHA256, Parameters: asn1Null}
	mac.MAC.Digest, mac.Salt, mac.Rounds = make([]byte, 32), make([]byte, 8), rounds/8
	p12 := pem.EncodeToMemory(&pem.Block{Type: pemPKCS12, Bytes: fileOf(t, []byte{0x30, 0}, mac)})
	for name, block := range map[string][]byte{"keys": key, "PKCS#12": p12} {
		asked := 0
		c := newContents("a.pem", func(string) (string, error) { asked++; return "herald", nil })
		c.tried.max, c.opened.max = rounds, rounds
		c.read(bytes.Repeat(block, 500))
		if c.tried.spent > rounds || c.opened.spent > rounds || asked > maxItems {
			t.Errorf("%s: %d and %d rounds, asked %d times", name, c.tried.spent, c.opened.spent, asked)
		}
		if !hasCode(c.problems, CodeTooLarge) || !hasCode(c.problems, WarnIgnored) {
			t.Errorf("%s: got %s, want that it asks for too much", name, codesOf(dedupe(c.problems)))
		}
	}
}
