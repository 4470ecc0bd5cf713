package gateway

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/wire"
)

// TestLegacyErrorOf has what a provider is told of every kind of refusal, also
// of those that cannot be brought about from outside.
func TestLegacyErrorOf(t *testing.T) {
	for _, tt := range []struct {
		why  error
		want wire.LegacyStatus
	}{
		{apns.Reject(apns.MissingTopic, ""), 3},
		{apns.Reject(apns.PayloadEmpty, ""), 4},
		{apns.Reject(apns.BadDeviceToken, ""), 8},
		{apns.Reject(apns.DeviceTokenNotForTopic, ""), 8},
		{apns.Reject(apns.ExpiredToken, ""), 8},
		{apns.Reject(apns.TooManyRequests, ""), 10},
		{apns.Reject(apns.ServiceUnavailable, ""), 10},
		{fmt.Errorf("storing: %w", apns.Reject(apns.Shutdown, "")), 10},
		{apns.Reject(apns.InternalServerError, ""), 1},
		{apns.Reject("SomethingNew", ""), 1},
		{errors.New("disk on fire"), 1},
		{&wire.LegacyError{Status: wire.LegacyInvalidTokenSize, Identifier: 7}, 5},
	} {
		if got, want := *legacyErrorOf(tt.why, 7), (wire.LegacyError{Status: tt.want, Identifier: 7}); got != want {
			t.Errorf("%v: got %+v, want %+v", tt.why, got, want)
		}
	}
}

func TestLegacyExpiration(t *testing.T) {
	now, later := time.Unix(1700000000, 0), time.Unix(1<<31, 0)
	for _, tt := range []struct {
		expiry uint32
		now    time.Time
		want   apns.Expiration
	}{
		{0, now, apns.DoNotStore},
		{1, now, apns.ExpiresAt(time.Unix(1, 0))},
		{1700003600, now, apns.ExpiresAt(time.Unix(1700003600, 0))},
		{1<<31 - 1, now, apns.ExpiresAt(time.Unix(1<<31-1, 0))},
		{1 << 31, now, apns.DoNotStore},
		{0xffffffff, now, apns.DoNotStore},
		{1<<31 + 3600, later, apns.ExpiresAt(later.Add(time.Hour))},
		{0xffffffff, later, apns.ExpiresAt(time.Unix(0xffffffff, 0))},
	} {
		if got := legacyExpiration(tt.expiry, tt.now); got != tt.want {
			t.Errorf("%d in %d: got %+v, want %+v", tt.expiry, tt.now.Year(), got, tt.want)
		}
	}
}
