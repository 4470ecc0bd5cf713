package gateway

import (
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/http2/hpack"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/h2"
	"github.com/heraldpush/herald/portal"
	"github.com/heraldpush/herald/registry"
	"github.com/heraldpush/herald/wire"
)

// action is what a request of broadcast push asks for
// (docs/protocol/broadcast.md#requests).
type action uint8

const (
	createChannel action = iota + 1
	readChannel
	deleteChannel
	listChannels
	broadcast
)

// errand is a request of broadcast push that passed all checks that need no
// store.
type errand struct {
	request *h2.Request
	id      apns.NotificationID // its apns-request-id
	action  action
	owner   registry.ChannelOwner
	channel apns.ChannelID     // of all but createChannel and listChannels
	policy  apns.StoragePolicy // of createChannel
	// message is that of broadcast.
	message apns.Notification
}

// broadcastHeaders are the values of the header fields that a request of
// broadcast push may have (docs/protocol/broadcast.md#headers).
type broadcastHeaders struct {
	headers
	channelID, requestID  string
	hasChannel, hasNaming bool
}

func readBroadcastHeaders(fields []hpack.HeaderField) (h broadcastHeaders) {
	h.headers = readHeaders(fields)
	once := func(value *string, present *bool, f *hpack.HeaderField) {
		if *present {
			h.repeated = true // the first one stays
			return
		}
		*value, *present = f.Value, true
	}
	for i := range fields {
		switch fields[i].Name {
		case "apns-channel-id":
			once(&h.channelID, &h.hasChannel, &fields[i])
		case "apns-request-id":
			once(&h.requestID, &h.hasNaming, &fields[i])
		}
	}
	return h
}

// requestIDOf returns the ID that every answer carries: the sender's, byte for
// byte, or a new one if that is missing or is none.
func (h *broadcastHeaders) requestIDOf() apns.NotificationID {
	if id := apns.NotificationID(h.requestID); id.Valid() {
		return apns.NotificationID(strings.Clone(h.requestID))
	}
	if h.hasNaming {
		return apns.NotificationID(apns.NewUUID())
	}
	return h.notificationID()
}

// serveBroadcast decides about a request of broadcast push as far as that needs
// no store, and refuses it or has it run.
func (s *session) serveBroadcast(r *h2.Request) {
	h := readBroadcastHeaders(r.Fields)
	e := errand{request: r, id: h.requestIDOf()}
	sender, err := s.checkErrand(&e, &h)
	if err != nil {
		s.traceBroadcast(&e, time.Time{}, err)
		s.refuseErrands(refusals{{request: r, id: e.id, err: err}})
		return
	}
	s.binding.claim(sender)
	s.errands.add(e, s.runErrands)
}

// checkErrand makes the checks of a request in their order
// (docs/protocol/broadcast.md#order), but for those that need the registry,
// which come last. It fills in the errand and returns who asks for it.
func (s *session) checkErrand(e *errand, h *broadcastHeaders) (*portal.Sender, error) {
	bundleID, err := e.checkForm(h)
	if err != nil {
		return nil, err
	}
	sender, err := s.admit(e.request, &h.headers, time.Now())
	if err != nil {
		return nil, err
	}
	term, err := sender.Broadcast(bundleID)
	if err != nil {
		return nil, err
	}
	e.owner = registry.ChannelOwner{App: apns.Topic(strings.Clone(string(bundleID))), Environment: s.env, Term: term}
	if err := e.checkChannel(h); err != nil {
		return nil, err
	}
	switch e.action {
	case createChannel:
		err = e.checkConfig()
	case broadcast:
		err = e.checkMessage(h)
	case readChannel, deleteChannel, listChannels:
	}
	return sender, err
}

