package h2

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
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

// New streams and the ACK of a lower limit cross each other on the wire: what was
// sent before the ACK is served, what comes after it is refused, wherever in a
// batch the ACK is.
func TestLoweredLimitAndAck(t *testing.T) {
	for before := range uint32(6) {
		t.Run(fmt.Sprint(before, " before"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &held{}
				p := connect(t, Config{Handler: h})
				p.c.SetMaxConcurrentStreams(1)
				p.want(settingsLine(1))
				// All in one write.
				var out bytes.Buffer
				fr := http2.NewFramer(&out, nil)
				send := func(id uint32) {
					p.must(fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: p.fields(post()...), EndStream: true, EndHeaders: true}))
				}
				var want []string
				for i := range uint32(6) {
					if i == before {
						p.must(fr.WriteSettingsAck())
					}
					send(2*i + 1)
					if i >= max(before, 1) {
						want = append(want, fmt.Sprintf("RST_STREAM %d REFUSED_STREAM", 2*i+1))
					}
				}
				p.write(out.Bytes())
				p.want(want...)
				rs := h.take()
				if n := int(max(before, 1)); len(rs) != n {
					t.Fatalf("requests: got %d, want %d", len(rs), n)
				}
				for _, r := range rs {
					r.Respond(200, nil, nil)
				}
				p.received()
				p.request(101, "")
				p.request(103, "")
				p.want("RST_STREAM 103 REFUSED_STREAM")
				for _, r := range h.take() {
					r.Respond(200, nil, nil)
				}
				p.want("HEADERS 101 END_STREAM [:status=200]")
				p.close()
			})
		})
	}
}

// A limit that is lowered and raised again before the peer knows never binds.
func TestLimitLoweredAndRaised(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &held{}
		p := connect(t, Config{Handler: h})
		answer := func() {
			for _, r := range h.take() {
				r.Respond(200, nil, nil)
			}
			p.received()
		}
		p.c.SetMaxConcurrentStreams(1)
		p.c.SetMaxConcurrentStreams(1000)
		p.want(settingsLine(1), settingsLine(1000))
		p.request(1, "")
		p.request(3, "")
		p.must(p.fr.WriteSettingsAck()) // of the lower one; the higher one holds since it was sent
		p.request(5, "")
		p.want()
		answer()
		p.must(p.fr.WriteSettingsAck())
		p.request(7, "")
		p.request(9, "")
		p.want()
		answer()

		p.c.SetMaxConcurrentStreams(1)
		p.must(p.fr.WriteSettingsAck())
		p.want(settingsLine(1))
		p.c.SetMaxConcurrentStreams(1000)
		p.request(11, "") // before it is acknowledged
		p.request(13, "")
		p.want(settingsLine(1000))
		p.must(p.fr.WriteSettingsAck())
		p.request(15, "")
		p.want()
		answer()
		p.close()
	})
}

// A peer that goes on opening streams above the limit is sent away, with the
// code that Apple's service has for it and the last stream that was taken in.
func TestFarMoreStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &held{}
		p := connect(t, Config{Handler: h})
		p.c.SetMaxConcurrentStreams(1)
		p.must(p.fr.WriteSettingsAck())
		p.request(1, "x")
		p.want(settingsLine(1))
		for i := range uint32(2001) {
			p.request(2*i+3, "") // a client gives DATA after it too, mostly
			if i%100 == 50 {
				p.received()
			}
		}
		got := p.received()
		if n := len(got); n < 2 || got[n-2] != "GOAWAY 1 REFUSED_STREAM far more streams than SETTINGS_MAX_CONCURRENT_STREAMS" {
			t.Errorf("received %q", got[max(0, len(got)-3):])
		}
		var ce *ConnError
		if err := p.ended(); !errors.As(err, &ce) || ce.Code != http2.ErrCodeRefusedStream {
			t.Errorf("Serve: got %v", err)
		}
		for _, r := range h.take() {
			r.Respond(200, nil, nil)
		}
		p.must(p.nc.Close())
	})
}

// The DATA of a stream that was refused is no offence.
func TestDataOfARefusedStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &held{}
		p := connect(t, Config{Handler: h})
		p.c.SetMaxConcurrentStreams(1)
		p.must(p.fr.WriteSettingsAck())
		p.want(settingsLine(1))
		p.request(1, "x")
		for i := range uint32(1000) {
			p.request(2*i+3, "x")
		}
		for _, line := range p.received() {
			if !strings.HasSuffix(line, " REFUSED_STREAM") {
				t.Errorf("received %s", line)
			}
		}
		for _, r := range h.take() {
			r.Respond(200, nil, nil)
		}
		p.want("HEADERS 1 END_STREAM [:status=200]")
		p.close()
	})
}
