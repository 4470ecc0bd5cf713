package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/internal/load"
)

// deliverySample is what became of pushes to devices that are connected.
type deliverySample struct {
	sample
	tally tally
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
