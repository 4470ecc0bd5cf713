package provider_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider"
	"github.com/heraldpush/herald/provider/outbox"
)

// A message that has ended leaves the outbox, and all that can be asked about it is
// answered as before.
func TestHistory(t *testing.T) {
	play(t, func(w *world) {
		w.key("KEY1111111")
		all := w.crowd(2)
		w.app("other", "com.example.other")
		w.run(func() {
			order := provider.Order{
				To: provider.Recipients{Installations: all}, Notification: apns.Notification{Payload: hello},
				Once: outbox.Once{Key: [16]byte{1}, Fingerprint: [16]byte{2}, Until: time.Now().Add(time.Hour)},
			}
			done := w.order(shop, order)
			m := w.ended(shop, done)
			time.Sleep(time.Second)
			later := w.order(shop, provider.Order{
				To: provider.Recipients{Installations: all}, Notification: apns.Notification{Payload: hello}, StartAt: time.Now().Add(time.Hour),
			})
			time.Sleep(time.Second)
			synctest.Wait()
			if _, err := w.outbox.Message(w.t.Context(), done); !errors.Is(err, outbox.ErrNotFound) {
				t.Fatalf("in the outbox: got %v, want ErrNotFound", err)
			}

			got, err := w.Message(w.t.Context(), shop, done)
			if d := cmp.Diff(m, got, cmp.AllowUnexported(apns.Expiration{})); err != nil || d != "" {
				t.Errorf("message: %v (-want +got)\n%s", err, d)
			}
			if _, err := w.Message(w.t.Context(), "other", done); !errors.Is(err, outbox.ErrNotFound) {
				t.Errorf("of another app: got %v, want ErrNotFound", err)
			}
			o, err := w.Outcome(w.t.Context(), shop, done, all[1])
			if err != nil || !o.Meant || o.Receipt != outbox.Accepted {
				t.Errorf("outcome: got %+v, %v", o, err)
			}
			if failures, err := w.Failures(w.t.Context(), shop, done, outbox.FailureAt{}, 9); err != nil || len(failures) != 0 {
				t.Errorf("failures: got %v, %v", failures, err)
			}
			if _, err := w.Cancel(w.t.Context(), shop, done); !errors.Is(err, outbox.ErrState) {
				t.Errorf("cancelled: got %v, want ErrState", err)
			}
			if sent, err := w.Send(w.t.Context(), shop, order); err != nil || !sent.Repeated || sent.Message.State != outbox.StateDone {
				t.Errorf("sent again: got %+v, %v", sent, err)
			}

			for _, limit := range []int{1, 9} {
				var ids []outbox.MessageID
				for before := (outbox.MessageID{}); ; {
					page, err := w.Messages(w.t.Context(), shop, before, limit)
					w.must(err)
					if len(page) == 0 {
						break
					}
					for _, m := range page {
						ids = append(ids, m.ID)
					}
					before = ids[len(ids)-1]
				}
				if d := cmp.Diff([]outbox.MessageID{later, done}, ids); d != "" {
					t.Errorf("messages by %d (-want +got):\n%s", limit, d)
				}
			}
			if page, err := w.Messages(w.t.Context(), "other", outbox.MessageID{}, 9); err != nil || len(page) != 0 {
				t.Errorf("messages of another app: got %v, %v", page, err)
			}
		})
	})
}
