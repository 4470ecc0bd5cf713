package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// devicesRun is one run of RunDevices.
type devicesRun struct {
	cfg    DevicesConfig
	dir    string // the data folder of the service
	pinned bool

	serviceCore, loadCore int // -1 for any

	target  target // what a sender has; the addresses are those of the service that runs
	service *child // nil if none runs
	bare    *child
	crowds  []*child

	rounds []roundOfDevices
}

// roundOfDevices is what one round measured; nil for what it did not.
type roundOfDevices struct {
	connect, reconnect    *arrivalSample
	idle                  *idleSample
	paced, deliver        *deliverySample
	away                  *sample
	restarted             time.Duration // from the kill to the first answer
	empty                 int64         // resident bytes without devices
	emptyKernel           int64
	kernelKnown, rssKnown bool
}

// RunDevices measures a service with many devices, and reports when everything
// was measured. What is out of bounds it refuses before anything is started;
// when it returns, nothing is running any more.
func RunDevices(ctx context.Context, cfg DevicesConfig) (_ *DevicesReport, err error) {
	r := &devicesRun{cfg: cfg.withDefaults(), serviceCore: -1, loadCore: -1}
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
		for _, c := range append(r.crowds, r.bare, r.service) {
			if c != nil {
				c.end()
			}
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

func (r *devicesRun) all(ctx context.Context) error {
	if r.cfg.Pinned {
		r.serviceCore, r.loadCore, r.pinned = cores()
	}
	began := time.Now()
	if err := r.prepare(ctx); err != nil {
		return err
	}
	r.progress(0, "prepared", "%d devices activated, %d more that stay away, in %.1f s", r.cfg.Count, r.cfg.Away, time.Since(began).Seconds())
	if err := r.startCrowds(ctx); err != nil {
		return err
	}
	for i := range r.cfg.Rounds {
		r.rounds = append(r.rounds, roundOfDevices{})
		if err := r.round(ctx, i); err != nil {
			return fmt.Errorf("round %d: %w", i+1, err)
		}
	}
	return nil
}

// progress tells of what was measured in a round, from 0.
func (r *devicesRun) progress(round int, what, format string, args ...any) {
	r.cfg.Progress(fmt.Sprintf("round %d of %d  %-9s  ", round+1, r.cfg.Rounds, what) + fmt.Sprintf(format, args...))
}

// prepare makes the data folder.
func (r *devicesRun) prepare(ctx context.Context) error {
	c, err := startPart(ctx, r.cfg.Part, partPrepare, -1)
	if err != nil {
		return err
	}
	defer c.end()
	got, err := c.ask(order{Do: orderBegin, Prepare: &prepareSetup{Dir: r.dir, Devices: r.cfg.Count, Away: r.cfg.Away}})
	if err != nil {
		return err
	}
	if got.Target == nil {
		return errors.New("the data folder was prepared, and nothing is said of it")
	}
	r.target = *got.Target
	return nil
}

// startCrowds starts the devices, which do not connect yet, and the loop that
// they connect to beside the courier.
func (r *devicesRun) startCrowds(ctx context.Context) error {
	first := 0
	for i, size := range r.cfg.crowdSizes(fileLimit()) {
		c, err := startPart(ctx, r.cfg.Part, partCrowd, r.loadCore)
		if err != nil {
			return err
		}
		r.crowds = append(r.crowds, c)
		setup := crowdSetup{Dir: r.dir, First: first, Size: size, ALPN: r.cfg.ALPN}
		if i > 0 { // the ports of one address would not suffice
			setup.Source = fmt.Sprintf("127.0.0.%d", 1+i)
		}
		if _, err := c.ask(order{Do: orderBegin, Crowd: &setup}); err != nil {
			return err
		}
		first += size
	}
	if !r.cfg.measures(PhaseConnect) && !r.cfg.measures(PhaseReconnect) {
		return nil
	}
	identity, err := os.ReadFile(filepath.Join(r.dir, serverFile))
	if err != nil {
		return err
	}
	if r.bare, err = startPart(ctx, r.cfg.Part, partBareTLS, r.serviceCore); err != nil {
		return err
	}
	got, err := r.bare.ask(order{Do: orderBegin, NetHTTP: &httpSetup{Certificate: identity}})
	if err != nil {
		return err
	}
	if got.Target == nil {
		return errors.New("the bare TLS accept loop does not say where it is")
	}
	r.bare.address = got.Target.Courier
	return nil
}

// startService starts a service over the data folder.
func (r *devicesRun) startService(ctx context.Context) (err error) {
	if r.service, err = startPart(ctx, r.cfg.Part, partService, r.serviceCore); err != nil {
		return err
	}
	got, err := r.service.ask(order{Do: orderBegin, Service: &serviceSetup{Dir: r.dir, Spool: r.cfg.Spool, Transport: r.cfg.Transport}})
	if err != nil {
		return err
	}
	if got.Target == nil {
		return errors.New("the service does not say where it is")
	}
	r.target.Address, r.target.Courier = got.Target.Address, got.Target.Courier
	return nil
}

// round measures everything once, with a service of its own.
func (r *devicesRun) round(ctx context.Context, i int) error {
	s := &r.rounds[i]
	if r.service != nil {
		r.service.end()
		r.service = nil
	}
	var bare time.Duration
	if r.cfg.measures(PhaseConnect) {
		var err error
		if bare, err = r.connectBare(ctx); err != nil {
			return err
		}
	}
	if err := r.startService(ctx); err != nil {
		return err
	}
	if r.cfg.Profile != "" {
		path, err := filepath.Abs(r.cfg.Profile)
		if err != nil {
			return err
		}
		if _, err := r.service.ask(order{Do: orderProfile, Profile: path}); err != nil {
			return err
		}
	}
	if err := r.begin(ctx, s); err != nil {
		return err
	}
	connect, err := r.connect(ctx)
	if err != nil {
		return err
	}
	if r.cfg.measures(PhaseConnect) {
		connect.bare = bare
		s.connect = connect
		r.progress(i, "connect", "%.0f/s, bare TLS %.0f/s, %.2f times as long", float64(r.cfg.Count)/connect.wall.Seconds(),
			float64(r.cfg.Count)/bare.Seconds(), connect.toBare())
	}
	for _, phase := range []struct {
		name    Phase
		measure func(context.Context, int, *roundOfDevices) error
	}{
		{PhaseIdle, r.idle}, {PhasePaced, r.paced}, {PhaseDeliver, r.deliver}, {PhaseAway, r.away}, {PhaseReconnect, r.reconnect},
	} {
		if !r.cfg.measures(phase.name) {
			continue
		}
		if err := phase.measure(ctx, i, s); err != nil {
			return fmt.Errorf("%s: %w", phase.name, err)
		}
	}
	return r.eachCrowd(order{Do: orderHang}, nil)
}

// begin notes what a service has without devices. What it used to start is taken
// away before, or devices would seem to fit into that.
func (r *devicesRun) begin(ctx context.Context, s *roundOfDevices) error {
	if _, err := r.service.ask(order{Do: orderCollect}); err != nil {
		return err
	}
	if err := r.settle(ctx); err != nil {
		return err
	}
	s.empty = residentBytes(r.service.pid())
	s.emptyKernel, s.kernelKnown = kernelBytes()
	s.rssKnown = s.empty > 0
	return nil
}

// settle waits until nothing is left to be done.
func (r *devicesRun) settle(ctx context.Context) error {
	select {
	case <-time.After(r.cfg.Settle):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// eachCrowd asks all crowds at once, and calls f with each answer.
func (r *devicesRun) eachCrowd(o order, f func(reply)) error {
	var asking sync.WaitGroup
	replies, errs := make([]reply, len(r.crowds)), make([]error, len(r.crowds))
	for i, c := range r.crowds {
		asking.Go(func() { replies[i], errs[i] = c.ask(o) })
	}
	asking.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if f != nil {
		for _, got := range replies {
			f(got)
		}
	}
	return nil
}

// checkPresent returns an error if a device has lost its connection. It takes
// the tallies.
func (r *devicesRun) checkPresent() error {
	var all tally
	return r.takeTallies(&all)
}

// takeTallies adds up what all devices counted.
func (r *devicesRun) takeTallies(all *tally) error {
	err := r.eachCrowd(order{Do: orderTally}, func(got reply) {
		if got.Tally != nil {
			all.add(got.Tally)
		}
	})
	if err == nil && all.Lost > 0 {
		return fmt.Errorf("%d devices lost their connection, one by: %s", all.Lost, all.Why)
	}
	return err
}
