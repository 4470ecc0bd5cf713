package apnsclient

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/internal/memnet"
)

func TestInTurn(t *testing.T) {
	parse := func(list string) []netip.Addr {
		var ips []netip.Addr
		for s := range strings.FieldsSeq(list) {
			ips = append(ips, netip.MustParseAddr(s))
		}
		return ips
	}
	for _, tt := range []struct {
		name, ips string
		turn      uint32
		want      string
	}{
		{"one", "192.0.2.1", 7, "192.0.2.1"},
		{"one family, in any order", "192.0.2.3 192.0.2.1 192.0.2.2", 0, "192.0.2.1 192.0.2.2 192.0.2.3"},
		{"the next", "192.0.2.1 192.0.2.3 192.0.2.2", 1, "192.0.2.2 192.0.2.3 192.0.2.1"},
		{"families alternate", "192.0.2.1 192.0.2.2 2001:db8::1", 0, "2001:db8::1 192.0.2.1 192.0.2.2"},
		{"twice, in both forms", "::ffff:192.0.2.1 192.0.2.1 192.0.2.2", 3, "192.0.2.2 192.0.2.1"},
		{"largest turn", "192.0.2.1 192.0.2.2", 1<<32 - 1, "192.0.2.2 192.0.2.1"},
	} {
		if d := cmp.Diff(parse(tt.want), inTurn(parse(tt.ips), tt.turn), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
	}
}

// network is one in which each address answers after a while, or fails.
type network struct {
	lookups string
	after   map[string]time.Duration // negative: fails after that; missing: never answers

	mu    sync.Mutex
	tried []string // guarded by mu
	open  int      // guarded by mu
}

func (n *network) spreader() *spreader {
	s := newSpreader(n.connect)
	s.lookup = func(_ context.Context, _, host string) ([]netip.Addr, error) {
		if n.lookups == "" {
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		}
		var ips []netip.Addr
		for f := range strings.FieldsSeq(n.lookups) {
			ips = append(ips, netip.MustParseAddr(f))
		}
		return ips, nil
	}
	s.next.Store(1<<32 - 1) // the first address comes first
	return s
}

func (n *network) connect(ctx context.Context, _, addr string) (net.Conn, error) {
	n.mu.Lock()
	n.tried = append(n.tried, addr)
	n.mu.Unlock()
	takes, ok := n.after[addr]
	if !ok {
		takes = time.Hour
	}
	timer := time.NewTimer(takes.Abs())
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if takes < 0 {
		return nil, errors.New(addr + " is down")
	}
	near, far := memnet.Pipe()
	n.mu.Lock()
	n.open++
	n.mu.Unlock()
	return &counted{Conn: near, far: far, n: n, addr: addr}, nil
}

// counted is an open connection of a network.
type counted struct {
	net.Conn
	far  net.Conn
	n    *network
	addr string
}

func (c *counted) Close() error {
	c.n.mu.Lock()
	c.n.open--
	c.n.mu.Unlock()
	c.far.Close()
	return c.Conn.Close()
}

func TestSpreaderFallsBack(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		name    string
		lookups string
		after   map[string]time.Duration
		got     string        // address; empty for an error
		want    string        // in the error
		took    time.Duration // until then
		tried   int
	}{
		{"first", "192.0.2.1 192.0.2.2", map[string]time.Duration{"192.0.2.1:443": 100 * ms}, "192.0.2.1:443", "", 100 * ms, 1},
		{
			"second at once where the first fails", "192.0.2.1 192.0.2.2",
			map[string]time.Duration{"192.0.2.1:443": -ms, "192.0.2.2:443": ms},
			"192.0.2.2:443", "", 2 * ms, 2,
		},
		{
			"second beside a silent first", "192.0.2.1 192.0.2.2",
			map[string]time.Duration{"192.0.2.2:443": ms},
			"192.0.2.2:443", "", 251 * ms, 2,
		},
		{
			"slow first wins", "192.0.2.1 192.0.2.2",
			map[string]time.Duration{"192.0.2.1:443": 300 * ms, "192.0.2.2:443": 200 * ms},
			"192.0.2.1:443", "", 300 * ms, 2,
		},
		{
			"other family where one leads nowhere", "2001:db8::1 2001:db8::2 192.0.2.1",
			map[string]time.Duration{"192.0.2.1:443": ms},
			"192.0.2.1:443", "", 251 * ms, 2,
		},
		{
			"all fail", "192.0.2.1 192.0.2.2",
			map[string]time.Duration{"192.0.2.1:443": -ms, "192.0.2.2:443": -ms},
			"", "192.0.2.1:443 is down; 192.0.2.2:443 is down", 2 * ms, 2,
		},
		{"all are silent", "192.0.2.1 192.0.2.2", nil, "", "deadline exceeded", time.Second, 2},
		{
			"one is silent", "192.0.2.1 192.0.2.2",
			map[string]time.Duration{"192.0.2.2:443": -ms},
			"", "deadline exceeded, after: 192.0.2.2:443 is down", time.Second, 2,
		},
		{"no name", "", nil, "", "no such host", 0, 0},
		{
			"no more than eight", "192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4 192.0.2.5 192.0.2.6 192.0.2.7 192.0.2.8 192.0.2.9",
			map[string]time.Duration{
				"192.0.2.1:443": -ms, "192.0.2.2:443": -ms, "192.0.2.3:443": -ms, "192.0.2.4:443": -ms,
				"192.0.2.5:443": -ms, "192.0.2.6:443": -ms, "192.0.2.7:443": -ms, "192.0.2.8:443": -ms,
			},
			"", "192.0.2.8:443 is down", 8 * ms, 8,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{lookups: tt.lookups, after: tt.after}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				began := time.Now()
				c, err := n.spreader().dial(ctx, "gateway.example.com:443")
				if took := time.Since(began); took != tt.took {
					t.Errorf("took %v, want %v", took, tt.took)
				}
				if (err == nil) != (tt.got != "") || err != nil && !strings.Contains(err.Error(), tt.want) {
					t.Fatalf("got error %v, want %q", err, tt.want)
				}
				open := 0
				if err == nil {
					open = 1
					defer c.Close()
					if got, ok := c.(*counted); !ok || got.addr != tt.got {
						t.Errorf("got %v, want %v", got.addr, tt.got)
					}
				}
				if len(n.tried) != tt.tried || n.open != open {
					t.Errorf("tried %q, %d are open, want %d tries, and %d open", n.tried, n.open, tt.tried, open)
				}
			})
		})
	}
}

