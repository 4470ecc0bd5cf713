package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"errors"
	"fmt"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
)

// nobody is a device token that no device has: zeros, of the length of real
// ones.
var nobody = apns.DeviceToken(make([]byte, 32))

// newTokens returns the provider tokens of a key.
func newTokens(team apns.TeamID, id apns.KeyID, key crypto.Signer) (*apnsclient.ProviderTokens, error) {
	k, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("the provider key is not ECDSA")
	}
	return apnsclient.NewProviderTokens(team, id, k)
}

// request sends one request that nobody gets, and says what the answer
// proves.
func (e *examination) request(ctx context.Context, with sentWith) (err error) {
	cfg := apnsclient.Config{
		Environment: e.environment(), Host: e.found.Gateway, ServerName: e.serverName(), Roots: e.roots,
		ProviderTokens: with.tokens, Timeout: e.Timeout,
	}
	if with.identity != nil {
		presented := with.identity.TLS()
		cfg.Certificate = &presented
	}
	sender, err := apnsclient.New(cfg)
	if err != nil {
		return e.failed("request", "not sent", nil, err)
	}
	defer func() { err = errors.Join(err, sender.Close()) }()
	receipt, err := sender.Push(ctx, nobody, apns.Notification{
		Topic: with.topic, Payload: apns.Payload(`{"aps":{"alert":"herald doctor"}}`), Expiration: apns.DoNotStore,
	})
	if err == nil {
		return e.note(step{Name: "request", Result: "ok", Detail: fmt.Sprintf("accepted, apns-id %s", receipt.ID), Facts: []string{
			"the credential is good; that a device token of zeros was taken is odd: this gateway checks none",
		}})
	}
	if r, ok := errors.AsType[*apns.Rejection](err); ok {
		return e.answered(r)
	}
	return e.unanswered(err)
}

// proofs are the answers to a request that got past the credential and the
// topic, as far as this gateway's order of checks goes
// (docs/protocol/provider.md#order).
var proofs = map[apns.Reason]string{
	apns.BadDeviceToken:         "the credential is good: the gateway took it and the topic, and refused the device token, which is none",
	apns.DeviceTokenNotForTopic: "the credential is good: the gateway took it, and refused the device token",
	apns.Unregistered:           "the credential is good: the gateway took it, and knows that nobody has the device token",
	apns.ExpiredToken:           "the credential is good: the gateway took it, and knows that nobody has the device token",
}

// remedies say what to do about the other answers.
var remedies = map[apns.Reason]string{
	apns.TopicDisallowed:             "the credential is not for this topic: --topic with one that it has, or the credential of the other app.",
	apns.MissingTopic:                "the credential is for several topics: --topic says which.",
	apns.BadTopic:                    "a topic is the bundle ID of an app, with the suffix of its push type.",
	apns.BadCertificate:              "the certificate is no push certificate to this gateway, or was revoked: have the portal issue a new one.",
	apns.BadCertificateEnvironment:   "the certificate is for the other environment: use the other gateway, or a certificate for this one. The gateway says so as the connection begins, and then closes it (GOAWAY).",
	apns.ExpiredProviderToken:        "the provider token was made just now, so the clock of this machine is wrong: it has to be right to the hour.",
	apns.InvalidProviderToken:        "the gateway does not know this key ID for this team ID, or the key was revoked, or the .p8 is that of another key ID. It does not say which, but a gateway of Herald does in its log (-v): see the portal's page of keys.",
	apns.MissingProviderToken:        "the gateway saw neither certificate nor provider token: something between may end TLS, and so lose the certificate.",
	apns.BadEnvironmentKeyInToken:    "the key is for the other environment: use the other gateway, or a key for this one.",
	apns.UnrelatedKeyIDInToken:       "the key may not send here: use one of the team's own.",
	apns.Forbidden:                   "the key was revoked, or the credential may not do this: see the portal for what it is for.",
	apns.TooManyProviderTokenUpdates: "this key signs new provider tokens too often: all senders of a team should share one for 20 minutes or more.",
	apns.TooManyRequests:             "try again later.",
}

// answered explains a refusal.
func (e *examination) answered(r *apns.Rejection) error {
	answer := fmt.Sprintf("%d %s", r.Status, r.Reason)
	if proof, ok := proofs[r.Reason]; ok {
		return e.note(step{Name: "request", Result: "ok", Detail: answer, Facts: []string{proof}})
	}
	// A gateway that closes the connection with a reason has answered, too.
	remedy, ok := remedies[r.Reason]
	switch {
	case ok:
	case r.Status >= 500:
		remedy = "the gateway itself is in trouble, which says nothing of the credential: try again later."
		return e.failed("request", answer, nil, withHint(r, "%s", remedy))
	default:
		remedy = "see the reasons in the documentation of the provider protocol."
	}
	return e.failed("request", answer, nil, withHint(&statusError{r, exitRefused}, "%s", remedy))
}

// unanswered explains why there was no answer.
func (e *examination) unanswered(err error) error {
	if refused, ok := errors.AsType[*apnsclient.CertificateError](err); ok {
		return e.failed("request", "the gateway refused the certificate", []string{
			"it did so after the handshake, as TLS 1.3 has it: the connection seems to stand, and then ends",
		}, withHint(&statusError{refused, exitRefused},
			"the alert says why: revoked, expired, or of an authority that this gateway does not trust. Have its portal issue a new certificate."))
	}
	if check, ok := errors.AsType[*apnsclient.CheckError](err); ok {
		return e.failed("request", "not sent", nil, withHint(errors.New(check.Problem), "%s.", check.Remedy))
	}
	return e.failed("request", "no answer", nil,
		withHint(err, "the gateway answers TLS but not HTTP/2: something between may end TLS, or this is another kind of server."))
}
