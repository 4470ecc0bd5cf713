package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/device"
	"github.com/heraldpush/herald/device/agent"
	"github.com/heraldpush/herald/platform/dev"
)

// deviceAt are the flags that say which device.
type deviceAt struct {
	Dir string `placeholder:"DIR" xor:"device" help:"Folder of the device."`
	Dev string `placeholder:"FILE" xor:"device" help:"dev.json of a running herald dev, or its folder: the device that device run --dev makes."`
}

// folder returns the folder of the device.
func (a deviceAt) folder() (string, error) {
	switch {
	case a.Dir != "":
		return a.Dir, nil
	case a.Dev != "":
		v, err := readDevValues(a.Dev)
		if err != nil {
			return "", err
		}
		return devDeviceFolder(v), nil
	}
	return "", withHint(usageError("--dir is missing: the folder of the device"), "--dir DIR names it, or --dev FILE the herald dev that it is of.")
}

// devDeviceFolder returns the folder of the device that goes with a herald dev.
func devDeviceFolder(v dev.Values) string { return filepath.Join(filepath.Dir(v[dev.KeyCA]), "agent") }

// do calls f with the device.
func (a deviceAt) do(ctx context.Context, f func(agent.Control) error) (err error) {
	dir, err := a.folder()
	if err != nil {
		return err
	}
	c, err := agent.Open(ctx, dir)
	if err != nil {
		return withControlRemedy(dir, err)
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	return withControlRemedy(dir, f(c))
}

// withControlRemedy adds to an error of a folder what can be done about it.
func withControlRemedy(dir string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return withHint(fmt.Errorf("%s is not the folder of a device", plain(dir)), "herald device run --dir DIR makes one.")
	case errors.Is(err, agent.ErrInUse):
		return withHint(err, "it does not answer: it is just starting or ending. Try again.")
	}
	if _, ok := errors.AsType[*agent.Problem](err); ok {
		return &statusError{err, exitRefused}
	}
	return withDeviceRemedy(err)
}

// deviceApp is an argument that takes a bundle ID.
type deviceApp struct{ apns.Topic }

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *deviceApp) UnmarshalText(text []byte) error {
	if a.Topic = apns.Topic(text); !a.Valid() {
		return fmt.Errorf("%.80q is not a bundle ID, such as com.example.demo", text)
	}
	return nil
}

// deviceShowCmd shows a device.
type deviceShowCmd struct {
	deviceAt
	printFlags
}

// Run implements the verb.
func (c deviceShowCmd) Run(ctx context.Context, s streams) error {
	return c.do(ctx, func(d agent.Control) error {
		status, err := d.Status(ctx)
		if err != nil {
			return err
		}
		_, running := d.(*agent.Remote)
		return c.print(s, status, func(w io.Writer) error { return showDevice(w, status, running) })
	})
}

