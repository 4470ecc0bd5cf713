package credential

import (
	"bytes"
	"crypto/elliptic"
	"encoding/asn1"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// toBER rewrites DER as the most roundabout BER: every length that may be is
// indefinite, the others have four bytes more than they need, and octet
// strings lie in pieces, some of them in pieces themselves. An octet string
// that holds a sequence gets its content rewritten too if deep is set.
func toBER(tb testing.TB, der []byte, deep bool) []byte {
	tb.Helper()
	var out []byte
	for len(der) > 0 {
		h, body, err := readBERHeader(der)
		if err != nil {
			tb.Fatal(err)
		}
		content := body[:h.length]
		der = body[h.length:]
		switch {
		case h.constructed:
			out = append(append(out, h.identifier...), 0x80)
			out = append(append(out, toBER(tb, content, deep)...), 0, 0)
		case h.class == asn1.ClassUniversal && h.tag == asn1.TagOctetString:
			var v asn1.RawValue
			if deep && len(content) > 0 && content[0] == derSequence && unmarshalAll(content, &v) == nil {
				content = toBER(tb, content, deep)
			}
			out = append(append(out, inPieces(asn1.TagOctetString, content)...), 0, 0)
		case h.class == asn1.ClassContextSpecific && h.tag == 0: // encryptedContent
			out = append(append(out, inPieces(0x80, content)...), 0, 0)
		default:
			out = append(append(out, h.identifier...), 0x84, 0, 0, byte(len(content)>>8), byte(len(content)))
			out = append(out, content...)
		}
	}
	return out
}

// inPieces returns the header and the pieces of an octet string, without the end.
func inPieces(identifier byte, content []byte) []byte {
	third := len(content) / 3
	out := []byte{identifier | berConstructed, 0x80}
	out = append(out, 4, 0) // an empty piece
	out = appendDERHeader(out, []byte{4}, third)
	out = append(out, content[:third]...)
	if identifier == asn1.TagOctetString { // pieces of a piece
		out = append(out, 0x24, 0x80, 4, 0, 0, 0)
	}
	out = appendDERHeader(out, []byte{4}, len(content)-third)
	return append(out, content[third:]...)
}

// Files in BER read as the same ones in DER.
func TestParsePKCS12BER(t *testing.T) {
	for _, tt := range goldenPKCS12 {
		t.Run(tt.file, func(t *testing.T) {
			der := readTestdata(t, "pkcs12/"+tt.file+".p12")
			ber := toBER(t, der, false)
			if again, err := toDER(ber); err != nil {
				t.Fatal(err)
			} else if bytes.Equal(ber, der) || len(again) > len(der)+32 { // encryptedContent stays in pieces
				t.Errorf("%d bytes of DER, %d of BER, %d again", len(der), len(ber), len(again))
			}
			p, err := ParsePKCS12(ber, goldenPassword(tt.password))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, summarize(t, p)); diff != "" {
				t.Errorf("want -, got +\n%s", diff)
			}
		})
	}
}

// Each level within may be BER too, what was encrypted among them.
func TestParsePKCS12DeepBER(t *testing.T) {
	plain := readTestdata(t, "pkcs12/identity-plain-no-mac.p12")
	if _, err := ParsePKCS12(toBER(t, plain, true), ""); err == nil {
		t.Error("a certificate in BER was read: it is signed as DER")
	}
	id := newIdentity(t, newECKey(t, elliptic.P256()))
	w := pkcs12Writer{style: PKCS12Legacy, password: mustPassphrase(t, "herald"), work: newWorkLimit()}
	bag := must(newBag(oidCertBag, certBag{oidX509Cert, must(explicit(id.Certificate.Raw))}, "", nil))
	alg, sealed, err := w.encrypt(toBER(t, must(asn1.Marshal([]safeBag{bag})), false), true)
	if err != nil {
		t.Fatal(err)
	}
	safes := toBER(t, must(asn1.Marshal([]contentInfo{sealedSafe(alg, sealed)})), false)
	mac := must(newMAC(oidSHA1, w.work, w.password, safes))
	p, err := ParsePKCS12(toBER(t, fileOf(t, safes, mac), false), "herald")
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Certificates) != 1 || !p.Certificates[0].Certificate.Equal(id.Certificate) {
		t.Errorf("got %v", p)
	}
}

func TestToDER(t *testing.T) {
	for _, tt := range []struct {
		name, ber, der string // no der: refused
	}{
		{"DER", "3003020101", "3003020101"},
		{"indefinite", "3080 020101 0000", "3003020101"},
		{"empty", "3080 0000", "3000"},
		{"long length", "30830000 03 020101", "3003020101"},
		{"octets", "2480 0401AA 0402BBCC 0000", "0403AABBCC"},
		{"octets, definite", "2406 0401AA 0401BB", "0402AABB"},
		{"octets in octets", "2480 2480 0401AA 0000 0401BB 0000", "0402AABB"},
		{"no pieces", "2400", "0400"},
		{"long tag", "BF8101 80 020101 0000", "BF810103020101"},
		{"other classes", "A080 8001AA 0000", "A0038001AA"},
		{"no end", "3080 020101", ""},
		{"half an end", "3080 020101 00", ""},
		{"end alone", "0000", ""},
		{"end in a definite one", "3002 0000", ""},
		{"cut short", "30030201", ""},
		{"bytes after it", "3000 00", ""},
		{"one byte", "30", ""},
		{"length cut short", "308201", ""},
		{"length of five bytes", "30850000000000", ""},
		{"longest length", "3084FFFFFFFF", ""},
		{"tag cut short", "1F81", ""},
		{"endless tag", "1FFFFFFFFFFFFF00", ""},
		{"indefinite integer", "0280 0000", ""},
		{"integer in pieces", "2203 020101", ""},
		{"bits in pieces", "2304 03020000", ""},
		{"primitive sequence", "1000", ""},
		{"octets of integers", "2403 020101", ""},
		{"octets of nothing", "2480", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := toDER(unhex(t, tt.ber))
			if tt.der == "" {
				if err == nil {
					t.Errorf("accepted as %x", got)
				}
				return
			}
			if want := unhex(t, tt.der); err != nil || !bytes.Equal(got, want) {
				t.Errorf("got %x, %v, want %x", got, err, want)
			}
		})
	}
}

// What is written is read as itself, so that it is DER.
func FuzzToDER(f *testing.F) {
	f.Add(readTestdata(f, "pkcs12/identity-plain-no-mac.p12"))
	f.Add(toBER(f, readTestdata(f, "pkcs12/key-only-3des.p12"), false))
	f.Fuzz(func(t *testing.T, data []byte) {
		der, err := toDER(data)
		if err != nil {
			return
		}
		if again, err := toDER(der); err != nil || !bytes.Equal(again, der) {
			t.Errorf("%x became %x, %v", der, again, err)
		}
	})
}
