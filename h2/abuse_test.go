package h2

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
)

// floods are what a budget bounds.
var floods = []struct {
	name     string
	min, max int // frames until the end
	held     bool
	code     http2.ErrCode // ENHANCE_YOUR_CALM if it is zero
	send     func(p *peer, i int) error
}{
	{"rapid reset", 2000, 2100, true, 0, func(p *peer, i int) error {
		id := uint32(2*i + 1)
		return errors.Join(
			p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: p.fields(post()...), EndStream: true, EndHeaders: true}),
			p.fr.WriteRSTStream(id, http2.ErrCodeCancel))
	}},
	{"resets that the peer provokes", 2000, 2100, false, 0, func(p *peer, i int) error {
		id := uint32(2*i + 1)
		return errors.Join(
			p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: p.fields(post()...), EndHeaders: true}),
			p.fr.WriteRawFrame(http2.FrameWindowUpdate, 0, id, make([]byte, 4)))
	}},
	{"malformed requests", 2000, 2100, false, 0, func(p *peer, i int) error {
		return p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: p.fields("a", "b"), EndStream: true, EndHeaders: true})
	}},
	{"headers too large", 2000, 2100, false, 0, func(p *peer, i int) error {
		return p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: manyFields, EndStream: true, EndHeaders: true})
	}},
	{"streams above the limit", 2000, 3100, true, http2.ErrCodeRefusedStream, func(p *peer, i int) error {
		return p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: p.fields(post()...), EndHeaders: true})
	}},
	{"PING", 100, 300, false, 0, func(p *peer, _ int) error { return p.fr.WritePing(false, [8]byte{}) }},
	{"SETTINGS", 50, 200, false, 0, func(p *peer, i int) error { return p.fr.WriteSettings(initialWindow(uint32(i))) }},
	{"SETTINGS ACK", 50, 200, false, 0, func(p *peer, _ int) error { return p.fr.WriteSettingsAck() }},
	{"PRIORITY", 9000, 11000, false, 0, func(p *peer, _ int) error { return p.fr.WritePriority(1, http2.PriorityParam{}) }},
	{"WINDOW_UPDATE", 9000, 11000, false, 0, func(p *peer, _ int) error { return p.fr.WriteWindowUpdate(0, 1) }},
	{"unknown frames", 9000, 11000, false, 0, func(p *peer, _ int) error { return p.fr.WriteRawFrame(0x77, 0, 0, nil) }},
	{"GOAWAY", 9000, 11000, true, 0, func(p *peer, i int) error {
		if i == 0 {
			p.headers(1, true, post()...) // or the connection would end in good order
		}
		return p.fr.WriteGoAway(0, http2.ErrCodeNo, nil)
	}},
	{"empty DATA", 9000, 11000, false, 0, func(p *peer, i int) error {
		if i == 0 {
			p.headers(1, false, post()...)
		}
		return p.fr.WriteData(1, false, nil)
	}},
	{"RST_STREAM on a closed stream", 9000, 11000, false, 0, func(p *peer, i int) error {
		if i == 0 {
			p.headers(1, true, post()...)
		}
		return p.fr.WriteRSTStream(1, http2.ErrCodeCancel)
	}},
	{"DATA on a stream that was reset", 9000, 11000, false, 0, func(p *peer, i int) error {
		if i == 0 {
			p.headers(1, false, post("Bad", "")...)
		}
		return p.fr.WriteData(1, true, nil)
	}},
}

// TestFloods sends without end what a budget bounds. The end must come after a
// number of frames that is neither too small for a real client nor large.
func TestFloods(t *testing.T) {
	for _, tt := range floods {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &held{}
				cfg := Config{Handler: echo}
				if tt.held {
					cfg.Handler = h
				}
				p := connect(t, cfg)
				n := 0
				for ; n < 20000; n++ {
					if n%50 == 0 {
						synctest.Wait()
					}
					if err := tt.send(p, n); err != nil {
						break
					}
					p.c.mu.Lock()
					over := p.c.ended
					p.c.mu.Unlock()
					if over {
						break
					}
				}
				if n < tt.min || n > tt.max {
					t.Errorf("frames until the end: got %d, want %d to %d", n, tt.min, tt.max)
				}
				rs := h.take()
				if len(rs) > 1000 {
					t.Errorf("requests in progress: got %d, want at most 1000", len(rs))
				}
				p.wantGoAway(cmp.Or(tt.code, http2.ErrCodeEnhanceYourCalm))
				for _, r := range rs {
					r.Respond(200, nil, nil)
				}
			})
		})
	}
}

// manyFields is a block of one byte a field.
var manyFields = func() []byte {
	b := make([]byte, maxHeaderFields+1)
	for i := range b {
		b[i] = 0x82
	}
	return b
}()

