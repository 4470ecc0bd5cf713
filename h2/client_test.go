package h2

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/internal/memnet"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

func setting(id http2.SettingID, v uint32) http2.Setting { return http2.Setting{ID: id, Val: v} }

func streams(n uint32) http2.Setting { return setting(http2.SettingMaxConcurrentStreams, n) }

const request1 = "HEADERS 1 [:method=POST :path=/]"

func TestClientAnswers(t *testing.T) {
	for _, tt := range []struct {
		name   string
		cfg    ClientConfig
		answer func(s *server)
		want   string
		sent   []string // by the client, after the request
	}{
		{name: "without a body", answer: func(s *server) {
			s.headers(1, true, ":status", "200")
		}, want: "a: 200"},
		{name: "wanted fields", cfg: ClientConfig{Wanted: []string{"apns-id", "date"}}, answer: func(s *server) {
			s.headers(1, true, ":status", "200", "apns-id", "x", "server", "y", "date", "z")
		}, want: "a: 200 apns-id=x date=z"},
		{name: "with a body", answer: func(s *server) {
			s.headers(1, false, ":status", "400")
			s.must(s.fr.WriteData(1, true, []byte("{}")))
		}, want: `a: 400 "{}"`},
		{name: "body in pieces, padded", answer: func(s *server) {
			s.headers(1, false, ":status", "400")
			s.must(s.fr.WriteDataPadded(1, false, []byte("{"), make([]byte, 100)))
			s.must(s.fr.WriteData(1, false, nil))
			s.must(s.fr.WriteData(1, true, []byte("}")))
		}, want: `a: 400 "{}"`},
		{name: "body too large", cfg: ClientConfig{MaxBodyBytes: 3}, answer: func(s *server) {
			s.headers(1, false, ":status", "400")
			s.must(s.fr.WriteData(1, false, []byte("abcde")))
			s.must(s.fr.WriteData(1, true, []byte("f")))
		}, want: `a: 400 "abc" cut`},
		{name: "body without end", cfg: ClientConfig{MaxBodyBytes: 3}, answer: func(s *server) {
			s.headers(1, false, ":status", "400")
			for range maxDiscardedBodyBytes/maxFrameBytes + 1 {
				s.must(s.fr.WriteData(1, false, make([]byte, maxFrameBytes)))
				synctest.Wait()
			}
			s.received()
		}, want: `a: 400 "\x00\x00\x00" cut`, sent: nil},
		{name: "trailers", cfg: ClientConfig{Wanted: []string{"apns-id"}}, answer: func(s *server) {
			s.headers(1, false, ":status", "200", "apns-id", "x")
			s.must(s.fr.WriteData(1, false, []byte("abc")))
			s.headers(1, true, "apns-id", "y")
		}, want: `a: 200 apns-id=x "abc"`},
		{name: "informational", cfg: ClientConfig{Wanted: []string{"link"}}, answer: func(s *server) {
			s.headers(1, false, ":status", "103", "link", "x")
			s.headers(1, false, ":status", "100")
			s.headers(1, true, ":status", "200", "link", "y")
		}, want: "a: 200 link=y"},
		{name: "in many frames", cfg: ClientConfig{Wanted: []string{"apns-id"}}, answer: func(s *server) {
			b := s.fields(":status", "200", "apns-id", "x")
			s.must(s.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: b[:2], EndStream: true}))
			s.must(s.fr.WriteContinuation(1, false, b[2:3]))
			s.must(s.fr.WriteContinuation(1, true, b[3:]))
		}, want: "a: 200 apns-id=x"},
		{name: "reset", answer: func(s *server) {
			s.must(s.fr.WriteRSTStream(1, http2.ErrCodeInternal))
		}, want: "a: INTERNAL_ERROR, the peer reset the stream with INTERNAL_ERROR"},
		{name: "refused", answer: func(s *server) {
			s.must(s.fr.WriteRSTStream(1, http2.ErrCodeRefusedStream))
		}, want: "a: REFUSED_STREAM unprocessed, the peer reset the stream with REFUSED_STREAM"},
		{name: "reset after a part", answer: func(s *server) {
			s.headers(1, false, ":status", "200")
			s.must(s.fr.WriteData(1, false, []byte("x")))
			s.must(s.fr.WriteRSTStream(1, http2.ErrCodeCancel))
		}, want: "a: CANCEL, the peer reset the stream with CANCEL"},
		{name: "no status", answer: func(s *server) {
			s.headers(1, true, "apns-id", "x")
		}, want: "a: PROTOCOL_ERROR, stream 1 ended with PROTOCOL_ERROR: no :status", sent: []string{"RST_STREAM 1 PROTOCOL_ERROR"}},
		{name: "status of letters", answer: func(s *server) {
			s.headers(1, true, ":status", "2x0")
		}, want: "a: PROTOCOL_ERROR, stream 1 ended with PROTOCOL_ERROR: :status not of three digits", sent: []string{"RST_STREAM 1 PROTOCOL_ERROR"}},
		{name: "status twice", answer: func(s *server) {
			s.headers(1, true, ":status", "200", ":status", "200")
		}, want: "a: PROTOCOL_ERROR, stream 1 ended with PROTOCOL_ERROR: pseudo-header :status twice", sent: []string{"RST_STREAM 1 PROTOCOL_ERROR"}},
		{name: "status late", answer: func(s *server) {
			s.headers(1, true, "a", "b", ":status", "200")
		}, want: "a: PROTOCOL_ERROR, stream 1 ended with PROTOCOL_ERROR: pseudo-header after a regular field", sent: []string{"RST_STREAM 1 PROTOCOL_ERROR"}},
		{name: "request's pseudo-header", answer: func(s *server) {
			s.headers(1, true, ":path", "/")
		}, want: "a: PROTOCOL_ERROR, stream 1 ended with PROTOCOL_ERROR: pseudo-header that answers do not have", sent: []string{"RST_STREAM 1 PROTOCOL_ERROR"}},
		{name: "field of a connection", answer: func(s *server) {
			s.headers(1, true, ":status", "200", "upgrade", "x")
		}, want: "a: PROTOCOL_ERROR, stream 1 ended with PROTOCOL_ERROR: header field upgrade, which is of a connection", sent: []string{"RST_STREAM 1 PROTOCOL_ERROR"}},
		{name: "line end in a value", answer: func(s *server) {
			s.headers(1, true, ":status", "200", "a", "b\r\nc")
		}, want: "a: PROTOCOL_ERROR, stream 1 ended with PROTOCOL_ERROR: character not allowed in the value of a header field", sent: []string{"RST_STREAM 1 PROTOCOL_ERROR"}},
		{name: "informational at the end", answer: func(s *server) {
			s.headers(1, true, ":status", "100")
		}, want: "a: PROTOCOL_ERROR, stream 1 ended with PROTOCOL_ERROR: an informational answer that ends the stream", sent: []string{"RST_STREAM 1 PROTOCOL_ERROR"}},
		{name: "body before the header fields", answer: func(s *server) {
			s.must(s.fr.WriteData(1, true, []byte("x")))
		}, want: "a: PROTOCOL_ERROR, stream 1 ended with PROTOCOL_ERROR: DATA before the header fields of an answer", sent: []string{"RST_STREAM 1 PROTOCOL_ERROR"}},
		{name: "second header fields", answer: func(s *server) {
			s.headers(1, false, ":status", "200")
			s.headers(1, false, "a", "b")
		}, want: "a: PROTOCOL_ERROR, stream 1 ended with PROTOCOL_ERROR: a second HEADERS that does not end the stream", sent: []string{"RST_STREAM 1 PROTOCOL_ERROR"}},
		{name: "header fields too large", cfg: ClientConfig{}, answer: func(s *server) {
			s.headers(1, true, ":status", "200", "a", strings.Repeat("x", 8000))
		}, want: "a: ENHANCE_YOUR_CALM, stream 1 ended with ENHANCE_YOUR_CALM: header fields of the answer too large", sent: []string{"RST_STREAM 1 ENHANCE_YOUR_CALM"}},
		{name: "more than the window of the stream", answer: func(s *server) {
			s.headers(1, false, ":status", "200")
			s.c.mu.Lock()
			s.c.calls.find(1).recvWindow = 2 // as if more had come
			s.c.mu.Unlock()
			s.must(s.fr.WriteData(1, false, []byte("abc")))
		}, want: "a: FLOW_CONTROL_ERROR, stream 1 ended with FLOW_CONTROL_ERROR: more DATA than the window of the stream", sent: []string{"RST_STREAM 1 FLOW_CONTROL_ERROR"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := welcome(t, tt.cfg)
				s.start("a")
				s.want(request1, "DATA 1 END_STREAM 1")
				tt.answer(s)
				s.wantFinished(tt.want)
				s.want(tt.sent...)
				// Both tables are in step, and the connection is of use.
				s.start("again")
				s.want("HEADERS 3 [:method=POST :path=/]", "DATA 3 END_STREAM 5")
				s.headers(3, true, ":status", "200", "a", "b")
				s.wantFinished("again: 200")
				s.part()
			})
		})
	}
}

