package api

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/internal/memnet"
)

// TestLibrary has Herald's own library push to the raw door over HTTP/2 with the
// provider tokens that it makes, and nothing changed but where it pushes to; and what
// it pushed go on to the gateway under the same ID.
func TestLibrary(t *testing.T) {
	playSending(t, func(w *sending) {
		t := w.t
		var network memnet.Network
		l, err := network.Listen("push:443")
		w.must(err)
		server := httptest.NewUnstartedServer(w.API)
		w.must(server.Listener.Close())
		server.Listener, server.EnableHTTP2 = l, true
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.StartTLS()
		defer server.Close()
		roots := x509.NewCertPool()
		roots.AddCert(server.Certificate())
		tokens, err := apnsclient.NewProviderTokens(team, keyID, w.key)
		w.must(err)
		to := w.register("i1")
		w.run(func() {
			for e, host := range map[apns.Environment]string{apns.Production: "push.example.com", apns.Sandbox: "sandbox.example.com"} {
				s, err := apnsclient.New(apnsclient.Config{
					Environment: e, Host: host, Roots: roots, ProviderTokens: tokens,
					Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
						return network.DialContext(ctx, "mem", "push:443")
					},
				})
				w.must(err)
				receipt, err := s.Push(t.Context(), to, apns.Notification{Topic: bundleID, Payload: apns.Payload(rawBody)})
				if err != nil {
					t.Errorf("%v: %v", e, err)
				}
				synctest.Wait()
				if got := w.gateway.Pushes(); len(got) == 0 || got[len(got)-1].ID != receipt.ID || string(got[len(got)-1].Body) != rawBody {
					t.Errorf("%v: %s went on as %+v", e, receipt.ID, got)
				}
				_, err = s.Push(t.Context(), to, apns.Notification{Topic: "com.example.bar", Payload: apns.Payload(rawBody)})
				if !errors.Is(err, apns.Reject(apns.TopicDisallowed, "")) || apnsclient.OutcomeOf(err) != apnsclient.ProviderFault {
					t.Errorf("%v: got %v", e, err)
				}
				w.must(s.Close())
			}
		})
	})
}
