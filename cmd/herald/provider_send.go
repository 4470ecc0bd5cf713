package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/platform/dev"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/api"
	"github.com/heraldpush/herald/provider/audience"
)

// providerSendCmd sends a message.
type providerSendCmd struct {
	providerSendTo      `group:"To whom"`
	providerSendContent `group:"What"`
	providerSendHow     `group:"How"`

	Validate bool   `help:"Have everything checked, and send nothing."`
	Wait     bool   `help:"Show how far it has come until it has ended."`
	Once     string `placeholder:"KEY" help:"Idempotency key: the same one again, within 24 hours, does not send it twice."`
	appFlag
	providerAt
}

// providerSendTo says whom a message is for.
type providerSendTo struct {
	To          []audience.InstallationID `sep:"none" placeholder:"ID" help:"An installation; may be repeated."`
	Person      []string                  `sep:"none" placeholder:"ID" help:"All installations of a person: an external_id, or LABEL=ID; may be repeated."`
	Tag         string                    `help:"All installations with this tag."`
	Everybody   bool                      `help:"All installations of the app."`
	DeviceToken []string                  `sep:"none" placeholder:"TOKEN" help:"A device token; may be repeated. It needs --sandbox or --production."`
	Dev         string                    `placeholder:"DIR" help:"The virtual device of a running herald dev: its folder or dev.json."`
	Sandbox     bool                      `xor:"env" help:"Only device tokens of the sandbox."`
	Production  bool                      `xor:"env" help:"Only device tokens of production."`
}

// providerSendContent says what a message is.
type providerSendContent struct {
	Title    string `help:"Title of the alert."`
	Subtitle string `help:"Its subtitle."`
	Body     string `help:"Its text."`
	Sound    string `placeholder:"NAME" help:"Sound file of the app, or default."`
	Badge    *int   `placeholder:"N" help:"Number on the app's icon; 0 clears it."`
	Payload  string `placeholder:"FILE" help:"The whole payload in place of these, JSON; - is standard input, and what begins with { is the payload itself."`
}

// providerSendHow says how a message is delivered.
type providerSendHow struct {
	PushType   apns.PushType   `placeholder:"TYPE" help:"Such as background or voip. Without it, what the payload shows."`
	Priority   *int            `placeholder:"N" help:"10 at once, 5 by the device's power, 1 power first."`
	CollapseID apns.CollapseID `name:"collapse-id" placeholder:"ID" help:"A later message with the same one replaces it on the screen."`
	Lane       string          `placeholder:"LANE" help:"urgent, ordinary or campaign. Without it, by how many it is for."`
	At         string          `placeholder:"TIME" help:"When it is sent: a time such as 2030-01-31T08:00:00Z, or from now on, such as 1h30m. Without it, now."`
	By         string          `placeholder:"TIME" help:"When sending is given up: a time, or a duration such as PT2H. Without it, after 24 hours."`
}

// Help says more than the line in the list of verbs.
func (providerSendCmd) Help() string {
	return `When it returns, the message is on the provider's disk: it reaches all that it is
for, or herald provider message failures says why not.

    herald provider send --to phone --title Hello --wait
    herald provider send --tag news --title News --body "It is spring." --lane campaign
    herald provider send --person u42 --payload message.json --once order-9917

Exit status: 0 it was taken, with --wait all of them were accepted; 1 some were not.`
}

// The request for a message, as the API takes it.
type (
	sendRequest struct {
		To          sendTo           `json:"to"`
		Content     *sendContent     `json:"content,omitempty"`
		Payload     json.RawMessage  `json:"payload,omitempty"`
		APNS        sendAPNS         `json:"apns,omitzero"`
		Environment apns.Environment `json:"environment,omitzero"`
		Deliver     sendDeliver      `json:"deliver,omitzero"`
		Mode        string           `json:"mode,omitempty"`
	}
	sendTo struct {
		DeviceTokens  []sendToken               `json:"device_tokens,omitempty"`
		Installations []audience.InstallationID `json:"installations,omitempty"`
		People        []map[string]string       `json:"people,omitempty"`
		Tag           string                    `json:"tag,omitempty"`
		Everybody     bool                      `json:"everybody,omitempty"`
	}
	sendToken struct {
		Value       string           `json:"value"`
		Environment apns.Environment `json:"environment"`
	}
	sendContent struct {
		Title    string `json:"title,omitempty"`
		Subtitle string `json:"subtitle,omitempty"`
		Body     string `json:"body,omitempty"`
		Sound    string `json:"sound,omitempty"`
		Badge    *int   `json:"badge,omitempty"`
	}
	sendAPNS struct {
		PushType   apns.PushType   `json:"push_type,omitempty"`
		Priority   *int            `json:"priority,omitempty"`
		CollapseID apns.CollapseID `json:"collapse_id,omitempty"`
	}
	sendDeliver struct {
		At   time.Time `json:"at,omitzero"`
		By   string    `json:"by,omitempty"`
		Lane string    `json:"lane,omitempty"`
	}
)

