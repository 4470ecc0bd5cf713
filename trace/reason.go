package trace

import "github.com/heraldpush/herald/apns"

// reasons are the reasons by their number on disk, which begins at 1. New ones go
// to the end.
var reasons = [...]apns.Reason{
	apns.BadCollapseID, apns.BadDeviceToken, apns.BadExpirationDate, apns.BadMessageID, apns.BadPriority, apns.BadTopic,
	apns.DeviceTokenNotForTopic, apns.DuplicateHeaders, apns.IdleTimeout, apns.InvalidPushType, apns.MissingDeviceToken,
	apns.MissingTopic, apns.PayloadEmpty, apns.TopicDisallowed, apns.BadCertificate, apns.BadCertificateEnvironment,
	apns.ExpiredProviderToken, apns.Forbidden, apns.InvalidProviderToken, apns.MissingProviderToken, apns.UnrelatedKeyIDInToken,
	apns.BadEnvironmentKeyInToken, apns.BadPath, apns.MethodNotAllowed, apns.ExpiredToken, apns.Unregistered,
	apns.PayloadTooLarge, apns.TooManyProviderTokenUpdates, apns.TooManyRequests, apns.InternalServerError,
	apns.ServiceUnavailable, apns.Shutdown, apns.BadChannelID, apns.BadRequestParams, apns.BadRequestPayload,
	apns.CannotCreateChannelConfig, apns.ChannelNotRegistered, apns.FeatureNotEnabled, apns.MissingChannelID,
	apns.MissingPushType, apns.TopicMismatch,
}

// reasonCodes are the numbers of reasons.
var reasonCodes = func() map[apns.Reason]uint8 {
	m := make(map[apns.Reason]uint8, len(reasons))
	for i, r := range reasons {
		m[r] = uint8(i + 1) //nolint:gosec // there are fewer than 255
	}
	return m
}()

// reasonOf returns the reason of a number; empty for none, and for one of a later
// version.
func reasonOf(code uint8) apns.Reason {
	if code == 0 || int(code) > len(reasons) {
		return ""
	}
	return reasons[code-1]
}
