package h2

import (
	"cmp"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
)

// TestFloods sends without end what a budget bounds. The end must come after a
// number of frames that is neither too small for a real client nor large.
func TestFloods(t *testing.T) {
	tests := []struct {
		name     string
		min, max int // frames until the end
		held     bool
		code     http2.ErrCode // ENHANCE_YOUR_CALM if it is zero
		send     func(p *peer, i int) error
	}{
		{"rapid reset", 2000, 2100, true, 0, func(p *peer, i int) error {
			id := uint32(2*i + 1)
			return errors.Join(
				p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: p.fields(post()...), EndStream: true, EndHeaders: true}),
				p.fr.WriteRSTStream(id, http2.ErrCodeCancel))
		}},
		{"resets that the peer provokes", 2000, 2100, false, 0, func(p *peer, i int) error {
			id := uint32(2*i + 1)
			return errors.Join(
				p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: p.fields(post()...), EndHeaders: true}),
				p.fr.WriteRawFrame(http2.FrameWindowUpdate, 0, id, make([]byte, 4)))
		}},
		{"malformed requests", 2000, 2100, false, 0, func(p *peer, i int) error {
			return p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: p.fields("a", "b"), EndStream: true, EndHeaders: true})
		}},
		{"headers too large", 2000, 2100, false, 0, func(p *peer, i int) error {
			return p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: manyFields, EndStream: true, EndHeaders: true})
		}},
		{"streams above the limit", 2000, 3100, true, http2.ErrCodeRefusedStream, func(p *peer, i int) error {
			return p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: p.fields(post()...), EndHeaders: true})
		}},
		{"PING", 100, 300, false, 0, func(p *peer, _ int) error { return p.fr.WritePing(false, [8]byte{}) }},
		{"SETTINGS", 50, 200, false, 0, func(p *peer, i int) error { return p.fr.WriteSettings(initialWindow(uint32(i))) }},
		{"SETTINGS ACK", 50, 200, false, 0, func(p *peer, _ int) error { return p.fr.WriteSettingsAck() }},
		{"PRIORITY", 9000, 11000, false, 0, func(p *peer, _ int) error { return p.fr.WritePriority(1, http2.PriorityParam{}) }},
		{"WINDOW_UPDATE", 9000, 11000, false, 0, func(p *peer, _ int) error { return p.fr.WriteWindowUpdate(0, 1) }},
		{"unknown frames", 9000, 11000, false, 0, func(p *peer, _ int) error { return p.fr.WriteRawFrame(0x77, 0, 0, nil) }},
		{"GOAWAY", 9000, 11000, true, 0, func(p *peer, i int) error {
			if i == 0 {
				p.headers(1, true, post()...) // or the connection would end in good order
			}
			return p.fr.WriteGoAway(0, http2.ErrCodeNo, nil)
		}},
		{"empty DATA", 9000, 11000, false, 0, func(p *peer, i int) error {
			if i == 0 {
				p.headers(1, false, post()...)
			}
			return p.fr.WriteData(1, false, nil)
		}},
		{"RST_STREAM on a closed stream", 9000, 11000, false, 0, func(p *peer, i int) error {
			if i == 0 {
				p.headers(1, true, post()...)
			}
			return p.fr.WriteRSTStream(1, http2.ErrCodeCancel)
		}},
		{"DATA on a stream that was reset", 9000, 11000, false, 0, func(p *peer, i int) error {
			if i == 0 {
				p.headers(1, false, post("Bad", "")...)
			}
			return p.fr.WriteData(1, true, nil)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &held{}
				cfg := Config{Handler: echo}
				if tt.held {
					cfg.Handler = h
				}
				p := connect(t, cfg)
				n := 0
				for ; n < 20000; n++ {
					if n%50 == 0 {
						synctest.Wait()
					}
					if err := tt.send(p, n); err != nil {
						break
					}
					p.c.mu.Lock()
					over := p.c.ended
					p.c.mu.Unlock()
					if over {
						break
					}
				}
				if n < tt.min || n > tt.max {
					t.Errorf("frames until the end: got %d, want %d to %d", n, tt.min, tt.max)
				}
				rs := h.take()
				if len(rs) > 1000 {
					t.Errorf("requests in progress: got %d, want at most 1000", len(rs))
				}
				p.wantGoAway(cmp.Or(tt.code, http2.ErrCodeEnhanceYourCalm))
				for _, r := range rs {
					r.Respond(200, nil, nil)
				}
			})
		})
	}
}

// manyFields is a block of one byte a field.
var manyFields = func() []byte {
	b := make([]byte, maxHeaderFields+1)
	for i := range b {
		b[i] = 0x82
	}
	return b
}()

// Requests whose streams were reset still count while the handler has them.
func TestResetBuysNoWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &held{}
		p := connect(t, Config{Handler: h})
		p.c.SetMaxConcurrentStreams(10)
		p.must(p.fr.WriteSettingsAck())
		p.want(settingsLine(10))
		var want []string
		for i := range uint32(15) {
			p.request(2*i+1, "")
			p.must(p.fr.WriteRSTStream(2*i+1, http2.ErrCodeCancel))
			if i >= 10 {
				want = append(want, fmt.Sprintf("RST_STREAM %d REFUSED_STREAM", 2*i+1))
			}
		}
		p.want(want...)
		rs := h.take()
		if len(rs) != 10 {
			t.Errorf("requests in progress: got %d, want 10", len(rs))
		}
		for _, r := range rs {
			r.Respond(200, nil, nil)
		}
		p.request(101, "")
		p.want()
		for _, r := range h.take() {
			r.Respond(200, nil, nil)
		}
		p.want("HEADERS 101 END_STREAM [:status=200]")
		p.close()
	})
}

// What real clients do for ever is not abuse.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, Config{Handler: reply(40)})
		for i := range uint32(5000) {
			id := 2*i + 1
			p.must(p.fr.WritePriority(id, http2.PriorityParam{Weight: 1}))
			p.request(id, "x")
			p.must(p.fr.WriteWindowUpdate(id, 40))
			p.must(p.fr.WriteWindowUpdate(0, 40))
			if i%100 == 0 {
				p.must(p.fr.WritePing(false, [8]byte{}))
				time.Sleep(500 * time.Millisecond)
				got := p.received()
				if last := got[len(got)-1]; last != "PING ACK" {
					t.Fatalf("request %d: received %q", i, last)
				}
			}
		}
		p.received()
		p.close()
	})
}

// A client gives up all it has in flight at once, and goes on.
func TestAllGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &held{}
		p := connect(t, Config{Handler: h})
		for i := range uint32(1000) {
			p.request(2*i+1, "")
		}
		for i := range uint32(1000) {
			p.must(p.fr.WriteRSTStream(2*i+1, http2.ErrCodeCancel))
		}
		p.want()
		for _, r := range h.take() {
			r.Respond(200, nil, nil)
		}
		p.request(2001, "")
		p.want()
		for _, r := range h.take() {
			r.Respond(200, nil, nil)
		}
		p.want("HEADERS 2001 END_STREAM [:status=200]")
		p.close()
	})
}
