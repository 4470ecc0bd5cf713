package bench

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/heraldpush/herald/internal/load"
)

// ProviderReport is what RunProvider measured.
type ProviderReport struct {
	Machine  Machine          `json:"machine"`
	Settings ProviderSettings `json:"settings"`
	Phases   []ProviderRow    `json:"phases"`
}

// ProviderSettings are those of the run.
type ProviderSettings struct {
	Installations int64   `json:"installations"`
	Count         int64   `json:"count"`
	Urgent        int64   `json:"urgent"`
	EveryMillis   float64 `json:"urgent_every_ms"`
	InFlight      int     `json:"in_flight"`
	PayloadBytes  int     `json:"payload_bytes"`
	Rounds        int     `json:"rounds"`
}

// ProviderRow is a phase. What it has nothing of is missing.
type ProviderRow struct {
	Phase ProviderPhase `json:"phase"`
	// Calls to the API in all rounds, each answered with success: with that a
	// registration is on the disk, and a message too.
	Calls       int64   `json:"calls,omitempty"`
	CallsPerSec *Figure `json:"calls_per_s,omitempty"`
	CallP50     *Figure `json:"call_p50_us,omitempty"`
	CallP99     *Figure `json:"call_p99_us,omitempty"`
	CallMost    *Figure `json:"call_max_us,omitempty"`
	// Pushes that the gateway accepted in all rounds, and how many a second from the
	// first call, or in the phase queue from when the gateway answers again, to the
	// last answer.
	Pushes       int64   `json:"pushes,omitempty"`
	PushesPerSec *Figure `json:"pushes_per_s,omitempty"`
	// Alone and Beside are how long messages took in the phase urgent from the call
	// to the answer of the gateway.
	Alone  *Latency `json:"alone,omitempty"`
	Beside *Latency `json:"beside_broadcast,omitempty"`

	// Microseconds of CPU time for each call, or each push where there were more of
	// those: of the push server until all had settled, of the gateway, and of who calls.
	ServerCPU Figure  `json:"server_us"`
	SinkCPU   Figure  `json:"gateway_us"`
	CallerCPU *Figure `json:"caller_us,omitempty"`
	// Settled is how long the push server had something to do after the last push.
	Settled Figure `json:"settled_s"`

	// Resident memory of the push server, and the size of its outbox's folder: before,
	// the most, and when all had settled. Database is all else that it has on the disk
	// by then.
	RSSFirst     Figure `json:"rss_first_bytes"`
	RSSMost      Figure `json:"rss_most_bytes"`
	RSSLast      Figure `json:"rss_last_bytes"`
	OutboxFirst  Figure `json:"outbox_first_bytes"`
	OutboxMost   Figure `json:"outbox_most_bytes"`
	OutboxLast   Figure `json:"outbox_last_bytes"`
	DatabaseLast Figure `json:"database_bytes"`
}

// Latency is how long something took.
type Latency struct {
	P50  Figure `json:"p50_us"`
	P99  Figure `json:"p99_us"`
	Most Figure `json:"max_us"`
}

// report gathers the samples.
func (r *providerRun) report() *ProviderReport {
	c := &r.cfg
	rep := &ProviderReport{
		Machine: Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, Cores: runtime.NumCPU(), Go: runtime.Version()},
		Settings: ProviderSettings{
			Installations: c.Installations, Count: c.Count, Urgent: c.Urgent, EveryMillis: c.Every.Seconds() * 1e3, InFlight: c.InFlight,
			PayloadBytes: c.Payload, Rounds: c.Rounds,
		},
		Phases: []ProviderRow{},
	}
	for _, phase := range c.phasesOf() {
		rep.Phases = append(rep.Phases, newProviderRow(phase, r.samples[phase]))
	}
	return rep
}

