package apns_test

import (
	"math"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
)

func TestNotificationIDValid(t *testing.T) {
	tests := []struct {
		id   apns.NotificationID
		want bool
	}{
		{"eabeae54-14a8-11e5-b60b-1697f925ec7b", true},
		{"27CFDC15-E305-27E0-E290-8FC98E115899", true}, // seen from APNs, outside RFC 9562
		{"00000000-0000-0000-0000-000000000000", true},
		{"", false},
		{"123", false},
		{"eabeae5414a811e5b60b1697f925ec7b", false},
		{"{abeae54-14a8-11e5-b60b-1697f925ec7}", false},
		{"eabeae54-14a8-11e5-b60b-1697f925ec7g", false},
		{"eabeae54-14a8-11e5-b60b-1697f925ec7b0", false},
		{"eabeae54014a8-11e5-b60b-1697f925ec7b", false},
		{"eabeae5-414a8-11e5-b60b-1697f925ec7b", false},
	}
	for _, tt := range tests {
		if got := tt.id.Valid(); got != tt.want {
			t.Errorf("%q: got %t, want %t", tt.id, got, tt.want)
		}
	}
}

func TestParsePriority(t *testing.T) {
	for in, want := range map[string]apns.Priority{
		"10": apns.PriorityImmediate, "5": apns.PriorityConserve, "1": apns.PriorityPower,
		"": 0, "0": 0, "7": 0, "010": 0, "5 ": 0, "+5": 0,
	} {
		if got, ok := apns.ParsePriority(in); got != want || ok != (want != 0) {
			t.Errorf("%q: got %d, %t, want %d", in, got, ok, want)
		}
	}
	if got := apns.Priority(0).OrDefault(); got != apns.PriorityImmediate {
		t.Errorf("got default %d, want 10", got)
	}
	if got := apns.PriorityPower.OrDefault(); got != apns.PriorityPower {
		t.Errorf("got %d, want 1", got)
	}
}

func TestParseExpiration(t *testing.T) {
	tests := []struct {
		in   string
		want int64 // -1 for none
	}{
		{"0", 0},
		{"1700000000", 1700000000},
		{"9223372036854775807", math.MaxInt64},
		{"9223372036854775808", -1},
		{"", -1},
		{"soon", -1},
		{"-1", -1},
		{"-0", -1},
		{"+1", -1},
		{" 1", -1},
		{"1.5", -1},
		{"1_000", -1},
		{"0x10", -1},
	}
	for _, tt := range tests {
		e, ok := apns.ParseExpiration(tt.in)
		if ok != (tt.want >= 0) {
			t.Errorf("%q: got %t, want %t", tt.in, ok, tt.want >= 0)
			continue
		}
		if seconds, set := e.Seconds(); set != ok || ok && seconds != tt.want {
			t.Errorf("%q: got %d, %t, want %d", tt.in, seconds, set, tt.want)
		}
		if header, set := e.Header(); set != ok || ok && header != tt.in {
			t.Errorf("%q: got header %q, %t", tt.in, header, set)
		}
	}
}

func TestExpiration(t *testing.T) {
	now := time.Unix(1700000000, 999)
	tests := []struct {
		name     string
		e        apns.Expiration
		stored   bool
		deadline time.Time
	}{
		{"none", apns.Expiration{}, true, now.Add(apns.MaxStorage)},
		{"do not store", apns.DoNotStore, false, time.Unix(0, 0)},
		{"in an hour", apns.ExpiresAt(now.Add(time.Hour)), true, time.Unix(1700003600, 0)},
		{"now", apns.ExpiresAt(now), false, time.Unix(1700000000, 0)},
		{"an hour ago", apns.ExpiresAt(now.Add(-time.Hour)), false, time.Unix(1699996400, 0)},
		{"before the epoch", apns.ExpiresAt(time.Unix(-5, 0)), false, time.Unix(0, 0)},
		{"in a year", apns.ExpiresAt(now.Add(365 * 24 * time.Hour)), true, now.Add(apns.MaxStorage)},
		{"never", apns.ExpiresAt(time.Unix(math.MaxInt64, 0)), true, now.Add(apns.MaxStorage)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.e.Stored(now); got != tt.stored {
				t.Errorf("got stored %t, want %t", got, tt.stored)
			}
			if got := tt.e.Deadline(now); !got.Equal(tt.deadline) {
				t.Errorf("got deadline %v, want %v", got, tt.deadline)
			}
		})
	}
	if apns.ExpiresAt(time.Unix(0, 0)) != apns.DoNotStore {
		t.Error("the epoch is not DoNotStore")
	}
	if apns.DoNotStore == (apns.Expiration{}) {
		t.Error("DoNotStore is the same as none")
	}
}
