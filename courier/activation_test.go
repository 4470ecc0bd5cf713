package courier_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heraldpush/herald/courier"
	"github.com/heraldpush/herald/wire"
)

// web returns an HTTP client whose connections offer these protocols.
func (s *service) web(protocols []string) *http.Client {
	transport := &http.Transport{
		DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			raw, err := s.dial(ctx, network, s.address)
			if err != nil {
				return nil, err
			}
			conn := tls.Client(raw, &tls.Config{RootCAs: s.roots, ServerName: courier.ProductionServerName, NextProtos: protocols})
			return conn, conn.HandshakeContext(ctx)
		},
	}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// answer is what came back for a request.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// ask makes a request.
func (s *service) ask(c *http.Client, method, path string, body []byte) answer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, "https://"+s.address+path, bytes.NewReader(body))
	must(s.t, err)
	resp, err := c.Do(req)
	must(s.t, err)
	got, err := io.ReadAll(resp.Body)
	must(s.t, errors.Join(err, resp.Body.Close()))
	return answer{resp.StatusCode, resp.Header, got}
}

func activationBody(tb testing.TB, code string, csr []byte) []byte {
	tb.Helper()
	body, err := json.Marshal(wire.ActivationRequest{EnrolmentCode: code, CSR: string(csr)})
	must(tb, err)
	return body
}

func requestPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

// TestActivation gets a certificate and connects with it.
func TestActivation(t *testing.T) {
	for name, protocols := range map[string][]string{
		"http/1.1": {"http/1.1"}, "h2 and http/1.1": {"h2", "http/1.1"}, "no ALPN": nil,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(s *service) {
				t := s.t
				_, code, err := s.portal.CreateEnrolmentCode(t.Context(), 1, time.Hour)
				must(t, err)
				key := newECKey(t)
				body := activationBody(t, code, requestPEM(newRequest(t, key)))
				c := s.web(protocols)
				a := s.ask(c, http.MethodPost, courier.ActivationPath, body)
				var got wire.ActivationResponse
				if err := json.Unmarshal(a.body, &got); err != nil || a.status != 200 || a.header.Get("Content-Type") != "application/json" {
					t.Fatalf("got %d, %s, %v", a.status, a.body, err)
				}
				cert, err := x509.ParseCertificate(decodePEM(t, got.Certificate))
				must(t, err)
				if cert.Subject.CommonName != string(got.DeviceID) || !key.PublicKey.Equal(cert.PublicKey) {
					t.Errorf("certificate is for %v, want %s and the key of the request", cert.Subject, got.DeviceID)
				}
				s.login(identity{key: key, chain: [][]byte{cert.Raw}, id: got.DeviceID}, "").ready()
				// The same connection again: the code is used up, but for one that
				// did not get the answer.
				if again := s.ask(c, http.MethodPost, courier.ActivationPath, body); again.status != 200 || string(again.body) != string(a.body) {
					t.Errorf("the same again: got %d, %s, want the same answer", again.status, again.body)
				}
				other := activationBody(t, code, requestPEM(newRequest(t, newECKey(t))))
				wantProblem(t, "second use", s.ask(c, http.MethodPost, courier.ActivationPath, other), 403)
			})
		})
	}
}

// wantProblem checks an answer that refuses, as RFC 9457 has it.
func wantProblem(t *testing.T, name string, a answer, status int) wire.Problem {
	t.Helper()
	var got wire.Problem
	if err := json.Unmarshal(a.body, &got); err != nil || a.status != status || got.Status != status || got.Title == "" || got.Detail == "" {
		t.Errorf("%s: got %d, %s, %v; want a problem with status %d", name, a.status, a.body, err, status)
	}
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("%s: content type is %q", name, got)
	}
	return got
}

// weakRequest is made once: its key takes long.
var weakRequest = sync.OnceValues(func() ([]byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		return nil, err
	}
	return x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
})

