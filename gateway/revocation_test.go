package gateway_test

import (
	"crypto/tls"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/portal"
)

const (
	revokedAway = `NO_ERROR 2147483647 {"reason":"BadCertificate"}`
	revoked0    = `NO_ERROR 0 {"reason":"BadCertificate"}`
	revoked1    = `NO_ERROR 1 {"reason":"BadCertificate"}`
)

// revoke revokes a push certificate.
func (w *world) revoke(tb testing.TB, cert *tls.Certificate) {
	tb.Helper()
	if _, err := w.portal.RevokeCertificate(tb.Context(), portal.Serial(cert.Leaf), portal.ReasonKeyCompromise); err != nil {
		tb.Fatal(err)
	}
}

// wantEnded checks that the connection ends within a time, after GOAWAY frames.
func (p *peer) wantEnded(within time.Duration, want ...string) {
	p.t.Helper()
	start := time.Now()
	p.drained(want...)
	if took := time.Since(start); took > within {
		p.t.Errorf("the connection ended after %v, want within %v", took, within)
	}
	_ = p.nc.Close() // it has ended
}

// wantOpen checks that the gateway has said nothing of an end, and accepts.
func (p *peer) wantOpen(q *push) {
	p.t.Helper()
	p.want(q, accepted)
	if len(p.goAways) > 0 {
		p.t.Errorf("GOAWAY: got %q, want none", p.goAways)
	}
}

// wantRefusedInTLS checks that nobody comes in with a certificate.
func (w *world) wantRefusedInTLS(t *testing.T, cert *tls.Certificate) {
	t.Helper()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		conn, err := w.dialTLS(t, dialing{certificate: cert, version: version})
		if err == nil { // under TLS 1.3 the client is through before the server
			_, err = conn.Read(make([]byte, 1))
		}
		if want := "tls: bad certificate"; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", tls.VersionName(version), err, want)
		}
	}
}

// TestRevokeIdle proves that the connections of a certificate end when it is
// revoked, though nothing is sent, that those of others stay, and that it does
// not come back.
func TestRevokeIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		cert := w.pushCertificate(t, demo, credential.PushUniversal)
		other := w.pushCertificate(t, demo, credential.PushUniversal)
		used, unused := w.dial(t, dialing{certificate: cert}), w.dial(t, dialing{certificate: cert})
		elsewhere := w.dial(t, dialing{certificate: cert, address: productionName})
		byOther, byToken := w.dial(t, dialing{certificate: other}), w.dial(t, dialing{})
		for _, p := range []*peer{used, byOther, byToken} {
			p.want(w.push(t), accepted)
		}
		time.Sleep(time.Hour)
		w.revoke(t, cert)
		used.wantEnded(time.Second, revokedAway, revoked1)
		unused.wantEnded(time.Second, revokedAway, revoked0)
		elsewhere.wantEnded(time.Second, revokedAway, revoked0)
		for _, p := range []*peer{byOther, byToken} {
			p.wantOpen(w.push(t))
		}
		w.wantRefusedInTLS(t, cert)

		w.revoke(t, cert) // again changes nothing
		w.revoke(t, other)
		byOther.wantEnded(time.Second, revokedAway, `NO_ERROR 3 {"reason":"BadCertificate"}`)
		byToken.wantOpen(w.push(t))
		w.wantRefusedInTLS(t, other)
	})
}

// TestRevokeNextPush proves that the next push is refused, also one that comes
// before the sender knows.
func TestRevokeNextPush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		cert := w.pushCertificate(t, demo, credential.PushUniversal)
		p := w.dial(t, dialing{certificate: cert})
		p.want(w.push(t), accepted)
		q := w.push(t)
		w.revoke(t, cert)
		p.want(q, refused(apns.BadCertificate))
		p.wantEnded(time.Second, revokedAway, `NO_ERROR 3 {"reason":"BadCertificate"}`)
	})
}

// TestRevokeInProgress revokes while the store has a push: that is answered.
func TestRevokeInProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		cert := w.pushCertificate(t, demo, credential.PushUniversal)
		p := w.dial(t, dialing{certificate: cert})
		release := make(chan error)
		w.store.before(until(release))
		first := p.send(w.push(t))
		synctest.Wait()
		w.revoke(t, cert)
		second := p.send(w.push(t)) // it crosses the GOAWAY
		for len(p.goAways) < 2 {
			p.read()
		}
		third := p.send(w.push(t)) // too late
		for id, want := range map[uint32]string{second: refused(apns.BadCertificate), third: "REFUSED_STREAM"} {
			if got := p.await(id).outcome(); got != want {
				t.Errorf("stream %d: got %s, want %s", id, got, want)
			}
		}
		time.Sleep(drainTimeout / 2)
		close(release)
		if got := p.await(first).outcome(); got != accepted {
			t.Errorf("what was in progress: got %s, want %s", got, accepted)
		}
		p.wantEnded(time.Second, revokedAway, `NO_ERROR 3 {"reason":"BadCertificate"}`)
		if got := receive(t, w.attach(t, w.device, demo)); len(got) != 1 {
			t.Errorf("stored: got %q, want one", got)
		}
	})
}

