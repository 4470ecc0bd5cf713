package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/internal/load"
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

// arrivalSample is how all devices connected.
type arrivalSample struct {
	wall, bare time.Duration
	retries    int64
	cpu        time.Duration
}

// idleSample is what a service has with all devices connected.
type idleSample struct {
	resident, collected, kernel int64 // bytes
}

// deliverySample is what became of pushes to devices that are connected.
type deliverySample struct {
	sample
	tally tally
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

// connectAll has all devices connect to an address, and returns how long it took
// until the last one was there.
func (r *devicesRun) connectAll(ctx context.Context, o connectOrder) (a arrivalSample, err error) {
	began := time.Now()
	err = r.eachCrowd(order{Do: orderConnect, Connect: &o}, func(got reply) {
		if got.Connected != nil {
			a.retries += got.Connected.Retries
		}
	})
	a.wall = time.Since(began)
	return a, errors.Join(err, ctx.Err())
}

// connectBare measures the bare TLS accept loop.
func (r *devicesRun) connectBare(ctx context.Context) (time.Duration, error) {
	a, err := r.connectAll(ctx, connectOrder{Address: r.bare.address, Bare: true})
	if err != nil {
		return 0, fmt.Errorf("bare TLS: %w", err)
	}
	return a.wall, r.eachCrowd(order{Do: orderHang}, nil)
}

// connect has all devices connect to the courier.
func (r *devicesRun) connect(ctx context.Context) (*arrivalSample, error) {
	before, _ := processCPU(r.service.pid())
	a, err := r.connectAll(ctx, connectOrder{Address: r.target.Courier})
	if err != nil {
		return nil, err
	}
	after, _ := processCPU(r.service.pid())
	a.cpu = after - before
	return &a, nil
}

func (a *arrivalSample) toBare() float64 { return a.wall.Seconds() / a.bare.Seconds() }

// idle reads the memory, with nothing going on.
func (r *devicesRun) idle(ctx context.Context, i int, s *roundOfDevices) error {
	if err := r.settle(ctx); err != nil {
		return err
	}
	one := idleSample{resident: residentBytes(r.service.pid())}
	one.kernel, _ = kernelBytes()
	if _, err := r.service.ask(order{Do: orderCollect}); err != nil {
		return err
	}
	one.collected = residentBytes(r.service.pid())
	if err := r.checkPresent(); err != nil {
		return err
	}
	s.idle = &one
	n := float64(r.cfg.Count)
	r.progress(i, "idle", "%.0f bytes a device, %.0f after collecting", float64(one.resident-s.empty)/n, float64(one.collected-s.empty)/n)
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

// paced sends at a rate to all devices.
func (r *devicesRun) paced(ctx context.Context, i int, s *roundOfDevices) (err error) {
	pushes := min(max(1, int64(float64(r.cfg.Rate)*r.cfg.PacedFor.Seconds())), load.MaxPushes)
	s.paced, err = r.sendApart(ctx, r.plan(r.target.Tokens, r.cfg.Streams, pushes, r.cfg.Rate))
	if err != nil {
		return err
	}
	l := &s.paced.tally.Latency
	r.progress(i, "paced", "%d/s: p50 %v, p99 %v, p99.9 %v from call to device", r.cfg.Rate, l.Quantile(0.5), l.Quantile(0.99), l.Quantile(0.999))
	return nil
}

// deliver sends at full speed to some of the devices. The process that they are
// in sends as well, so that it knows what is under way.
func (r *devicesRun) deliver(ctx context.Context, i int, s *roundOfDevices) (err error) {
	if s.deliver, err = r.send(ctx, r.crowds[0], r.plan(r.target.Tokens[:r.busy()], r.cfg.Streams, r.cfg.Pushes, 0)); err != nil {
		return err
	}
	r.progress(i, "deliver", "%.0f/s accepted, %.0f/s delivered, %.2f us a push", s.deliver.perSecond(), s.deliver.deliveredPerSecond(), s.deliver.cpuMicros())
	return nil
}

// busy returns how many devices get pushes at full speed: all of one process.
func (r *devicesRun) busy() int { return min(r.cfg.crowdSizes(fileLimit())[0], BusyDevices) }

// deliveredPerSecond returns how fast the devices had them, from the first call
// to the last arrival.
func (d *deliverySample) deliveredPerSecond() float64 {
	span := time.Duration(d.tally.LastReceived - d.tally.FirstSent)
	if d.tally.FirstSent == 0 || span <= 0 {
		return 0
	}
	return float64(d.tally.Delivered) / span.Seconds()
}

// away sends at full speed to devices that are not there.
func (r *devicesRun) away(ctx context.Context, i int, s *roundOfDevices) error {
	one, err := r.sendApart(ctx, r.plan(r.target.Away, r.cfg.AwayStreams, r.cfg.Pushes, 0))
	if err != nil {
		return err
	}
	s.away = &one.sample
	r.progress(i, "away", "%.0f/s accepted, %.2f us a push", one.perSecond(), one.cpuMicros())
	return nil
}

// plan returns what is sent.
func (r *devicesRun) plan(tokens []string, streams int, pushes int64, rate int) load.Plan {
	p := load.Plan{
		Address: r.target.Address, ServerName: r.target.ServerName, Roots: r.target.Roots,
		Shape: load.Indexed, Connections: r.cfg.Connections, Streams: streams, Rate: rate,
		Warmup: min(warmupPushes, pushes), Pushes: pushes,
		Push: load.Push{
			Authorization: r.target.Authorization, Topic: r.target.Topic, PushType: string(apns.PushTypeAlert), Priority: "10",
			Expiration: farExpiration, Payload: stamped(r.cfg.Payload), StampAt: stampAt,
		},
	}
	for _, t := range tokens {
		p.Paths = append(p.Paths, devicePath+t)
	}
	return p
}

// sendApart is send by a process of its own.
func (r *devicesRun) sendApart(ctx context.Context, p load.Plan) (*deliverySample, error) {
	sender, err := startPart(ctx, r.cfg.Part, partLoad, r.loadCore)
	if err != nil {
		return nil, err
	}
	defer sender.end()
	return r.send(ctx, sender, p)
}

// send has a process carry out a plan, and returns when the devices that are
// connected have everything.
func (r *devicesRun) send(ctx context.Context, sender *child, p load.Plan) (*deliverySample, error) {
	if _, err := sender.ask(order{Do: orderBegin, Plan: &p}); err != nil {
		return nil, err
	}
	// Warming up has pushed something to each device that is away, if there are
	// fewer than pushes: what waits then, waits still at the end.
	if err := r.quiet(ctx); err != nil {
		return nil, err
	}
	if err := r.checkPresent(); err != nil {
		return nil, err
	}
	one := &deliverySample{}
	before, _ := processCPU(r.service.pid())
	one.before = residentBytes(r.service.pid())
	got, err := sender.ask(order{Do: orderRun})
	switch {
	case err != nil:
		return nil, err
	case got.Result == nil || got.Result.Sent == 0:
		return nil, errors.New("nothing was sent")
	case len(got.Result.Wrong) > 0:
		return nil, fmt.Errorf("answers that were not expected: %v", got.Result.Wrong)
	}
	if err := r.quiet(ctx); err != nil {
		return nil, err
	}
	after, _ := processCPU(r.service.pid())
	one.result, one.pushes, one.cpu, one.after = *got.Result, got.Result.Sent, after-before, residentBytes(r.service.pid())
	return one, r.takeTallies(&one.tally)
}

// Limits of waiting for what is under way.
const (
	quietPoll    = 10 * time.Millisecond
	quietPolls   = 5 // in a row without a change
	quietTimeout = time.Minute
)

// quiet waits until the number of stored notifications stays as it is: those
// for devices that are connected are gone then.
func (r *devicesRun) quiet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, quietTimeout)
	defer cancel()
	tick := time.NewTicker(quietPoll)
	defer tick.Stop()
	last, same := int64(-1), 0
	for same < quietPolls {
		got, err := r.service.ask(order{Do: orderWaiting})
		if err != nil {
			return err
		}
		if got.Waiting == last {
			same++
		} else {
			last, same = got.Waiting, 0
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the service is not done with what it accepted: %d notifications are stored", last)
		}
	}
	return nil
}

// reconnect kills the service, starts it again, and has all devices come back.
func (r *devicesRun) reconnect(ctx context.Context, i int, s *roundOfDevices) error {
	r.service.kill()
	<-r.service.ended
	r.service = nil
	if err := r.eachCrowd(order{Do: orderHang}, nil); err != nil {
		return err
	}
	bare, err := r.connectBare(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := r.startService(ctx); err != nil {
		return fmt.Errorf("starting again: %w", err)
	}
	s.restarted = time.Since(began)
	if err := r.eachCrowd(order{Do: orderTally}, nil); err != nil { // of the connections that were lost
		return err
	}
	if s.reconnect, err = r.connect(ctx); err != nil {
		return err
	}
	s.reconnect.bare = bare
	r.progress(i, "reconnect", "%d back in %.2f s, bare TLS %.2f s, %.2f times as long; the service took %.0f ms to start",
		r.cfg.Count, s.reconnect.wall.Seconds(), bare.Seconds(), s.reconnect.toBare(), s.restarted.Seconds()*1e3)
	return r.checkPresent()
}
