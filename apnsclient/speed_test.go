package apnsclient

import (
	"context"
	"crypto/tls"
	"iter"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2/hpack"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/h2"
)

// sink accepts every push, over TLS on the loopback interface.
type sink struct{ answered atomic.Int64 }

// ServeRequest implements h2.Handler.
func (s *sink) ServeRequest(r *h2.Request) {
	s.answered.Add(1)
	id := ""
	for _, f := range r.Fields {
		if f.Name == "apns-id" {
			id = f.Value
		}
	}
	r.Respond(200, []hpack.HeaderField{{Name: "apns-id", Value: id}}, nil)
}

// newSink returns a sink that ends with the test, and what a sender needs to reach
// it.
func newSink(tb testing.TB) Config {
	tb.Helper()
	g := newGateway(tb)
	ln, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	cfg := g.tls.Clone()
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				c := tls.Server(h2.NewSocket(nc), cfg)
				if c.HandshakeContext(ctx) != nil {
					return
				}
				_ = h2.NewConn(c, h2.Config{Handler: new(sink), AnswerFields: []hpack.HeaderField{{Name: "apns-id"}}}).Serve(ctx) // the test tells
			})
		}
	})
	tb.Cleanup(func() {
		cancel()
		_ = ln.Close() // nothing was written
		serving.Wait()
	})
	c := g.withKey(tb)
	c.Dial = nil
	c.ServerName, c.Host = c.Host, ln.Addr().String()
	return c
}

// TestAllocations bounds what a push allocates, sink included.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	s := newSender(t, newSink(t))
	n := hello // without a push type: it is inferred each time
	const pushes, at = 20_000, 100
	alone := func() {
		var senders sync.WaitGroup
		for range at {
			senders.Go(func() {
				for range pushes / at {
					if _, err := s.Push(context.Background(), deviceToken, n); err != nil {
						t.Error(err)
					}
				}
			})
		}
		senders.Wait()
	}
	inBulk := func() {
		for r := range s.PushAll(context.Background(), repeated(pushes, &n)) {
			if r.Err != nil {
				t.Error(r.Err)
			}
		}
	}
	for _, tt := range []struct {
		name string
		push func()
		most float64 // a push
	}{
		{"one by one", alone, 1},
		{"in bulk", inBulk, 0.2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.push() // what is kept for the next ones
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			tt.push()
			runtime.ReadMemStats(&after)
			got := float64(after.Mallocs-before.Mallocs) / pushes
			t.Logf("%.3f allocations a push", got)
			if got > tt.most {
				t.Errorf("got %.3f allocations a push, want %v at most", got, tt.most)
			}
		})
	}
}

func BenchmarkPush(b *testing.B) {
	s := newSender(b, newSink(b))
	if _, err := s.Push(b.Context(), deviceToken, hello); err != nil {
		b.Fatal(err)
	}
	n := hello
	n.PushType = apns.PushTypeAlert
	b.ReportAllocs()
	b.SetParallelism(100)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Push(context.Background(), deviceToken, n); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkPushAll(b *testing.B) {
	s := newSender(b, newSink(b))
	if _, err := s.Push(b.Context(), deviceToken, hello); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	n := hello
	for r := range s.PushAll(context.Background(), repeated(b.N, &n)) {
		if r.Err != nil {
			b.Error(r.Err)
		}
	}
}

// repeated yields n pushes of a notification.
func repeated(n int, what *apns.Notification) iter.Seq[Push] {
	return func(yield func(Push) bool) {
		for range n {
			if !yield(Push{To: deviceToken, Notification: what}) {
				return
			}
		}
	}
}
