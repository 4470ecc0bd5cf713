package provider_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnstest/scripted"
	"github.com/heraldpush/herald/provider"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
)

// A message goes to every device token that it is for, under the apns-id that
// belongs to it, and its receipts say so.
func TestSend(t *testing.T) {
	play(t, func(w *world) {
		w.key("KEY1111111")
		all := w.crowd(3)
		w.run(func() {
			id := w.send(shop, all...)
			w.says(w.ended(shop, id), "3 0 0 0")
			for n := range all {
				key := scripted.Key{DeviceToken: tokenOf(n), ID: outbox.NotificationID(id, apns.Sandbox, tokenOf(n))}
				if got := w.gateway.Processed()[key]; got != 1 {
					t.Errorf("installation %d: got %d pushes, want 1", n, got)
				}
			}
			p := w.gateway.Pushes()[0]
			if p.Value("apns-topic") != string(bundleID) || p.Value("apns-push-type") != "alert" || string(p.Body) != string(hello) {
				t.Errorf("got push %+v", p)
			}
		})
	})
}

// Recipients are found by device token, installation and person.
func TestRecipients(t *testing.T) {
	play(t, func(w *world) {
		w.key("KEY1111111")
		w.crowd(2)
		w.run(func() {
			for _, to := range []provider.Recipients{
				{DeviceTokens: []outbox.Addressee{{Environment: apns.Sandbox, DeviceToken: tokenOf(0)}}},
				{Installations: []audience.InstallationID{"i0"}},
				{People: []audience.Alias{{Label: "external_id", ID: "u-i0"}}},
				{Installations: []audience.InstallationID{"i0", "i0"}},
			} {
				m := w.ended(shop, w.order(shop, provider.Order{To: to, Notification: apns.Notification{Payload: hello}}))
				w.says(m, "1 0 0 0")
			}
		})
		for _, p := range w.gateway.Pushes() {
			if p.DeviceToken != tokenOf(0) {
				t.Errorf("got a push to %q", p.DeviceToken)
			}
		}
		if got := w.gateway.Counts().Pushes; got != 4 {
			t.Errorf("got %d pushes, want 4", got)
		}
	})
}

// A message for a tag or for everybody goes to those who are there when its time
// comes. Who is removed before it is sent has a receipt that says so.
func TestAudience(t *testing.T) {
	play(t, func(w *world) {
		w.key("KEY1111111")
		w.crowd(20)
		_, _, err := w.Register(w.t.Context(), shop, "i3", audience.Registration{
			DeviceTokens: []audience.RegisteredToken{{Environment: "sandbox", Value: tokenOf(3).Hex()}}, Tags: []string{"news"},
		})
		w.must(err)
		order := func(to provider.Recipients, start time.Duration) outbox.MessageID {
			return w.order(shop, provider.Order{To: to, StartAt: time.Now().Add(start), Notification: apns.Notification{Payload: hello}})
		}
		w.run(func() {
			everybody := order(provider.Recipients{Everybody: true}, time.Hour)
			tagged := order(provider.Recipients{Tag: "news"}, 0)
			w.says(w.ended(shop, tagged), "1 0 0 0")
			w.must(w.Forget(w.t.Context(), shop, "i5"))
			w.register(shop, "late", tokenOf(30))
			w.says(w.ended(shop, everybody), "20 0 0 0")
			if got := w.gateway.Counts().Pushes; got != 21 {
				w.t.Errorf("got %d pushes, want 21", got)
			}

			w.gateway.OnPush(func(scripted.Push) scripted.Reply { return scripted.Refuse(apns.ServiceUnavailable) })
			id := order(provider.Recipients{Everybody: true}, 0)
			time.Sleep(time.Minute) // it is frozen, and cannot be sent
			w.must(w.Forget(w.t.Context(), shop, "i6"))
			w.gateway.OnPush(func(scripted.Push) scripted.Reply { return scripted.Accept() })
			m := w.ended(shop, id)
			w.says(m, "19 1 0 0")
			if m.Counts.Reasons[outbox.NoDeviceToken] != 1 {
				w.t.Errorf("got reasons %v", m.Counts.Reasons)
			}
		})
	})
}

