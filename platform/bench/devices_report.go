package bench

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"text/tabwriter"
)

// DevicesReport is what RunDevices measured. What was not measured, or cannot be
// here, is nil.
type DevicesReport struct {
	Machine  Machine         `json:"machine"`
	Settings DevicesSettings `json:"settings"`
	// BytesPerIdleConnection is the memory of the service with all devices
	// connected, less that without them, divided by their number: as is, and
	// after a collection. It is the median of the rounds.
	BytesPerIdleConnection        *float64 `json:"bytes_per_idle_connection"`
	BytesPerIdleConnectionAfterGC *float64 `json:"bytes_per_idle_connection_after_gc"`

	Connect   *Arrival  `json:"connect"`
	Idle      *Idle     `json:"idle"`
	Paced     *Delivery `json:"paced"`
	Deliver   *Delivery `json:"deliver"`
	Away      *Accepted `json:"away"`
	Reconnect *Arrival  `json:"reconnect"`
}

// DevicesSettings are those of the run.
type DevicesSettings struct {
	Count        int       `json:"count"`
	Away         int       `json:"away"`
	Processes    int       `json:"processes"` // that the devices are
	Spool        SpoolKind `json:"spool"`
	Transport    Transport `json:"transport"`
	ALPN         string    `json:"alpn"`
	PayloadBytes int       `json:"payload_bytes"`
	Connections  int       `json:"connections"` // of the sender
	Rounds       int       `json:"rounds"`
}

// Arrival is how all devices connected, beside the same connections to a bare
// TLS accept loop.
type Arrival struct {
	Seconds      Figure `json:"seconds"` // until the last was accepted
	PerSecond    Figure `json:"handshakes_per_s"`
	BareSeconds  Figure `json:"bare_tls_seconds"`
	BarePerSec   Figure `json:"bare_tls_handshakes_per_s"`
	ToBare       Figure `json:"to_bare_tls"` // Seconds / BareSeconds of the same round
	CPU          Figure `json:"cpu_us_per_handshake"`
	Retries      int64  `json:"retries"`
	RestartMilli Figure `json:"restart_ms"` // of the service; zero if it was not killed
}

// Idle is the memory of the service.
type Idle struct {
	Empty      Figure `json:"rss_at_0_bytes"`
	Full       Figure `json:"rss_at_n_bytes"`
	Collected  Figure `json:"rss_at_n_after_gc_bytes"`
	PerDevice  Figure `json:"bytes_per_connection"`
	AfterGC    Figure `json:"bytes_per_connection_after_gc"`
	KernelEach Figure `json:"kernel_bytes_per_socket"`
}

// Accepted is pushes, and what they took.
type Accepted struct {
	Rate      int    `json:"rate"` // a second; 0 for as many as are answered
	Devices   int    `json:"devices"`
	Streams   int    `json:"streams"`
	Durable   bool   `json:"durable"` // on a disk before it was accepted
	Pushes    int64  `json:"pushes"`
	Accepted  int64  `json:"accepted"`
	PerSecond Figure `json:"accepted_per_s"`
	CPU       Figure `json:"cpu_us_per_push"`
	AnswerP50 Figure `json:"answer_p50_us"`
	AnswerP99 Figure `json:"answer_p99_us"`
	Late      Figure `json:"late_p99_us"` // of the load itself, at a rate
}

// Delivery is pushes to devices that are connected. The CPU time is that for
// accepting and delivering.
type Delivery struct {
	Accepted
	// Delivered is how many arrived. The others gave way to a newer one of the
	// same topic before the device had acknowledged the one before. Repeated
	// counts those that arrived more than once.
	Delivered int64  `json:"delivered"`
	Replaced  int64  `json:"replaced"`
	Repeated  int64  `json:"repeated"`
	PerSecond Figure `json:"delivered_per_s"`
	P50       Figure `json:"p50_us"` // from the provider's call to the device
	P99       Figure `json:"p99_us"`
	P999      Figure `json:"p999_us"`
}

