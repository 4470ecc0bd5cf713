package gateway

import (
	"strings"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/portal"
	"github.com/heraldpush/herald/registry"
)

// topics are the topics that a connection last asked for and may send to.
type topics struct {
	known [8]knownTopic
	last  int // the one that was asked for last
	next  int // the one that gives way to another
}

// knownTopic is a topic that a sender may send to. A sender is only ever one of
// one state of the portal, so that this holds for as long as there is the sender.
type knownTopic struct {
	sender *portal.Sender
	asked  string // as in the header, or empty for the sender's default
	topic  registry.Topic
}

func (k *knownTopic) is(sender *portal.Sender, asked string) bool {
	return k.sender == sender && k.asked == asked
}

// find returns what is known of a topic, or nil.
func (t *topics) find(sender *portal.Sender, asked string) *knownTopic {
	if k := &t.known[t.last]; k.is(sender, asked) {
		return k
	}
	for i := range t.known {
		if k := &t.known[i]; k.is(sender, asked) {
			t.last = i
			return k
		}
	}
	return nil
}

// add adds a topic.
func (t *topics) add(k knownTopic) *knownTopic {
	t.last = t.next
	t.next = (t.next + 1) % len(t.known)
	t.known[t.last] = k
	return &t.known[t.last]
}

// checkTopic returns the topic that a request of the sender goes to. It is valid
// until the next request.
func (s *session) checkTopic(sender *portal.Sender, h *headers) (*registry.Topic, error) {
	asked := h.value[apnsTopic]
	if h.present[apnsTopic] && asked == "" {
		// To leave it empty is not to leave it out.
		return nil, apns.Reject(apns.BadTopic, "empty")
	}
	k := s.topics.find(sender, asked)
	switch {
	case k == nil:
		topic, err := sender.Topic(apns.Topic(asked))
		if err != nil {
			return nil, err
		}
		topic = apns.Topic(strings.Clone(string(topic)))
		k = s.topics.add(knownTopic{sender, strings.Clone(asked), s.gateway.cfg.Registry.Topic(topic)})
	case !k.topic.Known():
		k.topic = s.gateway.cfg.Registry.Topic(k.topic.Name)
	}
	return &k.topic, nil
}
