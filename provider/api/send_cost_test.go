//go:build !race

package api

import (
	"bytes"
	"io"
	"net/http"
	"testing"
)

// nowhere takes an answer, and keeps its header and status.
type nowhere struct {
	header http.Header
	status int
}

func (w *nowhere) Header() http.Header         { return w.header }
func (w *nowhere) WriteHeader(status int)      { w.status = status }
func (w *nowhere) Write(b []byte) (int, error) { return len(b), nil }

// sendAllocations is how often memory may be allocated for a message to one
// installation, from the head of its request to its answer, the store in memory included.
const sendAllocations = 135

// TestSendAllocations holds what a message for one costs beyond what net/http needs.
func TestSendAllocations(t *testing.T) {
	playSending(t, func(w *sending) {
		t, told := w.t, 0
		w.rates = newLimiter(Rates{})
		w.answered = func(Answered) { told++ }
		w.register("one")
		body := []byte(`{"to":{"installations":["one"]},"payload":{"aps":{"alert":{"title":"Sent","body":"Your order is on its way"}},"order":9917}}`)
		in := bytes.NewReader(body)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/apps/shop/messages", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"Authorization": {"Bearer " + w.admin}, "Content-Type": {"application/json"}}
		r.Body, r.ContentLength = io.NopCloser(in), int64(len(body))
		out := &nowhere{header: http.Header{}}
		got := testing.AllocsPerRun(200, func() {
			in.Reset(body)
			clear(out.header)
			w.ServeHTTP(out, r)
		})
		if out.status != http.StatusAccepted || told < 200 {
			t.Fatalf("got status %d, and %d answers", out.status, told)
		}
		if got > sendAllocations {
			t.Errorf("got %v allocations, want at most %v", got, sendAllocations)
		}
	})
}
