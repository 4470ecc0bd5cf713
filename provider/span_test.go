package provider_test

import (
	"strings"
	"testing"

	"go.opentelemetry.io/otel/propagation"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider"
)

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