// Run implements the verb.
func (c providerSendCmd) Run(ctx context.Context, s streams) error {
	r, err := c.request()
	if err != nil {
		return err
	}
	return c.doFor(ctx, c.App, func(ctx context.Context, at *providerAPI, app account.AppID) error {
		to, header := endpoint("v1", "apps", string(app), "messages"), http.Header{}
		if c.Once != "" {
			header.Set("Idempotency-Key", c.Once)
		}
		if c.Validate {
			var valid api.ValidMessage
			if err := at.callWith(ctx, http.MethodPost, to, header, r, &valid); err != nil {
				return err
			}
			return c.print(s, valid, func(w io.Writer) error { return tellValid(w, valid) })
		}
		var m api.Message
		if err := at.callWith(ctx, http.MethodPost, to, header, r, &m); err != nil {
			return err
		}
		if c.Wait {
			return c.wait(ctx, s, at, app, m)
		}
		return c.print(s, m, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "%s is taken, for %s.\nNext: herald provider message show %s%s\n", m.ID, targetsOf(m), m.ID, c.again())
			return err
		})
	})
}

// request returns the message that the flags say.
func (c providerSendCmd) request() (r sendRequest, err error) {
	if c.Validate && c.Wait {
		return r, usageError("--validate sends nothing that --wait could wait for")
	}
	if r.To, err = c.recipients(); err != nil {
		return r, err
	}
	if c.Sandbox || c.Production {
		r.Environment = environmentFlag(c.Sandbox)
	}
	content := sendContent{c.Title, c.Subtitle, c.Body, c.Sound, c.Badge}
	switch {
	case c.Payload != "" && content != sendContent{}:
		return r, withHint(usageError("--payload is the whole payload: it goes with no part of one"), "write the parts into the payload, or leave --payload out.")
	case c.Payload != "":
		whole, err := pushContent{Payload: c.Payload}.whole()
		if err != nil {
			return r, err
		}
		r.Payload = json.RawMessage(whole)
	case content == sendContent{}:
		return r, withHint(usageError("what is to be sent?"), "--title, --body and others say so, or --payload FILE.")
	default:
		r.Content = &content
	}
	r.APNS = sendAPNS{c.PushType, c.Priority, c.CollapseID}
	r.Deliver = sendDeliver{By: c.By, Lane: c.Lane}
	if r.Deliver.At, err = startAt(c.At, time.Now()); err != nil {
		return r, err
	}
	if c.Validate {
		r.Mode = "validate"
	}
	return r, nil
}

// startAt reads a time, or how far off one is; the empty text is the zero time.
func startAt(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return now.Add(d).UTC().Round(0), nil
	}
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return at, withHint(usageError("--at %s: this is no time", plain(s)), "such as 2030-01-31T08:00:00Z, 2030-01-31T09:00:00+01:00 or 1h30m.")
	}
	return at, nil
}

// recipients returns whom the flags name.
func (c providerSendCmd) recipients() (to sendTo, err error) {
	ways := 0
	for _, given := range []bool{len(c.To) > 0, len(c.Person) > 0, c.Tag != "", c.Everybody, len(c.DeviceToken) > 0, c.Dev != ""} {
		if given {
			ways++
		}
	}
	switch {
	case ways == 0:
		return to, withHint(usageError("to whom?"), "--to ID names an installation; there are --person, --tag, --everybody, --device-token and --dev.")
	case ways > 1:
		return to, withHint(usageError("--to, --person, --tag, --everybody, --device-token and --dev: want one of them"), "send one message for each.")
	case len(c.DeviceToken) > 0 && !c.Sandbox && !c.Production:
		return to, whichEnvironment()
	}
	to = sendTo{Installations: c.To, Tag: c.Tag, Everybody: c.Everybody}
	for _, p := range c.Person {
		alias := personOf(p)
		to.People = append(to.People, map[string]string{alias.Label: alias.ID})
	}
	for i, t := range c.DeviceToken {
		if _, err := apnsclient.ParseDeviceToken(t); err != nil {
			problem, remedy := deviceTokenProblem(err)
			return to, withHint(usageError("device token %d of %d: %s", i+1, len(c.DeviceToken), problem), "%s.", remedy)
		}
		to.DeviceTokens = append(to.DeviceTokens, sendToken{t, environmentFlag(c.Sandbox)})
	}
	if c.Dev != "" {
		v, err := readDevValues(c.Dev)
		if err != nil {
			return to, err
		}
		to.DeviceTokens = []sendToken{{v[dev.KeyDeviceToken], apns.Sandbox}}
	}
	return to, nil
}

