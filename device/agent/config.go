package agent

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/device"
)

// Config says how to run. Dir and Settings are required.
type Config struct {
	// Dir is the folder of the device, of one process at a time. It is made,
	// with mode 0700, if it is missing. Required.
	Dir string
	// Settings say which push service the device belongs to, and are kept in
	// Dir for the next time. Required.
	Settings Settings
	// EnrolmentCode is the secret that allows the activation. Required unless
	// Dir holds a certificate.
	EnrolmentCode string
	// Apps are registered at the start. Those that Dir remembers are too.
	Apps []App
	// Report, if set, is called for each event, one at a time. It must not
	// take long: notifications wait for it.
	Report func(Event)
	// Command, if set, is a command line for the shell, run for each
	// notification: see docs/device.md#exec.
	Command string
	// CommandTimeout bounds each run. Default: 30 s.
	CommandTimeout time.Duration
	// CommandOutput gets what the commands print. Nil discards it.
	CommandOutput io.Writer
	// Desktop, if set, shows a notification to the user: each that is not
	// silent, one at a time.
	Desktop func(context.Context, Event) error
	// Ready, if set, is called once the socket answers.
	Ready func(Ready)
	// Dial opens connections to courier and activation door. Default: a
	// net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Logger gets what happens, without payloads and secrets. Nil discards it.
	Logger *slog.Logger
}

// App is an app to register.
type App struct {
	Topic apns.Topic
	Types device.NotificationTypes
}

// Ready is what Config.Ready is told.
type Ready struct {
	// Socket is the path of the socket.
	Socket string
	// Device is empty if the device is not activated yet.
	Device apns.DeviceID
	// Apps are registered, or about to be.
	Apps []apns.Topic
}

// SocketName is the name of the socket in the folder, unless Settings name
// another.
const SocketName = "agent.sock"

// socket returns the path of the socket.
func (c Config) socket() string {
	if c.Settings.Socket != "" {
		return c.Settings.Socket
	}
	return filepath.Join(c.Dir, SocketName)
}

func (c Config) withDefaults() (Config, error) {
	if c.Dir == "" {
		return c, errors.New("agent: Dir: is required")
	}
	if c.CommandTimeout < 0 {
		return c, fmt.Errorf("agent: CommandTimeout: %v: want a positive duration", c.CommandTimeout)
	}
	if c.CommandTimeout == 0 {
		c.CommandTimeout = 30 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// device returns what the SDK is told.
func (c Config) device() (device.Config, error) {
	d := device.Config{
		Courier: c.Settings.Courier, ServerName: c.Settings.ServerName, Environment: c.Settings.Environment,
		Activation: c.Settings.Activation, EnrolmentCode: c.EnrolmentCode, Dial: c.Dial, Dir: c.Dir, Logger: c.Logger,
	}
	if c.Settings.Roots != "" {
		d.Roots = x509.NewCertPool()
		if !d.Roots.AppendCertsFromPEM([]byte(c.Settings.Roots)) {
			return d, errors.New("agent: Roots: no certificate in PEM")
		}
	}
	return d, nil
}
