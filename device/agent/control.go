package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/device"
)

// Permission is what the user lets an app do, in the words of
// device.Permission.
type Permission struct {
	// Status is authorized, denied or not determined.
	Status string `json:"status"`
	// Types are alert, sound and badge, as far as they may be shown.
	Types           []string `json:"types"`
	Critical        bool     `json:"critical"`
	NoTimeSensitive bool     `json:"no_time_sensitive"`
	NoBackground    bool     `json:"no_background"`
}

// DoNotDisturb is the user's wish to be left alone.
type DoNotDisturb struct {
	On bool `json:"on"`
	// Until is when it ends by itself; nil if it does not.
	Until *time.Time `json:"until,omitempty"`
}

// Control is a device to look at and to change: through the agent that runs, or
// in the folder while none does. Its errors are a *Problem, or say what went
// wrong on the way.
type Control interface {
	Status(context.Context) (Status, error)
	SetPermission(context.Context, apns.Topic, Permission) error
	SetDoNotDisturb(context.Context, DoNotDisturb) error
	// Uninstall removes an app: its device token ends, for good.
	Uninstall(context.Context, apns.Topic) error
	// Restore makes new device tokens for all apps.
	Restore(context.Context) error
	// Close ends the use of the folder.
	Close() error
}

// Open returns the device of a folder. The error wraps fs.ErrNotExist if there
// is none, device.ErrNotActivated if it has no certificate yet, or ErrInUse if
// an agent is just starting or ending.
func Open(ctx context.Context, dir string) (Control, error) {
	r, err := Connect(ctx, dir)
	if !errors.Is(err, ErrNoAgent) {
		if err != nil {
			return nil, err
		}
		return r, nil
	}
	f, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// folder is a device that no agent runs.
type folder struct {
	*agent
	held *os.File
}

func openFolder(dir string) (_ *folder, err error) {
	held, err := lock(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, held.Close())
		}
	}()
	settings, err := ReadSettings(dir)
	if err != nil {
		return nil, err
	}
	cfg, err := Config{Dir: dir, Settings: settings}.withDefaults()
	if err != nil {
		return nil, err
	}
	a, err := open(cfg)
	if err != nil {
		return nil, err
	}
	return &folder{a, held}, nil
}

// Status implements Control.
func (f *folder) Status(context.Context) (Status, error) { return f.status(), nil }

// SetPermission implements Control.
func (f *folder) SetPermission(_ context.Context, topic apns.Topic, p Permission) error {
	return errors.Join(f.permit(topic, p), f.device.Save())
}

// SetDoNotDisturb implements Control.
func (f *folder) SetDoNotDisturb(_ context.Context, q DoNotDisturb) error {
	f.quiet(q)
	return f.device.Save()
}

// Uninstall implements Control.
func (f *folder) Uninstall(_ context.Context, topic apns.Topic) error {
	if _, ok := f.registration(topic); !ok {
		return fmt.Errorf("%s is not registered", topic)
	}
	return errors.Join(f.uninstall(topic), f.device.Save())
}

// Restore implements Control.
func (f *folder) Restore(context.Context) error {
	f.device.Restore()
	return f.device.Save()
}

// Close implements Control.
func (f *folder) Close() error { return errors.Join(f.inbox.journal.close(), f.held.Close()) }

