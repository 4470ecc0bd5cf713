package h2

import (
	"bytes"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/internal/memnet"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// clientSituations bring a client's side into the states in which it is
// fuzzed. Three calls have been started where the peer allows it.
var clientSituations = []func(c *ClientConn, fr *http2.Framer, block []byte) error{
	// Nothing has been sent.
	func(*ClientConn, *http2.Framer, []byte) error { return nil },
	// The peer has stated its settings.
	func(_ *ClientConn, fr *http2.Framer, _ []byte) error { return fr.WriteSettings() },
	// The body of an answer is being received.
	func(_ *ClientConn, fr *http2.Framer, block []byte) error {
		if err := fr.WriteSettings(); err != nil {
			return err
		}
		return fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block, EndHeaders: true})
	},
	// A header block is being received.
	func(_ *ClientConn, fr *http2.Framer, block []byte) error {
		if err := fr.WriteSettings(); err != nil {
			return err
		}
		return fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block[:2]})
	},
	// Bodies wait for window.
	func(_ *ClientConn, fr *http2.Framer, _ []byte) error {
		return fr.WriteSettings(initialWindow(2), http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0})
	},
	// The peer is going.
	func(_ *ClientConn, fr *http2.Framer, _ []byte) error {
		if err := fr.WriteSettings(); err != nil {
			return err
		}
		return fr.WriteGoAway(maxStreamID, http2.ErrCodeNo, []byte("x"))
	},
	// This side is going.
	func(c *ClientConn, fr *http2.Framer, _ []byte) error {
		err := fr.WriteSettings()
		c.GoAway()
		return err
	},
}

// FuzzClientConn sends arbitrary bytes in each state. Run must return soon after
// the peer has gone, each call must be finished once, and nothing may be left
// behind.
func FuzzClientConn(f *testing.F) {
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, field := range []hpack.HeaderField{{Name: ":status", Value: "200"}, {Name: "apns-id", Value: "x"}} {
		if err := enc.WriteField(field); err != nil {
			f.Fatal(err)
		}
	}
	var seeds bytes.Buffer
	fr := http2.NewFramer(&seeds, nil)
	for _, write := range []func() error{
		func() error {
			return fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true})
		},
		func() error {
			return fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: block.Bytes(), EndHeaders: true})
		},
		func() error { return fr.WriteData(3, true, []byte("{}")) },
		func() error { return fr.WriteDataPadded(1, false, []byte("{}"), make([]byte, 3)) },
		func() error { return fr.WriteContinuation(1, true, block.Bytes()[2:]) },
		func() error { return fr.WriteSettings(initialWindow(1), streams(0)) },
		func() error {
			return fr.WriteSettings(initialWindow(1000), streams(5), setting(http2.SettingHeaderTableSize, 1<<20))
		},
		func() error { return fr.WriteSettingsAck() },
		func() error { return fr.WritePing(false, [8]byte{}) },
		func() error { return fr.WriteWindowUpdate(1, 1) },
		func() error { return fr.WriteWindowUpdate(0, maxWindowBytes) },
		func() error { return fr.WriteRSTStream(1, http2.ErrCodeRefusedStream) },
		func() error { return fr.WriteGoAway(3, http2.ErrCodeNo, []byte(`{"reason":"Shutdown"}`)) },
		func() error {
			return fr.WritePushPromise(http2.PushPromiseParam{StreamID: 1, PromiseID: 2, BlockFragment: block.Bytes(), EndHeaders: true})
		},
	} {
		start := seeds.Len()
		if err := write(); err != nil {
			f.Fatal(err)
		}
		for s := range clientSituations {
			f.Add(uint8(s), uint8(start), bytes.Clone(seeds.Bytes()[start:]))
			f.Add(uint8(s), uint8(1), bytes.Clone(seeds.Bytes()))
		}
	}
	f.Fuzz(func(t *testing.T, situation, cancel uint8, input []byte) {
		synctest.Test(t, func(t *testing.T) {
			near, far := memnet.Pipe()
			var mu sync.Mutex
			ended := make(map[*Call]int)
			started := 0
			c := NewClientConn(far, ClientConfig{
				FirstStreams: 3, MaxBodyBytes: 100, Indexed: []string{"authorization"}, Wanted: []string{"apns-id"},
				Finished: func(calls []*Call) {
					mu.Lock()
					defer mu.Unlock()
					for _, call := range calls {
						ended[call]++
						if (call.Err == nil) == (call.Status == 0) {
							t.Errorf("finished: status %d and error %v", call.Status, call.Err)
						}
					}
				},
			})
			done := make(chan error, 1)
			go func() { done <- c.Run(t.Context()) }()
			go func() {
				// The connection may end at any time; then reading ends.
				_, err := io.Copy(io.Discard, near)
				_ = err
			}()
			start := func() *Call {
				call := pushCall(started, "0123456789")
				if err := c.Start(call); err != nil {
					return nil
				}
				started++
				return call
			}
			calls := []*Call{start(), start(), start()}
			fr := http2.NewFramer(near, nil)
			began := time.Now()
			// Where sending fails the connection has ended already.
			err := clientSituations[int(situation)%len(clientSituations)](c, fr, block.Bytes())
			if err == nil {
				synctest.Wait()
				_, err = near.Write(input[:len(input)/2])
			}
			synctest.Wait()
			if call := calls[cancel%3]; cancel >= 128 && call != nil && c.Cancel(call) {
				mu.Lock()
				ended[call]++
				mu.Unlock()
			}
			start()
			if err == nil {
				_, err = near.Write(input[len(input)/2:])
				t.Logf("sending: %v", err)
			}
			synctest.Wait()
			start()
			synctest.Wait()
			if cw, ok := near.(interface{ CloseWrite() error }); ok {
				if err := cw.CloseWrite(); err != nil {
					t.Logf("closing: %v", err)
				}
			}
			if err := <-done; err != nil {
				t.Logf("Run: %v", err)
			}
			if d := time.Since(began); d > 2*lingerTimeout {
				t.Errorf("Run took %v", d)
			}
			if len(ended) != started {
				t.Errorf("calls: %d started, %d ended", started, len(ended))
			}
			for call, n := range ended {
				if n != 1 {
					t.Errorf("call %v ended %d times", call.Owner, n)
				}
			}
			if err := near.Close(); err != nil {
				t.Errorf("closing: %v", err)
			}
		})
	})
}