// What is wrong with an order is said with its place, and nothing is sent.
func TestSendRefuses(t *testing.T) {
	token := outbox.Addressee{Environment: apns.Sandbox, DeviceToken: tokenOf(0)}
	good := func() provider.Order {
		return provider.Order{To: provider.Recipients{DeviceTokens: []outbox.Addressee{token}}, Notification: apns.Notification{Payload: hello}}
	}
	tests := []struct {
		name   string
		change func(*provider.Order)
		want   string // pointer and code of each fault
	}{
		{"nobody", func(o *provider.Order) { o.To = provider.Recipients{} }, "/to required"},
		{"two kinds of recipients", func(o *provider.Order) { o.To.Tag = "news" }, "/to conflict"},
		{"twice the same", func(o *provider.Order) { o.To.DeviceTokens = append(o.To.DeviceTokens, token) }, "/to/device_tokens/1 duplicate"},
		{"no environment", func(o *provider.Order) { o.To.DeviceTokens[0].Environment = 0 }, "/to/device_tokens/0/environment required"},
		{"long device token", func(o *provider.Order) { o.To.DeviceTokens[0].DeviceToken = apns.DeviceToken(make([]byte, 101)) }, "/to/device_tokens/0/value malformed"},
		{"too many", func(o *provider.Order) {
			o.To = provider.Recipients{Installations: make([]audience.InstallationID, 10_001)}
		}, "/to/installations too_many"},
		{"long tag", func(o *provider.Order) { o.To = provider.Recipients{Tag: strings.Repeat("x", 121)} }, "/to/tag too_long"},
		{"unknown installation", func(o *provider.Order) {
			o.To = provider.Recipients{Installations: []audience.InstallationID{"i0", "i9"}}
		}, "/to/installations/1 unknown"},
		{"another app's installation", func(o *provider.Order) {
			o.To = provider.Recipients{Installations: []audience.InstallationID{"theirs"}}
		}, "/to/installations/0 unknown"},
		{"unknown person", func(o *provider.Order) {
			o.To = provider.Recipients{People: []audience.Alias{{Label: "external_id", ID: "u9"}}}
		}, "/to/people/0 unknown"},
		{"payload", func(o *provider.Order) { o.Notification.Payload = apns.Payload(`[]`) }, "/payload malformed"},
		{"long payload", func(o *provider.Order) {
			o.Notification.Payload = apns.Payload(`{"x":"` + strings.Repeat("x", 4096) + `"}`)
		}, "/payload too_long 8"},
		{"priority", func(o *provider.Order) { o.Notification.Priority = 7 }, "/apns/priority malformed"},
		{"background at once", func(o *provider.Order) {
			o.Notification.PushType, o.Notification.Priority = apns.PushTypeBackground, apns.PriorityImmediate
		}, "/apns/priority conflict"},
		{"push type", func(o *provider.Order) { o.Notification.PushType = "carrier-pigeon" }, "/apns/push_type unknown"},
		{"another app's topic", func(o *provider.Order) { o.Notification.Topic = "com.example.other" }, "/apns/topic conflict"},
		{"another push type's topic", func(o *provider.Order) {
			o.Notification.Topic, o.Notification.PushType = bundleID+".voip", apns.PushTypeAlert
		}, "/apns/topic conflict"},
		{"collapse identifier", func(o *provider.Order) { o.Notification.CollapseID = apns.CollapseID(strings.Repeat("x", 65)) }, "/apns/collapse_id malformed"},
		{"ID", func(o *provider.Order) { o.Notification.ID = "one" }, "/apns/id malformed"},
		{"ID for several", func(o *provider.Order) {
			o.To.DeviceTokens = append(o.To.DeviceTokens, outbox.Addressee{Environment: apns.Sandbox, DeviceToken: tokenOf(1)})
			o.Notification.ID = apns.NotificationID(apns.NewUUID())
		}, "/apns/id conflict"},
		{"no kind", func(o *provider.Order) {
			o.To, o.Notification.PushType = provider.Recipients{Everybody: true}, apns.PushTypeLiveActivity
		}, "/kind required"},
		{"another kind", func(o *provider.Order) { o.Kind = audience.KindVoIP }, "/kind conflict"},
		{"past", func(o *provider.Order) { o.StartAt = time.Now().Add(-time.Hour) }, "/deliver/at conflict"},
		{"in years", func(o *provider.Order) { o.StartAt = time.Now().AddDate(2, 0, 0) }, "/deliver/at too_long"},
		{"over before it begins", func(o *provider.Order) { o.Deadline = time.Now().Add(-time.Second) }, "/deliver/by conflict"},
		{"several", func(o *provider.Order) {
			o.Notification.Priority = 7
			o.Deadline = time.Now().AddDate(1, 0, 0)
		}, "/apns/priority malformed, /deliver/by too_long"},
	}
	play(t, func(w *world) {
		w.key("KEY1111111")
		w.app("other", "com.example.other")
		w.register("other", "theirs", tokenOf(7))
		w.crowd(1)
		for _, tt := range tests {
			o := good()
			tt.change(&o)
			_, err := w.Send(w.t.Context(), shop, o)
			var got []string
			if invalid, ok := errors.AsType[*audience.InvalidError](err); ok {
				for _, f := range invalid.Faults {
					got = append(got, strings.TrimSuffix(fmt.Sprintf("%s %s %d", f.Pointer, f.Code, f.OverBy), " 0"))
				}
			}
			if d := cmp.Diff(tt.want, strings.Join(got, ", ")); d != "" {
				t.Errorf("%s: %v (-want +got):\n%s", tt.name, err, d)
			}
		}
		if _, err := w.Send(w.t.Context(), "nothere", good()); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("got %v, want account.ErrNotFound", err)
		}
		ready, _, err := w.outbox.Ready(w.t.Context(), time.Now())
		if err != nil || len(ready) > 0 {
			t.Errorf("got queues %v, %v, want none", ready, err)
		}
	})
}

