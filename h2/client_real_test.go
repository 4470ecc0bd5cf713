package h2

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heraldpush/herald/internal/memnet"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// pushCall returns a call as a sender of notifications makes it.
func pushCall(i int, body string) *Call {
	return &Call{
		Fields: []hpack.HeaderField{
			{Name: ":method", Value: "POST"},
			{Name: ":scheme", Value: "https"},
			{Name: ":authority", Value: "localhost"},
			{Name: ":path", Value: fmt.Sprintf("/3/device/%08x", i)},
			{Name: "authorization", Value: "bearer " + strings.Repeat("eyJhbGciOiJ", 18)},
			{Name: "apns-topic", Value: fmt.Sprintf("com.example.app%d", i%3)},
			{Name: "apns-id", Value: fmt.Sprintf("%08x-14a8-11e5-b60b-1697f925ec7b", i)},
		},
		Body:  []byte(body),
		Owner: i,
	}
}

// collector starts calls as they fit, and keeps what finished.
type collector struct {
	c       *ClientConn
	todo    []*Call
	done    []*Call
	total   int
	refused int
	errs    []error
}

// more starts what fits.
func (co *collector) more() {
	for len(co.todo) > 0 {
		if err := co.c.Start(co.todo[0]); err != nil {
			co.refused++
			if !errors.Is(err, ErrFull) && !errors.Is(err, ErrGoing) {
				co.errs = append(co.errs, err)
				co.todo = co.todo[1:]
				continue
			}
			return
		}
		co.todo = co.todo[1:]
	}
}

func (co *collector) finished(calls []*Call) {
	co.done = append(co.done, calls...)
	co.more()
	if len(co.done) == co.total {
		co.c.GoAway()
	}
}

// realServers serve a connection with what answers each request with its path and
// body.
var realServers = map[string]func(ctx context.Context, nc net.Conn) error{
	"x/net": func(_ context.Context, nc net.Conn) error {
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			if err != nil {
				return // the call was cancelled
			}
			w.Header().Set("Apns-Id", r.Header.Get("Apns-Id"))
			w.Header().Set("X-Topic", r.Header.Get("Apns-Topic"))
			w.WriteHeader(410)
			// It may have been cancelled meanwhile.
			_, err = fmt.Fprintf(w, "%s %s", r.URL.Path, b)
			_ = err
		})
		(&http2.Server{MaxConcurrentStreams: 7}).ServeConn(nc, &http2.ServeConnOpts{Handler: h}) //nolint:staticcheck // There is no other way to serve one connection.
		return nil
	},
	"h2": func(ctx context.Context, nc net.Conn) error {
		h := handlerFunc(func(r *Request) {
			get := func(name string) string {
				for _, f := range r.Fields {
					if f.Name == name {
						return f.Value
					}
				}
				return ""
			}
			r.Respond(410, []hpack.HeaderField{
				{Name: "apns-id", Value: get("apns-id")}, {Name: "x-topic", Value: get("apns-topic")},
			}, []byte(r.Path+" "+string(r.Body)))
		})
		return NewConn(nc, Config{Handler: h, MaxConcurrentStreams: 7, MaxBodyBytes: 1 << 20}).Serve(ctx)
	},
}

// overReal runs test with a connection to each of the servers over each kind of
// network. All must be gone when it has returned.
func overReal(t *testing.T, test func(t *testing.T, nc net.Conn)) {
	t.Helper()
	cert, pool := certificate(t)
	for name, serve := range realServers {
		for _, network := range []string{"memory", "TLS", "TLS over TCP"} {
			t.Run(name+"/"+network, func(t *testing.T) {
				near, far := memnet.Pipe()
				if network == "TLS over TCP" {
					near, far = loopback(t)
				}
				if network != "memory" {
					near = tls.Client(NewSocket(near), &tls.Config{RootCAs: pool, ServerName: "localhost", NextProtos: []string{"h2"}})
					far = tls.Server(NewSocket(far), &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}})
				}
				before := runtime.NumGoroutine()
				served := make(chan error, 1)
				go func() {
					if tc, ok := far.(*tls.Conn); ok {
						if err := tc.HandshakeContext(t.Context()); err != nil {
							served <- err
							return
						}
					}
					served <- serve(t.Context(), far)
				}()
				if tc, ok := near.(*tls.Conn); ok {
					if err := tc.HandshakeContext(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				test(t, near)
				if err := <-served; err != nil {
					t.Logf("serving: %v", err)
				}
				for range 1000 {
					if runtime.NumGoroutine() <= before {
						return
					}
					runtime.Gosched()
					<-time.After(time.Millisecond)
				}
				t.Errorf("goroutines: got %d, want %d", runtime.NumGoroutine(), before)
			})
		}
	}
}