// TestClientBreaches has the peer break the rules of the connection.
func TestClientBreaches(t *testing.T) {
	many := func(n int, f func(s *server, i int)) func(s *server) {
		return func(s *server) {
			for i := range n {
				f(s, i)
			}
		}
	}
	for _, tt := range []struct {
		name   string
		breach func(s *server)
		code   http2.ErrCode
	}{
		{"HEADERS on an idle stream", func(s *server) { s.headers(3, true, ":status", "200") }, http2.ErrCodeProtocol},
		{"HEADERS on a stream of the peer", func(s *server) { s.headers(2, true, ":status", "200") }, http2.ErrCodeProtocol},
		{"HEADERS on stream 0", func(s *server) { s.write(appendFrameHeader(nil, 0, http2.FrameHeaders, 4, 0)) }, http2.ErrCodeProtocol},
		{"DATA on an idle stream", func(s *server) { s.must(s.fr.WriteData(3, true, nil)) }, http2.ErrCodeProtocol},
		{"RST_STREAM on an idle stream", func(s *server) { s.must(s.fr.WriteRSTStream(3, 0)) }, http2.ErrCodeProtocol},
		{"WINDOW_UPDATE on an idle stream", func(s *server) { s.must(s.fr.WriteWindowUpdate(3, 1)) }, http2.ErrCodeProtocol},
		{"WINDOW_UPDATE of nothing", func(s *server) { s.write(appendWindowUpdate(nil, 0, 0)) }, http2.ErrCodeProtocol},
		{"window too large", func(s *server) { s.must(s.fr.WriteWindowUpdate(0, maxWindowBytes)) }, http2.ErrCodeFlowControl},
		{"PUSH_PROMISE", func(s *server) {
			s.must(s.fr.WritePushPromise(http2.PushPromiseParam{StreamID: 1, PromiseID: 2, BlockFragment: s.fields(":method", "GET"), EndHeaders: true}))
		}, http2.ErrCodeProtocol},
		{"pushes allowed", func(s *server) { s.must(s.fr.WriteSettings(setting(http2.SettingEnablePush, 1))) }, http2.ErrCodeProtocol},
		{"initial window too large", func(s *server) { s.must(s.fr.WriteSettings(initialWindow(1 << 31))) }, http2.ErrCodeFlowControl},
		{"frame size too small", func(s *server) { s.must(s.fr.WriteSettings(setting(http2.SettingMaxFrameSize, 5))) }, http2.ErrCodeProtocol},
		{"SETTINGS on a stream", func(s *server) { s.write(appendFrameHeader(nil, 0, http2.FrameSettings, 0, 1)) }, http2.ErrCodeProtocol},
		{"SETTINGS cut", func(s *server) { s.write(append(appendFrameHeader(nil, 1, http2.FrameSettings, 0, 0), 0)) }, http2.ErrCodeFrameSize},
		{"PING cut", func(s *server) { s.write(append(appendFrameHeader(nil, 1, http2.FramePing, 0, 0), 0)) }, http2.ErrCodeFrameSize},
		{"PING on a stream", func(s *server) { s.write(append(appendFrameHeader(nil, 8, http2.FramePing, 0, 1), make([]byte, 8)...)) }, http2.ErrCodeProtocol},
		{"GOAWAY cut", func(s *server) { s.write(append(appendFrameHeader(nil, 1, http2.FrameGoAway, 0, 0), 0)) }, http2.ErrCodeFrameSize},
		{"frame too large", func(s *server) { s.write(appendFrameHeader(nil, maxFrameBytes+1, http2.FrameData, 0, 1)) }, http2.ErrCodeFrameSize},
		{"CONTINUATION alone", func(s *server) { s.write(appendFrameHeader(nil, 0, http2.FrameContinuation, 4, 1)) }, http2.ErrCodeProtocol},
		{"frame within a header block", func(s *server) {
			s.write(appendFrameHeader(nil, 0, http2.FrameHeaders, 0, 1))
			s.must(s.fr.WriteSettings())
		}, http2.ErrCodeProtocol},
		{"header block not valid", func(s *server) {
			s.write(append(appendFrameHeader(nil, 1, http2.FrameHeaders, 4, 1), 0x80|70))
		}, http2.ErrCodeCompression},
		{"header block of many frames", func(s *server) {
			s.write(appendFrameHeader(nil, 0, http2.FrameHeaders, 0, 1))
			for range maxContinuations + 1 {
				s.write(appendFrameHeader(nil, 0, http2.FrameContinuation, 0, 1))
			}
		}, http2.ErrCodeEnhanceYourCalm},
		{"header block large", func(s *server) {
			s.write(appendFrameHeader(nil, 0, http2.FrameHeaders, 0, 1))
			for range 3 {
				s.write(append(appendFrameHeader(nil, maxFrameBytes, http2.FrameContinuation, 0, 1), make([]byte, maxFrameBytes)...))
			}
		}, http2.ErrCodeEnhanceYourCalm},
		{"field large", func(s *server) {
			s.write(append(appendFrameHeader(nil, 5, http2.FrameHeaders, 4, 1), 0, 0x7f, 0xff, 0xff, 0x7f))
		}, http2.ErrCodeEnhanceYourCalm},
		{"more than the window of the connection", func(s *server) {
			s.c.mu.Lock()
			s.c.recvWindow = 2 // as if more had come
			s.c.mu.Unlock()
			s.must(s.fr.WriteData(1, false, []byte("abc")))
		}, http2.ErrCodeFlowControl},
		{"flood of SETTINGS", many(200, func(s *server, _ int) { s.must(s.fr.WriteSettings()) }), http2.ErrCodeEnhanceYourCalm},
		{"flood of PING", many(300, func(s *server, _ int) { s.must(s.fr.WritePing(false, [8]byte{})) }), http2.ErrCodeEnhanceYourCalm},
		{"flood of answers to PING", many(300, func(s *server, _ int) { s.must(s.fr.WritePing(true, [8]byte{})) }), http2.ErrCodeEnhanceYourCalm},
		{"flood of empty DATA", func(s *server) {
			s.headers(1, false, ":status", "200")
			many(10001, func(s *server, _ int) { s.must(s.fr.WriteData(1, false, nil)) })(s)
		}, http2.ErrCodeEnhanceYourCalm},
		{"flood of informational answers", many(10001, func(s *server, _ int) { s.headers(1, false, ":status", "100") }), http2.ErrCodeEnhanceYourCalm},
		{"flood of unknown frames", many(10001, func(s *server, _ int) { s.write(appendFrameHeader(nil, 0, 99, 0, 0)) }), http2.ErrCodeEnhanceYourCalm},
		{"flood of GOAWAY", many(10001, func(s *server, _ int) { s.must(s.fr.WriteGoAway(1, 0, nil)) }), http2.ErrCodeEnhanceYourCalm},
		{"flood of WINDOW_UPDATE", many(10001, func(s *server, _ int) { s.must(s.fr.WriteWindowUpdate(1, 1)) }), http2.ErrCodeEnhanceYourCalm},
		{"flood of RST_STREAM", many(10002, func(s *server, _ int) { s.must(s.fr.WriteRSTStream(1, 0)) }), http2.ErrCodeEnhanceYourCalm},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := welcome(t, ClientConfig{})
				s.start("a")
				s.want(request1, "DATA 1 END_STREAM 1")
				tt.breach(s)
				s.wantGoAway(tt.code)
				if len(s.finished) != 1 || strings.Contains(s.finished[0], "unprocessed") {
					t.Errorf("finished: got %q, want one call that may have been processed", s.finished)
				}
				s.refuses(ErrGoing)
			})
		})
	}
}