// TestRevokeStuck proves that a revocation is bounded in time where the peer
// does nothing for its end, and that such a peer holds up no other.
func TestRevokeStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		cert := w.pushCertificate(t, demo, credential.PushUniversal)
		deaf := w.dial(t, dialing{certificate: cert})
		if err := deaf.nc.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		block := slices.Clone(deaf.blockOf(w.push(t)))
		for err := error(nil); err == nil; deaf.next += 2 { // until both directions are full
			err = deaf.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: deaf.next, BlockFragment: block, EndHeaders: true})
			if err == nil {
				err = deaf.fr.WriteData(deaf.next, true, []byte(hello))
			}
		}
		mute := w.dial(t, dialing{certificate: cert}) // answers no PING
		noPreface, err := w.dialTLS(t, dialing{certificate: cert})
		if err != nil {
			t.Fatal(err)
		}
		good := w.dial(t, dialing{certificate: cert})
		synctest.Wait()
		start := time.Now()
		w.revoke(t, cert)
		good.wantEnded(0, revokedAway, revoked0)
		// The last frames are read only when the gateway has long closed.
		time.Sleep(drainTimeout)
		synctest.Wait()
		for _, c := range []net.Conn{deaf.nc, mute.nc, noPreface} {
			_ = c.Close()
		}
		w.stopping(t)(0) // nothing is left to wait for
		if took := time.Since(start); took > drainTimeout {
			t.Errorf("ended after %v, want within %v", took, drainTimeout)
		}
	})
}

// TestRevokeThenStop stops the gateway while connections end for another reason.
func TestRevokeThenStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		cert := w.pushCertificate(t, demo, credential.PushUniversal)
		p := w.dial(t, dialing{certificate: cert})
		w.store.before(until(make(chan error)))
		p.send(w.push(t))
		synctest.Wait()
		w.revoke(t, cert)
		synctest.Wait()
		within := w.stopping(t)
		p.wantEnded(drainTimeout, revokedAway, revoked1)
		within(30 * time.Second) // by then the store has given up
		w.logs.take()
	})
}

// TestRevokeWhileConnecting revokes while providers connect: none of them stays.
func TestRevokeWhileConnecting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		cert := w.pushCertificate(t, demo, credential.PushUniversal)
		var connecting sync.WaitGroup
		for range 16 {
			connecting.Go(func() {
				conn, err := w.dialTLS(t, dialing{certificate: cert})
				if err != nil {
					return
				}
				p := newPeer(t, conn)
				if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
					return
				}
				if p.fr.WriteSettings() != nil {
					return
				}
				for p.tryRead() == nil {
				}
				_ = conn.Close() // it has ended, or says that it has not below
			})
		}
		start := time.Now()
		w.revoke(t, cert)
		connecting.Wait()
		if took := time.Since(start); took > time.Second {
			t.Errorf("the last connection ended after %v, want within a second", took)
		}
	})
}

// TestRevokeKey proves that the provider tokens of a revoked key are refused
// from the next push on, and that the connection stays, bound to its team.
func TestRevokeKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		next, p8, err := w.portal.CreateKey(t.Context(), portal.KeySpec{Team: w.team.team, Name: "next"})
		if err != nil {
			t.Fatal(err)
		}
		private, err := credential.ParseP8(p8)
		if err != nil {
			t.Fatal(err)
		}
		byNext := func() *push {
			s := signer{team: w.team.team, key: next.ID, private: private}
			return w.push(t).set("authorization", "bearer "+s.token(t, time.Now()))
		}
		bound, fresh := w.dial(t, dialing{}), w.dial(t, dialing{})
		bound.want(w.push(t), accepted)
		if _, err := w.portal.RevokeKey(t.Context(), w.team.key); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			bound.want(w.push(t), refused(apns.Forbidden))
			fresh.want(w.push(t), refused(apns.Forbidden))
		}
		bound.want(w.theirs(t), refused(apns.InvalidProviderToken)) // bound to the team
		bound.wantOpen(byNext())
		fresh.want(w.theirs(t), accepted) // what was refused bound nothing
	})
}

// TestRevokeResumed proves that a handshake that is resumed is refused too: in
// it the certificate is not presented again.
func TestRevokeResumed(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				cert := w.pushCertificate(t, demo, credential.PushUniversal)
				cfg := &tls.Config{
					RootCAs: w.roots, ServerName: sandboxName, NextProtos: []string{http2.NextProtoTLS}, MinVersion: version, MaxVersion: version,
					Certificates: []tls.Certificate{*cert}, ClientSessionCache: tls.NewLRUClientSessionCache(1),
				}
				dial := func() (*tls.Conn, error) {
					raw, err := w.network.DialContext(t.Context(), "tcp", sandboxName+":443")
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { _ = raw.Close() })
					conn := tls.Client(raw, cfg)
					return conn, conn.HandshakeContext(t.Context())
				}
				for _, resumed := range []bool{false, true} {
					conn, err := dial()
					if err != nil {
						t.Fatal(err)
					}
					if got := conn.ConnectionState().DidResume; got != resumed {
						t.Fatalf("resumed: got %v, want %v", got, resumed)
					}
					p := newPeer(t, conn)
					p.hello()
					p.wantOpen(w.push(t))
				}
				w.revoke(t, cert)
				conn, err := dial()
				if err == nil {
					_, err = conn.Read(make([]byte, 1))
				}
				// Under TLS 1.3 the gateway may be gone before the client has
				// written its last, and that is then the error.
				if err == nil {
					t.Error("a handshake with a revoked certificate was resumed")
				}
			})
		})
	}
}
