package main

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/heraldpush/herald/credential"
)

// certInspectCmd says what a file is.
type certInspectCmd struct {
	File string `arg:"" help:"File to look at: .cer, .pem, .p12, .p8, .certSigningRequest, .mobileprovision …; - is standard input."`
	passwordFlags
	printFlags
}

// Run implements the verb.
func (c certInspectCmd) Run(ctx context.Context, s streams) error {
	in, err := readInput(c.File)
	if err != nil {
		return err
	}
	f := inspect(in, c.open(ctx))
	return f.show(s, c.printFlags)
}

// inspected is a file and what it holds.
type inspected struct {
	input
	report   *credential.Report
	password credential.PasswordFunc // answers again as it did
	err      error                   // the Problem that kept it from being read; in report too
}

// inspect reads a file, once.
func inspect(in input, p *passwords) *inspected {
	f := &inspected{input: in, password: p.askOnce()}
	f.report, f.err = credential.Inspect(in.Name, in.Data, credential.InspectOptions{Password: f.password, Now: time.Now()})
	// The report names the file without its folder; a command has to find it.
	f.report.Next = strings.Replace(f.report.Next, " "+shellWord(f.report.Name), " "+shellWord(in.path), 1)
	if f.holdsKey() {
		f.report.Problems = append(f.report.Problems, in.exposed()...)
	}
	p.explain(f.report.Problems)
	return f
}

// holdsKey reports whether there is a private key in the file.
func (f *inspected) holdsKey() bool {
	for _, o := range f.report.Objects {
		if o.Kind == credential.KindPrivateKey || o.Kind == credential.KindProviderKey {
			return true
		}
	}
	return false
}

// show prints the report. What is wrong goes to standard error, and into JSON.
func (f *inspected) show(s streams, format printFlags) error {
	facts := *f.report
	facts.Problems = nil // they are told
	if stops(f.report.Problems) {
		facts.Next = "" // a hint says it
	}
	err := format.print(s, f.report, func(w io.Writer) error {
		_, err := io.WriteString(w, facts.Text())
		return err
	})
	if err != nil {
		return err
	}
	return tell(s, f.report.Problems)
}