func TestClientPreface(t *testing.T) {
	for _, tt := range []struct {
		name string
		send func(s *server)
		code http2.ErrCode
		want string
	}{
		{"HTTP/1", func(s *server) { s.write([]byte("HTTP/1.1 400 Bad Request\r\n")) }, http2.ErrCodeProtocol, "HTTP/1"},
		{"another frame", func(s *server) { s.must(s.fr.WritePing(false, [8]byte{})) }, http2.ErrCodeProtocol, "not SETTINGS"},
		{"an acknowledgement", func(s *server) { s.must(s.fr.WriteSettingsAck()) }, http2.ErrCodeProtocol, "not SETTINGS"},
		{"nothing", func(*server) { time.Sleep(10 * time.Second) }, http2.ErrCodeSettingsTimeout, "in time"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := attend(t, ClientConfig{})
				s.start("a")
				s.refuses(ErrFull)
				tt.send(s)
				s.received()
				var ce *ConnError
				if err := s.over(); !errors.As(err, &ce) || ce.Code != tt.code || !strings.Contains(ce.Reason, tt.want) {
					t.Errorf("Run: got %v, want %v", err, tt.code)
				}
				if len(s.finished) != 1 {
					t.Errorf("finished: got %q", s.finished)
				}
			})
		})
	}
}

func TestClientLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := attend(t, ClientConfig{MaxStreams: 4, FirstStreams: 2})
		if got, want := s.c.State(), (ClientState{Limit: 2}); got != want {
			t.Errorf("State: got %+v, want %+v", got, want)
		}
		s.start("a", "b")
		s.refuses(ErrFull)
		s.must(s.fr.WriteSettings(streams(3)))
		s.changed(1)
		s.start("c")
		s.refuses(ErrFull)
		// Raised beyond this side's own bound.
		s.must(s.fr.WriteSettings(streams(1000)))
		s.changed(1)
		s.start("d")
		s.refuses(ErrFull)
		// Lowered below what is in progress.
		s.must(s.fr.WriteSettings(streams(1)))
		s.changed(1)
		if got, want := s.c.State(), (ClientState{Settled: true, Limit: 1, Active: 4}); got != want {
			t.Errorf("State: got %+v, want %+v", got, want)
		}
		s.received()
		for id := uint32(1); id <= 5; id += 2 {
			s.headers(id, true, ":status", "200")
			s.received()
			s.refuses(ErrFull)
		}
		s.headers(7, true, ":status", "200")
		s.wantFinished("a: 200", "b: 200", "c: 200", "d: 200")
		s.changed(0)
		s.start("e")
		s.want("HEADERS 9 [:method=POST :path=/]", "DATA 9 END_STREAM 1")
		s.must(s.fr.WriteSettings(streams(0)))
		s.headers(9, true, ":status", "200")
		s.wantFinished("e: 200")
		s.refuses(ErrFull)
		s.part()
	})
}

// TestClientUnlimited has a peer that states no limit.
func TestClientUnlimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := welcome(t, ClientConfig{MaxStreams: 5})
		if got, want := s.c.State(), (ClientState{Settled: true, Limit: 5}); got != want {
			t.Errorf("State: got %+v, want %+v", got, want)
		}
		s.c.GoAway()
		s.want("GOAWAY 0 NO_ERROR ", "closed")
		s.part()
	})
}

