package event

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
)

// The kinds of records that a Roll keeps in the store of the book; each is the JSON
// of the type named, by the ID of its webhook.
const (
	kindWebhook  account.Kind = "webhook"          // Webhook, whose Progress is not looked at
	kindSecret   account.Kind = "webhook_secret"   // sealedSecrets
	kindProgress account.Kind = "webhook_progress" // Progress
)

// RotateOverlap is how long deliveries are signed with a secret beside the one that
// has taken its place.
const RotateOverlap = 24 * time.Hour

// Roll has the webhooks of a provider. It is safe for concurrent use. What it
// changes is durable (if the store is) when the method returns, with its line in the
// audit log.
type Roll struct {
	cfg RollConfig

	// changing holds one while a change is made, in the store and then in memory.
	changing chan struct{}

	mu       sync.RWMutex
	webhooks map[WebhookID]*webhook // guarded by mu
	changed  chan struct{}          // closed and replaced when people change something; guarded by mu
}

// webhook is a Webhook in memory. It does not change: it is replaced.
type webhook struct {
	Webhook
	stored uint64 // the cursor that is in the store
}

// RollConfig says what a Roll is made of. Book and Log are required.
type RollConfig struct {
	// Book keeps the records, and the audit log.
	Book *account.Book
	// Log is what is delivered.
	Log *Log
	// Plain allows URLs with http to every machine.
	Plain bool
}

// OpenRoll returns the webhooks that the book has.
func OpenRoll(ctx context.Context, cfg RollConfig) (*Roll, error) {
	if cfg.Book == nil || cfg.Log == nil {
		return nil, errors.New("webhooks: book and log are required")
	}
	r := &Roll{
		cfg: cfg, changing: make(chan struct{}, 1),
		webhooks: make(map[WebhookID]*webhook), changed: make(chan struct{}),
	}
	err := cfg.Book.View(ctx, func(tx account.Tx) error {
		return tx.Each(kindWebhook, "", func(id string, body []byte) error {
			w := new(webhook)
			if err := json.Unmarshal(body, &w.Webhook); err != nil {
				return fmt.Errorf("record of %s is damaged: %w", id, err)
			}
			if err := get(tx, kindProgress, w.ID, &w.Progress); err != nil {
				return err
			}
			w.stored = w.Progress.Cursor
			r.webhooks[w.ID] = w
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("opening the webhooks: %w", err)
	}
	return r, nil
}

// get reads a record of a webhook.
func get(tx account.Tx, kind account.Kind, id WebhookID, v any) error {
	body, err := tx.Get(kind, string(id))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("record of %s is damaged: %w", id, err)
	}
	return nil
}

// put writes a record of a webhook.
func put(tx account.Tx, kind account.Kind, id WebhookID, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("record of %s: %w", id, err)
	}
	return tx.Put(kind, string(id), body)
}

// alone runs f while nobody else makes a change.
func (r *Roll) alone(ctx context.Context, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case r.changing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-r.changing }()
	return f()
}

// write makes a change in the store, and if that succeeds in memory; w is nil for one
// that is removed. The caller is alone.
func (r *Roll) write(ctx context.Context, id WebhookID, w *webhook, f func(account.Tx) error) error {
	if err := r.cfg.Book.Update(ctx, f); err != nil {
		return err
	}
	r.keep(id, w)
	return nil
}

// keep has a webhook in memory as it is now.
func (r *Roll) keep(id WebhookID, w *webhook) {
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.webhooks[id]
	if r.webhooks[id] = w; w == nil {
		delete(r.webhooks, id)
	}
	if was == nil || w == nil || was.Progress.Term != w.Progress.Term {
		close(r.changed)
		r.changed = make(chan struct{})
	}
}

func missing(id WebhookID) error {
	return fmt.Errorf("webhook %.80q: %w", string(id), account.ErrNotFound)
}

