package apnsclient

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// stagger is how long one address is tried alone before the next is tried
	// beside it (RFC 8305 section 5).
	stagger = 250 * time.Millisecond
	// maxAddresses bounds how many addresses of a name are tried in one go.
	maxAddresses = 8
)

// spreader connects to a name at one of its addresses after the other, so that
// the connections of a process lie on many machines behind the name
// (docs/protocol/provider.md#environments).
type spreader struct {
	// lookup finds the addresses of a name. Where it is nil, connect gets the
	// name.
	lookup  func(ctx context.Context, network, host string) ([]netip.Addr, error)
	connect func(ctx context.Context, network, addr string) (net.Conn, error)
	next    atomic.Uint32 // the turn of an address
}

// newSpreader returns a spreader over the dial function of a Config, to which
// names go as they are, or over the network of the system.
func newSpreader(dial func(ctx context.Context, network, addr string) (net.Conn, error)) *spreader {
	s := &spreader{connect: dial}
	if dial == nil {
		// It has TCP ask after 15 seconds of silence whether the other side is
		// still there, and send without delay.
		s.connect = new(net.Dialer).DialContext
		s.lookup = net.DefaultResolver.LookupNetIP
	}
	s.next.Store(rand.Uint32())
	return s
}

// dial connects to addr, "host:port". The first address to answer is taken;
// the error is that of all of them.
func (s *spreader) dial(ctx context.Context, addr string) (net.Conn, error) {
	addrs, err := s.addresses(ctx, addr)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	results := make(chan dialled, len(addrs))
	var running sync.WaitGroup
	start := func(addr string) {
		running.Go(func() {
			c, err := s.connect(ctx, "tcp", addr)
			results <- dialled{c, err}
		})
	}
	defer func() { // nobody waits for those that came too late
		cancel()
		running.Wait()
		close(results)
		for late := range results {
			if late.err == nil {
				late.conn.Close()
			}
		}
	}()

	start(addrs[0])
	waiting := addrs[1:]
	timer := time.NewTimer(stagger)
	defer timer.Stop()
	var failed error
	for failures := 0; failures < len(addrs); {
		select {
		case r := <-results:
			if r.err == nil {
				return r.conn, nil
			}
			failures++
			if failed == nil {
				failed = r.err
			} else {
				failed = fmt.Errorf("%w; %w", failed, r.err)
			}
		case <-timer.C:
		case <-ctx.Done():
			if failed != nil {
				return nil, fmt.Errorf("%w, after: %w", ctx.Err(), failed)
			}
			return nil, ctx.Err()
		}
		if len(waiting) > 0 {
			start(waiting[0])
			waiting = waiting[1:]
			timer.Reset(stagger)
		}
	}
	return nil, failed
}

type dialled struct {
	conn net.Conn
	err  error
}

// addresses returns where addr is to be found, in the order in which it is to
// be tried this time. There is at least one.
func (s *spreader) addresses(ctx context.Context, addr string) ([]string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	if _, err := netip.ParseAddr(host); err == nil || s.lookup == nil {
		return []string{addr}, nil
	}
	ips, err := s.lookup(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	if len(ips) == 0 {
		return nil, &net.DNSError{Err: "no address", Name: host, IsNotFound: true}
	}
	ips = inTurn(ips, s.next.Add(1))
	addrs := make([]string, 0, maxAddresses)
	for _, ip := range ips[:min(len(ips), maxAddresses)] {
		addrs = append(addrs, net.JoinHostPort(ip.String(), port))
	}
	return addrs, nil
}

// inTurn returns the addresses, each once, beginning with the one whose turn it
// is. The two families alternate, so that where one of them leads nowhere the
// next try goes elsewhere (RFC 8305 section 4). A resolver mixes its answers,
// so the order is made anew.
func inTurn(ips []netip.Addr, turn uint32) []netip.Addr {
	var families [2][]netip.Addr
	for _, ip := range ips {
		ip = ip.Unmap()
		of := &families[0]
		if ip.Is4() {
			of = &families[1]
		}
		*of = append(*of, ip)
	}
	for i := range families {
		slices.SortFunc(families[i], netip.Addr.Compare)
		families[i] = slices.Compact(families[i])
	}
	all := make([]netip.Addr, 0, len(ips))
	for i := range max(len(families[0]), len(families[1])) {
		for _, f := range families {
			if i < len(f) {
				all = append(all, f[i])
			}
		}
	}
	first := int(turn % uint32(len(all)))
	return slices.Concat(all[first:], all[:first])
}
