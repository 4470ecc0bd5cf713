package credential

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
)

const (
	tokenKey  = apns.KeyID("2X9R4HXF34")
	tokenTeam = apns.TeamID("ABCDE12345")
)

var tokenTime = time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)

// dialect is how a sender writes its provider tokens.
type dialect struct {
	name           string
	header, claims string
	encoding       *base64.Encoding
	der            bool // signature in ASN.1
}

const (
	plainHeader = `{"alg":"ES256","kid":"2X9R4HXF34"}`
	plainClaims = `{"iss":"ABCDE12345","iat":1803902400}`
)

// sign builds a token with any header, as the sender's own code would.
func (d dialect) sign(tb testing.TB, key *ecdsa.PrivateKey) string {
	tb.Helper()
	signed := d.encoding.EncodeToString([]byte(d.header)) + "." + d.encoding.EncodeToString([]byte(d.claims))
	digest := sha256.Sum256([]byte(signed))
	var sig []byte
	var err error
	if d.der {
		sig, err = ecdsa.SignASN1(rand.Reader, key, digest[:])
		if err != nil {
			tb.Fatal(err)
		}
	} else {
		r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
		if err != nil {
			tb.Fatal(err)
		}
		sig = make([]byte, 64)
		r.FillBytes(sig[:32])
		s.FillBytes(sig[32:])
	}
	return signed + "." + d.encoding.EncodeToString(sig)
}

var (
	base64URL = base64.RawURLEncoding
	base64Std = base64.StdEncoding
)

// dialects are those of docs/protocol/certificates.md#dialects, by the sender
// that writes it; and behind them what lies between. Encoding and signature are
// what the sender is known for; the order of the members is an example.
var dialects = []dialect{
	{"Herald", plainHeader, plainClaims, base64URL, false},
	{"sideshow/apns2 (Go)", plainHeader, `{"iat":1803902400,"iss":"ABCDE12345"}`, base64URL, false},
	{"gaurun (Go)", `{"alg":"ES256","kid":"2X9R4HXF34","typ":"JWT"}`, `{"iat":1803902400,"iss":"ABCDE12345"}`, base64URL, false},
	{"Gunfish (Go)", `{"alg":"ES256","kid":"2X9R4HXF34"}`, `{"iss":"ABCDE12345","iat":1803902400}`, base64URL, false},
	{"edganiukov/apns (Go)", plainHeader, `{"iss":"ABCDE12345","iat":1803902400,"exp":1803906000}`, base64URL, false},
	{"@parse/node-apn (node)", `{"alg":"ES256","typ":"JWT","kid":"2X9R4HXF34"}`, `{"iat":1803902400,"iss":"ABCDE12345"}`, base64URL, false},
	{"apns2 (node)", `{"alg":"ES256","typ":"JWT","kid":"2X9R4HXF34"}`, plainClaims, base64URL, false},
	{"aioapns (Python)", `{"alg":"ES256","kid":"2X9R4HXF34","typ":"JWT"}`, plainClaims, base64URL, false},
	{"PyJWT (Python)", `{"typ":"JWT","alg":"ES256","kid":"2X9R4HXF34"}`, plainClaims, base64URL, false},
	{"pushy (Java)", `{"alg":"ES256","typ":"JWT","kid":"2X9R4HXF34"}`, plainClaims, base64URL, true},
	{"apnotic (Ruby)", `{"kid":"2X9R4HXF34","alg":"ES256"}`, plainClaims, base64URL, true},
	{"Apple's command line", `{ "alg": "ES256", "kid": "2X9R4HXF34" }`, `{ "iss": "ABCDE12345", "iat": 1803902400 }`, base64URL, true},
	{"a2 (Rust)", plainHeader, plainClaims, base64Std, true},
	{"CleverTap apns-http2 (Java)", `{ "alg": "ES256", "kid": "2X9R4HXF34"}`, `{ "iss": "ABCDE12345", "iat": 1803902400}`, base64Std, true},
	{"dotAPNS (.NET)", plainHeader, plainClaims, base64Std, false},
	{
		"APNSwift (Swift)", "{\n  \"alg\" : \"ES256\",\n  \"kid\" : \"2X9R4HXF34\",\n  \"typ\" : \"JWT\"\n}\n",
		"{\n  \"iat\" : \"1803902400\",\n  \"iss\" : \"ABCDE12345\",\n  \"kid\" : \"2X9R4HXF34\"\n}", base64URL, false,
	},

	{"kid in the claims alone", `{"alg":"ES256"}`, `{"iss":"ABCDE12345","iat":1803902400,"kid":"2X9R4HXF34"}`, base64URL, false},
	{"header before claims", plainHeader, `{"iss":"ABCDE12345","iat":1803902400,"kid":"OTHEROTHER"}`, base64URL, false},
	{"an audience", plainHeader, `{"exp":1803906000,"iss":"ABCDE12345","iat":1803902400,"aud":["a"]}`, base64URL, false},
	{"padded base64url", plainHeader, plainClaims, base64.URLEncoding, false},
	{"unpadded standard base64", plainHeader, plainClaims, base64.RawStdEncoding, true},
	{"iat with a fraction", plainHeader, `{"iss":"ABCDE12345","iat":1803902400.731}`, base64URL, false},
	{"escaped JSON", `{"alg":"\u0045S256","kid":"2X9R4HXF34"}`, `{"iss":"\u0041BCDE12345","iat":1.8039024e9}`, base64URL, false},
	{"characters beyond base64url", `{"alg":"ES256","kid":"2X9R4HXF34","x":"??>>~~ÿÿÿ"}`, plainClaims, base64Std, true},
}

