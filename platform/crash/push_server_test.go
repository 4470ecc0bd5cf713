package crash

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/platform/provide"
	"github.com/heraldpush/herald/trace"
)

// pushServerVariable names the folder that this program is to be a push server on,
// instead of running tests.
const pushServerVariable = "HERALD_TEST_CRASH_PUSH_SERVER"

// Names in that folder.
const (
	gatewayFile = "gateway.json"
	dataFolder  = "data"
)

// gatewayAt is where a push server finds the push service.
type gatewayAt struct {
	Address, ServerName string
	Roots               []byte // PEM
}

// bePushServer is a push server on a folder, until standard input ends.
func bePushServer(ctx context.Context, dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, gatewayFile))
	if err != nil {
		return err
	}
	var at gatewayAt
	if err := json.Unmarshal(text, &at); err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(at.Roots) {
		return errors.New("no authority to trust")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // that it ends is all
		cancel()
	}()
	return provide.Run(ctx, provide.Config{
		Dir: filepath.Join(dir, dataFolder), Listen: "127.0.0.1:0",
		Gateway: func(apns.Environment) apnsclient.Config {
			return apnsclient.Config{Host: at.Address, ServerName: at.ServerName, Roots: roots}
		},
		Trace: trace.Config{},
		Ready: func(r provide.Running) {
			_ = json.NewEncoder(os.Stdout).Encode(r.Local) // who reads it finds out if it fails
		},
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
}

// pushServer is a push server that can be killed and started again.
type pushServer struct {
	dir  string
	http *http.Client

	mu     sync.Mutex
	cmd    *exec.Cmd     // nil if none runs; guarded by mu
	ended  chan struct{} // of cmd; guarded by mu
	base   string        // of its API; empty if it does not serve; guarded by mu
	secret string        // the key of its API; guarded by mu
}

func newPushServer(t *testing.T, dir string, at gatewayAt) *pushServer {
	t.Helper()
	text, err := json.Marshal(at)
	if err := errors.Join(err, os.WriteFile(filepath.Join(dir, gatewayFile), text, 0o600)); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 100, DialContext: new(net.Dialer).DialContext}
	p := &pushServer{dir: dir, http: &http.Client{Transport: transport}}
	t.Cleanup(func() {
		p.kill()
		transport.CloseIdleConnections()
	})
	return p
}

// start starts the process. It serves when launched has nil, or has ended.
func (p *pushServer) start(t *testing.T) (launched <-chan error) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program) //nolint:noctx // kill ends it
	cmd.Env = append(os.Environ(), pushServerVariable+"="+p.dir)
	cmd.Stderr = &prefixed{t: t, who: "push server"}
	if _, err := cmd.StdinPipe(); err != nil { // ends with this process, and the push server with it
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	p.mu.Lock()
	p.cmd, p.ended = cmd, ended
	p.mu.Unlock()
	done := make(chan error, 1)
	go func() {
		defer close(ended)
		done <- p.hear(out)
		_ = cmd.Wait() // it is killed
		p.mu.Lock()
		defer p.mu.Unlock()
		p.cmd, p.base = nil, ""
	}()
	return done
}

// hear waits until the process says that it serves.
func (p *pushServer) hear(out io.Reader) error {
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		return err
	}
	var base string
	if err := json.Unmarshal(line, &base); err != nil {
		return err
	}
	secret, err := provide.ReadKey(filepath.Join(p.dir, dataFolder, provide.AdminKeyFile))
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.base, p.secret = base, secret
	return nil
}

// run starts the process and waits until it serves.
func (p *pushServer) run(t *testing.T) {
	t.Helper()
	select {
	case err := <-p.start(t):
		if err != nil {
			t.Fatalf("the push server ended before it served: %v", err)
		}
	case <-time.After(startTimeout):
		t.Fatal("the push server does not serve")
	}
}

// kill ends the process as kill -9 does, and waits for its end.
func (p *pushServer) kill() {
	p.mu.Lock()
	cmd, ended := p.cmd, p.ended
	p.mu.Unlock()
	if cmd != nil {
		_ = cmd.Process.Kill()
		<-ended
	}
}

// api returns where the API is now, empty if it is not, and its key.
func (p *pushServer) api() (base, secret string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.base, p.secret
}

// ask sends a request to the push server that serves now, and reads the answer. The
// status is 0 if there was none, or it says to ask again.
func (p *pushServer) ask(ctx context.Context, method, path, key string, body, answer any) (status int, err error) {
	base, secret := p.api()
	if base == "" {
		return 0, nil
	}
	text, err := json.Marshal(body)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, base+path, bytes.NewReader(text))
	if err != nil {
		return 0, err
	}
	if body == nil {
		r.Body = http.NoBody
	} else {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Authorization", "Bearer "+secret)
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	resp, err := p.http.Do(r)
	if err != nil {
		return 0, nil
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return 0, nil
	case resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusServiceUnavailable:
		sleep(ctx, 50*time.Millisecond)
		return 0, nil
	case resp.StatusCode >= 300:
		return resp.StatusCode, fmt.Errorf("%s %s: %s", method, path, got)
	case answer != nil:
		err = json.Unmarshal(got, answer)
	}
	return resp.StatusCode, err
}
