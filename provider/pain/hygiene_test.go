package pain

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnstest/scripted"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
)

// Which device tokens are dead is a question with an answer: at the installation, in
// the message's failures, and in what became of it for one installation. They are
// sent nothing any more.
func TestPain10DeadTokens(t *testing.T) {
	play(t, func(s *scene) {
		const n = 50
		s.register(shop, 0, n)
		since := time.Now().Add(time.Minute).UTC()
		for _, i := range []int{7, 31} {
			s.production.ReplyTo(deviceToken(shop, i), scripted.Refuse(apns.Unregistered).Since(since))
		}
		time.Sleep(time.Hour)
		s.running(func() {
			id := s.send(shop, toSome(n))
			if m := s.ended(shop, id); m.Counts.Receipts[outbox.Accepted] != n-2 || m.Counts.Reasons[apns.Unregistered] != 2 {
				s.Errorf("got %+v", m.Counts)
			}
			failures, err := s.server.Failures(s.Context(), shop, id, outbox.FailureAt{}, n)
			var dead []audience.InstallationID
			for _, f := range failures {
				dead = append(dead, f.Installation)
			}
			if want := []audience.InstallationID{installation(7), installation(31)}; err != nil || !cmp.Equal(dead, want) {
				s.Errorf("got %v, %v, want %v", dead, err, want)
			}
			got := s.standing(shop, 7)
			if got.State != audience.Gone || got.Reason != apns.Unregistered || got.JudgedBy != id {
				s.Errorf("got %+v, want it gone", got)
			}
			o, err := s.server.Outcome(s.Context(), shop, id, installation(31))
			if err != nil || o.Receipt != outbox.Rejected || o.Failure == nil || o.Failure.Status != 410 {
				s.Errorf("got %+v, %v", o, err)
			}
			// Nothing more goes to them.
			before := s.production.Counts().Pushes
			if m := s.ended(shop, s.send(shop, toSome(n))); m.Counts.Reasons[outbox.NoDeviceToken] != 2 {
				s.Errorf("got %+v", m.Counts)
			}
			if got := s.production.Counts().Pushes - before; got != n-2 {
				s.Errorf("got %d pushes, want %d", got, n-2)
			}
		})
	})
}

// The answer is each device token's own. One that is bad has no other sent again, and
// none left out, alone or in bulk.
func TestPain13ResultPerToken(t *testing.T) {
	for name, n := range map[string]int{"urgent": 16, "ordinary": 61, "many": 5000} {
		t.Run(name, func(t *testing.T) {
			play(t, func(s *scene) {
				s.register(shop, 0, n)
				bad := n / 2
				s.production.ReplyTo(deviceToken(shop, bad), scripted.Refuse(apns.BadDeviceToken))
				s.running(func() {
					id := s.send(shop, toSome(n))
					m := s.ended(shop, id)
					if m.Counts.Receipts[outbox.Accepted] != n-1 || m.Counts.Receipts[outbox.Rejected] != 1 {
						s.Errorf("got %+v", m.Counts)
					}
					o, err := s.server.Outcome(s.Context(), shop, id, installation(bad))
					if err != nil || o.Failure == nil || o.Failure.Reason != apns.BadDeviceToken {
						s.Errorf("got %+v, %v", o, err)
					}
				})
				if got := s.production.Counts(); got.Pushes != n || got.Doubled != 0 {
					s.Errorf("got %d pushes, want %d", got.Pushes, n)
				}
			})
		})
	}
}

// A phone registers again while the answer to a push of before is on its way: the
// answer is older than the registration, and takes nothing away.
func TestPain17Late410(t *testing.T) {
	play(t, func(s *scene) {
		s.register(shop, 0, 3)
		gone := time.Now().Add(time.Minute)
		s.production.Reply(scripted.Refuse(apns.Unregistered).Since(gone).Delay(5 * time.Second))
		time.Sleep(2 * time.Hour)
		s.register(shop, 0, 1) // before the push
		s.running(func() {
			id := s.send(shop, toSome(3))
			time.Sleep(2 * time.Second)
			s.register(shop, 1, 1) // while it is under way
			if m := s.ended(shop, id); m.Counts.Reasons[apns.Unregistered] != 3 {
				s.Errorf("got %+v", m.Counts)
			}
			for i, want := range []audience.State{audience.Active, audience.Active, audience.Gone} {
				if got := s.standing(shop, i); got.State != want {
					s.Errorf("installation %d: got %+v, want %v", i, got, want)
				}
			}
		})
	})
}

