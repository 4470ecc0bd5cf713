package conformance

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// peer is a provider made of frames, which does also what a well-behaved one
// would not. It belongs to one goroutine; the end of its context ends it.
type peer struct {
	conn  *tls.Conn
	stop  func() bool
	fr    *http2.Framer
	enc   *hpack.Encoder
	block bytes.Buffer
	next  uint32 // stream

	answers  map[uint32]*answer
	settings map[http2.SettingID]uint32 // all that the gateway told
	told     int                        // SETTINGS frames
	goAway   *goAway                    // the last one
	pongs    int
	window   int64 // of the connection, to the gateway
	windows  map[uint32]int64
	initial  int64
	ended    error // why nothing more can be read
}

// goAway is a GOAWAY frame.
type goAway struct {
	code  http2.ErrCode
	last  uint32
	debug string
}

// answer is what came back on a stream.
type answer struct {
	fields []hpack.HeaderField
	body   []byte
	frames []string // types, and whether they ended the stream
	reset  string   // the code of RST_STREAM
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

// dial does TCP and TLS.
func (t *Target) dial(ctx context.Context, address string, cfg *tls.Config) (*tls.Conn, error) {
	dial := t.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	raw, err := dial(ctx, "tcp", address)
	if err != nil {
		return nil, &UnreachableError{Address: address, Err: err}
	}
	cfg.RootCAs = t.Roots
	if cfg.ServerName = t.ServerName; cfg.ServerName == "" {
		if cfg.ServerName, _, err = net.SplitHostPort(address); err != nil {
			return nil, errors.Join(err, raw.Close())
		}
	}
	conn := tls.Client(raw, cfg)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	return conn, nil
}

// UnreachableError says that nothing answers at an address.
type UnreachableError struct {
	Address string
	Err     error
}

// Error names the address and the cause.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("nothing answers at %s: %v", e.Address, e.Err)
}

// Unwrap returns Err.
func (e *UnreachableError) Unwrap() error { return e.Err }

// maxHeaderList bounds the headers of an answer.
const maxHeaderList = 64 << 10

// newPeer begins HTTP/2 on a connection.
func newPeer(ctx context.Context, conn *tls.Conn) (*peer, error) {
	p := &peer{
		conn: conn, fr: http2.NewFramer(conn, conn), next: 1, answers: make(map[uint32]*answer),
		settings: make(map[http2.SettingID]uint32), window: 65535, initial: 65535, windows: make(map[uint32]int64),
	}
	p.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	p.fr.MaxHeaderListSize = maxHeaderList
	p.fr.AllowIllegalWrites = true
	p.enc = hpack.NewEncoder(&p.block)
	// What is below is closed: tls.Conn.Close waits for a write that is stuck.
	p.stop = context.AfterFunc(ctx, func() { _ = conn.NetConn().Close() })
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		return p, err
	}
	return p, p.fr.WriteSettings()
}

func (p *peer) close() {
	p.stop()
	_ = p.conn.NetConn().Close() // nothing is in it that was to arrive
}

// read reads a frame and notes what it says. Its error is the end of reading.
func (p *peer) read() error {
	if p.ended != nil {
		return p.ended
	}
	f, err := p.fr.ReadFrame()
	if err != nil {
		if _, ok := errors.AsType[http2.StreamError](err); ok {
			return nil
		}
		p.ended = err
		return err
	}
	switch f := f.(type) {
	case *http2.SettingsFrame:
		return p.onSettings(f)
	case *http2.PingFrame:
		if f.IsAck() {
			p.pongs++
			return nil
		}
		return p.fr.WritePing(true, f.Data)
	case *http2.GoAwayFrame:
		p.goAway = &goAway{f.ErrCode, f.LastStreamID, string(f.DebugData())}
	case *http2.WindowUpdateFrame:
		if f.StreamID == 0 {
			p.window += int64(f.Increment)
		} else {
			p.windows[f.StreamID] += int64(f.Increment)
		}
	case *http2.MetaHeadersFrame:
		p.note(f.StreamID, "HEADERS", f.StreamEnded()).fields = f.Fields
	case *http2.DataFrame:
		a := p.note(f.StreamID, "DATA", f.StreamEnded())
		a.body = append(a.body, f.Data()...)
		if f.Length > 0 {
			return p.fr.WriteWindowUpdate(0, f.Length)
		}
	case *http2.RSTStreamFrame:
		a := p.note(f.StreamID, "RST_STREAM", true)
		a.reset = f.ErrCode.String()
	}
	return nil
}

