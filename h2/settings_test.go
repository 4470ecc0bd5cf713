package h2

import (
	"fmt"
	"testing"
	"testing/synctest"

	"golang.org/x/net/http2"
)

func settingsLine(limit int) string { return fmt.Sprintf("SETTINGS 4096 %d 65535 16384 8000", limit) }

func TestSetMaxConcurrentStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &held{}
		p := connect(t, Config{Handler: h})
		p.c.SetMaxConcurrentStreams(1)
		p.c.SetMaxConcurrentStreams(1) // says nothing new
		p.want(settingsLine(1))
		p.request(1, "x")
		p.request(3, "x")
		p.want() // the peer has not acknowledged the lower limit
		p.must(p.fr.WriteSettingsAck())
		p.request(5, "x")
		p.want("RST_STREAM 5 REFUSED_STREAM")
		rs := h.take()
		if len(rs) != 2 {
			t.Fatalf("requests: got %d, want 2", len(rs))
		}
		rs[0].Respond(200, nil, nil)
		p.want("HEADERS 1 END_STREAM [:status=200]")
		p.request(7, "x")
		p.want("RST_STREAM 7 REFUSED_STREAM")
		rs[1].Respond(200, nil, nil)
		p.want("HEADERS 3 END_STREAM [:status=200]")
		p.request(9, "")
		p.want()

		p.c.SetMaxConcurrentStreams(2) // a higher limit holds at once
		p.request(11, "x")
		p.request(13, "x")
		p.want(settingsLine(2), "RST_STREAM 13 REFUSED_STREAM")
		for _, r := range h.take() {
			r.Respond(200, nil, nil)
		}
		p.want("HEADERS 9 END_STREAM [:status=200]", "HEADERS 11 END_STREAM [:status=200]")

		p.c.SetMaxConcurrentStreams(0)
		p.must(p.fr.WriteSettingsAck())
		p.must(p.fr.WriteSettingsAck())
		p.request(15, "")
		p.want(settingsLine(0), "RST_STREAM 15 REFUSED_STREAM")
		p.close()
	})
}

func TestSetMaxConcurrentStreamsFromTheHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, Config{Handler: handlerFunc(func(r *Request) {
			r.Conn().SetMaxConcurrentStreams(r.StreamID())
			r.Respond(403, nil, nil)
		})})
		p.request(1, "")
		p.request(3, "")
		p.want(settingsLine(1), "HEADERS 1 END_STREAM [:status=403]", settingsLine(3), "HEADERS 3 END_STREAM [:status=403]")
		p.close()
	})
}

// A peer that is slow to acknowledge gets the last limit, if not each one.
func TestManySettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, Config{Handler: echo})
		var want []string
		for i := range uint32(100) {
			p.c.SetMaxConcurrentStreams(i + 1)
			if i < maxUnackedSettings {
				want = append(want, settingsLine(int(i+1)))
			}
		}
		p.want(want...)
		p.must(p.fr.WriteSettingsAck())
		p.want(settingsLine(100))
		p.close()
	})
}

func TestFirstLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &held{}
		p := dial(t, Config{Handler: h, MaxConcurrentStreams: 1})
		p.read()
		p.write([]byte(clientPreface))
		p.must(p.fr.WriteSettings())
		p.request(1, "x")
		p.request(3, "x")
		p.want(settingsLine(1), fmt.Sprintf("WINDOW_UPDATE 0 %d", connWindowBytes-initialWindowBytes), "SETTINGS ACK")
		p.must(p.fr.WriteSettingsAck())
		p.request(5, "x")
		p.want("RST_STREAM 5 REFUSED_STREAM")
		for _, r := range h.take() {
			r.Respond(200, nil, nil)
		}
		p.want("HEADERS 1 END_STREAM [:status=200]", "HEADERS 3 END_STREAM [:status=200]")
		p.close()
	})
}

// The peer's table shrinks: its decoder must be told before it meets a block.
func TestPeersHeaderTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, Config{Handler: echo}, http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0})
		p.request(1, "")
		p.must(p.fr.WriteSettings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: 100000}))
		p.request(3, "")
		p.want("HEADERS 1 END_STREAM [:status=200]", "SETTINGS ACK", "HEADERS 3 END_STREAM [:status=200]")
		p.close()
	})
}

// A limit that changes with each answer makes the peer acknowledge as often.
func TestEndlessSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, Config{Handler: echo})
		for i := range 1000 {
			p.c.SetMaxConcurrentStreams(uint32(i%2) + 1)
			p.want(settingsLine(i%2 + 1))
			p.must(p.fr.WriteSettingsAck())
		}
		p.want()
		p.close()
	})
}