// tellValid says what would be sent.
func tellValid(w io.Writer, v api.ValidMessage) error {
	whom := count(v.Targeted, "recipient", "recipients")
	switch {
	case v.Audience.Everybody:
		whom = "everybody"
	case v.Audience.Tag != "":
		whom = "all with the tag " + v.Audience.Tag
	}
	return table(w, []string{"It is in order, and was not sent."},
		[]string{"  for", whom}, []string{"  topic", string(v.Topic)}, []string{"  push type", string(v.PushType)},
		[]string{"  payload", fmt.Sprintf("%d of %d bytes", v.PayloadBytes, v.MaxPayloadBytes)}, []string{"  lane", v.Lane})
}

// targetsOf says for how many a message is.
func targetsOf(m api.Message) string {
	switch {
	case m.Audience.Everybody:
		return "everybody"
	case m.Audience.Tag != "":
		return "all with the tag " + plain(m.Audience.Tag)
	}
	return count(m.Counts.Targeted, "recipient", "recipients")
}

// How often one who waits asks: at first soon, as one message is fast, and then
// less often.
const (
	firstAsk = 50 * time.Millisecond
	lastAsk  = time.Second
)

// wait shows how far a message has come until it has ended, and returns an error
// unless all were accepted.
func (c providerSendCmd) wait(ctx context.Context, s streams, at *providerAPI, app account.AppID, m api.Message) error {
	shown := isTerminal(s.err) && !c.JSON
	for pause := firstAsk; !hasEnded(m); pause = min(lastAsk, pause+pause/2) {
		if shown {
			_, _ = fmt.Fprintf(s.err, "\r%s\x1b[K", progressOf(m))
		}
		select {
		case <-ctx.Done():
			return withHint(errors.Join(errors.New("the message goes on, without somebody who waits"), context.Cause(ctx)),
				"herald provider message cancel %s%s ends it.", m.ID, c.again())
		case <-time.After(pause):
		}
		if err := at.call(ctx, http.MethodGet, endpoint("v1", "apps", string(app), "messages", m.ID.String()), nil, &m); err != nil {
			return err
		}
	}
	if shown {
		_, _ = io.WriteString(s.err, "\r\x1b[K")
	}
	err := c.print(s, m, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s %s\n", m.ID, progressOf(m))
		return err
	})
	return errors.Join(err, c.outcome(m))
}

// hasEnded reports whether nothing comes any more, or not without somebody's doing.
func hasEnded(m api.Message) bool { return !m.EndedAt.IsZero() || m.State == "paused" }

// progressOf says how far a message has come.
func progressOf(m api.Message) string {
	var b strings.Builder
	n := m.Counts
	fmt.Fprintf(&b, "%s: %d of %d accepted", m.State, n.Accepted, n.Targeted)
	for _, part := range []struct {
		n    int
		word string
	}{{n.Rejected, "rejected"}, {n.Expired, "expired"}, {n.Pending, "pending"}} {
		if part.n > 0 {
			fmt.Fprintf(&b, ", %d %s", part.n, part.word)
		}
	}
	return b.String()
}

// outcome returns an error unless all were accepted.
func (c providerSendCmd) outcome(m api.Message) error {
	switch {
	case m.State == "paused":
		return withHint(fmt.Errorf("the message is paused: %s", plain(m.Why)), "herald provider message failures %s%s lists the answers; resume goes on.", m.ID, c.again())
	case m.State != "done":
		return fmt.Errorf("the message is %s", plain(string(m.State)))
	case m.Counts.Targeted == 0 && m.Audience.Tag != "":
		return fmt.Errorf("the message was for nobody: no installation with the tag %s has a device token for it", plain(m.Audience.Tag))
	case m.Counts.Targeted == 0:
		return errors.New("the message was for nobody: no installation has a device token for it")
	case m.Counts.Accepted < m.Counts.Targeted:
		return withHint(fmt.Errorf("%d of %d were not accepted", m.Counts.Targeted-m.Counts.Accepted, m.Counts.Targeted),
			"herald provider message failures %s%s says why.", m.ID, c.again())
	}
	return nil
}
