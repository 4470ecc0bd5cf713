package h2

import (
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
