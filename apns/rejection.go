package apns

import (
	"fmt"
	"time"
)

// Reason is the word with which the service refuses a request, in Apple's
// spelling and letter case.
type Reason string

// The reasons (docs/protocol/provider.md#reasons), and those of channels and
// broadcasts alone (docs/protocol/broadcast.md#reasons).
const (
	BadCollapseID             Reason = "BadCollapseId"
	BadDeviceToken            Reason = "BadDeviceToken"
	BadExpirationDate         Reason = "BadExpirationDate"
	BadMessageID              Reason = "BadMessageId"
	BadPriority               Reason = "BadPriority"
	BadTopic                  Reason = "BadTopic"
	DeviceTokenNotForTopic    Reason = "DeviceTokenNotForTopic"
	DuplicateHeaders          Reason = "DuplicateHeaders"
	IdleTimeout               Reason = "IdleTimeout"
	InvalidPushType           Reason = "InvalidPushType"
	MissingDeviceToken        Reason = "MissingDeviceToken"
	MissingTopic              Reason = "MissingTopic"
	PayloadEmpty              Reason = "PayloadEmpty"
	TopicDisallowed           Reason = "TopicDisallowed"
	BadCertificate            Reason = "BadCertificate"
	BadCertificateEnvironment Reason = "BadCertificateEnvironment"
	ExpiredProviderToken      Reason = "ExpiredProviderToken"
	Forbidden                 Reason = "Forbidden"
	InvalidProviderToken      Reason = "InvalidProviderToken"
	MissingProviderToken      Reason = "MissingProviderToken"
	UnrelatedKeyIDInToken     Reason = "UnrelatedKeyIdInToken"
	// BadEnvironmentKeyInToken is what the service sends; Apple's page calls
	// it BadEnvironmentKeyIdInToken.
	BadEnvironmentKeyInToken    Reason = "BadEnvironmentKeyInToken"
	BadPath                     Reason = "BadPath"
	MethodNotAllowed            Reason = "MethodNotAllowed"
	ExpiredToken                Reason = "ExpiredToken"
	Unregistered                Reason = "Unregistered"
	PayloadTooLarge             Reason = "PayloadTooLarge"
	TooManyProviderTokenUpdates Reason = "TooManyProviderTokenUpdates"
	TooManyRequests             Reason = "TooManyRequests"
	InternalServerError         Reason = "InternalServerError"
	ServiceUnavailable          Reason = "ServiceUnavailable"
	Shutdown                    Reason = "Shutdown"

	BadChannelID              Reason = "BadChannelId"
	BadRequestParams          Reason = "BadRequestParams"
	BadRequestPayload         Reason = "BadRequestPayload"
	CannotCreateChannelConfig Reason = "CannotCreateChannelConfig"
	ChannelNotRegistered      Reason = "ChannelNotRegistered"
	FeatureNotEnabled         Reason = "FeatureNotEnabled"
	MissingChannelID          Reason = "MissingChannelId"
	MissingPushType           Reason = "MissingPushType"
	TopicMismatch             Reason = "TopicMismatch"
)

// meaning is a row of the table of reasons.
type meaning struct {
	status   int    // HTTP status of the answer
	sentence string // what it means, for people
}

