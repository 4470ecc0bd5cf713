package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/heraldpush/herald/internal/load"
)

// run is one run of the bench.
type run struct {
	cfg      Config
	dir      string // for files that programs want
	identity peerIdentity

	serverCore, senderCore int // -1 for any
	pinned                 bool

	servers []*server
	gateway *server
	absent  []absence
	samples map[scenario]map[string][]sample // by the server's name, a round each
}

// sample is what a server did, and used, in one round.
type sample struct {
	pushes  int64
	cpu     time.Duration // 0 if it is not known
	counted bool          // there is a used
	used    usage
	before  int64 // resident bytes
	after   int64
	result  load.Result
}

// Run measures, and reports when everything was measured. What is out of bounds
// it refuses before anything is started; when it returns, nothing is running
// any more.
func Run(ctx context.Context, cfg Config) (_ *Report, err error) {
	r := &run{cfg: cfg.withDefaults(), samples: map[scenario]map[string][]sample{}}
	if err := r.cfg.Check(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, MaxRun, fmt.Errorf("the bench took longer than %v", MaxRun))
	defer cancel()
	if r.dir, err = os.MkdirTemp("", "herald-bench-"); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.dir)) }()
	defer func() {
		for _, s := range r.servers {
			s.child.end()
		}
	}()
	err = r.all(ctx)
	if cause := context.Cause(ctx); cause != nil {
		return nil, cause
	}
	if err != nil {
		return nil, err
	}
	return r.report(), nil
}

// all starts the servers and measures all rounds.
func (r *run) all(ctx context.Context) (err error) {
	r.serverCore, r.senderCore, r.pinned = cores()
	if r.identity, err = newPeerIdentity(); err != nil {
		return err
	}
	if r.gateway, err = r.startGateway(ctx); err != nil {
		return err
	}
	for _, peer := range r.cfg.Peers {
		if err := r.startPeer(ctx, peer); err != nil {
			return err
		}
	}
	for _, a := range r.absent {
		r.cfg.Progress(fmt.Sprintf("without %s: %s", a.name, a.why))
	}
	if r.cfg.Profile != "" {
		path, err := filepath.Abs(r.cfg.Profile)
		if err != nil {
			return err
		}
		if _, err := r.gateway.child.ask(order{Do: orderProfile, Profile: path}); err != nil {
			return err
		}
	}
	for round := range r.cfg.Rounds {
		for _, sc := range r.cfg.scenarios() {
			if err := r.round(ctx, round, sc); err != nil {
				return err
			}
		}
	}
	return nil
}

// round measures each server once in a scenario, in an order of chance.
func (r *run) round(ctx context.Context, round int, sc scenario) error {
	order := append([]*server(nil), r.servers...)
	rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	for _, s := range order {
		measure := r.measure
		if r.cfg.H2load {
			measure = r.measureH2load
		}
		one, err := measure(ctx, s, sc)
		if err != nil {
			return fmt.Errorf("%v, round %d, %s: %w", sc, round+1, s.name, err)
		}
		if r.samples[sc] == nil {
			r.samples[sc] = map[string][]sample{}
		}
		r.samples[sc][s.name] = append(r.samples[sc][s.name], one)
		r.cfg.Progress(fmt.Sprintf("round %d of %d  %-16v  %-8s  %7.2f us a push  %7.0f/s", round+1, r.cfg.Rounds, sc, s.name,
			one.cpuMicros(), one.perSecond()))
	}
	return nil
}

// measure has the load send a round to a server, and takes what that used.
// Connecting and warming up are not part of it.
func (r *run) measure(ctx context.Context, s *server, sc scenario) (one sample, err error) {
	sender, err := r.startPart(ctx, partLoad, r.senderCore)
	if err != nil {
		return one, err
	}
	defer sender.end()
	plan := r.plan(s, sc)
	if _, err := sender.ask(order{Do: orderBegin, Plan: &plan}); err != nil {
		return one, err
	}
	return s.use(func() (load.Result, error) {
		got, err := sender.ask(order{Do: orderRun})
		if err != nil || got.Result == nil {
			return load.Result{}, err
		}
		if got.Result.Sent == 0 {
			return load.Result{}, errors.New("nothing was sent")
		}
		if len(got.Result.Wrong) > 0 {
			return load.Result{}, fmt.Errorf("answers that were not expected: %v", got.Result.Wrong)
		}
		return *got.Result, nil
	})
}

// use returns what the server used while f ran.
func (s *server) use(f func() (load.Result, error)) (one sample, err error) {
	before, counted, err := s.usage()
	if err != nil {
		return one, err
	}
	one.before = residentBytes(s.child.cmd.Process.Pid)
	cpuBefore, known := processCPU(s.child.cmd.Process.Pid)
	if one.result, err = f(); err != nil {
		return one, err
	}
	cpuAfter, _ := processCPU(s.child.cmd.Process.Pid)
	one.after = residentBytes(s.child.cmd.Process.Pid)
	after, _, err := s.usage()
	if err != nil {
		return one, err
	}
	one.pushes = one.result.Sent
	one.cpu = cpuAfter - cpuBefore
	one.counted = counted
	one.used = usage{
		Allocations: after.Allocations - before.Allocations, AllocatedBytes: after.AllocatedBytes - before.AllocatedBytes,
	}
	if !known {
		one.cpu = time.Duration(after.CPU - before.CPU)
	}
	return one, nil
}

// usage asks a server that is a part of the bench.
func (s *server) usage() (u usage, ok bool, err error) {
	if s.child.orders == nil {
		return u, false, nil
	}
	got, err := s.child.ask(order{Do: orderUsage})
	if err != nil || got.Usage == nil {
		return u, false, err
	}
	return *got.Usage, true, nil
}

func (s *sample) cpuMicros() float64 { return float64(s.cpu.Nanoseconds()) / 1e3 / float64(s.pushes) }

func (s *sample) perSecond() float64 { return float64(s.pushes) / s.result.Wall.Seconds() }
