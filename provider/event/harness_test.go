package event_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heraldpush/herald/internal/envelope"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
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

// station is a book, a log and a roll of webhooks under test.
type station struct {
	accounts account.Store
	events   event.Store
	sealer   account.Sealer
	logged   strings.Builder // guarded by logging

	logging sync.Mutex
	book    *account.Book
	log     *event.Log
	roll    *event.Roll
}

func newStation(t *testing.T) *station {
	t.Helper()
	key, err := envelope.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	s := &station{accounts: memory.NewAccount(), events: memory.NewEvent()}
	if s.sealer, err = envelope.New(key); err != nil {
		t.Fatal(err)
	}
	s.open(t)
	if _, err := s.book.CreateApp(t.Context(), account.AppSpec{ID: "shop", BundleID: "com.example.shop"}); err != nil {
		t.Fatal(err)
	}
	return s
}

// open opens all again, as after a restart.
func (s *station) open(t *testing.T) {
	t.Helper()
	var err error
	if s.book, err = account.Open(t.Context(), account.Config{Store: s.accounts, Sealer: s.sealer}); err != nil {
		t.Fatal(err)
	}
	if s.log, err = event.OpenLog(t.Context(), s.events); err != nil {
		t.Fatal(err)
	}
	if s.roll, err = event.OpenRoll(t.Context(), event.RollConfig{Book: s.book, Log: s.log}); err != nil {
		t.Fatal(err)
	}
}

// Write keeps what is logged.
func (s *station) Write(p []byte) (int, error) {
	s.logging.Lock()
	defer s.logging.Unlock()
	return s.logged.Write(p)
}

// text returns what was logged.
func (s *station) text() string {
	s.logging.Lock()
	defer s.logging.Unlock()
	return s.logged.String()
}

func (s *station) create(t *testing.T, spec event.WebhookSpec) (event.Webhook, event.Secret) {
	t.Helper()
	w, secret, err := s.roll.Create(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return w, secret
}

func (s *station) webhook(t *testing.T, id event.WebhookID) event.Webhook {
	t.Helper()
	w, err := s.roll.Webhook(id)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// audit lists what was done.
func (s *station) audit(t *testing.T) (all []string) {
	t.Helper()
	log, err := s.book.Audit(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range log {
		all = append(all, e.Action)
	}
	return all
}

// faults lists what is wrong: "pointer code" each.
func faults(err error) string {
	invalid, ok := errors.AsType[*audience.InvalidError](err)
	if !ok {
		return fmt.Sprint(err)
	}
	var all []string
	for _, f := range invalid.Faults {
		all = append(all, f.Pointer+" "+string(f.Code))
	}
	return strings.Join(all, ", ")
}