// report gathers the rounds.
func (r *devicesRun) report() *DevicesReport {
	n := float64(r.cfg.Count)
	rep := &DevicesReport{
		Machine: Machine{runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), r.pinned},
		Settings: DevicesSettings{
			Count: r.cfg.Count, Away: r.cfg.Away, Processes: len(r.crowds), Spool: r.cfg.Spool, Transport: r.cfg.Transport, ALPN: r.cfg.ALPN,
			PayloadBytes: r.cfg.Payload, Connections: r.cfg.Connections, Rounds: r.cfg.Rounds,
		},
	}
	if r.cfg.measures(PhaseConnect) {
		rep.Connect = r.arrival(n, func(s *roundOfDevices) *arrivalSample { return s.connect })
	}
	if r.cfg.measures(PhaseReconnect) {
		rep.Reconnect = r.arrival(n, func(s *roundOfDevices) *arrivalSample { return s.reconnect })
		rep.Reconnect.RestartMilli = r.of(func(s *roundOfDevices) float64 { return s.restarted.Seconds() * 1e3 })
	}
	if r.cfg.measures(PhaseIdle) && r.rounds[0].rssKnown {
		rep.Idle = r.memory(n)
		rep.BytesPerIdleConnection, rep.BytesPerIdleConnectionAfterGC = &rep.Idle.PerDevice.Median, &rep.Idle.AfterGC.Median
	}
	if r.cfg.measures(PhasePaced) {
		rep.Paced = r.delivery(r.cfg.Rate, r.cfg.Count, func(s *roundOfDevices) *deliverySample { return s.paced })
	}
	if r.cfg.measures(PhaseDeliver) {
		rep.Deliver = r.delivery(0, r.busy(), func(s *roundOfDevices) *deliverySample { return s.deliver })
	}
	if r.cfg.measures(PhaseAway) {
		rep.Away = new(r.accepted(0, r.cfg.Away, r.cfg.AwayStreams, func(s *roundOfDevices) *sample { return s.away }))
	}
	return rep
}

// of returns the figure of a value of each round.
func (r *devicesRun) of(f func(*roundOfDevices) float64) Figure {
	values := make([]float64, len(r.rounds))
	for i := range r.rounds {
		values[i] = f(&r.rounds[i])
	}
	return newFigure(values)
}

func (r *devicesRun) arrival(n float64, of func(*roundOfDevices) *arrivalSample) *Arrival {
	figure := func(f func(*arrivalSample) float64) Figure {
		return r.of(func(s *roundOfDevices) float64 { return f(of(s)) })
	}
	a := &Arrival{
		Seconds:     figure(func(s *arrivalSample) float64 { return s.wall.Seconds() }),
		PerSecond:   figure(func(s *arrivalSample) float64 { return n / s.wall.Seconds() }),
		BareSeconds: figure(func(s *arrivalSample) float64 { return s.bare.Seconds() }),
		BarePerSec:  figure(func(s *arrivalSample) float64 { return n / s.bare.Seconds() }),
		ToBare:      figure((*arrivalSample).toBare),
		CPU:         figure(func(s *arrivalSample) float64 { return float64(s.cpu.Nanoseconds()) / 1e3 / n }),
	}
	for i := range r.rounds {
		a.Retries += of(&r.rounds[i]).retries
	}
	return a
}

func (r *devicesRun) memory(n float64) *Idle {
	m := &Idle{
		Empty:     r.of(func(s *roundOfDevices) float64 { return float64(s.empty) }),
		Full:      r.of(func(s *roundOfDevices) float64 { return float64(s.idle.resident) }),
		Collected: r.of(func(s *roundOfDevices) float64 { return float64(s.idle.collected) }),
		PerDevice: r.of(func(s *roundOfDevices) float64 { return float64(s.idle.resident-s.empty) / n }),
		AfterGC:   r.of(func(s *roundOfDevices) float64 { return float64(s.idle.collected-s.empty) / n }),
	}
	if r.rounds[0].kernelKnown { // both ends of each connection are here
		m.KernelEach = r.of(func(s *roundOfDevices) float64 { return float64(s.idle.kernel-s.emptyKernel) / n / 2 })
	}
	return m
}

func (r *devicesRun) accepted(rate, devices, streams int, of func(*roundOfDevices) *sample) Accepted {
	figure := func(f func(*sample) float64) Figure {
		return r.of(func(s *roundOfDevices) float64 { return f(of(s)) })
	}
	a := Accepted{
		Rate: rate, Devices: devices, Streams: streams, Durable: r.cfg.Spool != SpoolMemory,
		PerSecond: figure(func(s *sample) float64 { return float64(s.result.Accepted) / s.result.Wall.Seconds() }),
		CPU:       figure((*sample).cpuMicros),
		AnswerP50: figure(func(s *sample) float64 { return micros(s.result.P50.Nanoseconds()) }),
		AnswerP99: figure(func(s *sample) float64 { return micros(s.result.P99.Nanoseconds()) }),
		Late:      figure(func(s *sample) float64 { return micros(s.result.Late.Nanoseconds()) }),
	}
	for i := range r.rounds {
		a.Pushes += of(&r.rounds[i]).pushes
		a.Accepted += of(&r.rounds[i]).result.Accepted
	}
	return a
}

func micros(ns int64) float64 { return float64(ns) / 1e3 }

