package wire

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
)

// fuzzMessage checks of a parser that it refuses with a MalformedError alone,
// and that what it accepts is written and read again without change.
func fuzzMessage[M message](f *testing.F, parse func([]byte) (M, error)) {
	f.Helper()
	for _, v := range vectors() {
		f.Add(mustHex(v.hex)[HeaderBytes:])
	}
	f.Add([]byte{1, 0, 0x20})
	f.Fuzz(func(t *testing.T, payload []byte) {
		first, err := parse(payload)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("got %v, want ErrMalformed", err)
			}
			return
		}
		frame := first.Append(nil)
		next, n, err := NextFrame(frame, len(frame))
		if err != nil || n != len(frame) {
			t.Fatalf("NextFrame of what was appended: got %d, %v, want %d", n, err, len(frame))
		}
		second, err := parse(next.Payload)
		if err != nil {
			t.Fatalf("parsing what was appended: %v", err)
		}
		if diff := cmp.Diff(first, second); diff != "" {
			t.Fatalf("not stable (-first +second):\n%s", diff)
		}
		if again := second.Append(nil); string(again) != string(frame) {
			t.Fatalf("got %x, want %x", again, frame)
		}
	})
}

func FuzzConnect(f *testing.F)               { fuzzMessage(f, ParseConnect) }
func FuzzConnectAck(f *testing.F)            { fuzzMessage(f, ParseConnectAck) }
func FuzzFilter(f *testing.F)                { fuzzMessage(f, ParseFilter) }
func FuzzNotification(f *testing.F)          { fuzzMessage(f, ParseNotification) }
func FuzzSendMessage(f *testing.F)           { fuzzMessage(f, ParseSendMessage) }
func FuzzAck(f *testing.F)                   { fuzzMessage(f, ParseAck) }
func FuzzSendMessageAck(f *testing.F)        { fuzzMessage(f, ParseSendMessageAck) }
func FuzzKeepAlive(f *testing.F)             { fuzzMessage(f, ParseKeepAlive) }
func FuzzKeepAliveResponse(f *testing.F)     { fuzzMessage(f, ParseKeepAliveResponse) }
func FuzzKeepAliveAck(f *testing.F)          { fuzzMessage(f, ParseKeepAliveAck) }
func FuzzCancelKeepAlive(f *testing.F)       { fuzzMessage(f, ParseCancelKeepAlive) }
func FuzzNoStorage(f *testing.F)             { fuzzMessage(f, ParseNoStorage) }
func FuzzFlush(f *testing.F)                 { fuzzMessage(f, ParseFlush) }
func FuzzFlushResponse(f *testing.F)         { fuzzMessage(f, ParseFlushResponse) }
func FuzzAppToken(f *testing.F)              { fuzzMessage(f, ParseAppToken) }
func FuzzAppTokenResponse(f *testing.F)      { fuzzMessage(f, ParseAppTokenResponse) }
func FuzzSetActiveInterval(f *testing.F)     { fuzzMessage(f, ParseSetActiveInterval) }
func FuzzSetActiveState(f *testing.F)        { fuzzMessage(f, ParseSetActiveState) }
func FuzzTransportAck(f *testing.F)          { fuzzMessage(f, ParseTransportAck) }
func FuzzRedirect(f *testing.F)              { fuzzMessage(f, ParseRedirect) }
func FuzzSubscriptions(f *testing.F)         { fuzzMessage(f, ParseSubscriptions) }
func FuzzSubscriptionsResponse(f *testing.F) { fuzzMessage(f, ParseSubscriptionsResponse) }
func FuzzChannelUpdate(f *testing.F)         { fuzzMessage(f, ParseChannelUpdate) }

func FuzzFilterResponse(f *testing.F)   { fuzzMessage(f, ParseFilterResponse) }
func FuzzFilterUpdate(f *testing.F)     { fuzzMessage(f, ParseFilterUpdate) }
func FuzzTaskControl(f *testing.F)      { fuzzMessage(f, ParseTaskControl) }
func FuzzTaskNotification(f *testing.F) { fuzzMessage(f, ParseTaskNotification) }
func FuzzTracingAck(f *testing.F)       { fuzzMessage(f, ParseTracingAck) }
func FuzzPresence(f *testing.F)         { fuzzMessage(f, ParsePresence) }
func FuzzPresenceResponse(f *testing.F) { fuzzMessage(f, ParsePresenceResponse) }

func FuzzNextFrame(f *testing.F) {
	for _, v := range vectors() {
		f.Add(mustHex(v.hex))
	}
	f.Add(mustHex("07 80000000"))
	f.Fuzz(func(t *testing.T, b []byte) {
		const limit = 100
		frame, n, err := NextFrame(b, limit)
		switch {
		case err == nil:
			if n != HeaderBytes+len(frame.Payload) || n > len(b) || len(frame.Payload) > limit {
				t.Fatalf("got %d bytes with a payload of %d, out of %d", n, len(frame.Payload), len(b))
			}
		case n != 0, !errors.Is(err, ErrIncomplete) && !errors.Is(err, ErrMalformed):
			t.Fatalf("got %d, %v", n, err)
		case errors.Is(err, ErrIncomplete) && len(b) >= HeaderBytes+limit:
			t.Fatalf("%d bytes are not enough for a frame of at most %d", len(b), HeaderBytes+limit)
		}
	})
}

func FuzzRejection(f *testing.F) {
	f.Add(410, []byte(`{"reason":"Unregistered","timestamp":1508249865488}`), "120")
	f.Add(403, []byte(`{"reason":"BadEnvironmentKeyIdInToken"}`), "")
	f.Add(502, []byte(`<html>`), "-1")
	f.Fuzz(func(t *testing.T, status int, body []byte, retryAfter string) {
		first := ParseRejection(status, body, retryAfter)
		if first.Status != status || first.RetryAfter < 0 {
			t.Fatalf("got %d, %v", first.Status, first.RetryAfter)
		}
		second := ParseRejection(status, AppendRejection(nil, first), retryAfter)
		if diff := cmp.Diff(first, second); diff != "" {
			t.Fatalf("not stable (-first +second):\n%s", diff)
		}
	})
}

func FuzzDevicePath(f *testing.F) {
	f.Add("/3/device/00fc")
	f.Add("/3/device")
	f.Fuzz(func(t *testing.T, path string) {
		hexToken, r := ParseDevicePath(path)
		if (hexToken == "") == (r == nil) {
			t.Fatalf("got %q and %v", hexToken, r)
		}
		if r == nil && devicePath+"/"+hexToken != path {
			t.Fatalf("got %q of %q", hexToken, path)
		}
		if r != nil && r.Reason != apns.BadPath && r.Reason != apns.MissingDeviceToken {
			t.Fatalf("got %v", r)
		}
	})
}
