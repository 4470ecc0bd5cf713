package device

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/heraldpush/herald/credential"
)

const (
	// maxPause is the longest time between two attempts.
	maxPause = 120 * time.Second
	// goodAfter is how long a connection must have been up for the next
	// attempt to come at once.
	goodAfter = 60 * time.Second
	// maxRedirects bounds how many couriers in a row may send the device on.
	// After that it begins again with the configured one.
	maxRedirects = 5
	// queuedEffects bounds what waits for slow delegates.
	queuedEffects = 256
)

// backoff is the time between attempts: up to 0, 1, 2, 4 … 120 s, of which
// chance takes a part, so that a courier that comes back is not met by all
// devices at once (docs/protocol/courier.md#reconnection).
type backoff struct {
	limit time.Duration // of the next pause
	most  time.Duration // of any; zero stands for maxPause
}

// next returns how long to wait before the next attempt.
func (b *backoff) next() time.Duration {
	limit := b.limit
	b.limit = min(max(2*limit, time.Second), cmp.Or(b.most, maxPause))
	if limit == 0 {
		return 0
	}
	return rand.N(limit) //nolint:gosec // spreads load, guards nothing
}

// reset lets the next attempt come at once.
func (b *backoff) reset() { *b = backoff{} }

// maxLater bounds what a courier may ask for.
const maxLater = 10 * time.Minute

// later returns how long to wait for a courier that asked to wait: as long as it
// said, and up to half as long again by chance, as it may have said the same to
// others (docs/protocol/courier.md#extensions).
func later(after time.Duration) time.Duration {
	after = min(after, maxLater)
	return after + rand.N(after/2+time.Second) //nolint:gosec // spreads load, guards nothing
}

// Run activates the device, if it has no certificate yet, connects it, and
// keeps it connected, until ctx ends. Then it says goodbye, waits for the
// delegates to have got what was acknowledged, and returns nil.
//
// It returns an error that trying again can not mend: an *ActivationError,
// one that wraps ErrIdentityRefused, and ErrCertificateExpired if that is why,
// one of Config.Dir, or ErrRunning.
func (d *Device) Run(ctx context.Context) error {
	if err := d.begin(); err != nil {
		return err
	}
	err := d.run(ctx)
	if err != nil {
		err = fmt.Errorf("device: %w", err)
	}
	d.end(err)
	return err
}

func (d *Device) run(ctx context.Context) error {
	if err := d.journal.open(); err != nil {
		return err
	}
	effects := make(chan effect, queuedEffects)
	var delegates sync.WaitGroup
	delegates.Go(func() { d.tell(effects) })
	err := d.stay(ctx, effects)
	close(effects)
	delegates.Wait()
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = nil // that ctx has ended is no error
	}
	if unsaved := errors.Join(d.save(), d.journal.close()); err == nil {
		err = unsaved
	}
	return err
}

// stay keeps the device connected. It returns ctx's error, or one that trying
// again can not mend.
func (d *Device) stay(ctx context.Context, effects chan<- effect) error {
	if d.Certificate() == nil {
		if err := d.activate(ctx, d.config.EnrolmentCode, credential.Identity{}); err != nil {
			return err
		}
	}
	var renewal sync.WaitGroup
	defer renewal.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	renewal.Go(func() { d.keepRenewed(ctx) })
	var (
		pause     backoff
		courier   = d.config.Courier
		redirects uint16
	)
	for {
		up, err := d.connect(ctx, courier, redirects, effects)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		d.setUp(false, err)
		if broken := new(folderError); errors.As(err, &broken) || errors.Is(err, ErrIdentityRefused) {
			return d.explain(err)
		}
		if up >= goodAfter {
			pause.reset()
			redirects = 0
		}
		var r *redirect
		if errors.As(err, &r) && redirects < maxRedirects {
			redirects++
			courier = elsewhere(r.host, d.config.Courier)
			d.config.Logger.Info("courier redirects", "courier", courier, "reason", r.reason)
			continue
		}
		courier, redirects = d.config.Courier, 0
		wait := pause.next()
		if f := new(farewell); errors.As(err, &f) {
			wait = later(f.after)
			pause.reset()
		}
		d.config.Logger.Warn("not connected", "error", err, "retry_in", wait)
		if err := d.rest(ctx, wait); err != nil {
			return err
		}
	}
}

// explain adds to a refusal of the identity what the device knows of the cause.
func (d *Device) explain(err error) error {
	expiry := d.Certificate().NotAfter
	if errors.Is(err, ErrIdentityRefused) && time.Now().After(expiry) {
		return fmt.Errorf("%w on %s: %w", ErrCertificateExpired, expiry.Format(time.DateOnly), err)
	}
	return err
}

// elsewhere returns the address of the host that a redirect names, on the port
// of the courier unless it names one as well.
func elsewhere(host, courier string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	_, port, err := net.SplitHostPort(courier)
	if err != nil { // Config was checked
		return host
	}
	return net.JoinHostPort(host, port)
}

// rest waits, and goes on writing registrations to the folder meanwhile.
func (d *Device) rest(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		if err := d.save(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			return nil
		case <-d.wake:
		}
	}
}

// folderError is an error of Config.Dir.
type folderError struct{ err error }

func (e *folderError) Error() string { return e.err.Error() }
func (e *folderError) Unwrap() error { return e.err }

// save writes the memory to the folder if it changed there. The error is a
// *folderError.
func (d *Device) save() error {
	if d.config.Dir == "" {
		return nil
	}
	d.mu.Lock()
	m := d.memory
	if !m.changed {
		d.mu.Unlock()
		return nil
	}
	doc := m.document(d.config.Environment, d.id)
	m.changed = false
	d.mu.Unlock()
	if err := d.folder.saveMemory(doc); err != nil {
		d.mu.Lock()
		m.changed = true
		d.mu.Unlock()
		return &folderError{err}
	}
	return nil
}
