package h2

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/internal/memnet"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// counting is a net.Conn that notes the sizes of what is written. It is no
// syscall.Conn.
type counting struct {
	net.Conn
	writes []int
}

func (c *counting) Write(b []byte) (int, error) {
	c.writes = append(c.writes, len(b))
	return c.Conn.Write(b)
}

// loopback returns the two ends of a TCP connection.
func loopback(tb testing.TB) (near, far net.Conn) {
	tb.Helper()
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	near, err = new(net.Dialer).DialContext(tb.Context(), "tcp", l.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	if far, err = l.Accept(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := errors.Join(near.Close(), far.Close()); err != nil && !errors.Is(err, net.ErrClosed) {
			tb.Errorf("closing: %v", err)
		}
	})
	return near, far
}

// What is written arrives as it was, however it is read.
func TestSocketReads(t *testing.T) {
	for _, network := range []string{"memory", "TCP"} {
		t.Run(network, func(t *testing.T) {
			near, far := memnet.Pipe()
			if network == "TCP" {
				near, far = loopback(t)
			}
			s := NewSocket(far)
			if raw := s.raw != nil; rawReads && raw != (network == "TCP") {
				t.Fatalf("reads from the system: %v", raw)
			}
			var want, got []byte
			for i := range 300_000 {
				want = append(want, byte(i>>8)^byte(i))
			}
			sent := make(chan error, 1)
			go func() {
				_, err := near.Write(want)
				sent <- errors.Join(err, near.Close())
			}()
			waits, arrived := 0, 0
			s.waits, s.arrived = func() { waits++ }, func() { arrived++ }
			for i := 1; ; i = i*7%4099 + 1 {
				b := make([]byte, i)
				n, err := s.Read(b)
				got = append(got, b[:n]...)
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if err := <-sent; err != nil {
				t.Error(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("got %d bytes, not as they were sent", len(got))
			}
			if waits != arrived+1 || waits > 300 {
				t.Errorf("waited %d times, and something came %d times", waits, arrived)
			}
			if s.buf != nil {
				t.Error("it holds a buffer")
			}
		})
	}
}

func TestSocketReadDeadline(t *testing.T) {
	_, far := loopback(t)
	s := NewSocket(far)
	if err := s.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after the deadline: got %v", err)
	}
	if err := s.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	closed := make(chan error)
	go func() { closed <- far.Close() }()
	if _, err := s.Read(make([]byte, 10)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after it was closed: got %v", err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

func TestSocketCork(t *testing.T) {
	near, far := memnet.Pipe()
	count := &counting{Conn: far}
	s := NewSocket(count)
	write := func(n int) {
		t.Helper()
		if got, err := s.Write(bytes.Repeat([]byte{byte(n)}, n)); err != nil || got != n {
			t.Errorf("writing %d bytes: %d, %v", n, got, err)
		}
	}
	write(1)
	s.cork()
	write(2)
	write(3)
	write(40_000)
	write(40_000) // does not fit beside it
	write(chunkBytes + 4)
	write(5)
	if err := s.uncork(); err != nil {
		t.Error(err)
	}
	write(6)
	if got, want := fmt.Sprint(count.writes), fmt.Sprint([]int{1, 40_005, 40_000, chunkBytes + 4, 5, 6}); got != want {
		t.Errorf("writes: got %v, want %v", got, want)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	got, err := io.ReadAll(near)
	var want []byte
	for _, n := range []int{1, 2, 3, 40_000, 40_000, chunkBytes + 4, 5, 6} {
		want = append(want, bytes.Repeat([]byte{byte(n)}, n)...)
	}
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes and %v, want %d in the order of writing", len(got), err, len(want))
	}
}

// A batch of requests over several TLS records, which has arrived as a whole, is
// answered in one write.
func TestSocketUnderTLS(t *testing.T) {
	cert, pool := certificate(t)
	now := time.Now() // before it is virtual
	clock := func() time.Time { return now }
	synctest.Test(t, func(t *testing.T) {
		near, far := memnet.Pipe()
		count := &counting{Conn: far}
		sending := NewSocket(near)
		tc := tls.Client(sending, &tls.Config{RootCAs: pool, ServerName: "localhost", Time: clock})
		nc := tls.Server(NewSocket(count), &tls.Config{Certificates: []tls.Certificate{cert}, DynamicRecordSizingDisabled: true})
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		handshake := make(chan error, 1)
		go func() { handshake <- nc.HandshakeContext(t.Context()) }()
		must(errors.Join(tc.HandshakeContext(t.Context()), <-handshake))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- NewConn(nc, Config{Handler: reply(400)}).Serve(ctx) }()
		answered := make(chan int64, 1)
		go func() {
			n, err := io.Copy(io.Discard, tc)
			_ = err // it ends with the connection
			answered <- n
		}()

		fr := http2.NewFramer(tc, nil) // each frame in a record of its own
		_, err := tc.Write([]byte(clientPreface))
		must(err)
		must(fr.WriteSettings())
		synctest.Wait()
		count.writes = nil
		var block bytes.Buffer
		enc := hpack.NewEncoder(&block)
		for kv := post(); len(kv) > 0; kv = kv[2:] {
			must(enc.WriteField(hpack.HeaderField{Name: kv[0], Value: kv[1], Sensitive: true}))
		}
		sending.cork()
		const requests = 80
		for i := range uint32(requests) {
			must(fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true}))
		}
		must(sending.uncork())
		synctest.Wait()
		if len(count.writes) != 1 || count.writes[0] < requests*400 {
			t.Errorf("writes: got %v, want one", count.writes)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Serve: %v", err)
		}
		must(near.Close())
		if n := <-answered; n < requests*400 {
			t.Errorf("answers: got %d bytes", n)
		}
	})
}

