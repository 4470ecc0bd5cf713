package bench

import (
	"runtime"
	"slices"
	"time"

	"github.com/heraldpush/herald/internal/load"
)

// Report is what was measured.
type Report struct {
	Machine   Machine    `json:"machine"`
	Settings  Settings   `json:"settings"`
	Scenarios []Scenario `json:"scenarios"`
	// Absent are the peers that were not measured.
	Absent []Absent `json:"absent"`
}

// Machine is the kind of machine that it was measured on.
type Machine struct {
	OS    string `json:"os"`
	Arch  string `json:"arch"`
	Cores int    `json:"cores"`
	Go    string `json:"go"`
	// Pinned says that servers had one core, and the load another one.
	Pinned bool `json:"pinned"`
}

// Settings are those of the run that are not of a scenario.
type Settings struct {
	Auth         Auth    `json:"auth"`
	Load         string  `json:"load"` // herald or h2load
	PayloadBytes int     `json:"payload_bytes"`
	BadShare     float64 `json:"bad_share"`
	Rounds       int     `json:"rounds"`
	DeviceTokens int     `json:"device_tokens"`
	Attached     int     `json:"attached"`
	Stored       bool    `json:"stored"`
}

// Scenario is one way to send, and what it took from each server.
type Scenario struct {
	Name        string     `json:"name"`
	Shape       load.Shape `json:"shape"`
	Connections int        `json:"connections"`
	Streams     int        `json:"streams"`
	Rate        int        `json:"rate"` // a second; 0 for as many as are answered
	Servers     []Row      `json:"servers"`
}

// Row is what a server did and used in a scenario.
type Row struct {
	Server string `json:"server"`
	// Pushes is how many were sent in all rounds, Accepted how many of them were
	// answered with status 200, and Refused counts the others by their reason.
	Pushes   int64            `json:"pushes"`
	Accepted int64            `json:"accepted"`
	Refused  map[string]int64 `json:"refused"`
	Cipher   string           `json:"cipher"`

	CPU      Figure `json:"cpu_us_per_push"`
	Pushed   Figure `json:"pushes_per_s"`
	P50      Figure `json:"p50_us"`
	P99      Figure `json:"p99_us"`
	P999     Figure `json:"p999_us"`
	Late     Figure `json:"late_p99_us"` // of the load itself, at a rate
	RSSBegin Figure `json:"rss_before_bytes"`
	RSSEnd   Figure `json:"rss_after_bytes"`
	// Allocations and AllocatedBytes are of a push; nil where the server cannot
	// tell.
	Allocations    *Figure `json:"allocs_per_push"`
	AllocatedBytes *Figure `json:"alloc_bytes_per_push"`
	// ToGateway is the CPU time of a push as a multiple of what the gateway took in
	// the same round. It is nil where either is not known.
	ToGateway *Figure `json:"cpu_to_gateway"`
}

// Figure is what was measured in all rounds.
type Figure struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// Absent is a peer that was not measured.
type Absent struct {
	Server string `json:"server"`
	Why    string `json:"why"`
}

// newFigure returns the figure of values, at least one.
func newFigure(values []float64) Figure {
	slices.Sort(values)
	n := len(values)
	return Figure{Median: (values[(n-1)/2] + values[n/2]) / 2, Min: values[0], Max: values[n-1]}
}

// report gathers the samples.
func (r *run) report() *Report {
	driver := "herald"
	if r.cfg.H2load {
		driver = "h2load"
	}
	rep := &Report{
		Machine: Machine{runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), r.pinned},
		Settings: Settings{
			Auth: r.cfg.Auth, Load: driver, PayloadBytes: r.cfg.Payload, BadShare: r.cfg.BadShare, Rounds: r.cfg.Rounds,
			DeviceTokens: r.cfg.Tokens, Attached: r.cfg.Attached, Stored: !r.cfg.Unstored,
		},
		Absent: []Absent{},
	}
	for _, a := range r.absent {
		rep.Absent = append(rep.Absent, Absent{a.name, a.why})
	}
	for _, sc := range r.cfg.scenarios() {
		one := Scenario{Name: sc.String(), Shape: sc.shape, Connections: sc.connections, Streams: sc.streams, Rate: sc.rate}
		for _, s := range r.servers {
			one.Servers = append(one.Servers, newRow(s.name, r.samples[sc][s.name], r.samples[sc][Gateway]))
		}
		rep.Scenarios = append(rep.Scenarios, one)
	}
	return rep
}

// newRow returns the row of a server. Sample i of the gateway is of the same
// round as sample i of the server.
func newRow(name string, samples, gateway []sample) Row {
	of := func(f func(i int) float64) Figure {
		values := make([]float64, len(samples))
		for i := range samples {
			values[i] = f(i)
		}
		return newFigure(values)
	}
	micros := func(f func(*load.Result) time.Duration) Figure {
		return of(func(i int) float64 { return float64(f(&samples[i].result).Nanoseconds()) / 1e3 })
	}
	row := Row{
		Server: name, Refused: map[string]int64{}, Cipher: samples[0].result.Cipher,
		CPU:      of(func(i int) float64 { return samples[i].cpuMicros() }),
		Pushed:   of(func(i int) float64 { return samples[i].perSecond() }),
		P50:      micros(func(r *load.Result) time.Duration { return r.P50 }),
		P99:      micros(func(r *load.Result) time.Duration { return r.P99 }),
		P999:     micros(func(r *load.Result) time.Duration { return r.P999 }),
		Late:     micros(func(r *load.Result) time.Duration { return r.Late }),
		RSSBegin: of(func(i int) float64 { return float64(samples[i].before) }),
		RSSEnd:   of(func(i int) float64 { return float64(samples[i].after) }),
	}
	for i := range samples {
		row.Pushes += samples[i].pushes
		row.Accepted += samples[i].result.Accepted
		for reason, n := range samples[i].result.Refused {
			row.Refused[reason] += n
		}
	}
	if samples[0].counted {
		row.Allocations = new(of(func(i int) float64 { return float64(samples[i].used.Allocations) / float64(samples[i].pushes) }))
		row.AllocatedBytes = new(of(func(i int) float64 { return float64(samples[i].used.AllocatedBytes) / float64(samples[i].pushes) }))
	}
	if samples[0].cpu > 0 && gateway[0].cpu > 0 {
		row.ToGateway = new(of(func(i int) float64 { return samples[i].cpuMicros() / gateway[i].cpuMicros() }))
	}
	return row
}
