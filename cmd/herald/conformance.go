package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/conformance"
)

// conformanceCmd runs the conformance cases.
type conformanceCmd struct {
	Dev        string           `xor:"at" placeholder:"DIR" help:"Folder of a running herald dev, or its dev.json: all that cases need is made there."`
	Target     string           `xor:"at" placeholder:"HOST:PORT" help:"Any gateway. What is not given below has the cases that need it be skipped."`
	Env        apns.Environment `placeholder:"ENV" help:"sandbox or production. With --dev, sandbox unless it is given. Needed if the target is Apple's."`
	CA         string           `name:"ca" placeholder:"FILE" help:"Certificates to trust, PEM. Without it, the system's."`
	ServerName string           `placeholder:"NAME" help:"Name that the gateway's certificate has to carry. Without it, the host of --target."`
	Cert       string           `placeholder:"FILE" help:"Push certificate with its key, PEM or PKCS#12."`
	Key        string           `placeholder:"FILE" help:"Provider key, .p8."`
	KeyID      apns.KeyID       `name:"key-id" placeholder:"KEYID" help:"Its Key ID. Without it, that of the file's name."`
	Team       apns.TeamID      `placeholder:"TEAMID" help:"Its Team ID."`
	Topic      apns.Topic       `placeholder:"BUNDLEID" help:"App ID to send to. Without it, the first topic of --cert."`

	DeviceToken string   `placeholder:"HEX" help:"Device token of that app. Nothing is sent to it without --deliver."`
	Deliver     bool     `help:"Allow what may be delivered to the device tokens given."`
	With        []string `placeholder:"NAME=VALUE" sep:"none" help:"A further topic, device token or address (legacy, feedback, channels), by the name that --list shows; may be repeated."`

	Pattern    string        `name:"run" placeholder:"PATTERN" help:"Regular expression for theme/name of the cases to run."`
	Documented bool          `help:"Leave out the cases for rules that Apple does not document and Herald chose."`
	List       bool          `help:"Print the cases, and run none."`
	JSON       bool          `name:"json" help:"Print one JSON object for each case, a line each."`
	Jobs       int           `default:"8" placeholder:"N" help:"How many cases run at a time."`
	Timeout    time.Duration `default:"5s" help:"How long a case may take."`
	passwordFlags
}

// Help says more than the line in the list of verbs.
func (conformanceCmd) Help() string {
	return `Aims several hundred cases at a gateway, each on a connection of its own, and
says of each whether the answer is Apple's. docs/conformance.md tells more.

With --target, nothing that might be delivered is sent to a device token that
you gave, unless you add --deliver. Apple is asked only if --target names it
and --env confirms it; hundreds of faulty requests are no way to use it.

Exit status: 0 no case fails, 1 some do, 2 usage, 3 a file cannot be read,
4 nothing answers at the gateway.`
}

// Run implements the verb.
func (c conformanceCmd) Run(ctx context.Context, s streams, _ *slog.Logger) error {
	cfg, err := c.config()
	if err != nil {
		return err
	}
	suite, err := conformance.Load()
	if err != nil {
		return err
	}
	selected := suite.Select(cfg)
	if c.List {
		return c.list(s, selected)
	}
	if len(selected) == 0 {
		return withHint(usageError("no case matches %s", plain(c.Pattern)), "herald conformance --list shows them.")
	}
	target, release, err := c.target(ctx, suite.Requires(selected))
	if err != nil {
		return unreachableStatus(err)
	}
	cfg.Target = target
	err = c.run(ctx, s, suite, cfg)
	// What was made on a platform is taken back even if the run was interrupted.
	return errors.Join(unreachableStatus(err), release(context.WithoutCancel(ctx)))
}

// config is what the flags say of the run.
func (c conformanceCmd) config() (cfg conformance.Config, err error) {
	if c.Jobs < 1 || c.Jobs > maxJobs {
		return cfg, usageError("--jobs %d: want from 1 to %d", c.Jobs, maxJobs)
	}
	if c.Timeout <= 0 || c.Timeout > maxTimeout {
		return cfg, usageError("--timeout %v: want more than 0 and at most %v", c.Timeout, maxTimeout)
	}
	cfg = conformance.Config{Documented: c.Documented, Workers: c.Jobs, Timeout: c.Timeout}
	if c.Pattern != "" {
		if cfg.Run, err = regexp.Compile(c.Pattern); err != nil {
			return cfg, usageError("--run: %w", err)
		}
	}
	return cfg, nil
}

// maxJobs bounds --jobs.
const maxJobs = 256

// target returns the gateway with what is known of it, or what is needed, and
// what to call afterwards.
func (c conformanceCmd) target(ctx context.Context, needs []string) (*conformance.Target, func(context.Context) error, error) {
	switch {
	case c.Dev != "":
		return c.devTarget(ctx, needs)
	case c.Target != "":
		t, err := c.anyTarget(ctx)
		return t, func(context.Context) error { return nil }, err
	}
	return nil, nil, withHint(usageError("which gateway?"), "--dev DIR names a running herald dev, --target HOST:PORT any other gateway.")
}

// run runs the cases and prints what came of them.
func (c conformanceCmd) run(ctx context.Context, s streams, suite *conformance.Suite, cfg conformance.Config) error {
	var report conformance.Report
	var printing error
	cfg.Report = func(r conformance.Result) {
		report = append(report, r)
		if printing == nil {
			printing = c.tell(s.out, r)
		}
	}
	if err := suite.Run(ctx, cfg); err != nil {
		return err
	}
	if printing != nil {
		return printing
	}
	if !c.JSON {
		if _, err := fmt.Fprintln(s.out); err != nil {
			return err
		}
		if err := report.WriteTable(s.out); err != nil {
			return err
		}
	}
	switch n := report.Count("", conformance.Failed); {
	case n > 0:
		return fmt.Errorf("%d of %s fail", n, count(len(report), "case", "cases"))
	case report.Count("", conformance.Passed) == 0:
		return withHint(errors.New("all cases were skipped: nothing was tested"), "herald conformance --help names the flags that cases need.")
	}
	return nil
}

// tell prints the result of a case.
func (c conformanceCmd) tell(w io.Writer, r conformance.Result) error {
	if !c.JSON {
		_, err := fmt.Fprintln(w, plain(r.Line()))
		return err
	}
	b, err := r.JSON()
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// listed is a case as --list --json prints it.
type listed struct {
	Theme string   `json:"theme"`
	Name  string   `json:"name"`
	Why   string   `json:"why"`
	Ours  bool     `json:"ours,omitempty"`
	Needs []string `json:"needs,omitempty"`
}

// list prints the cases.
func (c conformanceCmd) list(s streams, cases []conformance.Case) error {
	for i := range cases {
		one := &cases[i]
		needs := one.Requires()
		line := one.ID()
		if c.JSON {
			b, err := json.Marshal(listed{one.Theme, one.Name, one.Why, one.Ours, needs})
			if err != nil {
				return err
			}
			line = string(b)
		} else if len(needs) > 0 {
			line += "  [" + strings.Join(needs, "; ") + "]"
		}
		if _, err := fmt.Fprintln(s.out, line); err != nil {
			return err
		}
	}
	return nil
}

// unreachableStatus gives an error that nothing answers its exit status.
func unreachableStatus(err error) error {
	if _, ok := errors.AsType[*conformance.UnreachableError](err); ok {
		return withHint(&statusError{err, exitRefused}, "is it running, and is --ca its root?")
	}
	return err
}
