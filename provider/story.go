package provider

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
	"github.com/heraldpush/herald/trace"
)

// Outcome is what became of a message for one installation.
type Outcome struct {
	Message      outbox.Message
	Installation audience.Installation
	// Meant says whether the message is for the installation. If not, nothing was
	// sent to it.
	Meant   bool
	Receipt outbox.Receipt
	// Failure is why the Receipt is outbox.Rejected; nil otherwise.
	Failure *outbox.Failure
	// Sent are the apns-ids with which the message goes to those of the
	// installation's device tokens that it is for, as they are now, by their place
	// in Installation.Destinations.
	Sent map[int]apns.NotificationID

	shard         uint32
	rank, members int // the place in the shard
	pass          int // how often it was tried
}

// Outcome returns what became of a message for an installation. The error may wrap
// account.ErrNotFound, outbox.ErrNotFound or audience.ErrNotFound.
func (p *PushServer) Outcome(ctx context.Context, app account.AppID, id outbox.MessageID, installation audience.InstallationID) (Outcome, error) {
	m, err := p.Message(ctx, app, id)
	if err != nil {
		return Outcome{}, err
	}
	o := Outcome{Message: m, Sent: make(map[int]apns.NotificationID)}
	if o.Installation, err = p.audience.Installation(ctx, m.App, installation); err != nil {
		return Outcome{}, err
	}
	var of rankings
	chunk, slot := o.Installation.Ordinal.Chunk(), o.Installation.Ordinal.Slot()
	s, err := of.shard(ctx, &p.history, &m, uint32(chunk))
	if err != nil || s == nil || s.Members == nil || !s.Members.Has(slot) {
		return o, err
	}
	rank := s.Members.Rank(slot)
	o.Meant, o.Receipt = true, s.Receipts.Get(rank)
	o.shard, o.rank, o.members, o.pass = s.Number, rank, s.Receipts.Len(), s.Pass
	for n := range o.Installation.Destinations {
		if d := &o.Installation.Destinations[n]; m.Use.Matches(d) {
			o.Sent[n] = outbox.NotificationID(id, d.Environment, d.DeviceToken)
		}
	}
	if o.Receipt != outbox.Rejected {
		return o, nil
	}
	failures, err := p.history.failures(ctx, m.App, id, outbox.FailureAt{Shard: s.Number, Next: uint32(rank)}, 1)
	if len(failures) > 0 && failures[0].Shard == s.Number && failures[0].Rank == rank {
		o.Failure = &failures[0].Failure
	}
	return o, err
}

// traced returns g with the attempts of its senders told to a recorder.
func (g Gateway) traced(r *trace.Recorder) Gateway {
	if r == nil {
		return g
	}
	return func(e apns.Environment) apnsclient.Config {
		cfg := g.config(e)
		also := cfg.Hooks.Attempt
		cfg.Hooks.Attempt = func(a apnsclient.Attempt) {
			r.Record(&trace.Line{
				Hop: trace.Tried, ID: a.ID, Address: apns.Address{Environment: e}, Status: uint16(a.Status), Reason: a.Reason, //nolint:gosec // an HTTP status
				Connection: a.Connection, Message: uint32(a.Number), //nolint:gosec // few
			})
			if also != nil {
				also(a)
			}
		}
		return cfg
	}
}

// Story is what is known of a message for one installation, in the order of time.
type Story struct {
	Outcome
	Lines []StoryLine
}

// StoryLine is one thing that happened.
type StoryLine struct {
	Time time.Time
	// Hop is what happened: one of the words below, or that of a trace.Hop.
	Hop string
	// ID is the apns-id that it is about; empty if it is about the message.
	ID apns.NotificationID
	// Sentence says it for people: without a full stop, and without the time.
	Sentence string
}

// What can happen to a message before and after it is sent.
const (
	HopSubmitted = "submitted" // the API took it
	HopScheduled = "scheduled" // its time came
	HopTargeted  = "targeted"  // the installation is one of those it is for
	HopLeftOut   = "left-out"  // it is not
	HopReceipt   = "receipt"   // it has its receipt
	HopWaiting   = "waiting"   // it has none yet
	HopEnded     = "ended"     // the message has ended
)

// Story returns what happened to a message for an installation, from the call of the
// API to the last answer of the gateway. What is kept of single pushes is bounded, so
// that of an old message only the outcome is left. The error is as that of Outcome.
func (p *PushServer) Story(ctx context.Context, app account.AppID, id outbox.MessageID, installation audience.InstallationID) (Story, error) {
	o, err := p.Outcome(ctx, app, id, installation)
	if err != nil {
		return Story{}, err
	}
	s := Story{Outcome: o, Lines: o.begin()}
	for _, id := range o.ids() {
		lines, err := p.trace.Story(ctx, id)
		if err != nil {
			return Story{}, err
		}
		for _, l := range lines {
			s.Lines = append(s.Lines, StoryLine{l.Time, l.Hop.String(), id, l.Sentence()})
		}
	}
	s.Lines = append(s.Lines, o.end(p.kept(&o))...)
	slices.SortStableFunc(s.Lines, func(a, b StoryLine) int { return a.Time.Compare(b.Time) })
	return s, nil
}

