package gateway_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/wire"
)

// dialing says how a provider connects.
type dialing struct {
	address     string // without the port; sandboxName if empty
	serverName  string // address if empty
	certificate *tls.Certificate
	protocols   []string // of ALPN; nil means h2, empty none
	version     uint16   // of TLS; 0 means any
}

// dialTLS connects and shakes hands.
func (w *world) dialTLS(tb testing.TB, d dialing) (*tls.Conn, error) {
	tb.Helper()
	if d.address == "" {
		d.address = sandboxName
	}
	if d.serverName == "" {
		d.serverName = d.address
	}
	if d.protocols == nil {
		d.protocols = []string{http2.NextProtoTLS}
	}
	cfg := &tls.Config{RootCAs: w.roots, ServerName: d.serverName, NextProtos: d.protocols, MinVersion: d.version, MaxVersion: d.version}
	if d.certificate != nil {
		// Whether or not the gateway says that it would like it.
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return d.certificate, nil }
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), patience)
	defer cancel()
	raw, err := w.network.DialContext(ctx, "tcp", d.address+":443")
	if err != nil {
		return nil, err
	}
	conn := tls.Client(raw, cfg)
	tb.Cleanup(func() { _ = raw.Close() })
	return conn, conn.HandshakeContext(ctx)
}

// peer is a provider made of frames, which does also what a well-behaved one
// would not. It belongs to one goroutine.
type peer struct {
	t     testing.TB
	nc    net.Conn
	fr    *http2.Framer
	enc   *hpack.Encoder
	block bytes.Buffer
	next  uint32
	asked map[uint32]*push

	answers  map[uint32]*answer
	limits   []uint32 // MAX_CONCURRENT_STREAMS of each SETTINGS
	settings []string // each SETTINGS whole
	goAways  []string
	credited map[uint32]int // WINDOW_UPDATE
	pongs    int
}

// answer is what came back on a stream.
type answer struct {
	fields []hpack.HeaderField
	body   string
	frames []string
	reset  string // the code of RST_STREAM
	ended  bool
}

func (a *answer) get(name string) (values []string) {
	for _, f := range a.fields {
		if f.Name == name {
			values = append(values, f.Value)
		}
	}
	return values
}

// dial connects, and exchanges SETTINGS.
func (w *world) dial(tb testing.TB, d dialing) *peer {
	tb.Helper()
	conn, err := w.dialTLS(tb, d)
	if err != nil {
		tb.Fatalf("dialling: %v", err)
	}
	p := newPeer(tb, conn)
	p.hello()
	for len(p.limits) == 0 {
		p.read()
	}
	return p
}

func newPeer(tb testing.TB, nc net.Conn) *peer {
	tb.Helper()
	p := &peer{
		t: tb, nc: nc, fr: http2.NewFramer(nc, nc), next: 1, asked: make(map[uint32]*push),
		answers: make(map[uint32]*answer), credited: make(map[uint32]int),
	}
	p.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	p.enc = hpack.NewEncoder(&p.block)
	return p
}

func (p *peer) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("sending: %v", err)
	}
}

func (p *peer) hello() {
	p.t.Helper()
	_, err := p.nc.Write([]byte(http2.ClientPreface))
	p.must(err)
	p.must(p.fr.WriteSettings())
}

// push is a request, as it will be on the wire.
type push struct {
	method, path string
	noAuthority  bool
	fields       []hpack.HeaderField
	body         []byte
}

// set gives a header one value.
func (q *push) set(name, value string) *push {
	return q.drop(name).add(name, value)
}

// add gives it one more.
func (q *push) add(name, value string) *push {
	q.fields = append(q.fields, hpack.HeaderField{Name: name, Value: value})
	return q
}

// drop leaves it out.
func (q *push) drop(name string) *push {
	q.fields = slices.DeleteFunc(q.fields, func(f hpack.HeaderField) bool { return f.Name == name })
	return q
}

func (q *push) to(t apns.DeviceToken) *push {
	q.path = "/3/device/" + t.Hex()
	return q
}

func (q *push) carrying(body string) *push {
	q.body = []byte(body)
	return q
}

func (q *push) get(name string) (values []string) {
	for _, f := range q.fields {
		if f.Name == name {
			values = append(values, f.Value)
		}
	}
	return values
}

