package provider

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
)

var (
	// ErrUnknownInstallation is in the chain of the error for an ID that was
	// never registered.
	ErrUnknownInstallation = errors.New("no such installation")
	// ErrGone is in the chain of the error for an installation whose device
	// token the push service called no longer valid. A registration with a
	// new device token brings it back.
	ErrGone = errors.New("the device token is no longer valid")
	// ErrNoSender is in the chain of the error for an installation whose
	// topic and environment no sender is for.
	ErrNoSender = errors.New("no sender for the topic and environment")
	// ErrOtherTopic is in the chain of the error for a notification whose
	// topic is not that of the installation.
	ErrOtherTopic = errors.New("the device token is of another topic")
)

// Config says with which credentials a PushServer sends.
type Config struct {
	// Routes are the senders, each with the topics it is for. At least one is
	// required. The PushServer does not close them.
	Routes []Route
}

// Route says which notifications a sender carries: those of the sender's
// environment, for the given topics.
type Route struct {
	// Sender carries them. Required.
	Sender *apnsclient.Sender
	// Topics are the topics that the sender's credential is for. A bundle ID
	// covers the topics that carry a push type's suffix after it, unless
	// another route names them. Empty covers all topics that no other route
	// covers, as a team's key does.
	Topics []apns.Topic
}

// PushServer knows installations and notifies them. It is safe for concurrent
// use.
type PushServer struct {
	routes map[destination]*apnsclient.Sender // never changed after New

	mu            sync.Mutex
	installations map[InstallationID]Installation // guarded by mu
}

// destination is what a sender is chosen by. An empty topic stands for every.
type destination struct {
	environment apns.Environment
	topic       apns.Topic
}

// New returns a PushServer without installations. The error names a route that
// has no sender, or a topic that is none or that two routes claim.
func New(cfg Config) (*PushServer, error) {
	if len(cfg.Routes) == 0 {
		return nil, errors.New("push server: no route: there is nothing to send with")
	}
	p := &PushServer{
		routes:        make(map[destination]*apnsclient.Sender),
		installations: make(map[InstallationID]Installation),
	}
	for n, r := range cfg.Routes {
		if r.Sender == nil {
			return nil, fmt.Errorf("push server: route %d has no sender", n+1)
		}
		topics := slices.Clone(r.Topics)
		if len(topics) == 0 {
			topics = []apns.Topic{""}
		} else if i := slices.IndexFunc(topics, func(t apns.Topic) bool { return !t.Valid() }); i >= 0 {
			return nil, fmt.Errorf("push server: route %d: topic %.100q is none", n+1, string(topics[i]))
		}
		for _, t := range topics {
			d := destination{r.Sender.Environment(), t}
			if _, taken := p.routes[d]; taken {
				return nil, fmt.Errorf("push server: route %d: another route is for topic %q in %s", n+1, t, d.environment)
			}
			p.routes[d] = r.Sender
		}
	}
	return p, nil
}

// Register takes in what an app says of itself: new, again, or with a new
// device token. Doing it twice is doing it once. A registration that is older
// than the one known, by RegisteredAt, changes nothing: it was late on its
// way. The error says what is missing or malformed.
func (p *PushServer) Register(i Installation) error {
	if err := i.check(); err != nil {
		return fmt.Errorf("registering an installation: %w", err)
	}
	i.Gone, i.Doubt = time.Time{}, ""
	if i.RegisteredAt.IsZero() {
		i.RegisteredAt = time.Now()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	known, ok := p.installations[i.ID]
	if ok && (i.RegisteredAt.Before(known.RegisteredAt) || known.DeviceToken == "" && i.RegisteredAt.Equal(known.RegisteredAt)) {
		return nil // late, or a repetition of the one whose device token is gone
	}
	p.installations[i.ID] = i
	return nil
}

// Installation returns what is known of an installation. The error wraps
// ErrUnknownInstallation.
func (p *PushServer) Installation(id InstallationID) (Installation, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i, ok := p.installations[id]
	if !ok {
		return Installation{}, fmt.Errorf("installation %.128q: %w", string(id), ErrUnknownInstallation)
	}
	return i, nil
}

// Notify sends n to one installation and waits for the answer, with the
// sender's deadline. The notification's topic is the installation's; it may be
// left empty.
//
// The error wraps ErrUnknownInstallation, ErrGone, ErrNoSender or
// ErrOtherTopic where nothing was sent; any other is that of
// apnsclient.Sender.Push. A rejection that speaks of the device token is
// remembered with the installation (docs/protocol/provider.md#device-tokens).
func (p *PushServer) Notify(ctx context.Context, id InstallationID, n apns.Notification) (apnsclient.Receipt, error) {
	i, err := p.Installation(id)
	if err != nil {
		return apnsclient.Receipt{}, err
	}
	fault := func(err error) (apnsclient.Receipt, error) {
		return apnsclient.Receipt{ID: n.ID}, fmt.Errorf("installation %q: %w", id, err)
	}
	if i.DeviceToken == "" {
		return fault(fmt.Errorf("%w since %s", ErrGone, i.Gone.UTC().Format(time.RFC3339)))
	}
	if n.Topic != "" && n.Topic != i.Topic {
		return fault(fmt.Errorf("topic %q: %w, %q", n.Topic, ErrOtherTopic, i.Topic))
	}
	n.Topic = i.Topic
	sender := p.sender(i)
	if sender == nil {
		return fault(fmt.Errorf("topic %q in %s: %w", i.Topic, i.Environment, ErrNoSender))
	}
	began := time.Now()
	receipt, err := sender.Push(ctx, i.DeviceToken, n)
	if p.learn(i, began, err); err != nil {
		return receipt, fmt.Errorf("installation %q: %w", id, err)
	}
	return receipt, nil
}

// sender returns who sends to i: whoever has its topic, else its app, else
// everything; nil if nobody has.
func (p *PushServer) sender(i Installation) *apnsclient.Sender {
	for _, t := range [...]apns.Topic{i.Topic, i.Topic.BundleID(), ""} {
		if s := p.routes[destination{i.Environment, t}]; s != nil {
			return s
		}
	}
	return nil
}

// learn remembers what the answer to a push that began at the given time says
// of the device token of i. What the app has registered since then stands.
func (p *PushServer) learn(i Installation, began time.Time, answer error) {
	var refused *apns.Rejection
	if answer != nil && !errors.As(answer, &refused) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now, ok := p.installations[i.ID]
	if !ok || now.DeviceToken != i.DeviceToken || now.Environment != i.Environment || now.Topic != i.Topic {
		return
	}
	switch {
	case refused == nil:
		now.Doubt = ""
	case refused.Status == 410:
		gone := refused.Since
		if gone.IsZero() { // no timestamp: all that is sure is that it was so when asked
			gone = began
		}
		// The timestamp has milliseconds, and the registration may be of the
		// same one.
		if gone.Before(now.RegisteredAt.Truncate(time.Millisecond)) {
			return
		}
		now.DeviceToken, now.Gone, now.Doubt = "", gone, ""
	case refused.Reason == apns.BadDeviceToken, refused.Reason == apns.DeviceTokenNotForTopic:
		now.Doubt = refused.Reason
	default:
		return
	}
	p.installations[i.ID] = now
}
