package apnsclient

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
)

func TestOutcomeOf(t *testing.T) {
	for _, tt := range []struct {
		name  string
		err   error
		want  Outcome
		after time.Duration // 0 for never
	}{
		{"no error", nil, Accepted, 0},
		{"found wrong", &CheckError{Reason: apns.PayloadTooLarge}, Invalid, 0},
		{"a bad device token", apns.Reject(apns.BadDeviceToken, ""), Rejected, 0},
		{"too large", apns.Reject(apns.PayloadTooLarge, ""), Rejected, 0},
		{"unregistered", apns.Reject(apns.Unregistered, ""), TokenGone, 0},
		{"expired device token", apns.Reject(apns.ExpiredToken, ""), TokenGone, 0},
		{"410 without a reason", &apns.Rejection{Status: 410}, TokenGone, 0},
		{"another app's topic", apns.Reject(apns.TopicDisallowed, ""), ProviderFault, 0},
		{"no broadcasts for the app", apns.Reject(apns.FeatureNotEnabled, ""), ProviderFault, 0},
		{"a bad provider token", apns.Reject(apns.InvalidProviderToken, ""), ProviderFault, 0},
		{"a bad certificate", &CertificateError{Err: errors.New("bad certificate")}, ProviderFault, 0},
		{"too many", apns.Reject(apns.TooManyRequests, ""), RetryLater, time.Second},
		{"too many, come later", &apns.Rejection{Status: 429, Reason: apns.TooManyRequests, RetryAfter: time.Minute}, RetryLater, time.Minute},
		{"too many provider tokens", apns.Reject(apns.TooManyProviderTokenUpdates, ""), RetryLater, refreshFloor},
		{"a fault", apns.Reject(apns.InternalServerError, ""), RetryLater, time.Second},
		{"a reason of tomorrow", &apns.Rejection{Status: 503, Reason: "Tired"}, RetryLater, time.Second},
		{"idle", apns.Reject(apns.IdleTimeout, ""), RetryLater, time.Second},
		{"not sent", &UnsentError{Err: errors.New("refused")}, ConnectionFault, time.Second},
		{"not sent, closed", &UnsentError{Err: ErrClosed}, ConnectionFault, 0},
		{"not sent, given up", &UnsentError{Err: context.Canceled}, ConnectionFault, 0},
		{"not answered", &UnansweredError{Err: context.DeadlineExceeded}, Unknown, 0},
		{"wrapped", fmt.Errorf("pushing: %w", apns.Reject(apns.Unregistered, "")), TokenGone, 0},
		{"anyone else's", errors.New("no"), Unknown, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := OutcomeOf(tt.err); got != tt.want {
				t.Errorf("outcome: got %v, want %v", got, tt.want)
			}
			if got, ok := RetryAfter(tt.err); got != tt.after || ok != (tt.after > 0) {
				t.Errorf("retry after: got %v %t, want %v", got, ok, tt.after)
			}
		})
	}
}
