package h2

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

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

// TestClientReal makes calls to the servers of x/net and of this package.
func TestClientReal(t *testing.T) {
	servers := map[string]func(ctx context.Context, t *testing.T, cfg ClientConfig) *ClientConn{
		"x/net": func(_ context.Context, t *testing.T, cfg ClientConfig) *ClientConn {
			t.Helper()
			near, far := memnet.Pipe()
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				b, err := io.ReadAll(r.Body)
				if err != nil {
					t.Errorf("reading a body: %v", err)
				}
				w.Header().Set("Apns-Id", r.Header.Get("Apns-Id"))
				w.Header().Set("X-Topic", r.Header.Get("Apns-Topic"))
				w.WriteHeader(410)
				if _, err := fmt.Fprintf(w, "%s %s", r.URL.Path, b); err != nil {
					t.Errorf("answering: %v", err)
				}
			})
			done := make(chan struct{})
			go func() {
				defer close(done)
				(&http2.Server{MaxConcurrentStreams: 7}).ServeConn(far, &http2.ServeConnOpts{Handler: h}) //nolint:staticcheck // There is no other way to serve one connection.
			}()
			t.Cleanup(func() { <-done })
			return NewClientConn(near, cfg)
		},
		"h2": func(ctx context.Context, t *testing.T, cfg ClientConfig) *ClientConn {
			t.Helper()
			near, far := memnet.Pipe()
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
			done := make(chan struct{})
			go func() {
				defer close(done)
				if err := NewConn(far, Config{Handler: h, MaxConcurrentStreams: 7, MaxBodyBytes: 1 << 20}).Serve(ctx); err != nil {
					t.Errorf("Serve: %v", err)
				}
			}()
			t.Cleanup(func() { <-done })
			return NewClientConn(near, cfg)
		},
	}
	for name, dial := range servers {
		for _, body := range []int{0, 300, 200_000} {
			t.Run(fmt.Sprintf("%s/%d", name, body), func(t *testing.T) {
				n := 200
				if body > 1000 {
					n = 20
				}
				co := &collector{total: n}
				cfg := ClientConfig{
					Finished:     co.finished,
					Changed:      co.more,
					Indexed:      []string{"authorization", "apns-topic"},
					Wanted:       []string{"apns-id", "x-topic"},
					MaxBodyBytes: 1 << 20,
				}
				c := dial(context.WithoutCancel(t.Context()), t, cfg)
				co.c = c
				payload := strings.Repeat("x", body)
				for i := range n {
					co.todo = append(co.todo, pushCall(i, payload))
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
				if len(co.done) != n || len(co.errs) > 0 {
					t.Fatalf("finished: got %d, want %d; errors %v", len(co.done), n, co.errs)
				}
				for _, call := range co.done {
					i, ok := call.Owner.(int)
					if !ok {
						t.Fatalf("owner: got %v", call.Owner)
					}
					want := fmt.Sprintf("/3/device/%08x %s", i, payload)
					if call.Err != nil || call.Status != 410 || string(call.AnswerBody) != want {
						t.Fatalf("call %d: got %v, %d, %.40q; want %.40q", i, call.Err, call.Status, call.AnswerBody, want)
					}
					if len(call.Answer) != 2 || call.Answer[0].Value != call.Fields[6].Value || call.Answer[1].Value != call.Fields[5].Value {
						t.Fatalf("call %d: got %v", i, call.Answer)
					}
				}
			})
		}
	}
}