// Thousands of device tokens are called bad at once: the mistake is the sender's, and
// not one of them is given up. The message stops, says why, and goes on when the
// mistake is mended.
func TestPain18WrongEnvironment(t *testing.T) {
	play(t, func(s *scene) {
		const n = 5000
		s.register(shop, 0, n)
		s.production.Reply(scripted.Refuse(apns.BadDeviceToken).Delay(10 * time.Millisecond))
		s.running(func() {
			id := s.send(shop, everybody())
			s.until(shop, id, func(m outbox.Message) bool { return m.State == outbox.StatePaused })
			time.Sleep(30 * time.Second) // all that was under way has its answer
			m := s.message(shop, id)
			if m.Why != outbox.WhyFuse || m.Counts.Receipts[outbox.Pending] == 0 {
				s.Errorf("got %+v, want that it was stopped", m.Status)
			}
			for i := range n {
				if got := s.standing(shop, i); got.State != audience.Active {
					s.Fatalf("installation %d: got %+v, want it as it was", i, got)
				}
			}
			s.production.Reply(scripted.Accept())
			if _, err := s.server.Resume(s.Context(), shop, id); err != nil {
				s.Fatal(err)
			}
			m = s.ended(shop, id)
			if bad := m.Counts.Reasons[apns.BadDeviceToken]; m.State != outbox.StateDone || m.Counts.Receipts[outbox.Accepted] != n-bad || bad > n/10 {
				s.Errorf("got %+v", m.Status)
			} else {
				s.Logf("%d of %d were tried before it stopped", bad, n)
			}
		})
	})
}

// A message that was stopped and that nobody goes on with ends in time.
func TestPain23StoppedEnds(t *testing.T) {
	play(t, func(s *scene) {
		s.register(shop, 0, 2000)
		s.production.Reply(scripted.Refuse(apns.BadDeviceToken))
		s.running(func() {
			o := everybody()
			o.Deadline = time.Now().Add(time.Hour)
			id := s.send(shop, o)
			s.until(shop, id, func(m outbox.Message) bool { return m.State == outbox.StatePaused })
			time.Sleep(time.Hour)
			if m := s.ended(shop, id); m.State != outbox.StateExpired || m.EndedAt.After(o.Deadline.Add(2*time.Minute)) {
				s.Errorf("got %+v, want it expired", m.Status)
			}
		})
	})
}

// A device token belongs to its environment: what the one refuses is never tried in
// the other.
func TestPain18OneEnvironment(t *testing.T) {
	play(t, func(s *scene) {
		s.register(shop, 0, 40)
		s.production.Reply(scripted.Refuse(apns.BadDeviceToken))
		s.running(func() {
			if m := s.ended(shop, s.send(shop, toSome(40))); m.Counts.Receipts[outbox.Rejected] != 40 {
				s.Errorf("got %+v", m.Counts)
			}
			s.accepted(s.ended(shop, s.send(shop, toTokens(apns.Sandbox, "a", "b"))), 2)
		})
		if got := s.production.Counts().Pushes; got != 40 {
			s.Errorf("got %d pushes in production, want 40", got)
		}
		if got := s.sandbox.Counts().Pushes; got != 2 {
			s.Errorf("got %d pushes in the sandbox, want 2", got)
		}
	})
}

// One who cleaned up by mistake has it back: a few device tokens were called bad, too
// few for the fuse.
func TestPain18Undo(t *testing.T) {
	play(t, func(s *scene) {
		const n, bad = 200, 5
		s.register(shop, 0, n)
		for i := range bad {
			s.production.ReplyTo(deviceToken(shop, i), scripted.Refuse(apns.BadDeviceToken), scripted.Accept())
		}
		s.running(func() {
			id := s.send(shop, toSome(n))
			s.ended(shop, id)
			if got := s.standing(shop, 0); got.State != audience.Gone {
				s.Errorf("got %+v, want it gone", got)
			}
			if got, err := s.server.Undo(s.Context(), shop, id); err != nil || got != bad {
				s.Errorf("got %d, %v", got, err)
			}
			s.accepted(s.ended(shop, s.send(shop, toSome(n))), n)
		})
	})
}

// A word means one thing: what the service refused is not accepted, what nobody
// answered to is pending, and that a phone has shown it is never said.
func TestPain19Words(t *testing.T) {
	play(t, func(s *scene) {
		s.register(shop, 0, 4)
		s.production.ReplyTo(deviceToken(shop, 1), scripted.Refuse(apns.BadDeviceToken))
		s.production.ReplyTo(deviceToken(shop, 2), scripted.Refuse(apns.ServiceUnavailable))
		s.register(shop, 4, 1)
		s.running(func() {
			o := toSome(4)
			o.Deadline = time.Now().Add(10 * time.Minute)
			id := s.send(shop, o)
			time.Sleep(time.Minute)
			receipts := func() (all []string) {
				for i := range 5 {
					o, err := s.server.Outcome(s.Context(), shop, id, installation(i))
					if err != nil {
						s.Fatal(err)
					}
					word := o.Receipt.String()
					if !o.Meant {
						word = "not meant"
					}
					all = append(all, word)
				}
				return all
			}
			if got, want := receipts(), []string{"accepted", "rejected", "pending", "accepted", "not meant"}; !cmp.Equal(got, want) {
				s.Errorf("got %v, want %v", got, want)
			}
			s.ended(shop, id)
			if got, want := receipts(), []string{"accepted", "rejected", "expired", "accepted", "not meant"}; !cmp.Equal(got, want) {
				s.Errorf("at the end got %v, want %v", got, want)
			}
		})
	})
}
