package api

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	oteltrace "go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// newRequestID returns what a request is called: "req_" and 20 letters and digits.
func newRequestID() string { return "req_" + strings.ToLower(rand.Text()[:20]) }

// newTracer returns what makes the spans of requests.
func newTracer(p oteltrace.TracerProvider) oteltrace.Tracer {
	if p == nil {
		p = noop.NewTracerProvider()
	}
	return p.Tracer("github.com/heraldpush/herald/provider/api")
}

// begin begins the span of a request, below the one that its traceparent names (W3C
// Trace Context). Whether or not there are spans, what the request asks for goes on
// under that trace.
func (a *API) begin(ctx context.Context, r *http.Request, op *operation, id string) (context.Context, oteltrace.Span) {
	ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(r.Header))
	return a.tracer.Start(ctx, op.method+" "+op.path, oteltrace.WithSpanKind(oteltrace.SpanKindServer), oteltrace.WithAttributes(
		attribute.String("http.request.method", r.Method), attribute.String("http.route", op.path),
		attribute.String("herald.operation", op.id), attribute.String("herald.request", id)))
}

// noteStatus notes on the span of a request with which status it was answered.
func noteStatus(ctx context.Context, status int) {
	span := oteltrace.SpanFromContext(ctx)
	span.SetAttributes(attribute.Int("http.response.status_code", status))
	if status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, http.StatusText(status))
	}
}
