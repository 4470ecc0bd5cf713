package pain

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnstest/scripted"
	"github.com/heraldpush/herald/provider"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
)

// everybody is an order to all installations.
func everybody() provider.Order {
	return provider.Order{Notification: hello, To: provider.Recipients{Everybody: true}}
}

// Whom a message is for is fixed when it begins: apps that register and go meanwhile
// have nobody skipped or sent to twice, and it comes to its end.
func TestPain23FrozenAudience(t *testing.T) {
	play(t, func(s *scene) {
		const n, gone = 12000, 300
		s.register(shop, 0, n)
		s.production.Reply(scripted.Accept().Delay(500 * time.Millisecond))
		all := make(map[scripted.Key]bool)
		s.running(func() {
			id := s.send(shop, everybody())
			s.until(shop, id, func(m outbox.Message) bool { return m.Counts.Receipts[outbox.Accepted] > 0 })
			s.register(shop, n, 1000) // they are not meant
			for i := n - gone; i < n; i++ {
				if err := s.server.Forget(s.Context(), shop, installation(i)); err != nil {
					s.Fatal(err)
				}
			}
			m := s.ended(shop, id)
			skipped := m.Counts.Reasons[outbox.NoDeviceToken]
			if m.State != outbox.StateDone || m.Counts.Targeted != n || m.Counts.Receipts[outbox.Accepted] != n-skipped || skipped > gone {
				s.Errorf("got %+v", m.Status)
			}
			s.meant(all, id, n)
			processed := s.production.Processed()
			for k := range processed {
				if !all[k] || processed[k] > 1 {
					s.Fatalf("%v was processed %d times", k, processed[k])
				}
			}
			for i := range n - gone {
				token := deviceToken(shop, i)
				if processed[scripted.Key{DeviceToken: token, ID: outbox.NotificationID(id, apns.Production, token)}] == 0 {
					s.Fatalf("installation %d was skipped", i)
				}
			}
		})
	})
}

// What is for later is sent when its time has come, and not before. A time that has
// passed is refused, not taken for now.
func TestPain24Scheduled(t *testing.T) {
	play(t, func(s *scene) {
		s.register(shop, 0, 30)
		s.running(func() {
			var refused *audience.InvalidError
			past := toSome(30)
			past.StartAt = time.Now().Add(-time.Hour)
			_, err := s.server.Send(s.Context(), shop, past)
			if want := []string{"/deliver/at conflict"}; !errors.As(err, &refused) || !cmp.Equal(faults(err), want) {
				s.Errorf("got %v, want %v", err, want)
			}
			var ids []outbox.MessageID
			at := time.Now().Add(3 * time.Hour)
			for _, o := range []provider.Order{toSome(30), everybody()} {
				o.StartAt = at
				ids = append(ids, s.send(shop, o))
			}
			time.Sleep(time.Until(at) - time.Second)
			if got := s.production.Counts().Pushes; got != 0 {
				s.Errorf("got %d pushes before the time", got)
			}
			s.register(shop, 30, 5) // in time for everybody
			time.Sleep(2 * time.Second)
			for i, want := range []int{30, 35} {
				s.accepted(s.message(shop, ids[i]), want)
			}
		})
	})
}
