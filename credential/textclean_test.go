package credential

import (
	"bytes"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
)

// pemFiles are the files of text that people have, by their usual names.
func pemFiles(tb testing.TB) map[string][]byte {
	tb.Helper()
	key := newECKey(tb, elliptic.P256())
	id := newIdentity(tb, rsaKey())
	p8, err := MarshalP8(key)
	if err != nil {
		tb.Fatal(err)
	}
	ck, err := id.MarshalPEM()
	if err != nil {
		tb.Fatal(err)
	}
	ec, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	traditional, err := x509.EncryptPEMBlock(rand.Reader, pemRSAKey, x509.MarshalPKCS1PrivateKey(rsaKey()), []byte("secret"), x509.PEMCipherAES128) //nolint:staticcheck // the old form is what is tested
	if err != nil {
		tb.Fatal(err)
	}
	all := newAuthorities(tb, IntermediateProfile{PermittedDNS: []string{"localhost"}})
	crl, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now.AddDate(0, 0, 1),
	}, all.root.Certificate, all.root.Key)
	if err != nil {
		tb.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		tb.Fatal(err)
	}
	block := func(label string, der []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der})
	}
	return map[string][]byte{
		"certificate":     MarshalCertificatePEM(id.Certificate),
		"provider key":    p8,
		"RSA key":         block(pemRSAKey, x509.MarshalPKCS1PrivateKey(rsaKey())),
		"EC key":          block(pemECKey, ec),
		"traditional key": pem.EncodeToMemory(traditional),
		"request":         MarshalRequestPEM(newRequest(tb, key)),
		"ck.pem":          ck,
		"revocation list": block(pemRevocationList, crl),
		"public key":      block(pemPublicKey, public),
	}
}

func pemBlocksOf(text []byte) []*pem.Block {
	var blocks []*pem.Block
	for {
		var b *pem.Block
		if b, text = pem.Decode(text); b == nil {
			return blocks
		}
		blocks = append(blocks, b)
	}
}

func utf16Text(s string, big bool) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		if big {
			b = append(b, byte(u>>8), byte(u))
		} else {
			b = append(b, byte(u), byte(u>>8))
		}
	}
	return string(b)
}

func eachLine(s, before, after string) string {
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	for i := range lines {
		lines[i] = before + lines[i] + after
	}
	return strings.Join(lines, "\n") + "\n"
}

// mangled are ways in which PEM text is spoilt. The form applies to a whole
// file, whatever blocks it has.
var mangled = []struct {
	name   string
	mangle func(string) string
	want   []Repair
}{
	{"byte-order mark", func(s string) string { return "\ufeff" + s }, []Repair{RepairByteOrderMark}},
	{"UTF-16 LE with mark", func(s string) string { return "\xff\xfe" + utf16Text(s, false) }, []Repair{RepairUTF16}},
	{"UTF-16 BE with mark", func(s string) string { return "\xfe\xff" + utf16Text(s, true) }, []Repair{RepairUTF16}},
	{"UTF-16 LE", func(s string) string { return utf16Text(s, false) }, []Repair{RepairUTF16}},
	{"UTF-16 BE", func(s string) string { return utf16Text(s, true) }, []Repair{RepairUTF16}},
	{"UTF-16 of PowerShell", func(s string) string {
		return "\xff\xfe" + utf16Text(strings.ReplaceAll(s, "\n", "\r\n"), false)
	}, []Repair{RepairUTF16, RepairLineEnds}},
	{"CRLF", func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }, []Repair{RepairLineEnds}},
	{"CR", func(s string) string { return strings.ReplaceAll(s, "\n", "\r") }, []Repair{RepairLineEnds}},
	{`\n`, func(s string) string { return strings.ReplaceAll(s, "\n", `\n`) }, []Repair{RepairEscapes}},
	{`\r\n`, func(s string) string { return strings.ReplaceAll(s, "\n", `\r\n`) }, []Repair{RepairEscapes}},
	{`\\n`, func(s string) string { return strings.ReplaceAll(s, "\n", `\\n`) }, []Repair{RepairEscapes}},
	{"JSON", func(s string) string {
		s = strings.NewReplacer("\n", `\n`, "/", `\/`, "+", `\u002b`).Replace(s)
		return `"` + s + `"`
	}, []Repair{RepairEscapes, RepairQuotes}},
	{"double quotes", func(s string) string { return `"` + s + `"` }, []Repair{RepairQuotes}},
	{"single quotes", func(s string) string { return "'" + strings.TrimSpace(s) + "'\n" }, []Repair{RepairQuotes}},
	{"typographic quotes", func(s string) string { return "“" + strings.TrimSpace(s) + "”" }, []Repair{RepairQuotes}},
	{".env file", func(s string) string { return `APNS_KEY="` + strings.TrimSpace(s) + "\"\n" }, []Repair{RepairQuotes, RepairSurroundings}},
	{"quoted lines", func(s string) string { return eachLine(s, `"`, `",`) }, nil},
	{"indented", func(s string) string { return eachLine(s, "    ", "") }, []Repair{RepairIndentation}},
	{"tabs", func(s string) string { return eachLine(s, "\t", "") }, []Repair{RepairIndentation}},
	{"YAML", func(s string) string { return "key: |\n" + eachLine(s, "  ", "") }, []Repair{RepairIndentation}},
	{"mail", func(s string) string { return eachLine(s, "> ", "") }, nil},
	{"spaces for line ends", func(s string) string { return strings.ReplaceAll(s, "\n", " ") }, []Repair{RepairOneLine}},
	{"line ends for spaces", func(s string) string { return strings.ReplaceAll(s, " ", "\n") }, nil},
	{"no line ends", func(s string) string { return strings.ReplaceAll(s, "\n", "") }, nil},
	{"four dashes", func(s string) string { return strings.ReplaceAll(s, "-----", "----") }, []Repair{RepairDashes}},
	{"em dashes", func(s string) string { return strings.ReplaceAll(s, "-----", "——-") }, []Repair{RepairDashes}},
	{"no final dashes", func(s string) string { return strings.TrimSuffix(s, "---\n") }, []Repair{RepairDashes}},
	{"HTML", func(s string) string { return "<pre>" + strings.ReplaceAll(s, "\n", "<br/>") + "</pre>" }, []Repair{RepairMarkup}},
	{"HTML entities", func(s string) string { return strings.NewReplacer("=", "&#61;", "-", "&#45;").Replace(s) }, []Repair{RepairMarkup}},
	{"no-break spaces", func(s string) string { return strings.ReplaceAll(s, " ", "\u00a0") + "\u200b" }, []Repair{RepairStray}},
	{"shell prompt behind", func(s string) string { return strings.TrimSuffix(s, "\n") + "%" }, []Repair{RepairSurroundings}},
	{"joined to itself", func(s string) string { s = strings.TrimSuffix(s, "\n"); return s + s }, []Repair{RepairJoined}},
	{"empty lines", func(s string) string { return strings.ReplaceAll(s, "\n", "\n\n") }, nil},
	{"base64 of it", func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }, []Repair{RepairBase64}},
}

