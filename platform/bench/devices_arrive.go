package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

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
