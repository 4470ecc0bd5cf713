package courier_test

import (
	"context"
	"crypto/x509"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/courier"
	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/store/memory"
	"github.com/heraldpush/herald/wire"
)

// revoke revokes the certificate of a device.
func (s *service) revoke(id identity) {
	s.t.Helper()
	_, err := s.portal.RevokeDevice(s.t.Context(), id.id)
	must(s.t, err)
}

// TestRevoke checks that all connections of a device are closed when its
// certificate is revoked, that it cannot come back, and that no other is touched.
func TestRevoke(t *testing.T) {
	bubble(t, func(s *service) {
		id, other := s.newIdentity(), s.newIdentity()
		d := s.login(id, "")
		token := d.token(alertTopic)
		d.ready(alertTopic)
		inProduction := s.open(hello{serverName: courier.ProductionServerName})
		inProduction.login(id, "")
		unfiltered := s.open(hello{protocols: []string{wire.ALPNSecurityV2}, identity: other.tls(), serverName: courier.ProductionServerName})
		unfiltered.login(other, "")
		o := s.login(other, "")
		otherToken := o.token(alertTopic)
		o.ready(alertTopic)

		s.push(token, alert("unacknowledged"))
		d.wantPayload(alert("unacknowledged"), 0)
		s.revoke(id)
		d.wantClosed(0)
		inProduction.wantClosed(0)
		for range 2 {
			d = s.open(hello{})
			d.send(id.connect(s.t, time.Now(), ""))
			d.wantRefused()
			time.Sleep(time.Minute)
		}
		o.wantNothing()
		s.push(otherToken, alert("still here"))
		o.ack(o.wantPayload(alert("still here"), 0), wire.AckOK)

		s.revoke(id) // again changes nothing
		o.wantNothing()
		s.revoke(other) // one that proved itself in TLS, too
		o.wantClosed(0)
		for range unfiltered.frames {
			s.t.Error("a frame came before the end, want none")
		}
		synctest.Wait()
		if n := s.spool.Stats().Attached; n != 0 {
			s.t.Errorf("%d devices are attached, want none", n)
		}
	})
}

// TestRevokeInTLS checks it for a device that proves itself in TLS.
func TestRevokeInTLS(t *testing.T) {
	bubble(t, func(s *service) {
		id := s.newIdentity()
		inTLS := hello{protocols: []string{wire.ALPNSecurityV2}, identity: id.tls()}
		d := s.open(inTLS)
		d.login(id, "")
		d.ready()
		waiting := s.open(inTLS) // has not said Connect
		s.revoke(id)
		d.wantClosed(0)
		waiting.send(id.connect(s.t, time.Now(), ""))
		waiting.wantRefused()
	})
}

// TestRevokeStuck checks that a device that does not read is closed as soon as
// any, and holds up no other.
func TestRevokeStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logs logbook
		s, stop := assemble(t, parts{log: logs.handler()})
		id := s.newIdentity()
		stuck := s.openUnread(hello{})
		stuck.send(id.connect(t, time.Now(), ""))
		for range 400 {
			stuck.send(frame(wire.CommandFlush, item(1, u16(1024))))
		}
		d := s.open(hello{serverName: courier.ProductionServerName})
		d.login(id, "")
		synctest.Wait()
		s.revoke(id)
		d.wantClosed(0)
		synctest.Wait() // no time goes by
		if n := s.spool.Stats().Attached; n != 0 {
			t.Errorf("%d devices are attached, want none", n)
		}
		if got := logs.String(); !strings.Contains(got, "revoked device") || !strings.Contains(got, "connections=2") {
			t.Errorf("the log does not speak of the two connections:\n%s", got)
		}
		stop()
	})
}

// slowSpool takes its time to load.
type slowSpool struct {
	spool.Store
	loading chan struct{}
}

func (s *slowSpool) Load(ctx context.Context, box spool.Mailbox, limit int) ([]spool.Entry, error) {
	select {
	case <-s.loading:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return s.Store.Load(ctx, box, limit)
}

// TestRevokeDuringConnect checks that a device does not get in that is revoked
// while its Connect waits for a store.
func TestRevokeDuringConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &slowSpool{Store: memory.NewSpool(10), loading: make(chan struct{})}
		s, _ := assemble(t, parts{spool: slow})
		id, other := s.newIdentity(), s.newIdentity()
		d, o := s.open(hello{}), s.open(hello{})
		d.send(id.connect(t, time.Now(), ""))
		o.send(other.connect(t, time.Now(), ""))
		synctest.Wait()
		s.revoke(id)
		d.wantClosed(0)
		close(slow.loading)
		o.wantAccepted()
		o.ready()
		synctest.Wait()
		if n := s.spool.Stats().Attached; n != 1 {
			t.Errorf("%d devices are attached, want 1", n)
		}
	})
}

// TestRevokeWhileConnecting revokes while a device connects many times: in the
// end it is not connected.
func TestRevokeWhileConnecting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := assemble(t, parts{log: slog.DiscardHandler})
		id := s.newIdentity()
		var connecting sync.WaitGroup
		for range 16 {
			d := s.open(hello{})
			connect := id.connect(t, time.Now(), "")
			connecting.Go(func() {
				_, _ = d.conn.Write(connect) // it may be closed already
				for range d.frames {
				}
			})
		}
		began := time.Now()
		s.revoke(id)
		connecting.Wait()
		synctest.Wait()
		if took := time.Since(began); took > time.Second {
			t.Errorf("the last connection ended after %v, want within a second", took)
		}
		if n := s.spool.Stats().Attached; n != 0 {
			t.Errorf("%d devices are attached, want none", n)
		}
		cert, err := x509.ParseCertificate(id.chain[0])
		must(t, err)
		if _, err := s.portal.AdmitDevice(cert); err == nil {
			t.Error("the portal admits the device")
		}
	})
}
