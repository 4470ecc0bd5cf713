package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"

	"github.com/heraldpush/herald/device"
	"github.com/heraldpush/herald/faults"
	"github.com/heraldpush/herald/platform/dev"
)

// devCmd runs a development platform.
type devCmd struct {
	Dir   string    `placeholder:"DIR" help:"Folder for everything; made if missing, and kept. Without it a temporary one is removed at the end."`
	Addr  ipAddr    `default:"127.0.0.1" help:"IP address to listen at."`
	Ports dev.Ports `default:"fixed" enum:"fixed,auto" help:"fixed: the same ports each time; auto: free ones, so that many can run side by side."`
	// Faults is empty for none.
	Faults string `placeholder:"FILE" help:"Plan of faults on demand, JSON: see docs/faults.md. The platform API changes it later."`
	traceFlags
}

// ipAddr is a flag that takes an IP address.
type ipAddr struct{ netip.Addr }

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *ipAddr) UnmarshalText(text []byte) (err error) {
	if a.Addr, err = netip.ParseAddr(string(text)); err != nil {
		return fmt.Errorf("%q is not an IP address, such as 127.0.0.1", text)
	}
	return nil
}

// Help says more than the line in the list of verbs.
func (devCmd) Help() string {
	return `As soon as everything answers, DIR/dev.json has every address, name and
credential, one flat JSON object; DIR/notifications.jsonl has a line for each
notification that the virtual device received.`
}

// readFaults reads a fault plan; without a name there is none.
func readFaults(name string) (*faults.Plan, error) {
	if name == "" {
		return nil, nil //nolint:nilnil // nothing was asked for
	}
	text, err := readSmallFile(name)
	if err != nil {
		return nil, err
	}
	plan, err := faults.Parse(text)
	if wrong, ok := errors.AsType[*faults.PlanError](err); ok {
		return nil, withHint(fmt.Errorf("%s: %w", plain(name), err), "%s", wrong.Remedy)
	}
	return &plan, err
}

// bannerWidth is the width of a notification in the terminal, in columns.
const bannerWidth = 60

// Run implements the verb.
func (c devCmd) Run(ctx context.Context, s streams, log *slog.Logger) error {
	plan, err := readFaults(c.Faults)
	if err != nil {
		return err
	}
	var writing sync.Mutex // the two below come from different goroutines
	err = dev.Run(ctx, dev.Config{
		Dir: c.Dir, Addr: c.Addr.Addr, Ports: c.Ports, Faults: plan, Logger: log,
		Trace: c.config(c.Dir == ""), TraceOff: c.off(),
		Ready: func(r dev.Running) {
			writing.Lock()
			defer writing.Unlock()
			_, _ = fmt.Fprint(s.out, welcome(r, plan))
		},
		Show: func(p device.Presentation) {
			writing.Lock()
			defer writing.Unlock()
			_, _ = fmt.Fprintf(s.out, "\n%s", p.Draw(bannerWidth))
		},
	})
	if _, ok := errors.AsType[*dev.PortInUseError](err); ok {
		return withHint(err, "herald dev --ports auto takes free ports.")
	}
	return withRemedy(err)
}

// welcome is what is printed when everything answers.
func welcome(r dev.Running, plan *faults.Plan) string {
	folder := r.Dir
	switch {
	case r.Temporary:
		folder += "  (removed at the end; --dir DIR keeps one)"
	case r.Kept:
		folder += "  (kept from an earlier run)"
	}
	if plan != nil {
		folder += "\n  FAULTS ON DEMAND    " + plain(plan.String())
	}
	return fmt.Sprintf(`Herald runs the whole of push on this machine.

  console             %s
  sandbox gateway     %s
  production gateway  %s
  courier             %s
  folder              %s

Send a notification to the virtual device:

%s

It appears below. Ctrl-C ends everything.
`, r.Values[dev.KeyHTTP], r.Values[dev.KeyGatewaySandbox], r.Values[dev.KeyGatewayProduction],
		r.Values[dev.KeyCourier], folder, r.Curl())
}
