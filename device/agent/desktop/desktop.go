// Package desktop shows notifications on the desktop of the user, as all
// desktops of freedesktop.org do it: by a call to org.freedesktop.Notifications
// on the session's D-Bus (Desktop Notifications Specification 1.2). What shows
// them there is a program of the desktop's.
package desktop

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/device/agent"
)

const (
	service = "org.freedesktop.Notifications"
	path    = dbus.ObjectPath("/org/freedesktop/Notifications")
	// callWithin is the Desktop.within of all but tests. A program that shows
	// notifications may have to be started first.
	callWithin = 10 * time.Second
	// remembered bounds the notifications that a later one may replace.
	remembered = 256
)

// Error says why nothing can be shown, and what to do about it.
type Error struct {
	Reason string
	// Remedy is a sentence.
	Remedy string
	Err    error // may be nil
}

// Error is the reason.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Reason
	}
	return fmt.Sprintf("%s: %v", e.Reason, e.Err)
}

// Unwrap returns what the error comes from.
func (e *Error) Unwrap() error { return e.Err }

// addressVariable names the session's bus.
const addressVariable = "DBUS_SESSION_BUS_ADDRESS"

// Desktop is a desktop that shows notifications.
type Desktop struct {
	address string
	within  time.Duration // bounds a call, and the way to the bus

	mu     sync.Mutex
	conn   *dbus.Conn         // guarded by mu; nil if there is none
	leave  context.CancelFunc // of conn; guarded by mu
	markup bool               // bodies are taken for markup; guarded by mu
	shown  map[place]uint32   // the ids there; guarded by mu
	order  []place            // of shown, the oldest first; guarded by mu
}

// place is what a later notification takes over from an earlier one.
type place struct {
	topic    apns.Topic
	collapse apns.CollapseID
}

// Open connects to the desktop of the session that this process belongs to.
// The error is an *Error.
func Open(ctx context.Context) (*Desktop, error) { return open(ctx, callWithin) }

func open(ctx context.Context, within time.Duration) (*Desktop, error) {
	address := os.Getenv(addressVariable)
	if address == "" {
		// Where logind keeps it, whatever the environment says.
		bus := filepath.Join(cmp.Or(os.Getenv("XDG_RUNTIME_DIR"), fmt.Sprintf("/run/user/%d", os.Getuid())), "bus")
		if _, err := os.Stat(bus); err != nil {
			return nil, &Error{
				Reason: "there is no session bus: " + addressVariable + " is not set, and there is no " + bus,
				Remedy: "run it within a desktop session, or take " + addressVariable + " over from there; a service of systemd --user has it.",
			}
		}
		address = "unix:path=" + dbus.EscapeBusAddressValue(bus)
	}
	d := &Desktop{address: address, within: within, shown: make(map[place]uint32)}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.connect(ctx); err != nil {
		return nil, err
	}
	return d, nil
}

// connect connects to the bus and asks what the desktop can do. The caller
// holds mu.
func (d *Desktop) connect(ctx context.Context) error {
	life, leave := context.WithCancel(context.WithoutCancel(ctx))
	tooLate := time.AfterFunc(d.within, leave)
	conn, err := dbus.Connect(d.address, dbus.WithContext(life))
	if !tooLate.Stop() {
		err = fmt.Errorf("no answer in %v", d.within)
	}
	if err != nil {
		leave()
		return d.noBus(err)
	}
	d.conn, d.leave = conn, leave
	var abilities []string
	if err := d.call(ctx, "GetCapabilities", &abilities); err != nil {
		return errors.Join(err, d.disconnect())
	}
	d.markup = slices.Contains(abilities, "body-markup")
	return nil
}

// disconnect ends the connection, if there is one. The caller holds mu.
func (d *Desktop) disconnect() error {
	if d.conn == nil {
		return nil
	}
	err := d.conn.Close()
	d.leave()
	d.conn, d.leave = nil, nil
	clear(d.shown) // the ids are of the connection's time
	d.order = nil
	return err
}

// Close ends the connection. What is shown stays.
func (d *Desktop) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.disconnect()
}

// Show shows a notification, unless it is one that is only listed as the user
// does not want to be disturbed. The error is an *Error.
func (d *Desktop) Show(ctx context.Context, e agent.Event) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := textOf(e, d.markup); !ok {
		return nil
	}
	if d.conn != nil {
		if err := d.notify(ctx, e); d.conn != nil {
			return err
		}
		// The bus has ended; a new one may be at the same place by now.
	}
	if err := d.connect(ctx); err != nil {
		return err
	}
	return d.notify(ctx, e)
}

// notify shows what there is to show of e. The caller holds mu, and there is a
// connection, which is ended with the bus.
func (d *Desktop) notify(ctx context.Context, e agent.Event) error {
	n, _ := textOf(e, d.markup)
	at := place{e.Topic, e.CollapseID}
	var id uint32
	const icon, expiry = "", int32(-1) // both as the desktop likes
	err := d.call(ctx, "Notify", &id, n.app, d.shown[at], icon, n.summary, n.body, []string{}, n.hints, expiry)
	if err != nil {
		return err
	}
	if e.CollapseID != "" {
		d.remember(at, id)
	}
	return nil
}

// remember notes the id of what is at a place. The caller holds mu.
func (d *Desktop) remember(at place, id uint32) {
	if _, known := d.shown[at]; !known {
		if len(d.order) == remembered {
			delete(d.shown, d.order[0])
			d.order = d.order[1:]
		}
		d.order = append(d.order, at)
	}
	d.shown[at] = id
}

// call calls a method of the desktop. The caller holds mu, and there is a
// connection; it is ended if the bus has ended, whatever it is that tells so: a
// write that fails, or the end of what is read.
func (d *Desktop) call(ctx context.Context, method string, out any, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, d.within)
	defer cancel()
	answer := d.conn.Object(service, path).CallWithContext(ctx, service+"."+method, 0, args...)
	refused, isRefusal := errors.AsType[dbus.Error](answer.Err)
	switch {
	case isRefusal && refused.Name == "org.freedesktop.DBus.Error.ServiceUnknown":
		return &Error{
			Reason: "nobody on this desktop shows notifications: the session bus has no " + service,
			Remedy: "start a program that does: most desktops have one, dunst and mako are two that run anywhere.",
		}
	case answer.Err != nil && !isRefusal && ctx.Err() == nil:
		return errors.Join(d.noBus(answer.Err), d.disconnect())
	}
	if err := answer.Store(out); err != nil {
		return &Error{Reason: "the desktop does not take the notification", Err: err, Remedy: "restart the program that shows notifications there."}
	}
	return nil
}

// noBus says that the bus does not answer.
func (d *Desktop) noBus(err error) error {
	return &Error{
		Reason: fmt.Sprintf("the session bus does not answer at %s", d.address), Err: err,
		Remedy: addressVariable + " must be that of a session that is running.",
	}
}