// reasons is the one table of statuses and sentences.
var reasons = map[Reason]meaning{
	BadCollapseID:               {400, "the collapse identifier is longer than 64 bytes"},
	BadDeviceToken:              {400, "the device token is malformed, forged, or of the other environment"},
	BadExpirationDate:           {400, "the apns-expiration header is not a time in seconds since the epoch, or not one for this channel"},
	BadMessageID:                {400, "the apns-id or apns-request-id header is not a UUID"},
	BadPriority:                 {400, "the apns-priority header is not 10, 5 or 1, or not allowed for this push type"},
	BadTopic:                    {400, "the apns-topic header is not a topic"},
	DeviceTokenNotForTopic:      {400, "the device token belongs to another app or another kind of push"},
	DuplicateHeaders:            {400, "a header that may come once came twice"},
	IdleTimeout:                 {400, "the connection was idle for too long"},
	InvalidPushType:             {400, "the apns-push-type header is unknown or does not fit the topic"},
	MissingDeviceToken:          {400, "the path names no device token"},
	MissingTopic:                {400, "the apns-topic header is missing, and the credential stands for more than one topic"},
	PayloadEmpty:                {400, "the payload is empty or not a JSON object"},
	TopicDisallowed:             {400, "this certificate or key may not send to this topic"},
	BadCertificate:              {403, "the certificate is not a valid push certificate"},
	BadCertificateEnvironment:   {403, "the certificate is for the other environment"},
	ExpiredProviderToken:        {403, "the provider token is more than an hour old"},
	Forbidden:                   {403, "the action is not allowed"},
	InvalidProviderToken:        {403, "the provider token is malformed, its signature does not verify, or its key is unknown"},
	MissingProviderToken:        {403, "there is neither a certificate nor a provider token"},
	UnrelatedKeyIDInToken:       {403, "the key of the provider token is not related to the one this connection began with"},
	BadEnvironmentKeyInToken:    {403, "the key of the provider token is for the other environment"},
	BadPath:                     {404, "there is nothing at this path"},
	MethodNotAllowed:            {405, "the method is not one of this service"},
	ExpiredToken:                {410, "the device token has expired"},
	Unregistered:                {410, "the device token is no longer active for the topic"},
	PayloadTooLarge:             {413, "the payload is larger than its push type allows"},
	TooManyProviderTokenUpdates: {429, "the provider token changed too often on this connection"},
	TooManyRequests:             {429, "too many notifications to one device"},
	InternalServerError:         {500, "a fault of the service"},
	ServiceUnavailable:          {503, "the service is overloaded"},
	Shutdown:                    {503, "the service is shutting down"},

	BadChannelID:              {400, "the apns-channel-id header is not base64, or too long"},
	BadRequestParams:          {400, "the request has an attribute that is unknown, missing, or of a value that cannot be"},
	BadRequestPayload:         {400, "the body is not a JSON object"},
	CannotCreateChannelConfig: {400, "the app has as many channels as it may have"},
	ChannelNotRegistered:      {400, "there is no such channel in this environment"},
	FeatureNotEnabled:         {400, "the app does not have the broadcast capability"},
	MissingChannelID:          {400, "the apns-channel-id header is missing"},
	MissingPushType:           {400, "the push type is missing"},
	TopicMismatch:             {403, "the app in the path is not one that this certificate or key may send for"},
}

// Status returns the HTTP status that goes with r, 500 for an unknown reason.
func (r Reason) Status() int {
	if m, ok := reasons[r]; ok {
		return m.status
	}
	return 500
}

// Sentence says what r means, in lower case and without a full stop. It is
// empty for a reason that this version does not know.
func (r Reason) Sentence() string { return reasons[r].sentence }

// Rejection is a refusal by the service. It is the one error of the whole
// road: whatever else goes wrong becomes InternalServerError at the door.
type Rejection struct { //nolint:errname // the field's word
	// Status is the HTTP status, for a provider that reads an answer; it is
	// Reason.Status() where Herald refuses.
	Status int
	// Reason is Apple's word for it.
	Reason Reason
	// Since is when the device token was found to be no longer valid, to the
	// millisecond; zero for all reasons but Unregistered and ExpiredToken.
	Since time.Time
	// RetryAfter is the answer's Retry-After; zero means none was given.
	RetryAfter time.Duration
	// Detail says more to the log than the wire tells. It holds no secret.
	Detail string
}

// Reject returns the rejection for r. The detail is for logs, and may be empty.
func Reject(r Reason, detail string) *Rejection {
	return &Rejection{Status: r.Status(), Reason: r, Detail: detail}
}

// Error names status and reason, what they mean, and the detail if there is one.
func (r *Rejection) Error() string {
	s := fmt.Sprintf("%d %s", r.Status, r.Reason)
	if m := r.Reason.Sentence(); m != "" {
		s += ": " + m
	}
	if r.Detail != "" {
		s += " (" + r.Detail + ")"
	}
	return s
}

// Is reports whether target is a rejection for the same reason, so that
// errors.Is(err, apns.Reject(apns.Unregistered, "")) works.
func (r *Rejection) Is(target error) bool {
	t, ok := target.(*Rejection)
	return ok && t.Reason == r.Reason
}