// ids returns the apns-ids with which the message may have gone to the installation.
func (o *Outcome) ids() (all []apns.NotificationID) {
	for n := range o.Installation.Destinations {
		if id := o.Sent[n]; id != "" {
			all = append(all, id)
		}
	}
	if o.Failure != nil && o.Failure.ID != "" && !slices.Contains(all, o.Failure.ID) {
		all = append(all, o.Failure.ID) // to a device token that it had then
	}
	return all
}

// begin tells what happened before anything was sent.
func (o *Outcome) begin() (lines []StoryLine) {
	m := &o.Message
	tell := func(at time.Time, hop, format string, args ...any) {
		lines = append(lines, StoryLine{at, hop, "", fmt.Sprintf(format, args...)})
	}
	began := m.ID.Time()
	tell(began, HopSubmitted, "the API took the message, in the %v lane", m.Lane)
	if !m.StartAt.IsZero() {
		began = m.StartAt
		tell(began, HopScheduled, "its time came")
	}
	if !o.Meant {
		tell(began, HopLeftOut, "it is not for this installation: %s", o.whyNot())
		return lines
	}
	tell(began, HopTargeted, "it is for this installation, at place %d of %d in shard %d", o.rank+1, o.members, o.shard)
	for n := range o.Installation.Destinations {
		if d := &o.Installation.Destinations[n]; o.Sent[n] != "" {
			lines = append(lines, StoryLine{began, HopTargeted, o.Sent[n], fmt.Sprintf(
				"its %v device token for %v, %s, gets it with the apns-id %s", d.Environment, d.Kind, stands(&d.Standing), o.Sent[n])})
		}
	}
	return lines
}

// whyNot says why a message is not for the installation, as far as that can be told
// now.
func (o *Outcome) whyNot() string {
	m, i := &o.Message, &o.Installation
	switch {
	case !m.Open():
		return "others were named"
	case !m.Frozen && m.Next <= i.Ordinal.Chunk():
		return "its audience has not been looked at so far"
	case m.Below > 0 && i.Ordinal >= m.Below:
		return "it registered after the audience was frozen"
	case m.Tag != "" && !slices.Contains(i.Tags, m.Tag):
		return fmt.Sprintf("it does not have the tag %q", m.Tag)
	case !slices.ContainsFunc(i.Destinations, func(d audience.Destination) bool {
		return m.Use.Matches(&d) && d.Standing.State != audience.Gone
	}):
		return fmt.Sprintf("it has no device token for %v", m.Use.Kind)
	}
	return "it did not have the tag or the device token when the audience was frozen"
}

// kept returns what keeps a message from being sent to the installation, as far as is
// known; nil if nothing is.
func (p *PushServer) kept(o *Outcome) error {
	if o.Receipt != outbox.Pending || o.Message.State != outbox.StateSending {
		return nil
	}
	if err := p.roads.lastFault(o.Message.App, latest(o.Message.ID.Time(), o.Message.StartAt)); err != nil {
		return err
	}
	for n := range o.Installation.Destinations {
		if o.Sent[n] == "" {
			continue
		}
		if err := p.roads.unreached(o.Installation.Destinations[n].Environment); err != nil {
			return fmt.Errorf("the push service is not reached: %w", err)
		}
	}
	return nil
}

// end tells how it is now. kept is what keeps the message; nil if nothing is known.
func (o *Outcome) end(kept error) (lines []StoryLine) {
	m := &o.Message
	at := cmp.Or(m.EndedAt, now())
	switch {
	case !o.Meant:
	case o.Failure != nil && o.Failure.Status == 0:
		lines = append(lines, StoryLine{o.Failure.At, HopReceipt, "", "rejected, nothing was sent: " + words(o.Failure.Reason)})
	case o.Failure != nil:
		lines = append(lines, StoryLine{o.Failure.At, HopReceipt, o.Failure.ID, fmt.Sprintf("rejected: %d %s", o.Failure.Status, o.Failure.Reason)})
	case o.Receipt == outbox.Pending && !m.State.Ended():
		sentence := fmt.Sprintf("it waits: the message is %v%s; %s so far, until %s at the latest",
			m.State, because(m.Why), passes(o.pass), m.Deadline.UTC().Format(time.RFC3339))
		if kept != nil {
			sentence += "; " + kept.Error()
		}
		lines = append(lines, StoryLine{at, HopWaiting, "", sentence})
	default:
		lines = append(lines, StoryLine{at, HopReceipt, "", "the receipt is " + o.Receipt.String()})
	}
	if m.State.Ended() {
		lines = append(lines, StoryLine{at, HopEnded, "", fmt.Sprintf("the message is %v%s", m.State, because(m.Why))})
	}
	return lines
}

// stands says what is known of a device token.
func stands(s *audience.Standing) string {
	switch {
	case s.State != audience.Active:
		return fmt.Sprintf("%v since %s (%s)", s.State, s.ReasonAt.UTC().Format(time.RFC3339), s.Reason)
	case s.AcceptedAt.IsZero():
		return "never accepted before"
	}
	return "active"
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return " (" + why + ")"
}

func passes(n int) string {
	if n == 1 {
		return "tried in 1 pass"
	}
	return fmt.Sprintf("tried in %d passes", n)
}

// words says a reason of ours for sending nothing.
func words(r apns.Reason) string {
	switch r {
	case outbox.NoDeviceToken:
		return "it has no device token of the kind and environment any more"
	case outbox.InQuarantine:
		return "its device token is in quarantine, and tried once a day"
	default:
		return string(r)
	}
}
