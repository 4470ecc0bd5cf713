package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"math/big"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

// issue makes a certificate for a request, of an authority that is gone
// afterwards, so that its time can be chosen.
func issue(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 6 {
		ts.Fatalf("usage: issue sandbox|universal|mdm|…|code-signing|sha1 BUNDLEID DAYS-FROM-NOW DAYS-LEFT REQUEST OUT")
	}
	from, err := strconv.Atoi(args[2])
	ts.Check(err)
	left, err := strconv.Atoi(args[3])
	ts.Check(err)
	request, err := credential.ParseRequest([]byte(ts.ReadFile(args[4])))
	ts.Check(err)
	const day = 24 * time.Hour
	now := time.Now()
	v := credential.Validity{NotBefore: now.Add(time.Duration(from) * day), NotAfter: now.Add(time.Duration(left)*day + time.Hour)}
	ca, key := testAuthority(ts)
	var cert *x509.Certificate
	switch args[0] {
	case "code-signing":
		cert, err = codeSigning(ca, key, request, args[1], v)
	case "sha1":
		cert, err = signedWithSHA1(request, apns.Topic(args[1]), v)
	default:
		cert, err = credential.Authority{Certificate: ca, Key: key}.IssuePush(credential.PushProfile{
			Kind: credential.PushKind(args[0]), BundleID: apns.Topic(args[1]), TeamID: "ABCDE12345", Organization: "Example",
		}, request.PublicKey, v)
	}
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[5]), cert.Raw, 0o644))
	ts.Check(os.WriteFile(ts.MkAbs("issuer.pem"), credential.MarshalCertificatePEM(ca), 0o644))
}

func testAuthority(ts *testscript.TestScript) (*x509.Certificate, *ecdsa.PrivateKey) {
	const years = 10 * 365 * 24 * time.Hour
	long := credential.Validity{NotBefore: time.Now().Add(-years), NotAfter: time.Now().Add(years)}
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	root, err := credential.NewRoot("Test Root", rootKey, long)
	ts.Check(err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	ca, err := credential.Authority{Certificate: root, Key: rootKey}.IssueIntermediate(
		credential.IntermediateProfile{Name: "Test Authority", Purpose: credential.ForProviders}, key.Public(), long)
	ts.Check(err)
	return ca, key
}

// codeSigning makes what people take for the push certificate.
func codeSigning(ca *x509.Certificate, key *ecdsa.PrivateKey, request *x509.CertificateRequest, name string, v credential.Validity) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "iPhone Developer: " + name}, NotBefore: v.NotBefore, NotAfter: v.NotAfter,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}, ca, request.PublicKey, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// signedWithSHA1 makes a push certificate as the authority signed them before
// 2017.
func signedWithSHA1(request *x509.CertificateRequest, topic apns.Topic, v credential.Validity) (*x509.Certificate, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	null := []byte{5, 0}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: v.NotBefore, NotAfter: v.NotAfter, SignatureAlgorithm: x509.SHA1WithRSA,
		Subject: pkix.Name{CommonName: "Apple Push Services: " + string(topic), ExtraNames: []pkix.AttributeTypeAndValue{
			{Type: []int{0, 9, 2342, 19200300, 100, 1, 1}, Value: string(topic)},
		}},
		ExtraExtensions: []pkix.Extension{
			{Id: []int{1, 2, 840, 113635, 100, 6, 3, 1}, Value: null}, {Id: []int{1, 2, 840, 113635, 100, 6, 3, 2}, Value: null},
		},
	}, &x509.Certificate{Subject: pkix.Name{CommonName: "Old Authority"}}, request.PublicKey, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// weakRequest makes a certificate request for a key that is too small.
func weakRequest(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: weak-request OUT")
	}
	key, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // see above
	ts.Check(err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "Push"}}, key)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), credential.MarshalRequestPEM(der), 0o644))
}

// large makes a file that is larger than any that is read.
func large(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: large OUT")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), bytes.Repeat([]byte("x"), 3<<20), 0o600))
}

// mangles are what editors, shells and web pages do to PEM.
var mangles = map[string]func(text string) []byte{
	"bom":  func(s string) []byte { return []byte("\ufeff" + s) },
	"crlf": func(s string) []byte { return []byte(strings.ReplaceAll(s, "\n", "\r\n")) },
	"cr":   func(s string) []byte { return []byte(strings.ReplaceAll(s, "\n", "\r")) },
	"utf16": func(s string) []byte {
		b := []byte{0xff, 0xfe}
		for _, u := range utf16.Encode([]rune(s)) {
			b = append(b, byte(u), byte(u>>8))
		}
		return b
	},
	"oneline":  func(s string) []byte { return []byte(strings.ReplaceAll(strings.TrimSpace(s), "\n", " ")) },
	"escaped":  func(s string) []byte { return []byte(strings.ReplaceAll(s, "\n", `\n`)) },
	"quoted":   func(s string) []byte { return []byte(`"` + strings.TrimSpace(s) + `"`) },
	"indented": func(s string) []byte { return []byte("    " + strings.ReplaceAll(s, "\n", "\n    ")) },
	"headless": func(s string) []byte {
		b, _ := pem.Decode([]byte(s))
		return []byte(base64.StdEncoding.EncodeToString(b.Bytes))
	},
	"cut": func(s string) []byte { return []byte(s[:len(s)/2]) },
}

// mangle spoils a text file.
func mangle(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 || mangles[args[0]] == nil {
		ts.Fatalf("usage: mangle %s IN OUT", strings.Join(slices.Sorted(maps.Keys(mangles)), "|"))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), mangles[args[0]](ts.ReadFile(args[1])), 0o600))
}

// joinFiles writes files one behind the other, without the line ends of any.
func joinFiles(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: join OUT IN...")
	}
	var all []byte
	for _, name := range args[1:] {
		all = append(all, bytes.TrimSpace([]byte(ts.ReadFile(name)))...)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), all, 0o600))
}

// tellsNothingOf checks that the last program printed no line of secret text
// files.
func tellsNothingOf(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: tells-nothing-of FILE...")
	}
	said := ts.ReadFile("stdout") + ts.ReadFile("stderr")
	for _, name := range args {
		for line := range strings.Lines(ts.ReadFile(name)) {
			line = strings.TrimSpace(line)
			if len(line) >= 8 && !strings.HasPrefix(line, "-----") && strings.Contains(said, line) {
				ts.Fatalf("it printed a line of %s", name)
			}
		}
	}
}

// jsonEnv sets a variable for each member of a flat JSON object of strings:
// gateway.sandbox becomes GATEWAY_SANDBOX.
func jsonEnv(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: json-env FILE")
	}
	var values map[string]string
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &values))
	for name, value := range values {
		ts.Setenv(strings.ToUpper(strings.ReplaceAll(name, ".", "_")), value)
	}
}
