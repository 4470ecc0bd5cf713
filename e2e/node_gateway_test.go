package e2e

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/credential"
)

// TestNodeGateway has the client library push to an HTTP/2 that is neither Go's nor
// Herald's, and that ends its connections now and then.
func TestNodeGateway(t *testing.T) {
	t.Parallel()
	needTool(t, "node", "is a gateway on its own HTTP/2", "nodejs")
	addr, roots := startNodeGateway(t, 50)
	s, err := apnsclient.New(apnsclient.Config{
		Environment: apns.Production, Host: addr, ServerName: "localhost", Roots: roots, ProviderTokens: providerTokens(t), Timeout: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()

	push := func(first byte, n int) (apns.NotificationID, apnsclient.Receipt, error) {
		id := apns.NotificationID(newID())
		to := apns.DeviceToken(fmt.Sprintf("%c%031d", first, n))
		receipt, err := s.Push(t.Context(), to, apns.Notification{
			ID: id, Topic: "com.example.demo", Payload: apns.Payload(`{"aps":{"alert":"Hello"}}`),
		})
		return id, receipt, err
	}
	_, _, err = push(0x10, 0)
	if !errors.Is(err, apns.Reject(apns.BadDeviceToken, "")) {
		t.Errorf("got %v, want BadDeviceToken", err)
	}
	_, _, err = push(0x20, 0)
	var gone *apns.Rejection
	if !errors.As(err, &gone) || gone.Reason != apns.Unregistered || gone.Status != 410 || gone.Since.UnixMilli() != 1700000000123 {
		t.Errorf("got %v, want Unregistered since 1700000000123", err)
	}
	const pushes = 300
	var all sync.WaitGroup
	for n := range pushes {
		all.Go(func() {
			if id, receipt, err := push(0, n); err != nil || receipt.ID != id {
				t.Errorf("push %d: got %+v, %v; want %s", n, receipt, err, id)
			}
		})
	}
	all.Wait()
}

// providerTokens returns those of a key that no gateway knows.
func providerTokens(t *testing.T) *apnsclient.ProviderTokens {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := apnsclient.NewProviderTokens("DEF123GHIJ", "ABC123DEFG", key)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

// startNodeGateway starts testdata/gateway.js, which ends each connection after so many
// pushes, and returns its address and whom to trust.
func startNodeGateway(t *testing.T, pushes int) (addr string, roots *x509.CertPool) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	keyPath, leafPath, rootPath := serverFiles(t, "localhost")

	// The test's context ends before its cleanups, this one after.
	ctx, kill := context.WithTimeout(context.WithoutCancel(t.Context()), 5*toolWithin)
	cmd := exec.CommandContext(ctx, "node", abs(t, "testdata/gateway.js"), keyPath, leafPath, fmt.Sprint(pushes))
	cmd.Env, cmd.Stderr = environment(), os.Stderr
	stdin, err := cmd.StdinPipe()
	must(err)
	stdout, err := cmd.StdoutPipe()
	must(err)
	must(cmd.Start())
	t.Cleanup(func() {
		defer kill()
		if err := errors.Join(stdin.Close(), cmd.Wait()); err != nil {
			t.Errorf("the gateway in Node: %v", err)
		}
	})
	port, err := bufio.NewReader(stdout).ReadString('\n')
	must(err)
	roots = x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(read(t, rootPath))) {
		t.Fatal("there is no root")
	}
	return net.JoinHostPort("127.0.0.1", strings.TrimSpace(port)), roots
}

// serverFiles writes the files of a server with some names: its key, its certificate, and
// the authority that issued it.
func serverFiles(t *testing.T, names ...string) (keyPath, leafPath, rootPath string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	validity := credential.Validity{NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	root, err := credential.NewRoot("Test Root", rootKey, validity)
	must(err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	leaf, err := credential.Authority{Certificate: root, Key: rootKey}.IssueServer(
		credential.ServerProfile{DNSNames: names}, key.Public(), validity,
	)
	must(err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)
	dir := t.TempDir()
	keyPath, leafPath, rootPath = filepath.Join(dir, "key.pem"), filepath.Join(dir, "certificate.pem"), filepath.Join(dir, "root.pem")
	must(os.WriteFile(keyPath, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
	must(os.WriteFile(leafPath, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw}), 0o600))
	must(os.WriteFile(rootPath, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw}), 0o600))
	return keyPath, leafPath, rootPath
}
