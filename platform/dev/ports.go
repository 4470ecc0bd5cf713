package dev

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/platform"
)

// Ports says which ports a run takes.
type Ports string

// The ways to choose ports.
const (
	// PortsFixed takes the same each time, so that they can be remembered.
	PortsFixed Ports = "fixed"
	// PortsAuto takes free ones, so that many can run side by side.
	PortsAuto Ports = "auto"
)

// The fixed ports.
const (
	sandboxPort    = 2197
	productionPort = 3197

	sandboxLegacyPort      = 2195
	sandboxFeedbackPort    = 2196
	productionLegacyPort   = 3195
	productionFeedbackPort = 3196

	sandboxChannelsPort    = 2198
	productionChannelsPort = 3198

	courierPort = 5223
	httpPort    = 8030
)

// PortInUseError says that a run cannot have one of its fixed ports.
type PortInUseError struct {
	Part    string // what would listen there
	Address string
}

// Error names the part and the address.
func (e *PortInUseError) Error() string {
	return fmt.Sprintf("%s: %s is in use", e.Part, e.Address)
}

// listeners is everything that a run listens on.
type listeners struct {
	platform platform.Listeners
	http     net.Listener
}

func listen(ctx context.Context, addr netip.Addr, ports Ports) (*listeners, error) {
	ls := &listeners{platform: platform.Listeners{
		Gateway:  make(map[apns.Environment]net.Listener),
		Legacy:   make(map[apns.Environment]net.Listener),
		Feedback: make(map[apns.Environment]net.Listener),
		Channels: make(map[apns.Environment]net.Listener),
	}}
	for _, l := range []struct {
		part string
		port uint16
		set  func(net.Listener)
	}{
		{"sandbox gateway", sandboxPort, func(l net.Listener) { ls.platform.Gateway[apns.Sandbox] = l }},
		{"production gateway", productionPort, func(l net.Listener) { ls.platform.Gateway[apns.Production] = l }},
		{"sandbox legacy interface", sandboxLegacyPort, func(l net.Listener) { ls.platform.Legacy[apns.Sandbox] = l }},
		{"sandbox feedback", sandboxFeedbackPort, func(l net.Listener) { ls.platform.Feedback[apns.Sandbox] = l }},
		{"production legacy interface", productionLegacyPort, func(l net.Listener) { ls.platform.Legacy[apns.Production] = l }},
		{"production feedback", productionFeedbackPort, func(l net.Listener) { ls.platform.Feedback[apns.Production] = l }},
		{"sandbox channels", sandboxChannelsPort, func(l net.Listener) { ls.platform.Channels[apns.Sandbox] = l }},
		{"production channels", productionChannelsPort, func(l net.Listener) { ls.platform.Channels[apns.Production] = l }},
		{"courier", courierPort, func(l net.Listener) { ls.platform.Courier = l }},
		{"console", httpPort, func(l net.Listener) { ls.http = l }},
	} {
		port := l.port
		if ports == PortsAuto {
			port = 0
		}
		at := netip.AddrPortFrom(addr, port).String()
		one, err := (&net.ListenConfig{}).Listen(ctx, "tcp", at)
		if errors.Is(err, syscall.EADDRINUSE) {
			err = &PortInUseError{Part: l.part, Address: at}
		}
		if err != nil {
			return nil, errors.Join(err, ls.close())
		}
		l.set(one)
	}
	return ls, nil
}

// close closes what nobody came to serve on.
func (ls *listeners) close() error {
	err := ls.platform.Close()
	if ls.http != nil {
		if closed := ls.http.Close(); !errors.Is(closed, net.ErrClosed) {
			err = errors.Join(err, closed)
		}
	}
	return err
}