func TestClientWindows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := welcome(t, ClientConfig{}, initialWindow(4))
		s.start("abcdef", "xyz", "0123456789")
		s.want(
			request1, "DATA 1 4",
			"HEADERS 3 [:method=POST :path=/]", "DATA 3 END_STREAM 3",
			"HEADERS 5 [:method=POST :path=/]", "DATA 5 4",
		)
		// A smaller window makes those of the streams negative.
		s.must(s.fr.WriteSettings(initialWindow(1)))
		s.want("SETTINGS ACK")
		s.must(s.fr.WriteWindowUpdate(1, 3))
		s.want()
		s.must(s.fr.WriteWindowUpdate(1, 1))
		s.want("DATA 1 1")
		s.must(s.fr.WriteSettings(initialWindow(100)))
		s.want("SETTINGS ACK", "DATA 1 END_STREAM 1", "DATA 5 END_STREAM 6")
		for id := uint32(1); id <= 5; id += 2 {
			s.headers(id, true, ":status", "200")
		}
		s.wantFinished("abcdef: 200", "xyz: 200", "0123456789: 200")
		s.changed(0)
		s.part()
	})
}

// TestClientWindowOfConnection has a body that the window of the connection has
// no room for.
func TestClientWindowOfConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := welcome(t, ClientConfig{}, initialWindow(1<<20))
		s.start(strings.Repeat("a", initialWindowBytes-6))
		s.refuses(ErrFull)
		s.start("bcd")
		s.refuses(ErrFull)
		s.received()
		s.must(s.fr.WriteWindowUpdate(0, 4))
		s.changed(1)
		s.start("refused")
		s.want("HEADERS 5 [:method=POST :path=/]", "DATA 5 END_STREAM 7")
		s.must(s.fr.WriteWindowUpdate(0, 4))
		s.changed(0) // nobody waits for it
		for id := uint32(1); id <= 5; id += 2 {
			s.headers(id, true, ":status", "200")
		}
		s.wantFinished("aaaaaaaaaa: 200", "bcd: 200", "refused: 200")
		// With nothing in progress there is nothing to wait for.
		s.start("0123456789")
		s.want("HEADERS 7 [:method=POST :path=/]", "DATA 7 4")
		s.refuses(ErrFull)
		s.must(s.fr.WriteWindowUpdate(0, 5))
		s.want("DATA 7 5")
		s.must(s.fr.WriteWindowUpdate(0, 5))
		s.want("DATA 7 END_STREAM 1")
		s.headers(7, true, ":status", "200")
		s.wantFinished("0123456789: 200")
		s.part()
	})
}

// TestClientAnsweredEarly has an answer come before the request is sent.
func TestClientAnsweredEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := welcome(t, ClientConfig{}, initialWindow(1))
		s.start("abc", "def")
		s.received()
		s.headers(1, true, ":status", "413")
		s.wantFinished("abc: 413")
		s.want("RST_STREAM 1 CANCEL")
		s.must(s.fr.WriteWindowUpdate(3, 10))
		s.want("DATA 3 END_STREAM 2")
		s.headers(3, true, ":status", "200")
		s.wantFinished("def: 200")
		if s.c.reserved != 0 || s.c.waiting.head != nil || s.c.waiting.tail != nil {
			t.Errorf("waiting: got %d bytes, %+v", s.c.reserved, s.c.waiting)
		}
		s.part()
	})
}

func TestClientCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := welcome(t, ClientConfig{}, initialWindow(2), streams(2))
		calls := s.start("abc", "def")
		s.refuses(ErrFull)
		s.received()
		if !s.c.Cancel(calls[0]) {
			t.Error("Cancel: got false, want true")
		}
		if s.c.Cancel(calls[0]) {
			t.Error("Cancel again: got true, want false")
		}
		s.want("RST_STREAM 1 CANCEL")
		if err := s.c.Start(calls[0]); err != nil {
			t.Errorf("Start again: %v", err)
		}
		if err := s.c.Start(calls[0]); !errors.Is(err, ErrStarted) {
			t.Errorf("Start twice: got %v, want %v", err, ErrStarted)
		}
		s.want("HEADERS 5 [:method=POST :path=/]", "DATA 5 2")
		// Late frames on the first stream.
		s.headers(1, false, ":status", "200", "a", "b")
		s.must(s.fr.WriteWindowUpdate(1, 100))
		s.must(s.fr.WriteData(1, true, []byte("late")))
		s.must(s.fr.WriteRSTStream(1, http2.ErrCodeNo))
		s.headers(5, true, ":status", "200", "a", "b")
		s.wantFinished("abc: 200")
		s.want("RST_STREAM 5 CANCEL")
		if s.c.Cancel(calls[0]) {
			t.Error("Cancel of a finished call: got true, want false")
		}
		s.headers(3, true, ":status", "200")
		s.wantFinished("def: 200")
		s.received()
		s.part()
	})
}