// Create enters a webhook, to which events are posted that happen from now on. The
// Secret is returned this once. The error is an *audience.InvalidError for what
// cannot be.
func (r *Roll) Create(ctx context.Context, s WebhookSpec) (Webhook, Secret, error) {
	err := s.check(func(id account.AppID) bool {
		_, err := r.cfg.Book.App(id)
		return err == nil
	}, r.cfg.Plain)
	if err != nil {
		return Webhook{}, Secret{}, fmt.Errorf("creating webhook: %w", err)
	}
	w, secret := &webhook{Webhook: Webhook{WebhookSpec: s}}, newSecret()
	err = r.alone(ctx, func() error {
		if n := len(r.List("", MaxWebhooks)); n >= MaxWebhooks {
			var faults audience.Faults
			faults.Add("", audience.TooMany, fmt.Sprintf("there are %d webhooks, which is as many as there may be", n))
			return faults.Err()
		}
		_, last, err := r.cfg.Log.Bounds(ctx)
		if err != nil {
			return err
		}
		w.ID = WebhookID(webhookIDPrefix + strings.ToLower(rand.Text()[:20]))
		w.CreatedAt, w.Progress, w.stored = time.Now().UTC().Round(0), Progress{State: Active, Cursor: last}, last
		sealed, err := r.seal(w.ID, secret)
		if err != nil {
			return err
		}
		return r.write(ctx, w.ID, w, func(tx account.Tx) error {
			return errors.Join(
				r.cfg.Book.Note(ctx, tx, "webhook.create", string(w.ID), fmt.Sprintf("%s at %s, kinds %v, apps %v", s.Name, s.Host(), s.Kinds, s.Apps)),
				put(tx, kindWebhook, w.ID, w.Webhook), put(tx, kindProgress, w.ID, w.Progress),
				put(tx, kindSecret, w.ID, sealedSecrets{Sealed: sealed}),
			)
		})
	})
	if err != nil {
		return Webhook{}, Secret{}, fmt.Errorf("creating webhook: %w", err)
	}
	return w.clone(), secret, nil
}

// clone returns a copy that shares nothing with w.
func (w *webhook) clone() Webhook {
	c := w.Webhook
	c.Kinds, c.Apps = slices.Clone(w.Kinds), slices.Clone(w.Apps)
	return c
}

// Webhook returns a webhook, or an error that wraps account.ErrNotFound.
func (r *Roll) Webhook(id WebhookID) (Webhook, error) {
	w, _, err := r.watch(id)
	if err != nil {
		return Webhook{}, err
	}
	return w.clone(), nil
}

// watch returns a webhook, and what is closed when people change one.
func (r *Roll) watch(id WebhookID) (*webhook, <-chan struct{}, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	w := r.webhooks[id]
	if w == nil {
		return nil, r.changed, missing(id)
	}
	return w, r.changed, nil
}

// List returns up to limit webhooks, by ID, from after one on.
func (r *Roll) List(after WebhookID, limit int) (all []Webhook) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for id, w := range r.webhooks {
		if id > after {
			all = append(all, w.clone())
		}
	}
	slices.SortFunc(all, func(a, b Webhook) int { return cmp.Compare(a.ID, b.ID) })
	return all[:max(0, min(limit, len(all)))]
}

// active returns the IDs of the webhooks that events are posted to, and what is
// closed when people change one.
func (r *Roll) active() (ids []WebhookID, changed <-chan struct{}) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for id, w := range r.webhooks {
		if w.Progress.State == Active {
			ids = append(ids, id)
		}
	}
	return ids, r.changed
}

// Delete removes a webhook. The error may wrap account.ErrNotFound.
func (r *Roll) Delete(ctx context.Context, id WebhookID) error {
	err := r.alone(ctx, func() error {
		w, _, err := r.watch(id)
		if err != nil {
			return err
		}
		return r.write(ctx, id, nil, func(tx account.Tx) error {
			return errors.Join(
				r.cfg.Book.Note(ctx, tx, "webhook.delete", string(id), w.Name+" at "+w.Host()),
				tx.Delete(kindWebhook, string(id)), tx.Delete(kindSecret, string(id)), tx.Delete(kindProgress, string(id)),
			)
		})
	})
	if err != nil {
		return fmt.Errorf("deleting webhook: %w", err)
	}
	return nil
}

