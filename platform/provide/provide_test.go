package provide

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heraldpush/herald/platform"
	"github.com/heraldpush/herald/platform/folder"
)

// running is a push server under test.
type running struct {
	Running
	stop func() error
}

// start runs a push server on a folder. It ends with the test, if not before.
func start(t *testing.T, dir string, change func(*Config)) *running {
	t.Helper()
	ready, ended := make(chan Running, 1), make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cfg := Config{Dir: dir, Listen: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler), Ready: func(r Running) { ready <- r }}
	if change != nil {
		change(&cfg)
	}
	go func() { ended <- Run(ctx, cfg) }()
	r := &running{stop: sync.OnceValue(func() error { cancel(); return <-ended })}
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
	select {
	case r.Running = <-ready:
	case err := <-ended:
		ended <- nil
		t.Fatal(err)
	}
	return r
}

// get asks for a path with a key, and returns the status and the body.
func get(t *testing.T, c *http.Client, base, path, key string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func TestRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "p")
	first := start(t, dir, nil)
	key, err := ReadKey(filepath.Join(dir, AdminKeyFile))
	if err != nil || key == "" || key != first.AdminKey.Reveal() || !first.New || first.Local != first.URL {
		t.Errorf("first start: got %+v, %v", first.Running, err)
	}
	for path, want := range map[string]int{"/healthz": 200, "/v1/apps": 401, "/metrics": 401, "/nowhere": 404} {
		if got, body := get(t, http.DefaultClient, first.URL, path, ""); got != want {
			t.Errorf("%s without a key: got %d %s, want %d", path, got, body, want)
		}
	}
	if got, body := get(t, http.DefaultClient, first.URL, "/v1/apps", key); got != 200 {
		t.Errorf("with the first key: got %d %s", got, body)
	}
	if r, err := folder.FindRun(dir, folder.MadeByProvider); err != nil || r.URL != first.URL {
		t.Errorf("run.json: got %v, %v, want %s", r, err, first.URL)
	}
	other := Run(t.Context(), Config{Dir: dir, Listen: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler), Ready: func(Running) { t.Error("two run on one folder") }})
	if !errors.Is(other, folder.ErrInUse) {
		t.Errorf("a second process: got %v, want %v", other, folder.ErrInUse)
	}
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := folder.FindRun(dir, folder.MadeByProvider); !errors.Is(err, folder.ErrNotRunning) {
		t.Errorf("after the end: got %v, want %v", err, folder.ErrNotRunning)
	}
	again := start(t, dir, nil)
	if again.New || again.AdminKey.ID() != "" {
		t.Errorf("second start: got %+v, want what there was", again.Running)
	}
	if got, body := get(t, http.DefaultClient, again.URL, "/v1/apps", key); got != 200 {
		t.Errorf("with the first key after a second start: got %d %s", got, body)
	}
}

// TestAdminKeyIsLost proves that who has the folder gets another key, and who has
// the one before has none.
func TestAdminKeyIsLost(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "p")
	first := start(t, dir, nil)
	before := first.AdminKey.Reveal()
	if err := errors.Join(first.stop(), os.Remove(filepath.Join(dir, AdminKeyFile))); err != nil {
		t.Fatal(err)
	}
	again := start(t, dir, nil)
	if again.AdminKey.ID() == "" || again.AdminKey.ID() == first.AdminKey.ID() {
		t.Fatalf("got the key %v after %v, want another", again.AdminKey, first.AdminKey)
	}
	if got, body := get(t, http.DefaultClient, again.URL, "/v1/apps", before); got != 401 {
		t.Errorf("with the lost key: got %d %s, want 401", got, body)
	}
	if got, body := get(t, http.DefaultClient, again.URL, "/v1/apps", again.AdminKey.Reveal()); got != 200 {
		t.Errorf("with the new key: got %d %s", got, body)
	}
	text, err := os.ReadFile(filepath.Join(dir, AdminKeyFile))
	if info, _ := os.Stat(filepath.Join(dir, AdminKeyFile)); err != nil || info.Mode().Perm() != 0o600 || !bytes.HasPrefix(text, []byte("sk_")) {
		t.Errorf("%s: got mode %v, %v", AdminKeyFile, info.Mode(), err)
	}
}

// TestNothingIsLeft proves that a start that cannot listen leaves no folder.
func TestNothingIsLeft(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, tt := range map[string]struct {
		change func(*Config)
		want   error
	}{
		"a port in use":              {func(c *Config) { c.Listen = l.Addr().String() }, nil},
		"all interfaces without TLS": {func(c *Config) { c.Listen = ":0" }, platform.ErrNotLoopback},
		"no certificate":             {func(c *Config) { c.CertFile, c.KeyFile = "nowhere.pem", "nowhere.key" }, os.ErrNotExist},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "p")
			cfg := Config{Dir: dir, Listen: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler), Ready: func(Running) { t.Error("it runs") }}
			tt.change(&cfg)
			if err := Run(t.Context(), cfg); err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the folder: got %v, want %v", err, os.ErrNotExist)
			}
		})
	}
}

// writePair writes a certificate for a name with its key, and returns the roots that
// trust it.
func writePair(t *testing.T, dir, name string) (certFile, keyFile string, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(cert)
	if err := errors.Join(os.WriteFile(certFile, cert, 0o600),
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600)); err != nil {
		t.Fatal(err)
	}
	return certFile, keyFile, roots
}

func TestTLS(t *testing.T) {
	files := t.TempDir()
	certFile, keyFile, roots := writePair(t, files, "push.example.com")
	r := start(t, filepath.Join(t.TempDir(), "p"), func(c *Config) { c.CertFile, c.KeyFile = certFile, keyFile })
	c := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "push.example.com"}, ForceAttemptHTTP2: true,
	}}
	defer c.CloseIdleConnections()
	if got, body := get(t, c, r.URL, "/healthz", ""); got != 200 || !strings.HasPrefix(r.URL, "https://") {
		t.Errorf("%s: got %d %s", r.URL, got, body)
	}
	if got, body := get(t, http.DefaultClient, r.Local, "/healthz", ""); got != 200 || r.Local == r.URL {
		t.Errorf("%s: got %d %s", r.Local, got, body)
	}
}

// TestCertificateIsReplaced proves that another certificate is served, and that a
// broken one is not.
func TestCertificateIsReplaced(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile, _ := writePair(t, dir, "a.example.com")
	var log bytes.Buffer
	p, err := loadPair(certFile, keyFile, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	served := func() string {
		p.looked = time.Time{} // it is time to look
		c, err := p.get(nil)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(c.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return leaf.DNSNames[0]
	}
	writePair(t, dir, "b.example.com")
	later := time.Now().Add(time.Minute)
	if err := errors.Join(os.Chtimes(certFile, later, later), os.Chtimes(keyFile, later, later)); err != nil {
		t.Fatal(err)
	}
	if got := served(); got != "b.example.com" {
		t.Errorf("got %s, want the new one", got)
	}
	if err := os.WriteFile(keyFile, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := served(); got != "b.example.com" || !strings.Contains(log.String(), "the one from before stays") {
		t.Errorf("got %s, want the one before, and a word of it: %s", got, log.String())
	}
}