func (r *devicesRun) delivery(rate, devices int, of func(*roundOfDevices) *deliverySample) *Delivery {
	figure := func(f func(*deliverySample) float64) Figure {
		return r.of(func(s *roundOfDevices) float64 { return f(of(s)) })
	}
	quantile := func(part float64) Figure {
		return figure(func(s *deliverySample) float64 { return micros(s.tally.Latency.Quantile(part).Nanoseconds()) })
	}
	d := &Delivery{
		Accepted:  r.accepted(rate, devices, r.cfg.Streams, func(s *roundOfDevices) *sample { return &of(s).sample }),
		PerSecond: figure((*deliverySample).deliveredPerSecond),
		P50:       quantile(0.5), P99: quantile(0.99), P999: quantile(0.999),
	}
	for i := range r.rounds {
		d.Delivered += of(&r.rounds[i]).tally.Delivered
		d.Repeated += of(&r.rounds[i]).tally.Repeated
	}
	d.Replaced = d.Accepted.Accepted - (d.Delivered - d.Repeated)
	return d
}

// WriteTo writes the report as a table for people.
func (r *DevicesReport) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	where := "all share the cores"
	if r.Machine.Pinned {
		where = "the service on one core, the load on another"
	}
	s := r.Settings
	fmt.Fprintf(&b, "%s/%s, %d cores, %s; %s\n", r.Machine.OS, r.Machine.Arch, r.Machine.Cores, r.Machine.Go, where)
	fmt.Fprintf(&b, "%d devices connected by %s from %d processes, %d away; transport: %s; spool: %s; payload of %d bytes; %d rounds\n\n",
		s.Count, s.ALPN, s.Processes, s.Away, s.Transport, s.Spool, s.PayloadBytes, s.Rounds)
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	// A strings.Builder takes everything.
	row := func(phase, what string, f Figure, format string) {
		_, _ = fmt.Fprintf(t, "%s\t%s\t"+format+"\t"+format+" - "+format+"\n", phase, what, f.Median, f.Min, f.Max)
	}
	count := func(phase, what string, n int64) { _, _ = fmt.Fprintf(t, "%s\t%s\t%d\t\n", phase, what, n) }
	_, _ = fmt.Fprint(t, "phase\t\tmedian\tspread\n")
	if a := r.Connect; a != nil {
		a.write(PhaseConnect, row, count)
	}
	if m := r.Idle; m != nil {
		row("idle", "bytes a connection", m.PerDevice, "%.0f")
		row("idle", "bytes a connection, after collecting", m.AfterGC, "%.0f")
		if m.KernelEach != (Figure{}) {
			row("idle", "bytes a socket in the kernel", m.KernelEach, "%.0f")
		}
	}
	if d := r.Paced; d != nil {
		d.write(fmt.Sprintf("%s, %d/s", PhasePaced, d.Rate), row, count)
	}
	if d := r.Deliver; d != nil {
		d.write(fmt.Sprintf("%s, %d devices", PhaseDeliver, d.Devices), row, count)
	}
	if a := r.Away; a != nil {
		what := "accepted a second, in memory"
		if a.Durable {
			what = "accepted a second, durable"
		}
		row("away", what, a.PerSecond, "%.0f")
		row("away", "CPU us a push, of the service", a.CPU, "%.2f")
		row("away", "answer p50 us", a.AnswerP50, "%.0f")
		row("away", "answer p99 us", a.AnswerP99, "%.0f")
	}
	if a := r.Reconnect; a != nil {
		a.write(PhaseReconnect, row, count)
		row(string(PhaseReconnect), "ms for the service to start", a.RestartMilli, "%.0f")
	}
	_ = t.Flush()
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

// rowWriter and countWriter write a line of the table.
type (
	rowWriter   = func(phase, what string, f Figure, format string)
	countWriter = func(phase, what string, n int64)
)

func (a *Arrival) write(phase Phase, row rowWriter, count countWriter) {
	name := string(phase)
	row(name, "s until all are connected", a.Seconds, "%.2f")
	row(name, "s until all are, bare TLS", a.BareSeconds, "%.2f")
	row(name, "x bare TLS", a.ToBare, "%.2f")
	row(name, "handshakes a second", a.PerSecond, "%.0f")
	row(name, "handshakes a second, bare TLS", a.BarePerSec, "%.0f")
	row(name, "CPU us a handshake, of the service", a.CPU, "%.0f")
	if a.Retries > 0 {
		count(name, "retries", a.Retries)
	}
}

func (d *Delivery) write(name string, row rowWriter, count countWriter) {
	row(name, "accepted a second", d.Accepted.PerSecond, "%.0f")
	row(name, "delivered a second", d.PerSecond, "%.0f")
	row(name, "CPU us to accept and deliver, of the service", d.CPU, "%.2f")
	row(name, "p50 us from call to device", d.P50, "%.0f")
	row(name, "p99 us from call to device", d.P99, "%.0f")
	row(name, "p99.9 us from call to device", d.P999, "%.0f")
	if d.Rate > 0 {
		row(name, "99 % of the calls late by us, at most", d.Late, "%.0f")
	}
	count(name, "accepted", d.Accepted.Accepted)
	count(name, "delivered", d.Delivered)
	count(name, "replaced by a newer one", d.Replaced)
	count(name, "delivered again", d.Repeated)
}
