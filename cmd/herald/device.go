package main

import (
	"errors"

	"github.com/heraldpush/herald/device"
	"github.com/heraldpush/herald/device/agent"
	"github.com/heraldpush/herald/device/agent/desktop"
)

// deviceCmd is the device agent: what the push daemon of an iPhone is.
type deviceCmd struct {
	Run       deviceRunCmd       `cmd:"" help:"Run the agent of a device: show what it receives, and serve apps by a local socket, until Ctrl-C."`
	Show      deviceShowCmd      `cmd:"" help:"Show a device: its state, its apps and their device tokens."`
	Allow     deviceAllowCmd     `cmd:"" help:"Let an app show notifications."`
	Deny      deviceDenyCmd      `cmd:"" help:"Keep an app from showing notifications."`
	DND       deviceDNDCmd       `cmd:"" name:"dnd" help:"Turn do-not-disturb on or off."`
	Uninstall deviceUninstallCmd `cmd:"" help:"Remove an app: its device token ends."`
	Restore   deviceRestoreCmd   `cmd:"" help:"Give all apps new device tokens, as a restore from a backup does."`
	Reset     deviceResetCmd     `cmd:"" help:"End the device, here and at the service."`
}

// Help says more than the line in the list of verbs.
func (deviceCmd) Help() string {
	return `The verbs besides run work through the agent that runs, or on the folder if
none does. See docs/device.md.`
}

// withDeviceRemedy adds to an error of a device what can be done about it.
func withDeviceRemedy(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*device.ActivationError](err); ok {
		return withHint(&statusError{err, exitRefused}, "herald portal device enrol makes a new enrolment code; --courier and --activation must be of the same platform.")
	}
	if d, ok := errors.AsType[*desktop.Error](err); ok {
		return withHint(err, "%s", d.Remedy)
	}
	if s, ok := errors.AsType[*agent.SocketError](err); ok {
		return withHint(err, "--socket PATH names another place than %s for it.", plain(s.Path))
	}
	switch {
	case errors.Is(err, device.ErrNotActivated):
		return withHint(&statusError{errors.New("this device has no certificate yet, and no enrolment code to get one"), exitUsage},
			"give the code by --enrol-file FILE or HERALD_ENROL_CODE (or by --enrol CODE, where others can read it); herald portal device enrol makes one.")
	case errors.Is(err, device.ErrCertificateExpired):
		return withHint(&statusError{err, exitRefused}, "another --dir and a new enrolment code make a new device.")
	case errors.Is(err, device.ErrIdentityRefused):
		return withHint(&statusError{err, exitRefused}, "the device was revoked, or belongs to another platform; another --dir and a new enrolment code make a new device.")
	case errors.Is(err, agent.ErrInUse):
		return withHint(err, "end that process, or give --dir another folder: each is one device.")
	}
	return withRemedy(err)
}