func TestClientGoAway(t *testing.T) {
	for _, tt := range []struct {
		name string
		run  func(s *server)
		want []string
		err  string
	}{
		{"in good order", func(s *server) {
			s.must(s.fr.WriteGoAway(maxStreamID, http2.ErrCodeNo, []byte("Shutdown")))
			s.changed(1)
			s.refuses(ErrGoing)
			s.must(s.fr.WriteGoAway(3, http2.ErrCodeNo, nil))
			s.wantFinished("c: NO_ERROR unprocessed, the peer ended the connection with NO_ERROR: \"Shutdown\"")
			s.headers(1, true, ":status", "200")
			s.headers(3, true, ":status", "200")
		}, []string{"a: 200", "b: 200"}, `the peer ended the connection with NO_ERROR: "Shutdown"`},
		{"with nothing processed", func(s *server) {
			s.must(s.fr.WriteGoAway(0, http2.ErrCodeEnhanceYourCalm, []byte("x")))
		}, []string{
			`a: ENHANCE_YOUR_CALM unprocessed, the peer ended the connection with ENHANCE_YOUR_CALM: "x"`,
			`b: ENHANCE_YOUR_CALM unprocessed, the peer ended the connection with ENHANCE_YOUR_CALM: "x"`,
			`c: ENHANCE_YOUR_CALM unprocessed, the peer ended the connection with ENHANCE_YOUR_CALM: "x"`,
		}, `the peer ended the connection with ENHANCE_YOUR_CALM: "x"`},
		{"and closed", func(s *server) {
			s.must(s.fr.WriteGoAway(3, http2.ErrCodeNo, nil))
			s.must(s.fr.WriteGoAway(5, http2.ErrCodeInternal, []byte("x"))) // 5 was given up before
			s.must(s.fr.WriteGoAway(5, http2.ErrCodeCancel, []byte("y")))
			s.must(s.nc.Close())
		}, []string{
			`c: NO_ERROR unprocessed, the peer ended the connection with NO_ERROR`,
			`a: INTERNAL_ERROR, the peer ended the connection with INTERNAL_ERROR: "x"`,
			`b: INTERNAL_ERROR, the peer ended the connection with INTERNAL_ERROR: "x"`,
		}, `the peer ended the connection with INTERNAL_ERROR: "x"`},
		{"and silent", func(s *server) {
			s.must(s.fr.WriteGoAway(1, http2.ErrCodeNo, nil))
			s.wantFinished(
				"b: NO_ERROR unprocessed, the peer ended the connection with NO_ERROR",
				"c: NO_ERROR unprocessed, the peer ended the connection with NO_ERROR",
			)
			time.Sleep(5*time.Second - 1)
			s.wantFinished()
			time.Sleep(time.Nanosecond)
		}, []string{"a: NO_ERROR, the peer ended the connection with NO_ERROR"}, `the peer ended the connection with NO_ERROR`},
		{"closed without", func(s *server) { s.must(s.nc.Close()) }, []string{"a: NO_ERROR, EOF", "b: NO_ERROR, EOF", "c: NO_ERROR, EOF"}, "EOF"},
		{"closed in a frame", func(s *server) {
			s.write([]byte{0})
			s.must(s.nc.Close())
		}, []string{
			"a: NO_ERROR, reading: unexpected EOF", "b: NO_ERROR, reading: unexpected EOF", "c: NO_ERROR, reading: unexpected EOF",
		}, "reading: unexpected EOF"},
		{"by the client", func(s *server) {
			s.c.GoAway()
			s.changed(0)
			s.refuses(ErrGoing)
			for id := uint32(1); id <= 5; id += 2 {
				s.headers(id, true, ":status", "200")
			}
		}, []string{"a: 200", "b: 200", "c: 200"}, ""},
		{"by the client, in vain", func(s *server) {
			s.c.GoAway()
			time.Sleep(5 * time.Second)
		}, []string{
			"a: NO_ERROR, no answer within the time to drain the connection",
			"b: NO_ERROR, no answer within the time to drain the connection",
			"c: NO_ERROR, no answer within the time to drain the connection",
		}, ""},
		{"cancelled", func(s *server) { s.cancel() }, []string{
			"a: NO_ERROR, context canceled", "b: NO_ERROR, context canceled", "c: NO_ERROR, context canceled",
		}, "context canceled"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := welcome(t, ClientConfig{DrainTimeout: 5 * time.Second})
				s.start("a", "b", "c")
				s.received()
				tt.run(s)
				s.wantFinished(tt.want...)
				got := ""
				if err := s.ended(); err != nil {
					got = err.Error()
				}
				if got != tt.err {
					t.Errorf("Run: got %q, want %q", got, tt.err)
				}
				if strings.HasPrefix(tt.err, "the peer") != (s.c.State().GoAway != nil) {
					t.Errorf("GoAway: got %v", s.c.State().GoAway)
				}
				if err := s.nc.Close(); err != nil && !errors.Is(err, io.ErrClosedPipe) {
					t.Errorf("closing: %v", err)
				}
			})
		})
	}
}

