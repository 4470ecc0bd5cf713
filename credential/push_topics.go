package credential

import (
	"encoding/asn1"
	"errors"
	"fmt"
	"strings"

	"github.com/heraldpush/herald/apns"
)

// maxTopics bounds the topics of a certificate. Apple's have at most four.
const maxTopics = 64

// pushTopic is a topic of a certificate, with the word that says what it is:
// "topic" (before 2022 "app"), "voip", "complication", and whatever Apple
// adds. No meaning is read from it.
type pushTopic struct {
	topic apns.Topic
	kind  string // empty where the certificate gives none
}

// topicsValue is the topics extension: a sequence of topics, each followed by
// its kind in a sequence of its own
// (docs/protocol/certificates.md#topics).
//
//	30 len
//	   0C len topic    30 len 0C len kind
//	   …
func topicsValue(topics []pushTopic) []any {
	elements := make([]any, 0, 2*len(topics))
	for _, t := range topics {
		elements = append(elements, utf8String(string(t.topic)), []asn1.RawValue{utf8String(t.kind)})
	}
	return elements
}

// parseTopics reads the topics extension. A topic without a kind is accepted,
// a kind without a topic is not.
func parseTopics(der []byte) ([]pushTopic, error) {
	elements, err := sequence(der)
	if err != nil {
		return nil, err
	}
	var topics []pushTopic
	kindOf := -1 // the topic that the next kind belongs to
	for i, el := range elements {
		if el.Class == asn1.ClassUniversal && el.Tag == asn1.TagSequence {
			if kindOf < 0 {
				return nil, fmt.Errorf("element %d is a kind without a topic", i)
			}
			if topics[kindOf].kind, err = parseTopicKind(el.FullBytes); err != nil {
				return nil, fmt.Errorf("element %d: %w", i, err)
			}
			kindOf = -1
			continue
		}
		s, err := stringOf(el)
		if err != nil {
			return nil, fmt.Errorf("element %d: %w", i, err)
		}
		if topics, err = addTopic(topics, s); err != nil {
			return nil, fmt.Errorf("element %d: %w", i, err)
		}
		kindOf = len(topics) - 1
	}
	if len(topics) == 0 {
		return nil, errors.New("it lists none")
	}
	return topics, nil
}

func parseTopicKind(der []byte) (string, error) {
	elements, err := sequence(der)
	if err != nil {
		return "", err
	}
	if len(elements) != 1 {
		return "", fmt.Errorf("a kind of %d strings, want 1", len(elements))
	}
	return stringOf(elements[0])
}

// parseVoIPTopics reads the older list of VoIP certificates: one string,
// with commas between the topics.
func parseVoIPTopics(der []byte) ([]pushTopic, error) {
	s, err := parseString(der)
	if err != nil {
		return nil, err
	}
	var topics []pushTopic
	for part := range strings.SplitSeq(s, ",") {
		if topics, err = addTopic(topics, strings.TrimSpace(part)); err != nil {
			return nil, err
		}
	}
	return topics, nil
}

// addTopic appends s.
func addTopic(topics []pushTopic, s string) ([]pushTopic, error) {
	if len(topics) == maxTopics {
		return nil, fmt.Errorf("more than %d topics", maxTopics)
	}
	t := apns.Topic(s)
	if !t.Valid() {
		return nil, fmt.Errorf("%.80q is not a topic", s)
	}
	return append(topics, pushTopic{topic: t}), nil
}
