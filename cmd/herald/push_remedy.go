package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
)

// pushRemedies say what to do about refusals of a push; those of the sender are
// in remedies.
var pushRemedies = map[apns.Reason]string{
	apns.BadDeviceToken:         "see whether it is of the other environment: apps from Xcode have device tokens of the sandbox, apps from TestFlight and the App Store of production. Else it is no device token, or of another gateway.",
	apns.DeviceTokenNotForTopic: "the device token is of another app, or for another kind of push: --topic names the app, with the suffix of the push type.",
	apns.Unregistered:           "forget this device token, unless the app has registered it since: the app was removed, or has a new one.",
	apns.ExpiredToken:           "forget this device token: what it was for is over, such as a Live Activity.",
	apns.BadPriority:            "--priority is 10, 5 or 1, and 5 for a background push.",
	apns.BadExpirationDate:      "on a channel that stores no message, --expiration has to be 0.",
	apns.BadCollapseID:          "--collapse-id has at most 64 bytes.",
	apns.BadMessageID:           "--id is a UUID; without it a random one is made.",
	apns.PayloadEmpty:           `a payload is a JSON object, such as {"aps":{"alert":"Hello"}}.`,
	apns.PayloadTooLarge:        "send less, and have the app fetch the rest; --fit cuts the text of the alert.",
	apns.TooManyRequests:        "this device token has had too many in a row: push less often, or later.",
	apns.FeatureNotEnabled:      "the App ID needs the broadcast capability: the developer portal switches it on, herald portal app broadcast that of Herald.",
	apns.ChannelNotRegistered:   "see whether the channel is of the other environment, or was deleted.",
	apns.BadChannelID:           "give the channel ID as it was when the channel was made.",
	apns.TopicMismatch:          "the credential is not for this app: --topic names the app, without a suffix.",
}

// explainPush says what a push ended with, and what to do about it.
func explainPush(ctx context.Context, err error, n apns.Notification) (problem, hint string) {
	if rejected, ok := errors.AsType[*apns.Rejection](err); ok {
		return rejected.Error(), rejectionHint(rejected, n)
	}
	if e, ok := errors.AsType[*apnsclient.CheckError](err); ok {
		return e.Problem, e.Remedy + "."
	}
	if _, ok := errors.AsType[*apnsclient.DeviceTokenError](err); ok {
		problem, remedy := deviceTokenProblem(err)
		return "the device token: " + problem, remedy + "."
	}
	if _, ok := errors.AsType[*apnsclient.CertificateError](err); ok {
		return err.Error(), "the alert says why: revoked, expired, or of an authority that this gateway does not trust. herald doctor tells more."
	}
	if ctx.Err() != nil {
		return err.Error(), "it was interrupted."
	}
	if _, ok := errors.AsType[*apnsclient.ProxyError](err); ok {
		return err.Error(), "--proxy or HTTPS_PROXY names the proxy; --proxy none goes without one."
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return err.Error(), "--ca FILE trusts an authority besides those of the system, --server-name NAME says which name the certificate has to carry."
	}
	if _, ok := errors.AsType[*apnsclient.UnansweredError](err); ok {
		return err.Error(), "it may have been delivered: to push it again without a double, give this ID with --id."
	}
	return err.Error(), "herald doctor finds out where the way to the gateway ends."
}

// rejectionHint says what to do about a refusal.
func rejectionHint(r *apns.Rejection, n apns.Notification) string {
	switch s, ok := pushRemedies[r.Reason]; {
	case ok:
		return s
	case r.Reason == apns.InvalidPushType && n.PushType.Known():
		return fmt.Sprintf("a push of type %s goes to the topic %s%s.", n.PushType, n.Topic.BundleID(), n.PushType.Suffix())
	case r.Reason == apns.InvalidPushType:
		return "--push-type is one of alert, background, location, voip, complication, fileprovider, mdm, liveactivity, pushtotalk, widgets and controls."
	}
	if s, ok := remedies[r.Reason]; ok {
		return s
	}
	if r.Status >= 500 {
		return "the gateway itself is in trouble: push again later."
	}
	return "see the reasons in the documentation of the provider protocol."
}
