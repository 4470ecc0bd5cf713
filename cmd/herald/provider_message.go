package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"

	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/api"
	"github.com/heraldpush/herald/provider/outbox"
)

// providerMessageCmd is about messages.
type providerMessageCmd struct {
	List     providerMessageListCmd     `cmd:"" help:"List messages, the newest first."`
	Show     providerMessageShowCmd     `cmd:"" help:"Show how far a message has come."`
	Pause    providerMessagePauseCmd    `cmd:"" help:"Send nothing more of a message until it is resumed."`
	Resume   providerMessageResumeCmd   `cmd:"" help:"Go on with a message."`
	Cancel   providerMessageCancelCmd   `cmd:"" help:"End a message: who was not sent it will not be."`
	Failures providerMessageFailuresCmd `cmd:"" help:"List for whom a message was refused, and why."`
}

// messageArg names a message.
type messageArg struct {
	ID outbox.MessageID `arg:"" name:"message" help:"The message: msg_ and 26 letters and digits."`
	appFlag
	providerAt
}

// endpoint returns where the message is in the API.
func (a messageArg) endpoint(app account.AppID) string {
	return endpoint("v1", "apps", string(app), "messages", a.ID.String())
}

// step asks for a step of a message, and shows what it is then.
func (a messageArg) step(ctx context.Context, s streams, method, verb string) error {
	return a.doFor(ctx, a.App, func(ctx context.Context, at *providerAPI, app account.AppID) error {
		var m api.Message
		if err := at.call(ctx, method, a.endpoint(app)+verb, nil, &m); err != nil {
			return err
		}
		return a.print(s, m, func(w io.Writer) error { return messageTable(w, m) })
	})
}

func messageTable(w io.Writer, m api.Message) error {
	rows := [][]string{
		{"Message", m.ID.String()},
		{"State", string(m.State)},
		{"For", targetsOf(m)},
		{"Progress", progressOf(m)},
		{"Topic", string(m.Topic)},
		{"Push type", string(m.PushType)},
		{"Lane", m.Lane},
		{"Made", minute(m.CreatedAt)},
	}
	if m.Why != "" {
		rows[1][1] += ": " + m.Why
	}
	if !m.StartAt.IsZero() {
		rows = append(rows, []string{"Sent from", minute(m.StartAt)})
	}
	if !m.Deadline.IsZero() {
		rows = append(rows, []string{"Given up", minute(m.Deadline)})
	}
	if !m.EndedAt.IsZero() {
		rows = append(rows, []string{"Ended", minute(m.EndedAt)})
	}
	for _, reason := range slices.Sorted(maps.Keys(m.ByReason)) {
		rows = append(rows, []string{"Rejected", fmt.Sprintf("%d %s", m.ByReason[reason], reason)})
	}
	return table(w, rows...)
}

// providerMessageShowCmd shows a message.
type providerMessageShowCmd struct{ messageArg }

// Run implements the verb.
func (c providerMessageShowCmd) Run(ctx context.Context, s streams) error {
	return c.step(ctx, s, http.MethodGet, "")
}

// providerMessagePauseCmd pauses a message.
type providerMessagePauseCmd struct{ messageArg }

// Run implements the verb.
func (c providerMessagePauseCmd) Run(ctx context.Context, s streams) error {
	return c.step(ctx, s, http.MethodPost, ":pause")
}

// providerMessageResumeCmd goes on with a message.
type providerMessageResumeCmd struct{ messageArg }

// Run implements the verb.
func (c providerMessageResumeCmd) Run(ctx context.Context, s streams) error {
	return c.step(ctx, s, http.MethodPost, ":resume")
}

// providerMessageCancelCmd ends a message.
type providerMessageCancelCmd struct{ messageArg }

// Run implements the verb.
func (c providerMessageCancelCmd) Run(ctx context.Context, s streams) error {
	return c.step(ctx, s, http.MethodPost, ":cancel")
}

// providerMessageListCmd lists messages.
type providerMessageListCmd struct {
	Limit int `default:"20" help:"How many at most. Default: ${default}."`
	appFlag
	providerAt
}

// Run implements the verb.
func (c providerMessageListCmd) Run(ctx context.Context, s streams) error {
	if c.Limit < 1 {
		return usageError("--limit %d: want at least 1", c.Limit)
	}
	return c.doFor(ctx, c.App, func(ctx context.Context, at *providerAPI, app account.AppID) error {
		all, err := listAll[api.Message](ctx, at, endpoint("v1", "apps", string(app), "messages"), c.Limit)
		if err != nil {
			return err
		}
		return c.print(s, all, func(w io.Writer) error {
			if len(all) == 0 {
				_, err := fmt.Fprintln(w, "No messages.")
				return err
			}
			rows := [][]string{{"MESSAGE", "MADE", "FOR", "PROGRESS"}}
			for _, m := range all {
				rows = append(rows, []string{m.ID.String(), minute(m.CreatedAt), targetsOf(m), progressOf(m)})
			}
			return table(w, rows...)
		})
	})
}

// providerMessageFailuresCmd lists failures.
type providerMessageFailuresCmd struct {
	Limit int `default:"100" help:"How many at most. Default: ${default}."`
	messageArg
}

// Run implements the verb.
func (c providerMessageFailuresCmd) Run(ctx context.Context, s streams) error {
	if c.Limit < 1 {
		return usageError("--limit %d: want at least 1", c.Limit)
	}
	return c.doFor(ctx, c.App, func(ctx context.Context, at *providerAPI, app account.AppID) error {
		all, err := listAll[api.Failure](ctx, at, c.endpoint(app)+"/failures", c.Limit)
		if err != nil {
			return err
		}
		return c.print(s, all, func(w io.Writer) error {
			if len(all) == 0 {
				_, err := fmt.Fprintln(w, "No failures.")
				return err
			}
			rows := [][]string{{"FOR", "STATUS", "REASON", "WHAT TO DO"}}
			for _, f := range all {
				rows = append(rows, failureRow(f))
			}
			return table(w, rows...)
		})
	})
}

func failureRow(f api.Failure) []string {
	whom, status := string(f.Installation), "not sent"
	if f.DeviceToken != nil {
		whom = f.DeviceToken.Value
	}
	if whom == "" {
		whom = "(removed)"
	}
	if f.Status != 0 {
		status = fmt.Sprint(f.Status)
	}
	return []string{whom, status, string(f.Reason), f.Remedy}
}
