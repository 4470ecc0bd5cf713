package account_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/account"
)

// What a credential comes to is told once, and before it is stored.
func TestTurned(t *testing.T) {
	var told []string
	var refuse error
	s := newShelf(t, account.Config{Turned: func(_ context.Context, turn account.Turn) error {
		told = append(told, fmt.Sprintf("%v proven %v, then %v %q", turn.Now.Environment, turn.Was.Proven(), turn.Now.Proven(), turn.Now.Reason))
		return refuse
	}})
	c := s.upload(t, keyUpload(t))
	answer := func(after time.Duration, err error) error {
		return s.Answered(t.Context(), c.ID, account.Answer{
			Environment: apns.Sandbox, Topic: bundleID, At: start.Add(after), Err: err,
		})
	}
	refuse = errors.New("no room")
	if err := answer(0, nil); !errors.Is(err, refuse) {
		t.Errorf("got %v, want %v", err, refuse)
	}
	if got, err := s.Credential(shop, c.ID); err != nil || got.Standing(apns.Sandbox).Proven() {
		t.Errorf("got %+v, %v, want one that is not proven", got, err)
	}
	refuse = nil
	for n, err := range []error{nil, nil, rejected(apns.InvalidProviderToken), rejected(apns.InvalidProviderToken), rejected(apns.Forbidden), nil} {
		if err := answer(time.Duration(n)*2*time.Hour, err); err != nil {
			t.Error(err)
		}
	}
	want := []string{
		`sandbox proven false, then true ""`, `sandbox proven false, then true ""`, `sandbox proven true, then false "InvalidProviderToken"`,
		`sandbox proven false, then false "Forbidden"`, `sandbox proven false, then true ""`,
	}
	if d := cmp.Diff(want, told); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