func TestActivationRefused(t *testing.T) {
	weakRequest, err := weakRequest()
	must(t, err)
	bubble(t, func(s *service) {
		t := s.t
		_, code, err := s.portal.CreateEnrolmentCode(t.Context(), 1, time.Hour)
		must(t, err)
		good := requestPEM(newRequest(t, newECKey(t)))
		c := s.web([]string{"http/1.1"})
		for _, tt := range []struct {
			name, method, path string
			body               []byte
			status             int
			detail             string // is in the answer
		}{
			{"wrong code", "POST", courier.ActivationPath, activationBody(t, "WRONG", good), 403, "Ask for a new one"},
			{"no code", "POST", courier.ActivationPath, activationBody(t, "", good), 403, ""},
			{"wrong code and no request", "POST", courier.ActivationPath, activationBody(t, "WRONG", nil), 403, ""},
			{"no JSON", "POST", courier.ActivationPath, []byte("{"), 400, "JSON"},
			{"nothing", "POST", courier.ActivationPath, nil, 400, "JSON"},
			{"JSON and more", "POST", courier.ActivationPath, append(activationBody(t, code, good), '{'), 400, "JSON"},
			{"JSON array", "POST", courier.ActivationPath, []byte("[]"), 400, "JSON"},
			{"too large", "POST", courier.ActivationPath, activationBody(t, code, bytes.Repeat([]byte("x"), wire.MaxActivationBytes)), 413, "64 KiB"},
			{"no request", "POST", courier.ActivationPath, activationBody(t, code, nil), 400, ""},
			{"weak key", "POST", courier.ActivationPath, activationBody(t, code, requestPEM(weakRequest)), 400, "1024"},
			{"GET", "GET", courier.ActivationPath, nil, 405, "POST"},
			{"PUT", "PUT", courier.ActivationPath, activationBody(t, code, good), 405, "POST"},
			{"unknown path", "POST", "/v1/activat", activationBody(t, code, good), 404, courier.ActivationPath},
			{"root", "GET", "/", nil, 404, ""},
		} {
			a := s.ask(c, tt.method, tt.path, tt.body)
			got := wantProblem(t, tt.name, a, tt.status)
			if !strings.Contains(got.Detail, tt.detail) {
				t.Errorf("%s: detail is %q, want %q in it", tt.name, got.Detail, tt.detail)
			}
			if bytes.Contains(a.body, []byte(code)) {
				t.Errorf("%s: the answer has the code: %s", tt.name, a.body)
			}
			if got := a.header.Get("Allow"); tt.status == 405 && got != "POST" {
				t.Errorf("%s: Allow is %q, want POST", tt.name, got)
			}
		}
		// None of these has used it up.
		if a := s.ask(c, "POST", courier.ActivationPath, activationBody(t, code, good)); a.status != 200 || bytes.Contains(a.body, []byte(code)) {
			t.Errorf("got %d, %s", a.status, a.body)
		}
	})
}

// TestActivationByHand checks that a connection is sniffed by its first byte,
// and a header or body that does not come is not waited for.
func TestActivationByHand(t *testing.T) {
	bubble(t, func(s *service) {
		t := s.t
		for _, send := range []string{"P", "POST /v1/activate HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"} {
			conn, err := s.dialTLS(hello{protocols: []string{}})
			must(t, err)
			_, err = conn.Write([]byte(send))
			must(t, err)
			began := time.Now()
			_, err = io.Copy(io.Discard, conn)
			if took := time.Since(began); took != 30*time.Second {
				t.Errorf("after %q: ended after %v with %v, want 30s", send, took, err)
			}
		}
	})
}

// TestActivationExpired checks that expired codes are refused as others are.
func TestActivationExpired(t *testing.T) {
	bubble(t, func(s *service) {
		t := s.t
		_, code, err := s.portal.CreateEnrolmentCode(t.Context(), 1, time.Hour)
		must(t, err)
		time.Sleep(time.Hour + time.Second)
		a := s.ask(s.web(nil), "POST", courier.ActivationPath, activationBody(t, code, requestPEM(newRequest(t, newECKey(t)))))
		wantProblem(t, "expired", a, 403)
	})
}