// A message for which there is no credential is not taken.
func TestNoCredential(t *testing.T) {
	play(t, func(w *world) {
		all := w.crowd(1)
		order := provider.Order{To: provider.Recipients{Installations: all}, Notification: apns.Notification{Payload: hello}}
		refused := func() {
			t.Helper()
			if _, err := w.Send(w.t.Context(), shop, order); !errors.Is(err, provider.ErrNoCredential) {
				t.Errorf("got %v, want ErrNoCredential", err)
			}
		}
		refused()
		w.upload(shop, account.Upload{File: w.p8(), TeamID: team, KeyID: "KEY1111111", Environments: []string{"production"}})
		order.Environment = apns.Sandbox
		refused()
		order.Environment = apns.Production
		if _, err := w.Send(w.t.Context(), shop, order); err != nil {
			t.Error(err)
		}
	})
}

// Validation finds the same, and sends nothing.
func TestValidateOnly(t *testing.T) {
	play(t, func(w *world) {
		w.key("KEY1111111")
		all := w.crowd(2)
		o := provider.Order{To: provider.Recipients{Installations: all}, Notification: apns.Notification{Payload: hello}, ValidateOnly: true}
		sent, err := w.Send(w.t.Context(), shop, o)
		w.must(err)
		if sent.Message.Counts.Targeted != 2 || sent.Message.Lane != outbox.Urgent {
			t.Errorf("got %+v", sent.Message)
		}
		if _, err := w.Message(w.t.Context(), shop, sent.Message.ID); !errors.Is(err, outbox.ErrNotFound) {
			t.Errorf("got %v, want outbox.ErrNotFound", err)
		}
		o.To.Installations = append(o.To.Installations, "i9")
		if _, err := w.Send(w.t.Context(), shop, o); err == nil {
			t.Error("got no error for an installation that is unknown")
		}
	})
}

// An order that comes twice is carried out once.
func TestOnce(t *testing.T) {
	play(t, func(w *world) {
		w.key("KEY1111111")
		o := provider.Order{
			To: provider.Recipients{Installations: w.crowd(1)}, Notification: apns.Notification{Payload: hello},
			Once: outbox.Once{Key: [16]byte{1}, Fingerprint: [16]byte{2}, Until: time.Now().Add(24 * time.Hour)},
		}
		w.run(func() {
			first := w.order(shop, o)
			w.ended(shop, first)
			again, err := w.Send(w.t.Context(), shop, o)
			w.must(err)
			if !again.Repeated || again.Message.ID != first {
				t.Errorf("got %+v, want the message %v again", again, first)
			}
			o.Once.Fingerprint[0]++
			if _, err := w.Send(w.t.Context(), shop, o); !errors.Is(err, outbox.ErrOtherRequest) {
				t.Errorf("got %v, want ErrOtherRequest", err)
			}
		})
		if got := w.gateway.Counts().Pushes; got != 1 {
			t.Errorf("got %d pushes, want 1", got)
		}
	})
}

