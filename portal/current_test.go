package portal_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/portal"
	"github.com/heraldpush/herald/store/memory"
)

// TestCurrent keeps a sender while time passes and things change.
func TestCurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := portal.Open(t.Context(), portal.Config{Store: memory.NewPortal()})
		if err != nil {
			t.Fatal(err)
		}
		team, err := p.CreateTeam(t.Context(), "Example")
		if err != nil {
			t.Fatal(err)
		}
		key, p8, err := p.CreateKey(t.Context(), portal.KeySpec{Team: team.ID, Name: "key"})
		if err != nil {
			t.Fatal(err)
		}
		private, err := credential.ParseP8(p8)
		if err != nil {
			t.Fatal(err)
		}
		token, err := credential.MintProviderToken(private, key.ID, team.ID, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		admit := func() (*portal.Sender, error) { return p.AdmitProviderToken(token, apns.Sandbox) }
		sender, err := admit()
		if err != nil {
			t.Fatal(err)
		}
		// At any time it says of a sender what the portal would.
		for _, after := range []time.Duration{0, time.Hour - time.Nanosecond, time.Nanosecond, time.Nanosecond} {
			time.Sleep(after)
			_, err := admit()
			if got, want := sender.Current(time.Now()), err == nil; got != want {
				t.Errorf("%v after it was made: got %v, want %v", time.Since(sender.IssuedAt), got, want)
			}
		}
		if sender.Current(sender.IssuedAt.Add(-time.Hour - time.Nanosecond)) {
			t.Error("current before its time")
		}
		now := sender.IssuedAt
		if !sender.Current(now) {
			t.Fatal("not current while nothing has changed")
		}
		if _, err := p.RegisterApp(t.Context(), team.ID, "com.example.new", "New"); err != nil {
			t.Fatal(err)
		}
		if sender.Current(now) {
			t.Error("current after an app was registered")
		}
	})
}
