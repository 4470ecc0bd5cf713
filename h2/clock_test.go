package h2

import (
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
)

func TestPrefaceTimeout(t *testing.T) {
	for _, sent := range []string{"", clientPreface[:10], clientPreface, clientPreface + "\x00\x00\x06\x04"} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			p := dial(t, Config{Handler: echo, PrefaceTimeout: 3 * time.Second})
			p.read()
			p.write([]byte(sent))
			time.Sleep(3 * time.Second)
			p.wantGoAway(http2.ErrCodeProtocol)
			if d := time.Since(start); d > 5*time.Second {
				t.Errorf("after %q: Serve took %v, want about 3 s", sent, d)
			}
		})
	}
}

func TestIdleTimeout(t *testing.T) {
	const idle = `{"reason":"IdleTimeout"}`
	synctest.Test(t, func(t *testing.T) {
		h := &held{}
		p := connect(t, Config{Handler: h, IdleTimeout: time.Hour, IdleDebugData: []byte(idle)})
		time.Sleep(50 * time.Minute)
		p.must(p.fr.WritePing(false, [8]byte{}))
		p.want("PING ACK")
		time.Sleep(50 * time.Minute)
		p.request(1, "x")
		time.Sleep(3 * time.Hour) // a request in progress keeps it alive
		p.want()
		for _, r := range h.take() {
			r.Respond(200, nil, nil)
		}
		p.want("HEADERS 1 END_STREAM [:status=200]")
		time.Sleep(2 * time.Hour)
		p.want("GOAWAY 2147483647 NO_ERROR "+idle, "PING", "GOAWAY 1 NO_ERROR "+idle, "closed")
		p.close()
	})
}

func TestNoIdleTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, Config{Handler: echo, IdleTimeout: -1})
		time.Sleep(1000 * time.Hour)
		p.want()
		p.close()
	})
}

func TestPingAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, Config{Handler: echo, PingAfter: time.Minute, PingTimeout: 5 * time.Second, IdleTimeout: time.Hour})
		for range 10 {
			time.Sleep(time.Minute)
			p.want("PING")
			p.must(p.fr.WritePing(true, [8]byte{}))
			p.want()
		}
		time.Sleep(time.Minute)
		p.want("PING")
		time.Sleep(5 * time.Second)
		p.wantGoAway(http2.ErrCodeNo)
	})
}

// A peer that answers each PING and does nothing else is idle all the same.
func TestPingIsNoActivity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, Config{Handler: echo, PingAfter: time.Minute, IdleTimeout: 10 * time.Minute})
		for range 9 {
			time.Sleep(time.Minute)
			p.must(p.fr.WritePing(true, [8]byte{}))
		}
		time.Sleep(2 * time.Minute)
		got := p.received()
		if last := got[len(got)-1]; last != "closed" {
			t.Errorf("received %q, want the end", got)
		}
		p.close()
	})
}

func TestRequestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, Config{Handler: echo, RequestTimeout: 5 * time.Second})
		p.headers(1, false, post()...)
		time.Sleep(2 * time.Second)
		p.headers(3, false, post()...)
		p.must(p.fr.WriteData(1, false, []byte("x")))
		time.Sleep(3 * time.Second)
		p.want("RST_STREAM 1 CANCEL")
		time.Sleep(time.Second)
		p.must(p.fr.WriteData(3, true, []byte("x")))
		p.want("HEADERS 3 [:status=200]", "DATA 3 END_STREAM 1")
		time.Sleep(time.Minute)
		p.want()
		p.close()
	})
}

func TestSettingsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, Config{Handler: echo})
		time.Sleep(time.Minute)
		p.c.SetMaxConcurrentStreams(1)
		time.Sleep(settingsTimeout)
		p.wantGoAway(http2.ErrCodeSettingsTimeout)
	})
}