func TestCleanTextMatrix(t *testing.T) {
	for kind, text := range pemFiles(t) {
		for _, m := range mangled {
			t.Run(kind+"/"+m.name, func(t *testing.T) {
				bad := []byte(m.mangle(string(text)))
				before := bytes.Clone(bad)
				got, done := CleanText(bad)
				if !bytes.Equal(bad, before) {
					t.Error("the input was changed")
				}
				want := pemBlocksOf(text)
				if m.name == "joined to itself" {
					want = append(want, want...)
				}
				if diff := cmp.Diff(want, pemBlocksOf(got)); diff != "" {
					t.Fatalf("blocks (-want +got):\n%s\ntext:\n%.300s", diff, got)
				}
				if len(findMarks(string(got))) != 2*len(want) {
					t.Errorf("got %d headers and footers, want %d", len(findMarks(string(got))), 2*len(want))
				}
				for _, r := range m.want {
					if !slices.Contains(done, r) {
						t.Errorf("got repairs %v, want %s among them", done, r)
					}
				}
				if again, none := CleanText(got); !bytes.Equal(again, got) || len(none) > 0 {
					t.Errorf("cleaning twice: repairs %v", none)
				}
			})
		}
	}
}

// What has one block only can also lose its header or footer, or both.
func TestCleanTextWithoutHeader(t *testing.T) {
	for kind, text := range pemFiles(t) {
		if kind == "ck.pem" || kind == "traditional key" { // several blocks; a label that no content gives away
			continue
		}
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		body := lines[1 : len(lines)-1]
		for name, bad := range map[string]string{
			"no header":         strings.Join(lines[1:], "\n"),
			"no footer":         strings.Join(lines[:len(lines)-1], "\n"),
			"no footer, words":  strings.Join(lines[:len(lines)-1], "\n") + "\nThanks, Bob\n",
			"bare":              strings.Join(body, "\n"),
			"bare on one line":  strings.Join(body, ""),
			"bare with spaces":  strings.Join(body, " "),
			"bare in quotes":    `"` + strings.Join(body, "") + `"`,
			"bare with \\n":     strings.Join(body, `\n`),
			"bare of a setting": "APNS_KEY=" + strings.Join(body, "") + "\n",
			"bare for URLs":     strings.NewReplacer("+", "-", "/", "_").Replace(strings.Join(body, "")),
			"bare, no padding":  strings.TrimRight(strings.Join(body, ""), "="),
		} {
			t.Run(kind+"/"+name, func(t *testing.T) {
				got, done := CleanText([]byte(bad))
				if !bytes.Equal(got, text) {
					t.Fatalf("got\n%s\nwant\n%s", got, text)
				}
				if len(done) == 0 {
					t.Error("no repair was reported")
				}
			})
		}
	}
}