// newProviderRow returns the row of a phase.
func newProviderRow(phase ProviderPhase, samples []providerSample) ProviderRow {
	of := func(f func(s *providerSample) float64) Figure {
		values := make([]float64, len(samples))
		for i := range samples {
			values[i] = f(&samples[i])
		}
		return newFigure(values)
	}
	quantile := func(part float64, f func(s *providerSample) *load.Histogram) Figure {
		return of(func(s *providerSample) float64 { return f(s).Quantile(part).Seconds() * 1e6 })
	}
	each := func(f func(s *providerSample) time.Duration) Figure {
		return of(func(s *providerSample) float64 { return f(s).Seconds() * 1e6 / float64(s.units()) })
	}
	row := ProviderRow{
		Phase:        phase,
		ServerCPU:    each(func(s *providerSample) time.Duration { return s.serverCPU }),
		SinkCPU:      each(func(s *providerSample) time.Duration { return s.sinkCPU }),
		Settled:      of(func(s *providerSample) float64 { return s.settled.Seconds() }),
		RSSFirst:     of(func(s *providerSample) float64 { return float64(s.rssFirst) }),
		RSSMost:      of(func(s *providerSample) float64 { return float64(s.rssMost) }),
		RSSLast:      of(func(s *providerSample) float64 { return float64(s.rssLast) }),
		OutboxFirst:  of(func(s *providerSample) float64 { return float64(s.outboxBefore) }),
		OutboxMost:   of(func(s *providerSample) float64 { return float64(s.outboxMost) }),
		OutboxLast:   of(func(s *providerSample) float64 { return float64(s.outboxSettled) }),
		DatabaseLast: of(func(s *providerSample) float64 { return float64(s.databaseBytes) }),
	}
	for i := range samples {
		row.Calls += samples[i].calls
		row.Pushes += samples[i].pushes
	}
	if row.Calls > 0 {
		took := func(s *providerSample) *load.Histogram { return &s.took }
		row.CallsPerSec = new(of(func(s *providerSample) float64 { return float64(s.calls) / s.callWall.Seconds() }))
		row.CallP50, row.CallP99, row.CallMost = new(quantile(0.5, took)), new(quantile(0.99, took)), new(quantile(1, took))
		row.CallerCPU = new(each(func(s *providerSample) time.Duration { return s.callerCPU }))
	}
	if row.Pushes > 0 {
		row.PushesPerSec = new(of(func(s *providerSample) float64 { return float64(s.pushes) / s.pushWall.Seconds() }))
	}
	if phase == ProviderUrgent {
		latency := func(f func(s *providerSample) *load.Histogram) *Latency {
			return &Latency{quantile(0.5, f), quantile(0.99, f), quantile(1, f)}
		}
		row.Alone = latency(func(s *providerSample) *load.Histogram { return s.alone })
		row.Beside = latency(func(s *providerSample) *load.Histogram { return s.beside })
	}
	return row
}

// WriteTo writes the report as tables for people.
func (r *ProviderReport) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	s := r.Settings
	fmt.Fprintf(&b, "%s/%s, %d cores, %s; push server, gateway and load share them\n", r.Machine.OS, r.Machine.Arch, r.Machine.Cores, r.Machine.Go)
	fmt.Fprintf(&b, "%d installations, %d calls with %d in flight, %d urgent ones every %g ms, payload of %d bytes; %d rounds\n\n",
		s.Installations, s.Count, s.InFlight, s.Urgent, s.EveryMillis, s.PayloadBytes, s.Rounds)
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	// A strings.Builder takes everything.
	_, _ = fmt.Fprint(t, "phase\tcalls/s\tp50 us\tp99 us\tmax us\tpushes/s\tserver us\tspread\tgateway us\tcaller us\tsettled s\t\n")
	for i := range r.Phases {
		p := &r.Phases[i]
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%.1f\t%.1f-%.1f\t%.1f\t%s\t%.1f\t\n", p.Phase, median(p.CallsPerSec, "%.0f"),
			median(p.CallP50, "%.0f"), median(p.CallP99, "%.0f"), median(p.CallMost, "%.0f"), median(p.PushesPerSec, "%.0f"),
			p.ServerCPU.Median, p.ServerCPU.Min, p.ServerCPU.Max, p.SinkCPU.Median, median(p.CallerCPU, "%.1f"), p.Settled.Median)
	}
	_ = t.Flush()
	b.WriteString("\n")
	_, _ = fmt.Fprint(t, "phase\tRSS MiB first\tmost\tlast\toutbox MiB first\tmost\tlast\tdatabase MiB\t\n")
	for i := range r.Phases {
		p := &r.Phases[i]
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", p.Phase, mebibytes(p.RSSFirst), mebibytes(p.RSSMost), mebibytes(p.RSSLast),
			mebibytes(p.OutboxFirst), mebibytes(p.OutboxMost), mebibytes(p.OutboxLast), mebibytes(p.DatabaseLast))
	}
	_ = t.Flush()
	for i := range r.Phases {
		r.Phases[i].writeUrgent(&b)
	}
	b.WriteString("\nMedians of the rounds; the spread is from the least to the most of a round. us are of CPU time for each call, or for each\n" +
		"push where there are more of those; the push server's until it has settled.\n")
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

// writeUrgent writes how long urgent messages took, if they were measured.
func (p *ProviderRow) writeUrgent(b *strings.Builder) {
	if p.Alone == nil || p.Beside == nil {
		return
	}
	b.WriteString("\nFrom an urgent call to the answer of the gateway\n")
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprint(t, "\tp50 ms\tp99 ms\tmax ms\t\n")
	for _, row := range []struct {
		name string
		*Latency
	}{{"alone", p.Alone}, {"beside broadcasts", p.Beside}} {
		_, _ = fmt.Fprintf(t, "%s\t%.2f\t%.2f\t%.2f\t\n", row.name, row.P50.Median/1e3, row.P99.Median/1e3, row.Most.Median/1e3)
	}
	_ = t.Flush()
}

// median returns the median of a figure, or a dash if there is none.
func median(f *Figure, format string) string {
	if f == nil {
		return "-"
	}
	return fmt.Sprintf(format, f.Median)
}

// mebibytes returns the median of a figure in bytes, or a dash where it is not known.
func mebibytes(f Figure) string {
	if f.Median == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", f.Median/(1<<20))
}
