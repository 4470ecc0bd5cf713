package provider_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnstest/scripted"
	"github.com/heraldpush/herald/provider"
	"github.com/heraldpush/herald/provider/event"
	"github.com/heraldpush/herald/provider/outbox"
)

// sendings lists what was told of sending that stands still, with the minutes since
// then, and holds that it is of shop and m.
func (w *world) sendings(m outbox.MessageID) string {
	w.t.Helper()
	var all []string
	for _, e := range w.told(event.SendingStalled, event.SendingRecovered) {
		var s event.Sending
		w.must(json.Unmarshal(e.Body, &s))
		if e.App != shop || e.Subject != m.String() {
			w.t.Errorf("got %+v, want it of %s and %v", e, shop, m)
		}
		all = append(all, strings.TrimSpace(fmt.Sprint(strings.TrimPrefix(string(e.Kind), "sending."), " ", s.Lane, " ", s.Seconds/60, " ", s.Why, " ", s.Reason)))
	}
	return strings.Join(all, ", ")
}

// What was taken and cannot be sent is told after five minutes, once, and once more
// when it goes on: nobody finds out by users who complain.
func TestPain03Stalled(t *testing.T) {
	for name, tt := range map[string]struct {
		begin func(w *world)
		lose  func(w *world) // once the message is taken; or nil
		mend  func(w *world)
		want  string
	}{
		"the credential is refused": {
			begin: func(w *world) {
				w.key("BAD1111111")
				w.gateway.Reply(scripted.Refuse(apns.InvalidProviderToken))
			},
			mend: func(w *world) {
				w.gateway.Reply(scripted.Accept())
				w.key("GOOD111111")
			},
			want: "stalled urgent 5 credential_refused InvalidProviderToken",
		},
		"there is none": {
			begin: func(w *world) { w.key("OLD1111111") },
			lose: func(w *world) {
				w.must(w.book.DeleteCredential(w.t.Context(), shop, w.book.Credentials(shop)[0].ID, true))
			},
			mend: func(w *world) { w.key("GOOD111111") },
			want: "stalled urgent 5 no_credential",
		},
		"the push service is out of order": {
			begin: func(w *world) {
				w.key("GOOD111111")
				w.gateway.Reply(scripted.Refuse(apns.ServiceUnavailable))
			},
			mend: func(w *world) { w.gateway.Reply(scripted.Accept()) },
			want: "stalled urgent 5",
		},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(w *world) {
				all := w.crowd(3)
				tt.begin(w)
				id := w.send(shop, all...)
				if tt.lose != nil {
					tt.lose(w)
				}
				w.run(func() {
					time.Sleep(5*time.Minute - time.Second)
					if got := w.sendings(id); got != "" {
						t.Errorf("got %q before it was time", got)
					}
					time.Sleep(time.Minute)
					if got := w.sendings(id); got != tt.want {
						t.Errorf("got %q, want %q", got, tt.want)
					}
					time.Sleep(time.Hour)
					tt.mend(w)
					w.says(w.ended(shop, id), "3 0 0 0")
					time.Sleep(time.Hour)
					got, recovered, _ := strings.Cut(w.sendings(id), ", ")
					if got != tt.want || !strings.HasPrefix(recovered, "recovered urgent ") || strings.Contains(recovered, ",") {
						t.Errorf("got %q and %q, want %q and recovered, once each", got, recovered, tt.want)
					}
				})
			})
		})
	}
}

// What waits as it was asked to does not stand still, nor does what goes on slowly.
func TestNotStalled(t *testing.T) {
	play(t, func(w *world) {
		w.key("KEY1111111")
		all := w.crowd(3)
		w.run(func() {
			later := provider.Order{
				To: provider.Recipients{Installations: all}, Notification: apns.Notification{Payload: hello}, StartAt: time.Now().Add(2 * time.Hour),
			}
			scheduled := w.order(shop, later)
			paused := w.order(shop, later)
			_, err := w.Pause(w.t.Context(), shop, paused)
			w.must(err)
			w.gateway.ReplyTo(tokenOf(1), scripted.Refuse(apns.TooManyRequests).RetryAfter(50*time.Minute))
			asked := w.send(shop, all...)
			time.Sleep(20 * time.Minute)
			w.gateway.ReplyTo(tokenOf(1), scripted.Accept())
			w.says(w.ended(shop, asked), "3 0 0 0")
			w.says(w.ended(shop, scheduled), "3 0 0 0")
			time.Sleep(3 * time.Hour)
			_, err = w.Resume(w.t.Context(), shop, paused)
			w.must(err)
			w.says(w.ended(shop, paused), "3 0 0 0")
			time.Sleep(time.Hour)
		})
		if got := w.told(event.SendingStalled, event.SendingRecovered); len(got) != 0 {
			t.Errorf("got %+v, want none", got)
		}
	})
}

// A message that ends without an answer leaves the next to wait; when nothing waits any
// more, that is told.
func TestStalledUntilCancelled(t *testing.T) {
	play(t, func(w *world) {
		all := w.crowd(1)
		w.key("BAD1111111")
		w.gateway.Reply(scripted.Refuse(apns.InvalidProviderToken))
		w.run(func() {
			var ids []outbox.MessageID
			for range 2 {
				ids = append(ids, w.send(shop, all...))
				time.Sleep(time.Second)
			}
			for _, id := range ids {
				time.Sleep(time.Hour)
				_, err := w.Cancel(w.t.Context(), shop, id)
				w.must(err)
			}
			time.Sleep(time.Hour)
		})
		if got, want := w.tale(event.SendingStalled, event.SendingRecovered), "sending.stalled sending.recovered"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
