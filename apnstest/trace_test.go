package apnstest_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/trace"
)

// lettered returns a notification whose apns-id ends in a letter of a to f.
func lettered(letter string) apns.Notification {
	n := alert(letter)
	n.ID = apns.NotificationID("eabeae54-14a8-41e5-b60b-1697f925ec7" + letter)
	return n
}

// wantStory checks the hops of a notification; a star follows one that was worked
// out.
func (s *teller) wantStory(n apns.Notification, want string) []trace.Line {
	s.t.Helper()
	synctest.Wait()
	lines, err := s.Trace.Story(s.t.Context(), n.ID)
	if err != nil {
		s.t.Fatal(err)
	}
	var hops []string
	for i, l := range lines {
		hop := l.Hop.String()
		if l.Derived {
			hop += "*"
		}
		hops = append(hops, hop)
		if i > 0 && l.Time.Before(lines[i-1].Time) {
			s.t.Errorf("%s at %v comes before %s at %v", hop, l.Time, hops[i-1], lines[i-1].Time)
		}
	}
	if got := strings.Join(hops, " "); got != want {
		s.t.Errorf("the story of %s:\ngot  %s\nwant %s", n.ID, got, want)
	}
	return lines
}

// leave takes the phone off the network, and has the courier notice.
func (s *teller) leave() {
	s.phone.Disconnect()
	synctest.Wait()
}

// The story of a notification has every hop in order.
func TestTrace(t *testing.T) {
	story(t, func(t *testing.T, s *teller) {
		s.leave()
		n := lettered("a")
		s.push(n)
		s.wantStory(n, "accepted stored")
		time.Sleep(time.Hour)
		s.phone.Connect(t)
		s.wantBody("a", true)
		lines := s.wantStory(n, "accepted stored handed acked processed")
		device, err := s.Registry.Device(t.Context(), s.phone.ID())
		if err != nil {
			t.Fatal(err)
		}
		at := apns.Address{Device: device, Environment: apns.Sandbox, Topic: n.Topic.Hash()}
		for _, l := range lines {
			if l.Address != at || l.ID != n.ID {
				t.Errorf("%s: got %+v, %s", l.Hop, l.Address, l.ID)
			}
		}
		if handed := lines[2]; !handed.WasStored || handed.Connection == 0 || handed.Message == 0 || handed.Time.Sub(lines[0].Time) < time.Hour {
			t.Errorf("got %+v", handed)
		}
		if lines[0].Status != 200 || lines[0].Connection == 0 || lines[1].Until.Sub(lines[1].Time) < apns.MaxStorage-time.Minute {
			t.Errorf("got %+v", lines[:2])
		}
		time.Sleep(time.Second)
		s.push(n)
		s.wantStory(n, "accepted stored handed acked processed accepted stored handed acked processed") // the repeat window is over
		time.Sleep(time.Second)
		s.push(n)
		s.wantStory(n, "accepted stored handed acked processed accepted stored handed acked processed accepted repeat")
	})
}

// Nobody tells what the store does for a device that is away: it is worked out.
func TestTraceAway(t *testing.T) {
	story(t, func(t *testing.T, s *teller) {
		s.leave()
		a, b, c := lettered("a"), lettered("b"), lettered("c")
		c.Expiration = apns.DoNotStore
		b.Expiration = apns.ExpiresAt(time.Now().Add(time.Hour))
		s.push(a)
		time.Sleep(time.Minute)
		s.push(b)
		s.push(c)
		if lines := s.wantStory(a, "accepted stored replaced*"); lines[2].Other != b.ID {
			t.Errorf("got %s, want %s", lines[2].Other, b.ID)
		}
		s.wantStory(b, "accepted stored")
		s.wantStory(c, "accepted missed")
		time.Sleep(2 * time.Hour)
		s.wantStory(b, "accepted stored expired*")
		s.phone.Connect(t)
		s.wantNothing()
	})
}

// What goes straight to a device is in its story too, and what is refused.
func TestTraceConnected(t *testing.T) {
	story(t, func(t *testing.T, s *teller) {
		a, b, c := lettered("a"), lettered("b"), lettered("c")
		s.push(a)
		s.wantBody("a", false)
		s.wantStory(a, "accepted stored handed acked processed")
		b.Expiration = apns.DoNotStore
		s.push(b)
		s.wantBody("b", false)
		s.wantStory(b, "accepted passed handed acked processed")
		c.Topic += ".voip"
		c.PushType = apns.PushTypeVoIP
		if _, err := s.sender.Push(t.Context(), s.phone.DeviceToken, c); err == nil {
			t.Error("accepted")
		}
		lines := s.wantStory(c, "refused")
		if len(lines) == 1 && (lines[0].Reason != apns.DeviceTokenNotForTopic || lines[0].Status != 400) {
			t.Errorf("got %+v", lines[0])
		}
		if st := s.Trace.Stats(); st.Dropped != 0 || st.Lines == 0 {
			t.Errorf("got %+v", st)
		}
	})
}
