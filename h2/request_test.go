package h2

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// seen is what a handler was given.
type seen struct {
	Method, Path, Authority string
	Fields                  []string
	Body                    string
	TooLarge                bool
}

func look(r *Request) seen {
	s := seen{strings.Clone(r.Method), strings.Clone(r.Path), strings.Clone(r.Authority), nil, string(r.Body), r.BodyTooLarge}
	for _, f := range r.Fields {
		s.Fields = append(s.Fields, f.Name+"="+f.Value)
	}
	return s
}

func TestRequest(t *testing.T) {
	tests := []struct {
		name string
		send func(p *peer)
		want seen
	}{
		{
			"fields in order, repetitions included",
			func(p *peer) { p.headers(1, true, post("apns-topic", "a", "x", "", "apns-topic", "b")...) },
			seen{Method: "POST", Path: "/3/device/00", Authority: "localhost", Fields: []string{"apns-topic=a", "x=", "apns-topic=b"}},
		},
		{
			"host for authority",
			func(p *peer) {
				p.headers(1, true, ":method", "POST", ":scheme", "https", ":path", "/", "host", "h")
			},
			seen{Method: "POST", Path: "/", Authority: "h", Fields: []string{"host=h"}},
		},
		{
			"authority before host",
			func(p *peer) { p.headers(1, true, post("host", "h")...) },
			seen{Method: "POST", Path: "/3/device/00", Authority: "localhost", Fields: []string{"host=h"}},
		},
		{
			"CONNECT",
			func(p *peer) { p.headers(1, true, ":method", "CONNECT", ":authority", "h") },
			seen{Method: "CONNECT", Authority: "h"},
		},
		{
			"block in fragments, the first one empty",
			func(p *peer) {
				b := p.fields(post("a", "b")...)
				p.must(p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndStream: true}))
				for _, c := range b[:10] {
					p.must(p.fr.WriteContinuation(1, false, []byte{c}))
				}
				p.must(p.fr.WriteContinuation(1, true, b[10:]))
			},
			seen{Method: "POST", Path: "/3/device/00", Authority: "localhost", Fields: []string{"a=b"}},
		},
		{
			"padding and priority",
			func(p *peer) {
				p.must(p.fr.WriteHeaders(http2.HeadersFrameParam{
					StreamID: 1, BlockFragment: p.fields(post()...), EndHeaders: true, PadLength: 200,
					Priority: http2.PriorityParam{StreamDep: 7, Weight: 9},
				}))
				p.must(p.fr.WriteDataPadded(1, false, []byte("ab"), make([]byte, 255)))
				p.must(p.fr.WriteDataPadded(1, true, []byte("c"), nil))
			},
			seen{Method: "POST", Path: "/3/device/00", Authority: "localhost", Body: "abc"},
		},
		{
			"body in frames, the last one empty",
			func(p *peer) {
				p.headers(1, false, post("content-length", "3")...)
				p.must(p.fr.WriteData(1, false, nil))
				p.must(p.fr.WriteData(1, false, []byte("ab")))
				p.must(p.fr.WriteData(1, false, []byte("c")))
				p.must(p.fr.WriteData(1, true, nil))
			},
			seen{Method: "POST", Path: "/3/device/00", Authority: "localhost", Fields: []string{"content-length=3"}, Body: "abc"},
		},
		{
			"trailers are dropped",
			func(p *peer) {
				p.headers(1, false, post()...)
				p.must(p.fr.WriteData(1, false, []byte("ab")))
				p.headers(1, true, "grpc-status", "0")
			},
			seen{Method: "POST", Path: "/3/device/00", Authority: "localhost", Body: "ab"},
		},
		{
			"body at the limit",
			func(p *peer) { p.request(1, strings.Repeat("x", 10)) },
			seen{Method: "POST", Path: "/3/device/00", Authority: "localhost", Body: "xxxxxxxxxx"},
		},
		{
			"body over the limit",
			func(p *peer) { p.request(1, strings.Repeat("x", 11)) },
			seen{Method: "POST", Path: "/3/device/00", Authority: "localhost", Body: "xxxxxxxxxx", TooLarge: true},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got []seen
				p := connect(t, Config{MaxBodyBytes: 10, Handler: handlerFunc(func(r *Request) {
					got = append(got, look(r))
					r.Respond(200, nil, nil)
				})})
				tt.send(p)
				p.want("HEADERS 1 END_STREAM [:status=200]")
				if diff := cmp.Diff([]seen{tt.want}, got); diff != "" {
					t.Errorf("request (-want +got):\n%s", diff)
				}
				p.close()
			})
		})
	}
}

