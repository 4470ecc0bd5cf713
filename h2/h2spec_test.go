package h2

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/xml"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"
)

// TestH2spec has h2spec test a connection over TLS on loopback: 145 cases, in
// about ten seconds. It runs where HERALD_E2E=require is set, as the full check
// does, because it builds the program from a module of its own, in
// testdata/h2spec.
func TestH2spec(t *testing.T) {
	if os.Getenv("HERALD_E2E") != "require" {
		t.Skip("HERALD_E2E=require is not set")
	}
	dir := t.TempDir()
	program, report := filepath.Join(dir, "h2spec"), filepath.Join(dir, "report.xml")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "github.com/summerwind/h2spec/cmd/h2spec")
	build.Dir = "testdata/h2spec"
	build.Env = append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building h2spec: %v\n%s", err, out)
	}

	_, port, err := net.SplitHostPort(serveLoopback(t, Config{Handler: handlerFunc(func(r *Request) {
		// With a body, because some cases wait for DATA, and not at once, because
		// some fill the connection with streams.
		time.AfterFunc(2*time.Millisecond, func() {
			r.Respond(400, []hpack.HeaderField{{Name: "content-type", Value: "application/json"}}, []byte(`{"reason":"BadDeviceToken"}`))
		})
	})}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	run := exec.CommandContext(ctx, program, "-h", "127.0.0.1", "-p", port, "-t", "-k", "-P", "/3/device/00", "-o", "5", "-j", report)
	out, err := run.CombinedOutput()
	if err != nil {
		t.Errorf("h2spec: %v\n%s", err, bytes.TrimSpace(out))
	}
	b, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	var suites struct {
		Suites []struct {
			Tests    int `xml:"tests,attr"`
			Skipped  int `xml:"skipped,attr"`
			Failures int `xml:"failures,attr"`
			Errors   int `xml:"errors,attr"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(b, &suites); err != nil {
		t.Fatal(err)
	}
	tests, lacking := 0, 0
	for _, s := range suites.Suites {
		tests += s.Tests
		lacking += s.Skipped + s.Failures + s.Errors
	}
	if tests != 145 || lacking != 0 {
		t.Errorf("h2spec: got %d of %d cases right, want 145 of 145", tests-lacking, tests)
	}
}

// serveLoopback serves what is dialled over TLS with cfg until the test ends, and
// returns the address.
func serveLoopback(t *testing.T, cfg Config) string {
	t.Helper()
	cert, _ := certificate(t)
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	serve := func(nc net.Conn) {
		tc := tls.Server(NewSocket(nc), &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}})
		if err := tc.HandshakeContext(ctx); err != nil {
			t.Logf("handshake: %v, closing: %v", err, nc.Close())
			return
		}
		_ = NewConn(tc, cfg).Serve(ctx) // the peer breaks the rules
	}
	running.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { serve(nc) })
		}
	})
	t.Cleanup(func() {
		cancel()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		running.Wait()
	})
	return l.Addr().String()
}
