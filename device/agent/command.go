package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/heraldpush/herald/apns"
)

// commandsAtATime bounds the commands of all apps that run together; an app
// has one at a time.
const commandsAtATime = 8

// outputWithin is how long a command's output is waited for once it has ended:
// a process that it left behind may hold it open.
const outputWithin = time.Second

// command runs a command line for notifications.
type command struct {
	line    string
	timeout time.Duration
	output  io.Writer
	log     *slog.Logger
	slots   chan struct{}
}

func newCommand(cfg Config) *command {
	output := cfg.CommandOutput
	if output == nil {
		output = io.Discard
	}
	return &command{
		line: cfg.Command, timeout: cfg.CommandTimeout, output: output, log: cfg.Logger,
		slots: make(chan struct{}, commandsAtATime),
	}
}

// run runs the command for a notification. The error is that of ctx if that
// has ended. What came from elsewhere is in its
// environment and standard input alone, never in the command line.
func (c *command) run(ctx context.Context, doc []byte) error {
	var e Event
	if err := json.Unmarshal(doc, &e); err != nil {
		return fmt.Errorf("the notification: %w", err)
	}
	if e.Notification == nil {
		return errors.New("the notification is none")
	}
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	cmd := shell(ctx, c.line)
	cmd.Env = commandEnvironment(os.Environ(), e)
	cmd.Stdin = bytes.NewReader(append(slices.Clip(doc), '\n'))
	cmd.Stdout, cmd.Stderr = c.output, c.output
	cmd.WaitDelay = outputWithin
	from := time.Now()
	err := cmd.Run()
	took := time.Since(from)
	switch {
	case errors.Is(err, exec.ErrWaitDelay): // it ended well, but what it started goes on
		err = nil
	case err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		err = fmt.Errorf("the command was ended after %v", c.timeout)
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		err = fmt.Errorf("the command ended badly: %w", err)
	}
	if err == nil {
		c.log.Info("command ended", "topic", e.Topic, "id", e.ID, "status", 0, "took", took)
	}
	return err
}

// variablePrefix begins the names of Herald's variables. Those that the agent
// was given are not passed on: one may be an enrolment code.
const variablePrefix = "HERALD_"

// commandEnvironment returns the environment of a command (docs/device.md#exec).
func commandEnvironment(inherited []string, e Event) []string {
	var env []string
	for _, pair := range inherited {
		if !strings.HasPrefix(pair, variablePrefix) {
			env = append(env, pair)
		}
	}
	alert, _ := apns.ParseAlert(apns.Payload(e.Payload)) // a payload without one has no texts
	badge := ""
	if alert.Badge != nil {
		badge = strconv.Itoa(*alert.Badge)
	}
	for _, v := range []struct{ name, value string }{
		{"TOPIC", string(e.Topic)},
		{"ID", string(e.ID)},
		{"PUSH_TYPE", string(e.PushType)},
		{"PRIORITY", strconv.Itoa(int(e.Priority))},
		{"COLLAPSE_ID", string(e.CollapseID)},
		{"INTERRUPTION_LEVEL", string(e.Level)},
		{"SHOWN", strconv.FormatBool(e.Shown != nil)},
		{"TITLE", alert.Title},
		{"SUBTITLE", alert.Subtitle},
		{"BODY", alert.Body},
		{"SOUND", alert.Sound},
		{"BADGE", badge},
	} {
		// A variable ends at the first zero byte, and no process starts with one.
		env = append(env, variablePrefix+v.name+"="+strings.ReplaceAll(v.value, "\x00", ""))
	}
	return env
}

// runCommands runs the command for the notifications of an app, one by one,
// until the app is gone, or the agent ends: then it goes on with those that
// are there until ctx ends. What is left is for the next start.
func (a *agent) runCommands(ctx context.Context, topic apns.Topic, b *box) {
	for {
		t, err := a.inbox.undone(topic, b)
		if err != nil {
			a.failed(topic, fmt.Errorf("noting what no command is run for: %w", err))
		}
		if t.missed > 0 {
			a.failed(topic, fmt.Errorf("the command was not run for %d notifications: there came more than are kept", t.missed))
		}
		switch {
		case t.gone:
			return
		case t.letter == nil:
			select {
			case <-t.changed:
			case <-a.ending:
				return
			}
			continue
		}
		err = a.command.run(ctx, t.letter.doc)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			a.failed(topic, fmt.Errorf("notification %s: %w", t.letter.id, err))
		}
		if err := a.inbox.did(topic, b, t.letter.number); err != nil {
			a.failed(topic, fmt.Errorf("noting that the command was run: %w", err))
		}
	}
}