// A TLS peer that does not read cannot hold up the end, which TLS would like to
// announce to it.
func TestBlockedWriteUnderTLS(t *testing.T) {
	cert, pool := certificate(t)
	now := time.Now() // before it is virtual
	clock := func() time.Time { return now }
	synctest.Test(t, func(t *testing.T) {
		near, far := memnet.Pipe()
		tc := tls.Client(near, &tls.Config{RootCAs: pool, ServerName: "localhost", Time: clock})
		nc := tls.Server(NewSocket(far), &tls.Config{Certificates: []tls.Certificate{cert}})
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		handshake := make(chan error, 1)
		go func() { handshake <- nc.HandshakeContext(t.Context()) }()
		must(errors.Join(tc.HandshakeContext(t.Context()), <-handshake))
		c := NewConn(nc, Config{Handler: reply(8000), WriteTimeout: time.Hour, DrainTimeout: 3 * time.Second})
		ended := make(chan error, 1)
		go func() { ended <- c.Serve(t.Context()) }()
		fr := http2.NewFramer(tc, nil)
		_, err := tc.Write([]byte(clientPreface))
		must(err)
		must(fr.WriteSettings(initialWindow(maxWindowBytes)))
		must(fr.WriteWindowUpdate(0, 1<<30))
		var block bytes.Buffer
		enc := hpack.NewEncoder(&block)
		for kv := post(); len(kv) > 0; kv = kv[2:] {
			must(enc.WriteField(hpack.HeaderField{Name: kv[0], Value: kv[1], Sensitive: true}))
		}
		for i := range uint32(100) {
			must(fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true}))
		}
		synctest.Wait()
		start := time.Now()
		c.GoAway(http2.ErrCodeNo, nil)
		if err := <-ended; err != nil {
			t.Errorf("Serve: got %v, want nil", err)
		}
		if d := time.Since(start); d > 3*time.Second+3*lingerTimeout {
			t.Errorf("Serve took %v after GoAway", d)
		}
		must(near.Close())
	})
}