// The connections of a process go to one machine after the other.
func TestSpreaderTakesTurns(t *testing.T) {
	n := &network{lookups: "192.0.2.1 192.0.2.2 192.0.2.3", after: map[string]time.Duration{
		"192.0.2.1:443": 0, "192.0.2.2:443": 0, "192.0.2.3:443": 0,
	}}
	s := n.spreader()
	for range 4 {
		c, err := s.dial(t.Context(), "gateway.example.com:443")
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	want := []string{"192.0.2.1:443", "192.0.2.2:443", "192.0.2.3:443", "192.0.2.1:443"}
	if d := cmp.Diff(want, n.tried); d != "" {
		t.Errorf("tried (-want +got):\n%s", d)
	}
}

// What is an address, or goes to the dial function of a Config, is not looked up.
func TestSpreaderLooksUpNames(t *testing.T) {
	n := &network{after: map[string]time.Duration{"[2001:db8::1]:443": 0, "gateway.example.com:443": 0}}
	for _, tt := range []struct {
		addr   string
		lookup bool
	}{{"[2001:db8::1]:443", true}, {"gateway.example.com:443", false}} {
		s := n.spreader()
		if !tt.lookup {
			s.lookup = nil
		}
		c, err := s.dial(t.Context(), tt.addr)
		if err != nil {
			t.Fatalf("%s: %v", tt.addr, err)
		}
		c.Close()
	}
}
