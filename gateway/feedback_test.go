package gateway_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/registry"
	"github.com/heraldpush/herald/wire"
)

func (w *world) serveFeedback(tb testing.TB) (stop func()) {
	tb.Helper()
	return w.serveOn(tb, feedbackPort, w.gateway.ServeFeedback)
}

// wantFeedback reads to the end, closes, and checks what came.
func (o old) wantFeedback(want ...wire.FeedbackTuple) {
	o.tb.Helper()
	var wantBytes []byte
	for _, m := range want {
		wantBytes = m.Append(wantBytes)
	}
	if got := o.rest(); !bytes.Equal(got, wantBytes) {
		o.tb.Errorf("got %x, want %x", got, wantBytes)
	}
	_ = o.Close() // the service has
}

func tuple(t apns.DeviceToken) wire.FeedbackTuple {
	return wire.FeedbackTuple{Time: removed.Truncate(time.Second).UTC(), DeviceToken: t}
}

// TestFeedbackTwice is a push over each interface to an app that is gone; the
// feedback tells of it once.
func TestFeedbackTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.serveLegacy(t)
		w.serveFeedback(t)
		gone, goneVoIP := w.goneToken(t, demo, apns.Sandbox), w.goneToken(t, demo+".voip", apns.Sandbox)
		w.dialOld(t, feedbackPort, dialing{}).wantFeedback()

		o := w.dialOld(t, legacyPort, dialing{})
		m := w.enhanced(t, 1, hello)
		m.DeviceToken = gone
		o.send(m, m)
		p := w.dial(t, dialing{})
		p.want(w.push(t).to(goneVoIP).set("apns-topic", string(demo+".voip")), refused(apns.Unregistered))
		p.want(w.push(t).to("x"), refused(apns.BadDeviceToken))
		synctest.Wait()

		w.dialOld(t, feedbackPort, dialing{address: productionName}).wantFeedback()
		elsewhere := w.goneToken(t, demo, apns.Production)
		w.dial(t, dialing{address: productionName}).want(w.push(t).to(elsewhere), refused(apns.Unregistered))
		synctest.Wait()
		w.dialOld(t, feedbackPort, dialing{address: productionName}).wantFeedback(tuple(elsewhere))
		w.dialOld(t, feedbackPort, dialing{certificate: w.pushCertificate(t, second, credential.PushUniversal)}).wantFeedback()
		w.dialOld(t, feedbackPort, dialing{}).wantFeedback(tuple(gone), tuple(goneVoIP))
		synctest.Wait()
		w.dialOld(t, feedbackPort, dialing{}).wantFeedback()

		o.send(m)
		synctest.Wait()
		w.dialOld(t, feedbackPort, dialing{}).wantFeedback(tuple(gone))
	})
}

// manyGone notes feedback on more device tokens than are on their way at once.
func (w *world) manyGone(tb testing.TB, n int) (want []byte) {
	tb.Helper()
	var met []registry.FeedbackEntry
	for i := range n {
		t := tuple(apns.DeviceToken(fmt.Sprintf("%032d", i)))
		want = t.Append(want)
		met = append(met, registry.FeedbackEntry{
			List: registry.FeedbackList{Topic: demo.Hash(), Environment: apns.Sandbox}, DeviceToken: t.DeviceToken, Gone: t.Time,
		})
	}
	if err := w.registry.NoteGone(tb.Context(), met); err != nil {
		tb.Fatal(err)
	}
	return want
}

