package event_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/event"
)

const hookURL = "https://hooks.example.com/herald?secret-path"

func TestCreateRefuses(t *testing.T) {
	s := newStation(t)
	for name, tt := range map[string]struct {
		spec event.WebhookSpec
		want string
	}{
		"no URL":           {event.WebhookSpec{}, "/url required"},
		"no scheme":        {event.WebhookSpec{URL: "hooks.example.com/herald"}, "/url malformed"},
		"another scheme":   {event.WebhookSpec{URL: "ftp://hooks.example.com"}, "/url malformed"},
		"no host":          {event.WebhookSpec{URL: "https:///herald"}, "/url malformed"},
		"opaque":           {event.WebhookSpec{URL: "https:hooks.example.com"}, "/url malformed"},
		"port 0":           {event.WebhookSpec{URL: "https://hooks.example.com:0/"}, "/url malformed"},
		"control":          {event.WebhookSpec{URL: "https://hooks.example.com/\n"}, "/url malformed"},
		"credentials":      {event.WebhookSpec{URL: "https://me:pw@hooks.example.com/"}, "/url malformed"},
		"a fragment":       {event.WebhookSpec{URL: hookURL + "#x"}, "/url malformed"},
		"long":             {event.WebhookSpec{URL: hookURL + strings.Repeat("x", 2000)}, "/url too_long"},
		"plain":            {event.WebhookSpec{URL: "http://hooks.example.com/"}, "/url malformed"},
		"plain, the cloud": {event.WebhookSpec{URL: "http://169.254.169.254/latest"}, "/url malformed"},
		"nearly loopback":  {event.WebhookSpec{URL: "http://localhost.example.com/"}, "/url malformed"},
		"a kind":           {event.WebhookSpec{URL: hookURL, Kinds: []event.Kind{event.MessageDone, "message.*", event.WebhookTest}}, "/kinds/1 unknown, /kinds/2 unknown"},
		"many kinds":       {event.WebhookSpec{URL: hookURL, Kinds: make([]event.Kind, 1000)}, "/kinds too_many"},
		"an app":           {event.WebhookSpec{URL: hookURL, Apps: []account.AppID{"shop", "other"}}, "/apps/1 unknown"},
		"many apps":        {event.WebhookSpec{URL: hookURL, Apps: make([]account.AppID, 1000)}, "/apps too_many"},
		"a long name":      {event.WebhookSpec{URL: hookURL, Name: strings.Repeat("x", 101)}, "/name too_long"},
		"a name":           {event.WebhookSpec{URL: hookURL, Name: "a\nb"}, "/name malformed"},
	} {
		_, _, err := s.roll.Create(t.Context(), tt.spec)
		if got := faults(err); got != tt.want || strings.Contains(err.Error(), "pw") {
			t.Errorf("%s: got %v (%v), want %v", name, got, err, tt.want)
		}
	}
	if all := s.roll.List("", 10); len(all) != 0 {
		t.Errorf("got %v, want no webhook", all)
	}
	for _, url := range []string{hookURL, "http://localhost:8080/x", "http://127.0.0.1/", "http://[::1]:99", "https://10.0.0.7:8443/"} {
		if _, _, err := s.roll.Create(t.Context(), event.WebhookSpec{URL: url}); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestPlainWhereItIsAllowed(t *testing.T) {
	s := newStation(t)
	r, err := event.OpenRoll(t.Context(), event.RollConfig{Book: s.book, Log: s.log, Plain: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Create(t.Context(), event.WebhookSpec{URL: "http://hooks.internal/"}); err != nil {
		t.Error(err)
	}
}

func TestMaxWebhooks(t *testing.T) {
	s := newStation(t)
	for range event.MaxWebhooks {
		s.create(t, event.WebhookSpec{URL: hookURL})
	}
	if _, _, err := s.roll.Create(t.Context(), event.WebhookSpec{URL: hookURL}); faults(err) != " too_many" {
		t.Errorf("got %v, want too many", err)
	}
}

// A webhook is as it was when it is opened again; its secret is seen once.
func TestRoll(t *testing.T) {
	s := newStation(t)
	add(t, s.log, restored(t, "shop", 1), restored(t, "shop", 2))
	spec := event.WebhookSpec{
		URL: hookURL, Name: "warehouse", Kinds: []event.Kind{event.MessageDone, event.DeviceTokenGone, event.MessageDone}, Apps: []account.AppID{"shop", "shop"},
	}
	w, secret := s.create(t, spec)
	spec.Kinds, spec.Apps = []event.Kind{event.DeviceTokenGone, event.MessageDone}, []account.AppID{"shop"}
	want := event.Webhook{ID: w.ID, WebhookSpec: spec, CreatedAt: w.CreatedAt, Progress: event.Progress{State: event.Active, Cursor: 2}}
	if d := cmp.Diff(want, w); d != "" || !strings.HasPrefix(string(w.ID), "wh_") || w.CreatedAt.IsZero() {
		t.Errorf("%s (-want +got):\n%s", w.ID, d)
	}
	if _, err := event.ParseSecret(secret.Reveal()); err != nil {
		t.Error(err)
	}
	other, otherSecret := s.create(t, event.WebhookSpec{URL: hookURL})
	if other.ID == w.ID || otherSecret.Reveal() == secret.Reveal() {
		t.Error("two webhooks are the same")
	}
	s.open(t)
	if d := cmp.Diff(want, s.webhook(t, w.ID)); d != "" {
		t.Errorf("opened again (-want +got):\n%s", d)
	}
	all := s.roll.List("", 10)
	if len(all) != 2 || len(s.roll.List("", 1)) != 1 || len(s.roll.List(all[0].ID, 10)) != 1 || len(s.roll.List(all[1].ID, 10)) != 0 {
		t.Errorf("got %v, want two, in pages", all)
	}
	_, rotated, err := s.roll.Rotate(t.Context(), w.ID)
	if err != nil || rotated.Reveal() == secret.Reveal() {
		t.Errorf("rotated: got %v, want another secret", err)
	}
	if err := s.roll.Delete(t.Context(), other.ID); err != nil {
		t.Error(err)
	}
	s.open(t)
	if all := s.roll.List("", 10); len(all) != 1 || all[0].ID != w.ID {
		t.Errorf("got %v, want the one that was not deleted", all)
	}
	if got, want := s.audit(t), []string{"app.create", "webhook.create", "webhook.create", "webhook.rotate", "webhook.delete"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	s.wantNowhere(t, secret.Reveal()[6:], otherSecret.Reveal()[6:], rotated.Reveal()[6:])
}

// wantNowhere proves that none of the secrets is in the store, in what is returned, in
// the audit log or in what was logged; nor is the path of a URL in those two.
func (s *station) wantNowhere(t *testing.T, secrets ...string) {
	t.Helper()
	var stored, shown strings.Builder
	err := s.accounts.View(t.Context(), func(tx account.Tx) error {
		for _, kind := range []account.Kind{"webhook", "webhook_secret", "webhook_progress"} {
			err := tx.Each(kind, "", func(_ string, body []byte) error { stored.Write(body); return nil })
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	text, err := json.Marshal(s.roll.List("", 100))
	if err != nil {
		t.Error(err)
	}
	log, err := s.book.Audit(t.Context(), 0, 1000)
	if err != nil {
		t.Error(err)
	}
	fmt.Fprintf(&shown, "%v %s", log, s.text())
	if strings.Contains(shown.String(), "secret-path") {
		t.Errorf("the URL is in %s", shown.String())
	}
	for _, secret := range secrets {
		for where, text := range map[string]string{"store": stored.String(), "list": string(text), "audit log and log": shown.String()} {
			if strings.Contains(text, secret) {
				t.Errorf("a secret is in the %s: %s", where, text)
			}
		}
	}
}

func TestWebhookThatIsNot(t *testing.T) {
	s := newStation(t)
	c, err := event.NewCaller(event.CallerConfig{Roll: s.roll, Log: s.log})
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func(context.Context, event.WebhookID) error{
		"Webhook": func(_ context.Context, id event.WebhookID) error { _, err := s.roll.Webhook(id); return err },
		"Delete":  s.roll.Delete,
		"Rotate":  func(ctx context.Context, id event.WebhookID) error { _, _, err := s.roll.Rotate(ctx, id); return err },
		"Pause":   func(ctx context.Context, id event.WebhookID) error { _, err := s.roll.Pause(ctx, id); return err },
		"Resume":  func(ctx context.Context, id event.WebhookID) error { _, err := s.roll.Resume(ctx, id); return err },
		"Replay":  func(ctx context.Context, id event.WebhookID) error { _, err := s.roll.Replay(ctx, id, 0); return err },
		"Try":     func(ctx context.Context, id event.WebhookID) error { _, err := c.Try(ctx, id); return err },
	} {
		if err := f(t.Context(), "wh_nobody"); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("%s: got %v, want %v", name, err, account.ErrNotFound)
		}
	}
}

func TestReplayOfWhatIsToCome(t *testing.T) {
	s := newStation(t)
	w, _ := s.create(t, event.WebhookSpec{URL: hookURL})
	if _, err := s.roll.Replay(t.Context(), w.ID, 1); faults(err) != "/after malformed" {
		t.Errorf("got %v, want a fault at /after", err)
	}
}
