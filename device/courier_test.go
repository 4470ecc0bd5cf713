package device_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/device"
	"github.com/heraldpush/herald/internal/memnet"
	"github.com/heraldpush/herald/wire"
)

const (
	courierAddress = "courier.test:5223"
	demo           = apns.Topic("com.example.demo")
	deviceID       = apns.DeviceID("6f1c2c1e-9f0a-4a5e-8d39-0a6f4b1f9c11")
)

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// world is a network with a courier that the test plays, and an activation
// door. It is made inside a synctest bubble.
type world struct {
	t         *testing.T
	network   memnet.Network
	root      credential.Authority
	roots     *x509.CertPool
	server    tls.Certificate
	couriers  *memnet.Listener
	protocols []string // that the courier accepts
	dir       string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, roots: x509.NewCertPool(), protocols: []string{wire.ALPNHerald, wire.ALPNSecurityV3}}
	v := credential.Validity{NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour)}
	w.root.Key = newKey(t)
	var err error
	if w.root.Certificate, err = credential.NewRoot("Test Root", w.root.Key, v); err != nil {
		t.Fatal(err)
	}
	w.roots.AddCert(w.root.Certificate)
	key := newKey(t)
	cert, err := w.root.IssueServer(credential.ServerProfile{
		DNSNames: []string{"courier.sandbox.push.apple.com", "activation.test"},
	}, key.Public(), v)
	if err != nil {
		t.Fatal(err)
	}
	w.server = credential.Identity{Certificate: cert, Key: key}.TLS()
	w.couriers = w.listen(courierAddress)
	return w
}

func (w *world) listen(address string) *memnet.Listener {
	w.t.Helper()
	l, err := w.network.Listen(address)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := l.Close(); err != nil {
			w.t.Error(err)
		}
	})
	return l
}

// activation serves the activation door until the test ends.
func (w *world) activation(answer http.HandlerFunc) {
	w.t.Helper()
	l := w.listen("activation.test:443")
	s := &http.Server{Handler: answer, ReadHeaderTimeout: time.Minute}
	var serving sync.WaitGroup
	serving.Go(func() {
		_ = s.Serve(tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{w.server}, MinVersion: tls.VersionTLS12}))
	})
	w.t.Cleanup(func() { _ = s.Close(); serving.Wait() })
}

// issue answers an activation as the door does.
func (w *world) issue(rw http.ResponseWriter, r *http.Request) {
	var req wire.ActivationRequest
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil || req.EnrolmentCode != "one-time" {
		w.t.Errorf("activation: got %+v and %v, want the code", req, err)
	}
	csr, err := credential.ParseRequest([]byte(req.CSR))
	if err != nil {
		w.t.Error(err)
		return
	}
	cert, err := w.root.IssueDevice(deviceID, csr.PublicKey, credential.Validity{NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(500 * time.Hour)})
	if err != nil {
		w.t.Error(err)
		return
	}
	if err := json.NewEncoder(rw).Encode(wire.ActivationResponse{
		DeviceID: deviceID, Certificate: string(credential.MarshalCertificatePEM(cert, w.root.Certificate)),
	}); err != nil {
		w.t.Error(err)
	}
}

func (w *world) config() device.Config {
	return device.Config{
		Courier:       courierAddress,
		Environment:   apns.Sandbox,
		Activation:    "https://activation.test/activation",
		EnrolmentCode: "one-time",
		Roots:         w.roots,
		Dial:          w.network.DialContext,
		Dir:           w.dir,
	}
}

// running is a device whose Run has been started.
type running struct {
	*device.Device
	t    *testing.T
	stop context.CancelFunc
	done chan error
}

// start runs a new device; the test ends with stopped or failed.
func (w *world) start(c device.Config) *running {
	w.t.Helper()
	d, err := device.New(c)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.run(d)
}

func (w *world) run(d *device.Device) *running {
	w.t.Helper()
	ctx, stop := context.WithCancel(w.t.Context())
	r := &running{Device: d, t: w.t, stop: stop, done: make(chan error, 1)}
	go func() { r.done <- d.Run(ctx) }()
	return r
}

// stopped ends Run, which must be content.
func (r *running) stopped() {
	r.t.Helper()
	r.stop()
	if err := <-r.done; err != nil {
		r.t.Errorf("Run: got %v, want nil", err)
	}
}

// peer is the courier's end of a connection.
type peer struct {
	t      *testing.T
	conn   *tls.Conn
	reader *bufio.Reader
}

// accept waits for the device to connect.
func (w *world) accept() *peer {
	w.t.Helper()
	return w.acceptAt(w.couriers)
}

