// Command herald is Apple's push mechanism, whole, in one program: provider,
// gateway, courier, device agent, and the portal with its certificates.
//
// Each verb is a file of this package; `herald --help` lists them.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	_ "time/tzdata" // a bare container has no time zones, and registrations name them

	"github.com/alecthomas/kong"
)

// verbs is the command line: each field is a verb or a flag for all.
type verbs struct {
	Demo        demoCmd        `cmd:"" help:"Show the five steps of push, run for real in a few seconds."`
	Serve       serveCmd       `cmd:"" help:"Run the push service for good, on a folder of herald portal init."`
	Dev         devCmd         `cmd:"" help:"Run the whole platform on this machine, with a virtual device, until Ctrl-C."`
	Device      deviceCmd      `cmd:"" help:"Be a device: receive notifications, and hand them to apps of any language."`
	Cert        certCmd        `cmd:"" help:"Certificates as files: request, assemble, inspect, verify, convert, passwd."`
	Key         keyCmd         `cmd:"" help:"Provider keys (.p8) as files, and the provider tokens that they sign."`
	Push        pushCmd        `cmd:"" help:"Push to one device or to very many, and say what became of it."`
	Provider    providerCmd    `cmd:"" help:"Be an app team's push server: register installations, send messages, lose none."`
	Explain     explainCmd     `cmd:"" help:"Tell what became of a notification, hop by hop."`
	Doctor      doctorCmd      `cmd:"" help:"Find out why a credential or a gateway does not work, with one request that delivers nothing."`
	Conformance conformanceCmd `cmd:"" help:"Aim some 1,500 cases at a gateway, and say where it differs from Apple's."`
	Portal      portalCmd      `cmd:"" help:"Issue, list and revoke certificates and keys, as Apple's developer portal does."`
	Bench       benchCmd       `cmd:"" help:"Measure what a push costs, on this machine alone."`
	Version     versionCmd     `cmd:"" help:"Print the version."`

	Verbose bool `short:"v" help:"Log what happens inside to standard error."`
}

// streams is where a verb reads and writes.
type streams struct {
	out, err io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], streams{out: os.Stdout, err: os.Stderr})
	stop()
	os.Exit(status)
}

// run carries out a command line and returns the exit status.
func run(ctx context.Context, args []string, s streams) int {
	var v verbs
	status := -1
	parser, err := kong.New(&v,
		kong.Name("herald"),
		kong.Description("Push notifications end to end, by Apple's protocols: provider, gateway, courier, device and portal."),
		kong.Writers(s.out, s.err),
		kong.Exit(func(code int) { status = code }),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
	)
	if err != nil {
		return report(s, err)
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parser.Parse(args)
	if status >= 0 { // --help has been answered
		return status
	}
	if err != nil {
		_, _ = fmt.Fprintf(s.err, "herald: %v\nHint: herald %s--help shows what there is.\n", err, verbOf(err))
		return exitUsage
	}
	level := slog.LevelWarn
	if v.Verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: level}))
	command.BindTo(ctx, (*context.Context)(nil))
	if err := command.Run(s, log); err != nil {
		return report(s, err)
	}
	return exitOK
}

// verbOf returns the verb in which parsing failed, each word with a space after
// it, or nothing.
func verbOf(err error) string {
	parse, ok := errors.AsType[*kong.ParseError](err)
	if !ok || parse.Context == nil {
		return ""
	}
	var verb strings.Builder
	for _, p := range parse.Context.Path {
		if p.Command != nil {
			verb.WriteString(p.Command.Name + " ")
		}
	}
	return verb.String()
}