// TestClientUnwritten has the connection end before calls were written.
func TestClientUnwritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := welcome(t, ClientConfig{WriteTimeout: 3 * time.Second, MaxStreams: 1 << 20}, initialWindow(1<<20), streams(1<<20))
		s.must(s.fr.WriteWindowUpdate(0, 1<<24))
		s.received()
		s.deaf.Store(true)
		s.must(s.fr.WritePing(false, [8]byte{})) // the answer is the last that is read
		synctest.Wait()
		started, written := 0, 0
		body := strings.Repeat("x", 10_000)
		for {
			call := &Call{Fields: []hpack.HeaderField{{Name: ":method", Value: "POST"}}, Body: []byte(body), Owner: "x"}
			err := s.c.Start(call)
			if err != nil {
				if !errors.Is(err, ErrFull) {
					t.Errorf("Start: %v", err)
				}
				break
			}
			if started++; started < 40 {
				synctest.Wait() // written by now, or blocked
			}
		}
		before := time.Now()
		// A blocked write keeps nobody.
		if st := s.c.State(); st.Active != started {
			t.Errorf("Active: got %d, want %d", st.Active, started)
		}
		err := s.ended()
		if d := time.Since(before); d > 4*time.Second {
			t.Errorf("the end took %v", d)
		}
		if err == nil || !strings.HasPrefix(err.Error(), "writing: ") {
			t.Errorf("Run: got %v", err)
		}
		if len(s.calls) != started {
			t.Errorf("finished: got %d, want %d", len(s.calls), started)
		}
		for _, call := range s.calls {
			var ce *CallError
			if !errors.As(call.Err, &ce) {
				t.Fatalf("Err: got %v", call.Err)
			}
			if !ce.Unprocessed {
				written++
			}
		}
		if written < 26 || written == started {
			t.Errorf("written: got %d of %d", written, started)
		}
		s.must(s.nc.Close())
	})
}

func TestClientSilence(t *testing.T) {
	t.Run("with a call", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := welcome(t, ClientConfig{ProbeAfter: -1})
			time.Sleep(time.Hour) // with no call in progress nothing is asked
			s.want()
			s.start("a")
			s.want(request1, "DATA 1 END_STREAM 1")
			time.Sleep(15*time.Second - 1)
			s.want()
			time.Sleep(time.Nanosecond)
			s.want("PING")
			s.must(s.fr.WritePing(true, [8]byte{}))
			s.want()
			time.Sleep(15 * time.Second)
			s.want("PING")
			time.Sleep(15 * time.Second)
			s.want("GOAWAY 0 NO_ERROR no answer to PING", "closed")
			s.wantFinished("a: NO_ERROR, connection ended with NO_ERROR: no answer to PING")
			var ce *ConnError
			if err := s.over(); !errors.As(err, &ce) {
				t.Errorf("Run: got %v", err)
			}
		})
	})
	t.Run("before a call", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := welcome(t, ClientConfig{})
			time.Sleep(time.Minute)
			s.want()
			s.refuses(ErrFull)
			s.refuses(ErrFull)
			s.want("PING")
			s.changed(0)
			s.must(s.fr.WritePing(true, [8]byte{}))
			s.changed(1)
			s.start("a")
			s.want(request1, "DATA 1 END_STREAM 1")
			s.headers(1, true, ":status", "200")
			s.wantFinished("a: 200")
			time.Sleep(time.Minute - 1)
			s.start("b")
			s.received()
			s.headers(3, true, ":status", "200")
			s.wantFinished("b: 200")
			time.Sleep(time.Minute)
			s.want()
			s.refuses(ErrFull)
			s.want("PING")
			time.Sleep(15 * time.Second)
			s.want("GOAWAY 0 NO_ERROR no answer to PING", "closed")
			s.changed(1)
			if err := s.over(); err == nil {
				t.Error("Run: got nil")
			}
		})
	})
	t.Run("idle", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := welcome(t, ClientConfig{IdleTimeout: 10 * time.Second})
			time.Sleep(9 * time.Second)
			s.start("a")
			time.Sleep(14 * time.Second)
			s.headers(1, true, ":status", "200")
			s.wantFinished("a: 200")
			s.received()
			time.Sleep(10*time.Second - 1)
			s.want()
			time.Sleep(time.Nanosecond)
			s.want("GOAWAY 0 NO_ERROR ", "closed")
			s.changed(1)
			if err := s.over(); err != nil {
				t.Errorf("Run: %v", err)
			}
		})
	})
	t.Run("in a frame", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := welcome(t, ClientConfig{})
			for range 8 {
				s.write([]byte{0})
				time.Sleep(4 * time.Second)
			}
			s.wantGoAway(http2.ErrCodeEnhanceYourCalm)
		})
	})
}

func TestClientPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := welcome(t, ClientConfig{})
		s.must(s.fr.WritePing(false, [8]byte{1}))
		s.want("PING ACK")
		s.part()
	})
}

// TestClientNumbersRunOut has the numbers of streams run out.
func TestClientNumbersRunOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := welcome(t, ClientConfig{})
		s.c.mu.Lock()
		s.c.nextID = maxStreamID - 2
		s.c.mu.Unlock()
		s.start("a")
		if s.c.State().Going {
			t.Error("Going one call too early")
		}
		s.start("b")
		s.refuses(ErrGoing)
		s.want("HEADERS 2147483645 [:method=POST :path=/]", "DATA 2147483645 END_STREAM 1",
			"HEADERS 2147483647 [:method=POST :path=/]", "DATA 2147483647 END_STREAM 1")
		s.headers(maxStreamID, true, ":status", "200")
		s.headers(maxStreamID-2, true, ":status", "200")
		s.wantFinished("b: 200", "a: 200")
		if err := s.over(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// TestClientTooLarge has a peer that takes only small requests.
func TestClientTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := welcome(t, ClientConfig{}, setting(http2.SettingMaxHeaderListSize, 100))
		call := &Call{Fields: []hpack.HeaderField{{Name: ":method", Value: "POST"}, {Name: "a", Value: strings.Repeat("x", 25)}}}
		var ce *CallError
		if err := s.c.Start(call); !errors.As(err, &ce) || !ce.Unprocessed {
			t.Errorf("Start: got %v", err)
		}
		call.Fields[1].Value = call.Fields[1].Value[1:]
		if err := s.c.Start(call); err != nil {
			t.Errorf("Start: %v", err)
		}
		s.received()
		s.must(s.nc.Close())
		if err := s.ended(); !errors.Is(err, io.EOF) {
			t.Errorf("Run: got %v, want %v", err, io.EOF)
		}
	})
}

