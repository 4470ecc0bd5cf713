package provider_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnstest/scripted"
	"github.com/heraldpush/herald/provider"
	"github.com/heraldpush/herald/provider/outbox"
)

// What is sent belongs to the request that asked for it, with the same IDs.
func TestSpans(t *testing.T) {
	kept := tracetest.NewInMemoryExporter()
	spans := sdktrace.NewTracerProvider(sdktrace.WithSyncer(kept))
	playWith(t, func(c *provider.Config) { c.Spans = spans }, func(w *world) {
		w.key("KEY1111111")
		all := w.crowd(2)
		w.gateway.ReplyTo(tokenOf(1), scripted.Refuse(apns.Unregistered))
		const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		ctx := propagation.TraceContext{}.Extract(w.t.Context(), propagation.MapCarrier{"traceparent": trace})
		w.run(func() {
			sent, err := w.Send(ctx, shop, provider.Order{To: provider.Recipients{Installations: all}, Notification: apns.Notification{Payload: hello}})
			w.must(err)
			w.ended(shop, sent.Message.ID) //nolint:contextcheck // the trace is not that of who looks
			var got []string
			for _, s := range kept.GetSpans() {
				if s.SpanContext.TraceID().String() != trace[3:35] || s.Parent.SpanID().String() != trace[36:52] {
					t.Errorf("span %q is of another trace: %v below %v", s.Name, s.SpanContext.TraceID(), s.Parent.SpanID())
				}
				var line strings.Builder
				line.WriteString(s.Name)
				for _, a := range s.Attributes {
					fmt.Fprintf(&line, " %s=%s", a.Key, a.Value.String())
				}
				got = append(got, line.String())
			}
			slices.Sort(got)
			push := func(n int, rest string) string {
				return fmt.Sprintf("push apns.id=%s apns.environment=sandbox herald.message=%v apns.status=%s", outbox.NotificationID(sent.Message.ID, apns.Sandbox, tokenOf(n)), sent.Message.ID, rest)
			}
			want := []string{
				push(0, "200"), push(1, "410 apns.reason=Unregistered"),
				fmt.Sprintf("send shard herald.shard=0 herald.pass=0 herald.accepted=1 herald.rejected=1 herald.expired=0 herald.pending=0 herald.message=%v", sent.Message.ID),
			}
			slices.Sort(want)
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("spans (-want +got):\n%s", d)
			}
		})
	})
}

// A message keeps the trace of the request that it came with.
func TestTraceParent(t *testing.T) {
	play(t, func(w *world) {
		w.key("KEY1111111")
		o := provider.Order{To: provider.Recipients{Installations: w.crowd(1)}, Notification: apns.Notification{Payload: hello}}
		const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		for _, header := range []string{trace, ""} {
			ctx := propagation.TraceContext{}.Extract(w.t.Context(), propagation.MapCarrier{"traceparent": header})
			sent, err := w.Send(ctx, shop, o)
			w.must(err)
			m, err := w.Message(ctx, shop, sent.Message.ID)
			w.must(err)
			if m.TraceParent != header {
				t.Errorf("got %q, want %q", m.TraceParent, header)
			}
		}
		// What is no traceparent is passed over.
		ctx := propagation.TraceContext{}.Extract(w.t.Context(), propagation.MapCarrier{"traceparent": strings.ToUpper(trace)})
		if sent, err := w.Send(ctx, shop, o); err != nil || sent.Message.TraceParent != "" {
			t.Errorf("got %q, %v, want none", sent.Message.TraceParent, err)
		}
	})
}
