package bench

import (
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
)

// PushReport is what RunPush measured.
type PushReport struct {
	Machine  Machine      `json:"machine"`
	Settings PushSettings `json:"settings"`
	Phases   []PushRows   `json:"phases"`
	Silent   []SilentRow  `json:"silent"`

	// What a push costs in microseconds of CPU time, and how many times that it
	// costs with a peer: in bulk, and blocking. The medians of the rounds; nil where it was
	// not measured.
	UsPerPush             *float64 `json:"us_per_push"`
	RatioSideshow         *float64 `json:"ratio_sideshow,omitempty"`
	RatioNetHTTP          *float64 `json:"ratio_nethttp,omitempty"`
	UsPerPushBlocking     *float64 `json:"us_per_push_blocking"`
	RatioSideshowBlocking *float64 `json:"ratio_sideshow_blocking,omitempty"`
	RatioNetHTTPBlocking  *float64 `json:"ratio_nethttp_blocking,omitempty"`
}

// PushSettings are those of the run.
type PushSettings struct {
	PayloadBytes int     `json:"payload_bytes"`
	Rounds       int     `json:"rounds"`
	Count        int64   `json:"count"`
	DelayMillis  float64 `json:"delay_ms"`
	TimeoutMilli float64 `json:"silent_timeout_ms"`
}

// PushRows are the senders in a phase.
type PushRows struct {
	Phase       PushPhase `json:"phase"`
	Connections int       `json:"connections"`
	Goroutines  int       `json:"goroutines"` // of those that have no way to push in bulk
	Streams     int       `json:"streams"`    // on a connection, at most
	Senders     []PushRow `json:"senders"`
}

// PushRow is what a sender used in a phase.
type PushRow struct {
	Sender string `json:"sender"`
	// InBulk says that it had all pushes at once.
	InBulk bool  `json:"in_bulk"`
	Pushes int64 `json:"pushes"` // in all rounds, each accepted

	CPU            Figure `json:"cpu_us_per_push"`
	ToHerald       Figure `json:"cpu_to_herald"` // in the same round
	Pushed         Figure `json:"pushes_per_s"`
	Allocations    Figure `json:"allocs_per_push"`
	AllocatedBytes Figure `json:"alloc_bytes_per_push"`
	P50            Figure `json:"p50_us"`
	P99            Figure `json:"p99_us"`
	Connections    Figure `json:"connections"` // that it opened
	// RoundTrip is that of a push alone, and Share what part of the rate that
	// streams and round trip allow on one connection was reached. They are nil where the
	// sink does not delay.
	RoundTrip *Figure `json:"round_trip_us,omitempty"`
	Share     *Figure `json:"share_of_streams_per_rtt,omitempty"`
}

// SilentRow is how the library fared with a sink that fell silent.
type SilentRow struct {
	Silence    string           `json:"silence"`
	InBulk     bool             `json:"in_bulk"` // or with so many goroutines
	Goroutines int              `json:"goroutines"`
	Pushes     int64            `json:"pushes"`
	Ended      map[string]int64 `json:"ended"` // by how
	Seconds    float64          `json:"seconds"`
	// Resident memory when it was connected, the most while it pushed, and at the
	// end; zero where that is not known.
	Before int64 `json:"rss_before_bytes"`
	Most   int64 `json:"rss_most_bytes"`
	After  int64 `json:"rss_after_bytes"`
}

// report gathers the samples.
func (r *pushRun) report() *PushReport {
	rep := &PushReport{
		Machine: Machine{runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), r.pinned},
		Settings: PushSettings{
			PayloadBytes: r.cfg.Payload, Rounds: r.cfg.Rounds, Count: r.cfg.Count,
			DelayMillis: r.cfg.Delay.Seconds() * 1e3, TimeoutMilli: r.cfg.Timeout.Seconds() * 1e3,
		},
		Phases: []PushRows{}, Silent: []SilentRow{},
	}
	for _, phase := range r.cfg.Phases {
		if phase == PushSilent {
			continue
		}
		plan := r.cfg.plan(phase, Herald)
		rows := PushRows{Phase: phase, Connections: plan.Connections, Goroutines: plan.Goroutines, Streams: plan.Streams}
		for _, name := range append([]string{Herald}, r.cfg.Peers...) {
			rows.Senders = append(rows.Senders, newPushRow(name, plan.Streams, r.samples[phase][name], r.samples[phase][Herald]))
		}
		rep.Phases = append(rep.Phases, rows)
	}
	for _, s := range r.silent {
		rep.Silent = append(rep.Silent, SilentRow{
			Silence: string(s.kind), InBulk: s.InBulk, Goroutines: silentGoroutines, Pushes: s.Pushes, Ended: s.Failed, Seconds: s.Wall.Seconds(),
			Before: s.Before, Most: s.Most, After: s.After,
		})
	}
	rep.UsPerPush, rep.RatioSideshow, rep.RatioNetHTTP = rep.summary(PushBulk)
	rep.UsPerPushBlocking, rep.RatioSideshowBlocking, rep.RatioNetHTTPBlocking = rep.summary(PushBlocking)
	return rep
}

