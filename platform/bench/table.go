package bench

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// WriteTo writes the report as tables for people.
func (r *Report) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	where := "the system put them"
	if r.Machine.Pinned {
		where = "servers on one core, the load on another"
	}
	fmt.Fprintf(&b, "%s/%s, %d cores, %s; %s\n", r.Machine.OS, r.Machine.Arch, r.Machine.Cores, r.Machine.Go, where)
	s := r.Settings
	stored := "stored"
	if !s.Stored {
		stored = "not stored"
	}
	fmt.Fprintf(&b, "load by %s, %s, payload of %d bytes, %s, %d device tokens, %d of them connected, %g %% bad; %d rounds\n",
		s.Load, s.Auth, s.PayloadBytes, stored, s.DeviceTokens, s.Attached, 100*s.BadShare, s.Rounds)
	for _, sc := range r.Scenarios {
		fmt.Fprintf(&b, "\n%s\n", sc.Name)
		sc.write(&b)
	}
	for _, a := range r.Absent {
		fmt.Fprintf(&b, "\nWithout %s: %s.\n", a.Server, a.Why)
	}
	b.WriteString("\nMedians of the rounds. CPU is of the server; its spread is from the least to the most of a round.\n" +
		"x gateway: CPU against the gateway's in the same round.\n")
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

// write writes the rows of a scenario.
func (sc *Scenario) write(b *strings.Builder) {
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	// A strings.Builder takes everything.
	_, _ = fmt.Fprint(t, "server\tCPU us/push\tspread\tx gateway\tpushes/s\tallocs\tbytes\tp50 us\tp99 us\tp99.9 us\tRSS MiB\t\n")
	for _, r := range sc.Servers {
		optional := func(f *Figure, format string) string {
			if f == nil {
				return "-"
			}
			return fmt.Sprintf(format, f.Median)
		}
		_, _ = fmt.Fprintf(t, "%s\t%.2f\t%.2f-%.2f\t%s\t%.0f\t%s\t%s\t%s\t%s\t%s\t%s\t\n", r.Server,
			r.CPU.Median, r.CPU.Min, r.CPU.Max, optional(r.ToGateway, "%.2f"), r.Pushed.Median,
			optional(r.Allocations, "%.2f"), optional(r.AllocatedBytes, "%.0f"),
			latency(r.P50), latency(r.P99), latency(r.P999), resident(r.RSSBegin, r.RSSEnd))
	}
	_ = t.Flush()
	for _, r := range sc.Servers {
		for _, reason := range slices.Sorted(maps.Keys(r.Refused)) {
			fmt.Fprintf(b, "%s refused %d of %d: %s\n", r.Server, r.Refused[reason], r.Pushes, reason)
		}
		if r.Late.Median > 0 {
			fmt.Fprintf(b, "%s was sent 99 %% of the pushes within %.0f us of their time\n", r.Server, r.Late.Median)
		}
	}
}

// latency returns a quantile, or a dash where the load did not tell.
func latency(f Figure) string {
	if f.Median == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f", f.Median)
}

// resident returns the memory before and after.
func resident(before, after Figure) string {
	if after.Median == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f-%.0f", before.Median/(1<<20), after.Median/(1<<20))
}
