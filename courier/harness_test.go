package courier_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/apnstest"
	"github.com/heraldpush/herald/courier"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/internal/memnet"
	"github.com/heraldpush/herald/portal"
	"github.com/heraldpush/herald/registry"
	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/store/memory"
	"github.com/heraldpush/herald/wire"
)

// patience bounds what a test waits for, in virtual time.
const patience = time.Minute

// Topics of the team's app, and the push types that go to them.
const (
	alertTopic        = apnstest.Topic
	voipTopic         = apnstest.Topic + ".voip"
	complicationTopic = apnstest.Topic + ".complication"
)

// service is what a raw device talks to.
type service struct {
	t        *testing.T
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
	address  string
	roots    *x509.CertPool
	portal   *portal.Portal
	registry *registry.Registry
	spool    *spool.Spool
	sender   *apnsclient.Sender // nil without a gateway
}

// bubble runs a test in virtual time, with a whole platform. Its own t is s.t.
func bubble(t *testing.T, f func(s *service)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(newService(t, apnstest.New(t))) })
}

func newService(t *testing.T, p *apnstest.Platform) *service {
	t.Helper()
	return &service{
		t: t, dial: p.Dial, address: p.CourierAddr(), roots: p.Roots,
		portal: p.Portal, registry: p.Registry, spool: p.Spool, sender: p.NewSender(t),
	}
}

// transport names one of those for TCP.
type transport string

// The transports.
const (
	portable transport = "portable"
	native   transport = "of the system"
)

// overTCP runs a test with real sockets, on each transport.
func overTCP(t *testing.T, f func(t *testing.T, on transport)) {
	t.Helper()
	for _, on := range []transport{portable, native} {
		t.Run(string(on), func(t *testing.T) {
			t.Parallel()
			f(t, on)
		})
	}
}

// listen has the courier listen, and the service dial it.
func (s *service) listen(tcp bool) net.Listener {
	s.t.Helper()
	if !tcp {
		network := new(memnet.Network)
		s.dial = network.DialContext
		l, err := network.Listen(s.address)
		must(s.t, err)
		return l
	}
	var lc net.ListenConfig
	l, err := lc.Listen(s.t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Skipf("no TCP here: %v", err)
	}
	s.address, s.dial = l.Addr().String(), dialTCP
	return l
}

func dialTCP(ctx context.Context, network, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, address)
}

func parseKey(tb testing.TB, der []byte) crypto.Signer {
	tb.Helper()
	key, err := x509.ParsePKCS8PrivateKey(der)
	must(tb, err)
	signer, ok := key.(crypto.Signer)
	if !ok {
		tb.Fatalf("%T does not sign", key)
	}
	return signer
}

// parts are what a courier is put together from where a test needs a say in
// it. The zero value is a courier as any other.
type parts struct {
	portal   portal.Store
	registry registry.Store
	spool    spool.Store
	log      slog.Handler
	change   func(*courier.Config)
	made     func(*courier.Courier) // is told of the courier
	// tcp is the transport that the courier has for real sockets. Empty means
	// that all is in memory.
	tcp transport
	// before is called when there is a portal and nothing else: time that
	// goes by then costs nothing.
	before func(*service)
	// stopped is told how long Serve took to return.
	stopped func(time.Duration)
}

// assemble starts a courier without a gateway, until stop is called or the
// test ends.
func assemble(t *testing.T, with parts) (s *service, stop func()) {
	t.Helper()
	if with.portal == nil {
		with.portal = memory.NewPortal()
	}
	if with.registry == nil {
		with.registry = memory.NewRegistry()
	}
	if with.spool == nil {
		with.spool = memory.NewSpool(100)
	}
	if with.log == nil {
		with.log = slog.DiscardHandler
	}
	s = &service{t: t, address: "courier.push.apple.com:5223", roots: x509.NewCertPool()}
	var err error
	s.portal, err = portal.Open(t.Context(), portal.Config{Store: with.portal})
	must(t, err)
	if with.before != nil {
		with.before(s)
	}
	s.registry, err = registry.Open(t.Context(), registry.Config{Store: with.registry})
	must(t, err)
	s.spool, err = spool.New(spool.Config{Store: with.spool, Logger: slog.New(with.log)})
	must(t, err)
	s.roots.AddCert(s.portal.Root())
	certificate, err := s.portal.ServerCertificate([]string{courier.ProductionServerName, courier.SandboxServerName}, nil)
	must(t, err)
	cfg := courier.Config{
		Portal: s.portal, Registry: s.registry, Spool: s.spool, Logger: slog.New(with.log),
		ServerCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &certificate, nil },
	}
	if with.change != nil {
		with.change(&cfg)
	}
	if with.tcp != "" {
		cfg.Portable = with.tcp == portable
	}
	c, err := courier.New(cfg)
	must(t, err)
	if with.made != nil {
		with.made(c)
	}
	l := s.listen(with.tcp != "")
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := c.Serve(ctx, l); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	stop = sync.OnceFunc(func() {
		began := time.Now()
		cancel()
		serving.Wait()
		if with.stopped != nil {
			with.stopped(time.Since(began))
		}
		if err := s.spool.Close(); err != nil {
			t.Errorf("closing the spool: %v", err)
		}
	})
	t.Cleanup(stop)
	return s, stop
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// identity is a device's certificate and key.
type identity struct {
	key   crypto.Signer
	chain [][]byte
	id    apns.DeviceID
}

func newECKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(tb, err)
	return key
}

// rsaKey is made once: it takes long.
var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func newRSAKey(tb testing.TB) *rsa.PrivateKey {
	tb.Helper()
	key, err := rsaKey()
	must(tb, err)
	return key
}

func newRequest(tb testing.TB, key crypto.Signer) []byte {
	tb.Helper()
	csr, err := credential.NewRequest(key, credential.RequestSubject{CommonName: "device"})
	must(tb, err)
	return csr
}

// activate issues a certificate for a key.
func (s *service) activate(key crypto.Signer) identity {
	s.t.Helper()
	_, code, err := s.portal.CreateEnrolmentCode(s.t.Context(), 1, 0)
	must(s.t, err)
	issued, err := s.portal.ActivateDevice(s.t.Context(), code, newRequest(s.t, key))
	must(s.t, err)
	return identity{key: key, chain: [][]byte{issued.DER}, id: issued.Device}
}

// newIdentity issues a certificate for a new key.
func (s *service) newIdentity() identity {
	s.t.Helper()
	return s.activate(newECKey(s.t))
}

func (id identity) tls() *tls.Certificate {
	return &tls.Certificate{Certificate: id.chain, PrivateKey: id.key}
}

// connect returns a Connect as the strictest of devices send it: items 2, 5,
// 12, 13, 14, and the base token if there is one.
func (id identity) connect(tb testing.TB, at time.Time, base apns.BaseToken) []byte {
	tb.Helper()
	nonce := newNonce(tb, at)
	signature, err := nonce.Sign(id.key)
	must(tb, err)
	return id.connectWith(base, nonce[:], signature)
}

func (id identity) connectWith(base apns.BaseToken, nonce, signature []byte) []byte {
	var items [][]byte
	if base != "" {
		items = append(items, item(1, []byte(base)))
	}
	items = append(items, item(2, []byte{1}), item(5, []byte{0, 0, 0, 0x41}))
	for _, der := range id.chain {
		items = append(items, item(12, der))
	}
	return frame(wire.CommandConnect, append(items, item(13, nonce), item(14, signature))...)
}

func newNonce(tb testing.TB, at time.Time) wire.Nonce {
	tb.Helper()
	var random [8]byte
	_, err := rand.Read(random[:])
	must(tb, err)
	return wire.NewNonce(at, random)
}

// frame and item write the bytes as a device does that does not share our
// codec.
func frame(c wire.Command, items ...[]byte) []byte {
	payload := slices.Concat(items...)
	return append(binary.BigEndian.AppendUint32([]byte{byte(c)}, uint32(len(payload))), payload...)
}

func item(id uint8, value []byte) []byte {
	return append([]byte{id, byte(len(value) >> 8), byte(len(value))}, value...)
}

func u16(v uint16) []byte { return binary.BigEndian.AppendUint16(nil, v) }
func u32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

// hello says how a raw device opens its connection.
type hello struct {
	protocols  []string // nil means apns-security-v3; empty means no ALPN
	serverName string   // empty means courier.sandbox.push.apple.com
	identity   *tls.Certificate
	maxVersion uint16
}

// rawDevice is one connection of a device.
type rawDevice struct {
	t      *testing.T
	conn   *tls.Conn
	base   apns.BaseToken
	frames chan wire.Frame // closed at the end of the connection
}

