package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/heraldpush/herald/admin"
	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/api"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
	"github.com/heraldpush/herald/trace"
)

// explainProvider are the flags that say which provider, as --dir is the folder of
// the platform.
type explainProvider struct {
	Provider string `default:"herald-provider" env:"HERALD_PROVIDER" placeholder:"DIR" help:"Folder of the provider that runs on this machine. Default: ${default}, or HERALD_PROVIDER."`
	URL      string `name:"url" placeholder:"URL" help:"A provider elsewhere, such as https://push.example.com, in place of --provider."`
	KeyFile  string `placeholder:"FILE" help:"File with the provider's API key. Without it HERALD_KEY, or the key in the folder."`
	CA       string `name:"ca" placeholder:"FILE" help:"Authority to trust for an https --url, PEM. Without it, the system's."`
	appFlag
}

// given reports whether a flag about a provider was given that has no default.
func (p explainProvider) given() bool {
	return p.URL != "" || p.KeyFile != "" || p.CA != "" || p.App != ""
}

// at returns the provider as its own verbs name it.
func (p explainProvider) at() providerAt {
	return providerAt{Dir: p.Provider, URL: p.URL, KeyFile: p.KeyFile, CA: p.CA}
}

// messageStory is the story of a message for one installation, the platform's part
// in it.
type messageStory struct {
	App account.AppID `json:"app"`
	api.Story
	Lines []messageLine `json:"lines"` // by time
	// Missing says what could not be told of the platform's part, and why.
	Missing []string `json:"missing,omitempty"`
}

// messageLine is a line of a story. What does not apply is left out.
type messageLine struct {
	By string              `json:"by"` // who tells it
	ID apns.NotificationID `json:"apns_id,omitempty"`
	admin.TraceLine
}

// Who tells a line.
const (
	byProvider = "provider"
	byPlatform = "platform"
)

// message tells the story of a message for an installation.
func (c explainCmd) message(ctx context.Context, s streams) error {
	id, err := outbox.ParseMessageID(c.ID)
	switch {
	case err != nil:
		return withHint(usageError("%s is no message", plain(c.ID)), "it is in the answer to the call that sent it; herald provider message list shows the newest.")
	case c.Installation == "":
		return withHint(usageError("a message goes to many, and the installation is missing: herald explain %v INSTALLATION", id),
			"herald provider installation list shows them; herald provider message show tells how far the message has come.")
	}
	var story messageStory
	err = c.at().doFor(ctx, c.App, func(ctx context.Context, at *providerAPI, app account.AppID) error {
		var err error
		story, err = providerStory(ctx, at, app, id, c.Installation)
		return err
	})
	if err != nil {
		return err
	}
	if c.Dev != "" || c.Dir != "" {
		if err := c.addPlatform(ctx, s, &story); err != nil {
			return err
		}
	}
	return c.print(s, story, func(w io.Writer) error { return writeMessageStory(w, story) })
}

// providerStory returns the provider's part of a story.
func providerStory(ctx context.Context, at *providerAPI, app account.AppID, id outbox.MessageID, i audience.InstallationID) (messageStory, error) {
	story := messageStory{App: app}
	err := at.call(ctx, http.MethodGet, endpoint("v1", "apps", string(app), "messages", id.String(), "installations", string(i)), nil, &story.Story)
	if err != nil {
		if refused, ok := errors.AsType[*refusedError](err); ok && refused.Code == api.CodeNotFound {
			err = withHint(err, "it was looked for in the app %s; herald provider app list, message list and installation list show what there is.", plain(string(app)))
		}
		return story, err
	}
	for _, l := range story.Story.Lines {
		story.Lines = append(story.Lines, messageLine{byProvider, l.ID, admin.TraceLine{Time: l.Time, Hop: l.Hop, Sentence: l.Sentence}})
	}
	return story, nil
}

// ids returns the apns-ids of a story, in the order in which they come up.
func (m *messageStory) ids() (all []apns.NotificationID) {
	for _, l := range m.Lines {
		if l.ID != "" && !slices.Contains(all, l.ID) {
			all = append(all, l.ID)
		}
	}
	return all
}

// tried reports whether a push may have been sent. The attempts themselves are
// forgotten after some days.
func (m *messageStory) tried(id apns.NotificationID) bool {
	return m.Receipt != outbox.Pending.String() || slices.ContainsFunc(m.Lines, func(l messageLine) bool {
		return l.ID == id && l.Hop == trace.Tried.String()
	})
}

// summary says in words what became of it. That a device has it, only the platform
// knows.
func (m *messageStory) summary() string {
	for _, l := range m.Lines {
		if l.By == byPlatform && l.Hop == trace.Acked.String() && l.Status != nil && *l.Status == 0 {
			return "the device has it"
		}
	}
	return m.Summary
}

// addPlatform adds the platform's part. What of it cannot be had is told on standard
// error: the provider's part is worth telling without it.
func (c explainCmd) addPlatform(ctx context.Context, s streams, m *messageStory) error {
	missing := func(err error) error {
		m.Missing = append(m.Missing, err.Error())
		_, err = fmt.Fprintf(s.err, "herald: the platform's part is missing: %v\n", err)
		return err
	}
	at, err := c.open()
	if err != nil {
		return missing(err)
	}
	for _, id := range m.ids() {
		story, err := admin.GetTrace.Call(ctx, at, admin.TraceRequest{ID: id})
		switch problem, refused := errors.AsType[*admin.Problem](err); {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case refused && problem.Code == admin.CodeTrace && !m.tried(id):
			continue // it never got there
		case refused && problem.Code == admin.CodeTrace:
			if err := missing(fmt.Errorf("%s: %w", id, err)); err != nil { // the others may be known
				return err
			}
			continue
		case err != nil:
			return missing(err)
		}
		for _, l := range story.Lines {
			m.Lines = append(m.Lines, messageLine{byPlatform, id, l})
		}
	}
	slices.SortStableFunc(m.Lines, func(a, b messageLine) int { return a.Time.Compare(b.Time) })
	return nil
}

// writeMessageStory writes a story for people.
func writeMessageStory(w io.Writer, m messageStory) error {
	from := m.Message.CreatedAt
	if len(m.Lines) > 0 {
		from = m.Lines[0].Time
	}
	_, err := fmt.Fprintf(w, "%v for %s of %s, from %s on:\n\n", m.Message.ID, plain(string(m.Installation)), plain(string(m.App)), day(from))
	if err != nil {
		return err
	}
	several := len(m.ids()) > 1
	var rows [][]string
	var before time.Time
	for _, l := range m.Lines {
		row := storyRow(l.TraceLine, before)
		if several { // the sentences do not say which it is
			short, _, _ := strings.Cut(string(l.ID), "-")
			row = slices.Insert(row, 2, short)
		}
		rows = append(rows, row)
		before = l.Time
	}
	if err := table(w, rows...); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "\nIn short: %s.\n", plain(m.summary()))
	return err
}
