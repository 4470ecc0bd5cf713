package h2

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/net/http2"
)

// TestStreamRules breaks a rule on stream 1 that ends this stream alone.
func TestStreamRules(t *testing.T) {
	tests := []struct {
		name string
		code http2.ErrCode
		send func(p *peer)
	}{
		{"no method", http2.ErrCodeProtocol, func(p *peer) { p.headers(1, true, post()[2:]...) }},
		{"no scheme", http2.ErrCodeProtocol, func(p *peer) { p.headers(1, true, ":method", "GET", ":path", "/") }},
		{"no path", http2.ErrCodeProtocol, func(p *peer) { p.headers(1, true, ":method", "GET", ":scheme", "https") }},
		{"empty path", http2.ErrCodeProtocol, func(p *peer) { p.headers(1, true, ":method", "GET", ":scheme", "https", ":path", "") }},
		{"CONNECT with a path", http2.ErrCodeProtocol, func(p *peer) {
			p.headers(1, true, ":method", "CONNECT", ":authority", "h", ":path", "/")
		}},
		{"method twice", http2.ErrCodeProtocol, func(p *peer) { p.headers(1, true, append([]string{":method", "GET"}, post()...)...) }},
		{"path twice", http2.ErrCodeProtocol, func(p *peer) { p.headers(1, true, append([]string{":path", "/"}, post()...)...) }},
		{"pseudo-header after a field", http2.ErrCodeProtocol, func(p *peer) { p.headers(1, true, append([]string{"a", "b"}, post()...)...) }},
		{"unknown pseudo-header", http2.ErrCodeProtocol, func(p *peer) { p.headers(1, true, append([]string{":status", "200"}, post()...)...) }},
		{"upper case", http2.ErrCodeProtocol, func(p *peer) { p.headers(1, true, post("Apns-Topic", "x")...) }},
		{"empty name", http2.ErrCodeProtocol, func(p *peer) { p.headers(1, true, post("", "x")...) }},
		{"space in a name", http2.ErrCodeProtocol, func(p *peer) { p.headers(1, true, post("a b", "x")...) }},
		{"line end in a value", http2.ErrCodeProtocol, func(p *peer) { p.headers(1, true, post("a", "x\r\ny")...) }},
		{"NUL in a path", http2.ErrCodeProtocol, func(p *peer) { p.headers(1, true, ":method", "GET", ":scheme", "https", ":path", "/\x00") }},
		{"space around a value", http2.ErrCodeProtocol, func(p *peer) { p.headers(1, true, post("a", "x ")...) }},
		{"connection", http2.ErrCodeProtocol, func(p *peer) { p.headers(1, true, post("connection", "close")...) }},
		{"transfer-encoding", http2.ErrCodeProtocol, func(p *peer) { p.headers(1, true, post("transfer-encoding", "chunked")...) }},
		{"te", http2.ErrCodeProtocol, func(p *peer) { p.headers(1, true, post("te", "gzip")...) }},
		{"content-length without a body", http2.ErrCodeProtocol, func(p *peer) { p.headers(1, true, post("content-length", "3")...) }},
		{"content-length too small", http2.ErrCodeProtocol, func(p *peer) {
			p.headers(1, false, post("content-length", "3")...)
			p.must(p.fr.WriteData(1, false, []byte("abcd")))
		}},
		{"content-length too large", http2.ErrCodeProtocol, func(p *peer) {
			p.headers(1, false, post("content-length", "3")...)
			p.must(p.fr.WriteData(1, true, []byte("ab")))
		}},
		{"content-length not a number", http2.ErrCodeProtocol, func(p *peer) { p.headers(1, true, post("content-length", "+0")...) }},
		{"content-length twice", http2.ErrCodeProtocol, func(p *peer) { p.headers(1, true, post("content-length", "0", "content-length", "1")...) }},
		{"pseudo-header in trailers", http2.ErrCodeProtocol, func(p *peer) {
			p.headers(1, false, post()...)
			p.headers(1, true, ":path", "/")
		}},
		{"trailers that end nothing", http2.ErrCodeProtocol, func(p *peer) {
			p.headers(1, false, post()...)
			p.headers(1, false, "a", "b")
		}},
		{"stream that depends on itself", http2.ErrCodeProtocol, func(p *peer) {
			p.must(p.fr.WriteHeaders(http2.HeadersFrameParam{
				StreamID: 1, BlockFragment: p.fields(post()...), EndHeaders: true, EndStream: true,
				Priority: http2.PriorityParam{StreamDep: 1},
			}))
		}},
		{"DATA after the end", http2.ErrCodeStreamClosed, func(p *peer) {
			p.headers(1, true, post()...)
			p.must(p.fr.WriteData(1, true, []byte("x")))
		}},
		{"HEADERS after the end", http2.ErrCodeStreamClosed, func(p *peer) {
			p.headers(1, true, post()...)
			p.headers(1, true, "a", "b")
		}},
		{"WINDOW_UPDATE of zero", http2.ErrCodeProtocol, func(p *peer) {
			p.headers(1, false, post()...)
			p.write(appendWindowUpdate(nil, 1, 0))
		}},
		{"window too large", http2.ErrCodeFlowControl, func(p *peer) {
			p.headers(1, false, post()...)
			p.must(p.fr.WriteWindowUpdate(1, maxWindowBytes))
		}},
		{"more DATA than the window", http2.ErrCodeFlowControl, func(p *peer) {
			p.c.mu.Lock()
			initial := p.c.streams.find(1)
			p.c.mu.Unlock()
			if initial != nil {
				p.t.Error("stream 1 is open already")
			}
			p.headers(1, false, post()...)
			synctest.Wait()
			p.c.mu.Lock()
			p.c.streams.find(1).recvWindow = 10 // as if the peer had not been granted more
			p.c.mu.Unlock()
			p.must(p.fr.WriteData(1, true, make([]byte, 11)))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &held{}
				p := connect(t, Config{Handler: h})
				tt.send(p)
				p.want("RST_STREAM 1 " + tt.code.String())
				for _, r := range h.take() {
					r.Respond(200, nil, nil)
				}
				// The connection lives, and the header decoder is in step.
				p.request(3, "x")
				p.want()
				rs := h.take()
				if len(rs) != 1 || rs[0].StreamID() != 3 {
					t.Fatalf("requests after the error: got %d, want stream 3", len(rs))
				}
				rs[0].Respond(200, nil, nil)
				p.want("HEADERS 3 END_STREAM [:status=200]")
				p.close()
			})
		})
	}
}

