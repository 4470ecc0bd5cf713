package h2

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/heraldpush/herald/internal/memnet"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// handlerFunc makes a Handler of a function.
type handlerFunc func(*Request)

func (f handlerFunc) ServeRequest(r *Request) { f(r) }

// echo answers with what it got: the body, or nothing.
var echo = handlerFunc(func(r *Request) { r.Respond(200, nil, r.TakeBody()) })

// held keeps requests until the test answers them.
type held struct {
	mu       sync.Mutex
	requests []*Request
}

func (h *held) ServeRequest(r *Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.requests = append(h.requests, r)
}

// take returns the requests held.
func (h *held) take() []*Request {
	h.mu.Lock()
	defer h.mu.Unlock()
	rs := h.requests
	h.requests = nil
	return rs
}

// peer is the other side of a connection, made of frames. It lives in a
// synctest bubble: what it received is looked at when all is quiet.
type peer struct {
	t     *testing.T
	nc    net.Conn
	fr    *http2.Framer
	block bytes.Buffer
	enc   *hpack.Encoder
	c     *Conn

	cancel context.CancelFunc
	result chan error // of Serve

	deaf atomic.Bool // it does not read any more

	mu   sync.Mutex
	seen []string // what was received, a line a frame
	data int      // bytes of DATA received
}

// dial serves a connection with cfg and returns its other side, which has sent
// nothing yet and does not read.
func dial(t *testing.T, cfg Config) *peer {
	t.Helper()
	near, far := memnet.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	p := &peer{t: t, nc: near, fr: http2.NewFramer(near, near), cancel: cancel, result: make(chan error, 1)}
	p.enc = hpack.NewEncoder(&p.block)
	p.c = NewConn(far, cfg)
	go func() { p.result <- p.c.Serve(ctx) }()
	return p
}

// connect does the same and exchanges SETTINGS.
func connect(t *testing.T, cfg Config, settings ...http2.Setting) *peer {
	t.Helper()
	p := dial(t, cfg)
	p.read()
	p.write([]byte(clientPreface))
	p.must(p.fr.WriteSettings(settings...))
	p.must(p.fr.WriteSettingsAck())
	p.want(
		"SETTINGS 4096 1000 65535 16384 8000",
		fmt.Sprintf("WINDOW_UPDATE 0 %d", connWindowBytes-initialWindowBytes),
		"SETTINGS ACK",
	)
	return p
}

// read reads all that comes until the connection ends.
func (p *peer) read() {
	dec := hpack.NewDecoder(4096, nil)
	var fields []string
	dec.SetEmitFunc(func(f hpack.HeaderField) { fields = append(fields, f.Name+"="+f.Value) })
	go func() {
		for !p.deaf.Load() {
			f, err := p.fr.ReadFrame()
			line := ""
			switch f := f.(type) {
			case *http2.HeadersFrame:
				fields = nil
				if _, err := dec.Write(f.HeaderBlockFragment()); err != nil {
					line = err.Error() + " "
				}
				line += fmt.Sprintf("HEADERS %d%s %v", f.StreamID, end(f.StreamEnded()), fields)
			case *http2.ContinuationFrame:
				line = fmt.Sprintf("CONTINUATION %d", f.StreamID)
			case *http2.DataFrame:
				p.mu.Lock()
				p.data += len(f.Data())
				p.mu.Unlock()
				line = fmt.Sprintf("DATA %d%s %d", f.StreamID, end(f.StreamEnded()), len(f.Data()))
			case *http2.SettingsFrame:
				line = "SETTINGS"
				if f.IsAck() {
					line += " ACK"
				}
				for i := range f.NumSettings() {
					line += fmt.Sprintf(" %d", f.Setting(i).Val)
				}
			case *http2.RSTStreamFrame:
				line = fmt.Sprintf("RST_STREAM %d %v", f.StreamID, f.ErrCode)
			case *http2.PingFrame:
				line = "PING"
				if f.IsAck() {
					line += " ACK"
				}
			case *http2.GoAwayFrame:
				line = fmt.Sprintf("GOAWAY %d %v %s", f.LastStreamID, f.ErrCode, f.DebugData())
			case *http2.WindowUpdateFrame:
				line = fmt.Sprintf("WINDOW_UPDATE %d %d", f.StreamID, f.Increment)
			}
			if err != nil {
				line = "closed"
				if !errors.Is(err, io.EOF) {
					line = "closed: " + err.Error()
				}
			}
			p.mu.Lock()
			p.seen = append(p.seen, line)
			p.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
}

func end(b bool) string {
	if b {
		return " END_STREAM"
	}
	return ""
}

// received waits for quiet and returns what came since the last call.
func (p *peer) received() []string {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.seen
	p.seen = nil
	return s
}

// want fails the test unless exactly these frames came since the last call.
func (p *peer) want(want ...string) {
	p.t.Helper()
	if diff := cmp.Diff(want, p.received()); diff != "" {
		p.t.Errorf("received (-want +got):\n%s", diff)
	}
}

// must fails the test if sending failed.
func (p *peer) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("sending: %v", err)
	}
}

