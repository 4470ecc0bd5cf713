package account

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/audience"
)

// MaxCredentials is how many credentials an app may have.
const MaxCredentials = 16

// ErrNoChecker says that there is nobody to ask whether a credential is taken.
var ErrNoChecker = errors.New("no gateway to check credentials with")

// checkTimeout is how long a gateway may take for a Probe.
const checkTimeout = 20 * time.Second

// Checker asks a gateway whether it takes a credential. It is safe for concurrent
// use.
type Checker interface {
	// Check sends a notification that reaches nobody, as its device token is made
	// up, and returns the answer: an error that wraps an *apns.Rejection, usually
	// that the device token is none, nil, or why there was no answer.
	Check(ctx context.Context, p Probe) error
}

// Probe is a question to a gateway.
type Probe struct {
	Material    Material
	Environment apns.Environment
	Topic       apns.Topic
}

// Finding is what came of a Probe.
type Finding struct {
	Environment apns.Environment
	Verdict     Verdict
	// Reason is that of a credential that was refused.
	Reason apns.Reason
	// Err is why it is not clear; nil if it is.
	Err error
}

// Credential returns a credential of an app, or an error that wraps ErrNotFound.
func (b *Book) Credential(app AppID, id CredentialID) (Credential, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if c := b.credentials[id]; c != nil && c.App == app {
		return c.clone(), nil
	}
	return Credential{}, fmt.Errorf("credential %.80q: %w", string(id), ErrNotFound)
}

// Credentials returns the credentials of an app, the oldest first.
func (b *Book) Credentials(app AppID) (all []Credential) {
	b.mu.RLock()
	for _, c := range b.credentials {
		if c.App == app {
			all = append(all, c.clone())
		}
	}
	b.mu.RUnlock()
	slices.SortFunc(all, func(a, b Credential) int {
		if order := a.CreatedAt.Compare(b.CreatedAt); order != 0 {
			return order
		}
		return strings.Compare(string(a.ID), string(b.ID))
	})
	return all
}

// Upload reads a credential and keeps it, sealed. It is not proven: see Check. The
// error is an *audience.InvalidError for what cannot be, and wraps ErrNotFound
// where there is no such app.
func (b *Book) Upload(ctx context.Context, app AppID, u Upload) (Credential, error) {
	a, err := b.App(app)
	if err != nil {
		return Credential{}, err
	}
	m, err := u.Read(a, now())
	if err != nil {
		return Credential{}, err
	}
	c := m.Credential()
	secret, err := m.seal(b.sealer)
	if err != nil {
		return Credential{}, fmt.Errorf("sealing a credential: %w", err)
	}
	err = b.alone(ctx, func() error {
		if err := mayUpload(&c, b.Credentials(app)); err != nil {
			return err
		}
		return b.write(ctx, func(tx Tx) error {
			err := b.note(ctx, tx, "credential.upload", string(c.ID), "app %s, %s, for %v, SHA-256 %s, replaces %q", app, c.Name, c.Environments, c.Fingerprint, c.Replaces)
			return errors.Join(err, put(tx, kindSecret, string(c.ID), secret), put(tx, kindCredential, string(c.ID), c))
		}, func() { b.credentials[c.ID] = &c })
	})
	if err != nil {
		return Credential{}, fmt.Errorf("storing a credential: %w", err)
	}
	return c.clone(), nil
}

// mayUpload says why a credential cannot be beside the others of its app.
func mayUpload(c *Credential, others []Credential) error {
	if len(others) >= MaxCredentials {
		return wrong("", audience.TooMany, "the app has %d credentials, which is as many as there may be: delete one", len(others))
	}
	found := c.Replaces == ""
	for _, o := range others {
		switch {
		case o.Fingerprint == c.Fingerprint && o.KeyID == c.KeyID && o.NotAfter.Equal(c.NotAfter):
			return wrong("/file", audience.Conflict, "the app has this credential already: %s", o.ID)
		case o.ID != c.Replaces:
		case !c.mayReplace(&o):
			return wrong("/replaces", audience.Conflict, "the new credential is not for all the environments and topics of that")
		default:
			found = true
		}
	}
	if !found {
		return wrong("/replaces", audience.Unknown, "the app has no such credential")
	}
	return nil
}

