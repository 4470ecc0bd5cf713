package api

import (
	"cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/outbox"
)

// remedy is what to do about a reason, for people. A reason of ours has its meaning
// here too.
type remedy struct {
	meaning, remedy string
}

var remedies = map[apns.Reason]remedy{
	outbox.NoDeviceToken: {
		"the installation has no device token of this kind and environment any more, or is gone itself",
		"nothing: the app registers a new device token when it is opened again",
	},
	outbox.InQuarantine: {
		"the device token was accepted once and then called bad, and is not tried again so soon",
		"see that the environment of the app's device tokens is right; it is tried once a day, and a registration makes it good at once",
	},
	apns.BadDeviceToken:         {remedy: "see whether it is of the other environment: apps from Xcode have device tokens of the sandbox, apps from TestFlight and the App Store of production"},
	apns.DeviceTokenNotForTopic: {remedy: "the device token is of another app or another kind of push: see that it was registered in the right app, with its kind"},
	apns.Unregistered:           {remedy: "nothing: the app was removed or has a newer device token, and this one is left out from now on"},
	apns.ExpiredToken:           {remedy: "nothing: what the device token was for is over, such as a Live Activity"},
	apns.BadPriority:            {remedy: "give the priority 10, 5 or 1, and 5 for a background push"},
	apns.BadTopic:               {remedy: "leave the topic out: it follows from the app and the push type"},
	apns.InvalidPushType:        {remedy: "leave the push type or the topic out: each follows from the other"},
	apns.PayloadTooLarge:        {remedy: "send less, and have the app fetch the rest"},
	apns.TooManyRequests:        {remedy: "send less often to one device"},
	apns.TopicDisallowed:        {remedy: "see that the app's credential is for this topic, and that the App ID has what the push type needs"},
	apns.BadCertificate:         {remedy: "upload a push certificate that is valid now, or a key"},
	apns.BadCertificateEnvironment: {
		remedy: "upload a certificate for this environment, or a key, which is for both",
	},
	apns.Forbidden:                {remedy: "the key was revoked, or the team suspended: upload another key, or see the developer account"},
	apns.InvalidProviderToken:     {remedy: "see that key ID and team ID are those of the .p8 file, and that the clock of this machine is right"},
	apns.ExpiredProviderToken:     {remedy: "see that the clock of this machine is right"},
	apns.BadEnvironmentKeyInToken: {remedy: "the key is for the other environment: upload one for this"},
	outbox.OtherReason:            {"one of those that are too many to be counted apart", "look at the failures one by one"},
}

// meaning says what a failure means, in words.
func meaning(r apns.Reason) string {
	return cmp.Or(remedies[r].meaning, r.Sentence(), "the push service gave a reason that is not known here")
}

// remedyFor says what to do about a failure, in words.
func remedyFor(f *outbox.Failure) string {
	if s := remedies[f.Reason].remedy; s != "" {
		return s
	}
	if f.Status >= 500 {
		return "the push service itself was in trouble: send again later"
	}
	return "see the reasons in the documentation of the provider protocol"
}