const hello = `{"aps":{"alert":"x"}}`

// push returns a good request from the world's team to its device, with a
// provider token.
func (w *world) push(tb testing.TB) *push {
	tb.Helper()
	q := &push{method: "POST", body: []byte(hello)}
	return q.to(w.deviceToken(tb, demo, apns.Sandbox)).
		add("authorization", "bearer "+w.team.token(tb, time.Now())).add("apns-topic", string(demo))
}

// send sends a request and returns its stream.
func (p *peer) send(q *push) uint32 {
	p.t.Helper()
	id := p.headers(q, len(q.body) == 0)
	if len(q.body) > 0 {
		p.must(p.fr.WriteData(id, true, q.body))
	}
	return id
}

// headers sends the first frame of a request.
func (p *peer) headers(q *push, ends bool) uint32 {
	p.t.Helper()
	id := p.next
	p.next += 2
	p.asked[id] = q
	p.must(p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: p.blockOf(q), EndStream: ends, EndHeaders: true}))
	return id
}

// blockOf encodes the headers of a request, until the next call.
func (p *peer) blockOf(q *push) []byte {
	p.t.Helper()
	p.block.Reset()
	fields := []hpack.HeaderField{{Name: ":method", Value: q.method}, {Name: ":scheme", Value: "https"}, {Name: ":path", Value: q.path}}
	if !q.noAuthority {
		fields = append(fields, hpack.HeaderField{Name: ":authority", Value: sandboxName})
	}
	for _, f := range append(fields, q.fields...) {
		p.must(p.enc.WriteField(f))
	}
	return p.block.Bytes()
}

// trailer is a field that may follow a body.
var trailer = hpack.HeaderField{Name: "x-checksum", Value: "1"}

// trailers returns the frame that ends a body with a header block.
func trailers(id uint32, block []byte) http2.HeadersFrameParam {
	return http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndStream: true, EndHeaders: true}
}

// read reads a frame and notes what it says.
func (p *peer) read() {
	p.t.Helper()
	if err := p.tryRead(); err != nil {
		p.t.Fatalf("reading: %v; GOAWAY %q", err, p.goAways)
	}
}

func (p *peer) tryRead() error {
	if err := p.nc.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	f, err := p.fr.ReadFrame()
	if err != nil {
		return err
	}
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if f.IsAck() {
			return nil
		}
		var all []string
		for i := range f.NumSettings() {
			all = append(all, fmt.Sprintf("%v %d", f.Setting(i).ID, f.Setting(i).Val))
		}
		p.settings = append(p.settings, strings.Join(all, ", "))
		limit, ok := f.Value(http2.SettingMaxConcurrentStreams)
		if !ok {
			return errors.New("SETTINGS without MAX_CONCURRENT_STREAMS")
		}
		p.limits = append(p.limits, limit)
		return p.fr.WriteSettingsAck()
	case *http2.PingFrame:
		if f.IsAck() {
			p.pongs++
			return nil
		}
		return p.fr.WritePing(true, f.Data)
	case *http2.GoAwayFrame:
		p.goAways = append(p.goAways, fmt.Sprintf("%v %d %s", f.ErrCode, f.LastStreamID, f.DebugData()))
	case *http2.WindowUpdateFrame:
		p.credited[f.StreamID] += int(f.Increment)
	case *http2.MetaHeadersFrame:
		a := p.answer(f.StreamID)
		a.fields = append(a.fields, f.Fields...)
		a.frames = append(a.frames, "HEADERS")
		a.ended = f.StreamEnded()
	case *http2.DataFrame:
		a := p.answer(f.StreamID)
		a.body += string(f.Data())
		a.frames = append(a.frames, "DATA")
		a.ended = f.StreamEnded()
		// Whoever never gives credit back is stuck after a thousand refusals.
		return errors.Join(p.fr.WriteWindowUpdate(0, max(1, f.Length)))
	case *http2.RSTStreamFrame:
		a := p.answer(f.StreamID)
		a.reset = f.ErrCode.String()
		a.ended = true
	}
	return nil
}

func (p *peer) answer(id uint32) *answer {
	a := p.answers[id]
	if a == nil {
		a = new(answer)
		p.answers[id] = a
	}
	return a
}