// Requests whose streams were reset still count while the handler has them.
func TestResetBuysNoWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &held{}
		p := connect(t, Config{Handler: h})
		p.c.SetMaxConcurrentStreams(10)
		p.must(p.fr.WriteSettingsAck())
		p.want(settingsLine(10))
		var want []string
		for i := range uint32(15) {
			p.request(2*i+1, "")
			p.must(p.fr.WriteRSTStream(2*i+1, http2.ErrCodeCancel))
			if i >= 10 {
				want = append(want, fmt.Sprintf("RST_STREAM %d REFUSED_STREAM", 2*i+1))
			}
		}
		p.want(want...)
		rs := h.take()
		if len(rs) != 10 {
			t.Errorf("requests in progress: got %d, want 10", len(rs))
		}
		for _, r := range rs {
			r.Respond(200, nil, nil)
		}
		p.request(101, "")
		p.want()
		for _, r := range h.take() {
			r.Respond(200, nil, nil)
		}
		p.want("HEADERS 101 END_STREAM [:status=200]")
		p.close()
	})
}

// What real clients do for ever is not abuse.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, Config{Handler: reply(40)})
		for i := range uint32(5000) {
			id := 2*i + 1
			p.must(p.fr.WritePriority(id, http2.PriorityParam{Weight: 1}))
			p.request(id, "x")
			p.must(p.fr.WriteWindowUpdate(id, 40))
			p.must(p.fr.WriteWindowUpdate(0, 40))
			if i%100 == 0 {
				p.must(p.fr.WritePing(false, [8]byte{}))
				time.Sleep(500 * time.Millisecond)
				got := p.received()
				if last := got[len(got)-1]; last != "PING ACK" {
					t.Fatalf("request %d: received %q", i, last)
				}
			}
		}
		p.received()
		p.close()
	})
}

// A client gives up all it has in flight at once, and goes on.
func TestAllGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &held{}
		p := connect(t, Config{Handler: h})
		for i := range uint32(1000) {
			p.request(2*i+1, "")
		}
		for i := range uint32(1000) {
			p.must(p.fr.WriteRSTStream(2*i+1, http2.ErrCodeCancel))
		}
		p.want()
		for _, r := range h.take() {
			r.Respond(200, nil, nil)
		}
		p.request(2001, "")
		p.want()
		for _, r := range h.take() {
			r.Respond(200, nil, nil)
		}
		p.want("HEADERS 2001 END_STREAM [:status=200]")
		p.close()
	})
}

// stalls are peers that make the connection hold something, and wait.
var stalls = []struct {
	name string
	send func(p *peer) error
}{
	{"CONTINUATION without end", func(p *peer) error {
		err := p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: make([]byte, maxFrameBytes)})
		for range 20 {
			err = errors.Join(err, p.fr.WriteContinuation(1, false, make([]byte, 1000)))
		}
		return err
	}},
	{"header block never finished", func(p *peer) error {
		return p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: make([]byte, maxFrameBytes)})
	}},
	{"frame never finished", func(p *peer) error {
		_, err := p.nc.Write(append(appendFrameHeader(nil, maxFrameBytes, http2.FrameData, 0, 1), make([]byte, 16000)...))
		return err
	}},
	{"bodies never finished", func(p *peer) error {
		var err error
		for i := range uint32(900) {
			err = errors.Join(err,
				p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: p.fields(post()...), EndHeaders: true}),
				p.fr.WriteData(2*i+1, false, make([]byte, 4000)))
		}
		return err
	}},
	{"window of the streams is zero", func(p *peer) error {
		err := p.fr.WriteSettings(initialWindow(0))
		for i := range uint32(900) {
			err = errors.Join(err, p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: p.fields(post()...), EndStream: true, EndHeaders: true}))
		}
		return err
	}},
	{"preface in single bytes", func(p *peer) error {
		for range 5 {
			if _, err := p.nc.Write([]byte{0}); err != nil {
				return err
			}
			time.Sleep(time.Second)
		}
		return nil
	}},
	{"nothing is read", func(p *peer) error {
		err := p.fr.WriteSettings(initialWindow(maxWindowBytes))
		err = errors.Join(err, p.fr.WriteWindowUpdate(0, 1<<30))
		p.deaf.Store(true)
		for i := range uint32(900) {
			err = errors.Join(err, p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: p.fields(post()...), EndStream: true, EndHeaders: true}))
		}
		return err
	}},
}

