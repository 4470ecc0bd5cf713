package bench

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// server is a server that is measured.
type server struct {
	name   string
	target target
	child  *child
}

// absence is a peer that is not measured.
type absence struct {
	name, why string
}

// startGateway starts the gateway under test.
func (r *run) startGateway(ctx context.Context) (*server, error) {
	c, err := r.startPart(ctx, partGateway, r.serverCore)
	if err != nil {
		return nil, err
	}
	s := &server{name: Gateway, child: c}
	r.servers = append(r.servers, s)
	got, err := c.ask(order{Do: orderBegin, Gateway: &gatewaySetup{Tokens: r.cfg.Tokens, Attached: r.cfg.Attached}})
	if err != nil {
		return nil, err
	}
	if got.Target == nil {
		return nil, errors.New("the gateway does not say where it is")
	}
	s.target = *got.Target
	return s, nil
}

// startPart starts a part of the bench.
func (r *run) startPart(ctx context.Context, name string, core int) (*child, error) {
	return startPart(ctx, r.cfg.Part, name, core)
}

// startPart starts a part of the bench on a core, or on any if that is less than
// zero. Servers and load alike run one thread at a time where they have one core.
func startPart(ctx context.Context, part func(context.Context, string) *exec.Cmd, name string, core int) (*child, error) {
	cmd := part(ctx, name)
	if core >= 0 {
		cmd.Env = append(cmd.Environ(), "GOMAXPROCS=1")
	}
	return start(name, cmd, core, true)
}

// startPeer starts a peer of the gateway, or says why it is not there.
func (r *run) startPeer(ctx context.Context, name string) error {
	switch name {
	case NetHTTP:
		return r.startNetHTTP(ctx)
	case Nghttpd:
		return r.startNghttpd(ctx)
	}
	return fmt.Errorf("no peer %q", name)
}

func (r *run) startNetHTTP(ctx context.Context) error {
	c, err := r.startPart(ctx, partNetHTTP, r.serverCore)
	if err != nil {
		return err
	}
	s := &server{name: NetHTTP, child: c}
	r.servers = append(r.servers, s)
	got, err := c.ask(order{Do: orderBegin, NetHTTP: &httpSetup{Certificate: append(r.identity.chain, r.identity.key...)}})
	if err != nil {
		return err
	}
	if got.Target == nil {
		return errors.New("net/http does not say where it is")
	}
	s.target = r.peerTarget(got.Target.Address)
	return nil
}

// peerTarget is that of a peer: it gets the very requests that the gateway does.
func (r *run) peerTarget(address string) target {
	t := r.gateway.target
	t.Address, t.ServerName, t.Roots, t.Certificate = address, peerName, r.identity.chain, nil
	return t
}

// Limits of waiting for nghttpd to listen.
const (
	nghttpdTries   = 3
	nghttpdTimeout = 5 * time.Second
)

// startNghttpd starts nghttpd over a folder with an empty file for each path.
func (r *run) startNghttpd(ctx context.Context) error {
	program, missing := exec.LookPath("nghttpd")
	if missing != nil {
		r.absent = append(r.absent, absence{Nghttpd, "not installed (on Debian: nghttp2-server)"})
		return nil //nolint:nilerr // it is reported as absent
	}
	root := filepath.Join(r.dir, "htdocs")
	for _, path := range append(r.paths(), badPaths()...) {
		file := filepath.Join(root, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			return err
		}
	}
	key, chain := filepath.Join(r.dir, "key.pem"), filepath.Join(r.dir, "cert.pem")
	if err := errors.Join(os.WriteFile(key, r.identity.key, 0o600), os.WriteFile(chain, r.identity.chain, 0o600)); err != nil {
		return err
	}
	var err error
	for range nghttpdTries { // another program may take the port first
		var s *server
		if s, err = r.tryNghttpd(ctx, program, root, key, chain); err == nil {
			r.servers = append(r.servers, s)
			return nil
		}
	}
	return err
}

func (r *run) tryNghttpd(ctx context.Context, program, root, key, chain string) (*server, error) {
	l, err := listen(ctx)
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, "-a", "127.0.0.1", "-n", "1", "-m", strconv.Itoa(max(100, r.cfg.Streams)), "-d", root, port, key, chain)
	c, err := start(Nghttpd, cmd, r.serverCore, false)
	if err != nil {
		return nil, err
	}
	limit, cancel := context.WithTimeout(ctx, nghttpdTimeout)
	defer cancel()
	for {
		conn, err := (&net.Dialer{}).DialContext(limit, "tcp", address)
		if err == nil {
			return &server{name: Nghttpd, child: c, target: r.peerTarget(address)}, conn.Close()
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-c.ended:
			return nil, fmt.Errorf("nghttpd ended%s", c.said.suffix())
		case <-limit.Done():
			c.end()
			return nil, fmt.Errorf("nghttpd does not listen: %w", err)
		}
	}
}

// peerName is the name in the peers' certificate.
const peerName = "localhost"

// peerIdentity is the peers' certificate and key, in PEM.
type peerIdentity struct{ chain, key []byte }

// newPeerIdentity makes a certificate of the kind that the gateway has.
func newPeerIdentity() (id peerIdentity, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return id, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: peerName}, DNSNames: []string{peerName},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return id, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return id, err
	}
	id.chain = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	id.key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	return id, nil
}

// paths are the request paths of the device tokens.
func (r *run) paths() []string {
	paths := make([]string, 0, len(r.gateway.target.Tokens))
	for _, t := range r.gateway.target.Tokens {
		paths = append(paths, devicePath+t)
	}
	return paths
}

const devicePath = "/3/device/"

// badPaths are those of bad pushes.
func badPaths() []string { return []string{devicePath + strings.Repeat("ab", 32)} }
