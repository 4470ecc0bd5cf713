package event_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/event"
	"github.com/heraldpush/herald/store/memory"
)

// at is when things happen in tests that do not look at the clock.
var at = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func openLog(t *testing.T) *event.Log {
	t.Helper()
	l, err := event.OpenLog(t.Context(), memory.NewEvent())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// restored returns the n-th event of an app.
func restored(t *testing.T, app account.AppID, n int) event.Event {
	t.Helper()
	e, err := event.OfRestored(app, [16]byte{byte(n)}, n, at)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func add(t *testing.T, l *event.Log, events ...event.Event) {
	t.Helper()
	if err := l.Append(t.Context(), events...); err != nil {
		t.Fatal(err)
	}
}

// read returns the body of an event.
func read[T any](t *testing.T, e event.Event) (body T) {
	t.Helper()
	if err := e.Check(); err != nil {
		t.Error(err)
	}
	if err := json.Unmarshal(e.Body, &body); err != nil {
		t.Error(err)
	}
	return body
}

// sequences lists the numbers of events.
func sequences(events []event.Event) string {
	var all []uint64
	for _, e := range events {
		all = append(all, e.Sequence)
	}
	return fmt.Sprint(all)
}
