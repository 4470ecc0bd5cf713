package provider_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
)

// A message to somebody with more installations than are looked at is refused, and does
// not leave some of them out.
func TestPersonOfTooMany(t *testing.T) {
	play(t, func(w *world) {
		w.key("KEY1111111")
		for n := range audience.MaxOfPerson {
			_, _, err := w.Register(w.t.Context(), shop, audience.InstallationID(fmt.Sprint("i", n)), audience.Registration{
				Person: map[string]string{"external_id": "u42"},
			})
			w.must(err)
		}
		send := func() (outbox.Message, error) {
			sent, err := w.Send(w.t.Context(), shop, provider.Order{
				To:           provider.Recipients{People: []audience.Alias{{Label: "external_id", ID: "u42"}}},
				Notification: apns.Notification{Payload: hello}, ValidateOnly: true,
			})
			return sent.Message, err
		}
		m, err := send()
		w.must(err)
		if m.Counts.Targeted != audience.MaxOfPerson {
			w.t.Errorf("got %d targets, want %d", m.Counts.Targeted, audience.MaxOfPerson)
		}
		_, _, err = w.Register(w.t.Context(), shop, "last", audience.Registration{Person: map[string]string{"external_id": "u42"}})
		w.must(err)
		if _, err := send(); err == nil || !strings.Contains(err.Error(), "/to/people/0") {
			w.t.Errorf("one too many: got %v, want a fault at /to/people/0", err)
		}
	})
}
