package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/heraldpush/herald/admin"
	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/courier"
	"github.com/heraldpush/herald/device"
	"github.com/heraldpush/herald/device/agent"
	"github.com/heraldpush/herald/device/agent/desktop"
	"github.com/heraldpush/herald/platform/dev"
)

// deviceRunCmd runs the agent of a device.
type deviceRunCmd struct {
	Dir string `placeholder:"DIR" help:"Folder of the device: its identity, and what it remembers. Made if missing."`
	Dev string `placeholder:"FILE" help:"dev.json of a running herald dev, or its folder: gives courier, activation, CA and an enrolment code."`

	Courier     string           `placeholder:"HOST:PORT" help:"Address of the courier."`
	Activation  string           `placeholder:"URL" help:"Activation door, https. Without it, at the address of the courier."`
	Environment apns.Environment `placeholder:"ENV" help:"sandbox or production. Without it, sandbox."`
	CA          string           `name:"ca" placeholder:"FILE" help:"Certificates to trust, PEM. Without it, the system's."`
	ServerName  string           `placeholder:"NAME" help:"Name in the courier's certificate. Without it, Apple's for the environment."`
	Enrol       string           `xor:"enrol" placeholder:"CODE" help:"Enrolment code, for the first start. Others on this machine can read it here: --enrol-file or HERALD_ENROL_CODE is better."`
	EnrolFile   string           `xor:"enrol" placeholder:"FILE" help:"File with the enrolment code as its first word; - is standard input."`

	App   []string          `placeholder:"BUNDLE-ID" help:"App to register; may be given several times. Others may register by the socket."`
	Types notificationTypes `default:"alert,sound,badge" help:"What these apps ask to be allowed: alert, sound and badge with commas, or none. Default: ${default}."`

	JSON        bool          `name:"json" help:"Print a JSON object a line for each event, and nothing else."`
	Desktop     bool          `help:"Show notifications on the desktop, over D-Bus."`
	Exec        string        `placeholder:"CMD" help:"Command line to run for each notification, with JSON on its standard input and fields in its environment."`
	ExecTimeout time.Duration `default:"30s" placeholder:"TIME" help:"How long one such command may take. Default: ${default}."`
	Socket      string        `placeholder:"PATH" help:"Where apps find the agent. Without it, agent.sock in the folder."`
}

// notificationTypes is a flag that takes notification types.
type notificationTypes struct{ device.NotificationTypes }

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *notificationTypes) UnmarshalText(text []byte) (err error) {
	t.NotificationTypes, err = device.ParseNotificationTypes(string(text))
	return err
}

// Help says more than the line in the list of verbs.
func (deviceRunCmd) Help() string {
	return `The first start needs --courier and an enrolment code; the folder remembers
the rest, so that later ones need --dir alone. With --dev and without --dir the
folder is "agent" beside dev.json.

  herald device run --dev my-push/dev.json --app com.example.demo

What apps in any language do with the socket, the events of --json and the
variables of --exec are in docs/device.md.`
}

// enrolVariable is where the enrolment code may be.
const enrolVariable = "HERALD_ENROL_CODE"

// Run implements the verb.
func (c deviceRunCmd) Run(ctx context.Context, s streams, log *slog.Logger) (err error) {
	if c.ExecTimeout <= 0 {
		return usageError("--exec-timeout %v: want a time such as 30s", c.ExecTimeout)
	}
	cfg := agent.Config{
		Command: c.Exec, CommandTimeout: c.ExecTimeout, CommandOutput: s.err, Logger: log,
	}
	for _, bundle := range c.App {
		topic := apns.Topic(bundle)
		if !topic.Valid() {
			return withHint(usageError("--app %.80q is not a bundle ID", bundle), "a bundle ID is letters, digits and hyphens with dots between, such as com.example.demo.")
		}
		cfg.Apps = append(cfg.Apps, agent.App{Topic: topic, Types: c.Types.NotificationTypes})
	}
	at, err := c.platform()
	if err != nil {
		return err
	}
	if cfg.Dir, err = c.folder(at); err != nil {
		return err
	}
	if cfg.Settings, err = c.settings(cfg.Dir, at); err != nil {
		return err
	}
	if cfg.EnrolmentCode, err = c.code(ctx, cfg.Dir, at); err != nil {
		return err
	}
	if c.Desktop {
		d, err := desktop.Open(ctx)
		if err != nil {
			return withDeviceRemedy(err)
		}
		defer func() { err = errors.Join(err, d.Close()) }()
		cfg.Desktop = d.Show
	}
	screen := newDeviceScreen(s, c.JSON, cfg, at)
	cfg.Report, cfg.Ready = screen.report, screen.ready
	err = agent.Run(ctx, cfg)
	return withDeviceRemedy(errors.Join(err, screen.end()))
}

