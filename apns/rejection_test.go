package apns_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/heraldpush/herald/apns"
)

func TestReasons(t *testing.T) {
	for _, r := range apns.AllReasons() {
		if s := r.Status(); s < 400 || s > 599 {
			t.Errorf("%s: got status %d", r, s)
		}
		s := r.Sentence()
		if s == "" || strings.HasSuffix(s, ".") || strings.ToLower(s[:1]) != s[:1] {
			t.Errorf("%s: got sentence %q, want one in lower case without a full stop", r, s)
		}
	}
	if got := apns.Reason("Brand-New").Status(); got != 500 {
		t.Errorf("got status %d for an unknown reason, want 500", got)
	}
	if got := apns.Reason("Brand-New").Sentence(); got != "" {
		t.Errorf("got sentence %q for an unknown reason, want none", got)
	}
}

func TestRejectionError(t *testing.T) {
	tests := []struct {
		name string
		r    *apns.Rejection
		want string
	}{
		{"plain", apns.Reject(apns.PayloadEmpty, ""), "400 PayloadEmpty: the payload is empty or not a JSON object"},
		{
			"with detail", apns.Reject(apns.PayloadTooLarge, "4100 bytes"),
			"413 PayloadTooLarge: the payload is larger than its push type allows (4100 bytes)",
		},
		{"unknown", &apns.Rejection{Status: 418, Reason: "Teapot"}, "418 Teapot"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.r.Error(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestRejectionIsAs(t *testing.T) {
	err := fmt.Errorf("pushing: %w", apns.Reject(apns.Unregistered, "seen at noon"))
	if !errors.Is(err, apns.Reject(apns.Unregistered, "")) {
		t.Error("a wrapped rejection is not one for its own reason")
	}
	if errors.Is(err, apns.Reject(apns.ExpiredToken, "")) {
		t.Error("a rejection is one for another reason of the same status")
	}
	if errors.Is(err, errors.New("other")) || errors.Is(errors.New("other"), apns.Reject(apns.Unregistered, "")) {
		t.Error("a rejection is some other error")
	}
	var r *apns.Rejection
	if !errors.As(err, &r) || r.Detail != "seen at noon" || r.Status != 410 {
		t.Errorf("got %+v from the chain", r)
	}
}
