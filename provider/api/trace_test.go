package api

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// A request has a span below that of who asked, with the Request-Id that the answer
// has.
func TestSpan(t *testing.T) {
	kept := tracetest.NewInMemoryExporter()
	w := newWorld(t, func(c *Config) { c.Spans = sdktrace.NewTracerProvider(sdktrace.WithSyncer(kept)) })
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/apps/nothere", http.NoBody)
	r.Header.Set("Authorization", "Bearer "+w.admin)
	r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	answer := httptest.NewRecorder()
	w.ServeHTTP(answer, r)

	spans := kept.GetSpans()
	if len(spans) != 1 {
		t.Fatalf("got %d spans, want 1", len(spans))
	}
	s := spans[0]
	if s.Name != "GET /v1/apps/{app}" || s.Parent.SpanID().String() != "b7ad6b7169203331" || s.SpanContext.TraceID().String() != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("got span %q below %v in trace %v", s.Name, s.Parent.SpanID(), s.SpanContext.TraceID())
	}
	got := map[attribute.Key]any{}
	for _, a := range s.Attributes {
		got[a.Key] = a.Value.AsInterface()
	}
	want := map[attribute.Key]any{
		"http.request.method": "GET", "http.route": "/v1/apps/{app}", "herald.operation": "getApp",
		"herald.request": answer.Header().Get("Request-Id"), "http.response.status_code": int64(404),
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("attributes (-want +got):\n%s", d)
	}
}