// TestConnRules breaks a rule that ends the connection.
func TestConnRules(t *testing.T) {
	raw := func(n int, typ http2.FrameType, f http2.Flags, id uint32) func(p *peer) {
		return func(p *peer) { p.write(append(appendFrameHeader(nil, n, typ, f, id), make([]byte, n)...)) }
	}
	tests := []struct {
		name string
		code http2.ErrCode
		send func(p *peer)
	}{
		{"even stream", http2.ErrCodeProtocol, func(p *peer) { p.headers(2, true, post()...) }},
		{"HEADERS on stream 0", http2.ErrCodeProtocol, raw(0, http2.FrameHeaders, http2.FlagHeadersEndHeaders, 0)},
		{"lower stream", http2.ErrCodeProtocol, func(p *peer) {
			p.headers(5, true, post()...)
			p.headers(3, true, post()...)
		}},
		{"HEADERS on a closed stream", http2.ErrCodeStreamClosed, func(p *peer) {
			p.headers(1, true, post()...)
			p.headers(1, true, post()...)
		}},
		{"HEADERS after RST_STREAM", http2.ErrCodeStreamClosed, func(p *peer) {
			p.headers(1, false, post()...)
			p.must(p.fr.WriteRSTStream(1, http2.ErrCodeCancel))
			p.headers(1, true, post()...)
		}},
		{"DATA on an idle stream", http2.ErrCodeProtocol, func(p *peer) { p.must(p.fr.WriteData(1, true, nil)) }},
		{"DATA on stream 0", http2.ErrCodeProtocol, raw(0, http2.FrameData, 0, 0)},
		{"DATA on an even stream", http2.ErrCodeProtocol, func(p *peer) {
			p.headers(3, true, post()...)
			p.must(p.fr.WriteData(2, true, nil))
		}},
		{"DATA without its pad length", http2.ErrCodeFrameSize, raw(0, http2.FrameData, http2.FlagDataPadded, 1)},
		{"DATA with too much padding", http2.ErrCodeProtocol, func(p *peer) {
			p.headers(1, false, post()...)
			p.write(append(appendFrameHeader(nil, 1, http2.FrameData, http2.FlagDataPadded, 1), 1))
		}},
		{"HEADERS without its priority", http2.ErrCodeFrameSize, raw(4, http2.FrameHeaders, http2.FlagHeadersPriority|http2.FlagHeadersEndHeaders, 1)},
		{"HEADERS with too much padding", http2.ErrCodeProtocol, func(p *peer) {
			p.write(append(appendFrameHeader(nil, 1, http2.FrameHeaders, http2.FlagHeadersPadded|http2.FlagHeadersEndHeaders, 1), 1))
		}},
		{"RST_STREAM on an idle stream", http2.ErrCodeProtocol, func(p *peer) { p.must(p.fr.WriteRSTStream(1, http2.ErrCodeCancel)) }},
		{"RST_STREAM of a wrong size", http2.ErrCodeFrameSize, raw(3, http2.FrameRSTStream, 0, 1)},
		{"WINDOW_UPDATE on an idle stream", http2.ErrCodeProtocol, func(p *peer) { p.must(p.fr.WriteWindowUpdate(1, 1)) }},
		{"WINDOW_UPDATE of zero", http2.ErrCodeProtocol, raw(4, http2.FrameWindowUpdate, 0, 0)},
		{"window too large", http2.ErrCodeFlowControl, func(p *peer) { p.must(p.fr.WriteWindowUpdate(0, maxWindowBytes)) }},
		{"window of a stream too large by SETTINGS", http2.ErrCodeFlowControl, func(p *peer) {
			p.headers(1, false, post()...)
			p.must(p.fr.WriteWindowUpdate(1, maxWindowBytes-initialWindowBytes))
			p.must(p.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: maxWindowBytes}))
		}},
		{"more DATA than the window of the connection", http2.ErrCodeFlowControl, func(p *peer) {
			p.headers(1, false, post()...)
			synctest.Wait()
			p.c.mu.Lock()
			p.c.recvWindow = 10
			p.c.mu.Unlock()
			p.must(p.fr.WriteData(1, true, make([]byte, 11)))
		}},
		{"SETTINGS on a stream", http2.ErrCodeProtocol, raw(0, http2.FrameSettings, 0, 1)},
		{"SETTINGS of a wrong size", http2.ErrCodeFrameSize, raw(5, http2.FrameSettings, 0, 0)},
		{"SETTINGS ACK with a payload", http2.ErrCodeFrameSize, raw(6, http2.FrameSettings, http2.FlagSettingsAck, 0)},
		{"initial window too large", http2.ErrCodeFlowControl, func(p *peer) {
			p.must(p.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 31}))
		}},
		{"MAX_FRAME_SIZE too small", http2.ErrCodeProtocol, func(p *peer) {
			p.must(p.fr.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 16383}))
		}},
		{"ENABLE_PUSH not 0 or 1", http2.ErrCodeProtocol, func(p *peer) {
			p.must(p.fr.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 2}))
		}},
		{"PING on a stream", http2.ErrCodeProtocol, raw(8, http2.FramePing, 0, 1)},
		{"PING of a wrong size", http2.ErrCodeFrameSize, raw(7, http2.FramePing, 0, 0)},
		{"GOAWAY of a wrong size", http2.ErrCodeFrameSize, raw(7, http2.FrameGoAway, 0, 0)},
		{"PUSH_PROMISE", http2.ErrCodeProtocol, func(p *peer) {
			p.must(p.fr.WritePushPromise(http2.PushPromiseParam{StreamID: 1, PromiseID: 2, EndHeaders: true}))
		}},
		{"frame too large", http2.ErrCodeFrameSize, raw(16385, http2.FrameData, 0, 1)},
		{"CONTINUATION of nothing", http2.ErrCodeProtocol, func(p *peer) { p.must(p.fr.WriteContinuation(1, true, nil)) }},
		{"CONTINUATION of another stream", http2.ErrCodeProtocol, func(p *peer) {
			p.must(p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1}))
			p.must(p.fr.WriteContinuation(3, true, nil))
		}},
		{"PING within a block", http2.ErrCodeProtocol, func(p *peer) {
			p.must(p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1}))
			p.must(p.fr.WritePing(false, [8]byte{}))
		}},
		{"PRIORITY of a stream on itself", http2.ErrCodeProtocol, func(p *peer) {
			p.must(p.fr.WritePriority(1, http2.PriorityParam{StreamDep: 1}))
		}},
		{"block that cannot be decoded", http2.ErrCodeCompression, func(p *peer) {
			p.must(p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x80}, EndHeaders: true}))
		}},
		{"block that is cut off", http2.ErrCodeCompression, func(p *peer) {
			p.must(p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x40, 5, 'a'}, EndHeaders: true}))
		}},
		{"field larger than any block", http2.ErrCodeEnhanceYourCalm, func(p *peer) {
			p.must(p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: appendInteger([]byte{0}, 0, 7, 1<<20), EndHeaders: true}))
		}},
		{"block too large", http2.ErrCodeEnhanceYourCalm, func(p *peer) {
			p.must(p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: bytes.Repeat([]byte{0x82}, maxFrameBytes)}))
			p.must(p.fr.WriteContinuation(1, false, bytes.Repeat([]byte{0x82}, maxFrameBytes)))
			p.must(p.fr.WriteContinuation(1, false, []byte{0x82}))
		}},
		{"CONTINUATION flood", http2.ErrCodeEnhanceYourCalm, func(p *peer) {
			p.must(p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1}))
			for range maxContinuations + 1 {
				p.must(p.fr.WriteContinuation(1, false, nil))
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := connect(t, Config{Handler: echo})
				tt.send(p)
				p.wantGoAway(tt.code)
			})
		})
	}
}

