package apnsclient

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/h2"
	"github.com/heraldpush/herald/wire"
)

const (
	// clockTolerance is how far this machine's clock may be off before it is named
	// as the likely cause of a refused provider token.
	clockTolerance = 5 * time.Minute
	// maxAnswerBytes is what is read of the body of an answer to a push: one byte
	// more than is possible, so that what is too long is not read as if it ended
	// there.
	maxAnswerBytes = wire.MaxRejectionBytes + 1
)

// readAnswer reads the answer to the notification id: a receipt, or an
// *apns.Rejection; what is plain is no push, and may be answered otherwise. The
// status counts even where the rest is not what a gateway would send (docs/protocol/provider.md#answers).
func readAnswer(c *h2.Call, status int, id apns.NotificationID, plain bool) (Receipt, error) {
	receipt := Receipt{ID: id}
	var retryAfter, date string
	for i := range c.Answer {
		switch f := &c.Answer[i]; f.Name {
		case "apns-id":
			if f.Value != "" && f.Value != string(id) {
				receipt.ID = apns.NotificationID(strings.Clone(f.Value))
			}
		case "apns-unique-id":
			receipt.UniqueID = strings.Clone(f.Value)
		case "retry-after":
			retryAfter = f.Value
		case "date":
			date = f.Value
		}
	}
	if status == http.StatusOK || plain && status < http.StatusMultipleChoices {
		return receipt, nil
	}
	r := wire.ParseRejection(status, c.AnswerBody, retryAfter)
	if c.Err != nil {
		r.Detail = "the answer was cut short: " + c.Err.Error()
	}
	switch r.Reason {
	case apns.ExpiredProviderToken, apns.InvalidProviderToken:
		if skew := clockSkew(date, time.Now()); skew != "" {
			r.Detail = skew
		}
	default:
	}
	return receipt, r
}

// clockSkew says how far now is off the date of an answer, and nothing if that
// is not far, or not known.
func clockSkew(date string, now time.Time) string {
	theirs, err := http.ParseTime(date)
	if err != nil {
		return "" // no date, or none that can be read: nothing is known
	}
	switch off := now.Sub(theirs).Round(time.Second); {
	case off > clockTolerance:
		return fmt.Sprintf("the clock of this machine is %s ahead of the gateway's", off)
	case off < -clockTolerance:
		return fmt.Sprintf("the clock of this machine is %s behind the gateway's", -off)
	}
	return ""
}
