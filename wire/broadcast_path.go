package wire

import (
	"strings"

	"github.com/heraldpush/herald/apns"
)

// The paths of broadcast push, with the bundle ID between prefix and rest
// (docs/protocol/broadcast.md#requests).
const (
	appsPath       = "/1/apps/"
	broadcastsPath = "/4/broadcasts/apps/"
	channelsRest   = "/channels"
	allRest        = "/all-channels"
)

// Resource is what a path of broadcast push leads to.
type Resource uint8

// The resources. The zero Resource is none of them.
const (
	// Channels is where one channel is created, read and deleted:
	// /1/apps/<bundle ID>/channels.
	Channels Resource = iota + 1
	// AllChannels is the list of an app's channels:
	// /1/apps/<bundle ID>/all-channels.
	AllChannels
	// Broadcasts is where broadcasts are posted to:
	// /4/broadcasts/apps/<bundle ID>.
	Broadcasts
)

// IsBroadcastPath reports whether a path is of broadcast push, whether or not
// there is anything at it: such a path is for ParseBroadcastPath, any other
// for ParseDevicePath.
func IsBroadcastPath(path string) bool {
	return strings.HasPrefix(path, "/1/apps") || strings.HasPrefix(path, "/4/broadcasts")
}

// ParseBroadcastPath reads a path of broadcast push. It returns what stands
// where the bundle ID belongs, which is never empty and for the portal to
// judge: the order of the checks puts that after the credential. The rejection
// is BadPath where there is nothing, or nil.
func ParseBroadcastPath(path string) (Resource, apns.Topic, *apns.Rejection) {
	at, bundleID := splitBroadcastPath(path)
	if at == 0 || bundleID == "" || strings.ContainsAny(bundleID, "/?#") {
		return 0, "", apns.Reject(apns.BadPath, "")
	}
	return at, apns.Topic(bundleID), nil
}

func splitBroadcastPath(path string) (at Resource, bundleID string) {
	if rest, ok := strings.CutPrefix(path, broadcastsPath); ok {
		return Broadcasts, rest
	}
	rest, ok := strings.CutPrefix(path, appsPath)
	if !ok {
		return 0, ""
	}
	if bundleID, ok := strings.CutSuffix(rest, channelsRest); ok {
		return Channels, bundleID
	}
	if bundleID, ok := strings.CutSuffix(rest, allRest); ok {
		return AllChannels, bundleID
	}
	return 0, ""
}

// AppendBroadcastPath appends the path of a resource of an app.
func AppendBroadcastPath(b []byte, at Resource, bundleID apns.Topic) []byte {
	switch at {
	case Broadcasts:
		return append(append(b, broadcastsPath...), bundleID...)
	case Channels:
		return append(append(append(b, appsPath...), bundleID...), channelsRest...)
	case AllChannels:
		return append(append(append(b, appsPath...), bundleID...), allRest...)
	}
	return b
}