// TestAbuseLeavesNothing lets peers misbehave in all ways, one after the other
// and again. All goroutines must end, and the memory must be what it was.
func TestAbuseLeavesNothing(t *testing.T) {
	rounds := func(t *testing.T, run func(t *testing.T)) {
		t.Helper()
		measure := func() (heap, goroutines int) {
			for range 3 {
				runtime.GC() // what is in a sync.Pool lives for two of them
			}
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return int(m.HeapAlloc), runtime.NumGoroutine()
		}
		run(t)
		heap, goroutines := measure()
		for range 3 {
			run(t)
		}
		if after, n := measure(); after > heap+256<<10 || n > goroutines {
			t.Errorf("left behind: %d bytes and %d goroutines", after-heap, n-goroutines)
		}
	}
	for _, tt := range floods {
		t.Run(tt.name, func(t *testing.T) {
			rounds(t, func(t *testing.T) {
				t.Helper()
				synctest.Test(t, func(t *testing.T) {
					h := &held{}
					p := connect(t, Config{Handler: h})
					for n := range 4000 {
						if n%50 == 0 {
							for _, r := range h.take() {
								r.Respond(200, nil, nil)
							}
							synctest.Wait()
						}
						if tt.send(p, n) != nil {
							break
						}
					}
					p.abandon(h)
				})
			})
		})
	}
	for _, tt := range stalls {
		t.Run(tt.name, func(t *testing.T) {
			rounds(t, func(t *testing.T) {
				t.Helper()
				synctest.Test(t, func(t *testing.T) {
					p := connect(t, Config{Handler: reply(1000)})
					if err := tt.send(p); err != nil {
						t.Logf("sending: %v", err) // it has ended already
					}
					time.Sleep(35 * time.Second)
					p.c.mu.Lock()
					if n := p.c.streams.count; n > 0 || p.c.blockedBytes > 0 || len(p.c.block.encoded) > 0 || p.c.in.chunk {
						t.Errorf("held: %d streams, %d bytes, %d of a block", n, p.c.blockedBytes, len(p.c.block.encoded))
					}
					p.c.mu.Unlock()
					p.abandon(&held{})
				})
			})
		})
	}
}

// A block that is small on the wire and large when decoded is not decoded to its
// end (RFC 7541, 7.3).
func TestHeaderBomb(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, Config{Handler: echo})
		bomb := append(p.fields(post("a", strings.Repeat("x", 3900))...), bytes.Repeat([]byte{0x80 | staticEntries + 1}, 16000)...)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		const bombs = 50
		for i := range uint32(bombs) {
			p.must(p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: bomb[:maxFrameBytes], EndStream: true, EndHeaders: true}))
			p.want(fmt.Sprintf("HEADERS %d END_STREAM [:status=431]", 2*i+1))
		}
		runtime.ReadMemStats(&after)
		// Decoded, each is 49 MB; the network in memory copies what is sent.
		if n := after.TotalAlloc - before.TotalAlloc; n > bombs*200_000 {
			t.Errorf("allocated for %d bombs: %d bytes", bombs, n)
		}
		p.c.mu.Lock()
		if n := cap(p.c.text); n > maxPooledText {
			t.Errorf("text: got %d bytes", n)
		}
		p.c.mu.Unlock()
		p.close()
	})
}

// An idle connection holds little, even one that was busy before.
func TestIdleConn(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector takes more")
	}
	const conns, batches, size = 100, 2, 200
	measure := func() (heap, stack int) {
		for range 5 {
			runtime.GC() // it makes stacks smaller by and by
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc), int(m.StackInuse)
	}
	synctest.Test(t, func(t *testing.T) {
		busy, idle := make([]*playback, conns), make(chan struct{})
		for i := range busy {
			p := requestBatches(t, literal, batches, size)
			p.atEnd = func() { <-idle }
			for i := range batches {
				p.batch(i) // it keeps its buffer
			}
			busy[i] = p
		}
		heap, stack := measure()
		var running sync.WaitGroup
		served := make([]*Conn, conns)
		for i, p := range busy {
			c := NewConn(p, Config{Handler: handlerFunc(func(r *Request) { r.Respond(200, accepted, nil) })})
			served[i] = c
			running.Go(func() {
				if err := c.Serve(t.Context()); err == nil {
					t.Error("Serve: got nil, want the end of the playback")
				}
			})
		}
		time.Sleep(time.Minute)
		for _, c := range served {
			c.mu.Lock()
			if c.in.chunk || c.out != nil || c.socket.out != nil || c.free != nil || c.streams.slots != nil || c.closed.ring != nil {
				t.Error("an idle connection holds what only a busy one needs")
			}
			c.mu.Unlock()
		}
		h, st := measure()
		heap, stack = (h-heap)/conns, (st-stack)/conns
		close(idle)
		running.Wait()
		// Of that, 16 KiB are the buffer of a Socket that is not over TCP, and some is
		// buffers that are on their way to the garbage collector.
		t.Logf("%d bytes of heap and %d of stack each", heap, stack)
		if heap > 64<<10 || stack > 24<<10 {
			t.Errorf("idle connection: got %d bytes of heap and %d of stack", heap, stack)
		}
	})
}