// Answered notes what a gateway's answer says of a credential, if that is worth
// it. One that is proven now takes the place of the one that it Replaces, which is
// removed in the same transaction. An answer for a credential that is gone does
// nothing.
func (b *Book) Answered(ctx context.Context, id CredentialID, a Answer) error {
	if !b.changes(id, a) { // as nearly always
		return nil
	}
	err := b.alone(ctx, func() error {
		b.mu.RLock()
		c := b.credentials[id]
		b.mu.RUnlock()
		if c == nil {
			return nil
		}
		after, changed := c.After(a)
		if !changed {
			return nil
		}
		if t, ok := turn(c, &after, a); ok && b.turned != nil {
			if err := b.turned(ctx, t); err != nil {
				return err
			}
		}
		var old *Credential
		if after.Replaces != "" {
			b.mu.RLock()
			old = b.credentials[after.Replaces]
			b.mu.RUnlock()
			if old != nil && !after.replaces(old) {
				old = nil
			} else {
				after.Replaces = ""
			}
		}
		return b.write(ctx, func(tx Tx) error {
			return b.storeAnswered(ctx, tx, c, &after, old, a.Environment)
		}, func() {
			b.credentials[id] = &after
			if old != nil {
				delete(b.credentials, old.ID)
			}
		})
	})
	if err != nil {
		return fmt.Errorf("noting the standing of %s: %w", id, err)
	}
	return nil
}

// changes reports whether an answer changes a credential.
func (b *Book) changes(id CredentialID, a Answer) bool {
	b.mu.RLock()
	c := b.credentials[id]
	b.mu.RUnlock()
	if c == nil {
		return false
	}
	_, changed := c.After(a)
	return changed
}

// storeAnswered stores what became of a credential, and removes old, if it is not
// nil. What is new goes to the audit log.
func (b *Book) storeAnswered(ctx context.Context, tx Tx, before, after, old *Credential, e apns.Environment) error {
	was, is := before.Standing(e), after.Standing(e)
	var errs []error
	switch {
	case is.Proven() && !was.Proven():
		errs = append(errs, b.note(ctx, tx, "credential.proven", string(after.ID), "app %s, in %s", after.App, e))
	case is.Reason != was.Reason:
		errs = append(errs, b.note(ctx, tx, "credential.refused", string(after.ID), "app %s, in %s: %s", after.App, e, is.Reason))
	}
	if old != nil {
		errs = append(errs, b.note(ctx, tx, "credential.replaced", string(old.ID), "app %s, by %s", old.App, after.ID), removeCredential(tx, old.ID))
	}
	return errors.Join(append(errs, put(tx, kindCredential, string(after.ID), after))...)
}

func removeCredential(tx Tx, id CredentialID) error {
	return errors.Join(tx.Delete(kindSecret, string(id)), tx.Delete(kindCredential, string(id)))
}

// Check asks a gateway in each environment of a credential whether it takes it,
// notes the answers, and returns them. A gateway that does not answer changes
// nothing. The error may be ErrNoChecker, or wrap ErrNotFound.
func (b *Book) Check(ctx context.Context, app AppID, id CredentialID) ([]Finding, error) {
	if b.checker == nil {
		return nil, ErrNoChecker
	}
	m, err := b.Material(ctx, app, id)
	if err != nil {
		return nil, err
	}
	a, err := b.App(app)
	if err != nil {
		return nil, err
	}
	c, topic := m.Credential(), a.BundleID
	if len(c.Topics) > 0 && !slices.Contains(c.Topics, topic) {
		topic = c.Topics[0]
	}
	var findings []Finding
	for _, e := range c.Environments {
		answer := Answer{Environment: e, Topic: topic, Err: b.probe(ctx, Probe{m, e, topic}), At: now()}
		if err := ctx.Err(); err != nil {
			return findings, err
		}
		f := Finding{Environment: e}
		if f.Verdict, f.Reason = c.Judge(answer); f.Verdict == Unclear {
			f.Err = answer.Err
		}
		if err := b.Answered(ctx, id, answer); err != nil {
			return findings, err
		}
		findings = append(findings, f)
	}
	b.logger.InfoContext(ctx, "checked a credential", slog.String("app", string(app)), slog.String("credential", string(id)))
	return findings, nil
}

func (b *Book) probe(ctx context.Context, p Probe) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return b.checker.Check(ctx, p)
}

// DeleteCredential removes a credential and its private key. One that is Needed is
// removed only if force is set; the error is an *audience.InvalidError then with
// the code audience.Conflict. It may wrap ErrNotFound.
func (b *Book) DeleteCredential(ctx context.Context, app AppID, id CredentialID, force bool) error {
	err := b.alone(ctx, func() error {
		c, err := b.Credential(app, id)
		if err != nil {
			return err
		}
		if !force && c.Needed(b.Credentials(app), now()) {
			return wrong("", audience.Conflict, "no other credential of the app is proven for all that this one is for")
		}
		return b.write(ctx, func(tx Tx) error {
			return errors.Join(b.note(ctx, tx, "credential.delete", string(id), "app %s, %s", app, c.Name), removeCredential(tx, id))
		}, func() { delete(b.credentials, id) })
	})
	if err != nil {
		return fmt.Errorf("deleting credential: %w", err)
	}
	return nil
}
