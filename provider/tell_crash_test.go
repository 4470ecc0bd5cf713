package provider_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnstest/scripted"
	"github.com/heraldpush/herald/provider"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/event"
	"github.com/heraldpush/herald/provider/outbox"
	"github.com/heraldpush/herald/store/memory"
)

// errOver is what is not written any more, as the process has ended.
var errOver = errors.New("the process has ended")

// endingEvents and endingOutbox write nothing more of what is told once they are over.
type (
	endingEvents struct {
		event.Store
		over atomic.Bool
	}
	endingOutbox struct {
		outbox.Store
		over atomic.Bool
	}
)

func (s *endingEvents) Append(ctx context.Context, events []event.Event) error {
	if s.over.Load() {
		return errOver
	}
	return s.Store.Append(ctx, events)
}

func (s *endingOutbox) Step(ctx context.Context, id outbox.MessageID, e outbox.Event, shards []outbox.Shard, now time.Time) (outbox.Message, error) {
	if told, ok := e.(outbox.Told); ok && s.over.Load() && len(told.Turns) > 0 {
		return outbox.Message{}, errOver
	}
	return s.Store.Step(ctx, id, e, shards, now)
}

// What happened to a message is told by the next process if the one before ended between
// that and the event, or between the event and the note that it was told. It is the same
// event then.
func TestTellsAfterACrash(t *testing.T) {
	for name, ends := range map[string]func(*endingEvents, *endingOutbox){
		"before the event": func(s *endingEvents, _ *endingOutbox) { s.over.Store(true) },
		"after the event":  func(_ *endingEvents, o *endingOutbox) { o.over.Store(true) },
	} {
		t.Run(name, func(t *testing.T) {
			var (
				events = &endingEvents{Store: memory.NewEvent()}
				queue  endingOutbox
				cfg    provider.Config
			)
			playWith(t, func(c *provider.Config) {
				var err error
				if c.Events, err = event.OpenLog(t.Context(), events); err != nil {
					t.Fatal(err)
				}
				queue.Store, c.Outbox = c.Outbox, &queue
				cfg = *c
			}, func(w *world) {
				w.events = cfg.Events
				w.key("KEY1111111")
				w.crowd(20)
				later := everybody
				later.StartAt = time.Now().Add(time.Hour)
				names := make(map[string]string)
				order := func(name string, o provider.Order) outbox.MessageID {
					id := w.order(shop, o)
					names[id.String()] = name
					return id
				}
				order("first", everybody)
				second, third := order("second", later), order("third", later)
				ends(events, &queue)
				w.run(func() {
					for _, id := range []outbox.MessageID{second, third} {
						if _, err := w.Pause(w.t.Context(), shop, id); err != nil {
							w.t.Error(err)
						}
					}
					if _, err := w.Resume(w.t.Context(), shop, third); err != nil {
						w.t.Error(err)
					}
					time.Sleep(time.Minute)
				})
				if all := w.told(); events.over.Load() && len(all) > 0 {
					w.t.Errorf("told already: %+v", all)
				}
				events.over.Store(false)
				queue.over.Store(false)
				for range 2 { // the third process has nothing left to tell
					var err error
					w.PushServer, err = provider.New(cfg)
					w.must(err)
					w.run(func() { time.Sleep(time.Minute) })
				}
				var got []string
				for _, e := range w.told() {
					got = append(got, fmt.Sprint(names[e.Subject], " ", strings.TrimPrefix(string(e.Kind), "message.")))
				}
				slices.Sort(got)
				if want := []string{"first done", "first started", "second paused", "third paused", "third resumed"}; !slices.Equal(got, want) {
					w.t.Errorf("got %q, want %q", got, want)
				}
				for id, name := range names {
					parsed, err := outbox.ParseMessageID(id)
					w.must(err)
					if m, err := w.Message(w.t.Context(), shop, parsed); err != nil || len(m.Untold) > 0 {
						w.t.Errorf("%s: got %+v, %v, want nothing untold", name, m.Untold, err)
					}
				}
			})
		})
	}
}

// What an answer says of a device token is told before it is noted: where that cannot be,
// the next answer says it again.
func TestNothingIsNotedUntold(t *testing.T) {
	events := &endingEvents{Store: memory.NewEvent()}
	playWith(t, func(c *provider.Config) {
		var err error
		if c.Events, err = event.OpenLog(t.Context(), events); err != nil {
			t.Fatal(err)
		}
	}, func(w *world) {
		w.key("KEY1111111")
		all := w.crowd(1)
		w.gateway.ReplyTo(tokenOf(0), scripted.Refuse(apns.BadDeviceToken))
		state := func() audience.State {
			i, err := w.Installation(w.t.Context(), shop, all[0])
			w.must(err)
			return i.Destinations[0].Standing.State
		}
		events.over.Store(true)
		w.run(func() {
			w.ended(shop, w.send(shop, all...))
			time.Sleep(time.Minute)
			if got := state(); got != audience.Active {
				w.t.Errorf("got %v, want it as it was: nobody was told", got)
			}
			events.over.Store(false)
			w.ended(shop, w.send(shop, all...))
			time.Sleep(time.Minute)
		})
		bounds, last, err := events.Bounds(w.t.Context())
		w.must(err)
		if got := state(); got != audience.Gone || last < bounds {
			w.t.Errorf("got %v with %d events, want it gone, and told", got, last)
		}
	})
}
