package credential

import (
	"bytes"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"testing"
)

// textParsers are all that read text, with a file that each accepts. They say
// whether what was read is what is in it.
func textParsers(tb testing.TB) map[string]struct {
	text  []byte
	parse func([]byte) (bool, error)
} {
	tb.Helper()
	type parser = struct {
		text  []byte
		parse func([]byte) (bool, error)
	}
	key := newECKey(tb, elliptic.P256())
	id := newIdentity(tb, key)
	ck := must(id.MarshalPEM())
	herald := func() (string, error) { return "herald", nil }
	open := func(data []byte) (bool, error) {
		got, err := ParsePrivateKeyPEM(data, herald)
		return err == nil && samePublicKey(got.Public(), testCertificate(tb, "push").PublicKey), err
	}
	return map[string]parser{
		"ParseP8": {must(MarshalP8(key)), func(data []byte) (bool, error) {
			got, err := ParseP8(data)
			return err == nil && got.Equal(key), err
		}},
		"ParseIdentityPEM": {ck, func(data []byte) (bool, error) {
			got, err := ParseIdentityPEM(data)
			return err == nil && got.Certificate.Equal(id.Certificate) && len(got.Chain) == 1, err
		}},
		"OpenIdentityPEM": {
			append(MarshalCertificatePEM(testCertificate(tb, "push")), readTestdata(tb, "keys/traditional-aes256.pem")...),
			func(data []byte) (bool, error) {
				got, err := OpenIdentityPEM(data, herald)
				return err == nil && got.Certificate.Equal(testCertificate(tb, "push")), err
			},
		},
		"ParsePrivateKeyPEM":              {readTestdata(tb, "keys/pbes2-aes256.pem"), open},
		"ParsePrivateKeyPEM, traditional": {readTestdata(tb, "keys/traditional-des3.pem"), open},
		"ParseRequest": {MarshalRequestPEM(newRequest(tb, key)), func(data []byte) (bool, error) {
			got, err := ParseRequest(data)
			return err == nil && samePublicKey(got.PublicKey, key.Public()), err
		}},
		"ParsePKCS12": {
			pem.EncodeToMemory(&pem.Block{Type: pemPKCS12, Bytes: readTestdata(tb, "pkcs12/identity-one-iteration.p12")}),
			func(data []byte) (bool, error) {
				got, err := ParsePKCS12(data, "herald")
				return err == nil && len(got.Identities()) == 1, err
			},
		},
	}
}

// Every parser takes every form of mangled text: the door is one.
func TestMangledTextIsParsed(t *testing.T) {
	for name, p := range textParsers(t) {
		for _, m := range mangled {
			if m.name == "joined to itself" { // two of what is to be one
				continue
			}
			t.Run(name+"/"+m.name, func(t *testing.T) {
				bad := []byte(m.mangle(string(p.text)))
				before := bytes.Clone(bad)
				if ok, err := p.parse(bad); err != nil || !ok {
					t.Errorf("got %v, %v, want what was written", ok, err)
				}
				if !bytes.Equal(bad, before) {
					t.Error("the input was changed")
				}
			})
		}
	}
}

// Who warns of repairs cleans the text first, and loses nothing by it.
func TestRepairsCanBeReported(t *testing.T) {
	p8 := must(MarshalP8(newECKey(t, elliptic.P256())))
	bad := []byte("\ufeff" + `"` + strings.ReplaceAll(string(p8), "\n", `\n`) + `"`)
	clean, done := CleanText(bad)
	if want := []Repair{RepairByteOrderMark, RepairEscapes, RepairQuotes}; !slices.Equal(done, want) {
		t.Errorf("got repairs %v, want %v", done, want)
	}
	if _, err := ParseP8(clean); err != nil {
		t.Error(err)
	}
	r, err := Inspect("AuthKey_2X9R4HXF34.p8", bad, InspectOptions{})
	if err != nil || codesOf(r.Problems) != "W-TEXT W-REPAIRED" || !slices.Equal(r.Repairs, done) {
		t.Errorf("got %v, %v, %v, want one warning of each kind", r.Problems, r.Repairs, err)
	}
}

// What is binary by nature is read from its base64 too.
func TestBinaryAsText(t *testing.T) {
	p12 := readTestdata(t, "pkcs12/identity-one-iteration.p12")
	text := "P12_BASE64=" + base64.StdEncoding.EncodeToString(p12) + "\r\n"
	if p, err := ParsePKCS12([]byte(text), "herald"); err != nil || len(p.Identities()) != 1 {
		t.Errorf("got %v, %v, want the identity", p, err)
	}
	if _, err := ParsePKCS12([]byte(text), "Herald"); !errors.Is(err, ErrPassword) {
		t.Errorf("got %v, want ErrPassword", err)
	}
}

// The bounds hold for text that needs repair as for any other.
func TestPEMBounds(t *testing.T) {
	p8 := string(must(MarshalP8(newECKey(t, elliptic.P256()))))
	for _, tt := range []struct{ name, text, want string }{
		{"spaces", strings.Repeat(" ", maxInputBytes) + p8, "at most 65536 are read"},
		{"keys", strings.Repeat(p8, 200), "200 PEM blocks, the first is a private key"},
		{"keys to be repaired", strings.Repeat(strings.ReplaceAll(p8, "\n", " "), 200), "PEM blocks are damaged"},
		{"headers", strings.Repeat("-----BEGIN A-----", 3000), "PEM blocks are damaged"},
		{"dashes", strings.Repeat("-", maxInputBytes), "no PEM block"},
		{"words", strings.Repeat("BEGIN A ", maxInputBytes/8), "no PEM block"},
		{"base64", strings.Repeat("M", maxInputBytes), "no PEM block"},
		{"escapes", strings.Repeat(`\n`, maxInputBytes/2), "no PEM block"},
		{"tags", strings.Repeat("<p ", maxInputBytes/3), "no PEM block"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseP8([]byte(tt.text))
			wantError(t, err, tt.want)
		})
	}
}

// A chain longer than what is rebuilt is left as it is, and not cut short.
func TestCleanTextOfManyBlocks(t *testing.T) {
	cert := MarshalCertificatePEM(testCertificate(t, "root"))
	for name, text := range map[string][]byte{
		"sound":    bytes.Repeat(cert, maxMarks),
		"indented": []byte(eachLine(string(bytes.Repeat(cert, maxMarks)), "  ", "")),
	} {
		if got, done := CleanText(text); !bytes.Equal(got, text) || len(done) > 0 {
			t.Errorf("%s: %d bytes became %d, repairs %v", name, len(text), len(got), done)
		}
	}
}
