package account_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/account"
)

func TestApps(t *testing.T) {
	s := newShelf(t, account.Config{})
	ctx := account.WithActor(t.Context(), "anna")
	beta, err := s.CreateApp(ctx, account.AppSpec{ID: "shop.beta", BundleID: "com.example.shop-beta"})
	if err != nil || beta.Number != 2 || beta.CreatedAt.IsZero() {
		t.Fatalf("got %+v, %v", beta, err)
	}
	renamed, err := s.RenameApp(ctx, shop, "The Shop")
	if err != nil || renamed.Name != "The Shop" || renamed.Number != 1 {
		t.Errorf("got %+v, %v", renamed, err)
	}
	if _, err := s.RenameApp(ctx, shop, "The Shop"); err != nil { // nothing new
		t.Error(err)
	}
	if _, err := s.RenameApp(ctx, "never", "x"); !errors.Is(err, account.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	for _, again := range []bool{false, true} {
		if again {
			s.reopen(t)
		}
		if d := cmp.Diff([]account.App{renamed, beta}, s.Apps("", 10)); d != "" {
			t.Errorf("opened again: %v: apps (-want +got):\n%s", again, d)
		}
		if got := s.Apps(shop, 10); len(got) != 1 || got[0].ID != "shop.beta" {
			t.Errorf("after shop: got %+v", got)
		}
		if got := s.Apps("", 1); len(got) != 1 || got[0].ID != shop {
			t.Errorf("one: got %+v", got)
		}
		for _, topic := range []apns.Topic{bundleID, bundleID + ".voip"} {
			if got, err := s.AppOfTopic(topic); got != renamed || err != nil {
				t.Errorf("app of %s: got %+v, %v", topic, got, err)
			}
		}
		if _, err := s.AppOfTopic("com.example"); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("got %v, want ErrNotFound", err)
		}
	}
	third, err := s.CreateApp(ctx, account.AppSpec{ID: "third", BundleID: "com.example.third"})
	if err != nil || third.Number != 3 {
		t.Errorf("got %+v, %v, want the number 3", third, err)
	}
	want := []string{"herald app.create", "anna app.create", "anna app.rename", "anna app.create"}
	if got := s.actions(t); !slices.Equal(got, want) {
		t.Errorf("audit: got %q, want %q", got, want)
	}
}

func TestAppRefused(t *testing.T) {
	s := newShelf(t, account.Config{})
	for _, tt := range []struct {
		name string
		spec account.AppSpec
		want string
	}{
		{"nothing", account.AppSpec{}, "/id required, /bundle_id required"},
		{"upper case", account.AppSpec{ID: "Shop", BundleID: "com.a"}, "/id malformed"},
		{"a path", account.AppSpec{ID: "..", BundleID: "com.a"}, "/id malformed"},
		{"long", account.AppSpec{ID: account.AppID(strings.Repeat("a", 65)), BundleID: "com.a"}, "/id too_long"},
		{"no bundle ID", account.AppSpec{ID: "a", BundleID: "com..a"}, "/bundle_id malformed"},
		{"a topic", account.AppSpec{ID: "a", BundleID: "com.a.voip"}, "/bundle_id malformed"},
		{"a name that moves the cursor", account.AppSpec{ID: "a", BundleID: "com.a", Name: "a\x1b[2J"}, "/name malformed"},
		{"a name that turns around", account.AppSpec{ID: "a", BundleID: "com.a", Name: "a\u202eb"}, "/name malformed"},
		{"a long name", account.AppSpec{ID: "a", BundleID: "com.a", Name: strings.Repeat("a", 101)}, "/name too_long"},
		{"the same ID", account.AppSpec{ID: shop, BundleID: "com.a"}, "/id conflict"},
		{"the same bundle ID", account.AppSpec{ID: "a", BundleID: bundleID}, "/bundle_id conflict"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := s.CreateApp(t.Context(), tt.spec); faults(err) != tt.want {
				t.Errorf("got %q, want %q", faults(err), tt.want)
			}
		})
	}
	if got := s.Apps("", 10); len(got) != 1 {
		t.Errorf("got %d apps, want one", len(got))
	}
}

// TestAuditBounded proves that the log keeps the latest entries alone, also when
// the limit was lowered.
func TestAuditBounded(t *testing.T) {
	s := newShelf(t, account.Config{AuditEntries: 10})
	rename := func(n int) {
		t.Helper()
		if _, err := s.RenameApp(t.Context(), shop, fmt.Sprint(n)); err != nil {
			t.Fatal(err)
		}
	}
	check := func(first, last uint64) {
		t.Helper()
		log, err := s.Audit(t.Context(), 0, 100)
		if err != nil || uint64(len(log)) != last-first+1 || log[0].Sequence != first || log[len(log)-1].Sequence != last {
			t.Errorf("got %+v, %v, want entries %d to %d", log, err, first, last)
		}
	}
	for n := range 24 {
		rename(n)
	}
	check(16, 25)
	if log, err := s.Audit(t.Context(), 20, 2); err != nil || len(log) != 2 || log[0].Sequence != 21 {
		t.Errorf("two after 20: got %+v, %v", log, err)
	}
	s.cfg.AuditEntries = 3
	s.reopen(t)
	rename(100)
	check(24, 26)
	s.cfg.AuditEntries = 5
	s.reopen(t)
	rename(101)
	check(24, 27)
	long := account.WithActor(t.Context(), strings.Repeat("ü", 100))
	if _, err := s.RenameApp(long, shop, "x"); err != nil {
		t.Fatal(err)
	}
	if log, err := s.Audit(t.Context(), 27, 1); err != nil || len(log) != 1 || log[0].Actor != strings.Repeat("ü", 64) {
		t.Errorf("got %+v, %v, want a name that was cut off", log, err)
	}
}
