package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/heraldpush/herald/admin"
	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/platform/dev"
	"github.com/heraldpush/herald/platform/folder"
	"github.com/heraldpush/herald/provider/audience"
)

// explainCmd tells the story of a notification, or of a message of a provider.
type explainCmd struct {
	ID           string                  `arg:"" name:"id" help:"The apns-id of a notification, as it stands in the answer to the push; or a provider's message: msg_ and 26 letters and digits."`
	Installation audience.InstallationID `arg:"" optional:"" name:"installation" help:"The installation of which to tell what the message came to there."`
	Dev          string                  `xor:"at" placeholder:"FILE" help:"dev.json of a running herald dev, or its folder."`
	Dir          string                  `xor:"at" placeholder:"DIR" help:"Folder of a running herald serve."`
	explainProvider
	printFlags
}

// Help says more than the line in the list of verbs.
func (explainCmd) Help() string {
	return `Prints a line for each hop: the time, how long it was after the line before, and
what happened. docs/tracing.md says what the lines mean.

  herald explain APNS_ID --dev dev                  the platform's story of a push
  herald explain MESSAGE INSTALLATION               the provider's story of a message
  herald explain MESSAGE INSTALLATION --dev dev     both, in the order of time

The provider is the one of herald provider: that of HERALD_PROVIDER, --provider or
--url. If the platform does not answer, the provider's part is told, and standard
error says what is missing.

Exit status: 0 told, 1 the platform or the provider does not answer, 2 usage,
3 dev.json or another file cannot be read, 4 nothing is known of it.`
}

// Run implements the verb.
func (c explainCmd) Run(ctx context.Context, s streams) error {
	if strings.HasPrefix(strings.ToLower(c.ID), "msg_") {
		return c.message(ctx, s)
	}
	id := apns.NotificationID(c.ID)
	switch {
	case !id.Valid():
		return withHint(usageError("%s is no apns-id", plain(c.ID)),
			"it is in the answer to the push, a UUID such as eabeae54-14a8-11e5-b60b-1697f925ec7b; a message of a provider begins with msg_.")
	case c.Installation != "" || c.given():
		return usageError("an apns-id is the platform's, and neither a provider nor an installation goes with it")
	case c.Dev == "" && c.Dir == "":
		return withHint(usageError("whose apns-id is it?"), "--dev FILE names a running herald dev, --dir DIR a running herald serve.")
	}
	at, err := c.open()
	if err != nil {
		return err
	}
	story, err := admin.GetTrace.Call(ctx, at, admin.TraceRequest{ID: id})
	if _, ok := errors.AsType[*admin.UnreachableError](err); ok {
		return withHint(err, "herald dev --dir DIR starts a platform, and writes DIR/dev.json; herald serve runs one for good.")
	}
	if err != nil {
		return withRemedy(err)
	}
	return c.print(s, story, func(w io.Writer) error { return writeStory(w, story) })
}

// open returns the platform that runs.
func (c explainCmd) open() (admin.Target, error) {
	var url, key, file string
	if c.Dir != "" {
		r, err := folder.ReadRun(c.Dir)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, withHint(unreadable(fmt.Errorf("%s: nothing runs there", plain(c.Dir))), "herald serve --dir DIR runs a platform.")
		}
		if err != nil {
			return nil, unreadable(err)
		}
		url, key, file = r.URL, r.AdminKey, c.Dir
	} else {
		v, err := readDevValues(c.Dev)
		if err != nil {
			return nil, err
		}
		url, key, file = v[dev.KeyHTTP], v[dev.KeyAPIKey], c.Dev
	}
	at, err := admin.Remote(admin.RemoteConfig{URL: url, Key: key, ThisMachine: true})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", plain(file), err)
	}
	return at, nil
}

// writeStory writes a story for people.
func writeStory(w io.Writer, story admin.Trace) error {
	for _, l := range story.Lines[:min(len(story.Lines), 1)] {
		about := ""
		if l.Environment != "" {
			about += " (" + l.Environment + ")"
		}
		if l.Topic != "" {
			about = " to " + string(l.Topic) + about
		}
		if _, err := fmt.Fprintf(w, "%s%s, from %s on:\n\n", plain(string(story.ID)), plain(about), day(l.Time)); err != nil {
			return err
		}
	}
	var rows [][]string
	for i, l := range story.Lines {
		var before time.Time
		if i > 0 {
			before = story.Lines[i-1].Time
		}
		rows = append(rows, storyRow(l, before))
	}
	return table(w, rows...)
}

// storyRow returns the columns of a line: when it was, how long after the line
// before, if there is one, and what.
func storyRow(l admin.TraceLine, before time.Time) []string {
	since := ""
	if !before.IsZero() {
		since = "+" + l.Time.Sub(before).Round(time.Microsecond).String()
	}
	sentence := l.Sentence
	if l.Derived {
		sentence += " (this follows from the other lines)"
	}
	return []string{l.Time.UTC().Format("15:04:05.000000"), since, sentence}
}
