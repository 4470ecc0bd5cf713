package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

// keyCmd is about provider keys as files: no portal is needed.
type keyCmd struct {
	New     keyNewCmd     `cmd:"" help:"Make a provider key, for tests: no gateway knows it until a portal made it."`
	Inspect keyInspectCmd `cmd:"" help:"Say what a .p8 file holds."`
	Verify  keyVerifyCmd  `cmd:"" help:"Say whether a .p8 file is a provider key, and fits its key ID."`
	Token   keyTokenCmd   `cmd:"" help:"Sign a provider token, good for an hour, and print it."`
}

// Help says more than the line in the list of verbs.
func (keyCmd) Help() string {
	return `A provider key signs provider tokens, which go with each request instead of
a certificate. Keys that a gateway accepts come from a portal: Apple's, or
herald portal key new.

Exit status: 0 good, 1 something is wrong, 2 usage, 3 a file cannot be read.`
}

// keyIDs are the IDs that a provider key is used with.
type keyIDs struct {
	KeyID apns.KeyID  `name:"key-id" placeholder:"KEYID" help:"The key ID. Without it, that in the file's name."`
	Team  apns.TeamID `aliases:"team-id" placeholder:"TEAMID" help:"The team ID."`
}

// keyNewCmd makes a provider key.
type keyNewCmd struct {
	keyIDs
	Out   string `placeholder:"FILE" help:"Where to write it. Default: AuthKey_<KEYID>.p8."`
	Force bool   `help:"Replace the file if it exists. The key in it is lost."`
	quietFlags
}

// madeKey is what the verb prints as JSON.
type madeKey struct {
	KeyID    apns.KeyID           `json:"key_id"`
	Team     apns.TeamID          `json:"team,omitempty"`
	Key      credential.KeyFacts  `json:"key"`
	Files    []writtenFile        `json:"files"`
	Problems []credential.Problem `json:"problems"`
}

// Run implements the verb.
func (c keyNewCmd) Run(s streams) error {
	if c.KeyID == "" {
		if c.KeyID = credential.KeyIDFromFileName(filepath.Base(c.Out)); c.KeyID == "" {
			c.KeyID = credential.NewKeyID()
		}
	}
	if c.Out == "" {
		c.Out = credential.P8FileName(c.KeyID)
	}
	key, err := credential.NewProviderKey()
	if err != nil {
		return err
	}
	data, err := credential.MarshalP8(key)
	if err != nil {
		return err
	}
	report, err := credential.Inspect(c.Out, data, credential.InspectOptions{})
	if err != nil {
		return asProblem(err)
	}
	problems := append([]credential.Problem{}, verifyKey(report, credential.VerifyOptions{KeyID: c.KeyID, TeamID: c.Team})...)
	if stops(problems) {
		return tell(s, problems)
	}
	file := output{path: c.Out, data: data, mode: private, note: "mode 0600"}
	if err := writeOutputs(c.Force, file); err != nil {
		return err
	}
	made := madeKey{c.KeyID, c.Team, *report.Objects[0].Key, writtenFiles([]output{file}), problems}
	if err := c.print(s, made, func(w io.Writer) error {
		team := string(c.Team)
		if team == "" {
			team = "TEAMID"
		}
		id := ""
		if credential.KeyIDFromFileName(filepath.Base(c.Out)) != c.KeyID {
			id = " --key-id " + string(c.KeyID)
		}
		_, err := fmt.Fprintf(w, "Key ID  %s\n%sNext: herald key token %s%s --team %s\n", c.KeyID, wrote([]output{file}), shellWord(c.Out), id, team)
		return err
	}); err != nil {
		return err
	}
	return tell(s, problems)
}

// keyInspectCmd says what a file holds.
type keyInspectCmd struct {
	File string `arg:"" help:"The .p8 file; - is standard input."`
	passwordFlags
	printFlags
}

// Run implements the verb.
func (c keyInspectCmd) Run(ctx context.Context, s streams) error {
	f, err := inspectKey(c.File, c.open(ctx))
	if err != nil {
		return err
	}
	return f.show(s, c.printFlags)
}

// inspectKey reads a file that should be a .p8; if it is something else, its
// problems say so.
func inspectKey(name string, p *passwords) (*inspected, error) {
	in, err := readInput(name)
	if err != nil {
		return nil, err
	}
	f := inspect(in, p)
	if !f.isProviderKey() && !stops(f.report.Problems) {
		f.report.Problems = append(f.report.Problems, credential.NewProblem(credential.CodeP8,
			fmt.Sprintf("%s is not a .p8: found %s.", f.report.Name, f.report.Kind)))
	}
	return f, nil
}

func (f *inspected) isProviderKey() bool {
	return len(f.report.Objects) == 1 && f.report.Objects[0].Kind == credential.KindProviderKey
}

// keyVerifyCmd judges a provider key.
type keyVerifyCmd struct {
	File string `arg:"" help:"The .p8 file; - is standard input."`
	keyIDs
	wantedFlags
	KeyEnv apns.Environment `name:"key-env" placeholder:"ENV" help:"The environment that the key is bound to, as its page says: the file itself does not."`
	passwordFlags
	quietFlags
}

// Run implements the verb.
func (c keyVerifyCmd) Run(ctx context.Context, s streams) error {
	f, err := inspectKey(c.File, c.open(ctx))
	if err != nil {
		return err
	}
	v := verdict{Name: f.report.Name, Problems: append([]credential.Problem{}, f.report.Problems...)}
	if f.isProviderKey() {
		o := c.options(c.wantedFlags)
		o.KeyScope = c.KeyEnv
		v = judge(f, o, 0)
	}
	v.Good = !stops(v.Problems)
	if err := c.print(s, v, func(w io.Writer) error { return v.text(w, c.wantedFlags) }); err != nil {
		return err
	}
	return tell(s, v.Problems)
}

func (k keyIDs) options(wanted wantedFlags) credential.VerifyOptions {
	return credential.VerifyOptions{KeyID: k.KeyID, TeamID: k.Team, Topic: wanted.Topic, Environment: wanted.Env, Now: time.Now()}
}
