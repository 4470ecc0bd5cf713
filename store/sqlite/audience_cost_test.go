package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/heraldpush/herald/provider/audience"
)

// commits returns a number that is another one after each commit, as a connection
// sees it that does not write.
func commits(t *testing.T, conn *sql.Conn) (n int64) {
	t.Helper()
	if err := conn.QueryRowContext(t.Context(), "PRAGMA data_version").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// someRegistration is what an app says at its launch.
func someRegistration(n int) audience.Registration {
	return audience.Registration{
		DeviceTokens: []audience.RegisteredToken{{Environment: "production", Value: fmt.Sprintf("%064x", n)}},
		Person:       map[string]string{"external_id": fmt.Sprint("u", n)},
		Tags:         []string{"news", "city:zürich"}, Locale: "de-CH", TimeZone: "Europe/Zurich", AppVersion: "5.2.0",
	}
}

// register has an app say so.
func register(ctx context.Context, a *Audience, n int, at time.Time) error {
	r := someRegistration(n)
	_, err := a.Change(ctx, 1, audience.InstallationID(fmt.Sprint("i", n)), func(i audience.Installation) (audience.Installation, bool, error) {
		return i.Register(r, at)
	})
	return err
}

// TestUnchangedIsNoWrite proves that apps that say what they said before cost no
// commit, however many there are, until it is time to note that they did.
func TestUnchangedIsNoWrite(t *testing.T) {
	d := open(t, newPath(t))
	a := d.Audience()
	conn, err := d.reads.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	const n = 40
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	all := func(at time.Time) {
		var apps sync.WaitGroup
		for i := range n {
			apps.Go(func() {
				if err := register(t.Context(), a, i, at); err != nil {
					t.Error(err)
				}
			})
		}
		apps.Wait()
	}
	before := commits(t, conn)
	all(at)
	entered := commits(t, conn)
	if entered == before {
		t.Error("new installations were not written")
	}
	for minute := range 5 {
		all(at.Add(time.Duration(minute) * time.Minute))
	}
	if got := commits(t, conn); got != entered {
		t.Error("what says nothing new was written")
	}
	all(at.Add(audience.ConfirmEvery))
	if got := commits(t, conn); got == entered {
		t.Error("after an hour it is not noted that they registered")
	}
}

// TestUnchangedAllocations bounds what an app costs that says what it said before.
func TestUnchangedAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	a := open(t, newPath(t)).Audience()
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	if err := register(t.Context(), a, 1, at); err != nil {
		t.Fatal(err)
	}
	got := testing.AllocsPerRun(200, func() {
		if err := register(t.Context(), a, 1, at); err != nil {
			t.Error(err)
		}
	})
	const most = 140 // 114 as it is
	if got > most {
		t.Errorf("got %v allocations, want at most %d", got, most)
	}
}
