package apnstest_test

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/device"
)

// forgetful is a connection through a middlebox that forgets it after a silence:
// from then on nothing arrives, in either direction, and nobody is told.
type forgetful struct {
	net.Conn
	after  time.Duration
	once   sync.Once
	closed chan struct{}

	mu    sync.Mutex
	moved time.Time // guarded by mu
	gone  bool      // guarded by mu
}

// moves reports whether the middlebox still passes something on.
func (c *forgetful) moves() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if now.Sub(c.moved) > c.after {
		c.gone = true
	}
	c.moved = now
	return !c.gone
}

func (c *forgetful) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil || c.moves() {
		return n, err
	}
	<-c.closed
	return 0, net.ErrClosed
}

func (c *forgetful) Write(p []byte) (int, error) {
	if c.moves() {
		return c.Conn.Write(p)
	}
	return len(p), nil
}

func (c *forgetful) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// TestKeepAliveAdapts puts a device behind a middlebox that forgets after twelve
// minutes and a half. It finds an interval below, keeps it over a restart, and
// loses its connection about once a day for trying.
func TestKeepAliveAdapts(t *testing.T) {
	story(t, func(t *testing.T, s *teller) {
		dir := t.TempDir()
		open := func() *kiosk {
			t.Helper()
			return newKiosk(t, s.Platform, func(c *device.Config) {
				c.Dir, c.KeepAlive = dir, 0
				c.Network = func() string { return "Wi-Fi at home" }
				c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
					conn, err := s.Dial(ctx, network, address)
					if err != nil {
						return nil, err
					}
					return &forgetful{Conn: conn, after: 12*time.Minute + 30*time.Second, moved: time.Now(), closed: make(chan struct{})}, nil
				}
			})
		}
		interval := func() time.Duration {
			t.Helper()
			text, err := os.ReadFile(filepath.Join(dir, "device.json"))
			if err != nil {
				t.Fatal(err)
			}
			var kept struct {
				Networks map[string]struct {
					Stage    string        `json:"stage"`
					Interval time.Duration `json:"interval_ns"`
				} `json:"networks"`
			}
			if err := json.Unmarshal(text, &kept); err != nil {
				t.Fatal(err)
			}
			return kept.Networks["Wi-Fi at home"].Interval
		}
		k := open()
		k.connect()
		token := <-k.tokens
		time.Sleep(6 * time.Hour)
		if got := interval(); got < 9*time.Minute || got > 13*time.Minute {
			t.Errorf("after six hours: got %v, want a little less than 12m30s", got)
		}
		found := k.lost.Load()
		time.Sleep(7 * day)
		if got := k.lost.Load() - found; got < 1 || got > 12 {
			t.Errorf("connections lost in a week: got %d, want about one a day", got)
		}
		if got := interval(); got < 9*time.Minute || got > 13*time.Minute {
			t.Errorf("after a week: got %v, want a little less than 12m30s", got)
		}
		synctest.Wait()
		k.gets(s, token)
		k.disconnect()

		k = open()
		k.connect()
		<-k.tokens
		time.Sleep(4 * time.Hour)
		if k.lost.Load() > 1 {
			t.Errorf("after a restart: got %d connections lost, want what was found", k.lost.Load())
		}
		k.disconnect()
	})
}
