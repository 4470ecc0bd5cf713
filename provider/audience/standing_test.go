package audience

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/heraldpush/herald/apns"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// TestStanding tells stories: what is done to a device token, and what it has
// come to each time. The times count from noon of the first day.
func TestStanding(t *testing.T) {
	const day = 24 * time.Hour
	type step struct {
		at   time.Duration
		what string // register, 200, undo, or a reason
		// since is the timestamp of a 410, after noon; negative for none.
		since time.Duration
		want  string
	}
	const none = -1
	tests := []struct {
		name  string
		steps []step
	}{
		{"accepted", []step{
			{0, "register", 0, "active"},
			{time.Minute, "200", 0, "active accepted 1m0s"},
			{day, "200", 0, "active accepted 1m0s"}, // not worth a write
			{8 * day, "200", 0, "active accepted 192h0m0s"},
		}},
		{"gone, and registered again", []step{
			{0, "register", 0, "active"},
			{time.Hour, "Unregistered", 30 * time.Minute, "gone Unregistered"},
			{2 * time.Hour, "Unregistered", time.Hour, "gone Unregistered"},
			{3 * time.Hour, "register", 0, "active"},
			{4 * time.Hour, "Unregistered", 30 * time.Minute, "active"}, // of before
		}},
		{"gone in the millisecond of the registration", []step{
			{500 * time.Nanosecond, "register", 0, "active"},
			{time.Hour, "Unregistered", 0, "gone Unregistered"},
		}},
		{"expired, without a timestamp", []step{
			{0, "register", 0, "active"},
			{time.Hour, "ExpiredToken", none, "gone ExpiredToken"},
		}},
		{"registered while a push is under way that has no timestamp", []step{
			{time.Hour, "register", 0, "active"},
			{time.Hour, "ExpiredToken", none, "active"},
		}},
		{"bad from the first", []step{
			{0, "register", 0, "active"},
			{time.Hour, "BadDeviceToken", 0, "gone BadDeviceToken strikes 1"},
			{2 * time.Hour, "register", 0, "active strikes 1"},
		}},
		{"bad, after it was good", []step{
			{0, "register", 0, "active"},
			{time.Hour, "200", 0, "active accepted 1h0m0s"},
			{2 * time.Hour, "BadDeviceToken", 0, "quarantined BadDeviceToken strikes 1 accepted 1h0m0s"},
			{3 * time.Hour, "BadDeviceToken", 0, "quarantined BadDeviceToken strikes 1 accepted 1h0m0s"}, // the same mistake
			{2 * day, "BadDeviceToken", 0, "quarantined BadDeviceToken strikes 2 accepted 1h0m0s"},
			{3 * day, "BadDeviceToken", 0, "gone BadDeviceToken strikes 3 accepted 1h0m0s"},
		}},
		{"bad by mistake", []step{
			{0, "register", 0, "active"},
			{time.Hour, "200", 0, "active accepted 1h0m0s"},
			{2 * time.Hour, "BadDeviceToken", 0, "quarantined BadDeviceToken strikes 1 accepted 1h0m0s"},
			{2 * day, "200", 0, "active accepted 48h0m0s"},
		}},
		{"bad by mistake, undone", []step{
			{0, "register", 0, "active"},
			{time.Hour, "BadDeviceToken", 0, "gone BadDeviceToken strikes 1"},
			{2 * time.Hour, "undo", 0, "active"},
		}},
		{"bad, registered meanwhile", []step{
			{time.Hour, "register", 0, "active"},
			{time.Hour, "BadDeviceToken", 0, "active"},
		}},
		{"about something else", []step{
			{0, "register", 0, "active"},
			{time.Hour, "DeviceTokenNotForTopic", 0, "active"},
			{time.Hour, "TopicDisallowed", 0, "active"},
			{time.Hour, "BadTopic", 0, "active"},
			{time.Hour, "BadCertificateEnvironment", 0, "active"},
			{time.Hour, "ExpiredProviderToken", 0, "active"},
			{time.Hour, "PayloadTooLarge", 0, "active"},
			{time.Hour, "TooManyRequests", 0, "active"},
			{time.Hour, "ServiceUnavailable", 0, "active"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s Standing
			for _, step := range tt.steps {
				at := noon.Add(step.at)
				a := Answer{Began: at.Add(-time.Second), At: at, Message: [16]byte{1}}
				switch step.what {
				case "register":
					s = s.registered(at)
				case "undo":
					s = s.Undone()
				case "200":
					s = s.After(a)
				default:
					a.Refused = apns.Reject(apns.Reason(step.what), "")
					if IsGone(a.Refused) && step.since >= 0 {
						a.Refused.Since = noon.Add(step.since)
					}
					s = s.After(a)
				}
				if got := describe(s); got != step.want {
					t.Errorf("after %s at %v: got %q, want %q", step.what, step.at, got, step.want)
				}
			}
		})
	}
}

func describe(s Standing) string {
	text := s.State.String()
	if s.Reason != "" {
		text += " " + string(s.Reason)
	}
	if s.Strikes > 0 {
		text += fmt.Sprint(" strikes ", s.Strikes)
	}
	if !s.AcceptedAt.IsZero() {
		text += fmt.Sprint(" accepted ", s.AcceptedAt.Sub(noon))
	}
	return text
}

func TestReachable(t *testing.T) {
	tests := []struct {
		name string
		s    Standing
		want bool
	}{
		{"active", Standing{}, true},
		{"quarantined today", Standing{State: Quarantined, ReasonAt: noon.Add(-time.Hour)}, false},
		{"quarantined yesterday", Standing{State: Quarantined, ReasonAt: noon.Add(-25 * time.Hour)}, true},
		{"gone", Standing{State: Gone, ReasonAt: noon.Add(-25 * time.Hour)}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.s.Reachable(noon); got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
		})
	}
}

// TestStandingHolds checks what holds after any answers: Active has no reason,
// what is not Active says whose answer it was, only a 410 or a BadDeviceToken
// changes anything for the worse, and an undo makes it good.
func TestStandingHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, at := Standing{}.registered(noon), noon
		for range rapid.IntRange(1, 20).Draw(t, "answers") {
			at = at.Add(time.Duration(rapid.IntRange(1, 48*60).Draw(t, "minutes")) * time.Minute)
			a := Answer{Began: at.Add(-time.Minute), At: at, Message: [16]byte{1}}
			reason := rapid.SampledFrom([]apns.Reason{
				"", apns.BadDeviceToken, apns.Unregistered, apns.TopicDisallowed, apns.InternalServerError, apns.Forbidden,
			}).Draw(t, "reason")
			if reason != "" {
				a.Refused = apns.Reject(reason, "")
			}
			before := s
			s = s.After(a)
			if (s.State == Active) != (s.Reason == "" && s.JudgedBy == [16]byte{} && s.ReasonAt.IsZero()) {
				t.Fatalf("after %s: got %+v", reason, s)
			}
			if s != before && reason != "" && reason != apns.BadDeviceToken && reason != apns.Unregistered {
				t.Fatalf("%s changed %+v to %+v", reason, before, s)
			}
			if !s.RegisteredAt.Equal(noon) {
				t.Fatalf("an answer changed the registration to %v", s.RegisteredAt)
			}
			if u := s.Undone(); !u.Reachable(at) || !u.AcceptedAt.Equal(s.AcceptedAt) {
				t.Fatalf("undone: got %s", cmp.Diff(s, u))
			}
		}
	})
}
