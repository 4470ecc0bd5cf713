package gateway

import (
	"net/http"
	"strings"

	"golang.org/x/net/http2/hpack"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/h2"
	"github.com/heraldpush/herald/wire"
)

// maxBodyBytes is the largest payload of all push types, and of broadcasts.
var maxBodyBytes = max(apns.PushTypeVoIP.MaxPayloadBytes(), apns.MaxBroadcastBytes)

// header is one of the header fields that the provider API knows; all others
// are ignored (docs/protocol/provider.md#headers).
type header uint8

const (
	authorization header = iota
	apnsID
	apnsTopic
	apnsPushType
	apnsExpiration
	apnsPriority
	apnsCollapseID
	headerCount
)

// headerOf returns the known header of a name.
func headerOf(name string) (header, bool) {
	switch name {
	case "authorization":
		return authorization, true
	case "apns-id":
		return apnsID, true
	case "apns-topic":
		return apnsTopic, true
	case "apns-push-type":
		return apnsPushType, true
	case "apns-expiration":
		return apnsExpiration, true
	case "apns-priority":
		return apnsPriority, true
	case "apns-collapse-id":
		return apnsCollapseID, true
	}
	return 0, false
}

// headers are the values of the known header fields of a request.
type headers struct {
	value   [headerCount]string
	present [headerCount]bool
	at      [headerCount]uint8 // the place among the fields, of which there are fewer than 256
	// repeated reports that one of them came twice.
	repeated bool
}

func readHeaders(fields []hpack.HeaderField) (h headers) {
	for i := range fields {
		known, ok := headerOf(fields[i].Name)
		if !ok {
			continue
		}
		if h.present[known] {
			h.repeated = true // the first one stays
			continue
		}
		h.value[known], h.present[known], h.at[known] = fields[i].Value, true, uint8(i) //nolint:gosec // see at
	}
	return h
}

// memo returns where to keep what is known of the value of a header field, or
// nil.
func (h *headers) memo(r *h2.Request, known header) *h2.Memo {
	if !h.present[known] {
		return nil
	}
	return r.Memo(int(h.at[known]))
}

// notificationID returns the ID of the notification, which every answer
// carries: the sender's, byte for byte, or a new one if that is missing or is
// none (docs/protocol/provider.md#apns-id). It is a copy.
func (h *headers) notificationID() apns.NotificationID {
	if id := apns.NotificationID(h.value[apnsID]); id.Valid() {
		return apns.NotificationID(strings.Clone(string(id)))
	}
	return apns.NotificationID(apns.NewUUID())
}

// pushID is notificationID without the copy.
func (s *session) pushID(h *headers) apns.NotificationID {
	if id := apns.NotificationID(h.value[apnsID]); id.Valid() {
		return id
	}
	return apns.NotificationID(s.room.uuid(&s.uuids.random))
}

// The checks of a push, in the order in which they are made. The order leaks
// nothing about device tokens to a sender that is not admitted
// (docs/protocol/provider.md#order).

// checkForm checks what can be said of a request without knowing who sends
// it, and returns the device token in hex.
func checkForm(r *h2.Request, h *headers) (hexToken string, _ error) {
	if r.Method != http.MethodPost {
		return "", apns.Reject(apns.MethodNotAllowed, "")
	}
	hexToken, rejection := wire.ParseDevicePath(r.Path)
	switch {
	case rejection != nil:
		return "", rejection
	case h.repeated:
		return "", apns.Reject(apns.DuplicateHeaders, "")
	case h.present[apnsID] && !apns.NotificationID(h.value[apnsID]).Valid():
		return "", apns.Reject(apns.BadMessageID, "")
	}
	return hexToken, nil
}

// bearer returns the provider token of an authorization header. The error is
// MissingProviderToken.
func bearer(h *headers) (string, error) {
	const scheme = "bearer "
	v := h.value[authorization]
	if len(v) <= len(scheme) || !strings.EqualFold(v[:len(scheme)], scheme) {
		return "", apns.Reject(apns.MissingProviderToken, "")
	}
	return strings.TrimSpace(v[len(scheme):]), nil
}

// checkNotification checks the rest of the headers and the payload of a
// request to a topic, and returns the notification, without its ID and payload.
func checkNotification(r *h2.Request, h *headers, topic apns.Topic) (n apns.Notification, _ error) {
	n.Topic = topic
	asked := apns.PushType(h.value[apnsPushType])
	var ok bool
	if h.present[apnsExpiration] {
		if n.Expiration, ok = apns.ParseExpiration(h.value[apnsExpiration]); !ok {
			return n, apns.Reject(apns.BadExpirationDate, "")
		}
	}
	if h.present[apnsPriority] {
		if n.Priority, ok = apns.ParsePriority(h.value[apnsPriority]); !ok {
			return n, apns.Reject(apns.BadPriority, "")
		}
		if asked == apns.PushTypeBackground && n.Priority == apns.PriorityImmediate {
			return n, apns.Reject(apns.BadPriority, "a background push has priority 5")
		}
	}
	if len(h.value[apnsCollapseID]) > apns.MaxCollapseIDBytes {
		return n, apns.Reject(apns.BadCollapseID, "")
	}
	n.CollapseID = apns.CollapseID(h.value[apnsCollapseID])
	switch {
	case !h.present[apnsPushType]:
		n.PushType = apns.InferPushType(topic, r.Body)
	case !asked.Known(), !asked.Matches(topic):
		return n, apns.Reject(apns.InvalidPushType, "")
	default:
		n.PushType = asked
	}
	n.Priority = priorityOf(n)
	return n, checkPayload(r, n.PushType)
}

// priorityOf returns the priority of a notification, which may be that of its
// push type. A sender that named no push type may have given a background push
// another one: it did not declare it as such
// (docs/protocol/provider.md#push-types).
func priorityOf(n apns.Notification) apns.Priority {
	if n.Priority == 0 && n.PushType == apns.PushTypeBackground {
		return apns.PriorityConserve
	}
	return n.Priority.OrDefault()
}

// checkPayload checks the body of a request, the size before what is in it
// (docs/protocol/provider.md#payload-size).
func checkPayload(r *h2.Request, p apns.PushType) error {
	switch {
	case len(r.Body) == 0:
		return apns.Reject(apns.PayloadEmpty, "")
	case len(r.Body) > p.MaxPayloadBytes(), r.BodyTooLarge:
		return apns.Reject(apns.PayloadTooLarge, "")
	case !apns.Payload(r.Body).IsObject():
		return apns.Reject(apns.PayloadEmpty, "the payload is not a JSON object")
	}
	return nil
}
