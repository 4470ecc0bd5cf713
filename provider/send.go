package provider

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
)

// Sent is what became of an Order.
type Sent struct {
	// Message is the message; with ValidateOnly as it would be.
	Message outbox.Message
	// Repeated says that it was sent before: it is the message of then, with its ID
	// alone if that was forgotten meanwhile.
	Repeated bool
}

// Send takes a message to be sent. It is durable when Send returns, and nothing has
// happened if that is with an error. The error may be an *audience.InvalidError, or
// wrap account.ErrNotFound, ErrNoCredential, outbox.ErrOtherRequest or
// outbox.ErrFull.
func (p *PushServer) Send(ctx context.Context, app account.AppID, o Order) (Sent, error) {
	a, err := p.book.App(app)
	if err != nil {
		return Sent{}, err
	}
	now := time.Now()
	intent, err := o.intent(&a, now)
	if err != nil {
		return Sent{}, err
	}
	if err := p.checkCredential(&a, &o, &intent, now); err != nil {
		return Sent{}, err
	}
	shards, members, err := p.resolve(ctx, a.Number, &o.To)
	if err != nil {
		return Sent{}, err
	}
	intent.ID = outbox.NewMessageID(now)
	intent.TraceParent = traceParent(ctx)
	oteltrace.SpanFromContext(ctx).SetAttributes(attribute.Stringer("herald.message", intent.ID))
	if o.ValidateOnly {
		return Sent{Message: outbox.Message{Intent: intent, Status: intent.Begin(members, now)}}, nil
	}
	m, repeated, err := p.outbox.Submit(ctx, outbox.Submission{Intent: intent, Shards: shards, Once: o.Once}, now)
	// Also after an error, and for one that was sent before: who gave up waiting for the
	// disk does not know whether it is there.
	p.wake()
	if err != nil {
		return Sent{}, err
	}
	if !repeated {
		return Sent{m, false}, nil
	}
	if m.App == 0 { // its ID alone was left in the outbox
		archived, err := p.history.message(ctx, a.Number, m.ID)
		if err != nil && !errors.Is(err, outbox.ErrNotFound) {
			return Sent{}, err
		}
		if err == nil {
			m = archived
		}
	}
	return Sent{m, true}, nil
}

// traceParent returns the traceparent of what a call belongs to, empty for nothing.
func traceParent(ctx context.Context) string {
	if !oteltrace.SpanContextFromContext(ctx).IsValid() {
		return ""
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier.Get("traceparent")
}

// wake tells the loops that there is something new in the outbox.
func (p *PushServer) wake() {
	p.dispatcher.Wake()
	p.freezer.Wake()
}

// checkCredential says whether there is a credential for an order: for each
// environment of the device tokens that it names, and for one else.
func (p *PushServer) checkCredential(a *account.App, o *Order, i *outbox.Intent, now time.Time) error {
	all := p.book.Credentials(a.ID)
	missing := func(e apns.Environment) bool {
		return len(account.Choose(all, e, i.Notification.Topic, now)) == 0
	}
	var asked []apns.Environment
	switch {
	case len(o.To.DeviceTokens) > 0:
		for _, e := range apns.Environments {
			if slices.ContainsFunc(o.To.DeviceTokens, func(t outbox.Addressee) bool { return t.Environment == e }) {
				asked = append(asked, e)
			}
		}
	case o.Environment != 0:
		asked = append(asked, o.Environment)
	case missing(apns.Sandbox) && missing(apns.Production):
		return fmt.Errorf("%s, %s: %w", a.ID, i.Notification.Topic, ErrNoCredential)
	}
	for _, e := range asked {
		if missing(e) {
			return fmt.Errorf("%s, %v, %s: %w", a.ID, e, i.Notification.Topic, ErrNoCredential)
		}
	}
	return nil
}

// resolve returns the shards of whom an order names, and how many they are; none
// for a tag and for everybody.
func (p *PushServer) resolve(ctx context.Context, app audience.AppNumber, to *Recipients) (shards []outbox.Shard, members int, err error) {
	if len(to.DeviceTokens) > 0 {
		for some := range slices.Chunk(to.DeviceTokens, outbox.MaxListed) {
			shards = append(shards, outbox.Shard{Number: uint32(len(shards)), Listed: some, Receipts: outbox.NewReceipts(len(some))})
		}
		return shards, len(to.DeviceTokens), nil
	}
	ordinals, err := p.ordinals(ctx, app, to)
	if err != nil {
		return nil, 0, err
	}
	chunks := make(map[audience.Chunk]*audience.Members)
	for _, o := range ordinals {
		if chunks[o.Chunk()] == nil {
			chunks[o.Chunk()] = new(audience.Members)
		}
		chunks[o.Chunk()].Add(o.Slot())
	}
	for _, c := range slices.Sorted(maps.Keys(chunks)) {
		shards = append(shards, outbox.NewShard(c, chunks[c]))
		members += chunks[c].Count()
	}
	return shards, members, nil
}

// ordinals returns those of the installations that an order names, or whose people
// it names.
func (p *PushServer) ordinals(ctx context.Context, app audience.AppNumber, to *Recipients) (all []audience.Ordinal, err error) {
	var faults audience.Faults
	if len(to.Installations) > 0 {
		located, err := p.audience.Ordinals(ctx, app, to.Installations)
		if err != nil {
			return nil, err
		}
		for n, l := range located {
			if !l.Known {
				faults.Add(fmt.Sprintf("/to/installations/%d", n), audience.Unknown, "the app has no such installation")
			}
			all = append(all, l.Ordinal)
		}
	}
	for n, alias := range to.People {
		some, err := p.audience.Person(ctx, app, alias, audience.MaxOfPerson+1)
		if err != nil {
			return nil, err
		}
		switch at := fmt.Sprintf("/to/people/%d", n); {
		case len(some) == 0:
			faults.Add(at, audience.Unknown, "no installation of the app is this person's")
		case len(some) > audience.MaxOfPerson: // nobody is left out without a word
			faults.Add(at, audience.TooMany, fmt.Sprintf("more than %d installations are this person's: give those a tag", audience.MaxOfPerson))
		}
		all = append(all, some...)
	}
	return all, faults.Err()
}
