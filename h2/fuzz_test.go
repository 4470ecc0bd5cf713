package h2

import (
	"bytes"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/internal/memnet"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// situations bring a connection into the states in which it is fuzzed.
var situations = []func(c *Conn, h *held, fr *http2.Framer, block []byte) error{
	// Nothing has been sent.
	func(_ *Conn, _ *held, _ *http2.Framer, _ []byte) error { return nil },
	// A body is being received.
	func(_ *Conn, _ *held, fr *http2.Framer, block []byte) error {
		return fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block, EndHeaders: true})
	},
	// A header block is being received.
	func(_ *Conn, _ *held, fr *http2.Framer, block []byte) error {
		return fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block[:5]})
	},
	// Requests are in the handler's hands, and the limit is one.
	func(c *Conn, _ *held, fr *http2.Framer, block []byte) error {
		c.SetMaxConcurrentStreams(1)
		if err := fr.WriteSettingsAck(); err != nil {
			return err
		}
		return fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block, EndStream: true, EndHeaders: true})
	},
	// An answer waits for window.
	func(_ *Conn, h *held, fr *http2.Framer, block []byte) error {
		if err := fr.WriteSettings(initialWindow(3)); err != nil {
			return err
		}
		if err := fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block, EndStream: true, EndHeaders: true}); err != nil {
			return err
		}
		synctest.Wait()
		for _, r := range h.take() {
			r.Respond(400, nil, []byte("{}{}"))
		}
		return nil
	},
	// The connection is being left in good order.
	func(c *Conn, _ *held, fr *http2.Framer, block []byte) error {
		c.GoAway(http2.ErrCodeNo, nil)
		return fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block, EndHeaders: true})
	},
}

// FuzzConn sends arbitrary bytes in each state. Serve must return soon after
// the peer has gone, and nothing may be left behind.
func FuzzConn(f *testing.F) {
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for i, kv := 0, post("content-length", "2"); i < len(kv); i += 2 {
		if err := enc.WriteField(hpack.HeaderField{Name: kv[i], Value: kv[i+1]}); err != nil {
			f.Fatal(err)
		}
	}
	var seeds bytes.Buffer
	fr := http2.NewFramer(&seeds, nil)
	for _, write := range []func() error{
		func() error {
			return fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: block.Bytes(), EndHeaders: true})
		},
		func() error { return fr.WriteData(3, true, []byte("{}")) },
		func() error { return fr.WriteDataPadded(1, false, []byte("{}"), make([]byte, 3)) },
		func() error { return fr.WriteContinuation(1, true, block.Bytes()[5:]) },
		func() error { return fr.WriteSettings(initialWindow(0), http2.Setting{ID: 1, Val: 0}) },
		func() error { return fr.WriteSettingsAck() },
		func() error { return fr.WritePing(true, goAwayPing) },
		func() error { return fr.WriteWindowUpdate(1, maxWindowBytes) },
		func() error { return fr.WriteRSTStream(1, http2.ErrCodeCancel) },
		func() error { return fr.WritePriority(1, http2.PriorityParam{StreamDep: 1}) },
		func() error { return fr.WriteGoAway(1, http2.ErrCodeNo, nil) },
	} {
		start := seeds.Len()
		if err := write(); err != nil {
			f.Fatal(err)
		}
		for s := range situations {
			f.Add(uint8(s), bytes.Clone(seeds.Bytes()[start:]))
			f.Add(uint8(s), bytes.Clone(seeds.Bytes()))
		}
	}
	f.Fuzz(func(t *testing.T, situation uint8, input []byte) {
		synctest.Test(t, func(t *testing.T) {
			near, far := memnet.Pipe()
			h := &held{}
			c := NewConn(far, Config{Handler: h, MaxBodyBytes: 100})
			done := make(chan error, 1)
			go func() { done <- c.Serve(t.Context()) }()
			go func() {
				// The connection may end at any time; then reading ends.
				_, err := io.Copy(io.Discard, near)
				_ = err
			}()
			fr := http2.NewFramer(near, nil)
			start := time.Now()
			// Where sending fails the connection has ended already.
			_, err := near.Write([]byte(clientPreface))
			if err == nil {
				err = fr.WriteSettings()
			}
			if err == nil {
				err = situations[int(situation)%len(situations)](c, h, fr, block.Bytes())
			}
			if err == nil {
				_, err = near.Write(input)
			}
			if err == nil {
				synctest.Wait()
			}
			for _, r := range h.take() {
				r.Respond(400, nil, []byte("{}"))
			}
			synctest.Wait()
			if cw, ok := near.(interface{ CloseWrite() error }); ok {
				if err := cw.CloseWrite(); err != nil {
					t.Logf("closing: %v", err)
				}
			}
			if err := <-done; err != nil {
				t.Logf("Serve: %v", err)
			}
			if d := time.Since(start); d > 2*lingerTimeout {
				t.Errorf("Serve took %v", d)
			}
			for _, r := range h.take() {
				r.Respond(400, nil, nil)
			}
			if c.working != 0 {
				t.Errorf("requests in progress: got %d, want 0", c.working)
			}
			if err := near.Close(); err != nil {
				t.Errorf("closing: %v", err)
			}
		})
	})
}
