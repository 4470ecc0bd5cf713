package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/api"
	"github.com/heraldpush/herald/provider/event"
)

// providerWebhookCmd is about webhooks.
type providerWebhookCmd struct {
	Add    providerWebhookAddCmd    `cmd:"" help:"Have events posted to a URL."`
	List   providerWebhookListCmd   `cmd:"" help:"List the webhooks."`
	Show   providerWebhookShowCmd   `cmd:"" help:"Show a webhook, and how far its deliveries have come."`
	Test   providerWebhookTestCmd   `cmd:"" help:"Post one event of the kind webhook.test, and say what came of it."`
	Pause  providerWebhookPauseCmd  `cmd:"" help:"Post nothing more until it is resumed."`
	Resume providerWebhookResumeCmd `cmd:"" help:"Go on where it stopped, at once."`
	Replay providerWebhookReplayCmd `cmd:"" help:"Post again what came after an event."`
	Rotate providerWebhookRotateCmd `cmd:"" help:"Make another signing secret, which is shown this once."`
	Delete providerWebhookDeleteCmd `cmd:"" help:"Delete a webhook, with its secret."`
}

// secretOut says where a signing secret goes that is shown once.
type secretOut struct {
	Out string `placeholder:"FILE" help:"Write the signing secret there, mode 0600, and do not print it."`
}

// newWebhook is a webhook as it is shown when its secret was made.
type newWebhook struct {
	api.Webhook
	Secret string `json:"secret,omitempty"`
	File   string `json:"file,omitempty"`
}

// ask asks the API for what makes a secret, and hands that over: in a file, or
// printed after what text says of the webhook.
func (o secretOut) ask(ctx context.Context, s streams, a providerAt, path string, in any, text func(newWebhook) string) error {
	return a.do(ctx, func(ctx context.Context, at *providerAPI) (err error) {
		var file *newFile
		if o.Out != "" { // before the provider has done anything
			if file, err = newSecretFile(o.Out); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, file.discard()) }()
		}
		var made newWebhook
		if err := at.call(ctx, http.MethodPost, path, in, &made); err != nil {
			return err
		}
		last := made.Secret + "\nThis is its signing secret. It is not shown again."
		if file != nil {
			if err := file.keepAll([]byte(made.Secret + "\n")); err != nil {
				return withHint(err, "the secret is lost: herald provider webhook rotate %s%s makes another.", plain(string(made.ID)), a.again())
			}
			made.Secret, made.File = "", o.Out
			last = "Wrote " + plain(o.Out) + " (mode 0600) with its signing secret. It is not shown again."
		}
		return a.print(s, made, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "%s\n%s\n", text(made), last)
			return err
		})
	})
}

// providerWebhookAddCmd makes a webhook.
type providerWebhookAddCmd struct {
	Receiver string          `arg:"" help:"Where events are posted: https, or http to this machine. - reads it from standard input."`
	Kind     []event.Kind    `placeholder:"KIND" help:"Kind of event, such as message.done; may be repeated. Without it, all."`
	App      []account.AppID `placeholder:"APP" help:"App that the events are about; may be repeated. Without it, all, and what is about no app."`
	Name     string          `help:"Its name, for people."`
	secretOut
	providerAt
}

// Help says more than the line in the list of verbs.
func (providerWebhookAddCmd) Help() string {
	return `Events that happen from now on are posted there, in their order, signed with a
secret that is shown this once. docs/webhooks.md says how to verify it.

    herald provider webhook add https://hooks.example.com/herald --out secret.txt
    herald provider webhook add - --kind message.done --kind device_token.gone < url.txt

A URL with a secret of its own in it is given on standard input: others can read a
command line. The kinds are:

    ` + kindLines(event.Kinds[:])
}

// kindLines writes the kinds of events, three on a line.
func kindLines(kinds []event.Kind) string {
	var b strings.Builder
	for i, k := range kinds {
		switch {
		case i == 0:
		case i%3 == 0:
			b.WriteString(",\n    ")
		default:
			b.WriteString(", ")
		}
		b.WriteString(string(k))
	}
	return b.String()
}