// Pause stops posting to a webhook until Resume or Replay. The error may wrap
// account.ErrNotFound.
func (r *Roll) Pause(ctx context.Context, id WebhookID) (Webhook, error) {
	return r.change(ctx, id, "webhook.pause", "", Pause{})
}

// Resume goes on posting to a webhook that is paused, or whose next try is later,
// where it stopped. The error may wrap account.ErrNotFound.
func (r *Roll) Resume(ctx context.Context, id WebhookID) (Webhook, error) {
	return r.change(ctx, id, "webhook.resume", "", Resume{})
}

// Replay has all events posted to a webhook again that came after a sequence number
// and are still in the log, and resumes it. The error may wrap account.ErrNotFound,
// and is an *audience.InvalidError for a number that is not given yet.
func (r *Roll) Replay(ctx context.Context, id WebhookID, after uint64) (Webhook, error) {
	first, last, err := r.cfg.Log.Bounds(ctx)
	if err != nil {
		return Webhook{}, fmt.Errorf("replaying webhook: %w", err)
	}
	if after > last {
		var faults audience.Faults
		faults.Add("/after", audience.Malformed, fmt.Sprintf("the last event has the number %d", last))
		return Webhook{}, faults.Err()
	}
	after = max(after, first-1) // what is not in the log any more was not missed
	return r.change(ctx, id, "webhook.replay", fmt.Sprint("after ", after), Replay{after})
}

// change carries out what somebody wants.
func (r *Roll) change(ctx context.Context, id WebhookID, action, detail string, h Happening) (Webhook, error) {
	var after *webhook
	err := r.alone(ctx, func() error {
		w, _, err := r.watch(id)
		if err != nil {
			return err
		}
		c := *w
		after = &c
		after.Progress, _ = w.Progress.Step(h, time.Now())
		after.stored = after.Progress.Cursor
		return r.write(ctx, id, after, func(tx account.Tx) error {
			return errors.Join(r.cfg.Book.Note(ctx, tx, action, string(id), detail), put(tx, kindProgress, id, after.Progress))
		})
	})
	if err != nil {
		return Webhook{}, fmt.Errorf("%s: %w", action, err)
	}
	return after.clone(), nil
}

// storeEvery is how many events that are not wanted may pass before it is stored.
const storeEvery = 1000

// happened notes what became of a delivery that began in a term. In another, or where
// the webhook is gone, it does nothing. An event that is to be told is in the log
// before its cause is stored, so that it is told at least once.
func (r *Roll) happened(ctx context.Context, id WebhookID, term uint64, h Happening) error {
	return r.alone(ctx, func() error {
		w, _, err := r.watch(id)
		if err != nil || w.Progress.Term != term {
			return nil //nolint:nilerr // it is nobody's any more
		}
		now := time.Now()
		after := *w
		var effects Effects
		after.Progress, effects = w.Progress.Step(h, now)
		if effects.Tell {
			e, err := ofPause(&w.Webhook, after.Progress, now)
			if err != nil {
				return err
			}
			if err := r.cfg.Log.Append(ctx, e); err != nil {
				return err
			}
		}
		if !effects.Store && after.Progress.Cursor-after.stored < storeEvery {
			r.keep(id, &after)
			return nil
		}
		after.stored = after.Progress.Cursor
		return r.write(ctx, id, &after, func(tx account.Tx) error {
			var note error
			if effects.Tell {
				note = r.cfg.Book.Note(ctx, tx, "webhook.paused", string(id), after.Progress.Why+": "+after.Progress.LastError)
			}
			return errors.Join(note, put(tx, kindProgress, id, after.Progress))
		})
	})
}
