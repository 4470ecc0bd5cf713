package h2

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// answering is a net.Conn that answers each request that is written to it, and
// allocates nothing.
type answering struct {
	net.Conn // for what is not called

	mu      sync.Mutex
	arrived *sync.Cond
	skip    int    // bytes of the frame that is being written
	out     []byte // answers that have not been read
	ended   bool
	writes  int
	block   []byte // of each answer
}

func newAnswering() *answering {
	a := &answering{skip: len(clientPreface), block: appendField([]byte{0x88}, &hpack.HeaderField{Name: "apns-id", Value: "eabeae54-14a8-11e5-b60b-1697f925ec7b"})}
	a.arrived = sync.NewCond(&a.mu)
	a.out = appendSettings(make([]byte, 0, 1<<20), http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 1000})
	a.out = appendWindowUpdate(a.out, 0, 1<<30)
	return a
}

func (a *answering) Write(b []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.writes++
	n := len(b)
	for len(b) > 0 {
		k := min(a.skip, len(b))
		b, a.skip = b[k:], a.skip-k
		if len(b) < frameHeaderBytes { // a client writes whole frames
			continue
		}
		length := int(b[0])<<16 | int(b[1])<<8 | int(b[2])
		id := binary.BigEndian.Uint32(b[5:])
		switch http2.FrameType(b[3]) {
		case http2.FrameHeaders:
			a.out = appendFrameHeader(a.out, len(a.block), http2.FrameHeaders, http2.FlagHeadersEndHeaders|http2.FlagHeadersEndStream, id)
			a.out = append(a.out, a.block...)
		case http2.FrameData:
			a.out = appendWindowUpdate(a.out, 0, uint32(length))
		default:
		}
		a.skip = frameHeaderBytes + length
	}
	a.arrived.Signal()
	return n, nil
}

func (a *answering) Read(b []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.out) == 0 && !a.ended {
		a.arrived.Wait()
	}
	if len(a.out) == 0 {
		return 0, io.EOF
	}
	n := copy(b, a.out)
	a.out = a.out[:copy(a.out, a.out[n:])]
	return n, nil
}

func (a *answering) SetReadDeadline(time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true // only the end of the connection sets one
	a.arrived.Signal()
	return nil
}
func (*answering) SetWriteDeadline(time.Time) error { return nil }
func (*answering) Close() error                     { return nil }

// caller makes many calls, so many at a time.
type caller struct {
	c        *ClientConn
	settled  chan struct{}
	todo     int
	idle     []*Call
	all      int
	body     []byte
	finished chan struct{} // gets one when all of a round are finished
	failed   error
}

// newCaller runs a caller over nc, with so many calls in progress.
func newCaller(tb testing.TB, nc net.Conn, inFlight, bodyBytes int) *caller {
	tb.Helper()
	ca := &caller{settled: make(chan struct{}), finished: make(chan struct{}, 1), all: inFlight, body: []byte(strings.Repeat("x", bodyBytes))}
	for i := range inFlight {
		call := pushCall(i, "")
		call.Body = ca.body
		ca.idle = append(ca.idle, call)
	}
	settled := false
	ca.c = NewClientConn(nc, ClientConfig{
		Finished: ca.finish,
		Changed: func() {
			if !settled {
				settled = true
				close(ca.settled)
				return
			}
			ca.more()
		},
		Indexed: []string{"authorization", "apns-topic"},
		Wanted:  []string{"apns-id"},
	})
	done := make(chan error, 1)
	go func() { done <- ca.c.Run(tb.Context()) }()
	tb.Cleanup(func() {
		ca.c.GoAway()
		if err := <-done; err != nil {
			tb.Logf("Run: %v", err)
		}
	})
	<-ca.settled
	return ca
}

// round makes n calls, and waits for them.
func (ca *caller) round(n int) {
	ca.c.telling.Lock() // so that no call finishes meanwhile
	ca.todo = n
	ca.more()
	ca.c.telling.Unlock()
	<-ca.finished
}

func (ca *caller) more() {
	for ca.todo > 0 && len(ca.idle) > 0 {
		last := len(ca.idle) - 1
		err := ca.c.Start(ca.idle[last])
		switch {
		case errors.Is(err, ErrFull):
			return // Changed goes on
		case err != nil:
			ca.failed = err
			return
		}
		ca.idle = ca.idle[:last]
		ca.todo--
	}
}