// Run implements the verb.
func (c providerWebhookAddCmd) Run(ctx context.Context, s streams) error {
	if c.Receiver == "-" {
		in, err := readInput(c.Receiver)
		if err != nil {
			return err
		}
		c.Receiver = strings.TrimSpace(string(in.Data))
	}
	spec := event.WebhookSpec{URL: c.Receiver, Name: c.Name, Kinds: c.Kind, Apps: c.App}
	return c.ask(ctx, s, c.providerAt, endpoint("v1", "webhooks"), spec, func(made newWebhook) string {
		return fmt.Sprintf("Webhook %s gets %s from now on.\nNext, when its receiver has the secret: herald provider webhook test %[1]s%s",
			plain(string(made.ID)), wantedBy(made.Webhook), c.again())
	})
}

// wantedBy says what is posted to a webhook.
func wantedBy(w api.Webhook) string {
	text := "all events"
	if len(w.Kinds) > 0 {
		text = joined(w.Kinds)
	}
	if len(w.Apps) > 0 {
		text += " of " + joined(w.Apps)
	}
	return plain(text)
}

// providerWebhookListCmd lists webhooks.
type providerWebhookListCmd struct{ providerAt }

// Run implements the verb.
func (c providerWebhookListCmd) Run(ctx context.Context, s streams) error {
	return c.do(ctx, func(ctx context.Context, at *providerAPI) error {
		all, err := listAll[api.Webhook](ctx, at, endpoint("v1", "webhooks"), event.MaxWebhooks)
		if err != nil {
			return err
		}
		return c.print(s, all, func(w io.Writer) error {
			if len(all) == 0 {
				_, err := fmt.Fprintln(w, "No webhooks. herald provider webhook add URL makes one.")
				return err
			}
			rows := [][]string{{"WEBHOOK", "NAME", "HOST", "GETS", "TAKEN", "STATE"}}
			for _, h := range all {
				// Of a URL no more than the host: some have a secret in them.
				rows = append(rows, []string{string(h.ID), h.Name, (&event.WebhookSpec{URL: h.URL}).Host(), wantedBy(h), count(int(h.Progress.Delivered), "event", "events"), stateOfWebhook(h)})
			}
			return table(w, rows...)
		})
	})
}

// stateOfWebhook says whether events are posted to a webhook, and taken.
func stateOfWebhook(w api.Webhook) string {
	switch {
	case w.State != event.Active && w.Why != "":
		return string(w.State) + ": " + w.Why
	case w.Progress.Failures > 0:
		return "failing since " + minute(w.Progress.FailingSince)
	}
	return string(w.State)
}

// webhookArg names a webhook.
type webhookArg struct {
	ID event.WebhookID `arg:"" name:"webhook" help:"The webhook: wh_ and 20 letters and digits."`
	providerAt
}

// endpoint returns where the webhook is in the API.
func (a webhookArg) endpoint() string { return endpoint("v1", "webhooks", string(a.ID)) }

// step asks for something of a webhook, and shows what it is then.
func (a webhookArg) step(ctx context.Context, s streams, method, verb string, in any) error {
	return a.do(ctx, func(ctx context.Context, at *providerAPI) error {
		var h api.Webhook
		if err := at.call(ctx, method, a.endpoint()+verb, in, &h); err != nil {
			return err
		}
		return a.print(s, h, func(w io.Writer) error { return webhookTable(w, h) })
	})
}

func webhookTable(w io.Writer, h api.Webhook) error {
	p := h.Progress
	taken := count(int(p.Delivered), "event", "events")
	if !p.DeliveredAt.IsZero() {
		taken += ", the last ones " + minute(p.DeliveredAt)
	}
	rows := [][]string{
		{"Webhook", string(h.ID)},
		{"URL", h.URL},
		{"State", stateOfWebhook(h)},
		{"Gets", wantedBy(h)},
		{"Made", minute(h.CreatedAt)},
		{"Taken", taken},
		{"Done up to", "event " + strconv.FormatUint(p.Cursor, 10)},
	}
	if h.Name != "" {
		rows = append(rows, []string{"Name", h.Name})
	}
	if p.Missed > 0 {
		rows = append(rows, []string{"Missed", count(int(p.Missed), "event", "events") + ", removed from the log before"})
	}
	if p.Failures > 0 {
		rows = append(rows, []string{"Not taken", fmt.Sprintf("%d in a row since %s", p.Failures, minute(p.FailingSince))})
	}
	if !p.NextAt.IsZero() {
		rows = append(rows, []string{"Next try", minute(p.NextAt)})
	}
	if p.LastError != "" {
		rows = append(rows, []string{"Last failure", p.LastError})
	}
	return table(w, rows...)
}

