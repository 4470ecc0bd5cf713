package scripted_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/heraldpush/herald/apnstest/scripted"
)

// TestViolations shows that what a client does against the rules is found, and
// what it sees of it.
func TestViolations(t *testing.T) {
	fields := func(change func([]hpack.HeaderField) []hpack.HeaderField) func(*peer) {
		return func(p *peer) { p.headers(change(pushFields(phone, 0)), true) }
	}
	for _, tt := range []struct {
		name   string
		script scripted.Script
		do     func(*peer)
		want   string // a part of the violation; empty for none
	}{
		{"a good push", scripted.Script{}, func(p *peer) { p.push() }, ""},
		{"too many streams before the limit was known", scripted.Script{Streams: 1}, func(p *peer) {
			for range 3 {
				p.headers(pushFields(phone, 9), false)
			}
		}, ""},
		{"too many streams", scripted.Script{Streams: 1}, func(p *peer) {
			p.seen()
			p.headers(pushFields(phone, 9), false)
			p.headers(pushFields(phone, 9), false)
		}, "2 streams at once: the limit it has acknowledged is 1"},
		{"too much DATA on the stream", scripted.Script{Window: 10}, func(p *peer) {
			p.seen()
			p.push()
		}, "DATA of 25 bytes: 15 more than the window of the stream"},
		{"too much DATA on the connection", scripted.Script{NoCredit: true}, func(p *peer) {
			for range 5 {
				id := p.headers(pushFields(phone, 16384), false)
				p.must(p.framer.WriteData(id, true, make([]byte, 16384)))
			}
		}, "1 more than the window of the connection"},
		{"a new stream after GOAWAY", at(scripted.Step{Begun: 1, Do: scripted.GoAway{AtOnce: true}}), func(p *peer) {
			p.headers(pushFields(phone, 9), false)
			p.seen()
			for range 2 { // as often as it is asked whether it has read that
				p.must(p.framer.WritePing(true, [8]byte{'g', 'o', 'a', 'w', 'a', 'y', 0, 1}))
				p.must(p.framer.WritePing(true, [8]byte{'g', 'o', 'a', 'w', 'a', 'y', 0, 2}))
				p.seen()
			}
			p.push()
		}, "a new stream, although GOAWAY was read"},
		{"a new stream that was on its way at GOAWAY", at(scripted.Step{Begun: 1, Do: scripted.GoAway{AtOnce: true}}), func(p *peer) {
			p.headers(pushFields(phone, 9), false)
			p.push()
		}, ""},
		{"too short a body", scripted.Script{}, func(p *peer) {
			p.headers(pushFields(phone, 5), true)
		}, "content-length is 5, but the body has 0 bytes"},
		{"too long a body", scripted.Script{}, func(p *peer) {
			p.must(p.framer.WriteData(p.headers(pushFields(phone, 5), false), true, []byte("123456")))
		}, "content-length is 5, but the body has 6 bytes"},
		{"a pseudo-header field behind another", scripted.Script{}, fields(func(all []hpack.HeaderField) []hpack.HeaderField {
			slices.Reverse(all)
			return all
		}), "pseudo header field after regular"},
		{"an upper-case field", scripted.Script{}, fields(func(all []hpack.HeaderField) []hpack.HeaderField {
			return append(all, hpack.HeaderField{Name: "Apns-Id", Value: "x"})
		}), `invalid header field name "Apns-Id"`},
		{"no path", scripted.Script{}, fields(func(all []hpack.HeaderField) []hpack.HeaderField {
			return slices.Delete(all, 2, 3)
		}), "no :path"},
		{"no scheme", scripted.Script{}, fields(func(all []hpack.HeaderField) []hpack.HeaderField {
			return slices.Delete(all, 1, 2)
		}), "no :scheme"},
		{"a field of HTTP/1", scripted.Script{}, fields(func(all []hpack.HeaderField) []hpack.HeaderField {
			return append(all, hpack.HeaderField{Name: "connection", Value: "close"})
		}), `the field "connection" belongs to HTTP/1`},
		{"a content-length that is none", scripted.Script{}, fields(func(all []hpack.HeaderField) []hpack.HeaderField {
			all[len(all)-1].Value = "many"
			return all
		}), `content-length is "many"`},
		{"an even stream", scripted.Script{}, func(p *peer) { p.next = 2; p.push() }, "HEADERS on stream 2"},
		{"DATA from nowhere", scripted.Script{}, func(p *peer) {
			p.must(p.framer.WriteData(9, true, nil))
		}, "DATA on stream 9, which was not begun"},
		{"DATA behind the end", scripted.Script{SettingsDelay: time.Hour}, func(p *peer) {
			p.must(p.framer.WriteData(p.push(), true, nil))
		}, ""},
		{"RST_STREAM from nowhere", scripted.Script{}, func(p *peer) {
			p.must(p.framer.WriteRSTStream(9, http2.ErrCodeCancel))
		}, "RST_STREAM on stream 9, which was not begun"},
		{"a window beyond all", scripted.Script{}, func(p *peer) {
			p.must(p.framer.WriteWindowUpdate(0, 1<<31-1))
		}, "beyond the largest window"},
		{"no window", scripted.Script{}, func(p *peer) {
			p.must(p.framer.WriteWindowUpdate(0, 0))
		}, "a frame that is not one"},
		{"SETTINGS with nonsense", scripted.Script{}, func(p *peer) {
			p.must(p.framer.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1}))
		}, "SETTINGS with a value that cannot be"},
		{"an acknowledgement of nothing", scripted.Script{}, func(p *peer) {
			p.must(p.framer.WriteSettingsAck()) // beside that for the first
		}, "SETTINGS acknowledged that were never sent"},
		{"PUSH_PROMISE", scripted.Script{}, func(p *peer) {
			p.must(p.framer.WritePushPromise(http2.PushPromiseParam{StreamID: p.push(), PromiseID: 2, EndHeaders: true}))
		}, "PUSH_PROMISE"},
		{"too large a frame", scripted.Script{}, func(p *peer) {
			p.must(p.framer.WriteRawFrame(http2.FrameData, 0, 1, make([]byte, 16385)))
		}, "a frame of more than 16384 bytes"},
		{"HPACK that is none", scripted.Script{}, func(p *peer) {
			p.must(p.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0xff, 0xff, 0xff}, EndHeaders: true}))
		}, "a frame that is not one"},
		{"trailers without an end", scripted.Script{}, func(p *peer) {
			p.headers(pushFields(phone, 0), false)
			p.next -= 2
			p.headers([]hpack.HeaderField{{Name: "x", Value: "y"}}, false)
		}, "HEADERS again"},
		{"trailers", scripted.Script{}, func(p *peer) {
			p.headers(pushFields(phone, 0), false)
			p.next -= 2
			p.headers([]hpack.HeaderField{{Name: "x", Value: "y"}}, true)
		}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inFrames(t, func(t peerScene) {
				t.g.Script(tt.script)
				t.g.ReplyTo(tablet, scripted.Silence())
				p := newPeer(t.T, t.g)
				tt.do(p)
				p.seen()
				time.Sleep(time.Minute)
				var got []string
				for _, v := range t.g.Violations() {
					got = append(got, v.String())
				}
				all := strings.Join(got, "\n")
				if (all == "") != (tt.want == "") || !strings.Contains(all, tt.want) || len(got) > 1 {
					t.Errorf("got %q, want %q", all, tt.want)
				}
				if n := t.g.Counts().Violations; n != len(got) {
					t.Errorf("got %d counted, want %d", n, len(got))
				}
			})
		})
	}
}

