package conformance

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/wire"
)

// watched is a device of a Herald whose notifications are seen. Only one case
// at a time has it.
type watched struct {
	herald *Herald
	id     credential.Identity
	topic  apns.Topic

	handset  *handset // nil while it is away
	reading  sync.WaitGroup
	arrived  chan string
	ended    chan struct{} // closed when nothing more is read
	answered chan struct{} // gets one for each answer to a KeepAlive
}

// maxArrived is how many payloads wait to be looked at.
const maxArrived = 64

// Away implements Watched. It leaves when the courier has dealt with what it
// acknowledged, which would come again otherwise.
func (w *watched) Away(ctx context.Context) error {
	if w.handset != nil {
		select {
		case <-w.answered: // of a time before
		default:
		}
		if w.handset.write(wire.KeepAlive{Interval: time.Minute}.Append(nil)) == nil {
			select {
			case <-w.answered:
			case <-w.ended:
			case <-ctx.Done():
			}
		}
		w.handset.close()
		w.reading.Wait()
		w.handset = nil
	}
	for len(w.arrived) > 0 { // of a case that failed
		<-w.arrived
	}
	return nil
}

// Back implements Watched.
func (w *watched) Back(ctx context.Context) error {
	if w.handset != nil {
		return nil
	}
	d, err := w.herald.connectHandset(context.WithoutCancel(ctx), w.id, w.herald.cfg.Environment) // until Away
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, d.close)()
	if err := errors.Join(d.want(w.topic), w.catchUp(d)); err != nil {
		d.close()
		return fmt.Errorf("watched device: %w", err)
	}
	w.handset, w.ended = d, make(chan struct{})
	w.reading.Go(func() {
		defer close(w.ended)
		w.readAll(d)
	})
	return nil
}

// catchUp takes what had waited for the device.
func (w *watched) catchUp(d *handset) error {
	for {
		f, err := d.read()
		if err != nil {
			return err
		}
		switch f.Command {
		case wire.CommandNoStorage:
			return nil
		case wire.CommandNotification:
			n, err := w.take(d, f)
			if err != nil || n.Storage&wire.LastStored != 0 {
				return err
			}
		default: // nothing to do with it
		}
	}
}

// readAll takes what comes, until the device is away.
func (w *watched) readAll(d *handset) {
	for {
		f, err := d.read()
		if err != nil {
			return
		}
		switch f.Command {
		case wire.CommandNotification:
			if _, err := w.take(d, f); err != nil {
				return
			}
		case wire.CommandKeepAliveResponse:
			select {
			case w.answered <- struct{}{}:
			default: // nobody waits for it
			}
		default: // nothing to do with it
		}
	}
}

func (w *watched) take(d *handset, f wire.Frame) (wire.Notification, error) {
	n, err := wire.ParseNotification(f.Payload)
	if err != nil {
		return n, err
	}
	select {
	case w.arrived <- string(n.Payload):
	default: // no case asks for so many
	}
	return n, d.ack(n, wire.AckOK)
}

// Next implements Watched.
func (w *watched) Next(ctx context.Context) (string, error) {
	select {
	case payload := <-w.arrived:
		return payload, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}
