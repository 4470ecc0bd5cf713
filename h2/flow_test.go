package h2

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
)

// reply is a handler that answers with n bytes.
func reply(n int) Handler {
	return handlerFunc(func(r *Request) { r.Respond(400, nil, make([]byte, n)) })
}

func initialWindow(n uint32) http2.Setting {
	return http2.Setting{ID: http2.SettingInitialWindowSize, Val: n}
}

func TestStreamWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, Config{Handler: reply(30)}, initialWindow(0))
		p.request(1, "")
		p.request(3, "")
		p.want("HEADERS 1 [:status=400]", "HEADERS 3 [:status=400]")
		p.must(p.fr.WriteWindowUpdate(3, 10))
		p.want("DATA 3 10") // cut: the window will not grow before it is used
		p.must(p.fr.WriteSettings(initialWindow(25)))
		p.want("SETTINGS ACK", "DATA 1 25", "DATA 3 END_STREAM 20")
		p.must(p.fr.WriteSettings(initialWindow(20)))
		p.want("SETTINGS ACK") // the window of stream 1 is -5 now
		p.must(p.fr.WriteWindowUpdate(1, 5))
		p.want()
		p.must(p.fr.WriteWindowUpdate(1, 5))
		p.want("DATA 1 END_STREAM 5")
		p.close()
	})
}

func TestConnWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, Config{Handler: reply(16000)})
		for i := range uint32(6) {
			p.request(2*i+1, "")
		}
		p.want(
			"HEADERS 1 [:status=400]", "DATA 1 END_STREAM 16000", "HEADERS 3 [:status=400]", "DATA 3 END_STREAM 16000",
			"HEADERS 5 [:status=400]", "DATA 5 END_STREAM 16000", "HEADERS 7 [:status=400]", "DATA 7 END_STREAM 16000",
			"HEADERS 9 [:status=400]", "HEADERS 11 [:status=400]",
		)
		p.must(p.fr.WriteWindowUpdate(0, 1000)) // 2535 now: a body that fits into one frame is not cut
		p.want()
		p.must(p.fr.WriteWindowUpdate(0, 14000))
		p.want("DATA 9 END_STREAM 16000")
		p.must(p.fr.WriteRSTStream(11, http2.ErrCodeCancel))
		p.want()
		p.c.mu.Lock()
		if p.c.blockedBytes != 0 || p.c.blocked.head != nil {
			t.Errorf("waiting for window: got %d bytes, want none", p.c.blockedBytes)
		}
		p.c.mu.Unlock()
		p.close()
	})
}

// A client that never gives credit back: 65535 bytes of answers, and no more.
func TestNoCredit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, Config{Handler: reply(51), BlockedTimeout: 7 * time.Second})
		for i := range uint32(1285) {
			p.request(2*i+1, "")
		}
		if got := len(p.received()); got != 2*1285 {
			t.Errorf("frames of answers: got %d, want %d", got, 2*1285)
		}
		start := time.Now()
		p.request(2*1285+1, "")
		p.want("HEADERS 2571 [:status=400]")
		time.Sleep(6 * time.Second)
		p.want()
		time.Sleep(time.Second)
		p.wantGoAway(http2.ErrCodeEnhanceYourCalm)
		if d := time.Since(start); d > 9*time.Second {
			t.Errorf("time until the end: got %v, want about 7 s", d)
		}
	})
}

func TestTooManyBlockedBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, Config{Handler: reply(1000), MaxBlockedBytes: 10000}, initialWindow(0))
		for i := range uint32(11) {
			p.request(2*i+1, "")
		}
		p.wantGoAway(http2.ErrCodeEnhanceYourCalm)
	})
}

// Credit for bodies comes back promptly, so that one connection can send for ever.
func TestReceiveWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, Config{Handler: reply(0)})
		body := strings.Repeat("x", 4096)
		sent, granted := 0, connWindowBytes
		for i := range uint32(3000) {
			p.request(2*i+1, body)
			sent += len(body)
			for _, line := range p.received() {
				var n int
				if _, err := fmt.Sscanf(line, "WINDOW_UPDATE 0 %d", &n); err == nil {
					granted += n
				}
			}
			if left := granted - sent; left < connWindowBytes/2-len(body) {
				t.Fatalf("window after %d bytes: got %d", sent, left)
			}
		}
		p.close()
	})
}

// A body larger than the window of its stream is read.
func TestReceiveStreamWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, Config{MaxBodyBytes: 1 << 20, Handler: handlerFunc(func(r *Request) {
			r.Respond(200, nil, fmt.Appendf(nil, "%d %v", len(r.Body), r.BodyTooLarge))
		})})
		p.headers(1, false, post()...)
		for range 10 {
			p.must(p.fr.WriteData(1, false, make([]byte, 16384)))
		}
		p.must(p.fr.WriteData(1, true, make([]byte, 16384)))
		got := p.received()
		if got[len(got)-1] != "DATA 1 END_STREAM 12" {
			t.Errorf("received %q", got)
		}
		p.close()
	})
}
