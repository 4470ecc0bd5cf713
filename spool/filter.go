package spool

import (
	"errors"
	"unique"

	"github.com/heraldpush/herald/apns"
)

// Filter is what a device says of its topics. A topic in several lists is in the
// first of them, in the order of the fields
// (docs/protocol/courier.md#filter).
type Filter struct {
	// Enabled topics are delivered.
	Enabled []apns.TopicHash
	// Opportunistic topics are delivered, but low priority only while the device
	// is awake.
	Opportunistic []apns.TopicHash
	// NonWaking topics are delivered only while the device is awake.
	NonWaking []apns.TopicHash
	// Paused topics are held back.
	Paused []apns.TopicHash
	// Ignored topics are not delivered and not stored.
	Ignored []apns.TopicHash
}

// MaxFilterTopics bounds the topics of a filter.
const MaxFilterTopics = 4096

// ErrFilterTooLong says that a filter has more than MaxFilterTopics topics.
var ErrFilterTooLong = errors.New("filter has too many topics")

func (f *Filter) topics() int {
	return len(f.Enabled) + len(f.Opportunistic) + len(f.NonWaking) + len(f.Paused) + len(f.Ignored)
}

// class is the list of the filter that a topic is in.
type class uint8

const (
	unlisted class = iota
	enabled
	opportunistic
	nonWaking
	paused
	ignored
)

// topicName is an interned topic hash: a few topics are in the filters of very
// many devices.
type topicName = unique.Handle[apns.TopicHash]

// lists is a filter in 8 bytes a topic: the topics in the order of the lists,
// and where each list ends. The zero value has no topics, and nor has nil.
type lists struct {
	names []topicName
	ends  [ignored + 1]uint16 // by class; ends[unlisted] is 0
}

func newLists(f *Filter) lists {
	l := lists{names: make([]topicName, 0, f.topics())}
	for c, hashes := range [...][]apns.TopicHash{
		enabled: f.Enabled, opportunistic: f.Opportunistic, nonWaking: f.NonWaking, paused: f.Paused, ignored: f.Ignored,
	} {
		for _, h := range hashes {
			l.names = append(l.names, unique.Make(h))
		}
		l.ends[c] = uint16(len(l.names)) //nolint:gosec // MaxFilterTopics fits
	}
	return l
}

// class returns the first list that the topic is in.
func (l *lists) class(t topicName) class {
	if l == nil {
		return unlisted
	}
	c := enabled
	for i, name := range l.names {
		for i >= int(l.ends[c]) {
			c++
		}
		if name == t {
			return c
		}
	}
	return unlisted
}