// providerWebhookShowCmd shows a webhook.
type providerWebhookShowCmd struct{ webhookArg }

// Run implements the verb.
func (c providerWebhookShowCmd) Run(ctx context.Context, s streams) error {
	return c.step(ctx, s, http.MethodGet, "", nil)
}

// providerWebhookPauseCmd pauses a webhook.
type providerWebhookPauseCmd struct{ webhookArg }

// Run implements the verb.
func (c providerWebhookPauseCmd) Run(ctx context.Context, s streams) error {
	return c.step(ctx, s, http.MethodPost, ":pause", nil)
}

// providerWebhookResumeCmd goes on with a webhook.
type providerWebhookResumeCmd struct{ webhookArg }

// Run implements the verb.
func (c providerWebhookResumeCmd) Run(ctx context.Context, s streams) error {
	return c.step(ctx, s, http.MethodPost, ":resume", nil)
}

// providerWebhookReplayCmd has events posted again.
type providerWebhookReplayCmd struct {
	After uint64 `required:"" placeholder:"N" help:"Sequence number of the last event that is not wanted; 0 for all that are kept."`
	webhookArg
}

// Run implements the verb.
func (c providerWebhookReplayCmd) Run(ctx context.Context, s streams) error {
	return c.step(ctx, s, http.MethodPost, ":replay", map[string]uint64{"after": c.After})
}

// providerWebhookRotateCmd makes another secret.
type providerWebhookRotateCmd struct {
	secretOut
	webhookArg
}

// Run implements the verb.
func (c providerWebhookRotateCmd) Run(ctx context.Context, s streams) error {
	return c.ask(ctx, s, c.providerAt, c.endpoint()+":rotate", nil, func(made newWebhook) string {
		return fmt.Sprintf("Webhook %s has another secret. For %.0f hours, deliveries are signed with the former one, too.", plain(string(made.ID)), event.RotateOverlap.Hours())
	})
}

// providerWebhookTestCmd tries a webhook.
type providerWebhookTestCmd struct{ webhookArg }

// Help says more than the line in the list of verbs.
func (providerWebhookTestCmd) Help() string {
	return `It is posted whatever the state of the webhook, and changes nothing.

Exit status: 0 the receiver took it, 1 it did not.`
}

// Run implements the verb.
func (c providerWebhookTestCmd) Run(ctx context.Context, s streams) error {
	return c.do(ctx, func(ctx context.Context, at *providerAPI) error {
		var t event.Trial
		if err := at.call(ctx, http.MethodPost, c.endpoint()+":test", nil, &t); err != nil {
			return err
		}
		err := c.print(s, t, func(w io.Writer) error {
			if !t.Taken {
				return nil
			}
			_, err := fmt.Fprintf(w, "The receiver took it: status %d, after %d ms.\n", t.Status, t.Milliseconds)
			return err
		})
		if !t.Taken {
			err = errors.Join(err, withHint(fmt.Errorf("the receiver did not take it: %s", plain(t.Error)),
				"any status from 200 to 299 within 15 seconds takes it; docs/webhooks.md has what a receiver does."))
		}
		return err
	})
}

// providerWebhookDeleteCmd deletes a webhook.
type providerWebhookDeleteCmd struct{ webhookArg }

// Run implements the verb.
func (c providerWebhookDeleteCmd) Run(ctx context.Context, s streams) error {
	return c.do(ctx, func(ctx context.Context, at *providerAPI) error {
		if err := at.call(ctx, http.MethodDelete, c.endpoint(), nil, nil); err != nil {
			return err
		}
		return c.print(s, map[string]event.WebhookID{"deleted": c.ID}, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "Webhook %s is deleted.\n", plain(string(c.ID)))
			return err
		})
	})
}