// platform returns what a running herald dev says of itself, nil without one.
func (c deviceRunCmd) platform() (dev.Values, error) {
	if c.Dev == "" {
		return nil, nil
	}
	if c.Courier != "" || c.Activation != "" || c.CA != "" || c.ServerName != "" {
		return nil, usageError("--dev gives courier, activation and CA: it takes none of --courier, --activation, --ca and --server-name")
	}
	v, err := readDevValues(c.Dev)
	if err != nil {
		return nil, err
	}
	if v[dev.KeyActivation] == "" {
		return nil, unreadable(fmt.Errorf("%s has no %q", plain(c.Dev), dev.KeyActivation))
	}
	return v, nil
}

// folder returns the folder of the device.
func (c deviceRunCmd) folder(at dev.Values) (string, error) {
	switch {
	case c.Dir != "":
		return c.Dir, nil
	case at != nil:
		return devDeviceFolder(at), nil
	}
	return "", withHint(usageError("--dir is missing: the folder of the device"),
		"--dir DIR makes one, or goes on with it; with --dev it is not needed.")
}

// settings returns what the flags say, and where they say nothing, what the
// folder remembers.
func (c deviceRunCmd) settings(dir string, at dev.Values) (s agent.Settings, err error) {
	if s, err = agent.ReadSettings(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s, unreadable(err)
	}
	roots := c.CA
	if at != nil {
		s.Courier, s.Activation, s.ServerName = at[dev.KeyCourier], at[dev.KeyActivation], ""
		roots = at[dev.KeyCA]
	}
	if c.Courier != "" {
		if _, _, err := net.SplitHostPort(c.Courier); err != nil {
			return s, withHint(usageError("--courier %s: want HOST:PORT", plain(c.Courier)), "such as courier.example.com:5223.")
		}
		s.Courier, s.Activation = c.Courier, "https://"+c.Courier+courier.ActivationPath
	}
	if s.Courier == "" {
		return s, withHint(usageError("--courier is missing: the address of the courier"),
			"give --courier HOST:PORT, or --dev FILE for a running herald dev; the folder remembers it for the next time.")
	}
	if c.Activation != "" {
		if u, err := url.Parse(c.Activation); err != nil || u.Scheme != "https" || u.Host == "" {
			return s, withHint(usageError("--activation %s: want a URL that begins with https://", plain(c.Activation)), "the enrolment code goes there.")
		}
		s.Activation = c.Activation
	}
	if c.ServerName != "" {
		s.ServerName = c.ServerName
	}
	switch {
	case c.Environment != 0 && s.Environment != 0 && c.Environment != s.Environment:
		return s, withHint(usageError("--environment %v: the device in %s is of %v", c.Environment, plain(dir), s.Environment),
			"give each environment a folder of its own, by --dir.")
	case c.Environment != 0:
		s.Environment = c.Environment
	case s.Environment == 0:
		s.Environment = apns.Sandbox
	}
	if roots != "" {
		if _, err := readRoots(roots); err != nil {
			return s, err
		}
		b, err := readSmallFile(roots)
		if err != nil {
			return s, unreadable(err)
		}
		s.Roots = string(b)
	}
	if c.Socket != "" {
		if s.Socket, err = filepath.Abs(c.Socket); err != nil {
			return s, usageError("--socket %s: %w", plain(c.Socket), err)
		}
	}
	return s, nil
}

// code returns the enrolment code, or nothing where none is needed or given.
func (c deviceRunCmd) code(ctx context.Context, dir string, at dev.Values) (string, error) {
	if device.Activated(dir) {
		return "", nil
	}
	if c.Enrol != "" {
		return c.Enrol, nil
	}
	if c.EnrolFile != "" {
		b, err := readSmallFile(c.EnrolFile)
		if err != nil {
			return "", withHint(unreadable(fmt.Errorf("--enrol-file: %w", err)), "what herald portal device enrol printed may be given as it is.")
		}
		words := strings.Fields(string(b))
		if len(words) == 0 {
			return "", unreadable(fmt.Errorf("--enrol-file: %s holds no enrolment code", plain(c.EnrolFile)))
		}
		return words[0], nil
	}
	if code := os.Getenv(enrolVariable); code != "" || at == nil {
		return code, nil
	}
	api, err := admin.Remote(admin.RemoteConfig{URL: at[dev.KeyHTTP], Key: at[dev.KeyAPIKey], ThisMachine: true})
	if err != nil {
		return "", fmt.Errorf("%s: %w", c.Dev, err)
	}
	made, err := admin.CreateEnrolment.Call(ctx, api, admin.EnrolmentRequest{Uses: 1, ValidSeconds: int64(enrolFor / time.Second)})
	if err != nil {
		return "", withRemedy(err)
	}
	return made.Code, nil
}

// enrolFor is how long a code that this verb makes is good.
const enrolFor = 10 * time.Minute