// The other apps' messages are not to be seen.
func TestOtherApp(t *testing.T) {
	play(t, func(w *world) {
		w.key("KEY1111111")
		w.app("other", "com.example.other")
		id := w.send(shop, w.crowd(1)...)
		_, err := w.Message(w.t.Context(), "other", id)
		_, errPause := w.Pause(w.t.Context(), "other", id)
		_, errFailures := w.Failures(w.t.Context(), "other", id, outbox.FailureAt{}, 10)
		_, errOutcome := w.Outcome(w.t.Context(), "other", id, "i0")
		_, errUndo := w.Undo(w.t.Context(), "other", id)
		for _, err := range []error{err, errPause, errFailures, errOutcome, errUndo} {
			if !errors.Is(err, outbox.ErrNotFound) {
				t.Errorf("got %v, want outbox.ErrNotFound", err)
			}
		}
	})
}

// A message that is paused goes on when it is resumed, and one that is cancelled
// does not.
func TestPause(t *testing.T) {
	play(t, func(w *world) {
		w.key("KEY1111111")
		all := w.crowd(2)
		paused, cancelled := w.send(shop, all[0]), w.send(shop, all[1])
		_, err := w.Pause(w.t.Context(), shop, paused)
		w.must(err)
		_, err = w.Cancel(w.t.Context(), shop, cancelled)
		w.must(err)
		w.run(func() {
			time.Sleep(time.Hour)
			if got := w.gateway.Counts().Pushes; got != 0 {
				t.Errorf("got %d pushes, want none", got)
			}
			_, err = w.Resume(w.t.Context(), shop, paused)
			w.must(err)
			w.says(w.ended(shop, paused), "1 0 0 0")
			w.says(w.ended(shop, cancelled), "0 0 0 1")
			if _, err = w.Resume(w.t.Context(), shop, cancelled); !errors.Is(err, outbox.ErrState) {
				t.Errorf("got %v, want ErrState", err)
			}
		})
	})
}

// Failures name the installation or the device token, and what became of one
// installation is told.
func TestOutcome(t *testing.T) {
	play(t, func(w *world) {
		w.key("KEY1111111")
		w.crowd(4)
		w.gateway.ReplyTo(tokenOf(1), scripted.Refuse(apns.Unregistered).Since(time.Now().Add(time.Hour)))
		w.run(func() {
			id := w.send(shop, "i0", "i1", "i2")
			w.says(w.ended(shop, id), "2 1 0 0")
			failures, err := w.Failures(w.t.Context(), shop, id, outbox.FailureAt{}, 10)
			w.must(err)
			if len(failures) != 1 || failures[0].Installation != "i1" || failures[0].Reason != apns.Unregistered || failures[0].Status != 410 {
				t.Errorf("got failures %+v", failures)
			}
			for _, tt := range []struct {
				id      audience.InstallationID
				meant   bool
				receipt outbox.Receipt
				reason  apns.Reason
			}{{"i0", true, outbox.Accepted, ""}, {"i1", true, outbox.Rejected, apns.Unregistered}, {"i3", false, outbox.Pending, ""}} {
				o, err := w.Outcome(w.t.Context(), shop, id, tt.id)
				w.must(err)
				var reason apns.Reason
				if o.Failure != nil {
					reason = o.Failure.Reason
				}
				if o.Meant != tt.meant || o.Receipt != tt.receipt || reason != tt.reason {
					t.Errorf("%s: got meant %v, %v, %q", tt.id, o.Meant, o.Receipt, reason)
				}
			}
			listed := w.order(shop, provider.Order{
				To:           provider.Recipients{DeviceTokens: []outbox.Addressee{{Environment: apns.Sandbox, DeviceToken: tokenOf(1)}}},
				Notification: apns.Notification{Payload: hello},
			})
			w.says(w.ended(shop, listed), "0 1 0 0")
			failures, err = w.Failures(w.t.Context(), shop, listed, outbox.FailureAt{}, 10)
			w.must(err)
			if len(failures) != 1 || failures[0].Target.DeviceToken != tokenOf(1) {
				t.Errorf("got failures %+v", failures)
			}
		})
	})
}
