// Package apnsprom makes metrics for Prometheus of what an apnsclient.Sender
// does. It is a package of its own, so that those who measure otherwise do not
// carry Prometheus along.
//
//	metrics := apnsprom.New(apns.Production)
//	sender, err := apnsclient.New(apnsclient.Config{
//		Environment: apns.Production,
//		Hooks:       metrics.Hooks(),
//		…
//	})
//	metrics.Watch(sender.Stats)
//	prometheus.MustRegister(metrics)
//
// Every name begins with herald_apns_, every metric has the label environment.
// The values of labels are bounded, whatever is pushed and answered: there is no
// topic and no device token among them, and a reason or push type that this
// version does not know is "other". One [Metrics] serves any number of senders of
// an environment; those that are to be told apart have one each, registered
// through prometheus.WrapRegistererWith with a label of your choice.
package apnsprom

import (
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
)

// buckets are the upper bounds of durations, in seconds: an answer takes
// a few milliseconds beside the gateway, and 10 seconds are the default limit.
var buckets = []float64{.002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 30}

// other stands for label values that are not known.
const other = "other"

// Metrics is what is counted. It is a prometheus.Collector, safe for concurrent
// use.
type Metrics struct {
	attempts  *prometheus.CounterVec   // outcome, reason, push_type
	retries   *prometheus.CounterVec   // outcome, reason
	durations *prometheus.HistogramVec // outcome
	opened    prometheus.Counter
	failed    prometheus.Counter
	closed    prometheus.Counter
	goingAway *prometheus.CounterVec // reason
	setup     prometheus.Histogram

	connections, streams, inFlight, pending, oldest *prometheus.Desc

	mu    sync.Mutex
	stats []func() apnsclient.Stats // of the senders that are watched; guarded by mu
}

// New returns metrics for the senders of an environment. They count nothing
// before their Hooks are given to one.
func New(e apns.Environment) *Metrics {
	fixed := prometheus.Labels{"environment": e.String()}
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help, ConstLabels: fixed}
	}
	histogram := func(name, help string) prometheus.HistogramOpts {
		return prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, ConstLabels: fixed, Buckets: buckets}
	}
	gauge := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, nil, fixed)
	}
	return &Metrics{
		attempts: prometheus.NewCounterVec(counter("attempts_total",
			"Attempts at pushes that have ended, by outcome, the gateway's reason (empty if it gave none) and push type."),
			[]string{"outcome", "reason", "push_type"}),
		retries: prometheus.NewCounterVec(counter("retries_total",
			"Attempts after which the push was tried again, by the outcome and reason that were the cause."),
			[]string{"outcome", "reason"}),
		durations: prometheus.NewHistogramVec(histogram("attempt_duration_seconds",
			"Time from handing a push to a connection to its end, by outcome."), []string{"outcome"}),
		opened: prometheus.NewCounter(counter("connections_opened_total", "Connections made.")),
		failed: prometheus.NewCounter(counter("connections_failed_total", "Connections that could not be made.")),
		closed: prometheus.NewCounter(counter("connections_closed_total", "Connections that have ended.")),
		goingAway: prometheus.NewCounterVec(counter("connections_going_away_total",
			"Connections that took no more pushes, by the reason in the gateway's GOAWAY (empty if it gave none)."), []string{"reason"}),
		setup: prometheus.NewHistogram(histogram("connection_setup_seconds",
			"Time that making a connection took, until the gateway's SETTINGS came.")),
		connections: gauge("connections", "Connections that take pushes."),
		streams:     gauge("streams", "Pushes that these connections take at a time, as the gateway says now."),
		inFlight:    gauge("in_flight", "Pushes that wait for their answer."),
		pending:     gauge("pending", "Pushes that wait for a connection with room, or for their next attempt."),
		oldest:      gauge("oldest_pending_seconds", "Time for which the first of the pushes that wait for a connection has waited."),
	}
}

// namespace is what every name begins with.
const namespace = "herald_apns"

// Hooks returns the hooks that count, for apnsclient.Config.Hooks. To have hooks
// of your own as well, call these from them.
func (m *Metrics) Hooks() apnsclient.Hooks {
	return apnsclient.Hooks{Attempt: m.attempt, Connection: m.connection}
}

// Watch adds a sender whose state is shown when metrics are collected: give
// sender.Stats. Those of several senders are added up, and of OldestPending the
// longest is shown.
func (m *Metrics) Watch(stats func() apnsclient.Stats) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stats = append(m.stats, stats)
}

func (m *Metrics) attempt(a apnsclient.Attempt) {
	outcome, reason, pushType := a.Outcome.String(), reasonLabel(a.Reason), string(a.PushType)
	if !a.PushType.Known() {
		pushType = other
	}
	m.attempts.WithLabelValues(outcome, reason, pushType).Inc()
	m.durations.WithLabelValues(outcome).Observe(a.Duration.Seconds())
	if a.Retried {
		m.retries.WithLabelValues(outcome, reason).Inc()
	}
}

func (m *Metrics) connection(e apnsclient.ConnectionEvent) {
	switch e.Kind {
	case apnsclient.Opened:
		m.opened.Inc()
		m.setup.Observe(e.Duration.Seconds())
	case apnsclient.Failed:
		m.failed.Inc()
	case apnsclient.GoingAway:
		m.goingAway.WithLabelValues(reasonLabel(e.Reason)).Inc()
	case apnsclient.Closed:
		m.closed.Inc()
	case apnsclient.LimitChanged: // the gauge of streams shows it
	}
}

// reasonLabel returns r, as long as it is one of the reasons there are: a reason
// comes from the wire.
func reasonLabel(r apns.Reason) string {
	if r != "" && r.Sentence() == "" {
		return other
	}
	return string(r)
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(to chan<- *prometheus.Desc) {
	for _, c := range m.collectors() {
		c.Describe(to)
	}
	for _, d := range []*prometheus.Desc{m.connections, m.streams, m.inFlight, m.pending, m.oldest} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(to chan<- prometheus.Metric) {
	for _, c := range m.collectors() {
		c.Collect(to)
	}
	s := m.sum()
	for _, g := range []struct {
		desc  *prometheus.Desc
		value float64
	}{
		{m.connections, float64(s.Connections)},
		{m.streams, float64(s.Streams)},
		{m.inFlight, float64(s.InFlight)},
		{m.pending, float64(s.Pending)},
		{m.oldest, s.OldestPending.Seconds()},
	} {
		to <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, g.value)
	}
}

func (m *Metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.attempts, m.retries, m.durations, m.opened, m.failed, m.closed, m.goingAway, m.setup}
}

// sum returns the state of all senders that are watched.
func (m *Metrics) sum() (all apnsclient.Stats) {
	m.mu.Lock()
	watched := slices.Clip(m.stats)
	m.mu.Unlock()
	var oldest time.Duration
	for _, stats := range watched {
		s := stats()
		all.Connections += s.Connections
		all.Streams += s.Streams
		all.InFlight += s.InFlight
		all.Pending += s.Pending
		oldest = max(oldest, s.OldestPending)
	}
	all.OldestPending = oldest
	return all
}