// checkReal fails the test unless call has the answer of a real server.
func checkReal(t *testing.T, call *Call) {
	t.Helper()
	want := call.Fields[3].Value + " " + string(call.Body)
	if call.Err != nil || call.Status != 410 || string(call.AnswerBody) != want {
		t.Errorf("%s: got %v, %d, %.40q; want %.40q", call.Fields[3].Value, call.Err, call.Status, call.AnswerBody, want)
		return
	}
	if len(call.Answer) != 2 || call.Answer[0].Value != call.Fields[6].Value || call.Answer[1].Value != call.Fields[5].Value {
		t.Errorf("%s: got %v", call.Fields[3].Value, call.Answer)
	}
}

// TestClientReal makes calls to the servers of x/net and of this package.
func TestClientReal(t *testing.T) {
	overReal(t, func(t *testing.T, nc net.Conn) {
		t.Helper()
		co := &collector{total: 210}
		c := NewClientConn(nc, ClientConfig{
			Finished:     co.finished,
			Changed:      co.more,
			Indexed:      []string{"authorization", "apns-topic"},
			Wanted:       []string{"apns-id", "x-topic"},
			MaxBodyBytes: 1 << 20,
		})
		co.c = c
		for i := range 200 {
			co.todo = append(co.todo, pushCall(i, strings.Repeat("x", i%3*300)))
		}
		for i := range 10 { // larger than all windows
			co.todo = append(co.todo, pushCall(200+i, strings.Repeat("x", 100_000)))
		}
		if err := c.Start(co.todo[0]); err != nil {
			t.Fatalf("Start: %v", err)
		}
		if err := c.Start(co.todo[1]); !errors.Is(err, ErrFull) {
			t.Fatalf("Start before SETTINGS: got %v, want %v", err, ErrFull)
		}
		co.todo = co.todo[1:]
		if err := c.Run(t.Context()); err != nil {
			t.Errorf("Run: %v", err)
		}
		if len(co.done) != co.total || len(co.errs) > 0 {
			t.Fatalf("finished: got %d, want %d; errors %v", len(co.done), co.total, co.errs)
		}
		for _, call := range co.done {
			checkReal(t, call)
		}
	})
}

// TestClientTogether has goroutines start and cancel calls at the same time, and
// the connection end in their midst. What happens to a call happens once.
func TestClientTogether(t *testing.T) {
	overReal(t, func(t *testing.T, nc net.Conn) {
		t.Helper()
		changed := make(chan struct{}, 1)
		tell := func() {
			select {
			case changed <- struct{}{}:
			default:
			}
		}
		c := NewClientConn(nc, ClientConfig{
			Finished: func(calls []*Call) {
				for _, call := range calls {
					ch, ok := call.Owner.(chan struct{})
					if !ok {
						t.Errorf("owner: got %v", call.Owner)
						continue
					}
					select {
					case ch <- struct{}{}:
					default:
						t.Error("a call was finished twice")
					}
				}
				tell()
			},
			Changed: tell,
			Indexed: []string{"authorization", "apns-topic"},
			Wanted:  []string{"apns-id", "x-topic"},
		})
		done := make(chan error, 1)
		go func() { done <- c.Run(t.Context()) }()
		var answered atomic.Int32
		var wg sync.WaitGroup
		for g := range 10 {
			wg.Go(func() {
				ch := make(chan struct{}, 1)
				call := pushCall(g, strings.Repeat("x", 1000))
				call.Owner = ch
				for i := 0; ; {
					switch err := c.Start(call); {
					case errors.Is(err, ErrGoing):
						return
					case errors.Is(err, ErrFull):
						select {
						case <-changed:
						case <-time.After(time.Millisecond): // a call was cancelled, or others wait too
						}
						continue
					case err != nil:
						t.Errorf("Start: %v", err)
						return
					}
					if i++; (i+g)%5 == 0 && c.Cancel(call) {
						continue
					}
					<-ch
					if call.Err != nil {
						// x/net refuses calls when others were cancelled.
						var ce *CallError
						if !errors.As(call.Err, &ce) || !ce.Unprocessed {
							t.Errorf("a call failed: %v", call.Err)
						}
						continue
					}
					checkReal(t, call)
					if answered.Add(1) == 100 {
						c.GoAway()
					}
				}
			})
		}
		wg.Wait()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if st := c.State(); st.Active != 0 {
			t.Errorf("State: got %+v", st)
		}
	})
}
