package credential

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
)

const diagnosed apns.Topic = "com.example.push"

// material is what a developer may have in a folder.
type material struct {
	now                             time.Time
	key                             crypto.Signer
	cert                            *x509.Certificate
	cer, certPEM, ck, p12, keyP12   []byte
	csr, keyPEM, otherKeyPEM, p8Key []byte
	sandbox                         []byte
}

func newMaterial(t *testing.T) material {
	t.Helper()
	must := func(b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	keyPEM := func(k crypto.Signer) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(k))})
	}
	m := material{now: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC), key: newECKey(t, elliptic.P256())}
	v := Validity{NotBefore: m.now.Add(-time.Hour), NotAfter: m.now.Add(PushUniversal.Lifetime())}
	rootKey := newECKey(t, elliptic.P256())
	root, err := NewRoot("Test Root", rootKey, v)
	if err != nil {
		t.Fatal(err)
	}
	byKey := newECKey(t, elliptic.P256())
	by, err := Authority{Certificate: root, Key: rootKey}.IssueIntermediate(IntermediateProfile{Name: "Test Providers", Purpose: ForProviders}, byKey.Public(), v)
	if err != nil {
		t.Fatal(err)
	}
	issuer := Authority{Certificate: by, Key: byKey}
	profile := PushProfile{Kind: PushUniversal, BundleID: diagnosed, TeamID: "ABCDE12345", Organization: "Example"}
	if m.cert, err = issuer.IssuePush(profile, m.key.Public(), v); err != nil {
		t.Fatal(err)
	}
	profile.Kind = PushSandbox
	sandbox, err := issuer.IssuePush(profile, m.key.Public(), v)
	if err != nil {
		t.Fatal(err)
	}
	id := Identity{Certificate: m.cert, Key: m.key}
	m.cer, m.certPEM = m.cert.Raw, MarshalCertificatePEM(m.cert)
	m.ck = must(id.MarshalPEM())
	m.p12 = must(id.MarshalPKCS12("herald", PKCS12Modern))
	m.keyP12 = must((&PKCS12{Keys: []PKCS12Key{{Key: m.key}}}).Marshal("herald", PKCS12Modern))
	m.csr = MarshalRequestPEM(must(NewRequest(m.key, RequestSubject{CommonName: "Push Example"})))
	m.keyPEM, m.otherKeyPEM = keyPEM(m.key), keyPEM(newECKey(t, elliptic.P256()))
	provider, err := NewProviderKey()
	if err != nil {
		t.Fatal(err)
	}
	m.p8Key = must(MarshalP8(provider))
	m.sandbox = must(Identity{Certificate: sandbox, Key: m.key}.MarshalPEM())
	return m
}

func herald(string) (string, error) { return "herald", nil }

// codesOf returns the codes of problems, in their order.
func codesOf(problems []Problem) string {
	var all []string
	for _, p := range problems {
		all = append(all, string(p.Code))
	}
	return strings.Join(all, " ")
}

// TestVerify is the error table of the certificates' page as far as one file
// can show it.
func TestVerify(t *testing.T) {
	m := newMaterial(t)
	good := VerifyOptions{Topic: diagnosed, Environment: apns.Production, Now: m.now}
	with := func(change func(*VerifyOptions)) VerifyOptions {
		o := good
		change(&o)
		return o
	}
	for _, tt := range []struct {
		name string
		file string
		data []byte
		ask  PasswordFunc
		o    VerifyOptions
		want string // codes
	}{
		{"good ck.pem", "ck.pem", m.ck, nil, good, ""},
		{"good p12", "aps.p12", m.p12, herald, good, ""},
		{"good p8", "AuthKey_ABCDE12345.p8", m.p8Key, nil, with(func(o *VerifyOptions) { o.Topic, o.Environment = "", 0 }), ""},
		{"wrong password", "aps.p12", m.p12, func(string) (string, error) { return "x", nil }, good, "E-PASSWORD"},
		{"certificate alone", "aps.cer", m.cer, nil, good, "E-NO-KEY"},
		{"key alone", "Push.p12", m.keyP12, herald, good, "E-NO-CERT"},
		{"request", "Push.certSigningRequest", m.csr, nil, good, "E-CSR"},
		{"sandbox only", "ck.pem", m.sandbox, nil, good, "E-ENV"},
		{"another topic", "ck.pem", m.ck, nil, with(func(o *VerifyOptions) { o.Topic = "com.example.other" }), "E-TOPIC"},
		{"expired", "ck.pem", m.ck, nil, with(func(o *VerifyOptions) { o.Now = m.now.Add(396 * day) }), "E-EXPIRED"},
		{"expires soon", "ck.pem", m.ck, nil, with(func(o *VerifyOptions) { o.Now = m.now.Add(380 * day) }), "W-EXPIRES"},
		{"joined without newline", "ck.pem", append(bytes.TrimSpace(bytes.Clone(m.certPEM)), m.keyPEM...), nil, good, "W-TEXT"},
		{"key of another pair", "ck.pem", append(bytes.Clone(m.certPEM), m.otherKeyPEM...), nil, good, "E-MISMATCH"},
		{"words", "ck.pem", []byte("hello"), nil, good, "E-UNKNOWN"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := Inspect(tt.file, tt.data, InspectOptions{Password: tt.ask, Now: tt.o.Now})
			if p := (Problem{}); err != nil && !asProblem(err, &p) {
				t.Fatal(err)
			}
			got := r.Verify(tt.o)
			if codesOf(got) != tt.want {
				t.Errorf("got %s, want %s: %v", codesOf(got), tt.want, got)
			}
			for _, p := range got {
				if p.Message == "" || !p.Code.Warning() && p.Hint == "" {
					t.Errorf("%s says too little: %+v", p.Code, p)
				}
			}
		})
	}
}