// await reads until the stream has ended, and proves the form of the answer.
func (p *peer) await(id uint32) *answer {
	p.t.Helper()
	for !p.answer(id).ended {
		p.read()
	}
	a := p.answers[id]
	if a.reset != "" && len(a.frames) == 0 {
		return a
	}
	form := checkForm
	if wire.IsBroadcastPath(p.asked[id].path) {
		form = checkBroadcastForm
	}
	if err := form(p.asked[id], a); err != nil {
		p.t.Errorf("form of the answer on stream %d: %v\n%+v", id, err, a)
	}
	return a
}

// ask sends a request and awaits the answer.
func (p *peer) ask(q *push) *answer {
	p.t.Helper()
	return p.await(p.send(q))
}

// settle has everything that was sent before be read.
func (p *peer) settle() {
	p.t.Helper()
	p.must(p.fr.WritePing(false, [8]byte{'t', 'e', 's', 't'}))
	for n := p.pongs; p.pongs == n; {
		p.read()
	}
}

var (
	reasonForm = regexp.MustCompile(`^\{"reason":"[A-Za-z]+"\}$`)
	goneForm   = regexp.MustCompile(`^\{"reason":"[A-Za-z]+","timestamp":[0-9]{12,13}\}$`)
	uuidForm   = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	anyUUID    = regexp.MustCompile(`^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$`)
)

// checkForm checks what is the same for every answer
// (docs/protocol/provider.md#answers).
func checkForm(q *push, a *answer) error {
	id := a.get("apns-id")
	asked := q.get("apns-id")
	switch {
	case len(id) != 1:
		return fmt.Errorf("%d headers apns-id", len(id))
	case len(asked) == 1 && anyUUID.MatchString(asked[0]):
		if id[0] != asked[0] {
			return fmt.Errorf("apns-id: got %s, want %s", id[0], asked[0])
		}
	case len(asked) < 2 && !uuidForm.MatchString(id[0]):
		return fmt.Errorf("apns-id: got %q, want a UUID in lower case", id[0])
	}
	status := strings.Join(a.get(":status"), "+")
	frames := strings.Join(a.frames, " ")
	names := make([]string, 0, len(a.fields))
	for _, f := range a.fields {
		names = append(names, f.Name)
	}
	if status == "200" {
		for _, unique := range a.get("apns-unique-id") { // see TestUniqueID
			if !uuidForm.MatchString(unique) || unique == id[0] {
				return fmt.Errorf("apns-unique-id: got %q, want another UUID in lower case", unique)
			}
		}
		names = slices.DeleteFunc(names, func(name string) bool { return name == "apns-unique-id" })
		if frames != "HEADERS" || a.body != "" || a.reset != "" || strings.Join(names, " ") != ":status apns-id" {
			return fmt.Errorf("success: got frames %s, fields %q, body %q, want HEADERS with the end of the stream", frames, names, a.body)
		}
		return nil
	}
	form := reasonForm
	if status == "410" {
		form = goneForm
	}
	if frames != "HEADERS DATA" || !form.MatchString(a.body) {
		return fmt.Errorf("refusal: got frames %s, body %q", frames, a.body)
	}
	if ct := a.get("content-type"); len(ct) != 1 || ct[0] != "application/json" {
		return fmt.Errorf("content-type: got %q", ct)
	}
	return nil
}

// outcome says what became of a request: "200", or status and reason.
func (a *answer) outcome() string {
	if a.reset != "" && len(a.frames) == 0 {
		return a.reset
	}
	status := strings.Join(a.get(":status"), "+")
	_, rest, ok := strings.Cut(a.body, `{"reason":"`)
	if !ok {
		return status
	}
	reason, _, _ := strings.Cut(rest, `"`)
	return status + " " + reason
}

const accepted = "200"

// refused is the outcome of a refusal.
func refused(r apns.Reason) string { return strconv.Itoa(r.Status()) + " " + string(r) }

// want sends a request and checks the outcome.
func (p *peer) want(q *push, want string) *answer {
	p.t.Helper()
	a := p.ask(q)
	if got := a.outcome(); got != want {
		p.t.Errorf("got %s, want %s", got, want)
	}
	return a
}
