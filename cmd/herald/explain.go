package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/heraldpush/herald/admin"
	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/platform/dev"
	"github.com/heraldpush/herald/platform/folder"
)

// explainCmd tells the story of a notification.
type explainCmd struct {
	ID  apns.NotificationID `arg:"" name:"apns-id" help:"The apns-id of the notification, as it stands in the answer to the push."`
	Dev string              `xor:"at" required:"" placeholder:"FILE" help:"dev.json of a running herald dev, or its folder."`
	Dir string              `xor:"at" required:"" placeholder:"DIR" help:"Folder of a running herald serve."`
	printFlags
}

// Help says more than the line in the list of verbs.
func (explainCmd) Help() string {
	return `Prints a line for each hop: the time, how long it was after the line before, and
what happened. docs/tracing.md says what the lines mean.

Exit status: 0 told, 1 the platform does not answer, 2 usage, 3 dev.json cannot
be read, 4 nothing is known of the notification.`
}

// Run implements the verb.
func (c explainCmd) Run(ctx context.Context, s streams) error {
	if !c.ID.Valid() {
		return withHint(usageError("%s is no apns-id", plain(string(c.ID))),
			"it is in the answer to the push, a UUID such as eabeae54-14a8-11e5-b60b-1697f925ec7b.")
	}
	at, err := c.open()
	if err != nil {
		return err
	}
	story, err := admin.GetTrace.Call(ctx, at, admin.TraceRequest{ID: c.ID})
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
		since := ""
		if i > 0 {
			since = "+" + l.Time.Sub(story.Lines[i-1].Time).Round(time.Microsecond).String()
		}
		sentence := l.Sentence
		if l.Derived {
			sentence += " (this follows from the other lines)"
		}
		rows = append(rows, []string{l.Time.UTC().Format("15:04:05.000000"), since, sentence})
	}
	return table(w, rows...)
}
