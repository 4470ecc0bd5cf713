package conformance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/heraldpush/herald/apns"
)

// closed is the outcome of what gets no answer.
const closed = "closed"

// outcome says what became of a request, in the words of Step.Want.
func (p *peer) outcome(a *answer) string {
	status := strings.Join(a.get(":status"), "+")
	switch {
	case len(a.fields) == 0 && a.reset != "":
		return a.reset
	case len(a.fields) == 0:
		return p.ending()
	case status == "200":
		return accepted
	case len(a.body) == 0:
		return status
	}
	var body struct {
		Reason apns.Reason `json:"reason"`
	}
	if err := json.Unmarshal(a.body, &body); err != nil || body.Reason == "" {
		return status
	}
	return string(body.Reason)
}

// ending is the outcome of a connection that has ended.
func (p *peer) ending() string {
	if p.goAway != nil {
		return "GOAWAY " + p.goAway.code.String()
	}
	return closed
}

// silence is what there was instead of an answer, for the report.
func (p *peer) silence() string {
	switch {
	case p.ended == nil, errors.Is(p.ended, io.EOF):
		return "the connection was closed"
	default:
		return "reading: " + p.ended.Error()
	}
}

var (
	uuidForm   = regexp.MustCompile(`^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$`)
	digitsForm = regexp.MustCompile(`^[0-9]+$`)
)

// checkAnswer checks what is the same for every answer
// (docs/protocol/provider.md#answers).
func checkAnswer(q *request, a *answer) error {
	if len(a.fields) == 0 {
		return nil // there is none; the outcome says so
	}
	if err := checkID("apns-id", q, a); err != nil {
		return err
	}
	if a.get(":status")[0] == "200" {
		if len(a.body) > 0 || !slices.Equal(a.frames, []string{"HEADERS END_STREAM"}) {
			return fmt.Errorf("an accepted push is answered with %s and %d bytes, want HEADERS END_STREAM", strings.Join(a.frames, ", "), len(a.body))
		}
		return nil
	}
	if !slices.Equal(a.frames, []string{"HEADERS", "DATA END_STREAM"}) {
		return fmt.Errorf("a refusal is answered with %s, want HEADERS, DATA END_STREAM", strings.Join(a.frames, ", "))
	}
	return checkRefusal(a)
}

// checkID checks the header that names the request: given back byte for byte,
// and made if none was given (docs/protocol/provider.md#apns-id).
func checkID(name string, q *request, a *answer) error {
	got, asked := a.get(name), q.get(name)
	switch {
	case len(got) != 1:
		return fmt.Errorf("%d headers %s, want 1", len(got), name)
	case !uuidForm.MatchString(got[0]):
		return fmt.Errorf("%s %q is no UUID", name, got[0])
	case len(asked) == 1 && uuidForm.MatchString(asked[0]) && got[0] != asked[0]:
		return fmt.Errorf("%s %q, want the one of the request, %q", name, got[0], asked[0])
	}
	return nil
}

// checkRefusal checks the body of a refusal, and the status that goes with its
// reason.
func checkRefusal(a *answer) error {
	if ct := a.get("content-type"); len(ct) != 1 || ct[0] != "application/json" {
		return fmt.Errorf("content-type %q, want application/json", ct)
	}
	if after := a.get("retry-after"); len(after) > 1 || len(after) == 1 && !digitsForm.MatchString(after[0]) {
		return fmt.Errorf("retry-after %q, want seconds", after)
	}
	var members map[string]any
	d := json.NewDecoder(bytes.NewReader(a.body))
	d.UseNumber()
	if err := d.Decode(&members); err != nil {
		return fmt.Errorf("the body %.80q is no JSON object", a.body)
	}
	reason, ok := members["reason"].(string)
	if !ok || reason == "" {
		return fmt.Errorf("the body %.80q has no reason", a.body)
	}
	status := a.get(":status")[0]
	if known := apns.Reason(reason); slices.Contains(knownReasons, known) && status != strconv.Itoa(known.Status()) {
		return fmt.Errorf("status %s with %s, want %d", status, reason, known.Status())
	}
	stamp, stamped := members["timestamp"]
	switch {
	case stamped != (status == "410"):
		return fmt.Errorf("the body %.80q: a timestamp comes with status 410 and with no other", a.body)
	case stamped:
		return checkTimestamp(fmt.Sprint(stamp))
	}
	return nil
}

// checkTimestamp checks that a time is in milliseconds: in seconds it would be
// of 1970.
func checkTimestamp(s string) error {
	n, err := strconv.ParseInt(s, 10, 64)
	const earliest, latest = 1_000_000_000_000, 10_000_000_000_000
	if err != nil || n < earliest || n > latest {
		return fmt.Errorf("timestamp %s, want milliseconds since the epoch", s)
	}
	return nil
}

// knownReasons are those whose status is checked.
var knownReasons = []apns.Reason{
	apns.BadCollapseID, apns.BadDeviceToken, apns.BadExpirationDate, apns.BadMessageID, apns.BadPriority, apns.BadTopic,
	apns.DeviceTokenNotForTopic, apns.DuplicateHeaders, apns.IdleTimeout, apns.InvalidPushType, apns.MissingDeviceToken,
	apns.MissingTopic, apns.PayloadEmpty, apns.TopicDisallowed, apns.BadCertificate, apns.BadCertificateEnvironment,
	apns.ExpiredProviderToken, apns.Forbidden, apns.InvalidProviderToken, apns.MissingProviderToken, apns.UnrelatedKeyIDInToken,
	apns.BadEnvironmentKeyInToken, apns.BadPath, apns.MethodNotAllowed, apns.ExpiredToken, apns.Unregistered, apns.PayloadTooLarge,
	apns.TooManyProviderTokenUpdates, apns.TooManyRequests, apns.InternalServerError, apns.ServiceUnavailable, apns.Shutdown,
}

// checkChannel checks an answer about channels and broadcasts, which are named
// by another header.
func checkChannel(q *request, a *answer) error {
	if len(a.fields) == 0 {
		return nil
	}
	if err := checkID("apns-request-id", q, a); err != nil {
		return err
	}
	if strings.HasPrefix(a.get(":status")[0], "2") {
		return nil
	}
	return checkRefusal(a)
}
