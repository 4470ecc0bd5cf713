package provider

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/dispatch"
)

// ErrNoCredential says that an app has no credential that is valid now for an
// environment and topic.
var ErrNoCredential = errors.New("the app has no valid credential for this environment and topic: upload one")

// Times of the roads.
const (
	// openTimeout is how long a private key may take to be read.
	openTimeout = 10 * time.Second
	// keepUnused is how long a sender is kept that nobody uses: longer than the
	// pause between two messages, as the push service wants connections to be kept.
	keepUnused = 2 * time.Hour
	// tidyEvery is how often those are looked for.
	tidyEvery = time.Minute
	// cutEvery is how often the log says that a push service is not reached.
	cutEvery = time.Minute
)

// roads has the connections to the push service: one sender for each credential
// and environment, however many apps use the credential.
type roads struct {
	book    *account.Book
	gateway Gateway
	logger  *slog.Logger

	mu      sync.Mutex
	tokens  map[secretID]*apnsclient.ProviderTokens // guarded by mu
	senders map[senderID]*sender                    // guarded by mu
	tidied  time.Time                               // guarded by mu
	closed  bool                                    // guarded by mu
	faults  map[audience.AppNumber]fault            // the last of each app; guarded by mu

	reach sync.Mutex
	cut   map[apns.Environment]*cutOff // the push services that are not reached; guarded by reach
}

// cutOff says that a push service is not reached.
type cutOff struct {
	err    error     // why, the last time
	toldAt time.Time // when the log said so
}

// secretID names what notifications are sent with, in whichever apps it was
// uploaded.
type secretID struct {
	kind        account.CredentialKind
	team        apns.TeamID
	key         apns.KeyID
	fingerprint string
	notAfter    time.Time
}

type senderID struct {
	secretID
	environment apns.Environment
}

// sender is an open sender. Those who use it hold it.
type sender struct {
	*apnsclient.Sender
	held   int       // guarded by roads.mu
	usedAt time.Time // guarded by roads.mu
}

func newRoads(book *account.Book, g Gateway, logger *slog.Logger) *roads {
	return &roads{
		book: book, gateway: g, logger: logger,
		tokens: make(map[secretID]*apnsclient.ProviderTokens), senders: make(map[senderID]*sender),
		faults: make(map[audience.AppNumber]fault), cut: make(map[apns.Environment]*cutOff),
	}
}

// to is dispatch.Config.Road: it returns the way of an app's notifications, with
// the credential that is the best now.
func (r *roads) to(number audience.AppNumber, e apns.Environment, t apns.Topic) (dispatch.Pusher, error) {
	app, err := r.book.AppOfNumber(number)
	if err != nil {
		return nil, err
	}
	fit := account.Choose(r.book.Credentials(app.ID), e, t, time.Now())
	if len(fit) == 0 {
		return nil, fmt.Errorf("%s, %v, %s: %w", app.ID, e, t, ErrNoCredential)
	}
	return &way{roads: r, app: app.ID, credential: fit[0], environment: e, topic: t}, nil
}

// fault is what kept notifications of an app from being sent.
type fault struct {
	at  time.Time
	err error
}

// lastFault returns the last of an app that was not before a time, nil if there is
// none.
func (r *roads) lastFault(number audience.AppNumber, since time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.faults[number]; !f.at.Before(since) {
		return f.err
	}
	return nil
}

// fault is dispatch.Config.Fault.
func (r *roads) fault(number audience.AppNumber, e apns.Environment, t apns.Topic, err error) {
	r.mu.Lock()
	r.faults[number] = fault{time.Now(), err}
	r.mu.Unlock()
	r.logger.Error("notifications of an app cannot be sent, and wait", slog.Any("app_number", number),
		slog.String("environment", e.String()), slog.String("topic", string(t)), slog.Any("error", err))
}

// watched returns how the push service of an environment is reached, with note told of
// its connections.
func (r *roads) watched(e apns.Environment) apnsclient.Config {
	cfg := r.gateway.config(e)
	also := cfg.Hooks.Connection
	cfg.Hooks.Connection = func(event apnsclient.ConnectionEvent) {
		r.note(e, event)
		if also != nil {
			also(event)
		}
	}
	return cfg
}

// note notes whether a push service is reached. A push that gets onto no connection
// has no answer that could say so.
func (r *roads) note(e apns.Environment, event apnsclient.ConnectionEvent) {
	r.reach.Lock()
	defer r.reach.Unlock()
	was := r.cut[e]
	switch {
	case event.Kind == apnsclient.Opened && was != nil:
		delete(r.cut, e)
		r.logger.Info("the push service is reached again", slog.String("environment", e.String()))
	case event.Kind == apnsclient.Failed && !errors.Is(event.Err, apnsclient.ErrClosed):
		c := &cutOff{err: event.Err, toldAt: time.Now()}
		if r.cut[e] = c; was != nil && c.toldAt.Sub(was.toldAt) < cutEvery {
			c.toldAt = was.toldAt
			return
		}
		r.logger.Error("the push service is not reached, and what is for it waits", slog.String("environment", e.String()), slog.Any("error", event.Err))
	}
}

// unreached returns why the push service of an environment is not reached, nil if it is
// as far as is known.
func (r *roads) unreached(e apns.Environment) error {
	r.reach.Lock()
	defer r.reach.Unlock()
	if c := r.cut[e]; c != nil {
		return c.err
	}
	return nil
}

