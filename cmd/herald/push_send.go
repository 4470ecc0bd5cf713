package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
)

// send pushes n to all recipients, and prints what becomes of it.
func (c pushCmd) send(ctx context.Context, s streams, sender *apnsclient.Sender, to *recipients, n apns.Notification) error {
	var found summary
	var last pushed
	given, shown := "", newProgress(s.err)
	for r := range c.results(ctx, sender, to, n) {
		last = becameOf(ctx, r, n)
		last.Channel = c.Broadcast
		found.note(last)
		if why := found.hopeless(last); why != "" && given == "" {
			given = why
			to.stop()
		}
		if err := c.tell(s.out, to, last); err != nil {
			to.stop()
			return err
		}
		shown.tell(&found)
	}
	shown.end()
	if to.err != nil || found.all != 1 {
		if err := c.sum(s, &found); err != nil {
			return err
		}
	}
	switch {
	case to.err != nil:
		return to.err
	case found.all == 0 && ctx.Err() == nil:
		return withHint(unreadable(fmt.Errorf("%s holds no device tokens", to.name)), "want a device token in each line.")
	case found.failed == 1 && found.all == 1:
		return last.err
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted: %d of %d pushes were accepted", found.all-found.failed, found.all)
	case given != "" && to.many():
		return withHint(fmt.Errorf("given up after %s: %s", count(found.all, "push", "pushes"), given), "mend that, and begin again with the device tokens that are left.")
	case found.failed > 0:
		return fmt.Errorf("%d of %d pushes failed", found.failed, found.all)
	}
	return nil
}

// results pushes, and yields what becomes of it.
func (c pushCmd) results(ctx context.Context, sender *apnsclient.Sender, to *recipients, n apns.Notification) iter.Seq[apnsclient.Result] {
	if c.Broadcast == "" {
		return sender.PushAll(ctx, to.pushes(ctx, &n))
	}
	return func(yield func(apnsclient.Result) bool) {
		receipt, err := sender.Broadcast(ctx, c.Broadcast, n)
		yield(apnsclient.Result{Receipt: receipt, Err: err})
	}
}

// tell prints a result. Of many pushes, people see those that failed.
func (c pushCmd) tell(w io.Writer, to *recipients, p pushed) error {
	switch {
	case c.Quiet, !c.JSON && to.many() && p.outcome == apnsclient.Accepted:
		return nil
	case !c.JSON:
		_, err := io.WriteString(w, p.text())
		return err
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(p)
}

// sum prints the table; beside results as JSON, to standard error.
func (c pushCmd) sum(s streams, found *summary) error {
	w := s.out
	switch {
	case c.Quiet || found.all == 0:
		return nil
	case c.JSON:
		w = s.err
	case found.failed > 0 || len(c.DeviceTokens) > 0: // lines stand above
		if _, err := io.WriteString(w, "\n"); err != nil {
			return err
		}
	}
	return found.write(w)
}

// progressEvery is how often progress is shown.
const progressEvery = 500 * time.Millisecond

// progress shows a person how far it has come, if one watches.
type progress struct {
	w           io.Writer // nil if nobody does
	begun, last time.Time
	shown       bool
}

func newProgress(w io.Writer) *progress {
	p := &progress{begun: time.Now()}
	if isTerminal(w) {
		p.w = w
	}
	p.last = p.begun
	return p
}

// tell shows how far it has come, now and then.
func (p *progress) tell(s *summary) {
	if p.w == nil {
		return
	}
	now := time.Now()
	if now.Sub(p.last) < progressEvery {
		return
	}
	p.last, p.shown = now, true
	_, _ = fmt.Fprintf(p.w, "\r\x1b[K%d pushes, %d failed, %.0f a second", s.all, s.failed, float64(s.all)/now.Sub(p.begun).Seconds())
}

// end removes what was shown.
func (p *progress) end() {
	if p.shown {
		_, _ = io.WriteString(p.w, "\r\x1b[K")
	}
}
