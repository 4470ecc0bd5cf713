package apns

import (
	"crypto/sha1" //nolint:gosec // the courier protocol names a topic by its SHA-1
	"encoding/hex"
	"strings"
)

// Topic names what a notification is for: the bundle ID of an app, for some
// push types with a suffix, such as "com.example.demo" or
// "com.example.demo.voip".
type Topic string

// MaxTopicBytes bounds a topic. Apple gives no figure; a bundle ID is at most
// 155 characters and the longest suffix 25.
const MaxTopicBytes = 255

// TopicHashSize is the size of a TopicHash in bytes.
const TopicHashSize = sha1.Size

// TopicHash is the SHA-1 of a topic, the form in which the courier protocol
// names it (docs/protocol/courier.md#topics).
type TopicHash [TopicHashSize]byte

// Hash returns the name of t in the courier protocol.
func (t Topic) Hash() TopicHash { return sha1.Sum([]byte(t)) } //nolint:gosec // see TopicHash

// String returns h as lower-case hex.
func (h TopicHash) String() string { return hex.EncodeToString(h[:]) }

// Valid reports whether t can be a topic at all: not empty, not too long, and
// only letters, digits, hyphens, underscores and dots, with something between
// the dots.
func (t Topic) Valid() bool {
	if t == "" || len(t) > MaxTopicBytes {
		return false
	}
	dot := true // a dot may not come first, last or after another
	for i := range len(t) {
		switch c := t[i]; {
		case c == '.':
			if dot {
				return false
			}
			dot = true
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
			dot = false
		default:
			return false
		}
	}
	return !dot
}

// BundleID returns the app that t belongs to: t without the suffix of its
// push type.
func (t Topic) BundleID() Topic {
	if p, ok := t.suffixType(); ok {
		return t[:len(t)-len(p.Suffix())]
	}
	return t
}

// suffixType returns the push type whose suffix t ends in.
func (t Topic) suffixType() (PushType, bool) {
	for i, s := range suffixes {
		if len(t) > len(s) && strings.HasSuffix(string(t), s) {
			return suffixed[i], true
		}
	}
	return "", false
}