// Reset ends the device of a folder, at the service and here: device tokens,
// certificate, apps and all that is kept for them. The settings stay, for the
// next device. The error wraps ErrInUse if an agent runs.
func Reset(ctx context.Context, dir string) (err error) {
	if _, err := ReadSettings(dir); err != nil {
		return err
	}
	f, err := openFolder(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.device.Erase(ctx); err != nil {
		return err
	}
	return errors.Join(f.inbox.journal.close(), os.Remove(filepath.Join(dir, journalFile)))
}

// permit records what the user decided.
func (a *agent) permit(topic apns.Topic, p Permission) error {
	status, err := device.ParseAuthorizationStatus(p.Status)
	if err != nil {
		return err
	}
	types, err := parseTypes(p.Types)
	if err != nil {
		return err
	}
	return a.device.SetPermission(topic, device.Permission{
		Status: status, Types: types, Critical: p.Critical, NoTimeSensitive: p.NoTimeSensitive, NoBackground: p.NoBackground,
	})
}

func (a *agent) permission(topic apns.Topic) Permission {
	p := a.device.Permission(topic)
	return Permission{
		Status: p.Status.String(), Types: typeNames(p.Types),
		Critical: p.Critical, NoTimeSensitive: p.NoTimeSensitive, NoBackground: p.NoBackground,
	}
}

// quiet records whether the user wants to be left alone.
func (a *agent) quiet(q DoNotDisturb) {
	var until time.Time
	if q.Until != nil {
		until = *q.Until
	}
	a.device.SetDoNotDisturb(q.On, until)
}

func (a *agent) doNotDisturb() DoNotDisturb {
	on, until := a.device.DoNotDisturb()
	q := DoNotDisturb{On: on}
	if !until.IsZero() {
		q.Until = new(until.UTC())
	}
	return q
}

// typeNames returns the names of types, as JSON has them.
func typeNames(t device.NotificationTypes) []string {
	if t == 0 {
		return []string{}
	}
	return strings.Split(t.String(), ", ")
}

// parseTypes reads what typeNames writes.
func parseTypes(names []string) (device.NotificationTypes, error) {
	if len(names) == 0 {
		return 0, nil
	}
	return device.ParseNotificationTypes(strings.Join(names, ","))
}

// putPermission answers on the socket.
func (a *agent) putPermission(w http.ResponseWriter, r *http.Request, topic apns.Topic) {
	var p Permission
	if err := readJSON(w, r, &p); err != nil {
		a.refuse(w, http.StatusBadRequest, "Bad request", `%v. Send {"status":"authorized","types":["alert","sound","badge"]} or {"status":"denied"}.`, err)
		return
	}
	if err := a.permit(topic, p); err != nil {
		a.refuse(w, http.StatusBadRequest, "Bad request", "%v.", err)
		return
	}
	a.answer(w, a.permission(topic))
}

// putDoNotDisturb answers on the socket.
func (a *agent) putDoNotDisturb(w http.ResponseWriter, r *http.Request) {
	var q DoNotDisturb
	if err := readJSON(w, r, &q); err != nil {
		a.refuse(w, http.StatusBadRequest, "Bad request", `%v. Send {"on":true}, {"on":true,"until":"2030-01-02T03:04:05Z"} or {"on":false}.`, err)
		return
	}
	a.quiet(q)
	a.answer(w, a.doNotDisturb())
}

// postRestore answers on the socket.
func (a *agent) postRestore(w http.ResponseWriter, _ *http.Request) {
	a.device.Restore()
	w.WriteHeader(http.StatusNoContent)
}

// SetPermission implements Control.
func (r *Remote) SetPermission(ctx context.Context, topic apns.Topic, p Permission) error {
	return r.call(ctx, http.MethodPut, "/v1/apps/"+url.PathEscape(string(topic))+"/permission", p, nil)
}

// SetDoNotDisturb implements Control.
func (r *Remote) SetDoNotDisturb(ctx context.Context, q DoNotDisturb) error {
	return r.call(ctx, http.MethodPut, "/v1/do-not-disturb", q, nil)
}

// Uninstall implements Control.
func (r *Remote) Uninstall(ctx context.Context, topic apns.Topic) error {
	return r.call(ctx, http.MethodDelete, "/v1/apps/"+url.PathEscape(string(topic)), nil, nil)
}

// Restore implements Control.
func (r *Remote) Restore(ctx context.Context) error {
	return r.call(ctx, http.MethodPost, "/v1/restore", nil, nil)
}

// Close implements Control.
func (*Remote) Close() error { return nil }

// body returns a request's.
func body(in any) ([]byte, error) {
	if in == nil {
		return nil, nil
	}
	return json.Marshal(in)
}
