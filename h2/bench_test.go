package h2

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// playback is a net.Conn that plays back the same batch of requests n times,
// and throws away the answers. It makes no allocations of its own.
type playback struct {
	net.Conn // for what is not called

	preface []byte
	batch   func(i int) []byte // nil at the end
	size    int                // requests in a batch
	atEnd   func()             // called when there is nothing more to read
	rest    []byte
	i       int
	written int

	// lockstep, if there is one, has an entry for each answer, and no batch comes
	// before the last one is answered.
	lockstep chan struct{}
	due      int // answers to wait for before the next batch
}

func (p *playback) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		switch {
		case p.preface != nil:
			p.rest, p.preface = p.preface, nil
		default:
			if p.rest = p.batch(p.i); p.rest == nil {
				if p.atEnd != nil {
					p.atEnd()
				}
				return 0, os.ErrDeadlineExceeded
			}
			p.i++
			if p.lockstep != nil {
				for range p.due {
					<-p.lockstep
				}
				p.due = p.size
			}
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

func (p *playback) Write(b []byte) (int, error)    { p.written += len(b); return len(b), nil }
func (*playback) SetReadDeadline(time.Time) error  { return nil }
func (*playback) SetWriteDeadline(time.Time) error { return nil }
func (*playback) Close() error                     { return nil }

// batchRequests is how many requests arrive together in the benchmark.
const batchRequests = 100

// shape is a way to send the header fields of a push.
type shape uint8

const (
	// indexed is that of a sender made for it: the provider token and all that
	// is the same each time from the table, :path and apns-id as literals.
	indexed shape = iota
	// literal is that of h2load and all that is over nghttp2: the provider token
	// is a literal in Huffman code in each request.
	literal
	// plain is that of a sender without a table, and without Huffman code.
	plain
	// churning is that of net/http: all goes into the table, which is too small.
	churning
)

var shapes = map[string]shape{"indexed": indexed, "literal": literal, "plain": plain, "churning": churning}

// requestBatches returns a playback of n batches of size requests.
func requestBatches(tb testing.TB, as shape, n, size int) *playback {
	tb.Helper()
	var preface, block bytes.Buffer
	fr := http2.NewFramer(&preface, nil)
	enc := hpack.NewEncoder(&block)
	sent := 0
	header := func() []byte {
		sent++
		block.Reset()
		first := sent == 1
		for _, f := range []hpack.HeaderField{
			{Name: ":method", Value: "POST"},
			{Name: ":scheme", Value: "https"},
			{Name: ":authority", Value: "api.push.example"},
			{Name: ":path", Value: fmt.Sprintf("/3/device/%08x785122b4ad28809a3420982341241421348097878e577c991de8f0", sent), Sensitive: as != churning},
			{Name: "authorization", Value: "bearer " + strings.Repeat("eyJhbGciOiJ", 18), Sensitive: as == literal},
			{Name: "apns-topic", Value: "com.example.app"},
			{Name: "apns-push-type", Value: "alert"},
			{Name: "apns-priority", Value: "10"},
			{Name: "apns-expiration", Value: "0"},
			{Name: "apns-id", Value: fmt.Sprintf("%08x-14a8-11e5-b60b-1697f925ec7b", sent), Sensitive: as != churning && !first},
		} {
			if as == plain {
				block.Write(appendField(nil, &f))
				continue
			}
			if err := enc.WriteField(f); err != nil {
				tb.Fatal(err)
			}
		}
		return block.Bytes()
	}
	body := make([]byte, 221)
	request := func(dst []byte, id uint32) []byte {
		h := header()
		dst = append(appendFrameHeader(dst, len(h), http2.FrameHeaders, http2.FlagHeadersEndHeaders, id), h...)
		return append(appendFrameHeader(dst, len(body), http2.FrameData, http2.FlagDataEndStream, id), body...)
	}
	preface.WriteString(clientPreface)
	if err := fr.WriteSettings(); err != nil {
		tb.Fatal(err)
	}
	if err := fr.WriteSettingsAck(); err != nil {
		tb.Fatal(err)
	}
	preface.Write(request(nil, 1)) // fills the table
	// A batch is made each time where the table changes, or else once.
	var batch []byte
	id := uint32(3)
	return &playback{preface: preface.Bytes(), size: size, due: 1, batch: func(i int) []byte {
		switch {
		case i == n:
			return nil
		case as == churning || i == 0:
			batch = batch[:0]
			for range size {
				batch = request(batch, id)
				id += 2
			}
			return batch
		}
		for at := 0; at < len(batch); {
			if batch[at+3] == byte(http2.FrameData) {
				binary.BigEndian.PutUint32(batch[at+5:], id)
				id += 2
			} else {
				binary.BigEndian.PutUint32(batch[at+5:], id)
			}
			at += frameHeaderBytes + (int(batch[at])<<16 | int(batch[at+1])<<8 | int(batch[at+2]))
		}
		return batch
	}}
}

var accepted = []hpack.HeaderField{{Name: "apns-id", Value: "eabeae54-14a8-11e5-b60b-1697f925ec7b"}}

// accept serves what p plays back, and returns how many requests there were.
func accept(tb testing.TB, p *playback) int {
	tb.Helper()
	n := 0
	c := NewConn(p, Config{Handler: handlerFunc(func(r *Request) {
		n++
		r.Respond(200, accepted, nil)
	})})
	if err := c.Serve(tb.Context()); err == nil {
		tb.Error("Serve: got nil, want the end of the playback")
	}
	return n
}

// TestAllocations counts the allocations of whole connections of two lengths.
// The difference is what requests cost that come once all is in place.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for name, as := range shapes {
		for _, size := range []int{1, 100, 1000} {
			t.Run(fmt.Sprint(name, " ", size), func(t *testing.T) {
				batches := 5000 / size
				run := func(n int) float64 {
					return testing.AllocsPerRun(2, func() {
						p := requestBatches(t, as, n, size)
						if got := accept(t, p); got != n*size+1 {
							t.Fatalf("requests: got %d, want %d", got, n*size+1)
						}
					})
				}
				// The encoder of a churning peer, which is not ours, allocates too.
				own := 0.0
				if as == churning {
					own = testing.AllocsPerRun(2, func() {
						p := requestBatches(t, as, batches, size)
						for i := range batches {
							p.batch(i)
						}
					}) - testing.AllocsPerRun(2, func() { requestBatches(t, as, batches, size).batch(0) })
				}
				short, long := run(1), run(batches)
				if each := (long - short - own) / float64((batches-1)*size); each > 0.05 {
					t.Errorf("allocations a request: got %.3f (%v and %v, %v the peer's), want none", each, short, long, own)
				}
			})
		}
	}
}

