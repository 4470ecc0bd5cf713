package portal

import (
	"fmt"
	"slices"

	"github.com/heraldpush/herald/apns"
)

// Topics returns the topics that a certificate is for, in its order; nil for a
// key.
func (s *Sender) Topics() []apns.Topic {
	if s.certificate == nil {
		return nil
	}
	return slices.Clone(s.certificate.Topics)
}

// LegacyTopic returns the topic that everything on a connection of the legacy
// interface goes to: that of the certificate's user ID
// (docs/protocol/legacy.md#transport). The error is an *apns.Rejection,
// MissingTopic: for a key, or a certificate that does not tell which of its
// topics it means.
func (s *Sender) LegacyTopic() (apns.Topic, error) {
	if s.certificate == nil {
		return "", apns.Reject(apns.MissingTopic, "the legacy interface needs a certificate")
	}
	if topic := apns.Topic(s.certificate.UserID); s.certificate.AllowsTopic(topic) {
		return topic, nil
	}
	if s.certificate.DefaultTopic == "" {
		return "", apns.Reject(apns.MissingTopic, fmt.Sprintf("the certificate is for %v, none of which is its user ID", s.certificate.Topics))
	}
	return s.certificate.DefaultTopic, nil
}
