package scripted_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnstest/scripted"
)

// peer is a client that speaks in frames, so that it can do what no library does.
type peer struct {
	t       *testing.T
	nc      net.Conn
	out     *bufio.Writer // so that what is sent at once arrives at once
	framer  *http2.Framer
	block   bytes.Buffer
	encoder *hpack.Encoder
	next    uint32
}

// newPeer connects to g, and sends the preface and SETTINGS.
func newPeer(t *testing.T, g *scripted.Gateway, settings ...http2.Setting) *peer {
	t.Helper()
	nc, err := dial(t.Context(), g)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	p := &peer{t: t, nc: nc, out: bufio.NewWriterSize(nc, 1<<20), next: 1}
	p.framer = http2.NewFramer(p.out, nc)
	p.framer.AllowIllegalWrites = true
	p.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	p.encoder = hpack.NewEncoder(&p.block)
	if _, err := io.WriteString(p.out, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	p.must(p.framer.WriteSettings(settings...))
	return p
}

func (p *peer) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// pushFields are those of a push to a device token.
func pushFields(to apns.DeviceToken, length int) []hpack.HeaderField {
	return []hpack.HeaderField{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: "https"},
		{Name: ":path", Value: "/3/device/" + hex.EncodeToString([]byte(to))},
		{Name: ":authority", Value: "api.push.apple.com"},
		{Name: "apns-topic", Value: topic},
		{Name: "content-length", Value: strconv.Itoa(length)},
	}
}

// headers begins a stream with the fields.
func (p *peer) headers(fields []hpack.HeaderField, end bool) (id uint32) {
	p.t.Helper()
	id, p.next = p.next, p.next+2
	p.block.Reset()
	for _, f := range fields {
		p.must(p.encoder.WriteField(f))
	}
	p.must(p.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: id, BlockFragment: p.block.Bytes(), EndHeaders: true, EndStream: end,
	}))
	return id
}

// push sends a push in whole.
func (p *peer) push() (id uint32) {
	p.t.Helper()
	id = p.headers(pushFields(phone, len(payload)), false)
	p.must(p.framer.WriteData(id, true, []byte(payload)))
	return id
}

// seen sends what there is to send, and returns what was heard until there is nothing more for the time being: a word
// for each frame, and the error that ended it. It acknowledges SETTINGS.
func (p *peer) seen() (words []string) {
	p.t.Helper()
	for {
		_ = p.out.Flush() // where the connection has ended, reading shows it
		p.must(p.nc.SetReadDeadline(time.Now().Add(time.Millisecond)))
		f, err := p.framer.ReadFrame()
		if err != nil {
			if late, ok := err.(net.Error); !ok || !late.Timeout() { //nolint:errorlint // as it comes from the connection
				words = append(words, "ended")
			}
			return words
		}
		words = append(words, word(f))
		if s, ok := f.(*http2.SettingsFrame); ok && !s.IsAck() {
			_ = p.framer.WriteSettingsAck()
		}
	}
}

// word says a frame.
func word(f http2.Frame) string {
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if f.IsAck() {
			return "ack"
		}
		limit, _ := f.Value(http2.SettingMaxConcurrentStreams)
		return fmt.Sprintf("settings %d", limit)
	case *http2.MetaHeadersFrame:
		return fmt.Sprintf("%d:%s%s", f.StreamID, f.PseudoValue("status"), end(f.StreamEnded()))
	case *http2.DataFrame:
		return fmt.Sprintf("%d:%s%s", f.StreamID, f.Data(), end(f.StreamEnded()))
	case *http2.RSTStreamFrame:
		return fmt.Sprintf("%d:%v", f.StreamID, f.ErrCode)
	case *http2.GoAwayFrame:
		return fmt.Sprintf("goaway %d %v %s", f.LastStreamID, f.ErrCode, f.DebugData())
	case *http2.PingFrame:
		if f.IsAck() {
			return "pong"
		}
		return fmt.Sprintf("ping %d", f.Data[7])
	case *http2.WindowUpdateFrame:
		return fmt.Sprintf("%d:+%d", f.StreamID, f.Increment)
	}
	return f.Header().Type.String()
}

func end(ended bool) string {
	if ended {
		return "."
	}
	return ""
}

// inFrames runs a test in virtual time with a client that speaks in frames. What it
// does against the rules does not fail the test.
func inFrames(t *testing.T, f func(t peerScene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		g := scripted.Config{Lenient: true}.New(t)
		f(peerScene{t, g})
	})
}

// peerScene is a test of inFrames.
type peerScene struct {
	*testing.T
	g *scripted.Gateway
}
