package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/heraldpush/herald/apns"
)

// maxPushBytes is the largest payload of all push types.
var maxPushBytes = max(apns.PushTypeVoIP.MaxPayloadBytes(), apns.PushTypeAlert.MaxPayloadBytes())

// pushHeaders are the headers of a push that Apple knows, and ours
// (docs/protocol/provider.md#headers).
var pushHeaders = []string{
	"Authorization", "Apns-Id", "Apns-Topic", "Apns-Push-Type", "Apns-Expiration", "Apns-Priority", "Apns-Collapse-Id",
	headerAPIKey, headerEnvironment,
}

// The raw door's own headers.
const (
	// headerAPIKey has an API key, for what writes a provider token into
	// authorization.
	headerAPIKey = "Herald-Key"
	// headerEnvironment has the environment.
	headerEnvironment = "Herald-Environment"
)

// pushID returns the apns-id of a push, empty if it has none, or
// BadMessageId.
func pushID(h http.Header) (apns.NotificationID, error) {
	given := h.Values("Apns-Id")
	if len(given) == 0 {
		return "", nil
	}
	if id := apns.NotificationID(given[0]); id.Valid() {
		return id, nil
	}
	return "", apns.Reject(apns.BadMessageID, "")
}

// repeated reports whether a header is there twice that may be once.
func repeated(h http.Header) bool {
	return slices.ContainsFunc(pushHeaders, func(name string) bool { return len(h.Values(name)) > 1 })
}

// bearer returns what an authorization header has after the word bearer. The
// error is MissingProviderToken.
func bearer(h http.Header) (string, error) {
	const scheme = "bearer "
	v := h.Get("Authorization")
	if len(v) <= len(scheme) || !strings.EqualFold(v[:len(scheme)], scheme) {
		return "", apns.Reject(apns.MissingProviderToken, "")
	}
	return strings.TrimSpace(v[len(scheme):]), nil
}

// pushTopic returns the topic of a push, or MissingTopic or BadTopic.
func pushTopic(h http.Header) (apns.Topic, error) {
	given := h.Values("Apns-Topic")
	if len(given) == 0 {
		return "", apns.Reject(apns.MissingTopic, "")
	}
	t := apns.Topic(given[0])
	if !t.Valid() {
		return "", apns.Reject(apns.BadTopic, "")
	}
	return t, nil
}

// readPush returns the notification that the headers and the body of a push to a
// topic make, without its ID. The error is an *apns.Rejection, the first in the
// order of docs/protocol/provider.md#order. The body is all of it, or its first
// bytes if it is too large.
func readPush(h http.Header, topic apns.Topic, body []byte) (n apns.Notification, _ error) {
	n.Topic = topic
	asked, has := apns.PushType(h.Get("Apns-Push-Type")), len(h.Values("Apns-Push-Type")) > 0
	var ok bool
	if v := h.Values("Apns-Expiration"); len(v) > 0 {
		if n.Expiration, ok = apns.ParseExpiration(v[0]); !ok {
			return n, apns.Reject(apns.BadExpirationDate, "")
		}
	}
	if v := h.Values("Apns-Priority"); len(v) > 0 {
		if n.Priority, ok = apns.ParsePriority(v[0]); !ok {
			return n, apns.Reject(apns.BadPriority, "")
		}
		if asked == apns.PushTypeBackground && n.Priority == apns.PriorityImmediate {
			return n, apns.Reject(apns.BadPriority, "a background push has priority 5")
		}
	}
	n.CollapseID = apns.CollapseID(h.Get("Apns-Collapse-Id"))
	if len(n.CollapseID) > apns.MaxCollapseIDBytes {
		return n, apns.Reject(apns.BadCollapseID, "")
	}
	switch {
	case !has:
		n.PushType = apns.InferPushType(topic, body)
	case !asked.Known(), !asked.Matches(topic):
		return n, apns.Reject(apns.InvalidPushType, "")
	default:
		n.PushType = asked
	}
	if n.PushType == apns.PushTypeBackground {
		// One that was not declared as such may have had another: it could not be sent.
		n.Priority = min(n.Priority.OrDefault(), apns.PriorityConserve)
	}
	n.Payload = body
	switch {
	case len(body) == 0:
		return n, apns.Reject(apns.PayloadEmpty, "")
	case len(body) > n.PushType.MaxPayloadBytes():
		return n, apns.Reject(apns.PayloadTooLarge, "")
	case !n.Payload.IsObject():
		return n, apns.Reject(apns.PayloadEmpty, "the payload is not a JSON object")
	}
	return n, nil
}

// productionLabels and sandboxLabels are what the name of the host has where one
// address is for one environment, as Apple's have
// (docs/protocol/provider.md#environments).
var sandboxLabels = []string{"sandbox", "development"}

// environmentOf returns the environment of a push: the first of what the path, the
// header and the name of the host say, and production if none does.
func environmentOf(path string, h http.Header, host string) (apns.Environment, bool) {
	for _, said := range [...]string{path, h.Get(headerEnvironment)} {
		if said != "" {
			e, err := apns.ParseEnvironment(strings.ToLower(said))
			return e, err == nil
		}
	}
	name, _, _ := strings.Cut(host, ":")
	for label := range strings.SplitSeq(strings.ToLower(name), ".") {
		if slices.Contains(sandboxLabels, label) {
			return apns.Sandbox, true
		}
	}
	return apns.Production, true
}
