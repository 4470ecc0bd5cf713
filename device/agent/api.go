package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/device"
	"github.com/heraldpush/herald/wire"
)

const (
	// maxRequest bounds a request's body, in bytes.
	maxRequest = 64 << 10
	// tokenWithin is how long a registration waits for its device token.
	tokenWithin = 30 * time.Second
	// drainWithin is how long requests may go on at the end.
	drainWithin = 500 * time.Millisecond
)

// Status is what an agent says of itself (docs/device.md#status).
type Status struct {
	// DeviceID is empty before the activation.
	DeviceID    apns.DeviceID    `json:"device_id,omitempty"`
	Environment apns.Environment `json:"environment"`
	// Connected tells whether a courier has accepted the device, Since when
	// that is so or not so; it is missing before the first attempt.
	Connected bool       `json:"connected"`
	Since     *time.Time `json:"since,omitempty"`
	// Courier is the address of the courier that has accepted the device, or
	// of the one that it is to ask.
	Courier string `json:"courier"`
	// Reason is why there is no connection, for people.
	Reason string `json:"reason,omitempty"`
	// Certificate is missing before the activation.
	Certificate  *Certificate `json:"certificate,omitempty"`
	DoNotDisturb DoNotDisturb `json:"do_not_disturb"`
	Apps         []AppStatus  `json:"apps"`
}

// Certificate is what a Status says of the device's.
type Certificate struct {
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
}

// AppStatus is an app that is registered.
type AppStatus struct {
	Topic apns.Topic `json:"topic"`
	// Types are alert, sound and badge, as far as the app registered for them.
	Types []string `json:"types"`
	// DeviceToken is hex; empty if there is none yet.
	DeviceToken string           `json:"device_token"`
	Environment apns.Environment `json:"environment"`
	// Permission is what the user lets the app do.
	Permission Permission `json:"permission"`
	// Kept is how many notifications can be read again, Waiting how many of
	// them nobody has read, Readers who reads.
	Kept    int `json:"kept"`
	Waiting int `json:"waiting"`
	Readers int `json:"readers"`
}

// registerRequest is the body of a registration; it may be left out.
type registerRequest struct {
	// Types are alert, sound and badge; nil stands for all.
	Types []string `json:"types"`
}

// serve serves the socket until ctx ends, and removes it.
func (a *agent) serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler: a.handler(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: time.Minute,
		MaxHeaderBytes: 16 << 10, BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog: slog.NewLogLogger(a.cfg.Logger.Handler(), slog.LevelDebug),
	}
	var closing sync.WaitGroup
	closing.Go(func() {
		<-ctx.Done()
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainWithin)
		defer cancel()
		if server.Shutdown(last) != nil {
			_ = server.Close() // what is open has had its time
		}
	})
	err := server.Serve(l)
	if ctx.Err() == nil {
		return fmt.Errorf("socket: %w", err)
	}
	closing.Wait()
	return nil
}

// handler answers on the socket.
func (a *agent) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", a.getStatus)
	mux.HandleFunc("GET /v1/apps", a.getApps)
	mux.HandleFunc("GET /v1/apps/{topic}", a.app(a.getApp))
	mux.HandleFunc("DELETE /v1/apps/{topic}", a.app(a.deleteApp))
	mux.HandleFunc("PUT /v1/apps/{topic}/permission", a.app(a.putPermission))
	mux.HandleFunc("PUT /v1/do-not-disturb", a.putDoNotDisturb)
	mux.HandleFunc("POST /v1/restore", a.postRestore)
	mux.HandleFunc("POST /v1/apps/{topic}/register", a.app(a.postRegister))
	mux.HandleFunc("GET /v1/apps/{topic}/notifications", a.app(a.getNotifications))
	paths := []string{
		"/v1/status", "/v1/do-not-disturb", "/v1/restore", "/v1/apps", "/v1/apps/{topic}", "/v1/apps/{topic}/register",
		"/v1/apps/{topic}/permission", "/v1/apps/{topic}/notifications",
	}
	for _, path := range paths {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			a.refuse(w, http.StatusMethodNotAllowed, "Method not allowed", "%.16q is not for %.300q.", r.Method, r.URL.Path)
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		a.refuse(w, http.StatusNotFound, "Not found", "There is no %.300q; there are %s.", r.URL.Path, strings.Join(paths, ", "))
	})
	return mux
}

// app reads the topic in the path.
func (a *agent) app(handle func(http.ResponseWriter, *http.Request, apns.Topic)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		topic := apns.Topic(r.PathValue("topic"))
		if !topic.Valid() {
			a.refuse(w, http.StatusBadRequest, "Not a bundle ID", "%.80q is not a bundle ID, such as com.example.demo.", string(topic))
			return
		}
		handle(w, r, topic)
	}
}

// status returns what the agent says of itself.
func (a *agent) status() Status {
	a.mu.Lock()
	reach := a.reach
	a.mu.Unlock()
	s := Status{
		DeviceID: a.device.ID(), Environment: a.cfg.Settings.Environment, Connected: reach.connected,
		Courier: a.cfg.Settings.Courier, Reason: reach.reason, DoNotDisturb: a.doNotDisturb(), Apps: a.apps(),
	}
	if reach.connected {
		s.Courier = reach.courier
	}
	if !reach.since.IsZero() {
		s.Since = new(reach.since.UTC())
	}
	if cert := a.device.Certificate(); cert != nil {
		s.Certificate = &Certificate{NotBefore: cert.NotBefore.UTC(), NotAfter: cert.NotAfter.UTC()}
	}
	return s
}