// showDevice writes what a device is.
func showDevice(w io.Writer, s agent.Status, running bool) error {
	state := "no agent runs"
	switch {
	case s.Connected:
		state = "connected to " + s.Courier + " since " + minute(*s.Since)
	case running:
		state = "not connected: " + s.Reason
	}
	quiet := "off"
	switch {
	case s.DoNotDisturb.On && s.DoNotDisturb.Until != nil:
		quiet = "on until " + minute(*s.DoNotDisturb.Until)
	case s.DoNotDisturb.On:
		quiet = "on"
	}
	rows := [][]string{
		{"Device", string(s.DeviceID)}, {"Environment", s.Environment.String()}, {"State", state}, {"Do not disturb", quiet},
	}
	if s.Certificate != nil {
		rows = append(rows, []string{"Certificate", "expires " + expires(s.Certificate.NotAfter)})
	}
	if err := table(w, rows...); err != nil {
		return err
	}
	if len(s.Apps) == 0 {
		_, err := fmt.Fprintln(w, "\nNo app is registered.")
		return err
	}
	rows = [][]string{{"APP", "TYPES", "PERMISSION", "WAITING", "DEVICE TOKEN"}}
	for _, a := range s.Apps {
		types, token := strings.Join(a.Types, ","), a.DeviceToken
		if types == "" {
			types = "none"
		}
		if token == "" {
			token = "none yet"
		}
		rows = append(rows, []string{string(a.Topic), types, a.Permission.Status, fmt.Sprint(a.Waiting), token})
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	return table(w, rows...)
}

// deviceAllowCmd lets an app show notifications.
type deviceAllowCmd struct {
	App             deviceApp         `arg:"" name:"bundle-id" help:"The app."`
	Types           notificationTypes `default:"alert,sound,badge" help:"What it may show: alert, sound and badge with commas. Default: ${default}."`
	Critical        bool              `help:"Let its critical notifications through do-not-disturb."`
	NoTimeSensitive bool              `help:"Keep its time-sensitive notifications from breaking through do-not-disturb."`
	deviceAt
}

// Run implements the verb.
func (c deviceAllowCmd) Run(ctx context.Context, s streams) error {
	p := agent.Permission{Status: device.Authorized.String(), Critical: c.Critical, NoTimeSensitive: c.NoTimeSensitive}
	if c.Types.NotificationTypes != 0 {
		p.Types = strings.Split(c.Types.String(), ", ")
	}
	return c.do(ctx, func(d agent.Control) error {
		if err := d.SetPermission(ctx, c.App.Topic, p); err != nil {
			return err
		}
		_, err := fmt.Fprintf(s.out, "%s may show: %v.\n", c.App.Topic, c.Types)
		return err
	})
}

// deviceDenyCmd keeps an app from showing notifications.
type deviceDenyCmd struct {
	App        deviceApp `arg:"" name:"bundle-id" help:"The app."`
	Background bool      `help:"Keep from it also what wakes it in the background: the courier delivers nothing for it."`
	deviceAt
}

// Run implements the verb.
func (c deviceDenyCmd) Run(ctx context.Context, s streams) error {
	return c.do(ctx, func(d agent.Control) error {
		p := agent.Permission{Status: device.Denied.String(), NoBackground: c.Background}
		if err := d.SetPermission(ctx, c.App.Topic, p); err != nil {
			return err
		}
		_, err := fmt.Fprintf(s.out, "%s may show nothing. It keeps its device token; herald device allow %s lets it again.\n", c.App.Topic, c.App.Topic)
		return err
	})
}

// deviceDNDCmd sets do-not-disturb.
type deviceDNDCmd struct {
	State string        `arg:"" name:"on|off" enum:"on,off" help:"on or off."`
	For   time.Duration `placeholder:"TIME" help:"How long it is on, such as 1h. Without it, until it is turned off."`
	deviceAt
}

// Run implements the verb.
func (c deviceDNDCmd) Run(ctx context.Context, s streams) error {
	q := agent.DoNotDisturb{On: c.State == "on"}
	switch {
	case c.For < 0 || c.For != 0 && !q.On:
		return usageError("--for %v: want a time such as 1h, and on", c.For)
	case c.For != 0:
		q.Until = new(time.Now().Add(c.For).UTC())
	}
	return c.do(ctx, func(d agent.Control) error {
		if err := d.SetDoNotDisturb(ctx, q); err != nil {
			return err
		}
		text := "Do not disturb is " + c.State
		if q.Until != nil {
			text += " until " + minute(*q.Until)
		}
		_, err := fmt.Fprintln(s.out, text+".")
		return err
	})
}

// deviceUninstallCmd removes an app.
type deviceUninstallCmd struct {
	App deviceApp `arg:"" name:"bundle-id" help:"The app."`
	deviceAt
}

// Run implements the verb.
func (c deviceUninstallCmd) Run(ctx context.Context, s streams) error {
	return c.do(ctx, func(d agent.Control) error {
		if err := d.Uninstall(ctx, c.App.Topic); err != nil {
			return err
		}
		_, err := fmt.Fprintf(s.out, "%s is uninstalled. Its device token ends as soon as the courier hears of it: pushes to it are then Unregistered, 410.\n", c.App.Topic)
		return err
	})
}

// deviceRestoreCmd makes new device tokens.
type deviceRestoreCmd struct{ deviceAt }

// Run implements the verb.
func (c deviceRestoreCmd) Run(ctx context.Context, s streams) error {
	return c.do(ctx, func(d agent.Control) error {
		if err := d.Restore(ctx); err != nil {
			return err
		}
		_, err := fmt.Fprintln(s.out, "Each app gets a new device token with the connection to the courier, as after a restore from a backup. The old ones end.")
		return err
	})
}

// deviceResetCmd ends a device.
type deviceResetCmd struct{ deviceAt }

// Run implements the verb.
func (c deviceResetCmd) Run(ctx context.Context, s streams) error {
	dir, err := c.folder()
	if err != nil {
		return err
	}
	err = agent.Reset(ctx, dir)
	if errors.Is(err, agent.ErrInUse) {
		return withHint(err, "end herald device run first: nothing of a device that runs is removed.")
	}
	if err != nil {
		return withControlRemedy(dir, err)
	}
	_, err = fmt.Fprintln(s.out, "The device is no more: its device tokens have ended, its certificate is revoked, and what was kept is gone.\nThe next herald device run with this folder makes a new one, and needs an enrolment code.")
	return err
}
