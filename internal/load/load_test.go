package load

import (
	"bytes"
	"context"
	"encoding/pem"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// newServer starts a server on loopback, and returns a plan that goes to it.
func newServer(t *testing.T, shape Shape, h http.HandlerFunc) Plan {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	p := testPlan(shape)
	p.Address, p.ServerName = s.Listener.Addr().String(), "example.com"
	p.Roots = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	return p
}

// answer is a gateway that looks at no more than a bad plan breaks.
func answer(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	reason := ""
	switch {
	case err != nil || r.Header.Get("authorization") == "":
		reason = "MissingProviderToken"
	case r.Header.Get("apns-priority") != "10":
		reason = "BadPriority"
	case string(body) != `{"aps":{}}`:
		reason = "PayloadEmpty"
	}
	w.Header().Set("apns-id", r.Header.Get("apns-id"))
	if reason != "" {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"reason":"`+reason+`"}`)
	}
}

func send(t *testing.T, p Plan) Result {
	t.Helper()
	l, err := Connect(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	r, err := l.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRun(t *testing.T) {
	for _, shape := range []Shape{Literal, Indexed} {
		t.Run(string(shape), func(t *testing.T) {
			var ids atomic.Int64
			p := newServer(t, shape, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("apns-id") != sameID {
					ids.Add(1)
				}
				answer(w, r)
			})
			p.Warmup = 20
			got := send(t, p)
			if got.Sent != 100 || got.Accepted != 50 || got.Refused["BadPriority"] != 25 || got.Refused["PayloadEmpty"] != 25 || len(got.Wrong) > 0 {
				t.Errorf("got %+v, want 50 accepted and 25 refused for each reason", got)
			}
			if got.P50 <= 0 || got.P999 < got.P50 || got.Wall <= 0 {
				t.Errorf("times: got %+v", got)
			}
			want := int64(0)
			if shape == Indexed {
				want = 120
			}
			if ids := ids.Load(); ids != want {
				t.Errorf("%d apns-ids of their own, want %d", ids, want)
			}
		})
	}
}

func TestRunForTime(t *testing.T) {
	p := newServer(t, Indexed, answer)
	p.Pushes, p.Duration, p.BadShare = 0, 50*time.Millisecond, 0
	if got := send(t, p); got.Sent == 0 || got.Accepted != got.Sent || got.Wall < p.Duration {
		t.Errorf("got %+v, want some, all accepted, for %v", got, p.Duration)
	}
}

func TestRunAtRate(t *testing.T) {
	p := newServer(t, Indexed, answer)
	p.Rate, p.BadShare = 1000, 0
	if got := send(t, p); got.Accepted != 100 || got.Wall < 99*time.Millisecond {
		t.Errorf("got %+v, want 100 accepted in a tenth of a second", got)
	}
}

// TestWrong counts answers that are other than the plan says.
func TestWrong(t *testing.T) {
	first := make(chan struct{}, 2) // one for each connection
	p := newServer(t, Literal, func(w http.ResponseWriter, r *http.Request) {
		select {
		case first <- struct{}{}:
			answer(w, r)
		default:
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"reason":"InvalidProviderToken"}`)
		}
	})
	p.BadShare = 0
	if got := send(t, p); got.Accepted != 0 || got.Wrong["403 InvalidProviderToken"] != 100 {
		t.Errorf("got %+v, want 100 wrong", got)
	}
}

func TestFirstRefused(t *testing.T) {
	p := newServer(t, Literal, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	if _, err := Connect(t.Context(), p); err == nil {
		t.Error("got nil, want an error: no push is accepted")
	}
}

// TestCancel ends a run whose answers never come.
func TestCancel(t *testing.T) {
	arrived := make(chan struct{}, 1000)
	end := make(chan struct{})
	var n atomic.Int64
	p := newServer(t, Indexed, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) > 2 {
			arrived <- struct{}{}
			<-end
		}
		answer(w, r)
	})
	defer close(end)
	l, err := Connect(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	if _, err := l.Run(ctx); err == nil {
		t.Error("got nil, want the end of the context")
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// TestFirstWindow has the first push use up what the peer lets be sent.
func TestFirstWindow(t *testing.T) {
	p := testPlan(Indexed)
	rs, err := newRequests(&p)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := newLink(nil, rs, 1).window, int64(firstWindow-len(p.Push.Payload)); got != want {
		t.Errorf("window after the first push: got %d, want %d", got, want)
	}
}

// TestAllocations sends and is answered without a network.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	p := testPlan(Indexed)
	p.BadShare = 0
	rs, err := newRequests(&p)
	if err != nil {
		t.Fatal(err)
	}
	l := &link{requests: rs, streams: 100, limit: 100, in: make([]byte, inputBytes), out: make([]byte, 0, outputPerWrite), next: 1}
	b := newBudget(0, time.Hour, 0, 1)
	turn := b.turn()
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range []hpack.HeaderField{{Name: ":status", Value: "200"}, {Name: "apns-id", Value: sameID, Sensitive: true}} {
		if err := enc.WriteField(f); err != nil {
			t.Fatal(err)
		}
	}
	round := func() {
		l.window = 1 << 20
		l.fill(b, turn)
		l.out = l.out[:0]
		l.begin = 0
		in := l.in[:0]
		for stream := l.next - 200; stream < l.next; stream += 2 {
			in = appendFrameHeader(in, block.Len(), http2.FrameHeaders, http2.FlagHeadersEndHeaders|http2.FlagHeadersEndStream, stream)
			in = append(in, block.Bytes()...)
		}
		l.end = len(in)
		if err := l.parse(time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	round() // the first Huffman code needs a buffer
	// The runtime counts for the whole process, and the answers that TestCancel
	// lets go may still be written. That passes: the least of some tries is ours.
	const rounds, tries = 100, 5
	least := uint64(math.MaxUint64)
	for range tries {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range rounds {
			round()
		}
		runtime.ReadMemStats(&after)
		least = min(least, after.Mallocs-before.Mallocs)
	}
	if l.inFlight != 0 || l.tally.accepted != 100*(tries*rounds+1) {
		t.Fatalf("%d in flight, %d accepted", l.inFlight, l.tally.accepted)
	}
	if least > rounds {
		t.Errorf("%d allocations for %d pushes", least, 100*rounds)
	}
}
