package gateway_test

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/gateway"
	"github.com/heraldpush/herald/trace"
	"github.com/heraldpush/herald/wire"
)

func newTrace(tb testing.TB) *trace.Recorder {
	tb.Helper()
	r, err := trace.Open(trace.Config{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(r.Close)
	return r
}

// What the gateway answers is in the story, whichever way it came to it.
func TestTrace(t *testing.T) {
	for name, immediate := range map[string]bool{"queued": false, "at once": true} {
		t.Run(name, func(t *testing.T) {
			rec := newTrace(t)
			w := newWorldWith(t, options{trace: rec, immediate: immediate})
			p := w.dial(t, dialing{})
			device := apns.Address{Device: w.device, Environment: apns.Sandbox, Topic: demo.Hash()}
			for _, tt := range []struct {
				name string
				q    *push
				want string
				line trace.Line
			}{
				{"accepted", w.push(t), accepted, trace.Line{Hop: trace.Accepted, Address: device, Status: 200}},
				{"not stored", w.push(t).add("apns-expiration", "0"), accepted, trace.Line{Hop: trace.Accepted, Address: device, Status: 200}},
				{
					"gone", w.push(t).to(w.goneToken(t, demo, apns.Sandbox)), refused(apns.Unregistered),
					trace.Line{Hop: trace.Refused, Address: apns.Address{Environment: apns.Sandbox, Topic: demo.Hash()}, Status: 410, Reason: apns.Unregistered},
				},
				{
					"no device token", w.push(t).to("x"), refused(apns.BadDeviceToken),
					trace.Line{Hop: trace.Refused, Address: apns.Address{Environment: apns.Sandbox, Topic: demo.Hash()}, Status: 400, Reason: apns.BadDeviceToken},
				},
				{
					"no method", &push{method: "GET", path: "/3/device/00", body: []byte(hello)}, refused(apns.MethodNotAllowed),
					trace.Line{Hop: trace.Refused, Address: apns.Address{Environment: apns.Sandbox}, Status: 405, Reason: apns.MethodNotAllowed},
				},
			} {
				tt.line.ID = apns.NotificationID(apns.NewUUID())
				tt.line.Connection = 1
				p.want(tt.q.add("apns-id", strings.ToUpper(string(tt.line.ID))), tt.want)
				got, err := rec.Story(t.Context(), tt.line.ID)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff([]trace.Line{tt.line}, got, cmpopts.IgnoreFields(trace.Line{}, "Time")); diff != "" {
					t.Errorf("%s (-want +got):\n%s", tt.name, diff)
				}
				if len(got) == 1 && time.Since(got[0].Time).Abs() > time.Minute {
					t.Errorf("%s: got time %v", tt.name, got[0].Time)
				}
			}
		})
	}
}

// The legacy interface tells its providers little, and the trace all.
func TestTraceLegacy(t *testing.T) {
	rec := newTrace(t)
	w := newWorldWith(t, options{trace: rec})
	w.serveLegacy(t)
	o := w.dialOld(t, legacyPort, dialing{})
	bad := w.enhanced(t, 2, hello)
	bad.DeviceToken = forged(bad.DeviceToken)
	o.send(w.enhanced(t, 1, hello), bad)
	o.want(&wire.LegacyError{Status: wire.LegacyInvalidToken, Identifier: 2})
	got, err := rec.ByDevice(t.Context(), w.device, demo.Hash(), time.Time{}, 0)
	if err != nil || len(got) != 1 || got[0].Hop != trace.Accepted || !got[0].ID.Valid() {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestTraceAllocations proves that a trace adds nothing to what TestAllocations
// allows.
func TestTraceAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	limits := gateway.ProductionLimits()
	limits.DeviceBurst = 1_000_000
	w := newWorldWith(t, options{limits: limits, immediate: true, trace: newTrace(t)})
	for expiration, limit := range maxAllocsPerPush {
		p := w.newPlayer(t, dialing{}, expiration)
		const batches = 50
		for range 20 {
			p.play() // buffers grow
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range batches {
			p.play()
		}
		runtime.ReadMemStats(&after)
		if got := float64(after.Mallocs-before.Mallocs) / (batches * batchPushes); got > limit {
			t.Errorf("expiration %s: allocations a push: got %.2f, want at most %v", expiration, got, limit)
		}
	}
}

// BenchmarkTrace is BenchmarkPush with a trace and without one.
func BenchmarkTrace(b *testing.B) {
	for name, rec := range map[string]*trace.Recorder{"off": nil, "on": newTrace(b)} {
		w := newWorldWith(b, options{immediate: true, trace: rec})
		b.Run(name, func(b *testing.B) {
			p := w.newPlayer(b, dialing{}, "0")
			b.ReportAllocs()
			b.ResetTimer()
			for i := 0; i < b.N; i += batchPushes {
				p.play()
			}
		})
	}
}