// A peer that does not read: neither the read loop nor an answer waits for
// it longer than the write timeout.
func TestWriteTimeout(t *testing.T) {
	for _, tt := range []struct {
		name    string
		handler func(answers chan<- *Request) Handler
	}{
		{"answers on the read loop", func(chan<- *Request) Handler { return reply(8000) }},
		{"answers from elsewhere", func(answers chan<- *Request) Handler {
			return handlerFunc(func(r *Request) { answers <- r })
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				answers := make(chan *Request, 10000)
				go func() {
					for r := range answers {
						before := time.Now()
						r.Respond(400, nil, make([]byte, 8000))
						if d := time.Since(before); d > 0 {
							t.Errorf("Respond took %v", d)
						}
					}
				}()
				p := dial(t, Config{Handler: tt.handler(answers), WriteTimeout: 4 * time.Second})
				start := time.Now()
				p.write([]byte(clientPreface))
				p.must(p.fr.WriteSettings(initialWindow(maxWindowBytes)))
				p.must(p.fr.WriteWindowUpdate(0, 1<<30))
				for i := range uint32(300) {
					p.request(2*i+1, "")
				}
				err := p.ended()
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("Serve: got %v, want a deadline exceeded", err)
				}
				if d := time.Since(start); d != 4*time.Second {
					t.Errorf("Serve took %v, want 4 s", d)
				}
				close(answers)
				if err := p.nc.Close(); err != nil {
					t.Errorf("closing: %v", err)
				}
			})
		})
	}
}

// A peer that neither reads nor stops sending: the output is bounded.
func TestOutputIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := make(chan *Request, 10000)
		go func() {
			for r := range answers {
				r.Respond(200, nil, nil)
			}
		}()
		defer close(answers)
		p := dial(t, Config{Handler: handlerFunc(func(r *Request) {
			c := r.Conn()
			c.mu.Lock()
			if n := len(c.out); n > 2*maxOutBytes {
				t.Errorf("output: got %d bytes, want at most about %d", n, maxOutBytes)
			}
			for c.working > 900 { // not so many that requests would be refused
				c.mu.Unlock()
				select {
				case r := <-answers:
					r.Respond(200, nil, nil)
				default:
				}
				c.mu.Lock()
			}
			c.mu.Unlock()
			answers <- r
		})})
		p.write([]byte(clientPreface))
		p.must(p.fr.WriteSettings())
		p.must(p.nc.SetWriteDeadline(time.Now().Add(3 * time.Second)))
		p.request(1, "")
		block := p.fields(post()...) // all of it from the table: a few bytes
		sent := 1
		for ; sent < 1_000_000; sent++ {
			err := p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*sent + 1), BlockFragment: block, EndStream: true, EndHeaders: true})
			if err != nil {
				break
			}
		}
		if sent == 1_000_000 {
			t.Error("a million requests were read though no answer was")
		}
		var ne net.Error
		if err := p.ended(); !errors.As(err, &ne) || !ne.Timeout() {
			t.Errorf("Serve: got %v, want a timeout", err)
		}
		p.must(p.nc.Close())
	})
}

// A frame or a header block that comes only in part may take as long as a request
// may, though the peer goes on sending.
func TestHalfOpen(t *testing.T) {
	frame := appendFrameHeader(nil, 16384, http2.FrameData, 0, 1)
	tests := []struct {
		name string
		send func(p *peer, i int)
	}{
		{"frame header", func(p *peer, i int) {
			if i == 0 {
				p.write(frame[:5])
			}
		}},
		{"frame", func(p *peer, i int) {
			if i == 0 {
				p.write(frame)
			}
			p.write([]byte{0})
		}},
		{"small frame", func(p *peer, i int) {
			if i == 0 {
				p.write(appendFrameHeader(nil, 30, http2.FrameData, 0, 1))
			}
			p.write([]byte{0})
		}},
		{"header block", func(p *peer, i int) {
			if i == 0 {
				p.must(p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 3}))
			} else if i < 5 {
				p.must(p.fr.WriteContinuation(3, false, nil))
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := connect(t, Config{Handler: echo, RequestTimeout: 20 * time.Second})
				time.Sleep(time.Hour)
				p.must(p.fr.WritePing(false, [8]byte{})) // what is whole is no offence
				p.want("PING ACK")
				start := time.Now()
				for i := range 9 {
					tt.send(p, i)
					time.Sleep(2 * time.Second)
				}
				p.want()
				time.Sleep(2 * time.Second)
				p.wantGoAway(http2.ErrCodeEnhanceYourCalm)
				if d := time.Since(start); d > 23*time.Second {
					t.Errorf("it took %v, want about 20 s", d)
				}
			})
		})
	}
}
