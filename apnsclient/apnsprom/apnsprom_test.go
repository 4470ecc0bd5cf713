package apnsprom_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/apnsclient/apnsprom"
)

func TestMetrics(t *testing.T) {
	m := apnsprom.New(apns.Sandbox)
	h := m.Hooks()
	for range 2 {
		h.Attempt(apnsclient.Attempt{PushType: apns.PushTypeAlert, Outcome: apnsclient.Accepted, Duration: 30 * time.Millisecond})
	}
	h.Attempt(apnsclient.Attempt{
		Topic: "com.example.demo", PushType: apns.PushTypeBackground, Outcome: apnsclient.RetryLater, Reason: apns.TooManyRequests,
		Retried: true, Duration: time.Minute, Err: apns.Reject(apns.TooManyRequests, ""),
	})
	h.Attempt(apnsclient.Attempt{PushType: "new", Outcome: apnsclient.Rejected, Reason: "NeverHeardOf"})
	h.Connection(apnsclient.ConnectionEvent{Kind: apnsclient.Opened, Duration: 70 * time.Millisecond})
	h.Connection(apnsclient.ConnectionEvent{Kind: apnsclient.LimitChanged, Limit: 1})
	h.Connection(apnsclient.ConnectionEvent{Kind: apnsclient.GoingAway, Reason: apns.Shutdown})
	h.Connection(apnsclient.ConnectionEvent{Kind: apnsclient.GoingAway})
	h.Connection(apnsclient.ConnectionEvent{Kind: apnsclient.GoingAway, Reason: "NeverHeardOf"})
	h.Connection(apnsclient.ConnectionEvent{Kind: apnsclient.Closed})
	h.Connection(apnsclient.ConnectionEvent{Kind: apnsclient.Failed, Err: errors.New("no route")})
	m.Watch(func() apnsclient.Stats {
		return apnsclient.Stats{Connections: 1, Streams: 1000, InFlight: 7, Pending: 3, OldestPending: 250 * time.Millisecond}
	})
	m.Watch(func() apnsclient.Stats {
		return apnsclient.Stats{Connections: 2, Streams: 1001, InFlight: 1, OldestPending: 50 * time.Millisecond}
	})
	const want = `
# HELP herald_apns_attempts_total Attempts at pushes that have ended, by outcome, the gateway's reason (empty if it gave none) and push type.
# TYPE herald_apns_attempts_total counter
herald_apns_attempts_total{environment="sandbox",outcome="accepted",push_type="alert",reason=""} 2
herald_apns_attempts_total{environment="sandbox",outcome="rejected",push_type="other",reason="other"} 1
herald_apns_attempts_total{environment="sandbox",outcome="retry later",push_type="background",reason="TooManyRequests"} 1
# HELP herald_apns_connections Connections that take pushes.
# TYPE herald_apns_connections gauge
herald_apns_connections{environment="sandbox"} 3
# HELP herald_apns_connections_closed_total Connections that have ended.
# TYPE herald_apns_connections_closed_total counter
herald_apns_connections_closed_total{environment="sandbox"} 1
# HELP herald_apns_connections_failed_total Connections that could not be made.
# TYPE herald_apns_connections_failed_total counter
herald_apns_connections_failed_total{environment="sandbox"} 1
# HELP herald_apns_connections_going_away_total Connections that took no more pushes, by the reason in the gateway's GOAWAY (empty if it gave none).
# TYPE herald_apns_connections_going_away_total counter
herald_apns_connections_going_away_total{environment="sandbox",reason=""} 1
herald_apns_connections_going_away_total{environment="sandbox",reason="Shutdown"} 1
herald_apns_connections_going_away_total{environment="sandbox",reason="other"} 1
# HELP herald_apns_connections_opened_total Connections made.
# TYPE herald_apns_connections_opened_total counter
herald_apns_connections_opened_total{environment="sandbox"} 1
# HELP herald_apns_in_flight Pushes that wait for their answer.
# TYPE herald_apns_in_flight gauge
herald_apns_in_flight{environment="sandbox"} 8
# HELP herald_apns_oldest_pending_seconds Time for which the first of the pushes that wait for a connection has waited.
# TYPE herald_apns_oldest_pending_seconds gauge
herald_apns_oldest_pending_seconds{environment="sandbox"} 0.25
# HELP herald_apns_pending Pushes that wait for a connection with room, or for their next attempt.
# TYPE herald_apns_pending gauge
herald_apns_pending{environment="sandbox"} 3
# HELP herald_apns_retries_total Attempts after which the push was tried again, by the outcome and reason that were the cause.
# TYPE herald_apns_retries_total counter
herald_apns_retries_total{environment="sandbox",outcome="retry later",reason="TooManyRequests"} 1
# HELP herald_apns_streams Pushes that these connections take at a time, as the gateway says now.
# TYPE herald_apns_streams gauge
herald_apns_streams{environment="sandbox"} 2001
`
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(m); err != nil {
		t.Fatal(err)
	}
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want),
		"herald_apns_attempts_total", "herald_apns_retries_total", "herald_apns_connections", "herald_apns_connections_closed_total",
		"herald_apns_connections_failed_total", "herald_apns_connections_going_away_total", "herald_apns_connections_opened_total",
		"herald_apns_in_flight", "herald_apns_oldest_pending_seconds", "herald_apns_pending", "herald_apns_streams"); err != nil {
		t.Error(err)
	}
	// What is measured: counts and sums.
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, f := range families {
		for _, one := range f.GetMetric() {
			if h := one.GetHistogram(); h != nil {
				got[f.GetName()+" count"] += float64(h.GetSampleCount())
				got[f.GetName()+" sum"] += h.GetSampleSum()
			}
		}
	}
	for name, want := range map[string]float64{
		"herald_apns_attempt_duration_seconds count": 4, "herald_apns_attempt_duration_seconds sum": 60.06,
		"herald_apns_connection_setup_seconds count": 1, "herald_apns_connection_setup_seconds sum": 0.07,
	} {
		if g := got[name]; g < want-1e-9 || g > want+1e-9 {
			t.Errorf("%s: got %v, want %v", name, g, want)
		}
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("got %v, %v", problems, err)
	}
}

// Both environments of one program are metrics of the same names.
func TestEnvironmentsSideBySide(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	for _, e := range apns.Environments {
		if err := registry.Register(apnsprom.New(e)); err != nil {
			t.Errorf("%s: %v", e, err)
		}
	}
	again := prometheus.WrapRegistererWith(prometheus.Labels{"team": "ABCDE12345"}, prometheus.NewPedanticRegistry())
	if err := again.Register(apnsprom.New(apns.Sandbox)); err != nil {
		t.Error(err)
	}
	if _, err := registry.Gather(); err != nil {
		t.Error(err)
	}
}

// What every push pays.
func TestAttemptAllocates(t *testing.T) {
	attempt := apnsprom.New(apns.Production).Hooks().Attempt
	a := apnsclient.Attempt{PushType: apns.PushTypeAlert, Outcome: apnsclient.Accepted, Duration: time.Millisecond}
	if got := testing.AllocsPerRun(1000, func() { attempt(a) }); got > 0 {
		t.Errorf("got %v allocations an attempt, want none", got)
	}
}

func BenchmarkAttempt(b *testing.B) {
	attempt := apnsprom.New(apns.Production).Hooks().Attempt
	a := apnsclient.Attempt{PushType: apns.PushTypeAlert, Outcome: apnsclient.Accepted, Duration: time.Millisecond}
	b.ReportAllocs()
	for b.Loop() {
		attempt(a)
	}
}
