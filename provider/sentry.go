package provider

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/dispatch"
	"github.com/heraldpush/herald/provider/event"
	"github.com/heraldpush/herald/provider/outbox"
)

const (
	// stalledAfter is how long sending may stand still if nothing else is said.
	stalledAfter = 5 * time.Minute
	// stalledEvery is how often it is looked whether it does.
	stalledEvery = 30 * time.Second
	// behindWithin is how soon what waits behind a message that ended without an answer
	// is to be tried again: any that failed is.
	behindWithin = 2 * time.Hour
)

// sentry tells when sending stands still: nothing is answered of the oldest message of
// a queue for too long, though it is due. A message that is long on its way because it
// is for many does not stand still, nor does one whose device tokens the push service
// wants to be left alone for longer than that.
type sentry struct {
	*teller
	outbox  outbox.Reader
	history history
	// why returns what has kept an app's notifications since a time, or nil.
	why   func(app audience.AppNumber, since time.Time) error
	after time.Duration

	watched map[outbox.Queue]*watched // of the goroutine of Run
	looked  time.Time                 // the last time; of the goroutine of Run
}

// watched is the oldest message of a queue in which something waits.
type watched struct {
	message outbox.MessageID
	handled int       // members that have an answer
	since   time.Time // from when on there was none
	told    bool      // that it stands still
}

func newSentry(t *teller, o outbox.Reader, h history, why func(audience.AppNumber, time.Time) error, after time.Duration) *sentry {
	return &sentry{teller: t, outbox: o, history: h, why: why, after: after, watched: make(map[outbox.Queue]*watched)}
}

// Run does so until ctx ends. What fails is logged and tried again the next time.
func (s *sentry) Run(ctx context.Context) error {
	tick := time.NewTicker(stalledEvery)
	defer tick.Stop()
	for {
		if err := s.look(ctx, time.Now()); err != nil && ctx.Err() == nil {
			s.logger.LogAttrs(ctx, slog.LevelError, "looking whether sending stands still", slog.Any("error", err))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *sentry) look(ctx context.Context, at time.Time) error {
	// Also what is tried again soon: those that failed wait in between. What the push
	// service wants to be left alone is tried again before this is too long.
	waiting, err := s.outbox.Waiting(ctx, at.Add(s.after/5*4))
	if err != nil {
		return fmt.Errorf("what waits: %w", err)
	}
	for q, w := range maps.Clone(s.watched) {
		over, err := s.over(ctx, q, w, at)
		if err != nil {
			return err
		}
		if !over {
			continue
		}
		if err := s.recovered(ctx, q, w, at); err != nil {
			return err
		}
		delete(s.watched, q)
	}
	for q, id := range waiting {
		if s.watched[q] == nil {
			if err := s.begin(ctx, q, id, at); err != nil {
				return err
			}
		}
	}
	s.looked = at
	for q, w := range s.watched {
		if !w.told && at.Sub(w.since) >= s.after {
			if err := s.stalled(ctx, q, w, at); err != nil {
				return err
			}
		}
	}
	return nil
}

// over reports whether something was answered of what is watched, or nothing waits any
// more. If its end has come without an answer, another takes its place.
func (s *sentry) over(ctx context.Context, q outbox.Queue, w *watched, at time.Time) (bool, error) {
	m, err := s.history.message(ctx, q.App, w.message)
	switch {
	case errors.Is(err, outbox.ErrNotFound):
		return true, nil
	case err != nil:
		return false, err
	case handled(&m) != w.handled:
		return true, nil
	case waits(&m):
		return false, nil
	}
	behind, err := s.outbox.Waiting(ctx, at.Add(behindWithin))
	if err != nil {
		return false, err
	}
	next, ok := behind[q]
	if !ok {
		return true, nil
	}
	m, err = s.history.message(ctx, q.App, next)
	if errors.Is(err, outbox.ErrNotFound) || err == nil && !waits(&m) {
		return !w.told, nil // paused, or ended: who is behind it is seen when it has left
	}
	if err != nil {
		return false, err
	}
	w.message, w.handled, w.since = next, handled(&m), latest(w.since, next.Time(), m.StartAt)
	return false, nil
}

// begin watches the oldest message of a queue.
func (s *sentry) begin(ctx context.Context, q outbox.Queue, id outbox.MessageID, at time.Time) error {
	m, err := s.history.message(ctx, q.App, id)
	if errors.Is(err, outbox.ErrNotFound) || err == nil && !waits(&m) {
		return nil // it ended meanwhile, or is paused
	}
	if err != nil {
		return err
	}
	since := at // what was before the first look is not known
	if !s.looked.IsZero() {
		since = latest(s.looked, id.Time(), m.StartAt)
	}
	s.watched[q] = &watched{message: id, handled: handled(&m), since: since}
	return nil
}

// waits reports whether some of a message are to be sent still.
func waits(m *outbox.Message) bool {
	return m.State.Running() && m.Counts.Receipts[outbox.Pending] > 0
}

// handled returns how many members of a message have an answer.
func handled(m *outbox.Message) int {
	return m.Counts.Receipts[outbox.Accepted] + m.Counts.Receipts[outbox.Rejected]
}

func latest(all ...time.Time) time.Time { return slices.MaxFunc(all, time.Time.Compare) }

// stalled tells that sending stands still.
func (s *sentry) stalled(ctx context.Context, q outbox.Queue, w *watched, at time.Time) error {
	body := event.Sending{Lane: q.Lane.String(), Since: w.since}
	cause := s.why(q.App, w.since)
	body.Why, body.Reason = whyStalled(cause)
	e, err := event.OfSending(event.SendingStalled, s.app(q.App), w.message, body, at)
	if err == nil {
		err = s.log.Append(ctx, e)
	}
	if err != nil {
		return err
	}
	w.told = true
	s.logger.LogAttrs(ctx, slog.LevelError, "sending stands still", slog.String("app", string(e.App)), slog.String("lane", body.Lane),
		slog.String("message", w.message.String()), slog.Time("since", w.since), slog.Any("error", cause))
	return nil
}

// recovered tells that it does not any more, if it was told that it does.
func (s *sentry) recovered(ctx context.Context, q outbox.Queue, w *watched, at time.Time) error {
	if !w.told {
		return nil
	}
	e, err := event.OfSending(event.SendingRecovered, s.app(q.App), w.message, event.Sending{Lane: q.Lane.String(), Since: w.since}, at)
	if err == nil {
		err = s.log.Append(ctx, e)
	}
	if err == nil {
		s.logger.LogAttrs(ctx, slog.LevelInfo, "sending goes on", slog.String("app", string(e.App)), slog.String("lane", q.Lane.String()))
	}
	return err
}

// whyStalled returns what an error of the roads says.
func whyStalled(err error) (why string, said apns.Reason) {
	if r, ok := errors.AsType[*apns.Rejection](err); ok {
		return event.WhyCredentialRefused, r.Reason
	}
	if c, ok := errors.AsType[*apnsclient.CheckError](err); ok {
		return event.WhyCredentialUnusable, c.Reason
	}
	switch {
	case errors.Is(err, ErrNoCredential):
		return event.WhyNoCredential, ""
	case errors.Is(err, dispatch.ErrUnusable):
		return event.WhyCredentialUnusable, ""
	default:
		return "", ""
	}
}