// tokenVectors are tokens that were written once, one in each dialect, with the
// key in testdata/files.
func tokenVectors(tb testing.TB) (names, tokens []string, key *ecdsa.PrivateKey) {
	tb.Helper()
	key = must(ParseP8(readTestdata(tb, "files/AuthKey_2X9R4HXF34.p8")))
	for line := range strings.Lines(string(readTestdata(tb, "provider-tokens.txt"))) {
		if name, token, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t"); ok {
			names, tokens = append(names, name), append(tokens, token)
		}
	}
	return names, tokens, key
}

func TestProviderTokenVectors(t *testing.T) {
	if *remake {
		key := must(ParseP8(readTestdata(t, "files/AuthKey_2X9R4HXF34.p8")))
		var text strings.Builder
		text.WriteString("Provider tokens in the dialects of their senders, each behind a tab. Made by go test -run TestProviderTokenVectors -remake,\n" +
			"signed with files/AuthKey_2X9R4HXF34.p8.\n\n")
		for _, d := range dialects {
			text.WriteString(d.name + "\t" + d.sign(t, key) + "\n")
		}
		if err := os.WriteFile(filepath.Join("testdata", "provider-tokens.txt"), []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	names, tokens, key := tokenVectors(t)
	if len(names) != len(dialects) {
		t.Fatalf("got %d vectors, want %d", len(names), len(dialects))
	}
	other := newECKey(t, elliptic.P256())
	for i, s := range tokens {
		t.Run(names[i], func(t *testing.T) {
			token, err := ParseProviderToken(s)
			if err != nil {
				t.Fatal(err)
			}
			if names[i] != dialects[i].name || token.KeyID != tokenKey || token.TeamID != tokenTeam || !token.IssuedAt.Equal(tokenTime) {
				t.Errorf("got %v", token)
			}
			if err := token.Verify(&key.PublicKey); err != nil {
				t.Error(err)
			}
			if token.Verify(&other.PublicKey) == nil {
				t.Error("verified with another key")
			}
		})
	}
}

// TestVerifyRFC7515 verifies the example of RFC 7515 appendix A.3. It is no
// provider token, so that only its segments and its signature are of use.
func TestVerifyRFC7515(t *testing.T) {
	const signed = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
	const signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
	point := append([]byte{4}, must(decodeSegment("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"))...)
	point = append(point, must(decodeSegment("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"))...)
	pub := must(ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point))
	token := ProviderToken{digest: sha256.Sum256([]byte(signed)), signature: must(decodeSegment(signature))}
	if err := token.Verify(pub); err != nil {
		t.Error(err)
	}
	header, _, _ := strings.Cut(signed, ".")
	if m, err := parseSegment(header); err != nil || string(m["alg"]) != `"ES256"` {
		t.Errorf("got %s, %v", m, err)
	}
	if _, err := ParseProviderToken(signed + "." + signature); err == nil {
		t.Error("accepted as a provider token")
	}
}

func TestDialects(t *testing.T) {
	key, err := NewProviderKey()
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewProviderKey()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dialects {
		t.Run(d.name, func(t *testing.T) {
			for range 8 { // signatures differ in length and padding
				s := d.sign(t, key)
				token, err := ParseProviderToken(s)
				if err != nil {
					t.Fatal(err)
				}
				if token.KeyID != tokenKey || token.TeamID != tokenTeam || !token.IssuedAt.Equal(tokenTime) {
					t.Errorf("got %v", token)
				}
				if err := token.Verify(&key.PublicKey); err != nil {
					t.Error(err)
				}
				if err := token.Verify(&other.PublicKey); err == nil {
					t.Error("verified with another key")
				}
			}
		})
	}
}

// TestDialectLengths sees to it that the dialects were not all alike: that
// the padded ones had padding.
func TestDialectLengths(t *testing.T) {
	key, err := NewProviderKey()
	if err != nil {
		t.Fatal(err)
	}
	var padded, marked bool
	for _, d := range dialects {
		s := d.sign(t, key)
		padded = padded || strings.Contains(s, "=")
		marked = marked || strings.ContainsAny(s, "+/")
	}
	if !padded || !marked {
		t.Errorf("padding %v, characters of standard base64 %v, want both", padded, marked)
	}
}

func TestMintProviderToken(t *testing.T) {
	key, err := NewProviderKey()
	if err != nil {
		t.Fatal(err)
	}
	want := base64URL.EncodeToString([]byte(plainHeader)) + "." + base64URL.EncodeToString([]byte(plainClaims)) + "."
	for _, signer := range []crypto.Signer{key, opaqueSigner{key}} {
		for range 20 {
			s, err := MintProviderToken(signer, tokenKey, tokenTeam, tokenTime.Add(900*time.Millisecond))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(s, want) || len(s) != len(want)+86 { // 64 bytes of R‖S
				t.Fatalf("got %s, want %s and 86 characters", s, want)
			}
			token, err := ParseProviderToken(s)
			if err != nil {
				t.Fatal(err)
			}
			if err := token.Verify(&key.PublicKey); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, mint := range map[string]func() (string, error){
		"no key": func() (string, error) { return MintProviderToken(nil, tokenKey, tokenTeam, tokenTime) },
		"RSA":    func() (string, error) { return MintProviderToken(rsaKey(), tokenKey, tokenTeam, tokenTime) },
		"P-384": func() (string, error) {
			return MintProviderToken(newECKey(t, elliptic.P384()), tokenKey, tokenTeam, tokenTime)
		},
		"key ID":     func() (string, error) { return MintProviderToken(key, `","x":"`, tokenTeam, tokenTime) },
		"team ID":    func() (string, error) { return MintProviderToken(key, tokenKey, "", tokenTime) },
		"time":       func() (string, error) { return MintProviderToken(key, tokenKey, tokenTeam, time.Time{}) },
		"other sign": func() (string, error) { return MintProviderToken(rawSigner{key}, tokenKey, tokenTeam, tokenTime) },
	} {
		if s, err := mint(); err == nil || s != "" {
			t.Errorf("%s: got %q, %v", name, s, err)
		}
	}
}

// rawSigner signs in a form that crypto.Signer does not allow.
type rawSigner struct{ *ecdsa.PrivateKey }

func (rawSigner) Sign(_ io.Reader, _ []byte, _ crypto.SignerOpts) ([]byte, error) {
	return make([]byte, 64), nil
}

func TestParseProviderTokenRefused(t *testing.T) {
	key, err := NewProviderKey()
	if err != nil {
		t.Fatal(err)
	}
	plain := dialects[0]
	good := plain.sign(t, key)
	with := func(header, claims string) string {
		d := plain
		d.header, d.claims = header, claims
		return d.sign(t, key)
	}
	parts := strings.Split(good, ".")
	tests := []struct{ name, token, want string }{
		{"empty", "", "1 segments"},
		{"one segment", parts[0], "1 segments"},
		{"two segments", parts[0] + "." + parts[1], "2 segments"},
		{"five segments", good + ".a.b", "5 segments"},
		{"huge", strings.Repeat("a", MaxProviderTokenBytes+1), "at most 4096"},
		{"dots", strings.Repeat(".", MaxProviderTokenBytes), "segments"},
		{"no signature", parts[0] + "." + parts[1] + ".", "signature: none"},
		{"padding for a signature", parts[0] + "." + parts[1] + ".==", "wrong padding"},
		{"alg none", with(`{"alg":"none","kid":"2X9R4HXF34"}`, plainClaims), "alg is not ES256"},
		{"alg None", with(`{"alg":"None","kid":"2X9R4HXF34"}`, plainClaims), "alg is not ES256"},
		{"alg HS256", hs256(t, key), "alg is not ES256"},
		{"alg RS256", rs256(t), "alg is not ES256"},
		{"alg ES384", with(`{"alg":"ES384","kid":"2X9R4HXF34"}`, plainClaims), "alg is not ES256"},
		{"alg es256", with(`{"alg":"es256","kid":"2X9R4HXF34"}`, plainClaims), "alg is not ES256"},
		{"no alg", with(`{"kid":"2X9R4HXF34"}`, plainClaims), "alg is not ES256"},
		{"Alg", with(`{"Alg":"ES256","kid":"2X9R4HXF34"}`, plainClaims), "alg is not ES256"},
		{"alg in a list", with(`{"alg":["ES256"],"kid":"2X9R4HXF34"}`, plainClaims), "alg is not ES256"},
		{"crit", with(`{"alg":"ES256","kid":"2X9R4HXF34","crit":["b64"],"b64":false}`, plainClaims), "crit"},
		{"no kid", with(`{"alg":"ES256"}`, plainClaims), "no kid"},
		{"kid null", with(`{"alg":"ES256","kid":null}`, plainClaims), "no kid"},
		{"kid empty", with(`{"alg":"ES256","kid":""}`, plainClaims), "no kid"},
		{"no iss", with(plainHeader, `{"iat":1803902400}`), "no iss"},
		{"iss a number", with(plainHeader, `{"iss":1,"iat":1803902400}`), "no iss"},
		{"no iat", with(plainHeader, `{"iss":"ABCDE12345"}`), "iat is missing"},
		{"iat null", with(plainHeader, `{"iss":"ABCDE12345","iat":null}`), "iat is not a number"},
		{"iat in words", with(plainHeader, `{"iss":"ABCDE12345","iat":"now"}`), "something else than digits"},
		{"iat a date", with(plainHeader, `{"iss":"ABCDE12345","iat":"2027-03-01"}`), "something else than digits"},
		{"iat signed", with(plainHeader, `{"iss":"ABCDE12345","iat":"-1"}`), "something else than digits"},
		{"iat empty", with(plainHeader, `{"iss":"ABCDE12345","iat":""}`), "iat is not a number"},
		{"iat negative", with(plainHeader, `{"iss":"ABCDE12345","iat":-1}`), "out of range"},
		{"iat in milliseconds", with(plainHeader, `{"iss":"ABCDE12345","iat":"1459143580650"}`), "milliseconds"},
		{"iat without end", with(plainHeader, `{"iss":"ABCDE12345","iat":1e400}`), "iat is not a number"},
		{"iat beyond 64 bits", with(plainHeader, `{"iss":"ABCDE12345","iat":1e30}`), "out of range"},
		{"iat true", with(plainHeader, `{"iss":"ABCDE12345","iat":true}`), "iat is not a number"},
		{"header a list", with(`["ES256"]`, plainClaims), "header: not a JSON object"},
		{"header null", with(`null`, plainClaims), "header: not a JSON object"},
		{"claims cut", with(plainHeader, `{"iss":"ABCDE12345"`), "claims: not a JSON object"},
		{"more after the claims", with(plainHeader, plainClaims+"{}"), "claims: not a JSON object"},
		{"scheme", "bearer " + good, "wrong character at 6"},
		{"line end", parts[0] + "\n." + parts[1] + "." + parts[2], "wrong character"},
		{"three padding characters", parts[0] + "===." + parts[1] + "." + parts[2], "wrong padding"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseProviderToken(tt.token)
			wantError(t, err, tt.want)
			wantNoSecret(t, err, parts[2], parts[1])
		})
	}
}

// hs256 is the old trick: a MAC made with the public key.
func hs256(t *testing.T, key *ecdsa.PrivateKey) string {
	t.Helper()
	pub, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	signed := base64URL.EncodeToString([]byte(`{"alg":"HS256","kid":"2X9R4HXF34"}`)) + "." + base64URL.EncodeToString([]byte(plainClaims))
	mac := hmac.New(sha256.New, pub)
	mac.Write([]byte(signed))
	return signed + "." + base64URL.EncodeToString(mac.Sum(nil))
}

func rs256(t *testing.T) string {
	t.Helper()
	signed := base64URL.EncodeToString([]byte(`{"alg":"RS256","kid":"2X9R4HXF34"}`)) + "." + base64URL.EncodeToString([]byte(plainClaims))
	digest := sha256.Sum256([]byte(signed))
	sig, err := rsa.SignPKCS1v15(rand.Reader, rsaKey(), crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64URL.EncodeToString(sig)
}

func TestVerifyRefused(t *testing.T) {
	key, err := NewProviderKey()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dialects {
		s := d.sign(t, key)
		t.Run(d.name, func(t *testing.T) {
			// No proper prefix, and no other character anywhere, verifies.
			for i := range len(s) {
				if token, err := ParseProviderToken(s[:i]); err == nil && token.Verify(&key.PublicKey) == nil && strings.Trim(s[i:], "=") != "" {
					t.Fatalf("the first %d of %d characters verify", i, len(s))
				}
			}
			for _, i := range []int{0, 5, len(s) / 3, len(s) / 2, 2 * len(s) / 3, strings.LastIndexByte(s, '.') + 20} {
				b := []byte(s)
				if b[i] == 'A' {
					b[i] = 'B'
				} else {
					b[i] = 'A'
				}
				if token, err := ParseProviderToken(string(b)); err == nil && token.Verify(&key.PublicKey) == nil {
					t.Errorf("verifies with character %d changed", i)
				}
			}
		})
	}
	token, err := ParseProviderToken(dialects[0].sign(t, key))
	if err != nil {
		t.Fatal(err)
	}
	for name, pub := range map[string]*ecdsa.PublicKey{
		"nil": nil, "empty": {}, "P-384": &newECKey(t, elliptic.P384()).PublicKey,
	} {
		if token.Verify(pub) == nil {
			t.Errorf("%s: verifies", name)
		}
	}
	if (ProviderToken{}).Verify(&key.PublicKey) == nil {
		t.Error("the zero token verifies")
	}
	for name, sig := range map[string][]byte{
		"zeros": make([]byte, 64), "63 bytes": make([]byte, 63), "65 bytes": make([]byte, 65),
		"ones": bytes.Repeat([]byte{0xff}, 64), "DER of zeros": {0x30, 6, 2, 1, 0, 2, 1, 0},
	} {
		forged := token
		forged.signature = sig
		if forged.Verify(&key.PublicKey) == nil {
			t.Errorf("%s: verifies", name)
		}
	}
}

func TestProviderTokenRedacts(t *testing.T) {
	key, err := NewProviderKey()
	if err != nil {
		t.Fatal(err)
	}
	token, err := ParseProviderToken(dialects[0].sign(t, key))
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("verified", slog.Any("token", token))
	fmt.Fprintf(&log, "%v %+v %#v %s", token, token, token, token)
	for _, secret := range []string{fmt.Sprintf("%x", token.signature), fmt.Sprintf("%d", token.signature), fmt.Sprintf("%#v", token.signature)} {
		if strings.Contains(log.String(), secret[1:len(secret)-1]) {
			t.Errorf("the log holds the signature: %s", log.String())
		}
	}
	if !strings.Contains(log.String(), string(tokenKey)) || !strings.Contains(log.String(), string(tokenTeam)) {
		t.Errorf("the log names neither key nor team: %s", log.String())
	}
}

func FuzzParseProviderToken(f *testing.F) {
	_, tokens, key := tokenVectors(f)
	for _, s := range tokens {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		token, err := ParseProviderToken(s)
		if err != nil {
			return
		}
		if token.KeyID == "" || token.TeamID == "" || len(token.signature) == 0 {
			t.Fatalf("got %v", token)
		}
		if y := token.IssuedAt.Year(); y < 1970 || y > 9999 {
			t.Fatalf("issued in %d", y)
		}
		_ = token.Verify(&key.PublicKey)
	})
}

func BenchmarkParseAndVerify(b *testing.B) {
	key, err := NewProviderKey()
	if err != nil {
		b.Fatal(err)
	}
	s := dialects[0].sign(b, key)
	b.ReportAllocs()
	for b.Loop() {
		token, err := ParseProviderToken(s)
		if err != nil {
			b.Fatal(err)
		}
		if err := token.Verify(&key.PublicKey); err != nil {
			b.Fatal(err)
		}
	}
}