// TestClientLargeRequest has header fields that do not fit into a frame.
func TestClientLargeRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := welcome(t, ClientConfig{})
		call := &Call{Fields: []hpack.HeaderField{{Name: "a", Value: strings.Repeat("x", 40_000)}}, Owner: "a"}
		if err := s.c.Start(call); err != nil {
			t.Errorf("Start: %v", err)
		}
		s.want("HEADERS 1 END_STREAM []", "CONTINUATION 1", "CONTINUATION 1")
		s.headers(1, true, ":status", "431")
		s.wantFinished("a: 431")
		s.part()
	})
}

// TestClientBroken has writing fail after the peer said why.
func TestClientBroken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := welcome(t, ClientConfig{})
		s.start("a")
		s.received()
		// It is read only after writing has failed.
		s.c.nc = &failing{Conn: s.c.nc, before: func() {
			s.must(s.fr.WriteGoAway(0, http2.ErrCodeNo, []byte("BadCertificate")))
			s.must(s.nc.Close())
		}}
		s.start("b")
		s.wantFinished(
			`a: NO_ERROR unprocessed, the peer ended the connection with NO_ERROR: "BadCertificate"`,
			`b: NO_ERROR unprocessed, the peer ended the connection with NO_ERROR: "BadCertificate"`,
		)
		var ge *GoAwayError
		if err := s.ended(); !errors.As(err, &ge) {
			t.Errorf("Run: got %v", err)
		}
	})
}

// failing is a net.Conn that cannot be written to.
type failing struct {
	net.Conn
	before func()
}

func (f *failing) Write([]byte) (int, error) {
	f.before()
	return 0, io.ErrClosedPipe
}

func TestClientMisuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, far := memnet.Pipe()
		if err := NewClientConn(far, ClientConfig{}).Run(t.Context()); !errors.Is(err, ErrNoFinished) {
			t.Errorf("Run: got %v, want %v", err, ErrNoFinished)
		}
		s := welcome(t, ClientConfig{})
		if err := s.c.Run(t.Context()); !errors.Is(err, ErrServed) {
			t.Errorf("Run: got %v, want %v", err, ErrServed)
		}
		s.part()
		if s.c.Cancel(&Call{}) {
			t.Error("Cancel of a call that was not started: got true")
		}
		s.c.GoAway()
		if err := s.c.Run(t.Context()); !errors.Is(err, ErrServed) {
			t.Errorf("Run: got %v, want %v", err, ErrServed)
		}
	})
}

// TestClientGoneBeforeRun has a connection given up before it ran.
func TestClientGoneBeforeRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := memnet.Pipe()
		var got []*Call
		c := NewClientConn(far, ClientConfig{Finished: func(calls []*Call) { got = append(got, calls...) }})
		call := pushCall(1, "x")
		if err := c.Start(call); err != nil {
			t.Errorf("Start: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := near.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
		if err := c.Run(ctx); err == nil {
			t.Error("Run: got nil")
		}
		if len(got) != 1 || got[0] != call || call.Err == nil {
			t.Errorf("finished: got %v", got)
		}
	})
}

// TestClientCredit has a peer send answers of more than all windows: what is
// taken is granted anew in time.
func TestClientCredit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := welcome(t, ClientConfig{MaxBodyBytes: 8 << 20})
		s.start("a")
		s.received()
		s.headers(1, false, ":status", "200")
		const frames = connWindowBytes / maxFrameBytes * 5 / 4
		stream, conn := int64(initialWindowBytes), int64(connWindowBytes)
		for i := range frames {
			s.must(s.fr.WriteData(1, i == frames-1, make([]byte, maxFrameBytes)))
			stream, conn = stream-maxFrameBytes, conn-maxFrameBytes
			for _, line := range s.received() {
				var id, n int64
				if _, err := fmt.Sscanf(line, "WINDOW_UPDATE %d %d", &id, &n); err != nil {
					t.Errorf("received %s", line)
				}
				if id == 0 {
					conn += n
				} else {
					stream += n
				}
			}
			if i < frames-1 && stream < maxFrameBytes || conn < maxFrameBytes {
				t.Fatalf("windows: got %d and %d, want room for a frame", stream, conn)
			}
		}
		synctest.Wait()
		if len(s.calls) != 1 || s.calls[0].Err != nil || len(s.calls[0].AnswerBody) != frames*maxFrameBytes {
			t.Errorf("finished: got %d calls", len(s.calls))
		}
		s.part()
	})
}
