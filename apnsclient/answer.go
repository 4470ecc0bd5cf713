package apnsclient

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/wire"
)

// clockTolerance is how far this machine's clock may be off before it is named
// as the likely cause of a refused provider token.
const clockTolerance = 5 * time.Minute

// readAnswer reads the answer to the notification id: a receipt, or an
// *apns.Rejection. The status counts even where the rest is not what a gateway
// would send (docs/protocol/provider.md#answers).
func readAnswer(resp *http.Response, id apns.NotificationID) (Receipt, error) {
	receipt := Receipt{ID: id, UniqueID: resp.Header.Get("Apns-Unique-Id")}
	if answered := resp.Header.Get("Apns-Id"); answered != "" {
		receipt.ID = apns.NotificationID(answered)
	}
	if resp.StatusCode == http.StatusOK {
		return receipt, nil
	}
	// One byte more than is possible, so that what is too long is not read as
	// if it ended there. An error cuts the body short, and the status stands.
	body, err := io.ReadAll(io.LimitReader(resp.Body, wire.MaxRejectionBytes+1))
	r := wire.ParseRejection(resp.StatusCode, body, resp.Header.Get("Retry-After"))
	if err != nil {
		r.Detail = "the answer was cut short: " + err.Error()
	}
	switch r.Reason {
	case apns.ExpiredProviderToken, apns.InvalidProviderToken:
		if skew := clockSkew(resp.Header.Get("Date"), time.Now()); skew != "" {
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
