package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
)

// pushed is what became of a push, as --json prints it.
type pushed struct {
	Line        int                 `json:"line,omitempty"` // of the file of device tokens
	DeviceToken string              `json:"device_token,omitempty"`
	Channel     apns.ChannelID      `json:"channel,omitempty"`
	Outcome     string              `json:"outcome"`
	ID          apns.NotificationID `json:"apns_id,omitempty"`
	UniqueID    string              `json:"apns_unique_id,omitempty"`
	Status      int                 `json:"status,omitempty"`
	Reason      apns.Reason         `json:"reason,omitempty"`
	Since       *time.Time          `json:"since,omitempty"`
	RetryAfter  float64             `json:"retry_after_seconds,omitempty"`
	Error       string              `json:"error,omitempty"`
	Hint        string              `json:"hint,omitempty"`

	outcome apnsclient.Outcome
	err     error // that ends the program, if it is the only push
}

// becameOf returns what became of a push that ended with err.
func becameOf(ctx context.Context, r apnsclient.Result, n apns.Notification) pushed {
	err := r.Err
	from, _ := r.Owner.(line)
	p := pushed{Line: from.number, ID: r.Receipt.ID, UniqueID: r.Receipt.UniqueID}
	if r.To != "" {
		p.DeviceToken = r.To.Hex()
	}
	if from.err != nil {
		err, p.ID = from.err, ""
	}
	p.outcome = apnsclient.OutcomeOf(err)
	if from.err != nil {
		p.outcome = apnsclient.Invalid
	}
	p.Outcome = p.outcome.String()
	if err == nil {
		p.Status = http.StatusOK
		return p
	}
	p.Error, p.Hint = explainPush(ctx, err, n)
	if rejected, ok := errors.AsType[*apns.Rejection](err); ok {
		p.Status, p.Reason, p.RetryAfter = rejected.Status, rejected.Reason, rejected.RetryAfter.Seconds()
		if !rejected.Since.IsZero() {
			p.Since = new(rejected.Since.UTC())
		}
	}
	p.err = withHint(errors.New(p.Error), "%s", p.Hint)
	return p
}

// what says in a few words how it ended, as a kind: it is the same for all that
// ended so.
func (p pushed) what() string {
	switch {
	case p.Reason != "":
		return fmt.Sprintf("%d %s", p.Status, p.Reason)
	case p.Status != 0:
		return strconv.Itoa(p.Status)
	}
	return ""
}

// text is a line for people.
func (p pushed) text() string {
	to := string(p.Channel)
	if p.DeviceToken != "" {
		to = short(p.DeviceToken)
	}
	if p.Line > 0 {
		to = fmt.Sprintf("line %d  %s", p.Line, to)
	}
	detail := p.what()
	switch {
	case p.outcome == apnsclient.Accepted:
		detail = "apns-id " + string(p.ID)
	case p.Since != nil:
		detail += " since " + minute(*p.Since)
	case detail == "":
		detail = p.Error
	}
	return plain(fmt.Sprintf("%-16s  %s  %s", p.Outcome, to, detail)) + "\n"
}

// shortToken is how many digits of a device token are shown at each end.
const shortToken = 8

// short returns enough of a device token, in hex, to find it.
func short(hex string) string {
	if len(hex) <= 2*shortToken {
		return hex
	}
	return hex[:shortToken] + "…" + hex[len(hex)-shortToken:]
}

// kind is what pushes that ended alike have in common.
type kind struct{ outcome, what string }

// maxKinds bounds how many kinds a run tells apart: what a gateway says is its
// own.
const maxKinds = 100

// counted is how many pushes ended in a way, and what is to be done about it.
type counted struct {
	kind
	n     int
	first pushed
}

// summary counts what became of pushes.
type summary struct {
	all, failed int
	kinds       map[kind]*counted
	order       []*counted // by the first of each
	inARow      int        // pushes that reached no gateway, since one did
}

// note counts a result.
func (s *summary) note(p pushed) {
	s.all++
	if p.outcome != apnsclient.Accepted {
		s.failed++
	}
	switch p.outcome {
	case apnsclient.ConnectionFault, apnsclient.Unknown:
		s.inARow++
	case apnsclient.Invalid:
	default:
		s.inARow = 0
	}
	k := kind{p.Outcome, p.what()}
	c := s.kinds[k]
	if c == nil && len(s.kinds) >= maxKinds {
		k = kind{"others", ""}
		c = s.kinds[k]
	}
	if c == nil {
		c = &counted{kind: k, first: p}
		if s.kinds == nil {
			s.kinds = make(map[kind]*counted)
		}
		s.kinds[k] = c
		s.order = append(s.order, c)
	}
	c.n++
}

// maxInARow is how many pushes in a row may find no gateway before a run is given
// up.
const maxInARow = 100

// hopeless says why further pushes would end as the last one did, and nothing if
// they might not.
func (s *summary) hopeless(p pushed) string {
	switch {
	case p.outcome == apnsclient.ProviderFault:
		return "the gateway refuses the sender, and would refuse it again"
	case s.inARow >= maxInARow:
		return fmt.Sprintf("%d pushes in a row had no answer", s.inARow)
	}
	return ""
}

// write writes the table, and what is to be done about what failed.
func (s *summary) write(w io.Writer) error {
	rows := [][]string{{"PUSHES", "OUTCOME", "ANSWER", "MEANING"}}
	for _, c := range s.order {
		meaning := c.first.Reason.Sentence()
		if c.first.outcome == apnsclient.Accepted {
			meaning = "the gateway has it, which is no proof of delivery"
		}
		rows = append(rows, []string{strconv.Itoa(c.n), c.outcome, cmp.Or(c.what, "none"), cmp.Or(meaning, c.first.Error)})
	}
	if err := table(w, rows...); err != nil {
		return err
	}
	for _, c := range s.order {
		if c.first.Hint == "" {
			continue
		}
		about := c.what
		if about == "" {
			about = c.outcome
		}
		if _, err := fmt.Fprintf(w, "\n%s: %s\n", plain(about), plain(c.first.Hint)); err != nil {
			return err
		}
	}
	return nil
}
