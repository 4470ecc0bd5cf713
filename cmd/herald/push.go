package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
)

// pushCmd sends notifications: the client library as a verb.
type pushCmd struct {
	DeviceTokens []string       `arg:"" optional:"" name:"device-token" help:"Where to push to: device tokens in hex, or as an app logged them."`
	Tokens       string         `placeholder:"FILE" help:"File with a device token in each line; - is standard input."`
	Broadcast    apns.ChannelID `placeholder:"CHANNEL" help:"Push to all that follow this channel, in place of device tokens."`

	pushContent `group:"What is pushed"`
	pushHeaders `group:"How it is delivered"`
	pushSender  `group:"Gateway and credential"`

	DryRun  bool          `help:"Check everything, print what would be sent, and send nothing."`
	Timeout time.Duration `default:"10s" help:"How long a push may take, with all that is tried."`
	quietFlags
}

// Help says more than the line in the list of verbs.
func (pushCmd) Help() string {
	return `With a key, to Apple's sandbox:

  herald push --key AuthKey_2X9R4HXF34.p8 --team ABCDE12345 --sandbox \
    --topic com.example.app --title Hello --body World 740f4707bebcf74f…

With a certificate, to many, one result a line as JSON:

  herald push --cert aps.p12 --production --payload message.json \
    --tokens tokens.txt --json >results.jsonl

To the virtual device of a running herald dev:

  herald push --dev DIR --body Hello

Apple's gateway is taken unless --host or --dev names another. Each refusal is
printed with what it means and what to do; herald -v push logs every attempt.
docs/push.md tells more.

Exit status: 0 all were accepted, 1 some were not, 2 usage, 3 a file cannot be
read.`
}

// Run implements the verb.
func (c pushCmd) Run(ctx context.Context, s streams, log *slog.Logger) error {
	if err := c.check(); err != nil {
		return err
	}
	with, err := c.sender(ctx, s)
	if err != nil {
		return err
	}
	with.config.Timeout = c.Timeout
	with.config.Hooks = attemptLog(ctx, log)
	n, err := c.notification(with)
	if err != nil {
		return err
	}
	to, err := c.recipients(with)
	if err != nil {
		return err
	}
	defer to.close()
	if c.DryRun {
		with.config = offline(with.config)
	}
	sender, err := apnsclient.New(with.config)
	if err != nil {
		return fromCheck(err)
	}
	if c.DryRun {
		err = c.dryRun(ctx, s, sender, with, to, n)
	} else {
		err = c.send(ctx, s, sender, to, n)
	}
	return errors.Join(err, sender.Close())
}

// check finds what is missing or too much on the command line.
func (c pushCmd) check() error {
	ways := 0
	for _, given := range []bool{len(c.DeviceTokens) > 0, c.Tokens != "", c.Broadcast != ""} {
		if given {
			ways++
		}
	}
	switch {
	case ways > 1:
		return usageError("device tokens, --tokens and --broadcast: want one of them")
	case ways == 0 && c.Dev == "":
		return withHint(usageError("where to?"), "give device tokens, --tokens FILE, or --dev DIR for the virtual device of a running herald dev.")
	case c.Timeout <= 0 || c.Timeout > maxTimeout:
		return usageError("--timeout %v: want more than 0 and at most %v", c.Timeout, maxTimeout)
	case c.Tokens == "-" && c.Payload == "-":
		return usageError("--tokens and --payload: only one of them can be standard input")
	case c.ID != "" && (c.Tokens != "" || len(c.DeviceTokens) > 1):
		return withHint(usageError("--id with more than one device token"), "an ID names one notification; without it each push gets its own.")
	}
	return nil
}

// attemptLog returns hooks that log what happens, if anybody wants to know.
func attemptLog(ctx context.Context, log *slog.Logger) apnsclient.Hooks {
	if !log.Enabled(ctx, slog.LevelDebug) {
		return apnsclient.Hooks{}
	}
	return apnsclient.Hooks{
		Attempt: func(a apnsclient.Attempt) {
			log.DebugContext(ctx, "attempt at a push", slog.String("topic", string(a.Topic)), slog.String("type", string(a.PushType)),
				slog.Int("attempt", a.Number), slog.Uint64("connection", a.Connection), slog.Duration("took", a.Duration), slog.Int("status", a.Status),
				slog.String("reason", string(a.Reason)), slog.String("outcome", a.Outcome.String()), slog.Bool("again", a.Retried), slog.Any("error", a.Err))
		},
		Connection: func(e apnsclient.ConnectionEvent) {
			log.DebugContext(ctx, "connection", slog.String("event", e.Kind.String()), slog.Uint64("connection", e.Connection), slog.String("address", e.Address),
				slog.Int("limit", e.Limit), slog.String("reason", string(e.Reason)), slog.Duration("took", e.Duration), slog.Any("error", e.Err))
		},
	}
}

// fromCheck returns err with the remedy as a hint, if it has one.
func fromCheck(err error) error {
	if e, ok := errors.AsType[*apnsclient.CheckError](err); ok {
		return withHint(errors.New(e.Problem), "%s.", e.Remedy)
	}
	return err
}