func TestCleanTextLeavesAlone(t *testing.T) {
	id := newIdentity(t, newECKey(t, elliptic.P256()))
	ck, err := id.MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"nothing":         nil,
		"sound PEM":       ck,
		"bag attributes":  append([]byte("Bag Attributes\n    friendlyName: \"a–b\" \\n\n"), ck...),
		"DER":             id.Certificate.Raw,
		"damaged DER":     id.Certificate.Raw[:100],
		"random":          {0x80, 0xff, 0x00, 0x13, 0x12},
		"words":           []byte("Dear all, Mr. BEGIN says – hello.\n"),
		"words about PEM": []byte("A file starts with -----BEGIN and so on.\n"),
		"XML":             []byte(`<?xml version="1.0"?><plist><data>MIGH</data></plist>`),
		"too large":       bytes.Repeat([]byte("-----BEGIN X-----\r"), maxFileBytes/16),
	} {
		t.Run(name, func(t *testing.T) {
			got, done := CleanText(data)
			if !bytes.Equal(got, data) || len(done) > 0 {
				t.Errorf("changed, repairs %v", done)
			}
		})
	}
}

func TestCleanTextBinary(t *testing.T) {
	id := newIdentity(t, newECKey(t, elliptic.P256()))
	p12, err := id.MarshalPKCS12("secret", PKCS12Modern)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"one line": base64.StdEncoding.EncodeToString(p12),
		"wrapped":  eachLine(base64.StdEncoding.EncodeToString(p12[:len(p12)/2*2]), "", ""),
		"setting":  "P12=" + base64.StdEncoding.EncodeToString(p12),
	} {
		got, done := CleanText([]byte(text))
		if !bytes.Equal(got, p12) || !slices.Contains(done, RepairBase64) {
			t.Errorf("%s: got %d bytes, want %d; repairs %v", name, len(got), len(p12), done)
		}
	}
}

// Of a block that can not be repaired, nothing may be made up.
func TestCleanTextBeyondRepair(t *testing.T) {
	text := string(pemFiles(t)["provider key"])
	lines := strings.Split(text, "\n")
	cut := strings.Join(append(slices.Clone(lines[:2]), lines[3:]...), "\n")
	for name, bad := range map[string]string{
		"cut off":       cut,
		"cut off, CRLF": strings.ReplaceAll(cut, "\n", "\r\n"),
		"cut off, bare": lines[1],
		"two bodies":    strings.Replace(text, lines[2], lines[1]+"==\n"+lines[2], 1),
		"masked":        strings.Replace(text, lines[1][10:30], strings.Repeat("*", 20), 1),
		"elided":        strings.Replace(text, lines[1][10:30], "...", 1),
		"no body":       "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----",
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := CleanText([]byte(bad))
			for _, b := range pemBlocksOf(got) {
				if _, err := parseKeyBlock(b); err == nil {
					t.Errorf("a key came out of it:\n%s", got)
				}
			}
		})
	}
}

func TestRepairSentences(t *testing.T) {
	seen := map[Repair]bool{}
	for _, row := range repairs {
		if seen[row.repair] || row.sentence == "" || row.repair.Sentence() != row.sentence {
			t.Errorf("%s: twice, or without a sentence", row.repair)
		}
		seen[row.repair] = true
	}
}

func TestShapes(t *testing.T) {
	for kind, text := range pemFiles(t) {
		if kind == "traditional key" { // encrypted
			continue
		}
		for _, b := range pemBlocksOf(text) {
			if got := shapeOf(b.Bytes).label(); got != b.Type {
				t.Errorf("%s: got shape %q, want %q", kind, got, b.Type)
			}
		}
	}
}

func FuzzCleanText(f *testing.F) {
	for _, name := range []string{"files/aps.pem", "files/device.certSigningRequest", "keys/traditional-ec-aes256.pem"} {
		f.Add(readTestdata(f, name))
	}
	p8 := string(readTestdata(f, "files/AuthKey_2X9R4HXF34.p8"))
	for _, m := range mangled {
		f.Add([]byte(m.mangle(p8)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, done := CleanText(data)
		if len(got) > 4*len(data)+256 {
			t.Errorf("%d bytes became %d", len(data), len(got))
		}
		if len(done) == 0 && !bytes.Equal(got, data) {
			t.Error("changed without a repair")
		}
		again, _ := CleanText(got)
		if soundPEM(got) && !bytes.Equal(again, got) {
			t.Error("what is sound was changed")
		}
	})
}