// TestToldOfViolation shows what a client hears after which the connection cannot go
// on.
func TestToldOfViolation(t *testing.T) {
	inFrames(t, func(t peerScene) {
		p := newPeer(t.T, t.g)
		p.push()
		p.next = 4
		p.push()
		check(t.T, p.seen(), "settings 1000 | ack | 1:200. | goaway 1 PROTOCOL_ERROR  | ended")
		p = newPeer(t.T, t.g)
		p.push()
		p.must(p.framer.WriteRawFrame(http2.FrameData, 0, 1, make([]byte, 16385)))
		check(t.T, p.seen(), "settings 1000 | ack | 1:200. | goaway 1 FRAME_SIZE_ERROR  | ended")
	})
}

// TestNoHTTP2 shows a client that does not speak HTTP/2 at all, and one whose first
// frame is another than SETTINGS.
func TestNoHTTP2(t *testing.T) {
	inFrames(t, func(t peerScene) {
		nc, err := dial(t.Context(), t.g)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if _, err := nc.Write([]byte("POST /3/device/00 HTTP/1.1\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		got := t.g.Violations()
		if len(got) != 1 || !strings.Contains(got[0].What, `does not begin with the preface of HTTP/2, but with "POST /3/`) {
			t.Errorf("got %v", got)
		}
	})
	inFrames(t, func(t peerScene) {
		nc, err := dial(t.Context(), t.g)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if _, err := nc.Write([]byte(http2.ClientPreface)); err != nil {
			t.Fatal(err)
		}
		if err := http2.NewFramer(nc, nc).WritePing(false, [8]byte{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		got := t.g.Violations()
		if len(got) != 1 || got[0].What != "the first frame is PING: it has to be SETTINGS" {
			t.Errorf("got %v", got)
		}
	})
}

// failures is a test that only notes how it fails.
type failures struct {
	*testing.T
	cleanup []func()
	errors  int
}

func (f *failures) Helper()                   {}
func (f *failures) Cleanup(do func())         { f.cleanup = append(f.cleanup, do) }
func (f *failures) Errorf(string, ...any)     { f.errors++ }
func (f *failures) Fatalf(s string, a ...any) { f.T.Fatalf(s, a...) }

// TestViolationsFailTheTest shows that nobody has to look at them.
func TestViolationsFailTheTest(t *testing.T) {
	overrun := func(n int) func(*peer) {
		return func(p *peer) {
			p.seen()
			for range n {
				p.headers(pushFields(phone, 9), false)
			}
		}
	}
	for _, tt := range []struct {
		name   string
		config scripted.Config
		do     func(*peer)
		want   int
	}{
		{"a rule broken", scripted.Config{}, func(p *peer) { p.must(p.framer.WriteData(9, true, nil)) }, 1},
		{"a rule broken, lenient", scripted.Config{Lenient: true}, func(p *peer) { p.must(p.framer.WriteData(9, true, nil)) }, 0},
		{"one stream too many", scripted.Config{}, overrun(2), 0},
		{"one stream too many, strict", scripted.Config{Strict: true}, overrun(2), 1},
		{"two streams too many", scripted.Config{}, overrun(3), 1},
		{"two streams too many, lenient", scripted.Config{Lenient: true}, overrun(3), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				watched := &failures{T: t}
				g := tt.config.New(watched)
				g.Script(scripted.Script{Streams: 1})
				p := newPeer(t, g)
				tt.do(p)
				p.seen()
				for _, do := range watched.cleanup {
					do()
				}
				if watched.errors != tt.want {
					t.Errorf("got %d errors, want %d", watched.errors, tt.want)
				}
			})
		})
	}
}
