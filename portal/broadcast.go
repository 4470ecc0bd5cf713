package portal

import (
	"context"
	"fmt"

	"github.com/heraldpush/herald/apns"
)

// Broadcast is an App ID's capability to broadcast
// (docs/protocol/broadcast.md#capability). At first it is off.
type Broadcast struct {
	// On reports that it is on.
	On bool `json:"on"`
	// Term counts how often it was switched on. A channel belongs to the term in
	// which it was created, and ends with it: a later term knows nothing of it.
	// So to switch the capability off ends all channels at once, wherever they
	// are kept and whether or not that can be reached.
	Term uint64 `json:"term"`
}

// SetBroadcast switches an App ID's capability to broadcast on or off, and
// returns the App ID as it is then. To switch it off ends every channel of the
// app in both environments, for good. To set what is set already changes
// nothing. It returns a Refusal for an App ID that is unknown or a wildcard.
func (p *Portal) SetBroadcast(ctx context.Context, bundleID apns.Topic, on bool) (App, error) {
	var a App
	changed := false
	err := p.change(ctx, func(tx Tx) error {
		c, err := getCertified(tx, bundleID)
		if err != nil {
			return err
		}
		a = c.app
		if changed = a.Broadcast.On != on; !changed {
			return nil
		}
		a.Broadcast.On = on
		said := "off, its channels are deleted"
		if on {
			a.Broadcast.Term++
			said = "on"
		}
		if err := note(ctx, tx, "app.broadcast", string(bundleID), "%s", said); err != nil {
			return err
		}
		return put(tx, kindApp, string(bundleID), a)
	}, func() {
		if !changed {
			return
		}
		kept := a
		p.apps[bundleID] = &kept
		close(p.broadcasts)
		p.broadcasts = make(chan struct{})
	})
	if err != nil {
		return App{}, fmt.Errorf("switching broadcast: %w", err)
	}
	return a, nil
}

// EndedBroadcasts returns the last term that has ended of each App ID whose
// capability to broadcast was ever switched off, and a channel that is closed
// when one is switched. Channels of such terms, and of those before, are of no
// use any more.
func (p *Portal) EndedBroadcasts() (ended map[apns.Topic]uint64, changed <-chan struct{}) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	ended = make(map[apns.Topic]uint64)
	for _, a := range p.apps {
		last := a.Broadcast.Term
		if a.Broadcast.On {
			last--
		}
		if last > 0 {
			ended[a.BundleID] = last
		}
	}
	return ended, p.broadcasts
}

// BroadcastTerm returns the term in which an app may broadcast, and whether it
// may now: then its channels of this term exist.
func (p *Portal) BroadcastTerm(bundleID apns.Topic) (term uint64, on bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if a := p.apps[bundleID]; a != nil {
		return a.Broadcast.Term, a.Broadcast.On
	}
	return 0, false
}

// Broadcast returns the term in which the sender may broadcast to an app, and
// manage its channels. The error is an *apns.Rejection: TopicDisallowed for
// what is no bundle ID, TopicMismatch for one that the credential is not for,
// FeatureNotEnabled if the capability is off.
func (s *Sender) Broadcast(bundleID apns.Topic) (term uint64, _ error) {
	if !bundleID.Valid() || bundleID.BundleID() != bundleID {
		return 0, apns.Reject(apns.TopicDisallowed, "not a bundle ID without a suffix")
	}
	s.portal.mu.RLock()
	app := s.portal.apps[bundleID]
	s.portal.mu.RUnlock()
	switch {
	case s.certificate != nil && !s.certificate.AllowsTopic(bundleID):
		return 0, apns.Reject(apns.TopicMismatch, fmt.Sprintf("the certificate is for %v", s.certificate.Topics))
	case app == nil || app.Team != s.Team:
		return 0, apns.Reject(apns.TopicMismatch, fmt.Sprintf("%s is not an App ID of team %s", bundleID, s.Team))
	case s.key != nil && !s.key.reaches(bundleID):
		return 0, apns.Reject(apns.TopicMismatch, fmt.Sprintf("key %s is not for %s", s.Key, bundleID))
	case !app.Broadcast.On:
		return 0, apns.Reject(apns.FeatureNotEnabled, fmt.Sprintf("%s cannot broadcast", bundleID))
	}
	return app.Broadcast.Term, nil
}
