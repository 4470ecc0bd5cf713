package main

import (
	"context"
	"crypto"
	"fmt"
	"slices"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

// keyTokenCmd prints a provider token.
type keyTokenCmd struct {
	File  string      `arg:"" help:"The .p8 file; - is standard input."`
	KeyID apns.KeyID  `name:"key-id" placeholder:"KEYID" help:"The key ID. Default: that in the file's name, as in AuthKey_2X9R4HXF34.p8."`
	Team  apns.TeamID `required:"" placeholder:"TEAMID" help:"The team ID."`
	passwordFlags
}

// Help says more than the line in the list of verbs.
func (keyTokenCmd) Help() string {
	return `Standard output is the token and a line end, nothing else:

  curl --http2 -H "authorization: bearer $(herald key token AuthKey_2X9R4HXF34.p8 --team ABCDE12345)" …

It is good for an hour. Make one for many requests: a gateway refuses tokens
that change more often than every 20 minutes.`
}

// Run implements the verb.
func (c keyTokenCmd) Run(ctx context.Context, s streams) error {
	f, err := inspectKey(c.File, c.open(ctx))
	if err != nil {
		return err
	}
	if !f.isProviderKey() || stops(f.report.Problems) {
		return tell(s, f.report.Problems)
	}
	problems := verifyKey(f.report, credential.VerifyOptions{KeyID: c.KeyID, TeamID: c.Team})
	if c.KeyID == "" {
		c.KeyID = f.report.Objects[0].KeyID
	}
	if stops(problems) {
		return tell(s, problems)
	}
	if c.KeyID == "" {
		return withHint(usageError("the name of the file holds no key ID: --key-id KEYID gives it"), "%s", credential.NewProblem(credential.CodeKeyID, "").Hint)
	}
	key, err := f.providerKey()
	if err != nil {
		return err
	}
	text, err := credential.MintProviderToken(key, c.KeyID, c.Team, time.Now())
	if err != nil {
		return err
	}
	if err := tell(s, problems); err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.out, text)
	return err
}

// verifyKey judges a provider key. That the file's name holds no key ID is not
// worth a warning where one is given.
func verifyKey(r *credential.Report, o credential.VerifyOptions) []credential.Problem {
	given := o.KeyID != "" && r.Objects[0].KeyID == ""
	return slices.DeleteFunc(r.Verify(o), func(p credential.Problem) bool { return given && p.Code == credential.WarnKeyID })
}

// providerKey returns the key of a file that is a .p8.
func (f *inspected) providerKey() (crypto.Signer, error) {
	held := f.report.Contents()
	if len(held.Keys) != 1 {
		return nil, wrong(credential.CodeP8, "%s is not a .p8.", f.report.Name)
	}
	return held.Keys[0].Key, nil
}