// Answers that come later, from another goroutine, allocate nothing either, with
// as many streams in progress as there may be.
func TestAllocationsLater(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const batches, size = 10, 1000
	run := func(n int) float64 {
		return testing.AllocsPerRun(5, func() {
			p := requestBatches(t, indexed, n, size)
			p.lockstep = make(chan struct{}, size+1)
			work := make(chan *Request, size+1)
			go func() {
				for r := range work {
					r.Respond(200, accepted, nil)
					p.lockstep <- struct{}{}
				}
			}()
			defer close(work)
			c := NewConn(p, Config{Handler: handlerFunc(func(r *Request) { work <- r })})
			if err := c.Serve(t.Context()); err == nil {
				t.Error("Serve: got nil, want the end of the playback")
			}
		})
	}
	short, long := run(1), run(batches)
	if each := (long - short) / ((batches - 1) * size); each > 0.05 {
		t.Errorf("allocations a request: got %.3f (%v and %v), want none", each, short, long)
	}
}

func BenchmarkAccept(b *testing.B) {
	for name, as := range shapes {
		if as == churning {
			continue // it would measure the peer
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			p := requestBatches(b, as, (b.N+batchRequests-1)/batchRequests, batchRequests)
			b.ResetTimer()
			if n := accept(b, p); n < b.N {
				b.Fatalf("requests: got %d, want %d", n, b.N)
			}
		})
	}
}

// BenchmarkBlock decodes a header block, beside the decoder of x/net.
func BenchmarkBlock(b *testing.B) {
	for name, as := range shapes {
		if as == churning {
			continue
		}
		p := requestBatches(b, as, 1, 1)
		blocks := [][]byte{p.preface[len(clientPreface)+2*frameHeaderBytes:], p.batch(0)}
		for i, f := range blocks {
			n := int(f[0])<<16 | int(f[1])<<8 | int(f[2])
			blocks[i] = f[frameHeaderBytes:][:n]
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			d := newDecoder([]string{"authorization"})
			text := make([]byte, 0, 1024)
			var f decodedField
			decode := func(p []byte) {
				var err error
				for d.begin(text, true); len(p) > 0; {
					if p, _, err = d.next(p, &f); err != nil {
						b.Fatal(err)
					}
				}
			}
			decode(blocks[0])
			for b.Loop() {
				decode(blocks[1])
			}
		})
		b.Run(name+"/xnet", func(b *testing.B) {
			b.ReportAllocs()
			d := hpack.NewDecoder(headerTableBytes, func(hpack.HeaderField) {})
			decode := func(p []byte) {
				if _, err := d.Write(p); err != nil {
					b.Fatal(err)
				}
				if err := d.Close(); err != nil {
					b.Fatal(err)
				}
			}
			decode(blocks[0])
			for b.Loop() {
				decode(blocks[1])
			}
		})
	}
}

// BenchmarkTLS sends batches over TLS on loopback, and waits for the answers of
// each. Both sides count.
func BenchmarkTLS(b *testing.B) {
	cert, pool := certificate(b)
	near, far := loopback(b)
	tc := tls.Client(near, &tls.Config{RootCAs: pool, ServerName: "localhost", DynamicRecordSizingDisabled: true})
	nc := tls.Server(NewSocket(far), &tls.Config{Certificates: []tls.Certificate{cert}, DynamicRecordSizingDisabled: true})
	ended := make(chan error, 1)
	go func() {
		if err := nc.HandshakeContext(b.Context()); err != nil {
			ended <- err
			return
		}
		ended <- NewConn(nc, Config{Handler: handlerFunc(func(r *Request) { r.Respond(200, accepted, nil) })}).Serve(b.Context())
	}()
	batches := (b.N + batchRequests - 1) / batchRequests
	p := requestBatches(b, literal, batches, batchRequests)
	if _, err := tc.Write(p.preface); err != nil {
		b.Fatal(err)
	}
	answer := frameHeaderBytes + len(newEncoderBlock())
	// SETTINGS, WINDOW_UPDATE, SETTINGS ACK and the first answer.
	buf := make([]byte, batchRequests*answer)
	first := frameHeaderBytes + 5*settingBytes + frameHeaderBytes + 4 + frameHeaderBytes + answer
	if _, err := io.ReadFull(tc, buf[:first]); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range batches {
		if _, err := tc.Write(p.batch(i)); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(tc, buf); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	if err := tc.Close(); err != nil {
		b.Error(err)
	}
	if err := <-ended; err != nil {
		b.Logf("Serve: %v", err)
	}
}

// newEncoderBlock returns the block of an answer that accepts.
func newEncoderBlock() []byte {
	e := newEncoder(nil)
	return e.appendBlock(nil, 200, accepted)
}