// dialTLS connects as far as TLS goes.
func (s *service) dialTLS(h hello) (*tls.Conn, error) {
	s.t.Helper()
	if h.protocols == nil {
		h.protocols = []string{wire.ALPNSecurityV3}
	}
	if h.serverName == "" {
		h.serverName = courier.SandboxServerName
	}
	raw, err := s.dial(s.t.Context(), "tcp", s.address)
	must(s.t, err)
	cfg := &tls.Config{RootCAs: s.roots, ServerName: h.serverName, NextProtos: h.protocols, MaxVersion: h.maxVersion}
	if h.identity != nil {
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return h.identity, nil }
	}
	conn := tls.Client(raw, cfg)
	s.t.Cleanup(func() { _ = raw.Close() })
	return conn, conn.HandshakeContext(s.t.Context())
}

// open connects a device that has not said Connect.
func (s *service) open(h hello) *rawDevice {
	s.t.Helper()
	d := s.openUnread(h)
	d.start()
	return d
}

// openUnread connects a device that does not read until start.
func (s *service) openUnread(h hello) *rawDevice {
	s.t.Helper()
	conn, err := s.dialTLS(h)
	must(s.t, err)
	return &rawDevice{t: s.t, conn: conn, frames: make(chan wire.Frame, 4096)}
}

// start begins to read.
func (d *rawDevice) start() {
	go func() {
		defer close(d.frames)
		var buf []byte
		chunk := make([]byte, 16<<10)
		for {
			n, err := d.conn.Read(chunk)
			buf = append(buf, chunk[:n]...)
			for {
				f, n, ferr := wire.NextFrame(buf, wire.MaxPayloadBytes)
				if errors.Is(ferr, wire.ErrIncomplete) {
					break
				}
				if ferr != nil {
					d.t.Errorf("the courier sent %v", ferr)
					return
				}
				if !slices.Contains(devicesKnow, f.Command) {
					d.t.Errorf("the courier sent %v, which no device knows", f.Command)
				}
				d.frames <- wire.Frame{Command: f.Command, Payload: slices.Clone(f.Payload)}
				buf = buf[n:]
			}
			if err != nil {
				return
			}
		}
	}()
}

// login opens a connection and has it accepted.
func (s *service) login(id identity, base apns.BaseToken) *rawDevice {
	s.t.Helper()
	d := s.open(hello{})
	d.login(id, base)
	return d
}

func (d *rawDevice) login(id identity, base apns.BaseToken) {
	d.t.Helper()
	d.send(id.connect(d.t, time.Now(), base))
	d.wantAccepted()
}

func (d *rawDevice) wantAccepted() {
	d.t.Helper()
	ack := d.want(wire.CommandConnectAck)
	if status := ack[1]; len(status) != 1 || status[0] != 0 {
		d.t.Fatalf("ConnectAck has status %x, want 00", status)
	}
	d.base = apns.BaseToken(ack[3])
}

// wantRefused checks for status 2 without item 7, and the end.
func (d *rawDevice) wantRefused() {
	d.t.Helper()
	ack := d.want(wire.CommandConnectAck)
	if status := ack[1]; len(status) != 1 || status[0] != 2 {
		d.t.Errorf("ConnectAck has status %x, want 02", status)
	}
	if _, ok := ack[7]; ok {
		d.t.Error("ConnectAck has item 7, want none")
	}
	if _, ok := ack[3]; ok {
		d.t.Error("ConnectAck has a base token, want none")
	}
	d.wantClosed(0)
}

func (d *rawDevice) send(frames ...[]byte) {
	d.t.Helper()
	if _, err := d.conn.Write(slices.Concat(frames...)); err != nil {
		d.t.Fatal(err)
	}
}

func (d *rawDevice) close() { _ = d.conn.Close() }

// want returns the items of the next frame, which is this command. None may
// come twice.
func (d *rawDevice) want(c wire.Command) map[uint8][]byte {
	d.t.Helper()
	select {
	case f, ok := <-d.frames:
		if !ok {
			d.t.Fatalf("the connection has ended, want %v", c)
		}
		if f.Command != c {
			d.t.Fatalf("got %v, want %v", f.Command, c)
		}
		return parseItems(d.t, f)
	case <-time.After(patience):
		d.t.Fatalf("nothing came in %v, want %v", patience, c)
	}
	return nil
}

func parseItems(tb testing.TB, f wire.Frame) map[uint8][]byte {
	tb.Helper()
	items := make(map[uint8][]byte)
	for rest := f.Payload; len(rest) > 0; {
		n := 3 + int(binary.BigEndian.Uint16(rest[1:]))
		if _, twice := items[rest[0]]; twice {
			tb.Errorf("%v has item %d twice", f.Command, rest[0])
		}
		items[rest[0]], rest = rest[3:n], rest[n:]
	}
	return items
}