func (ca *caller) finish(calls []*Call) {
	for _, call := range calls {
		if call.Status != 200 || len(call.Answer) != 1 {
			ca.failed = fmt.Errorf("status %d, %v, %w", call.Status, call.Answer, call.Err)
		}
		ca.idle = append(ca.idle, call)
	}
	ca.more()
	if ca.todo == 0 && len(ca.idle) == ca.all || ca.failed != nil {
		select {
		case ca.finished <- struct{}{}:
		default: // it failed before
		}
	}
}

// In the long run a call allocates nothing.
func TestClientAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, inFlight := range []int{1, 100, 1000} {
		t.Run(fmt.Sprintf("%d in flight", inFlight), func(t *testing.T) {
			ca := newCaller(t, newAnswering(), inFlight, 300)
			const calls = 5000
			ca.round(calls) // to warm up
			least := testing.AllocsPerRun(1, func() { ca.round(calls) })
			for range 4 {
				least = min(least, testing.AllocsPerRun(1, func() { ca.round(calls) }))
			}
			if ca.failed != nil {
				t.Fatal(ca.failed)
			}
			if each := least / calls; each > 0.01 {
				t.Errorf("allocations a call: got %.3f, want none", each)
			}
		})
	}
}

// BenchmarkClient makes calls to a peer that costs next to nothing.
func BenchmarkClient(b *testing.B) {
	for _, inFlight := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("%d in flight", inFlight), func(b *testing.B) {
			a := newAnswering()
			ca := newCaller(b, a, inFlight, 200)
			ca.round(inFlight)
			b.ReportAllocs()
			a.mu.Lock()
			a.writes = 0
			a.mu.Unlock()
			b.ResetTimer()
			ca.round(b.N)
			b.StopTimer()
			if ca.failed != nil {
				b.Fatal(ca.failed)
			}
			a.mu.Lock()
			b.ReportMetric(float64(b.N)/float64(a.writes), "calls/write")
			a.mu.Unlock()
		})
	}
}

// BenchmarkClientBlocking has goroutines each wait for the answer of their call.
func BenchmarkClientBlocking(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("%d goroutines", n), func(b *testing.B) {
			a := newAnswering()
			settled := make(chan struct{})
			var once sync.Once
			c := NewClientConn(a, ClientConfig{
				Finished: func(calls []*Call) {
					for _, call := range calls {
						if ch, ok := call.Owner.(chan struct{}); ok {
							ch <- struct{}{}
						}
					}
				},
				Changed: func() { once.Do(func() { close(settled) }) },
				Indexed: []string{"authorization", "apns-topic"},
				Wanted:  []string{"apns-id"},
			})
			done := make(chan error, 1)
			go func() { done <- c.Run(b.Context()) }()
			<-settled
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			for g := range n {
				wg.Go(func() {
					ch := make(chan struct{}, 1)
					call := pushCall(g, strings.Repeat("x", 200))
					call.Owner = ch
					for i := g; i < b.N; i += n {
						if err := c.Start(call); err != nil {
							b.Errorf("Start: %v", err)
							return
						}
						<-ch
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			a.mu.Lock()
			b.ReportMetric(float64(b.N)/float64(a.writes), "calls/write")
			a.mu.Unlock()
			c.GoAway()
			if err := <-done; err != nil {
				b.Error(err)
			}
		})
	}
}

// BenchmarkClientTLS makes calls to this package's server over TLS on loopback.
// Both sides count.
func BenchmarkClientTLS(b *testing.B) {
	for _, inFlight := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("%d in flight", inFlight), func(b *testing.B) {
			cert, pool := certificate(b)
			near, far := loopback(b)
			sc := tls.Server(NewSocket(far), &tls.Config{Certificates: []tls.Certificate{cert}, DynamicRecordSizingDisabled: true})
			ended := make(chan error, 1)
			go func() {
				if err := sc.HandshakeContext(b.Context()); err != nil {
					ended <- err
					return
				}
				ended <- NewConn(sc, Config{Handler: handlerFunc(func(r *Request) { r.Respond(200, accepted, nil) })}).Serve(b.Context())
			}()
			cc := tls.Client(NewSocket(near), &tls.Config{RootCAs: pool, ServerName: "localhost", DynamicRecordSizingDisabled: true})
			if err := cc.HandshakeContext(b.Context()); err != nil {
				b.Fatal(err)
			}
			ca := newCaller(b, cc, inFlight, 200)
			ca.round(inFlight)
			b.ReportAllocs()
			b.ResetTimer()
			ca.round(b.N)
			b.StopTimer()
			if ca.failed != nil {
				b.Fatal(ca.failed)
			}
		})
	}
}
