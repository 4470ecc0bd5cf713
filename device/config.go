package device

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/wire"
)

// Config is what a device needs to know. Courier and Environment are required,
// and what activation needs where there is no identity in Dir.
type Config struct {
	// Courier is the address of the courier, "host:port". Required.
	Courier string
	// ServerName is the name that the courier's certificate must carry, and by
	// which the courier tells the environment. Default:
	// courier.sandbox.push.apple.com or courier.push.apple.com, according to
	// Environment.
	ServerName string
	// Environment is the push service that the device belongs to. Required.
	Environment apns.Environment
	// Activation is the URL of the activation door, https only. Required
	// unless Dir holds a certificate. The doors of renewal and erasure are
	// beside it, with another last word; without Activation they are at the
	// courier's address.
	Activation string
	// EnrolmentCode is the secret that allows the activation. Required unless
	// Dir holds a certificate.
	EnrolmentCode string
	// Roots are the authorities that courier and activation door are trusted
	// by. Nil stands for those of the system.
	Roots *x509.CertPool
	// Dial opens connections, also that of the activation. Default: a
	// net.Dialer. It is bounded by its context, 30 s.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// KeepKey tells to renew the certificate for the key that it has. By
	// default each certificate has a new key.
	KeepKey bool
	// Dir is the folder where identity and state are kept, of one device in
	// one environment and of one process at a time. It is made, with mode
	// 0700, if it is missing. Each notification waits there for the disk before
	// it is acknowledged, together with those that came meanwhile. Empty means
	// that all is in memory and lost at the end of the process.
	Dir string
	// KeepAlive is how long the courier may be silent before the device asks
	// for a sign of life. By default the device finds out what the network
	// bears, between KeepAliveMin and KeepAliveMax.
	KeepAlive time.Duration
	// KeepAliveMin and KeepAliveMax bound what it finds. Default: 1 and 30
	// minutes.
	KeepAliveMin, KeepAliveMax time.Duration
	// Network, if set, names the network that the device is on, as it is asked
	// for each connection: what a network bears is remembered by its name, of
	// at most 100 bytes. By default there is one.
	Network func() string
	// DefaultPermission is what apps may do that the user decided nothing
	// about. If its Status is NotDetermined they may show what they register
	// for, and nothing critical.
	DefaultPermission Permission
	// AskPermission, if set, is called when an app registers that the user
	// decided nothing about, by RegisterForRemoteNotifications and in the
	// goroutine of its caller, with the types that it asks for. What it
	// returns is the user's decision; NotDetermined leaves it open, and the
	// next registration asks again.
	AskPermission func(topic apns.Topic, types NotificationTypes) Permission
	// Screen, if set, is called for each notification that was accepted, after
	// its app: with what the device shows of it, or Silent. The rules of
	// Delegate apply.
	Screen func(Presentation)
	// DidConnect, if set, is called each time that a courier, at the address
	// given, has accepted the device: before any delegate hears of what came
	// from there. DidDisconnect, if set, is called when that is over, and after
	// each attempt that did not succeed, with the reason; an end of Run's
	// context is no reason. Both are called by Run, outside of the order of
	// Delegate, and hold it up: they must not wait for anything.
	DidConnect    func(courier string)
	DidDisconnect func(reason error)
	// Logger receives what happens to the connection. Nil discards it.
	Logger *slog.Logger
}

// serverNames are the names by which couriers tell the environment
// (docs/protocol/courier.md#names).
var serverNames = map[apns.Environment]string{
	apns.Sandbox:    "courier.sandbox.push.apple.com",
	apns.Production: "courier.push.apple.com",
}

// withDefaults returns c with each empty field that has a default filled in.
// The error says which field is wrong.
func (c Config) withDefaults() (Config, error) {
	name, ok := serverNames[c.Environment]
	if !ok {
		return c, fmt.Errorf("device: Environment: %v: want sandbox or production", c.Environment)
	}
	if _, port, err := net.SplitHostPort(c.Courier); err != nil || port == "" {
		return c, fmt.Errorf("device: Courier: %q: want host:port", c.Courier)
	}
	if c.KeepAlive < 0 {
		return c, fmt.Errorf("device: KeepAlive: %v: want a positive duration", c.KeepAlive)
	}
	if c.Activation != "" {
		u, err := url.Parse(c.Activation)
		if err != nil || u.Scheme != "https" || u.Host == "" {
			return c, errors.New("device: Activation: want a URL that begins with https://")
		}
	}
	if !c.DefaultPermission.valid() {
		return c, errors.New("device: DefaultPermission: want a known status and known types")
	}
	if c.DefaultPermission.Status == NotDetermined {
		c.DefaultPermission = granted
	}
	if c.ServerName == "" {
		c.ServerName = name
	}
	if c.KeepAliveMin == 0 {
		c.KeepAliveMin = DefaultKeepAliveMin
	}
	if c.KeepAliveMax == 0 {
		c.KeepAliveMax = max(DefaultKeepAliveMax, c.KeepAliveMin)
	}
	if c.KeepAliveMin < 0 || c.KeepAliveMax < c.KeepAliveMin || c.KeepAliveMax > wire.MaxKeepAliveInterval {
		return c, fmt.Errorf("device: KeepAliveMin, KeepAliveMax: %v and %v: want the lesser first, and a day at most", c.KeepAliveMin, c.KeepAliveMax)
	}
	if c.Network == nil {
		c.Network = func() string { return defaultNetwork }
	}
	if c.Dial == nil {
		c.Dial = (&net.Dialer{}).DialContext
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}
