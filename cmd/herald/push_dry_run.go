package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
)

// errDryRun keeps a dry run from connecting.
var errDryRun = errors.New("a dry run connects to nothing")

// offline returns cfg without a network.
func offline(cfg apnsclient.Config) apnsclient.Config {
	cfg.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, errDryRun }
	return cfg
}

// dryRun checks everything and prints what would be sent.
func (c pushCmd) dryRun(ctx context.Context, s streams, sender *apnsclient.Sender, with sending, to *recipients, n apns.Notification) error {
	// A push that is over before it begins is still checked.
	over, cancel := context.WithCancel(ctx)
	cancel()
	good, wrong := 0, 0
	if c.Broadcast != "" {
		_, err := sender.Broadcast(over, c.Broadcast, n)
		if apnsclient.OutcomeOf(err) == apnsclient.Invalid {
			return fromCheck(err)
		}
	} else {
		for p := range to.pushes(ctx, &n) {
			if l, _ := p.Owner.(line); l.err != nil {
				wrong++
				problem, _ := deviceTokenProblem(l.err)
				if _, err := fmt.Fprintf(s.out, "line %d  %s\n", l.number, plain(problem)); err != nil {
					return err
				}
				continue
			}
			if good++; good > 1 {
				continue // the rest is the same
			}
			if _, err := sender.Push(over, p.To, n); apnsclient.OutcomeOf(err) == apnsclient.Invalid {
				return fromCheck(err)
			}
		}
	}
	if to.err != nil {
		return to.err
	}
	if !c.Quiet {
		if err := c.showPush(s.out, with, to, n, good); err != nil {
			return err
		}
	}
	switch {
	case wrong > 0:
		return fmt.Errorf("%s of %s would not be pushed to", count(wrong, "line", "lines"), to.name)
	case good == 0 && c.Broadcast == "":
		return unreadable(fmt.Errorf("%s holds no device tokens", to.name))
	}
	return nil
}

// showPush prints what would be sent.
func (c pushCmd) showPush(w io.Writer, with sending, to *recipients, n apns.Notification, recipients int) error {
	target := count(recipients, "device token", "device tokens")
	path := "/3/device/…"
	switch {
	case c.Broadcast != "":
		target, path = "channel "+string(c.Broadcast), "/4/broadcasts/apps/"+string(n.Topic)
	case len(to.tokens) == 1:
		target, path = "1 device token", "/3/device/"+to.tokens[0].Hex()
	}
	proxy := "none"
	if u := with.config.Proxy; u != nil {
		proxy = u.Redacted()
	}
	rows := [][]string{
		{"gateway", with.gateway + ", " + with.config.Environment.String()},
		{"proxy", proxy},
		{"credential", with.credential},
		{"to", target},
		{"request", "POST " + path},
	}
	if with.config.ProviderTokens != nil {
		rows = append(rows, []string{"authorization", "bearer ••• (signed when it is sent)"})
	}
	header := func(name, value string) {
		if value != "" {
			rows = append(rows, []string{name, value})
		}
	}
	idName := "apns-id"
	if c.Broadcast != "" { // the topic is in the path
		idName = "apns-request-id"
		header("apns-channel-id", string(c.Broadcast))
	} else {
		header("apns-topic", string(n.Topic))
	}
	header("apns-push-type", string(n.PushType))
	if n.Priority != 0 {
		header("apns-priority", fmt.Sprint(uint8(n.Priority)))
	}
	if seconds, ok := n.Expiration.Seconds(); ok {
		value := "0"
		if seconds > 0 {
			value = fmt.Sprintf("%d (%s)", seconds, minute(time.Unix(seconds, 0)))
		}
		header("apns-expiration", value)
	}
	header("apns-collapse-id", string(n.CollapseID))
	id := string(n.ID)
	if id == "" {
		id = "a random one for each"
	}
	header(idName, id)
	limit := n.PushType.MaxPayloadBytes()
	if c.Broadcast != "" {
		limit = apns.MaxBroadcastBytes
	}
	header("payload", fmt.Sprintf("%d bytes of at most %d", len(n.Payload), limit))
	var text strings.Builder
	if err := table(&text, rows...); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%s\n%s\n\nNothing was sent.\n", text.String(), plain(string(n.Payload)))
	return err
}