// hold returns the sender for a credential in an environment, opening it if it is
// not open. It is to be let go.
func (r *roads) hold(ctx context.Context, app account.AppID, c *account.Credential, e apns.Environment) (*sender, error) {
	id := senderID{secretID{c.Kind, c.TeamID, c.KeyID, c.Fingerprint, c.NotAfter}, e}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tidy(time.Now())
	s := r.senders[id]
	if r.closed {
		return nil, apnsclient.ErrClosed
	}
	if s == nil {
		ctx, cancel := context.WithTimeout(ctx, openTimeout)
		defer cancel()
		opened, err := r.open(ctx, app, c.ID, id)
		if err != nil {
			return nil, err
		}
		s = &sender{Sender: opened}
		r.senders[id] = s
	}
	s.held++
	return s, nil
}

func (r *roads) letGo(s *sender) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.held--
	s.usedAt = time.Now()
}

// open returns a new sender. The caller holds mu.
func (r *roads) open(ctx context.Context, app account.AppID, c account.CredentialID, id senderID) (*apnsclient.Sender, error) {
	m, err := r.book.Material(ctx, app, c)
	if err != nil {
		return nil, err
	}
	cfg := r.watched(id.environment)
	if key, ok := m.Key(); !ok {
		return newSender(cfg, m, nil)
	} else if r.tokens[id.secretID] == nil {
		if r.tokens[id.secretID], err = apnsclient.NewProviderTokens(id.team, id.key, key); err != nil {
			delete(r.tokens, id.secretID)
			return nil, err
		}
	}
	return newSender(cfg, m, r.tokens[id.secretID])
}

// newSender returns a sender with a credential: its certificate, or tokens.
func newSender(cfg apnsclient.Config, m account.Material, tokens *apnsclient.ProviderTokens) (*apnsclient.Sender, error) {
	if pair, ok := m.Certificate(); ok {
		cfg.Certificate = &pair
	} else {
		cfg.ProviderTokens = tokens
	}
	return apnsclient.New(cfg)
}

// tidy closes senders that nobody has used for long: the credential was replaced,
// or its app has nothing to say. The caller holds mu.
func (r *roads) tidy(now time.Time) {
	if now.Sub(r.tidied) < tidyEvery {
		return
	}
	r.tidied = now
	for id, s := range r.senders {
		if s.held > 0 || now.Sub(s.usedAt) < keepUnused {
			continue
		}
		delete(r.senders, id)
		if err := s.Close(); err != nil {
			r.logger.Warn("closing a connection", slog.Any("error", err))
		}
	}
	// Nor is a private key kept that no sender uses.
	maps.DeleteFunc(r.tokens, func(id secretID, _ *apnsclient.ProviderTokens) bool {
		return !slices.ContainsFunc(apns.Environments[:], func(e apns.Environment) bool { return r.senders[senderID{id, e}] != nil })
	})
}

// close closes all senders. Nobody holds one any more.
func (r *roads) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	var errs []error
	for _, s := range r.senders {
		errs = append(errs, s.Close())
	}
	clear(r.senders)
	clear(r.tokens)
	return errors.Join(errs...)
}

// way is the dispatch.Pusher of an app in an environment, with one credential. What
// the gateway says of that is noted in the book.
type way struct {
	roads       *roads
	app         account.AppID
	credential  account.Credential
	environment apns.Environment
	topic       apns.Topic
	proven      atomic.Bool // the book was told that the credential is taken
}

// Push implements dispatch.Pusher.
func (w *way) Push(ctx context.Context, to apns.DeviceToken, n apns.Notification) (apnsclient.Receipt, error) {
	s, err := w.roads.hold(ctx, w.app, &w.credential, w.environment)
	if err != nil {
		return apnsclient.Receipt{}, w.unusable(err)
	}
	defer w.roads.letGo(s)
	receipt, err := s.Push(ctx, to, n)
	return receipt, w.answered(ctx, err)
}

// PushAll implements dispatch.Pusher.
func (w *way) PushAll(ctx context.Context, pushes iter.Seq[apnsclient.Push]) iter.Seq[apnsclient.Result] {
	return func(yield func(apnsclient.Result) bool) {
		s, err := w.roads.hold(ctx, w.app, &w.credential, w.environment)
		if err != nil {
			for p := range pushes {
				if !yield(apnsclient.Result{Push: p, Err: w.unusable(err)}) {
					return
				}
			}
			return
		}
		defer w.roads.letGo(s)
		for r := range s.PushAll(ctx, pushes) {
			r.Err = w.answered(ctx, r.Err)
			if !yield(r) {
				return
			}
		}
	}
}

// unusable is the error of a push that the credential was no good for: nothing was
// sent.
func (w *way) unusable(err error) error {
	return fmt.Errorf("%s, %v, %s: %w: %w", w.app, w.environment, w.credential.ID, dispatch.ErrUnusable, err)
}

// answered tells the book what an answer says of the credential, and returns the
// error that the dispatcher is to see.
func (w *way) answered(ctx context.Context, err error) error {
	if e, ok := errors.AsType[*apnsclient.CheckError](err); ok && ofCredential(e.Reason) {
		return w.unusable(err)
	}
	if err == nil && w.proven.Swap(true) {
		return nil
	}
	answer := account.Answer{Environment: w.environment, Topic: w.topic, At: time.Now(), Err: err}
	if err := w.roads.book.Answered(context.WithoutCancel(ctx), w.credential.ID, answer); err != nil {
		w.roads.logger.Error("what a gateway said of a credential was not noted", slog.Any("error", err))
	}
	return err
}

// ofCredential reports whether what a sender found wrong by itself is the credential,
// such as a certificate that has expired since it was chosen.
func ofCredential(r apns.Reason) bool {
	switch r {
	case apns.BadCertificate, apns.BadCertificateEnvironment, apns.TopicDisallowed, apns.MissingProviderToken, apns.InvalidProviderToken:
		return true
	default:
		return false
	}
}