func (w *world) acceptAt(l net.Listener) *peer {
	w.t.Helper()
	raw, err := l.Accept()
	if err != nil {
		w.t.Fatal(err)
	}
	conn := tls.Server(raw, &tls.Config{
		Certificates: []tls.Certificate{w.server}, NextProtos: w.protocols, MinVersion: tls.VersionTLS12,
	})
	if err := conn.SetDeadline(time.Now().Add(time.Hour)); err != nil {
		w.t.Fatal(err)
	}
	if err := conn.HandshakeContext(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	if got := conn.ConnectionState().ServerName; got != "courier.sandbox.push.apple.com" {
		w.t.Errorf("server name: got %q", got)
	}
	p := &peer{t: w.t, conn: conn, reader: bufio.NewReader(conn)}
	w.t.Cleanup(p.close)
	return p
}

func (p *peer) close() { _ = p.conn.NetConn().Close() }

// read returns the next frame of the device, io.EOF after the last.
func (p *peer) read() (wire.Frame, error) {
	var header [wire.HeaderBytes]byte
	if _, err := io.ReadFull(p.reader, header[:]); err != nil {
		return wire.Frame{}, err
	}
	b := append(header[:], make([]byte, binary.BigEndian.Uint32(header[1:]))...)
	if _, err := io.ReadFull(p.reader, b[wire.HeaderBytes:]); err != nil {
		return wire.Frame{}, err
	}
	f, _, err := wire.NextFrame(b, wire.MaxPayloadBytes)
	return f, err
}

// expect reads a frame, which must hold the command.
func (p *peer) expect(c wire.Command) wire.Frame {
	p.t.Helper()
	f, err := p.read()
	if err != nil {
		p.t.Fatalf("frame: got %v, want %v", err, c)
	}
	if f.Command != c {
		p.t.Fatalf("frame: got %v, want %v", f.Command, c)
	}
	return f
}

// expectEnd reads on to the end of what the device says.
func (p *peer) expectEnd() {
	p.t.Helper()
	if f, err := p.read(); err == nil {
		p.t.Errorf("frame: got %v, want the end", f.Command)
	}
}

type message interface{ Append(b []byte) []byte }

func (p *peer) send(messages ...message) {
	p.t.Helper()
	var b []byte
	for _, m := range messages {
		b = m.Append(b)
	}
	if _, err := p.conn.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

// connect reads a Connect, whose proof must be good.
func (p *peer) connect() wire.Connect {
	p.t.Helper()
	m, err := wire.ParseConnect(p.expect(wire.CommandConnect).Payload)
	if err != nil {
		p.t.Fatal(err)
	}
	if m.State != wire.StateOnline || len(m.Certificates) == 0 {
		p.t.Fatalf("Connect: got state %d and %d certificates, want online and one or more", m.State, len(m.Certificates))
	}
	cert, err := x509.ParseCertificate(m.Certificates[0])
	if err != nil {
		p.t.Fatal(err)
	}
	if err := wire.VerifySignature(cert.PublicKey, m.Nonce, m.Signature); err != nil {
		p.t.Error(err)
	}
	return m
}

// baseToken and deviceTokens are what the courier of these tests gives out.
var baseToken = apns.BaseToken(strings.Repeat("B", apns.CourierTokenBytes))

func deviceToken(topic apns.TopicHash) apns.DeviceToken {
	return apns.DeviceToken(string(topic[:]) + strings.Repeat("-", apns.CourierTokenBytes-len(topic)))
}

// welcome does all up to the filter, which it returns, and gives out as many
// device tokens as it is told that the device will ask for.
func (p *peer) welcome(asks int) []apns.TopicHash {
	p.t.Helper()
	p.connect()
	p.send(wire.ConnectAck{
		BaseToken: baseToken, MaxMessageBytes: wire.DefaultMaxMessageBytes,
		LargeMessageBytes: wire.DefaultLargeMessageBytes, Time: time.Now(),
	})
	p.expect(wire.CommandSetActiveState)
	filter := p.filter()
	for range asks {
		p.giveToken()
	}
	return filter
}

func (p *peer) filter() []apns.TopicHash {
	p.t.Helper()
	m, err := wire.ParseFilter(p.expect(wire.CommandFilter).Payload)
	if err != nil || m.BaseToken != baseToken {
		p.t.Fatalf("Filter: got %+v and %v, want the base token", m, err)
	}
	return m.Enabled
}

func (p *peer) giveToken() {
	p.t.Helper()
	m, err := wire.ParseAppToken(p.expect(wire.CommandAppToken).Payload)
	if err != nil {
		p.t.Fatal(err)
	}
	p.send(wire.AppTokenResponse{TopicHash: m.TopicHash, DeviceToken: deviceToken(m.TopicHash)})
}

// push sends a notification and returns what the device makes of it.
func (p *peer) push(n wire.Notification) wire.AckStatus {
	p.t.Helper()
	if n.DeviceToken == "" {
		n.DeviceToken = deviceToken(n.TopicHash)
	}
	p.send(n)
	m, err := wire.ParseAck(p.expect(wire.CommandAck).Payload)
	if err != nil || m.MessageID != n.MessageID || !m.HasMessageID {
		p.t.Fatalf("Ack: got %+v and %v, want message id %d", m, err, n.MessageID)
	}
	return m.Status
}
