package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

// certVerifyCmd judges a credential.
type certVerifyCmd struct {
	File          string     `arg:"" help:"Credential to judge, such as a .p12, a ck.pem or a .p8; - is standard input."`
	MinDays       *int       `placeholder:"N" help:"Fail unless it is valid for N more days. Without it, fewer than 30 are worth a warning."`
	PreviousTopic apns.Topic `placeholder:"TOPIC" help:"Topic that devices hold on to, as in device management: fail unless the certificate has it."`
	Identity      int        `placeholder:"N" help:"Which one, if the file holds several."`
	Force         bool       `help:"Accept another topic than --previous-topic."`
	wantedFlags
	passwordFlags
	quietFlags
}

// Help says more than the line in the list of verbs.
func (certVerifyCmd) Help() string {
	return `Certificate and key must belong together, be for push, for the topic and the
environment if given, and valid now. herald doctor asks the gateway, too.`
}

// verdict is what judging verbs print as JSON.
type verdict struct {
	Name        string               `json:"name"`
	Good        bool                 `json:"good"`
	Certificate *credential.Object   `json:"certificate,omitempty"`
	Key         *credential.Object   `json:"key,omitempty"`
	Problems    []credential.Problem `json:"problems"`
}

// Run implements the verb.
func (c certVerifyCmd) Run(ctx context.Context, s streams) error {
	if c.MinDays != nil && *c.MinDays < 0 {
		return usageError("--min-days %d: want 0 or more", *c.MinDays)
	}
	in, err := readInput(c.File)
	if err != nil {
		return err
	}
	p := c.open(ctx)
	v := judge(inspect(in, p), c.options(), c.Identity)
	p.explain(v.Problems)
	v.Good = !stops(v.Problems, c.fatal()...)
	if err := c.print(s, v, func(w io.Writer) error { return v.text(w, c.wantedFlags) }); err != nil {
		return err
	}
	return tell(s, v.Problems, c.fatal()...)
}

func (c certVerifyCmd) options() credential.VerifyOptions {
	o := credential.VerifyOptions{Topic: c.Topic, Environment: c.Env, Now: time.Now(), PreviousTopic: c.PreviousTopic}
	if c.MinDays != nil {
		o.MinDays = *c.MinDays
		if o.MinDays == 0 {
			o.MinDays = -1 // 0 stands for the default there; what has not expired has 0 days or more
		}
	}
	return o
}

// fatal are the warnings that were asked about, and so fail.
func (c certVerifyCmd) fatal() []credential.Code {
	var codes []credential.Code
	if c.MinDays != nil {
		codes = append(codes, credential.WarnExpires)
	}
	if !c.Force {
		codes = append(codes, credential.WarnTopicChanged)
	}
	return codes
}

// judge says whether a file is a credential for what o wants. A number chooses
// one of several identities.
func judge(f *inspected, o credential.VerifyOptions, number int) verdict {
	v := verdict{Name: f.report.Name, Problems: []credential.Problem{}}
	if only := f.report.Objects; len(only) == 1 && only[0].Kind == credential.KindProviderKey {
		v.Key = &only[0]
		v.Problems = append(v.Problems, verifyKey(f.report, o)...)
		return v
	}
	id, found, err := credential.Assemble(f.File, credential.File{}, credential.AssembleOptions{
		Password: f.password, Number: number, Topic: o.Topic, Environment: o.Environment,
	})
	switch {
	case err == nil:
		v.Certificate, v.Key = f.objectsOf(id)
	case number > 0: // Verify would choose another one
		v.Problems = append(v.Problems, found...)
		return v
	}
	if number == 0 {
		v.Problems = append(v.Problems, f.report.Verify(o)...)
		return v
	}
	for _, p := range f.report.Problems { // what is wrong with the others does not matter
		if p.Code.Warning() && p.Code != credential.WarnExpires {
			v.Problems = append(v.Problems, p)
		}
	}
	v.Problems = append(v.Problems, id.Verify(o)...)
	return v
}

// objectsOf returns what the report says of an identity.
func (f *inspected) objectsOf(id credential.Identity) (cert, key *credential.Object) {
	sum := fmt.Sprintf("%x", sha256.Sum256(id.Certificate.Raw))
	for i := range f.report.Objects {
		o := &f.report.Objects[i]
		if o.Fingerprint == sum {
			cert = o
		}
	}
	for i := range f.report.Objects {
		o := &f.report.Objects[i]
		if cert != nil && o.Kind == credential.KindPrivateKey && o.Key != nil && cert.Key != nil && o.Key.Fingerprint == cert.Key.Fingerprint {
			key = o
		}
	}
	return cert, key
}

// text writes what was judged, and the judgment if it is good.
func (v verdict) text(w io.Writer, wanted wantedFlags) error {
	switch {
	case v.Certificate != nil:
		if err := certificateLines(w, v.Certificate); err != nil {
			return err
		}
	case v.Key != nil:
		if err := table(w, []string{"Provider key", v.Name, v.Key.Key.Algorithm}); err != nil {
			return err
		}
	}
	if !v.Good {
		return nil
	}
	line := "Good"
	if wanted.Topic != "" {
		line += " for " + plain(string(wanted.Topic))
	}
	if wanted.Env != 0 {
		line += " in " + wanted.Env.String()
	}
	_, err := fmt.Fprintln(w, line+".")
	return err
}

// certificateLines writes what matters of a push certificate whose key is
// there.
func certificateLines(w io.Writer, o *credential.Object) error {
	environment := "environment "
	if len(o.Environments) > 1 {
		environment = "environments "
	}
	for i, e := range o.Environments {
		if i > 0 {
			environment += " and "
		}
		environment += e.String()
	}
	team := ""
	if o.TeamID != "" {
		team = "team " + string(o.TeamID)
	}
	rows := [][]string{
		{"Certificate", o.Name, team},
		{"Kind", string(o.PushKind), environment},
	}
	rows = append(rows, []string{"Topics", topicsOf(o.Topics), ""})
	row := []string{"Key", "matches", ""}
	if o.Key != nil {
		row[1] = "matches (" + o.Key.Algorithm + ")"
	}
	if v := o.Validity; v != nil {
		row[2] = "expires " + v.NotAfter.Format("2 Jan 2006")
		if v.DaysLeft != nil && *v.DaysLeft >= 0 {
			row[2] += " (" + count(*v.DaysLeft, "day", "days") + ")"
		}
	}
	return table(w, append(rows, row)...)
}

// topicsOf lists topics, those that begin with the first by their suffixes.
func topicsOf(topics []apns.Topic) string {
	words := make([]string, 0, len(topics))
	for i, t := range topics {
		word := string(t)
		if suffix, ok := strings.CutPrefix(word, string(topics[0])+"."); ok && i > 0 {
			word = "." + suffix
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}