// newPushRow returns the row of a sender. Sample i of the library is of the same
// round as sample i of the sender.
func newPushRow(name string, streams int, samples, herald []pushSample) PushRow {
	of := func(f func(s *pushSample) float64) Figure {
		values := make([]float64, len(samples))
		for i := range samples {
			values[i] = f(&samples[i])
		}
		return newFigure(values)
	}
	row := PushRow{
		Sender: name, InBulk: samples[0].InBulk,
		CPU:            of(func(s *pushSample) float64 { return s.cpuMicros() }),
		Pushed:         of(func(s *pushSample) float64 { return s.perSecond() }),
		Allocations:    of(func(s *pushSample) float64 { return float64(s.Used.Allocations) / float64(s.Pushes) }),
		AllocatedBytes: of(func(s *pushSample) float64 { return float64(s.Used.AllocatedBytes) / float64(s.Pushes) }),
		P50:            of(func(s *pushSample) float64 { return s.P50.Seconds() * 1e6 }),
		P99:            of(func(s *pushSample) float64 { return s.P99.Seconds() * 1e6 }),
		Connections:    of(func(s *pushSample) float64 { return float64(s.connections) }),
	}
	ratios := make([]float64, len(samples))
	for i := range samples {
		row.Pushes += samples[i].Pushes
		ratios[i] = samples[i].cpuMicros() / max(herald[i].cpuMicros(), 1e-9)
	}
	row.ToHerald = newFigure(ratios)
	if samples[0].RoundTrip > 0 {
		row.RoundTrip = new(of(func(s *pushSample) float64 { return s.RoundTrip.Seconds() * 1e6 }))
		row.Share = new(of(func(s *pushSample) float64 { return s.share(streams) }))
	}
	return row
}

// summary returns what a push of a phase costs, and the ratios of the peers to that.
func (r *PushReport) summary(phase PushPhase) (us, sideshow, nethttp *float64) {
	for _, rows := range r.Phases {
		if rows.Phase != phase {
			continue
		}
		for _, row := range rows.Senders {
			switch row.Sender {
			case Herald:
				us = new(row.CPU.Median)
			case Sideshow:
				sideshow = new(row.ToHerald.Median)
			case NetHTTP:
				nethttp = new(row.ToHerald.Median)
			}
		}
	}
	return us, sideshow, nethttp
}

// WriteTo writes the report as tables for people.
func (r *PushReport) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	where := "the system put them"
	if r.Machine.Pinned {
		where = "the sink on one core, senders on another"
	}
	s := r.Settings
	fmt.Fprintf(&b, "%s/%s, %d cores, %s; %s\n", r.Machine.OS, r.Machine.Arch, r.Machine.Cores, r.Machine.Go, where)
	fmt.Fprintf(&b, "payload of %d bytes, %d rounds of %d pushes\n", s.PayloadBytes, s.Rounds, s.Count)
	for i := range r.Phases {
		fmt.Fprintf(&b, "\n%s\n", r.Phases[i].title(s))
		r.Phases[i].write(&b)
	}
	if len(r.Phases) > 0 {
		b.WriteString("\nMedians of the rounds. CPU is of the sender; its spread is from the least to the most of a round.\n" +
			"x herald: CPU against the library's in the same round.\n")
	}
	if len(r.Silent) > 0 {
		fmt.Fprintf(&b, "\n%s: the sink falls silent, with %d goroutines that push, or in bulk, and a timeout of %g ms\n", PushSilent, r.Silent[0].Goroutines, s.TimeoutMilli)
		writeSilent(&b, r.Silent)
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

// title says what is done in a phase.
func (p *PushRows) title(s PushSettings) string {
	switch p.Phase {
	case PushBulk:
		return fmt.Sprintf("%s: all at once on %d connection, %d in flight at most; with a peer %d goroutines", p.Phase, p.Connections, p.Streams, p.Goroutines)
	case PushDelayed:
		return fmt.Sprintf("%s: %d goroutines on %d connection, and each answer takes %g ms", p.Phase, p.Goroutines, p.Connections, s.DelayMillis)
	case PushUnbatched:
		return fmt.Sprintf("%s: %d connections with 1 in flight", p.Phase, p.Connections)
	case PushBlocking, PushSilent:
	}
	return fmt.Sprintf("%s: %d goroutines on %d connection", p.Phase, p.Goroutines, p.Connections)
}

// write writes the rows of a phase.
func (p *PushRows) write(b *strings.Builder) {
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	// A strings.Builder takes everything.
	_, _ = fmt.Fprint(t, "sender\tCPU us/push\tspread\tx herald\tpushes/s\tallocs\tbytes\tp50 us\tp99 us\tconnections\tof streams/RTT\t\n")
	for i := range p.Senders {
		r := &p.Senders[i]
		share := "-"
		if r.Share != nil {
			share = fmt.Sprintf("%.0f %%", 100*r.Share.Median)
		}
		_, _ = fmt.Fprintf(t, "%s\t%.2f\t%.2f-%.2f\t%.2f\t%.0f\t%.2f\t%.0f\t%.0f\t%.0f\t%.0f\t%s\t\n", r.Sender,
			r.CPU.Median, r.CPU.Min, r.CPU.Max, r.ToHerald.Median, r.Pushed.Median, r.Allocations.Median, r.AllocatedBytes.Median,
			r.P50.Median, r.P99.Median, r.Connections.Median, share)
	}
	_ = t.Flush()
}

func writeSilent(b *strings.Builder, rows []SilentRow) {
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprint(t, "the sink\tpushes\t\tseconds\tRSS MiB before\tmost\tafter\t ended\t\n")
	for _, r := range rows {
		var ended []string
		for _, how := range slices.Sorted(maps.Keys(r.Ended)) {
			ended = append(ended, fmt.Sprintf("%d %s", r.Ended[how], how))
		}
		how := PushBlocking
		if r.InBulk {
			how = PushBulk
		}
		_, _ = fmt.Fprintf(t, "%s\t%d\t%s\t%.1f\t%.1f\t%.1f\t%.1f\t %s\t\n", r.Silence, r.Pushes, how, r.Seconds,
			float64(r.Before)/(1<<20), float64(r.Most)/(1<<20), float64(r.After)/(1<<20), strings.Join(ended, ", "))
	}
	_ = t.Flush()
}
