package courier_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/courier"
	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/store/memory"
	"github.com/heraldpush/herald/wire"
)

// brokenSpool fails while it is told to.
type brokenSpool struct {
	spool.Store
	loading, deleting atomic.Bool
}

func (b *brokenSpool) Load(ctx context.Context, box spool.Mailbox, limit int) ([]spool.Entry, error) {
	if b.loading.Load() {
		return nil, errBroken
	}
	return b.Store.Load(ctx, box, limit)
}

func (b *brokenSpool) Delete(ctx context.Context, versions []spool.Version) error {
	if b.deleting.Load() {
		return errBroken
	}
	return b.Store.Delete(ctx, versions)
}

// logbook keeps what is logged, as text.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (l *logbook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logbook) handler() slog.Handler {
	return slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug})
}

// wantErrors checks how many errors were logged.
func (l *logbook) wantErrors(t *testing.T, want int) {
	t.Helper()
	synctest.Wait()
	if got := strings.Count(l.String(), "level=ERROR"); got != want {
		t.Errorf("%d errors were logged, want %d:\n%s", got, want, l)
	}
}

// TestFaultAtConnect checks that a device is not told that it is invalid
// because a store fails: it would throw its identity away.
func TestFaultAtConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		devices := &brokenRegistry{Store: memory.NewRegistry()}
		inboxes := &brokenSpool{Store: memory.NewSpool(10)}
		var logs logbook
		s, _ := assemble(t, parts{registry: devices, spool: inboxes, log: logs.handler()})
		id := s.newIdentity()
		for i, broken := range []*atomic.Bool{&devices.device, &inboxes.loading} {
			broken.Store(true)
			d := s.open(hello{})
			d.send(id.connect(t, time.Now(), ""))
			d.wantClosed(0)
			logs.wantErrors(t, i+1)
			broken.Store(false)
		}
		s.login(id, "").ready()
		logs.wantErrors(t, 2)
	})
}

// TestStopAtConnect checks the same for a spool that is closed.
func TestStopAtConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logs logbook
		s, _ := assemble(t, parts{log: logs.handler()})
		id := s.newIdentity()
		must(t, s.spool.Close())
		d := s.open(hello{})
		d.send(id.connect(t, time.Now(), ""))
		d.wantClosed(0)
		logs.wantErrors(t, 0)
	})
}

// TestFaultInSession checks that a device goes on when a store fails.
func TestFaultInSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		devices := &brokenRegistry{Store: memory.NewRegistry()}
		inboxes := &brokenSpool{Store: memory.NewSpool(10)}
		var logs logbook
		s, _ := assemble(t, parts{registry: devices, spool: inboxes, log: logs.handler()})
		id := s.newIdentity()
		d := s.login(id, "")
		d.ready(alertTopic)

		devices.topic.Store(true)
		hash := alertTopic.Hash()
		d.send(frame(wire.CommandAppToken, item(2, hash[:]), item(1, []byte(d.base))))
		if got := d.want(wire.CommandAppTokenResponse); got[1][0] != byte(wire.AppTokenTryLater) || len(got) != 2 {
			t.Errorf("AppTokenResponse is %x, want status 5 and the topic", got)
		}
		devices.topic.Store(false)
		logs.wantErrors(t, 1)

		inboxes.deleting.Store(true)
		s.offer(id.id, alert("first"))
		d.ack(d.wantPayload(alert("first"), 0), wire.AckOK)
		d.wantNothing()
		logs.wantErrors(t, 2)
		d.close()
		d = s.login(id, "")
		d.send(frame(wire.CommandFilter, item(1, []byte(d.base)), item(3, hash[:]))) // ignored
		d.want(wire.CommandNoStorage)
		logs.wantErrors(t, 3)
		inboxes.deleting.Store(false)

		devices.exception.Store(true)
		d.filter(alertTopic)
		d.wantNothing()
		s.offer(id.id, alert("second"))
		d.ack(d.wantPayload(alert("second"), 0), wire.AckNotOurs)
		d.wantNothing()
		logs.wantErrors(t, 4)
	})
}

// TestActivationFault checks what a device is told whose code is used up.
func TestActivationFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		devices := &brokenRegistry{Store: memory.NewRegistry()}
		s, _ := assemble(t, parts{registry: devices})
		devices.device.Store(true)
		_, code, err := s.portal.CreateEnrolmentCode(t.Context(), 1, 0)
		must(t, err)
		body := activationBody(t, code, requestPEM(newRequest(t, newECKey(t))))
		if a := s.ask(s.web(nil), http.MethodPost, courier.ActivationPath, body); a.status != 200 {
			t.Errorf("got %d, %s", a.status, a.body)
		}
	})
}

// TestLogs checks that no secret and no token is logged, at any level.
func TestLogs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logs logbook
		s, stop := assemble(t, parts{log: logs.handler()})
		secrets := map[string][]byte{}
		_, code, err := s.portal.CreateEnrolmentCode(t.Context(), 1, 0)
		must(t, err)
		secrets["enrolment code"] = []byte(code)
		c := s.web(nil)
		body := activationBody(t, code, requestPEM(newRequest(t, newECKey(t))))
		for range 2 {
			s.ask(c, http.MethodPost, courier.ActivationPath, body)
		}
		s.ask(c, http.MethodPost, courier.ActivationPath, activationBody(t, code, []byte("no request")))

		id, foreign := s.newIdentity(), foreignIdentity(t)
		d := s.login(id, "")
		token := d.token(alertTopic)
		d.ready(alertTopic)
		s.offer(id.id, alert("a secret of two lovers"))
		first := d.wantPayload(alert("a secret of two lovers"), 0)
		d.send(frame(0xff, item(1, []byte(token))), frame(wire.CommandFilter, item(1, []byte(token))))
		d.ack(first, wire.AckNotOurs)
		d.send(foreign.connect(t, time.Now(), d.base))
		d.wantRefused()
		late := s.open(hello{})
		late.send(id.connect(t, time.Now().Add(time.Hour), ""))
		late.want(wire.CommandConnectAck)
		posing := s.open(hello{})
		posing.send(s.newIdentity().connect(t, time.Now(), d.base))
		posing.wantRefused()
		secrets["device token"], secrets["base token"] = []byte(token), []byte(d.base)
		secrets["payload"] = []byte("a secret of two lovers")
		secrets["certificate"], secrets["foreign certificate"] = id.chain[0][:40], foreign.chain[0][:40]
		stop()
		text := logs.String()
		if strings.Contains(text, "BEGIN ") {
			t.Error("PEM was logged")
		}
		for what, secret := range secrets {
			for _, form := range []string{string(secret), hex.EncodeToString(secret), strings.ToUpper(hex.EncodeToString(secret)), base64.StdEncoding.EncodeToString(secret)[:16]} {
				if strings.Contains(text, form) {
					t.Errorf("the %s was logged", what)
				}
			}
		}
		if !strings.Contains(text, string(id.id)) {
			t.Error("the device was not logged, so this test proves nothing")
		}
	})
}
