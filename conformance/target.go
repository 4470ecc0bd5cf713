package conformance

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"net"

	"github.com/heraldpush/herald/apns"
)

// Names that cases and targets share. Those that only cases use, and the makers
// of targets fill in, are in the data.
const (
	// Gateway is the address that cases connect to.
	Gateway = "gateway"
	// LegacyAddress and FeedbackAddress are those of the binary interface.
	LegacyAddress   = "legacy"
	FeedbackAddress = "feedback"
	// ChannelsAddress is where channels are managed; without it, they are looked
	// for at Gateway.
	ChannelsAddress = "channels"

	// TeamKey signs the provider tokens of good requests.
	TeamKey = "team key"
	// Certificate is the one of good requests in the other mode.
	Certificate = "certificate"
	// SeveralTopics and OneTopic are certificates told apart by their topics.
	SeveralTopics = "certificate for several topics"
	OneTopic      = "certificate for one topic"

	// Topic and DeviceToken are where good requests go.
	Topic       = "topic"
	DeviceToken = "device token"
)

// Key is a provider's signing key.
type Key struct {
	Team    apns.TeamID
	ID      apns.KeyID
	Private *ecdsa.PrivateKey
}

// Target is a gateway, and what is known of it and by it. What it lacks has
// the cases that need it be skipped.
type Target struct {
	// Addresses are "host:port" by name. Gateway is required.
	Addresses map[string]string
	// ServerName is what the gateway's certificate has to be for. Empty means the
	// host of the address.
	ServerName string
	// Roots are trusted. Nil means the system's.
	Roots *x509.CertPool
	// Dial connects. Nil means a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// Keys, Certificates and Values are by the names that cases use. Values are
	// topics and device tokens, in hex; of several, a case gets one.
	Keys         map[string]Key
	Certificates map[string]tls.Certificate
	Values       map[string][]string

	// Deliver allows what may reach a device: without it, no case sends what
	// could be accepted for a device token of Values.
	Deliver bool
	// Watched is a device whose notifications can be seen; nil for none. Its
	// device token is the value WatchedDeviceToken.
	Watched Watched
	// Acts are what can be asked of the operator, by name.
	Acts map[string]func(context.Context) error
}

// WatchedDeviceToken names the device token of the watched device.
const WatchedDeviceToken = "watched device token"

// Watched is a device that can be looked at, and taken away.
type Watched interface {
	// Away disconnects the device.
	Away(ctx context.Context) error
	// Back connects it, if it is away, and returns when what had waited for it is
	// there.
	Back(ctx context.Context) error
	// Next returns the payload of the next notification.
	Next(ctx context.Context) (string, error)
}