func (p *peer) onSettings(f *http2.SettingsFrame) error {
	if f.IsAck() {
		return nil
	}
	p.told++
	err := f.ForeachSetting(func(s http2.Setting) error {
		p.settings[s.ID] = s.Val
		if s.ID == http2.SettingInitialWindowSize {
			for id := range p.windows {
				p.windows[id] += int64(s.Val) - p.initial
			}
			p.initial = int64(s.Val)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return p.fr.WriteSettingsAck()
}

func (p *peer) note(stream uint32, frame string, ends bool) *answer {
	a := p.answer(stream)
	if ends {
		frame += " END_STREAM"
	}
	a.frames = append(a.frames, frame)
	a.ended = a.ended || ends
	return a
}

func (p *peer) answer(stream uint32) *answer {
	a := p.answers[stream]
	if a == nil {
		a = new(answer)
		p.answers[stream] = a
	}
	return a
}

// hear reads until the gateway's first SETTINGS.
func (p *peer) hear() error {
	for p.told == 0 {
		if err := p.read(); err != nil {
			return err
		}
	}
	return nil
}

// settle has all be read that the gateway said before it answers a PING.
func (p *peer) settle() error {
	if err := p.fr.WritePing(false, [8]byte{'s', 'e', 't', 't', 'l', 'e'}); err != nil {
		return err
	}
	for n := p.pongs; p.pongs == n; {
		if err := p.read(); err != nil {
			return err
		}
	}
	return nil
}

// await reads until a stream has ended, or nothing more comes. Above the last
// stream of a GOAWAY nothing will.
func (p *peer) await(stream uint32) *answer {
	a := p.answer(stream)
	for !a.ended {
		if p.goAway != nil && p.goAway.last < stream {
			break
		}
		if p.read() != nil {
			break
		}
	}
	return a
}

// blockOf encodes the headers of a request, until the next call.
func (p *peer) blockOf(q *request, how string) ([]byte, error) {
	p.block.Reset()
	switch how {
	case "resized":
		p.enc.SetMaxDynamicTableSize(0)
		p.enc.SetMaxDynamicTableSize(1024)
	case "plain":
		return plainBlock(q), nil
	}
	for _, f := range q.all() {
		f.Sensitive = how == "never indexed"
		if err := p.enc.WriteField(f); err != nil {
			return nil, err
		}
	}
	return p.block.Bytes(), nil
}

// plainBlock encodes headers as literals that are not indexed and not
// compressed, the plainest there is (RFC 7541, 6.2.2).
func plainBlock(q *request) (b []byte) {
	text := func(s string) {
		n := uint64(len(s))
		if n < 127 {
			b = append(b, byte(n))
		} else {
			b = append(b, 127)
			for n -= 127; n >= 128; n >>= 7 {
				b = append(b, byte(n&127|128))
			}
			b = append(b, byte(n))
		}
		b = append(b, s...)
	}
	for _, f := range q.all() {
		b = append(b, 0)
		text(f.Name)
		text(f.Value)
	}
	return b
}

// send sends a request and returns its stream.
func (p *peer) send(q *request, s *Step) (uint32, error) {
	stream := p.next
	p.next += 2
	p.windows[stream] = p.initial
	block, err := p.blockOf(q, s.HPACK)
	if err != nil {
		return stream, err
	}
	ends := len(q.body) == 0 && !s.Open && !s.Trailers
	if err := p.headers(stream, block, ends, s.Blocks); err != nil || s.Open {
		return stream, err
	}
	return stream, p.finish(stream, q.body, s)
}

// headers sends a header block, in pieces if size is not zero.
func (p *peer) headers(stream uint32, block []byte, ends bool, size int) error {
	piece := block
	if size > 0 && size < len(block) {
		piece = block[:size]
	}
	block = block[len(piece):]
	err := p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: piece, EndStream: ends, EndHeaders: len(block) == 0})
	for len(block) > 0 && err == nil {
		piece = block[:min(size, len(block))]
		block = block[len(piece):]
		err = p.fr.WriteContinuation(stream, len(block) == 0, piece)
	}
	return err
}

// maxFrame is how long a DATA frame is at most.
const maxFrame = 16384

// finish sends the body of a request, as far as the gateway's windows let it.
func (p *peer) finish(stream uint32, body []byte, s *Step) error {
	size := maxFrame - 256
	if s.Pieces > 0 {
		size = s.Pieces
	}
	for len(body) > 0 {
		n := min(size, len(body))
		for p.window < int64(n+256) || p.windows[stream] < int64(n+256) {
			if p.answer(stream).ended {
				return nil
			}
			if err := p.read(); err != nil {
				return nil //nolint:nilerr // the outcome tells of it
			}
		}
		piece := body[:n]
		body = body[n:]
		ends := len(body) == 0 && !s.Trailers
		var err error
		if len(body) == 0 && s.Padding > 0 {
			err = p.fr.WriteDataPadded(stream, ends, piece, make([]byte, s.Padding))
		} else {
			err = p.fr.WriteData(stream, ends, piece)
		}
		if err != nil {
			return err
		}
		p.window -= int64(n)
		p.windows[stream] -= int64(n)
	}
	if !s.Trailers {
		return nil
	}
	p.block.Reset()
	if err := p.enc.WriteField(hpack.HeaderField{Name: "x-checksum", Value: "1"}); err != nil {
		return err
	}
	return p.headers(stream, p.block.Bytes(), true, 0)
}

// frame sends a frame as it is described.
func (p *peer) frame(f Frame, q *request, how string) error {
	stream := p.next - 2
	switch f.Stream {
	case "new":
		stream = p.next
		p.next += 2
	case "last":
	default:
		n, err := strconv.ParseUint(f.Stream, 10, 32)
		if err != nil {
			return fmt.Errorf("stream %q", f.Stream)
		}
		stream = uint32(n)
	}
	data, err := hex.DecodeString(strings.ReplaceAll(f.Data, " ", ""))
	if err != nil {
		return err
	}
	if f.Block {
		block, err := p.blockOf(q, how)
		if err != nil {
			return err
		}
		data = append(data, block...)
	}
	if f.Length == 0 {
		return p.fr.WriteRawFrame(http2.FrameType(f.Type), http2.Flags(f.Flags), stream, data)
	}
	head := []byte{
		byte(f.Length >> 16), byte(f.Length >> 8), byte(f.Length), f.Type, f.Flags,
		byte(stream >> 24), byte(stream >> 16), byte(stream >> 8), byte(stream),
	}
	_, err = p.conn.Write(append(head, data...))
	return err
}