func TestAssemble(t *testing.T) {
	m := newMaterial(t)
	for _, tt := range []struct {
		name      string
		cert, key []byte
		want      Code // empty for an identity
	}{
		{"cer and key-only p12", m.cer, m.keyP12, ""},
		{"pem and pem", m.certPEM, m.keyPEM, ""},
		{"both in one", m.ck, nil, ""},
		{"p12 for both", m.p12, nil, ""},
		{"key of another pair", m.cer, m.otherKeyPEM, CodeMismatch},
		{"request as certificate", m.csr, m.keyPEM, CodeRequest},
		{"certificate as key", m.cer, m.certPEM, CodeNoKey},
		{"key as certificate", m.keyPEM, m.keyPEM, CodeNoCert},
	} {
		t.Run(tt.name, func(t *testing.T) {
			key := File{}
			if tt.key != nil {
				key = File{"Push.p12", tt.key}
			}
			id, problems, err := Assemble(File{"aps.cer", tt.cert}, key, AssembleOptions{Password: herald, Now: m.now})
			if tt.want == "" {
				if err != nil || !id.Certificate.Equal(m.cert) || !samePublicKey(id.Key.Public(), m.key.Public()) {
					t.Errorf("got %v, %v, want the identity", id, err)
				}
				return
			}
			var p Problem
			if !asProblem(err, &p) || p.Code != tt.want || !hasCode(problems, tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func asProblem(err error, p *Problem) bool {
	got, ok := err.(Problem) //nolint:errorlint // it is not wrapped
	*p = got
	return ok
}

// TestInspectHidesKeys proves that no report has a private key in it.
func TestInspectHidesKeys(t *testing.T) {
	m := newMaterial(t)
	for name, data := range map[string][]byte{"ck.pem": m.ck, "aps.p12": m.p12, "AuthKey_ABCDE12345.p8": m.p8Key, "Push.p12": m.keyP12} {
		r, err := Inspect(name, data, InspectOptions{Password: herald, Now: m.now})
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, said := range []string{string(b), r.Text()} {
			for line := range strings.Lines(string(m.keyPEM) + string(m.p8Key)) {
				if line = strings.TrimSpace(line); !strings.HasPrefix(line, "-----") && strings.Contains(said, line) {
					t.Errorf("%s: the report has a line of the key", name)
				}
			}
			if strings.Contains(said, `"herald"`) {
				t.Errorf("%s: the report has the password", name)
			}
		}
		if len(r.Objects) == 0 || r.Kind == "" {
			t.Errorf("%s: the report names nothing: %s", name, b)
		}
	}
}

// FuzzInspect reads whatever there is with a password, and says something of it
// that a terminal can bear.
func FuzzInspect(f *testing.F) {
	for _, tt := range inspected {
		if data := readTestdata(f, tt.file); strings.HasPrefix(tt.file, "files/") && len(data) < 4<<10 && !costly(data) {
			f.Add(data)
		}
	}
	for _, data := range quickPKCS12(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 16<<10 || costly(data) {
			return
		}
		r, err := Inspect("file", data, InspectOptions{Password: herald, Now: now})
		if p := (Problem{}); err != nil && (!asProblem(err, &p) || p.Code.Warning() || p.Hint == "") {
			t.Errorf("got %v, want a problem with its hint", err)
		}
		text := r.Text()
		if r.Kind == "" || strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && r < ' ' || 0x7f <= r && r < 0xa0 }) {
			t.Errorf("got %q", text)
		}
		if _, err := json.Marshal(r); err != nil {
			t.Error(err)
		}
		if len(r.Verify(VerifyOptions{Topic: diagnosed, Environment: apns.Production, Now: now})) == 0 && len(r.Identities) == 0 && r.Objects[0].Kind != KindProviderKey {
			t.Error("nothing stands against a file that is no credential")
		}
	})
}
