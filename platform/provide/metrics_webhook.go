package provide

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/heraldpush/herald/provider/event"
)

// webhookGauges is a prometheus.Collector of how far the webhooks are.
type webhookGauges struct {
	service *service

	behind, failing, paused, delivered *prometheus.Desc
}

func newWebhookGauges(s *service) *webhookGauges {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "webhook", name), help, []string{"webhook"}, nil)
	}
	return &webhookGauges{
		service:   s,
		behind:    desc("behind_events", "Events of the log that the webhook has not come to, wanted or not."),
		failing:   desc("failing_seconds", "Time for which deliveries to the webhook have failed, 0 if the last did not."),
		paused:    desc("paused", "1 for a webhook that is paused, by somebody or as it failed for long."),
		delivered: desc("delivered_events_total", "Events that the webhook has taken."),
	}
}

// Describe implements prometheus.Collector.
func (g *webhookGauges) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{g.behind, g.failing, g.paused, g.delivered} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (g *webhookGauges) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), metricsTimeout)
	defer cancel()
	_, last, err := g.service.events.Bounds(ctx)
	now := time.Now()
	for _, w := range g.service.webhooks.Roll().List("", event.MaxWebhooks) {
		p, id := &w.Progress, string(w.ID)
		failing, paused := 0.0, 0.0
		if p.Failures > 0 {
			failing = max(0, now.Sub(p.FailingSince).Seconds())
		}
		if p.State == event.Paused {
			paused = 1
		}
		if err == nil { // else the log cannot be read now
			to <- prometheus.MustNewConstMetric(g.behind, prometheus.GaugeValue, float64(last-min(last, p.Cursor)), id)
		}
		to <- prometheus.MustNewConstMetric(g.failing, prometheus.GaugeValue, failing, id)
		to <- prometheus.MustNewConstMetric(g.paused, prometheus.GaugeValue, paused, id)
		to <- prometheus.MustNewConstMetric(g.delivered, prometheus.CounterValue, float64(p.Delivered), id)
	}
}
