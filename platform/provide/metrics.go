package provide

import (
	"cmp"
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/apnsclient/apnsprom"
	"github.com/heraldpush/herald/provider"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/api"
	"github.com/heraldpush/herald/provider/outbox"
	"github.com/heraldpush/herald/store/pebble"
)

// namespace is what the names of all metrics of the push server begin with.
const namespace = "herald_provider"

// other stands for label values that are not known.
const other = "other"

// metrics is what is counted of a run.
type metrics struct {
	registry *prometheus.Registry
	outbox   *metered
	gateways map[apns.Environment]*apnsprom.Metrics
	requests *prometheus.CounterVec   // operation, status
	took     *prometheus.HistogramVec // operation
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(), outbox: newMetered(), gateways: make(map[apns.Environment]*apnsprom.Metrics),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "api_requests_total", Help: "Requests to the API, by operation and HTTP status.",
		}, []string{"operation", "status"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "api_request_duration_seconds", Help: "Time that requests to the API took, by operation.",
			Buckets: []float64{.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 30},
		}, []string{"operation"}),
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.outbox.messages, m.outbox.receipts, m.outbox.failures, m.requests, m.took)
	for _, e := range apns.Environments {
		m.gateways[e] = apnsprom.New(e)
		m.registry.MustRegister(m.gateways[e])
	}
	return m
}

// watch returns a gateway whose connections are counted.
func (m *metrics) watch(g provider.Gateway) provider.Gateway {
	return func(e apns.Environment) apnsclient.Config {
		var cfg apnsclient.Config
		if g != nil {
			cfg = g(e)
		}
		if counting := m.gateways[e]; counting != nil {
			cfg.Hooks = counting.Hooks()
		}
		return cfg
	}
}

// count returns an outbox whose messages are counted.
func (m *metrics) count(o outbox.Store, book *account.Book) outbox.Store {
	m.outbox.Store, m.outbox.book = o, book
	return m.outbox
}

// answered counts a request to the API.
func (m *metrics) answered(a api.Answered) {
	operation := cmp.Or(a.Operation, "none")
	m.requests.WithLabelValues(operation, strconv.Itoa(a.Status)).Inc()
	m.took.WithLabelValues(operation).Observe(a.Took.Seconds())
}

// observe shows what a push server is like when somebody looks.
func (m *metrics) observe(s *service) {
	gauge := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
	}
	for e, g := range m.gateways {
		g.Watch(func() apnsclient.Stats { return s.push.Stats(e) })
	}
	m.registry.MustRegister(newWebhookGauges(s), &present{
		service: s,
		sending: gauge("sending", "Recipients of the shards that are being sent who have no receipt yet."),
		shards:  gauge("outbox_shards", "Shards in the outbox that wait or are being sent, by lane; counted up to "+strconv.Itoa(backlogLimit)+".", "lane"),
		oldest:  gauge("outbox_oldest_seconds", "Time since the first of the messages was made that wait or are being sent, by lane.", "lane"),
		expires: gauge("credential_expires_seconds", "Time until a credential expires, negative when it has; keys do not expire.", "app", "credential", "name"),
		refused: gauge("credential_refused", "1 for a credential that the push service refused last, 0 for one that it took.", "app", "credential", "environment"),
		failed:  gauge("outbox_up", "1 while the outbox can be read, 0 when the disk has failed."),
	})
}

// present is a prometheus.Collector of how things are.
type present struct {
	service *service

	sending, shards, oldest, expires, refused, failed *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (p *present) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{p.sending, p.shards, p.oldest, p.expires, p.refused, p.failed} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (p *present) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), metricsTimeout)
	defer cancel()
	now := time.Now()
	gauge(p.sending, float64(p.service.metrics.outbox.pending()))
	backlog, err := p.service.backlog(ctx, backlogLimit)
	up := 1.0
	if err != nil {
		up = 0
	}
	gauge(p.failed, up)
	for lane, b := range backlog {
		gauge(p.shards, float64(b.Shards), lane.String())
		gauge(p.oldest, waited(b, now), lane.String())
	}
	p.credentials(now, gauge)
}

// credentials shows the credentials of all apps.
func (p *present) credentials(now time.Time, gauge func(*prometheus.Desc, float64, ...string)) {
	for _, app := range p.service.book.Apps("", account.MaxApps) {
		for _, c := range p.service.book.Credentials(app.ID) {
			if !c.NotAfter.IsZero() {
				gauge(p.expires, c.NotAfter.Sub(now).Seconds(), string(app.ID), string(c.ID), c.Name)
			}
			for _, s := range c.Standings {
				refused := 1.0
				if s.Proven() {
					refused = 0
				}
				gauge(p.refused, refused, string(app.ID), string(c.ID), s.Environment.String())
			}
		}
	}
}

// backlog returns what waits in the outbox by lane, of each no more than most
// shards.
func (s *service) backlog(ctx context.Context, most int) (map[outbox.Lane]pebble.Backlog, error) {
	return s.outbox.Backlog(ctx, time.Now(), most)
}