// TestTolerated sends what must be ignored.
func TestTolerated(t *testing.T) {
	tests := []struct {
		name string
		send func(p *peer)
	}{
		{"unknown frame", func(p *peer) { p.must(p.fr.WriteRawFrame(0x42, 0xff, 77, make([]byte, 100))) }},
		{"unknown setting", func(p *peer) { p.must(p.fr.WriteSettings(http2.Setting{ID: 0x42, Val: 1})); p.want("SETTINGS ACK") }},
		{"same setting twice", func(p *peer) {
			p.must(p.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 100}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 65535}))
			p.want("SETTINGS ACK")
		}},
		{"PRIORITY on an idle stream", func(p *peer) { p.must(p.fr.WritePriority(99, http2.PriorityParam{StreamDep: 3})) }},
		{"SETTINGS ACK for nothing", func(p *peer) { p.must(p.fr.WriteSettingsAck()) }},
		{"PING ACK for nothing", func(p *peer) { p.must(p.fr.WritePing(true, [8]byte{})) }},
		{"late WINDOW_UPDATE and RST_STREAM", func(p *peer) {
			p.request(1, "")
			p.want("HEADERS 1 END_STREAM [:status=200]")
			p.must(p.fr.WriteWindowUpdate(1, 1))
			p.must(p.fr.WriteRSTStream(1, http2.ErrCodeCancel))
		}},
		{"DATA and trailers on a stream that was reset", func(p *peer) {
			p.headers(1, false, post("Bad", "")...)
			p.want("RST_STREAM 1 PROTOCOL_ERROR")
			p.must(p.fr.WriteData(1, false, []byte("x")))
			p.headers(1, true, "new-name", "new-value")
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := connect(t, Config{Handler: echo})
				tt.send(p)
				p.want()
				p.request(101, "x")
				p.want("HEADERS 101 [:status=200]", "DATA 101 END_STREAM 1")
				p.close()
			})
		})
	}
}

