package wire

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/heraldpush/herald/apns"
)

// someReasons has a reason of each status.
var someReasons = []apns.Reason{
	apns.BadDeviceToken, apns.InvalidProviderToken, apns.BadEnvironmentKeyInToken, apns.BadPath, apns.MethodNotAllowed, apns.Unregistered,
	apns.ExpiredToken, apns.PayloadTooLarge, apns.TooManyRequests, apns.InternalServerError, apns.Shutdown,
}

func TestAppendRejection(t *testing.T) {
	since := time.UnixMilli(1508249865488)
	for _, tt := range []struct {
		name string
		r    *apns.Rejection
		want string
	}{
		{"reason", apns.Reject(apns.BadDeviceToken, "not for the wire"), `{"reason":"BadDeviceToken"}`},
		{"timestamp", &apns.Rejection{Status: 410, Reason: apns.Unregistered, Since: since}, `{"reason":"Unregistered","timestamp":1508249865488}`},
		{"no word of Apple's", &apns.Rejection{Reason: "a\"b\\c\nd\x1fé\xff"}, `{"reason":"a\"b\\c\u000ad\u001fé` + "\uFFFD" + `"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := AppendRejection([]byte("before"), tt.r)
			if string(got) != "before"+tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if !json.Valid(got[len("before"):]) {
				t.Errorf("not JSON: %s", got)
			}
		})
	}

	b, r := make([]byte, 0, 100), &apns.Rejection{Status: 410, Reason: apns.Unregistered, Since: since}
	if got := testing.AllocsPerRun(100, func() { b = AppendRejection(b[:0], r) }); got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}

func TestParseRejection(t *testing.T) {
	const silent = "the answer gives no reason"
	for _, tt := range []struct {
		name       string
		status     int
		body       string
		retryAfter string
		want       apns.Rejection
	}{
		{"reason", 400, `{"reason":"BadDeviceToken"}`, "", apns.Rejection{Status: 400, Reason: apns.BadDeviceToken}},
		{
			"timestamp", 410, `{"reason":"Unregistered","timestamp":1508249865488}`, "",
			apns.Rejection{Status: 410, Reason: apns.Unregistered, Since: time.UnixMilli(1508249865488)},
		},
		{"timestamp in quotes", 410, `{"reason":"Unregistered","timestamp":"1508249865488"}`, "", apns.Rejection{Status: 410, Reason: apns.Unregistered}},
		{"timestamp zero", 410, `{"reason":"Unregistered","timestamp":0}`, "", apns.Rejection{Status: 410, Reason: apns.Unregistered}},
		{"timestamp out of place", 400, `{"reason":"BadTopic","timestamp":1508249865488}`, "", apns.Rejection{Status: 400, Reason: apns.BadTopic}},
		{"Apple's page", 403, `{"reason":"BadEnvironmentKeyIdInToken"}`, "", apns.Rejection{Status: 403, Reason: apns.BadEnvironmentKeyInToken}},
		{"Apple's service", 403, `{"reason":"BadEnvironmentKeyInToken"}`, "", apns.Rejection{Status: 403, Reason: apns.BadEnvironmentKeyInToken}},
		{"unknown reason", 400, `{"reason":"NewInSpring"}`, "", apns.Rejection{Status: 400, Reason: "NewInSpring"}},
		{"more than asked for", 400, ` {"x":[1],"reason":"BadTopic"} `, "", apns.Rejection{Status: 400, Reason: apns.BadTopic}},
		{"status of its own", 418, `{"reason":"BadTopic"}`, "", apns.Rejection{Status: 418, Reason: apns.BadTopic}},
		{"no body", 503, ``, "", apns.Rejection{Status: 503, Detail: silent}},
		{"HTML", 502, `<html>`, "7", apns.Rejection{Status: 502, RetryAfter: 7 * time.Second, Detail: silent}},
		{"no object", 400, `"BadTopic"`, "", apns.Rejection{Status: 400, Detail: silent}},
		{"null", 400, `null`, "", apns.Rejection{Status: 400, Detail: silent}},
		{"no reason", 400, `{}`, "", apns.Rejection{Status: 400, Detail: silent}},
		{"reason no string", 400, `{"reason":7}`, "", apns.Rejection{Status: 400, Detail: silent}},
		{"reason too long", 400, `{"reason":"` + strings.Repeat("x", 101) + `"}`, "", apns.Rejection{Status: 400, Detail: silent}},
		{"body too long", 400, `{"reason":"BadTopic"}` + strings.Repeat(" ", MaxRejectionBytes), "", apns.Rejection{Status: 400, Detail: silent}},
		{
			"retry after", 429, `{"reason":"TooManyRequests"}`, " 120 ",
			apns.Rejection{Status: 429, Reason: apns.TooManyRequests, RetryAfter: 2 * time.Minute},
		},
		{"retry after a date", 503, `{"reason":"Shutdown"}`, "Wed, 21 Oct 2026 07:28:00 GMT", apns.Rejection{Status: 503, Reason: apns.Shutdown}},
		{"retry after a negative number", 503, `{"reason":"Shutdown"}`, "-1", apns.Rejection{Status: 503, Reason: apns.Shutdown}},
		{"retry after too much", 503, `{"reason":"Shutdown"}`, "99999999999", apns.Rejection{Status: 503, Reason: apns.Shutdown}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ParseRejection(tt.status, []byte(tt.body), tt.retryAfter)
			if diff := cmp.Diff(&tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestRejectionRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		reason := rapid.OneOf(rapid.SampledFrom(someReasons), rapid.Custom(func(t *rapid.T) apns.Reason {
			return apns.Reason(rapid.StringN(1, -1, maxReasonBytes).Draw(t, "reason"))
		})).Draw(t, "reason")
		want := &apns.Rejection{Status: reason.Status(), Reason: reason}
		if want.Status == 410 {
			want.Since = time.UnixMilli(rapid.Int64Range(1, 1<<53).Draw(t, "since"))
		}
		body := AppendRejection(nil, want)
		if diff := cmp.Diff(want, ParseRejection(want.Status, body, "")); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", body, diff)
		}
	})
}

func TestParseDevicePath(t *testing.T) {
	for _, tt := range []struct {
		path, want string
		reason     apns.Reason
	}{
		{"/3/device/00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0", "00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0", ""},
		{"/3/device/not%20hex", "not%20hex", ""},
		{"/3/device/a/b", "a/b", ""},
		{"/3/device/a?b", "a?b", ""},
		{"/3/device", "", apns.MissingDeviceToken},
		{"/3/device/", "", apns.MissingDeviceToken},
		{"/3/devices/x", "", apns.BadPath},
		{"/3/devicex", "", apns.BadPath},
		{"/3/device?", "", apns.BadPath},
		{"/4/broadcasts/apps/a", "", apns.BadPath},
		{"/", "", apns.BadPath},
		{"", "", apns.BadPath},
		{"*", "", apns.BadPath},
		{"3/device/aa", "", apns.BadPath},
		{"/3/Device/aa", "", apns.BadPath},
	} {
		got, r := ParseDevicePath(tt.path)
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.path, got, tt.want)
		}
		switch {
		case tt.reason == "" && r != nil, tt.reason != "" && (r == nil || r.Reason != tt.reason):
			t.Errorf("%s: got %v, want reason %q", tt.path, r, tt.reason)
		}
	}
}

func TestAppendDevicePath(t *testing.T) {
	path := AppendDevicePath([]byte("https://host"), vectorDeviceToken)
	if want := "https://host/3/device/" + vectorDeviceToken.Hex(); string(path) != want {
		t.Errorf("got %s, want %s", path, want)
	}
	hexToken, r := ParseDevicePath(strings.TrimPrefix(string(path), "https://host"))
	if r != nil || hexToken != vectorDeviceToken.Hex() {
		t.Errorf("got %q, %v, want %q", hexToken, r, vectorDeviceToken.Hex())
	}
	b := make([]byte, 0, 100)
	if got := testing.AllocsPerRun(100, func() { b = AppendDevicePath(b[:0], vectorDeviceToken) }); got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}
