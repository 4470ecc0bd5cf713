package apns

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"time"
)

// ChannelID names a channel, in one environment: base64 text, such as
// "dHN0LXNyY2gtY2hubA==". Only the service makes one, and it says nothing
// (docs/protocol/broadcast.md#channels).
type ChannelID string

// MaxChannelIDBytes bounds a channel ID. Apple gives no figure.
const MaxChannelIDBytes = 128

// channelIDEntropy is how many random bytes a channel ID of ours stands for.
const channelIDEntropy = 16

// NewChannelID returns a random channel ID.
func NewChannelID() ChannelID {
	var b [channelIDEntropy]byte
	rand.Read(b[:]) // it never fails
	return ChannelID(base64.StdEncoding.EncodeToString(b[:]))
}

// ParseChannelID reads the value of an apns-channel-id header. The error says
// what is wrong with s, without repeating it.
func ParseChannelID(s string) (ChannelID, error) {
	switch {
	case s == "":
		return "", errors.New("channel ID: empty")
	case len(s) > MaxChannelIDBytes:
		return "", fmt.Errorf("channel ID: %d characters, at most %d are possible", len(s), MaxChannelIDBytes)
	case len(s)%4 != 0:
		return "", fmt.Errorf("channel ID: not base64: %d characters", len(s))
	}
	for i := range len(s) { // the decoder skips line breaks
		if s[i] == '\r' || s[i] == '\n' {
			return "", errors.New("channel ID: not base64: a line break")
		}
	}
	var room [MaxChannelIDBytes]byte
	if _, err := base64.StdEncoding.Decode(room[:], []byte(s)); err != nil {
		return "", fmt.Errorf("channel ID: not base64: %w", err)
	}
	return ChannelID(s), nil
}

// StoragePolicy is a channel's message-storage-policy: what is kept of the
// messages on it for devices that are away. It never changes.
type StoragePolicy uint8

// The storage policies (docs/protocol/broadcast.md#channels).
const (
	// NoMessageStored brings a message to the devices that are there. More of
	// them may be sent than with the other policy.
	NoMessageStored StoragePolicy = 0
	// MostRecentMessageStored keeps the latest message, see
	// MaxChannelStorage.
	MostRecentMessageStored StoragePolicy = 1
)

// Known reports whether p is a storage policy.
func (p StoragePolicy) Known() bool { return p <= MostRecentMessageStored }

// String says what p is, for people.
func (p StoragePolicy) String() string {
	switch p {
	case NoMessageStored:
		return "no message stored"
	case MostRecentMessageStored:
		return "most recent message stored"
	}
	return fmt.Sprintf("StoragePolicy(%d)", uint8(p))
}

// MaxChannelStorage is the longest time that the service keeps the latest
// message of a channel, whatever its expiration says.
const MaxChannelStorage = 8 * time.Hour

// MaxBroadcastBytes is the largest payload of a broadcast, in bytes.
const MaxBroadcastBytes = 5120