func (a *agent) apps() []AppStatus {
	all := []AppStatus{}
	for _, r := range a.device.Registrations() {
		all = append(all, a.appStatus(r))
	}
	return all
}

func (a *agent) appStatus(r device.Registration) AppStatus {
	n := a.inbox.count(r.Topic)
	return AppStatus{
		Topic: r.Topic, Types: typeNames(r.Types), DeviceToken: r.DeviceToken.Hex(), Environment: a.cfg.Settings.Environment,
		Permission: a.permission(r.Topic), Kept: n.Kept, Waiting: n.Waiting, Readers: n.Readers,
	}
}

func (a *agent) getStatus(w http.ResponseWriter, _ *http.Request) { a.answer(w, a.status()) }

func (a *agent) getApps(w http.ResponseWriter, _ *http.Request) {
	a.answer(w, struct {
		Apps []AppStatus `json:"apps"`
	}{a.apps()})
}

func (a *agent) getApp(w http.ResponseWriter, _ *http.Request, topic apns.Topic) {
	r, ok := a.registration(topic)
	if !ok {
		a.refuseUnregistered(w, topic)
		return
	}
	a.answer(w, a.appStatus(r))
}

func (a *agent) deleteApp(w http.ResponseWriter, _ *http.Request, topic apns.Topic) {
	if _, ok := a.registration(topic); !ok {
		a.refuseUnregistered(w, topic)
		return
	}
	if err := a.uninstall(topic); err != nil {
		a.cfg.Logger.Error("forgetting what was kept for an app", "topic", topic, "error", err)
		a.refuse(w, http.StatusInternalServerError, "Folder", "What was kept for the app is still in the folder: %v.", err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// postRegister registers an app, and waits for its device token.
func (a *agent) postRegister(w http.ResponseWriter, r *http.Request, topic apns.Topic) {
	types, err := readTypes(w, r)
	if err != nil {
		a.refuse(w, http.StatusBadRequest, "Bad request", `%v. Leave the body out, or send {"types":["alert","sound","badge"]}.`, err)
		return
	}
	outcome, leave := a.await(topic)
	defer leave()
	if err := a.register(App{Topic: topic, Types: types}); err != nil {
		a.refuse(w, http.StatusConflict, "Not registered", "%v.", err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), tokenWithin)
	defer cancel()
	var refused *device.RegistrationError
	select {
	case err = <-outcome:
	case <-ctx.Done():
		a.refuse(w, http.StatusGatewayTimeout, "No device token yet", "%s It is asked for again once there is one: ask again then, or GET /v1/apps/%s.", a.obstacle(), topic)
		return
	}
	switch {
	case errors.As(err, &refused):
		a.refuse(w, http.StatusBadGateway, "No device token", "%v.", err)
	case err != nil:
		a.refuse(w, http.StatusConflict, "Not registered", "%v.", err)
	default:
		a.getApp(w, r, topic)
	}
}

// obstacle says why there may be no device token.
func (a *agent) obstacle() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.reach.connected:
		return "The courier has not answered yet."
	case a.reach.reason != "":
		return fmt.Sprintf("The device has no connection to its courier: %s.", a.reach.reason)
	}
	return "The device has no connection to its courier yet."
}

// readTypes reads the body of a registration.
func readTypes(w http.ResponseWriter, r *http.Request) (device.NotificationTypes, error) {
	var in registerRequest
	if err := readJSON(w, r, &in); err != nil && !errors.Is(err, errNoBody) {
		return 0, err
	}
	if in.Types == nil {
		return device.Alert | device.Sound | device.Badge, nil
	}
	return parseTypes(in.Types)
}

// errNoBody says that a request has no body.
var errNoBody = errors.New("there is no body")

// readJSON reads the body of a request, one JSON object.
func readJSON(w http.ResponseWriter, r *http.Request, in any) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	switch {
	case err != nil:
		return fmt.Errorf("the body cannot be read: %w", err)
	case len(body) == 0:
		return errNoBody
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(in); err != nil {
		return fmt.Errorf("the body is not as it should be: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something comes after the end of the JSON object")
	}
	return nil
}

// answer writes v as JSON, in one line.
func (a *agent) answer(w http.ResponseWriter, v any) {
	a.write(w, http.StatusOK, "application/json", v)
}

// refuse writes a problem (RFC 9457).
func (a *agent) refuse(w http.ResponseWriter, status int, title, detail string, args ...any) {
	a.write(w, status, "application/problem+json", wire.Problem{Title: title, Status: status, Detail: fmt.Sprintf(detail, args...)})
}

func (a *agent) refuseUnregistered(w http.ResponseWriter, topic apns.Topic) {
	a.refuse(w, http.StatusNotFound, "Not registered", "%s is not registered: POST /v1/apps/%s/register first.", topic, topic)
}

func (a *agent) write(w http.ResponseWriter, status int, contentType string, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		a.cfg.Logger.Error("answering", "error", err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // who asked may be gone
}
