package provider

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/provider/account"
)

// checker is an account.Checker that asks the push service.
type checker struct{ gateway Gateway }

// NewChecker returns what asks the push service whether it takes a credential.
func NewChecker(g Gateway) account.Checker { return checker{g} }

// Check implements account.Checker: on a connection of its own, which is closed
// again.
func (c checker) Check(ctx context.Context, p account.Probe) (err error) {
	var tokens *apnsclient.ProviderTokens
	if key, ok := p.Material.Key(); ok {
		of := p.Material.Credential()
		if tokens, err = apnsclient.NewProviderTokens(of.TeamID, of.KeyID, key); err != nil {
			return err
		}
	}
	cfg := c.gateway.config(p.Environment)
	cfg.Retry.Attempts, cfg.Connections = 1, 1
	s, err := newSender(cfg, p.Material, tokens)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	var madeUp [32]byte
	rand.Read(madeUp[:]) // it never fails
	_, err = s.Push(ctx, apns.DeviceToken(madeUp[:]), apns.Notification{
		Topic: p.Topic, PushType: pushTypeOf(p.Topic), Expiration: apns.DoNotStore, Payload: apns.Payload(`{"aps":{}}`),
	})
	return err
}

// pushTypeOf returns a push type that goes to a topic.
func pushTypeOf(t apns.Topic) apns.PushType { return apns.InferPushType(t, apns.Payload(`{"aps":{}}`)) }

// now is the time, as it is stored.
func now() time.Time { return time.Now().UTC().Round(0) }
