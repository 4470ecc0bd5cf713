package apnsclient

import (
	"fmt"
	"strings"
	"time"

	"github.com/heraldpush/herald/apns"
)

// check finds what would be refused without asking the gateway. It knows no
// more than the form of things, and leaves to the gateway what a later version
// of the service might allow, such as an unknown push type.
func (s *Sender) check(to apns.DeviceToken, n *apns.Notification) error {
	if err := checkToken(to); err != nil {
		return err
	}
	if err := checkID(n.ID); err != nil {
		return err
	}
	return s.checkNotification(n)
}

// complete gives n the push type that the gateway would otherwise make up.
func complete(n *apns.Notification) {
	if n.PushType == "" {
		n.PushType = apns.InferPushType(n.Topic, n.Payload)
	}
}

// CheckNotification finds what is wrong with a notification by its form, whatever
// it is sent with: the topic is not looked at. An empty ID or push type is one that is
// made up. The error is a *CheckError.
func CheckNotification(n *apns.Notification) error {
	completed := *n
	complete(&completed)
	if n.ID != "" {
		if err := checkID(n.ID); err != nil {
			return err
		}
	}
	if err := checkHeaders(&completed); err != nil {
		return err
	}
	return checkPayload(&completed)
}

func checkID(id apns.NotificationID) error {
	if !id.Valid() {
		return &CheckError{
			apns.BadMessageID, fmt.Sprintf("the ID %.50q is not a UUID", string(id)),
			"leave it empty to get a random one",
		}
	}
	return nil
}

// checkNotification checks what a notification is, whatever its ID and wherever
// it goes.
func (s *Sender) checkNotification(n *apns.Notification) error {
	if err := s.checkTopic(n); err != nil {
		return err
	}
	if err := checkHeaders(n); err != nil {
		return err
	}
	if err := checkPayload(n); err != nil {
		return err
	}
	return s.checkCertificate()
}

// checkCertificate says whether the certificate is good now, and looks for
// another in its file where it is not.
func (s *Sender) checkCertificate() error {
	if s.presented == nil {
		return nil
	}
	now := time.Now()
	if err := s.certificate().check(s.environment, now); err == nil {
		return nil
	}
	return s.presented.newest().check(s.environment, now)
}

func checkToken(to apns.DeviceToken) error {
	switch {
	case to == "":
		return &CheckError{
			apns.MissingDeviceToken, "the device token is empty",
			"give the one that the app had from its device",
		}
	case len(to) > apns.MaxDeviceTokenBytes:
		return &CheckError{
			apns.BadDeviceToken,
			fmt.Sprintf("the device token has %d bytes, at most %d are possible", len(to), apns.MaxDeviceTokenBytes),
			"read its hex form with apns.ParseDeviceToken",
		}
	}
	return nil
}

func (s *Sender) checkTopic(n *apns.Notification) error {
	switch certificate := s.certificate(); {
	case n.Topic == "" && certificate == nil:
		return &CheckError{
			apns.MissingTopic, "there is no topic",
			"a push signed with a key needs one: the bundle ID of the app, with the suffix of its push type",
		}
	case n.Topic == "" && certificate.DefaultTopic == "":
		return &CheckError{
			apns.MissingTopic, fmt.Sprintf("there is no topic, and the certificate %q is for several", certificate.name()),
			"give one of " + certificate.topics(),
		}
	case n.Topic == "":
		return nil
	case !n.Topic.Valid():
		return &CheckError{
			apns.BadTopic, fmt.Sprintf("the topic %.100q is none", string(n.Topic)),
			"give the bundle ID of the app, with the suffix of its push type",
		}
	case certificate != nil && !certificate.AllowsTopic(n.Topic):
		return &CheckError{
			apns.TopicDisallowed, fmt.Sprintf("the certificate %q is not for the topic %q", certificate.name(), n.Topic),
			"it is for " + certificate.topics(),
		}
	}
	return nil
}

// checkHeaders refuses what could not be written into a header, or not be read
// back as it was.
func checkHeaders(n *apns.Notification) error {
	if len(n.CollapseID) > apns.MaxCollapseIDBytes {
		return &CheckError{
			apns.BadCollapseID,
			fmt.Sprintf("the collapse identifier has %d bytes, %d more than the %d that are possible",
				len(n.CollapseID), len(n.CollapseID)-apns.MaxCollapseIDBytes, apns.MaxCollapseIDBytes),
			"shorten it, for instance to a hash",
		}
	}
	if !printable(string(n.CollapseID)) {
		return &CheckError{
			apns.BadCollapseID, "the collapse identifier has a control character, or a space at an end",
			"use letters, digits and punctuation",
		}
	}
	if !printable(string(n.PushType)) {
		return &CheckError{
			apns.InvalidPushType, fmt.Sprintf("the push type %.50q is none", string(n.PushType)),
			"use one of the constants of package apns",
		}
	}
	switch n.Priority {
	case 0, apns.PriorityPower, apns.PriorityConserve, apns.PriorityImmediate:
		return nil
	default:
		return &CheckError{
			apns.BadPriority, fmt.Sprintf("the priority %d is none", n.Priority),
			"use 10, 5 or 1, or 0 for the default",
		}
	}
}

func printable(s string) bool {
	return strings.Trim(s, " ") == s && strings.IndexFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f }) < 0
}

func checkPayload(n *apns.Notification) error {
	limit := n.PushType.MaxPayloadBytes()
	if len(n.Payload) > limit {
		return &CheckError{
			apns.PayloadTooLarge,
			fmt.Sprintf("the payload has %d bytes, %d more than the %d that a push of type %s may have",
				len(n.Payload), len(n.Payload)-limit, limit, n.PushType),
			"send less, and have the app fetch the rest",
		}
	}
	return checkObject(n.Payload)
}

// checkObject checks what every payload is.
func checkObject(p apns.Payload) error {
	switch {
	case len(p) == 0:
		return &CheckError{
			apns.PayloadEmpty, "the payload is empty",
			`give a JSON object; the smallest is "{}"`,
		}
	case !p.IsObject():
		return &CheckError{
			apns.PayloadEmpty, "the payload is not a JSON object",
			`give one, such as {"aps":{"alert":"Hello"}}`,
		}
	}
	return nil
}
