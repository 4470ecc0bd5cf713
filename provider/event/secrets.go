package event

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/heraldpush/herald/provider/account"
)

// sealedSecrets is how the secrets of a webhook are stored.
type sealedSecrets struct {
	Sealed []byte `json:"sealed"`
	// Former is the one before, which is good until FormerUntil.
	Former      []byte    `json:"former,omitempty"`
	FormerUntil time.Time `json:"former_until,omitzero"`
}

// sealContext names the secret of a webhook to the sealer.
func sealContext(id WebhookID) string { return "provider webhook " + string(id) }

func (r *Roll) seal(id WebhookID, s Secret) ([]byte, error) {
	sealed, err := r.cfg.Book.Sealer().Seal(sealContext(id), []byte(s.Reveal()))
	if err != nil {
		return nil, fmt.Errorf("sealing the secret of %s: %w", id, err)
	}
	return sealed, nil
}

func (r *Roll) unseal(id WebhookID, sealed []byte) (Secret, error) {
	text, err := r.cfg.Book.Sealer().Open(sealContext(id), sealed)
	if err != nil {
		return Secret{}, fmt.Errorf("opening the secret of %s: %w", id, err)
	}
	defer clear(text)
	s, err := ParseSecret(string(text))
	if err != nil {
		return Secret{}, fmt.Errorf("the secret of %s: %w", id, err)
	}
	return s, nil
}

// secrets returns those that a delivery is signed with at a time, the newest first.
func (r *Roll) secrets(ctx context.Context, id WebhookID, at time.Time) ([]Secret, error) {
	var stored sealedSecrets
	if err := r.cfg.Book.View(ctx, func(tx account.Tx) error { return get(tx, kindSecret, id, &stored) }); err != nil {
		return nil, fmt.Errorf("reading the secret of %s: %w", id, err)
	}
	s, err := r.unseal(id, stored.Sealed)
	if err != nil {
		return nil, err
	}
	all := []Secret{s}
	if len(stored.Former) > 0 && at.Before(stored.FormerUntil) {
		if s, err = r.unseal(id, stored.Former); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// Rotate gives a webhook another secret, which is returned this once. Deliveries are
// signed with the one before as well for RotateOverlap, so that a receiver can be
// changed in that time. The error may wrap account.ErrNotFound.
func (r *Roll) Rotate(ctx context.Context, id WebhookID) (Webhook, Secret, error) {
	var w *webhook
	secret := newSecret()
	err := r.alone(ctx, func() (err error) {
		if w, _, err = r.watch(id); err != nil {
			return err
		}
		sealed, err := r.seal(id, secret)
		if err != nil {
			return err
		}
		return r.cfg.Book.Update(ctx, func(tx account.Tx) error {
			var stored sealedSecrets
			if err := get(tx, kindSecret, id, &stored); err != nil {
				return err
			}
			stored = sealedSecrets{Sealed: sealed, Former: stored.Sealed, FormerUntil: time.Now().Add(RotateOverlap).UTC().Round(0)}
			return errors.Join(r.cfg.Book.Note(ctx, tx, "webhook.rotate", string(id), w.Name), put(tx, kindSecret, id, stored))
		})
	})
	if err != nil {
		return Webhook{}, Secret{}, fmt.Errorf("rotating the secret of a webhook: %w", err)
	}
	return w.clone(), secret, nil
}
