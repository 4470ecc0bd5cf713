package dispatch

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/outbox"
)

// scope names what makes the spans.
const scope = "github.com/heraldpush/herald/provider/dispatch"

// spans tells OpenTelemetry of shards, and of the pushes of urgent messages: those of
// a campaign would be as many as it has devices. The zero value tells nothing.
type spans struct{ tracer oteltrace.Tracer }

func newSpans(p oteltrace.TracerProvider) spans {
	if p == nil {
		return spans{}
	}
	return spans{p.Tracer(scope)}
}

// begin begins a span that belongs to the request with which a message came.
func (s spans) begin(m *outbox.Intent, name string, at time.Time, kind oteltrace.SpanKind, about ...attribute.KeyValue) oteltrace.Span {
	parent := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": m.TraceParent})
	_, span := s.tracer.Start(parent, name, oteltrace.WithTimestamp(at), oteltrace.WithSpanKind(kind),
		oteltrace.WithAttributes(append(about, attribute.Stringer("herald.message", m.ID))...))
	return span
}

// push tells of a push that has ended.
func (s spans) push(i *item, id apns.NotificationID, f *outbox.Failure, err error) {
	if s.tracer == nil {
		return
	}
	span := s.begin(i.parcel.claim.Message, "push", i.began, oteltrace.SpanKindClient,
		attribute.String("apns.id", string(id)), attribute.Stringer("apns.environment", i.target.Environment))
	if err != nil {
		span.SetAttributes(attribute.Int("apns.status", f.Status), attribute.String("apns.reason", string(f.Reason)))
		span.SetStatus(codes.Error, err.Error())
	} else {
		span.SetAttributes(attribute.Int("apns.status", 200))
	}
	span.End(oteltrace.WithTimestamp(f.At))
}

// shard tells of a pass over a shard that has ended.
func (s spans) shard(p *parcel, at time.Time) {
	if s.tracer == nil {
		return
	}
	count := p.receipts.Count()
	span := s.begin(p.claim.Message, "send shard", p.began, oteltrace.SpanKindInternal,
		attribute.Int64("herald.shard", int64(p.claim.Shard.Number)), attribute.Int("herald.pass", p.claim.Shard.Pass),
		attribute.Int("herald.accepted", count[outbox.Accepted]), attribute.Int("herald.rejected", count[outbox.Rejected]),
		attribute.Int("herald.expired", count[outbox.Expired]), attribute.Int("herald.pending", count[outbox.Pending]))
	span.End(oteltrace.WithTimestamp(at))
}
