package h2

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
)

const shutdown = `{"reason":"Shutdown"}`

func TestGoAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &held{}
		p := connect(t, Config{Handler: h})
		p.request(1, "x")
		p.want()
		p.c.GoAway(http2.ErrCodeNo, []byte(shutdown))
		p.c.GoAway(http2.ErrCodeNo, []byte("again"))
		p.want("GOAWAY 2147483647 NO_ERROR "+shutdown, "PING")
		p.request(3, "x") // on its way when the peer learned of it
		p.must(p.fr.WritePing(true, goAwayPing))
		p.request(5, "x")
		p.want("GOAWAY 3 NO_ERROR "+shutdown, "RST_STREAM 5 REFUSED_STREAM")
		rs := h.take()
		if len(rs) != 2 {
			t.Fatalf("requests: got %d, want 2", len(rs))
		}
		rs[1].Respond(200, nil, nil)
		p.want("HEADERS 3 END_STREAM [:status=200]")
		rs[0].Respond(200, nil, []byte("x"))
		p.want("HEADERS 1 [:status=200]", "DATA 1 END_STREAM 1", "closed")
		p.close()
	})
}

func TestGoAwayUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &held{}
		p := connect(t, Config{Handler: h, DrainTimeout: time.Minute})
		p.request(1, "x")
		p.c.GoAway(http2.ErrCodeNo, []byte(shutdown))
		p.want("GOAWAY 2147483647 NO_ERROR "+shutdown, "PING")
		time.Sleep(goAwayPingTimeout)
		p.want("GOAWAY 1 NO_ERROR " + shutdown)
		time.Sleep(time.Minute - goAwayPingTimeout)
		p.want("closed")
		p.close()
		for _, r := range h.take() {
			r.Respond(200, nil, nil)
		}
	})
}

func TestGoAwayBeforeServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := dial(t, Config{Handler: echo})
		p.c.GoAway(http2.ErrCodeNo, nil)
		p.read()
		p.write([]byte(clientPreface))
		p.must(p.fr.WriteSettings())
		p.must(p.fr.WritePing(true, goAwayPing))
		got := p.received()
		if n := len(got); n < 2 || got[n-2] != "GOAWAY 0 NO_ERROR " || got[n-1] != "closed" {
			t.Errorf("received %q", got)
		}
		p.close()
	})
}

func TestRefuse(t *testing.T) {
	const reason = `{"reason":"BadCertificateEnvironment"}`
	for _, tt := range []struct {
		name string
		run  func(p *peer)
	}{
		{"from outside", func(p *peer) { p.c.Refuse(http2.ErrCodeNo, []byte(reason)) }},
		{"from the handler", func(p *peer) {
			p.request(1, "")
			p.request(3, "")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				p := connect(t, Config{Handler: handlerFunc(func(r *Request) {
					calls++
					r.Conn().Refuse(http2.ErrCodeNo, []byte(reason))
					r.Respond(403, nil, nil)
				})})
				tt.run(p)
				p.want("GOAWAY 0 NO_ERROR "+reason, "closed")
				var ce *ConnError
				if err := p.ended(); !errors.As(err, &ce) || ce.Reason != reason {
					t.Errorf("Serve: got %v, want the reason", err)
				}
				if calls > 1 {
					t.Errorf("requests after the end: got %d, want none", calls-1)
				}
			})
		})
	}
}

// A peer that says GOAWAY gets the answers it waits for.
func TestGoAwayFromPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &held{}
		p := connect(t, Config{Handler: h})
		p.request(1, "x")
		p.must(p.fr.WriteGoAway(0, http2.ErrCodeNo, nil))
		p.want()
		for _, r := range h.take() {
			r.Respond(200, nil, nil)
		}
		p.want("HEADERS 1 END_STREAM [:status=200]", "closed")
		p.close()
	})
}

// A peer that does not read cannot make the connection outlive its drain
// timeout, whether a write is blocked already or not, and whoever is writing.
func TestDrainTimeoutAndBlockedWrite(t *testing.T) {
	for _, tt := range []struct {
		name    string
		handler func(later chan<- *Request) Handler
		blocked time.Duration // before GoAway
	}{
		{"read loop writes", func(chan<- *Request) Handler { return reply(8000) }, time.Second},
		{"keeper writes", func(later chan<- *Request) Handler {
			return handlerFunc(func(r *Request) { later <- r })
		}, time.Second},
		{"not blocked yet", func(later chan<- *Request) Handler {
			return handlerFunc(func(r *Request) { later <- r })
		}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				later := make(chan *Request, 1000)
				p := dial(t, Config{Handler: tt.handler(later), WriteTimeout: time.Hour, DrainTimeout: 3 * time.Second})
				p.write([]byte(clientPreface))
				p.must(p.fr.WriteSettings(initialWindow(maxWindowBytes)))
				p.must(p.fr.WriteWindowUpdate(0, 1<<30))
				p.must(p.nc.SetWriteDeadline(time.Now().Add(time.Second)))
				for i := range uint32(100) {
					p.request(2*i+1, "")
				}
				synctest.Wait()
				if tt.blocked == 0 {
					p.c.GoAway(http2.ErrCodeNo, nil)
				}
				for n := len(later); n > 0; n-- {
					(<-later).Respond(400, nil, make([]byte, 8000))
				}
				time.Sleep(tt.blocked)
				start := time.Now()
				p.c.GoAway(http2.ErrCodeNo, nil)
				if err := p.ended(); err != nil {
					t.Errorf("Serve: got %v, want nil", err)
				}
				if d := time.Since(start); d < 3*time.Second || d > 3*time.Second+2*lingerTimeout {
					t.Errorf("Serve took %v after GoAway, want 3 s", d)
				}
				p.must(p.nc.Close())
			})
		})
	}
}

// So it is when the context is cancelled.
func TestContextAndBlockedWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := dial(t, Config{Handler: reply(8000), WriteTimeout: time.Hour})
		p.write([]byte(clientPreface))
		p.must(p.fr.WriteSettings(initialWindow(maxWindowBytes)))
		p.must(p.fr.WriteWindowUpdate(0, 1<<30))
		for i := range uint32(100) {
			p.request(2*i+1, "")
		}
		synctest.Wait()
		start := time.Now()
		p.cancel()
		if err := p.ended(); !errors.Is(err, context.Canceled) {
			t.Errorf("Serve: got %v, want the cause", err)
		}
		if d := time.Since(start); d > 2*lingerTimeout {
			t.Errorf("Serve took %v", d)
		}
		p.must(p.nc.Close())
	})
}
