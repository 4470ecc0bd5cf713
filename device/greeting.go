package device

import (
	"errors"
	"fmt"
	"time"

	"github.com/heraldpush/herald/wire"
)

// ErrIdentityRefused says that the courier does not accept the device's
// certificate, or not together with its base token. Trying again is of no
// use: the device has to be activated anew, see Reactivate.
var ErrIdentityRefused = errors.New("the courier refused the identity of this device")

// redirect is the error of a connection whose courier sent the device
// elsewhere.
type redirect struct {
	host, reason string
}

func (r *redirect) Error() string {
	if r.reason == "" {
		return fmt.Sprintf("redirected to %.255q", r.host)
	}
	return fmt.Sprintf("redirected to %.255q: %.255q", r.host, r.reason)
}

// farewell is the error of a connection whose courier asked the device to come
// back later.
type farewell struct {
	reason string
	after  time.Duration
}

func (f *farewell) Error() string {
	return fmt.Sprintf("told to come back in %v: %.255q", f.after, f.reason)
}

// parted returns the error for a courier that lets the device go.
func parted(m wire.Redirect) error {
	switch {
	case m.Host != "":
		return &redirect{host: m.Host, reason: m.Reason}
	case m.HasRetryAfter:
		return &farewell{reason: m.Reason, after: m.RetryAfter}
	}
	return &wire.MalformedError{Command: wire.CommandRedirect, Problem: "no host"}
}

// protocolVersion is what a device reports in Connect; couriers take note of
// it at most.
const protocolVersion = 11

// presenceFlags is the smallest value that devices are seen to send.
const presenceFlags = 0x41

// greeting is a connection on which the device has not been accepted: it may
// say who it is, and nothing else.
type greeting struct {
	memory    *memory
	keepAlive time.Duration // zero if it is to be found out
	pulse     *pulse        // of the network, for that
	bounds    bounds        // of it
	redirects uint16
	retried   bool // the courier named its own time once
	herald    bool // the extensions were negotiated
}

// login is what a greeting wants said: a Connect, to be completed with the
// certificate and a nonce of the given time, signed.
type login struct {
	connect wire.Connect
	nonceAt time.Time
}

// hello is the first thing to say.
func (g *greeting) hello(now time.Time) login {
	l := login{
		connect: wire.Connect{
			BaseToken:       g.memory.base,
			State:           wire.StateOnline,
			Flags:           presenceFlags,
			Interface:       wire.InterfaceWiFi,
			HasInterface:    true,
			Carrier:         "WiFi",
			ProtocolVersion: protocolVersion,
			Redirects:       g.redirects,
		},
		nonceAt: now,
	}
	if g.herald {
		l.connect.Received = g.memory.resume.all()
	}
	return l
}

// step takes a frame of the courier. It returns the session if the device was
// accepted, or a login if it has to be said again with another time; neither
// if the frame changes nothing. The error wraps ErrIdentityRefused or
// wire.ErrMalformed, or is a *redirect or a *farewell; the connection is over with
// any.
func (g *greeting) step(f wire.Frame, now time.Time) (*session, *login, error) {
	switch {
	case f.Command == wire.CommandConnectAck:
	case f.Command == wire.CommandRedirect:
		m, err := wire.ParseRedirect(f.Payload)
		if err == nil {
			err = parted(m)
		}
		return nil, nil, err
	case !comesFromCourier(f.Command):
		return nil, nil, unexpected(f.Command)
	default:
		return nil, nil, nil
	}
	ack, err := wire.ParseConnectAck(f.Payload)
	switch {
	case err != nil:
		return nil, nil, err
	case ack.RedirectHost != "":
		return nil, nil, &redirect{host: ack.RedirectHost, reason: ack.RedirectReason}
	case ack.Status == wire.StatusInvalid && !ack.NonceTime.IsZero():
		// Nothing but the device's clock is wrong: the courier's will do
		// (docs/protocol/courier.md#nonce).
		if g.retried {
			return nil, nil, errors.New("the courier refused a nonce with its own time")
		}
		g.retried = true
		again := g.hello(ack.NonceTime)
		return nil, &again, nil
	case ack.Status == wire.StatusInvalid:
		return nil, nil, ErrIdentityRefused
	case ack.Status != wire.StatusAccepted:
		return nil, nil, fmt.Errorf("the courier refused the connection with status %d", ack.Status)
	}
	if ack.BaseToken != "" {
		g.memory.setBase(ack.BaseToken)
	}
	if g.memory.base == "" {
		return nil, nil, &wire.MalformedError{Command: f.Command, Problem: "no base token"}
	}
	g.memory.receipts = nil // of an earlier connection
	if g.herald {           // it has taken what Connect said
		g.memory.resume.forget()
	}
	s := &session{
		memory:    g.memory,
		keepAlive: within(g.keepAlive, ack.IdleLimit),
		heardAt:   now,
		asked:     make(map[hash]*request),

		stale:       make(map[hash]int),
		told:        make(map[hash]removal),
		herald:      g.herald,
		uncommitted: make(map[historyEntry]bool),
	}
	if g.keepAlive == 0 && g.pulse != nil {
		s.adapt(g.pulse, bounds{g.bounds.least, max(g.bounds.least, within(g.bounds.most, ack.IdleLimit))})
	}
	return s, nil, nil
}

// comesFromCourier reports whether c is a command that couriers send
// (docs/protocol/courier.md#commands).
func comesFromCourier(c wire.Command) bool {
	switch c {
	case wire.CommandConnect, wire.CommandConnectAck, wire.CommandFilter,
		wire.CommandNotification, wire.CommandAck, wire.CommandKeepAliveResponse,
		wire.CommandNoStorage, wire.CommandFlush, wire.CommandFlushResponse,
		wire.CommandAppTokenResponse, wire.CommandKeepAliveAck, wire.CommandRedirect,
		wire.CommandTaskControl, wire.CommandTaskNotification, wire.CommandChannels,
		wire.CommandChannelUpdate, wire.CommandPresence, wire.CommandFilterUpdate,
		wire.CommandCancelKeepAlive:
		return true
	default:
		return false
	}
}

// unexpected is the error for a command that no courier sends at this point.
func unexpected(c wire.Command) error {
	return &wire.MalformedError{Command: c, Problem: "not expected from a courier"}
}

// idleMargin is how long before a courier's idle limit the device asks for a sign
// of life at the latest.
const idleMargin = time.Minute

// within returns an interval of keepalives that a courier with an idle limit
// bears before any was announced. Zero means that there is no limit.
func within(interval, limit time.Duration) time.Duration {
	if limit > 2*idleMargin {
		return min(interval, limit-idleMargin)
	}
	return interval
}
