package provider

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/event"
	"github.com/heraldpush/herald/store/memory"
)

// TestReport looks at a credential every six hours until it has expired, and then at
// what is left of the log.
func TestReport(t *testing.T) {
	log, err := event.OpenLog(t.Context(), memory.NewEvent())
	if err != nil {
		t.Fatal(err)
	}
	book, err := account.Open(t.Context(), account.Config{Store: memory.NewAccount()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := book.CreateApp(t.Context(), account.AppSpec{ID: "shop", BundleID: "com.example.shop"}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	ends := began.Add(40 * 24 * time.Hour)
	c, err := book.Upload(t.Context(), "shop", account.Upload{File: certificateUntil(t, ends)})
	if err != nil {
		t.Fatal(err)
	}
	r := &reporter{&teller{log: log, book: book, logger: slog.New(slog.DiscardHandler)}, event.Retention{Age: 365 * 24 * time.Hour}}
	for at := began; at.Before(ends.Add(24 * time.Hour)); at = at.Add(6 * time.Hour) {
		if err := r.round(t.Context(), at); err != nil {
			t.Fatal(err)
		}
	}
	p, err := log.Read(t.Context(), 0, event.Filter{}, event.MaxPage)
	if err != nil {
		t.Fatal(err)
	}
	var days []int
	for _, e := range p.Events {
		var x account.Expiry
		if err := json.Unmarshal(e.Body, &x); err != nil || e.Kind != event.CredentialExpiring || e.Subject != string(c.ID) || !x.Needed {
			t.Errorf("got %s of %s, %+v, %v", e.Kind, e.Subject, x, err)
		}
		days = append(days, x.Days)
		if early := ends.Sub(e.Time) - time.Duration(x.Days)*24*time.Hour; early > 0 || early < -7*time.Hour {
			t.Errorf("the notice of %d days comes at %v", x.Days, e.Time)
		}
	}
	if got := fmt.Sprint(days); got != "[30 14 7 1 0]" {
		t.Errorf("got notices %s, want [30 14 7 1 0]", got)
	}
	r.keep = event.Retention{} // 14 days
	if err := r.round(t.Context(), ends.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if p, err = log.Read(t.Context(), 0, event.Filter{}, event.MaxPage); err != nil || len(p.Events) != 3 {
		t.Errorf("got %d events, %v, want those of the last 14 days, which are 3", len(p.Events), err)
	}
}

// certificateUntil returns a push certificate with its key, as PEM.
func certificateUntil(t *testing.T, until time.Time) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	validity := credential.Validity{NotBefore: time.Now().Add(-time.Hour), NotAfter: until}
	root, err := credential.NewRoot("Test Root", key, validity)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := credential.Authority{Certificate: root, Key: key}.IssuePush(
		credential.PushProfile{Kind: credential.PushUniversal, BundleID: "com.example.shop", TeamID: "ABCDE12345", Organization: "Example"},
		key.Public(), validity)
	if err != nil {
		t.Fatal(err)
	}
	text, err := credential.Identity{Certificate: cert, Key: key}.MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	return text
}