// write sends raw bytes.
func (p *peer) write(b []byte) {
	p.t.Helper()
	_, err := p.nc.Write(b)
	p.must(err)
}

// fields encodes a header block from names and values in turn.
func (p *peer) fields(kv ...string) []byte {
	p.t.Helper()
	p.block.Reset()
	for i := 0; i < len(kv); i += 2 {
		p.must(p.enc.WriteField(hpack.HeaderField{Name: kv[i], Value: kv[i+1]}))
	}
	return bytes.Clone(p.block.Bytes())
}

// post is the pseudo-headers of a request, and more fields.
func post(more ...string) []string {
	return append([]string{":method", "POST", ":scheme", "https", ":path", "/3/device/00", ":authority", "localhost"}, more...)
}

// headers sends a HEADERS frame.
func (p *peer) headers(id uint32, endStream bool, kv ...string) {
	p.t.Helper()
	p.must(p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: p.fields(kv...), EndStream: endStream, EndHeaders: true}))
}

// request sends a request.
func (p *peer) request(id uint32, body string) {
	p.t.Helper()
	p.headers(id, body == "", post()...)
	if body != "" {
		p.must(p.fr.WriteData(id, true, []byte(body)))
	}
}

// ended waits for Serve and returns what it returned.
func (p *peer) ended() error {
	p.t.Helper()
	select {
	case err := <-p.result:
		p.cancel()
		return err
	case <-time.After(time.Minute):
		p.t.Fatal("Serve has not returned after a minute")
		return nil
	}
}

// close closes this side and waits for Serve, which must return nil.
func (p *peer) close() {
	p.t.Helper()
	if err := p.nc.Close(); err != nil {
		p.t.Errorf("closing: %v", err)
	}
	if err := p.ended(); err != nil {
		p.t.Errorf("Serve: got %v, want nil", err)
	}
}

// abandon closes this side, if Serve has not returned yet, answers what h holds,
// and waits for Serve.
func (p *peer) abandon(h *held) {
	p.t.Helper()
	if err := p.nc.Close(); err != nil {
		p.t.Errorf("closing: %v", err)
	}
	p.cancel()
	synctest.Wait()
	for _, r := range h.take() {
		r.Respond(200, nil, nil)
	}
	select {
	case err := <-p.result:
		p.t.Logf("Serve: %v", err)
	case <-time.After(time.Minute):
	}
}

// wantGoAway fails the test unless a GOAWAY with code was the last frame, and
// Serve returned the same code.
func (p *peer) wantGoAway(code http2.ErrCode) {
	p.t.Helper()
	got := p.received()
	last := ""
	for _, line := range got {
		var id uint32
		var word string
		if n, err := fmt.Sscanf(line, "GOAWAY %d %s", &id, &word); n == 2 && err == nil {
			last = word
		}
	}
	if last != code.String() {
		p.t.Errorf("GOAWAY: got %q, want %v; received %q", last, code, got[max(0, len(got)-5):])
	}
	var ce *ConnError
	if err := p.ended(); !errors.As(err, &ce) || ce.Code != code {
		p.t.Errorf("Serve: got %v, want %v", err, code)
	}
	if err := p.nc.Close(); err != nil {
		p.t.Errorf("closing: %v", err)
	}
}