func TestPreface(t *testing.T) {
	tests := []struct {
		name string
		send string
	}{
		{"not HTTP/2", "GET / HTTP/1.1\r\n\r\n"},
		{"no SETTINGS", clientPreface + string(appendPing(nil, false, [8]byte{}))},
		{"SETTINGS ACK", clientPreface + string(appendFrameHeader(nil, 0, http2.FrameSettings, http2.FlagSettingsAck, 0))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := dial(t, Config{Handler: echo})
				p.read()
				p.write([]byte(tt.send))
				p.wantGoAway(http2.ErrCodeProtocol)
			})
		})
	}
}

func TestHeaderListTooLarge(t *testing.T) {
	tests := []struct {
		name string
		more []string
	}{
		{"bytes", []string{"a", strings.Repeat("x", 8000)}},
		{"fields", strings.Split(strings.Repeat("a,b,", maxHeaderFields)+"a,b", ",")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := connect(t, Config{Handler: echo})
				p.headers(1, true, post(tt.more...)...)
				p.want("HEADERS 1 END_STREAM [:status=431]")
				p.headers(3, false, post(tt.more...)...)
				p.want("HEADERS 3 END_STREAM [:status=431]", "RST_STREAM 3 NO_ERROR")
				p.must(p.fr.WriteData(3, true, []byte("x")))
				p.request(5, "x")
				p.want("HEADERS 5 [:status=200]", "DATA 5 END_STREAM 1")
				p.close()
			})
		})
	}
}
