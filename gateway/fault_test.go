package gateway_test

import (
	"context"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/gateway"
)

var errDisk = errors.New("disk on fire at /secret/path")

// wantFault checks that an answer says that there was a fault, and no more.
func wantFault(t *testing.T, a *answer) {
	t.Helper()
	if got, want := a.body, `{"reason":"InternalServerError"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, f := range a.fields {
		if strings.Contains(f.Value, "secret") {
			t.Errorf("leaked in %s: %s", f.Name, f.Value)
		}
	}
}

// wantLogged checks that one line was logged, with the fault and what it hit.
func (w *world) wantLogged(t *testing.T, parts ...string) {
	t.Helper()
	lines := w.logs.take()
	if len(lines) != 1 {
		t.Errorf("logged: got %d lines, want 1: %q", len(lines), lines)
		return
	}
	for _, part := range append(parts, "level=ERROR", errDisk.Error()) {
		if !strings.Contains(lines[0], part) {
			t.Errorf("logged %s, want it to have %q", lines[0], part)
		}
	}
	for _, secret := range []string{"bearer", w.deviceToken(t, demo, apns.Sandbox).Hex(), hello} {
		if strings.Contains(lines[0], secret) {
			t.Errorf("logged %s, which has %q", lines[0], secret)
		}
	}
}

func TestStoreFaults(t *testing.T) {
	w := newWorldWith(t, options{exceptional: true})
	p := w.dial(t, dialing{certificate: w.pushCertificate(t, demo, credential.PushUniversal)})
	fail := func(context.Context) error { return errDisk }

	q := w.push(t)
	w.store.before(fail)
	a := p.want(q, refused(apns.InternalServerError))
	wantFault(t, a)
	w.wantLogged(t, "pushes=1", a.get("apns-id")[0])
	w.store.before(nil)
	p.want(q, accepted)

	w.exceptions.before(fail)
	wantFault(t, p.want(q, refused(apns.InternalServerError)))
	w.exceptions.before(nil)
	w.wantLogged(t, "pushes=1")
	p.want(q, accepted)
}

// TestStoreFaultOfABatch proves that the fault of a batch is one line.
func TestStoreFaultOfABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := w.dial(t, dialing{certificate: w.pushCertificate(t, demo, credential.PushUniversal)})
		release := make(chan error)
		w.store.before(until(release))
		ids := []uint32{p.send(w.push(t))}
		synctest.Wait()
		for range 50 { // wait for the first one, and are the second batch
			ids = append(ids, p.send(w.push(t)))
		}
		bad := p.send(w.push(t).to("x"))
		synctest.Wait()
		release <- errDisk
		wantFault(t, p.await(ids[0]))
		w.wantLogged(t, "pushes=1 ")
		release <- errDisk
		for _, id := range ids {
			wantFault(t, p.await(id))
		}
		if got, want := p.await(bad).outcome(), refused(apns.BadDeviceToken); got != want {
			t.Errorf("bad device token in the batch: got %s, want %s", got, want)
		}
		w.wantLogged(t, "pushes=50 ")
	})
}

// TestStoreHangs proves that a registry that does not answer costs its sender
// no more than a deadline, and that the connection is read all the while.
func TestStoreHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWith(t, options{exceptional: true})
		p := w.dial(t, dialing{certificate: w.pushCertificate(t, demo, credential.PushUniversal)})
		q, bad := w.push(t), w.push(t).set("apns-priority", "7")
		w.exceptions.before(func(ctx context.Context) error {
			<-ctx.Done()
			return errors.Join(errDisk, ctx.Err())
		})
		start := time.Now()
		id := p.send(q)
		p.settle()
		p.want(bad, refused(apns.BadPriority))
		if took := time.Since(start); took != 0 {
			t.Errorf("others waited for %v", took)
		}
		time.Sleep(5 * time.Second)
		wantFault(t, p.await(id))
		if took, want := time.Since(start), 10*time.Second; took != want {
			t.Errorf("answered after %v, want %v", took, want)
		}
		w.exceptions.before(nil)
		if lines := w.logs.take(); len(lines) != 1 {
			t.Errorf("logged %q, want one line", lines)
		}
	})
}

func TestSpoolClosed(t *testing.T) {
	w := newWorld(t)
	p := w.dial(t, dialing{})
	q := w.push(t)
	if err := w.spool.Close(); err != nil {
		t.Fatal(err)
	}
	a := p.want(q, refused(apns.Shutdown))
	if got := a.get("retry-after"); got != nil {
		t.Errorf("retry-after: got %q, want none", got)
	}
}

func TestRetryAfter(t *testing.T) {
	w := newWorldWith(t, options{exceptional: true})
	p := w.dial(t, dialing{})
	q := w.push(t)
	for _, tt := range []struct {
		reason apns.Reason
		after  time.Duration
		want   []string
	}{
		{apns.ServiceUnavailable, 10 * time.Second, []string{"10"}},
		{apns.ServiceUnavailable, 1500 * time.Millisecond, []string{"2"}},
		{apns.ServiceUnavailable, time.Nanosecond, []string{"1"}},
		{apns.ServiceUnavailable, 0, nil},
		{apns.ServiceUnavailable, -time.Minute, nil},
		{apns.TooManyRequests, time.Minute, []string{"60"}},
		{apns.Shutdown, time.Second, []string{"1"}},
		{apns.Forbidden, time.Second, nil},
	} {
		w.exceptions.before(func(context.Context) error {
			r := apns.Reject(tt.reason, "")
			r.RetryAfter = tt.after
			return r
		})
		if got := p.want(q, refused(tt.reason)).get("retry-after"); !cmp.Equal(got, tt.want) {
			t.Errorf("%s after %v: got %q, want %q", tt.reason, tt.after, got, tt.want)
		}
	}
}

// TestOverload proves that a full spool refuses with the time to wait.
func TestOverload(t *testing.T) {
	w := newWorldWith(t, options{notifications: 1})
	p := w.dial(t, dialing{})
	p.want(w.push(t), accepted)
	a := p.want(w.push(t), refused(apns.ServiceUnavailable))
	if got, want := a.get("retry-after"), []string{"10"}; !cmp.Equal(got, want) {
		t.Errorf("retry-after: got %q, want %q", got, want)
	}
	p.want(w.push(t).set("apns-expiration", "0"), accepted) // takes no room
}

// TestRepeat proves that the same apns-id to the same device token is accepted
// again, and delivered once.
func TestRepeat(t *testing.T) {
	const id = "eabeae54-14a8-11e5-b60b-1697f925ec7b"
	w := newWorld(t)
	p := w.dial(t, dialing{})
	in := w.attach(t, w.device, demo, second)
	named := func(id, body string) *push { return w.push(t).set("apns-id", id).carrying(`{"n":"` + body + `"}`) }

	p.want(named(id, "first"), accepted)
	p.want(named(id, "repeat"), accepted)
	p.want(named(strings.ToUpper(id), "repeat in upper case"), accepted)
	elsewhere := w.dial(t, dialing{certificate: w.pushCertificate(t, demo, credential.PushUniversal)})
	elsewhere.want(named(id, "repeat on another connection"), accepted)
	if diff := cmp.Diff([]string{`{"n":"first"}`}, receive(t, in)); diff != "" {
		t.Errorf("received (-want +got):\n%s", diff)
	}
	p.want(named(id, "after it was delivered"), accepted)
	p.want(named(id, "other device token").to(w.deviceToken(t, second, apns.Sandbox)).set("apns-topic", string(second)), accepted)
	p.want(named(id[:35]+"c", "other id"), accepted)
	// Refused requests are no first ones.
	const refusedID = "eabeae54-14a8-11e5-b60b-1697f925ec7f"
	p.want(named(refusedID, "refused").set("apns-priority", "7"), refused(apns.BadPriority))
	p.want(named(refusedID, "mended"), accepted)
	got := receive(t, in)
	want := []string{`{"n":"other device token"}`, `{"n":"mended"}`} // the newest of a topic
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("received (-want +got):\n%s", diff)
	}
}

// TestLargeBody sends a payload that does not fit into the window of a stream,
// frame by frame.
func TestLargeBody(t *testing.T) {
	w := newWorld(t)
	p := w.dial(t, dialing{})
	const chunk = 8 << 10
	for _, ends := range []bool{true, false} {
		id := p.headers(w.push(t), false)
		window := 65535
		for sent := 0; sent < 100_000; {
			window += p.credited[id]
			p.credited[id] = 0
			if window < chunk {
				p.read()
				continue
			}
			p.must(p.fr.WriteData(id, ends && sent+chunk >= 100_000, []byte(strings.Repeat("x", chunk))))
			sent, window = sent+chunk, window-chunk
		}
		if !ends { // trailers end it
			p.block.Reset()
			p.must(p.enc.WriteField(trailer))
			p.must(p.fr.WriteHeaders(trailers(id, p.block.Bytes())))
		}
		if got, want := p.await(id).outcome(), refused(apns.PayloadTooLarge); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	p.want(w.push(t), accepted)
}

// TestForms sends what is odd and right.
func TestForms(t *testing.T) {
	w := newWorld(t)
	p := w.dial(t, dialing{})
	q := w.push(t).add("host", "api.push.apple.com")
	q.noAuthority = true
	p.want(q, accepted)
	q.drop("host")
	p.want(q, accepted)
	q = w.push(t).add("content-length", strconv.Itoa(len(hello)))
	p.want(q, accepted)

	// Payload and headers in many pieces, and an empty piece at the end.
	id := p.headers(w.push(t), false)
	for i := range len(hello) {
		p.must(p.fr.WriteData(id, false, []byte{hello[i]}))
	}
	p.must(p.fr.WriteDataPadded(id, true, nil, make([]byte, 200)))
	if got := p.await(id).outcome(); got != accepted {
		t.Errorf("in pieces: got %s, want %s", got, accepted)
	}
}

func TestNew(t *testing.T) {
	if _, err := gateway.New(gateway.Config{}); err == nil {
		t.Error("a gateway without anything: got no error")
	}
	w := newWorld(t)
	for _, l := range []gateway.Limits{
		{ProviderTokenInterval: -1},
		{ProviderTokenTolerance: -1},
		{DeviceBurst: -1},
		{DeviceBurst: 1_000_001},
		{DeviceInterval: -1},
		{DeviceInterval: time.Hour + 1},
		{ChannelBurst: -1},
		{ChannelBurst: 100_001},
		{ChannelInterval: -1},
		{ChannelInterval: time.Hour + 1},
		{SlowShare: -0.1},
		{SlowShare: 1.1},
		{SlowShare: math.NaN()},
		{SlowWindow: -1},
		{SlowAnswers: -1},
		{MaxRefusals: -1},
		{MaxBadDeviceTokens: -1},
	} {
		_, err := gateway.New(gateway.Config{
			Portal: w.portal, Registry: w.registry, Spool: w.spool, ServerCertificate: w.serverCertificate(), Limits: l,
		})
		if err == nil {
			t.Errorf("%+v: got no error", l)
		}
	}
}

// TestServeListenerFails proves that Serve tells of a listener that fails.
func TestServeListenerFails(t *testing.T) {
	w := newWorld(t)
	l, err := w.network.Listen("third.example.com:443")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	err = w.gateway.Serve(t.Context(), l, apns.Production)
	if err == nil || !strings.Contains(err.Error(), "production gateway") || errors.Is(err, io.EOF) {
		t.Errorf("got %v, want the listener's error", err)
	}
}
