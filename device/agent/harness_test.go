package agent

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/apnstest"
	"github.com/heraldpush/herald/courier"
	"github.com/heraldpush/herald/device"
	"github.com/heraldpush/herald/internal/memnet"
)

const socketAddress = "agent:80"

// world is a push service and an agent in memory, made inside a synctest
// bubble. The agent's folder alone is real.
type world struct {
	t        *testing.T
	platform *apnstest.Platform
	sender   *apnsclient.Sender
	cfg      Config
	local    memnet.Network // has the socket

	agent  *agent
	stop   context.CancelFunc
	ended  chan error
	mu     sync.Mutex
	events []Event // guarded by mu
}

func newWorld(t *testing.T) *world {
	t.Helper()
	p := apnstest.New(t)
	_, code, err := p.Portal.CreateEnrolmentCode(t.Context(), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, platform: p, sender: p.NewSender(t)}
	w.cfg = Config{
		Dir: t.TempDir(),
		Settings: Settings{
			Courier: p.CourierAddr(), Environment: apns.Sandbox, Roots: string(p.Portal.RootPEM()),
			Activation: "https://" + p.CourierAddr() + courier.ActivationPath,
		},
		EnrolmentCode: code,
		Dial:          p.Dial,
		Apps:          []App{{apnstest.Topic, device.Alert | device.Sound | device.Badge}},
		Report: func(e Event) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.events = append(w.events, e)
		},
	}
	return w
}

// start starts the agent; ended or the end of the test stops it.
func (w *world) start() {
	w.t.Helper()
	cfg, err := w.cfg.withDefaults()
	if err != nil {
		w.t.Fatal(err)
	}
	if w.agent, err = open(cfg); err != nil {
		w.t.Fatal(err)
	}
	l, err := w.local.Listen(socketAddress)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(w.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- w.agent.run(ctx, l) }()
	w.stop, w.ended = stop, ended
	w.t.Cleanup(func() { w.end() })
	w.waitFor(func(e Event) bool { return e.Kind == Registered })
}

// end stops the agent, which must be content.
func (w *world) end() {
	w.t.Helper()
	if w.stop == nil {
		return
	}
	w.stop()
	w.stop = nil
	if err := <-w.ended; err != nil {
		w.t.Errorf("run: got %v, want nil", err)
	}
	if err := w.agent.inbox.journal.close(); err != nil {
		w.t.Error(err)
	}
}

// all returns the events so far.
func (w *world) all() []Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Event(nil), w.events...)
}

// waitFor waits for an event and returns it.
func (w *world) waitFor(is func(Event) bool) (found Event) {
	w.t.Helper()
	w.until(func() bool {
		for _, e := range w.all() {
			if is(e) {
				found = e
				return true
			}
		}
		return false
	})
	return found
}

// until waits until something is so. In a bubble the time is virtual.
func (w *world) until(so func() bool) {
	w.t.Helper()
	limit := time.After(2 * time.Minute)
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		if so() {
			tick.Stop()
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			w.t.Fatalf("it did not come about; the events are %+v", w.all())
		}
	}
}

// waitForID waits for a notification.
func (w *world) waitForID(id apns.NotificationID) Event {
	w.t.Helper()
	return w.waitFor(func(e Event) bool { return e.Notification != nil && e.ID == id })
}

// token returns the device token of the app.
func (w *world) token() apns.DeviceToken {
	w.t.Helper()
	e := w.waitFor(func(e Event) bool { return e.Kind == Registered && e.Topic == apnstest.Topic })
	t, err := apns.ParseDeviceToken(e.DeviceToken)
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

// push sends a notification, waits until the agent has it, and returns its id.
func (w *world) push(payload string) apns.NotificationID {
	w.t.Helper()
	id := w.pushAway(payload)
	w.waitForID(id)
	return id
}

// pushAway is push for a device that may be away.
func (w *world) pushAway(payload string) apns.NotificationID {
	w.t.Helper()
	id := apns.NotificationID(apns.NewUUID())
	_, err := w.sender.Push(w.t.Context(), w.token(), apns.Notification{
		ID: id, Topic: apnstest.Topic, PushType: apns.PushTypeAlert, Payload: apns.Payload(payload),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// call makes a request to the socket and returns status and body.
func (w *world) call(method, path, body string) (int, string) {
	w.t.Helper()
	res := w.ask(method, path, body, nil)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func (w *world) ask(method, path, body string, header http.Header) *http.Response {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, "http://agent"+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	for name := range header {
		req.Header.Set(name, header.Get(name))
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return w.local.DialContext(ctx, "", socketAddress)
	}}
	res, err := transport.RoundTrip(req)
	if err != nil {
		w.t.Fatal(err)
	}
	return res
}

// appStatus asks for the app.
func (w *world) appStatus() (s AppStatus) {
	w.t.Helper()
	status, body := w.call(http.MethodGet, "/v1/apps/"+string(apnstest.Topic), "")
	if err := json.Unmarshal([]byte(body), &s); err != nil || status != http.StatusOK {
		w.t.Fatalf("got %d %s (%v), want the app", status, body, err)
	}
	return s
}

// sse is an event of a stream; a comment has neither name nor data.
type sse struct{ id, name, data string }

// listener reads a stream.
type listener struct {
	t     *testing.T
	res   *http.Response
	lines *bufio.Reader
}

// listen opens the stream of the app, after an event if one is named.
func (w *world) listen(after apns.NotificationID) *listener {
	w.t.Helper()
	header := http.Header{}
	if after != "" {
		header.Set("Last-Event-ID", string(after))
	}
	res := w.ask(http.MethodGet, "/v1/apps/"+string(apnstest.Topic)+"/notifications", "", header) //nolint:bodyclose // close does
	l := &listener{t: w.t, res: res, lines: bufio.NewReader(res.Body)}
	w.t.Cleanup(l.close)
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
		w.t.Fatalf("got %d %s, want a stream", res.StatusCode, res.Header.Get("Content-Type"))
	}
	if got, err := l.next(); err != nil || got != (sse{}) {
		w.t.Fatalf("got %+v and %v, want the greeting", got, err)
	}
	return l
}

func (l *listener) close() { _ = l.res.Body.Close() }

// next returns the next event, or a comment; io.EOF at the end.
func (l *listener) next() (e sse, err error) {
	for {
		line, err := l.lines.ReadString('\n')
		if err != nil {
			return e, err
		}
		field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch field {
		case "":
			if line == "\n" {
				return e, nil
			}
		case ":", "retry":
		case "id":
			e.id = value
		case "event":
			e.name = value
		case "data":
			e.data = value
		default:
			return e, fmt.Errorf("a line %q", line)
		}
	}
}

// expect reads the notifications with the ids given.
func (l *listener) expect(ids ...apns.NotificationID) {
	l.t.Helper()
	for _, id := range ids {
		l.expectEvent("notification", string(id))
	}
	synctest.Wait() // for the agent to note that they were given
}

// expectEvent reads an event past heartbeats, and returns its data.
func (l *listener) expectEvent(name, id string) string {
	l.t.Helper()
	for {
		e, err := l.next()
		if err != nil || e.name != "" && (e.name != name || e.id != id) {
			l.t.Fatalf("got %+v and %v, want %s %s", e, err, name, id)
		}
		if e.name != "" {
			return e.data
		}
	}
}

func withCancel(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithCancel(context.WithoutCancel(t.Context()))
}

// readAll returns the body of an answer.
func readAll(t *testing.T, res *http.Response) string {
	t.Helper()
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
