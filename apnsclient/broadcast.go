package apnsclient

import (
	"context"
	"fmt"
	"net/http"

	"golang.org/x/net/http2/hpack"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/wire"
)

// Broadcast sends one notification to all devices that follow a channel, and waits
// for the answer, at most the sender's Timeout. Channels are made with
// Channels.
//
// n is an update or the end of a Live Activity. Its Topic is the app's bundle ID,
// without a suffix; empty stands for the one that a certificate is for. Its
// Expiration is required: apns.DoNotStore, or on a channel that stores the most
// recent message a time. Where it has no PushType, ID or Priority, it gets
// liveactivity, a random one, and 10. It may have no CollapseID.
//
// The error and the receipt are as Push's; the receipt's ID is the
// apns-request-id (docs/protocol/broadcast.md#requests).
func (s *Sender) Broadcast(ctx context.Context, channel apns.ChannelID, n apns.Notification) (Receipt, error) {
	if n.ID == "" {
		n.ID = s.ids.next()
	}
	receipt := Receipt{ID: n.ID}
	app, err := s.checkApp(n.Topic)
	if err != nil {
		return receipt, err
	}
	n.Topic = app
	if n.PushType == "" {
		n.PushType = apns.PushTypeLiveActivity
	}
	n.Priority = n.Priority.OrDefault()
	if err := checkBroadcast(channel, n); err != nil {
		return receipt, err
	}
	a, err := s.engine.exchange(ctx, broadcastRequest(channel, n))
	if id := a.field(requestIDField); id != "" {
		receipt.ID = apns.NotificationID(id)
	}
	receipt.UniqueID = a.field("apns-unique-id")
	return receipt, err
}

// The headers of broadcasts and channels (docs/protocol/broadcast.md#headers).
const (
	requestIDField = "apns-request-id"
	channelIDField = "apns-channel-id"
)

// broadcastRequest returns the request for a broadcast that has been checked.
func broadcastRequest(channel apns.ChannelID, n apns.Notification) exchange {
	expiration, _ := n.Expiration.Header() // checkBroadcast saw to it that there is one
	return exchange{
		method: http.MethodPost,
		path:   string(wire.AppendBroadcastPath(nil, wire.Broadcasts, n.Topic)),
		fields: []hpack.HeaderField{
			{Name: "apns-push-type", Value: string(n.PushType)},
			{Name: "apns-priority", Value: fmt.Sprint(int(n.Priority))},
			{Name: "apns-expiration", Value: expiration},
			{Name: channelIDField, Value: string(channel)},
			{Name: requestIDField, Value: string(n.ID)},
		},
		body: n.Payload, id: n.ID, topic: n.Topic, pushType: n.PushType,
	}
}

// checkApp returns the bundle ID that a request about channels is for, and finds
// what of it and of the certificate would be refused.
func (s *Sender) checkApp(app apns.Topic) (apns.Topic, error) {
	if c := s.certificate(); app == "" && c != nil {
		app = c.app()
	}
	if app != app.BundleID() {
		return "", &CheckError{
			apns.TopicDisallowed, fmt.Sprintf("the topic %.100q has the suffix of a push type", string(app)),
			fmt.Sprintf("give the bundle ID alone, %.100q", string(app.BundleID())),
		}
	}
	if err := s.checkTopic(&apns.Notification{Topic: app}); err != nil {
		return "", err
	}
	if err := s.checkCertificate(); err != nil {
		return "", err
	}
	return app, nil
}

// checkBroadcast finds what would be refused without asking the gateway.
func checkBroadcast(channel apns.ChannelID, n apns.Notification) error {
	if err := checkChannel(channel); err != nil {
		return err
	}
	if err := checkID(n.ID); err != nil {
		return err
	}
	switch _, expires := n.Expiration.Header(); {
	case n.PushType != apns.PushTypeLiveActivity:
		return &CheckError{
			apns.InvalidPushType, fmt.Sprintf("the push type %.50q cannot be broadcast", string(n.PushType)),
			"leave it empty: only Live Activities can be",
		}
	case !expires:
		return &CheckError{
			apns.BadExpirationDate, "the broadcast has no expiration",
			"give apns.DoNotStore, or on a channel that stores the most recent message a time",
		}
	case n.CollapseID != "":
		return &CheckError{
			apns.BadCollapseID, "a broadcast has no collapse identifier",
			"leave it empty: a later message on the channel takes the place of this one",
		}
	}
	if err := checkHeaders(&n); err != nil {
		return err
	}
	if over := len(n.Payload) - apns.MaxBroadcastBytes; over > 0 {
		return &CheckError{
			apns.PayloadTooLarge,
			fmt.Sprintf("the payload has %d bytes, %d more than the %d that a broadcast may have", len(n.Payload), over, apns.MaxBroadcastBytes),
			"send less, and have the app fetch the rest",
		}
	}
	return checkObject(n.Payload)
}

func checkChannel(id apns.ChannelID) error {
	if id == "" {
		return &CheckError{
			apns.MissingChannelID, "there is no channel ID",
			"give the one that Channels.Create returned",
		}
	}
	if _, err := apns.ParseChannelID(string(id)); err != nil {
		return &CheckError{apns.BadChannelID, err.Error(), "give the one that Channels.Create returned, as it is"}
	}
	return nil
}