func TestAnswer(t *testing.T) {
	long := strings.Repeat("v", 20000)
	tests := []struct {
		name   string
		status int
		fields []hpack.HeaderField
		body   int
		want   []string
	}{
		{"no body", 200, []hpack.HeaderField{{Name: "apns-id", Value: "A"}}, 0, []string{"HEADERS 1 END_STREAM [:status=200 apns-id=A]"}},
		{"body", 410, []hpack.HeaderField{{Name: "content-type", Value: "application/json"}}, 40, []string{"HEADERS 1 [:status=410 content-type=application/json]", "DATA 1 END_STREAM 40"}},
		{"largest body in one frame", 200, nil, 16384, []string{"HEADERS 1 [:status=200]", "DATA 1 END_STREAM 16384"}},
		{"body in two frames", 200, nil, 16385, []string{"HEADERS 1 [:status=200]", "DATA 1 16384", "DATA 1 END_STREAM 1"}},
		{"body beyond the window", 200, nil, 65536, []string{"HEADERS 1 [:status=200]", "DATA 1 16384", "DATA 1 16384", "DATA 1 16384", "DATA 1 16383"}},
		{"status out of range", 42, nil, 0, []string{"HEADERS 1 END_STREAM [:status=500]"}},
		{"block in two frames", 200, []hpack.HeaderField{{Name: "x", Value: long}}, 0, []string{"HEADERS 1 END_STREAM [:status=200]", "CONTINUATION 1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := connect(t, Config{Handler: handlerFunc(func(r *Request) {
					r.Respond(tt.status, tt.fields, make([]byte, tt.body))
				})})
				p.request(1, "x")
				p.want(tt.want...)
				p.close()
			})
		})
	}
}

func TestAnswerToHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, Config{Handler: handlerFunc(func(r *Request) {
			r.Respond(404, []hpack.HeaderField{{Name: "content-length", Value: "22"}}, []byte(`{"reason":"NotAllowed"}`))
		})})
		p.headers(1, true, ":method", "HEAD", ":scheme", "https", ":path", "/", ":authority", "localhost")
		p.want("HEADERS 1 END_STREAM [:status=404 content-length=22]")
		p.headers(3, false, ":method", "HEAD", ":scheme", "https", ":path", "/", ":authority", "localhost")
		p.must(p.fr.WriteData(3, true, []byte("x")))
		p.want("HEADERS 3 END_STREAM [:status=404 content-length=22]")
		p.close()
	})
}

// The value that a memo stands for is that of the field, and the handler finds
// what it kept. Fields that are not remembered have none.
func TestRequestMemo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		p := connect(t, Config{Handler: handlerFunc(func(r *Request) {
			for i, f := range r.Fields {
				if m := r.Memo(i); m != nil {
					if m.Value != f.Value {
						t.Errorf("memo of %q for %q", m.Value, f.Value)
					}
					n, _ := m.Kept.(int)
					m.Kept = n + 1
					got = append(got, fmt.Sprintf("%s %s %d", f.Name, strings.Clone(f.Value), n))
				}
			}
			r.Respond(200, nil, nil)
		})})
		for i, v := range []string{"a", "a", "b", "a", "b"} {
			p.headers(uint32(2*i+1), true, post("x", v, "authorization", v, "y", v)...)
		}
		p.received()
		// The encoder puts them into the table: the second time is the first from there.
		want := []string{"authorization a 0", "authorization a 1", "authorization b 0"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("memos (-want +got):\n%s", diff)
		}
		p.close()
	})
}

func TestAnswerLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &held{}
		p := connect(t, Config{Handler: h})
		const n = 200
		for i := range uint32(n) {
			p.request(2*i+1, "x")
		}
		p.want()
		p.must(p.fr.WritePing(false, [8]byte{}))
		p.want("PING ACK") // while all are in progress
		var want []string
		for i, r := range h.take() {
			want = append(want, fmt.Sprintf("HEADERS %d END_STREAM [:status=200]", 2*i+1))
			go r.Respond(200, nil, nil)
		}
		got := p.received()
		seen := make(map[string]bool)
		for _, line := range got {
			seen[line] = true
		}
		for _, line := range want {
			if !seen[line] {
				t.Errorf("missing %s", line)
			}
		}
		if len(got) != n {
			t.Errorf("frames: got %d, want %d", len(got), n)
		}
		p.close()
	})
}

func TestAnswerAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &held{}
		p := connect(t, Config{Handler: h})
		p.request(1, "x")
		p.request(3, "x")
		p.request(5, "x")
		p.must(p.fr.WriteRSTStream(1, http2.ErrCodeCancel))
		p.want()
		rs := h.take()
		rs[0].Respond(200, nil, []byte("x")) // its stream is reset
		p.want()
		p.close()
		rs[1].Respond(200, nil, []byte("x")) // the connection has ended
		rs[2].Reset(http2.ErrCodeInternal)
		p.c.SetMaxConcurrentStreams(1)
		p.c.GoAway(http2.ErrCodeNo, nil)
		p.c.Refuse(http2.ErrCodeNo, nil)
		if got := p.c.working; got != 0 {
			t.Errorf("requests in progress: got %d, want 0", got)
		}
	})
}

func TestReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, Config{Handler: handlerFunc(func(r *Request) { r.Reset(http2.ErrCodeInternal) })})
		p.request(1, "x")
		p.want("RST_STREAM 1 INTERNAL_ERROR")
		p.close()
	})
}

// A neglected request keeps its stream, until the peer gives it up, and nothing else.
func TestNeglect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 1000
		p := connect(t, Config{Handler: handlerFunc(func(r *Request) {
			if r.StreamID() < 2*limit {
				r.Neglect()
				return
			}
			r.Respond(200, nil, nil)
		})})
		for id := uint32(1); id < 2*limit; id += 2 {
			p.request(id, "")
		}
		p.want()
		p.request(2*limit+1, "")
		p.want(fmt.Sprintf("RST_STREAM %d REFUSED_STREAM", 2*limit+1))
		p.must(p.fr.WriteRSTStream(1, http2.ErrCodeCancel))
		time.Sleep(time.Hour)
		p.request(2*limit+3, "")
		if got := p.received(); len(got) != 1 || !strings.HasPrefix(got[0], fmt.Sprintf("HEADERS %d ", 2*limit+3)) {
			t.Errorf("got %q, want an answer", got)
		}
		if got := p.c.working; got != 0 {
			t.Errorf("requests in progress: got %d, want 0", got)
		}
		p.close()
	})
}

func TestBodyFarTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, Config{MaxBodyBytes: 100, Handler: handlerFunc(func(r *Request) {
			if r.StreamID() == 1 && (!r.BodyTooLarge || len(r.Body) != 100) {
				t.Errorf("body: got %d bytes, too large %v", len(r.Body), r.BodyTooLarge)
			}
			r.Respond(413, nil, []byte("{}"))
		})})
		p.headers(1, false, post()...)
		chunk := make([]byte, 16000)
		for sent := 0; sent <= 100+maxDiscardedBodyBytes; sent += len(chunk) {
			p.must(p.fr.WriteData(1, false, chunk))
		}
		got := p.received()
		if n := len(got); n < 3 {
			t.Fatalf("received %q", got)
		}
		want := []string{"HEADERS 1 [:status=413]", "DATA 1 END_STREAM 2", "RST_STREAM 1 NO_ERROR"}
		if diff := cmp.Diff(want, got[len(got)-3:]); diff != "" {
			t.Errorf("answer (-want +got):\n%s", diff)
		}
		// What the peer had sent by then is not held against it.
		p.must(p.fr.WriteData(1, false, chunk))
		p.must(p.fr.WriteData(1, true, chunk))
		p.request(3, "x")
		p.want("HEADERS 3 [:status=413]", "DATA 3 END_STREAM 2")
		p.close()
	})
}

func TestContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &held{}
		p := connect(t, Config{Handler: h})
		p.request(1, "x")
		p.want()
		p.cancel()
		p.want("GOAWAY 1 NO_ERROR ", "closed")
		if err := p.ended(); err == nil || err.Error() != "context canceled" {
			t.Errorf("Serve: got %v, want context canceled", err)
		}
		for _, r := range h.take() {
			r.Respond(200, nil, nil)
		}
		if err := p.c.Serve(t.Context()); err != ErrServed { //nolint:errorlint // it is returned as it is
			t.Errorf("second Serve: got %v, want %v", err, ErrServed)
		}
		time.Sleep(time.Hour) // nothing is left that could fire
	})
}
