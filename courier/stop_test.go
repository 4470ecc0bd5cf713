package courier_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/courier"
	"github.com/heraldpush/herald/registry"
	"github.com/heraldpush/herald/store/memory"
	"github.com/heraldpush/herald/wire"
)

// TestStop checks that Serve returns at once with connections of all kinds.
// That no goroutine is left, the bubble checks.
func TestStop(t *testing.T) {
	for _, tt := range []struct {
		name string
		want time.Duration
		open func(t *testing.T, s *service)
	}{
		{"nothing", 0, func(*testing.T, *service) {}},
		{"connected", 0, func(_ *testing.T, s *service) {
			s.login(s.newIdentity(), "").ready()
			s.login(s.newIdentity(), "") // no Filter
			s.open(hello{})              // no Connect
		}},
		{"TLS not finished", 0, func(t *testing.T, s *service) {
			t.Helper()
			raw, err := s.dial(t.Context(), "tcp", s.address)
			must(t, err)
			t.Cleanup(func() { _ = raw.Close() })
			raw, err = s.dial(t.Context(), "tcp", s.address)
			must(t, err)
			_, err = raw.Write([]byte{22, 3, 1})
			must(t, err)
			t.Cleanup(func() { _ = raw.Close() })
		}},
		{"a write that blocks", 0, func(t *testing.T, s *service) {
			t.Helper()
			id := s.newIdentity()
			d := s.openUnread(hello{})
			d.send(id.connect(t, time.Now(), ""))
			for range 400 {
				d.send(frame(wire.CommandFlush, item(1, u16(1024))))
			}
		}},
		{"HTTP, idle", 0, func(t *testing.T, s *service) {
			t.Helper()
			if a := s.ask(s.web([]string{"http/1.1"}), http.MethodGet, courier.ActivationPath, nil); a.status != 405 {
				t.Errorf("got %d", a.status)
			}
		}},
		{"HTTP, half a request", time.Second, func(t *testing.T, s *service) {
			t.Helper()
			for _, send := range []string{"G", "POST /v1/activate HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"} {
				conn, err := s.dialTLS(hello{protocols: []string{"http/1.1"}})
				must(t, err)
				_, err = io.WriteString(conn, send)
				must(t, err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var took time.Duration
				s, stop := assemble(t, parts{stopped: func(d time.Duration) { took = d }})
				tt.open(t, s)
				synctest.Wait()
				stop()
				if took != tt.want {
					t.Errorf("Serve took %v to return, want %v", took, tt.want)
				}
				if n := s.spool.Stats().Attached; n != 0 {
					t.Errorf("%d devices are attached, want 0", n)
				}
			})
		})
	}
}

// TestStopWhileActivating checks that a device whose code is used up still
// gets its certificate.
func TestStopWhileActivating(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &slowRegistry{Store: memory.NewRegistry(), wait: 500 * time.Millisecond}
		s, stop := assemble(t, parts{registry: slow})
		_, code, err := s.portal.CreateEnrolmentCode(t.Context(), 1, 0)
		must(t, err)
		body := activationBody(t, code, requestPEM(newRequest(t, newECKey(t))))
		status := make(chan int, 1)
		go func() {
			status <- s.ask(s.web([]string{"http/1.1"}), http.MethodPost, courier.ActivationPath, body).status
		}()
		synctest.Wait()
		stop()
		if got := <-status; got != 200 {
			t.Errorf("got %d, want 200", got)
		}
	})
}

// slowRegistry takes its time to enter a device.
type slowRegistry struct {
	registry.Store
	wait time.Duration
}

func (r *slowRegistry) EnterDevice(ctx context.Context, d registry.Device) (registry.Device, error) {
	select {
	case <-time.After(r.wait):
	case <-ctx.Done():
		return registry.Device{}, ctx.Err()
	}
	return r.Store.EnterDevice(ctx, d)
}

// TestUnproven checks that strangers are bounded before they cost anything,
// and that devices do not count as such.
func TestUnproven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := assemble(t, parts{change: func(c *courier.Config) { c.MaxUnproven = 3 }})
		for range 5 {
			s.login(s.newIdentity(), "").ready()
		}
		var strangers []*rawDevice
		for range 3 {
			strangers = append(strangers, s.open(hello{}))
		}
		if _, err := s.dialTLS(hello{}); err == nil {
			t.Error("a fourth stranger was let into TLS")
		}
		strangers[1].close()
		synctest.Wait()
		d := s.login(s.newIdentity(), "")
		d.ready()
		strangers[0].wantClosed(30 * time.Second)
		s.login(s.newIdentity(), "").ready()
		d.send(frame(wire.CommandKeepAlive))
		d.want(wire.CommandKeepAliveResponse)
	})
}

// brokenRegistry fails while it is told to.
type brokenRegistry struct {
	registry.Store
	device, topic, exception atomic.Bool
}

var errBroken = errors.New("the disk is on fire")

func (r *brokenRegistry) EnterDevice(ctx context.Context, d registry.Device) (registry.Device, error) {
	if r.device.Load() {
		return registry.Device{}, errBroken
	}
	return r.Store.EnterDevice(ctx, d)
}

func (r *brokenRegistry) EnterTopic(ctx context.Context, h apns.TopicHash) (uint32, error) {
	if r.topic.Load() {
		return 0, errBroken
	}
	return r.Store.EnterTopic(ctx, h)
}

func (r *brokenRegistry) PutException(ctx context.Context, a apns.Address, x registry.Exception) error {
	if r.exception.Load() {
		return errBroken
	}
	return r.Store.PutException(ctx, a, x)
}
