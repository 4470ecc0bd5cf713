package h2

import (
	"bytes"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// maxAllocsPerRequest is the limit of allocations for one request and its
// answer: one by the parser for the frame header, and one by the header decoder
// for each field that is sent as a literal. Here these are :path and apns-id.
const maxAllocsPerRequest = 3.1

// playback is a net.Conn that plays back the same batch of requests n times,
// and throws away the answers. It makes no allocations of its own.
type playback struct {
	net.Conn // for what is not called

	preface []byte
	batch   func(i int) []byte // nil at the end
	rest    []byte
	i       int
	written int
}

func (p *playback) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		switch {
		case p.preface != nil:
			p.rest, p.preface = p.preface, nil
		default:
			if p.rest = p.batch(p.i); p.rest == nil {
				return 0, os.ErrDeadlineExceeded
			}
			p.i++
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

// requestBatches returns a playback of n batches of requests as a provider
// sends them: the provider token and the topic from the table, :path and
// apns-id as literals, a payload of 221 bytes.
func requestBatches(tb testing.TB, n int) *playback {
	tb.Helper()
	var preface, block bytes.Buffer
	fr := http2.NewFramer(&preface, nil)
	enc := hpack.NewEncoder(&block)
	write := func(fields ...hpack.HeaderField) {
		for _, f := range fields {
			if err := enc.WriteField(f); err != nil {
				tb.Fatal(err)
			}
		}
	}
	named := false // whether the peer has the name of apns-id in its table
	request := func(fr *http2.Framer, id uint32) {
		block.Reset()
		write(hpack.HeaderField{Name: ":method", Value: "POST"},
			hpack.HeaderField{Name: ":scheme", Value: "https"},
			hpack.HeaderField{Name: ":authority", Value: "api.push.example"},
			hpack.HeaderField{Name: ":path", Value: "/3/device/00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0", Sensitive: true},
			hpack.HeaderField{Name: "authorization", Value: "bearer " + string(bytes.Repeat([]byte("a"), 200))},
			hpack.HeaderField{Name: "apns-topic", Value: "com.example.app"},
			hpack.HeaderField{Name: "apns-push-type", Value: "alert"},
			hpack.HeaderField{Name: "apns-priority", Value: "10"},
			hpack.HeaderField{Name: "apns-expiration", Value: "0"},
			hpack.HeaderField{Name: "apns-id", Value: "eabeae54-14a8-11e5-b60b-1697f925ec7b", Sensitive: named})
		named = true
		if err := fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true}); err != nil {
			tb.Fatal(err)
		}
		if err := fr.WriteData(id, true, make([]byte, 221)); err != nil {
			tb.Fatal(err)
		}
	}
	preface.WriteString(clientPreface)
	if err := fr.WriteSettings(); err != nil {
		tb.Fatal(err)
	}
	if err := fr.WriteSettingsAck(); err != nil {
		tb.Fatal(err)
	}
	// The first request fills the table, with the name of apns-id too.
	request(fr, 1)
	one := func(id uint32) []byte {
		var b bytes.Buffer
		request(http2.NewFramer(&b, nil), id)
		return b.Bytes()
	}
	var batch []byte
	template := one(3)
	for range batchRequests {
		batch = append(batch, template...)
	}
	id := uint32(3)
	headersLength := int(template[0])<<16 | int(template[1])<<8 | int(template[2])
	return &playback{preface: preface.Bytes(), batch: func(i int) []byte {
		if i == n {
			return nil
		}
		for j := range batchRequests {
			b := batch[j*len(template):]
			for _, at := range []int{5, frameHeaderBytes + headersLength + 5} {
				b[at], b[at+1], b[at+2], b[at+3] = byte(id>>24), byte(id>>16), byte(id>>8), byte(id)
			}
			id += 2
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

func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const batches = 200
	p := requestBatches(t, batches)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	n := accept(t, p)
	runtime.ReadMemStats(&after)
	if n != batches*batchRequests+1 {
		t.Fatalf("requests: got %d, want %d", n, batches*batchRequests+1)
	}
	got := float64(after.Mallocs-before.Mallocs) / float64(n)
	t.Logf("%.3f allocations, %.0f bytes a request", got, float64(after.TotalAlloc-before.TotalAlloc)/float64(n))
	if got > maxAllocsPerRequest {
		t.Errorf("allocations a request: got %.3f, want at most %v", got, maxAllocsPerRequest)
	}
}

func BenchmarkAccept(b *testing.B) {
	b.ReportAllocs()
	p := requestBatches(b, (b.N+batchRequests-1)/batchRequests)
	b.ResetTimer()
	if n := accept(b, p); n < b.N {
		b.Fatalf("requests: got %d, want %d", n, b.N)
	}
}