// TestFeedbackBreaks proves that what did not arrive is told again.
func TestFeedbackBreaks(t *testing.T) {
	for _, tt := range []struct {
		name string
		n    int
		do   func(t *testing.T, o old)
	}{
		{"does not read", 20_000, func(t *testing.T, o old) {
			t.Helper()
			time.Sleep(time.Minute)
		}},
		{"breaks off", 20_000, func(t *testing.T, o old) {
			t.Helper()
			if _, err := io.ReadFull(o, make([]byte, 38)); err != nil {
				t.Fatal(err)
			}
			_ = o.NetConn().Close() // to break off is what it does
		}},
		{"does not close", 2, func(t *testing.T, o old) {
			t.Helper()
			if got, want := len(o.rest()), 2*38; got != want {
				t.Errorf("got %d bytes, want %d", got, want)
			}
			time.Sleep(time.Minute)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.serveFeedback(t)
				want := w.manyGone(t, tt.n)
				tt.do(t, w.dialOld(t, feedbackPort, dialing{}))
				synctest.Wait()
				o := w.dialOld(t, feedbackPort, dialing{})
				if got := o.rest(); !bytes.Equal(got, want) {
					t.Errorf("again: got %d bytes, want %d", len(got), len(want))
				}
				_ = o.Close() // the service has
				synctest.Wait()
				w.dialOld(t, feedbackPort, dialing{}).wantFeedback()
			})
		})
	}
}

// brokenFeedback is a registry's store whose feedback fails.
type brokenFeedback struct{ registry.Store }

// AddFeedback implements registry.Store.
func (brokenFeedback) AddFeedback(context.Context, []registry.FeedbackEntry, int) error {
	return errDisk
}

// Feedback implements registry.Store.
func (brokenFeedback) Feedback(context.Context, registry.FeedbackList, uint64, int) ([]registry.FeedbackEntry, error) {
	return nil, errDisk
}

// TestFeedbackFaults proves that a fault of the feedback refuses nothing, and is
// logged.
func TestFeedbackFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.serveLegacy(t)
		w.serveFeedback(t)
		gone := w.goneToken(t, demo, apns.Sandbox)
		w.exceptions.Store = brokenFeedback{w.exceptions.Store}
		o := w.dialOld(t, legacyPort, dialing{})
		m := w.enhanced(t, 1, hello)
		m.DeviceToken = gone
		o.send(m, raw("\x09"))
		o.want(refusal(wire.LegacyUnparsable, 0))
		w.wantLegacyFault(t)
		p := w.dial(t, dialing{})
		p.want(w.push(t).to(gone), refused(apns.Unregistered))
		synctest.Wait()
		w.wantLegacyFault(t)
		w.dialOld(t, feedbackPort, dialing{}).wantFeedback()
		synctest.Wait()
		w.wantLegacyFault(t)
	})
}

// TestFeedbackStop stops while one does not read.
func TestFeedbackStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		stop := w.serveFeedback(t)
		w.manyGone(t, 20_000)
		w.dialOld(t, feedbackPort, dialing{})
		synctest.Wait()
		start := time.Now()
		stop()
		if took := time.Since(start); took > drainTimeout {
			t.Errorf("it stopped after %v, want within %v", took, drainTimeout)
		}
	})
}

// TestFeedbackOverTCP closes real sockets, after having read and before.
func TestFeedbackOverTCP(t *testing.T) {
	w := newWorld(t)
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Skipf("no TCP here: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- w.gateway.ServeFeedback(ctx, l, apns.Sandbox) }()
	cert := w.pushCertificate(t, demo, credential.PushUniversal)
	dial := func() net.Conn {
		d := tls.Dialer{Config: &tls.Config{RootCAs: w.roots, ServerName: sandboxName, Certificates: []tls.Certificate{*cert}}}
		conn, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	want := w.manyGone(t, 20_000) // more than TLS takes in one go
	for range 5 {                 // says goodbye in TLS, but has not read
		conn := dial()
		if _, err := io.ReadFull(conn, make([]byte, 38)); err != nil {
			t.Fatal(err)
		}
		_ = conn.Close() // it need not go well
	}
	for _, want := range [][]byte{want, nil} {
		var got []byte
		for late := time.Now().Add(patience); time.Now().Before(late); { // the service sees the close a little later
			conn := dial()
			if got, err = io.ReadAll(conn); err != nil {
				t.Fatal(err)
			}
			_ = conn.Close() // it has ended
			if len(want) > 0 || len(got) == 0 {
				break
			}
		}
		if diff := cmp.Diff(len(want), len(got)); diff != "" || !bytes.Equal(want, got) {
			t.Errorf("feedback (-want +got):\n%s", diff)
		}
	}
	cancel()
	if err := <-served; err != nil {
		t.Errorf("ServeFeedback: got %v, want nil", err)
	}
}