// wantNothing checks that the courier is silent, and the connection open.
func (d *rawDevice) wantNothing() {
	d.t.Helper()
	synctest.Wait()
	select {
	case f, ok := <-d.frames:
		if !ok {
			d.t.Fatal("the connection has ended")
		}
		d.t.Fatalf("got %v, want nothing", f.Command)
	default:
	}
}

// wantClosed checks that the connection ends after a time, and nothing comes
// before.
func (d *rawDevice) wantClosed(after time.Duration) {
	d.t.Helper()
	began := time.Now()
	select {
	case f, ok := <-d.frames:
		if ok {
			d.t.Fatalf("got %v, want the end", f.Command)
		}
	case <-time.After(after + patience):
		d.t.Fatalf("the connection has not ended after %v", after+patience)
	}
	if took := time.Since(began); took != after {
		d.t.Errorf("the connection ended after %v, want %v", took, after)
	}
}

// filter sends a Filter with the topics enabled.
func (d *rawDevice) filter(topics ...apns.Topic) {
	d.t.Helper()
	items := [][]byte{item(1, []byte(d.base))}
	for _, topic := range topics {
		h := topic.Hash()
		items = append(items, item(2, h[:]))
	}
	d.send(frame(wire.CommandFilter, items...))
}

// ready sends a Filter, and takes the NoStorage.
func (d *rawDevice) ready(topics ...apns.Topic) {
	d.t.Helper()
	d.filter(topics...)
	d.want(wire.CommandNoStorage)
}

// token asks for a device token.
func (d *rawDevice) token(topic apns.Topic) apns.DeviceToken {
	d.t.Helper()
	h := topic.Hash()
	d.send(frame(wire.CommandAppToken, item(2, h[:]), item(1, []byte(d.base))))
	answer := d.want(wire.CommandAppTokenResponse)
	if status := answer[1]; len(status) != 1 || status[0] != 0 || len(answer[2]) != 32 {
		d.t.Fatalf("AppTokenResponse has status %x and a token of %d bytes", status, len(answer[2]))
	}
	return apns.DeviceToken(answer[2])
}

// ack acknowledges a notification.
func (d *rawDevice) ack(notification map[uint8][]byte, status wire.AckStatus) {
	d.t.Helper()
	d.send(frame(wire.CommandAck, item(8, []byte{byte(status)}), item(4, notification[4])))
}

// alert returns a notification with this text.
func alert(text string) apns.Notification {
	return apns.Notification{
		Topic: alertTopic, PushType: apns.PushTypeAlert,
		Payload: apns.Payload(`{"aps":{"alert":"` + text + `"}}`),
	}
}

// to returns n for another topic.
func to(topic apns.Topic, n apns.Notification) apns.Notification {
	n.Topic, n.PushType = topic, apns.InferPushType(topic, n.Payload)
	return n
}

// push sends by way of the gateway.
func (s *service) push(token apns.DeviceToken, n apns.Notification) {
	s.t.Helper()
	if _, err := s.sender.Push(s.t.Context(), token, n); err != nil {
		s.t.Fatal(err)
	}
}

// offer puts a notification into the spool, past the gateway.
func (s *service) offer(id apns.DeviceID, n apns.Notification) {
	s.t.Helper()
	device, err := s.registry.Device(s.t.Context(), id)
	must(s.t, err)
	at := apns.Address{Device: device, Environment: apns.Sandbox, Topic: n.Topic.Hash()}
	token, err := s.registry.DeviceToken(s.t.Context(), at)
	must(s.t, err)
	_, err = s.spool.Offer(s.t.Context(), at, token, n)
	must(s.t, err)
}

// wantPayload takes the next frame, a notification with the payload of n.
func (d *rawDevice) wantPayload(n apns.Notification, storage uint8) map[uint8][]byte {
	d.t.Helper()
	got := d.want(wire.CommandNotification)
	if string(got[3]) != string(n.Payload) {
		d.t.Errorf("payload is %s, want %s", got[3], n.Payload)
	}
	var flags uint8
	if len(got[9]) == 1 {
		flags = got[9][0]
	}
	if flags != storage {
		d.t.Errorf("storage flags of %s are %d, want %d", n.Payload, flags, storage)
	}
	return got
}

// widths returns the sizes of items.
func widths(items map[uint8][]byte) map[uint8]int {
	w := make(map[uint8]int)
	for id, value := range items {
		w[id] = len(value)
	}
	return w
}

func itemIDs(items map[uint8][]byte) []uint8 { return slices.Sorted(maps.Keys(items)) }

func decodePEM(tb testing.TB, text string) []byte {
	tb.Helper()
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		tb.Fatalf("%q is no PEM", text)
	}
	return block.Bytes
}
