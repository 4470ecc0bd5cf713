package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/platform"
	"github.com/heraldpush/herald/platform/serve"
)

// serveCmd runs the push service.
type serveCmd struct {
	Dir  string       `required:"" placeholder:"DIR" help:"Folder that herald portal init made."`
	Name []string     `placeholder:"HOST" help:"Host name by which providers and devices reach the service; may be given several times. Apple's names and localhost are always good."`
	IP   []netip.Addr `name:"ip" placeholder:"IP" help:"IP address by which they do; may be given several times."`

	Gateway        listenAt `default:":2197" placeholder:"ADDR" help:"Where the production gateway listens, or none. Default: ${default}."`
	SandboxGateway listenAt `default:":3197" placeholder:"ADDR" help:"Where the sandbox gateway listens, or none. Default: ${default}."`
	Courier        listenAt `default:":5223" placeholder:"ADDR" help:"Where devices connect and are activated, or none. Default: ${default}."`

	Channels        listenAt `default:"none" placeholder:"ADDR" help:"A further port of the gateway, for who manages channels at one of its own. Default: ${default}."`
	SandboxChannels listenAt `default:"none" placeholder:"ADDR" help:"The same of the sandbox. Default: ${default}."`
	Legacy          listenAt `default:"none" placeholder:"ADDR" help:"Where the legacy interface listens. Default: ${default}."`
	SandboxLegacy   listenAt `default:"none" placeholder:"ADDR" help:"The same of the sandbox. Default: ${default}."`
	Feedback        listenAt `default:"none" placeholder:"ADDR" help:"Where the feedback service listens. Default: ${default}."`
	SandboxFeedback listenAt `default:"none" placeholder:"ADDR" help:"The same of the sandbox. Default: ${default}."`

	API      listenAt      `name:"api" default:"127.0.0.1:0" placeholder:"ADDR" help:"Where the other verbs reach it: a loopback address. Default: a free port."`
	Drain    time.Duration `default:"0s" placeholder:"TIME" help:"Time over which devices are let go at the end, so that they do not come back all at once. Default: ${default}."`
	Redirect string        `placeholder:"HOST" help:"Where devices are sent then: another courier, HOST or HOST:PORT."`
	traceFlags
	JSON bool `name:"json" help:"Print one flat JSON object, with the names that dev.json has."`
}

// listenAt is a flag that takes an address to listen at, or "none".
type listenAt string

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *listenAt) UnmarshalText(text []byte) error {
	if string(text) == "none" {
		*a = ""
		return nil
	}
	_, port, err := net.SplitHostPort(string(text))
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("%q is not an address to listen at, such as :2197 or 127.0.0.1:2197, and not none", text)
	}
	*a = listenAt(text)
	return nil
}

// Help says more than the line in the list of verbs.
func (serveCmd) Help() string {
	return `What is accepted is on disk before the answer, in the folder. An address is
host:port; without a host, on all interfaces. A provider or device that asks
for one of Apple's host names gets the environment of that name on any port.

    herald portal init --dir push --team "Example Inc."
    herald serve --dir push --name push.example.com

The verbs of herald portal work on the folder while this runs. Ctrl-C ends it.`
}

// Run implements the verb.
func (c serveCmd) Run(ctx context.Context, s streams, log *slog.Logger) error {
	if c.Drain < 0 {
		return usageError("--drain %v is negative", c.Drain)
	}
	if c.API == "" {
		return usageError("--api none: the other verbs need it")
	}
	both := func(production, sandbox listenAt) map[apns.Environment]string {
		return map[apns.Environment]string{apns.Production: string(production), apns.Sandbox: string(sandbox)}
	}
	platform.TuneMemory()
	var unprinted error
	err := serve.Run(ctx, serve.Config{
		Dir: c.Dir, Names: c.Name, IPs: c.IP, Drain: c.Drain, Redirect: c.Redirect,
		Trace: c.config(false), TraceOff: c.off(), Logger: log,
		At: serve.Addresses{
			Gateway: both(c.Gateway, c.SandboxGateway), Channels: both(c.Channels, c.SandboxChannels),
			Legacy: both(c.Legacy, c.SandboxLegacy), Feedback: both(c.Feedback, c.SandboxFeedback),
			Courier: string(c.Courier), API: string(c.API),
		},
		Ready: func(r serve.Running) { unprinted = c.tell(s.out, r) },
	})
	if at, ok := errors.AsType[*platform.ListenError](err); ok {
		return withHint(err, "%s", listenRemedy(at, "herald serve"))
	}
	return errors.Join(withRemedy(err), unprinted)
}

// listenRemedy says what to do about a part of a verb that cannot listen.
func listenRemedy(e *platform.ListenError, verb string) string {
	flags := verb + " --help lists the flags."
	switch {
	case errors.Is(e.Err, syscall.EADDRINUSE):
		return "end what listens there, or name another address; " + flags
	case errors.Is(e.Err, syscall.EACCES):
		return "ports below 1024 take a privilege (on Linux CAP_NET_BIND_SERVICE), or name a higher one."
	}
	return "name an address of this machine; " + flags
}

// tell says that everything answers.
func (c serveCmd) tell(w io.Writer, r serve.Running) error {
	if c.JSON {
		values := map[string]string{"dir": r.Dir, "server_name": r.Name, "ca": filepath.Join(r.Dir, rootFile)}
		for _, l := range r.Listening {
			values[l.Key] = l.Address
		}
		return writeJSON(w, values)
	}
	if _, err := fmt.Fprintf(w, "Herald serves %s\n\n", plain(r.Dir)); err != nil {
		return err
	}
	rows := make([][]string, 0, len(r.Listening)+1)
	for _, l := range r.Listening {
		rows = append(rows, []string{"  " + l.Part, l.Address})
	}
	if err := table(w, append(rows, []string{"  server name", r.Name})...); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\nNext: herald portal device enrol --dir %s makes a code for a device.\nCtrl-C ends everything.\n", plain(c.Dir))
	return err
}