// actionOf returns what a method asks for at a resource. The rejection is
// BadPath for a method that other resources have.
func actionOf(method string, at wire.Resource) (action, error) {
	switch at {
	case wire.Channels:
		switch method {
		case http.MethodPost:
			return createChannel, nil
		case http.MethodGet:
			return readChannel, nil
		case http.MethodDelete:
			return deleteChannel, nil
		}
	case wire.AllChannels:
		if method == http.MethodGet {
			return listChannels, nil
		}
	case wire.Broadcasts:
		if method == http.MethodPost {
			return broadcast, nil
		}
	}
	return 0, apns.Reject(apns.BadPath, "not with this method")
}

// checkForm checks what can be said of a request without knowing who sends
// it, and returns what stands where the bundle ID belongs.
func (e *errand) checkForm(h *broadcastHeaders) (apns.Topic, error) {
	switch e.request.Method {
	case http.MethodPost, http.MethodGet, http.MethodDelete:
	default:
		return "", apns.Reject(apns.MethodNotAllowed, "")
	}
	at, bundleID, rejection := wire.ParseBroadcastPath(e.request.Path)
	if rejection != nil {
		return "", rejection
	}
	var err error
	if e.action, err = actionOf(e.request.Method, at); err != nil {
		return "", err
	}
	switch {
	case h.repeated:
		return "", apns.Reject(apns.DuplicateHeaders, "")
	case h.hasNaming && !apns.NotificationID(h.requestID).Valid(),
		h.present[apnsID] && !apns.NotificationID(h.value[apnsID]).Valid():
		return "", apns.Reject(apns.BadMessageID, "")
	}
	return bundleID, nil
}

// checkChannel checks the name of the channel, where there is to be one.
func (e *errand) checkChannel(h *broadcastHeaders) error {
	if e.action == createChannel || e.action == listChannels {
		return nil
	}
	if h.channelID == "" {
		return apns.Reject(apns.MissingChannelID, "")
	}
	id, err := apns.ParseChannelID(strings.Clone(h.channelID))
	if err != nil {
		return apns.Reject(apns.BadChannelID, err.Error())
	}
	e.channel = id
	return nil
}

// checkConfig checks the configuration of a channel to be.
func (e *errand) checkConfig() error {
	if e.request.BodyTooLarge {
		return apns.Reject(apns.PayloadTooLarge, "")
	}
	config, rejection := wire.ParseChannelConfig(e.request.Body)
	if rejection != nil {
		return rejection
	}
	e.policy = config.StoragePolicy
	return nil
}

// checkMessage checks the headers and the payload of a broadcast, whose headers
// have no defaults.
func (e *errand) checkMessage(h *broadcastHeaders) error {
	m := apns.Notification{
		ID: e.id, PushType: apns.PushTypeLiveActivity,
		Topic: e.owner.App + apns.Topic(apns.PushTypeLiveActivity.Suffix()),
	}
	switch {
	case !h.present[apnsPushType]:
		return apns.Reject(apns.MissingPushType, "")
	case !strings.EqualFold(h.value[apnsPushType], string(apns.PushTypeLiveActivity)):
		return apns.Reject(apns.InvalidPushType, "only Live Activities are broadcast to")
	}
	var ok bool
	if m.Expiration, ok = apns.ParseExpiration(h.value[apnsExpiration]); !ok {
		return apns.Reject(apns.BadExpirationDate, "")
	}
	if m.Priority, ok = apns.ParsePriority(h.value[apnsPriority]); !ok {
		return apns.Reject(apns.BadPriority, "")
	}
	switch body := e.request.Body; {
	case len(body) == 0:
		return apns.Reject(apns.PayloadEmpty, "")
	case len(body) > apns.MaxBroadcastBytes, e.request.BodyTooLarge:
		return apns.Reject(apns.PayloadTooLarge, "")
	case !apns.Payload(body).IsObject():
		return apns.Reject(apns.BadRequestPayload, "the payload is not a JSON object")
	}
	m.Payload = e.request.TakeBody()
	e.message = m
	return nil
}
