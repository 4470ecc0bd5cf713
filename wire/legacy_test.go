package wire

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/heraldpush/herald/apns"
)

// The nouns of the legacy vectors.
const (
	legacyToken   = "00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0"
	legacyPayload = `{"aps":{"alert":"Hi"}}`
)

// legacyVector is a notification in one of the forms, and its bytes.
type legacyVector struct {
	name   string
	form   message
	parsed LegacyNotification
	hex    string // spaces are for the reader
}

func legacyVectors() []legacyVector {
	const payload = "7b22617073223a7b22616c657274223a224869227d7d"
	token := apns.DeviceToken(mustHex(legacyToken))
	full := LegacyNotification{
		DeviceToken: token, Payload: apns.Payload(legacyPayload), Identifier: 1234, Expiry: 1700000000, HasExpiry: true,
		Priority: apns.PriorityImmediate,
	}
	enhanced := full
	enhanced.Priority = 0
	bare := LegacyNotification{DeviceToken: token, Payload: apns.Payload(legacyPayload)}
	return []legacyVector{
		{
			// PHP: chr(0).pack('n',32).pack('H*',$token).pack('n',strlen($payload)).$payload
			"simple",
			LegacySimple{token, apns.Payload(legacyPayload)},
			bare,
			"00 0020 " + legacyToken + " 0016 " + payload,
		},
		{
			// PHP: pack('CNNnH*',1,$id,$expiry,32,$token).pack('n',strlen($payload)).$payload
			"enhanced",
			LegacyEnhanced{1234, 1700000000, token, apns.Payload(legacyPayload)},
			enhanced,
			"01 000004d2 6553f100 0020 " + legacyToken + " 0016 " + payload,
		},
		{
			"framed", LegacyFramed(full), full,
			"02 0000004e 01 0020 " + legacyToken + " 02 0016 " + payload + " 03 0004 000004d2 04 0004 6553f100 05 0001 0a",
		},
		{
			"framed, no more than it needs", LegacyFramed(bare), bare,
			"02 0000003c 01 0020 " + legacyToken + " 02 0016 " + payload,
		},
	}
}

func TestLegacyVectors(t *testing.T) {
	sizes := map[string]int{"simple": 59, "enhanced": 67, "framed": 83}
	for _, v := range legacyVectors() {
		t.Run(v.name, func(t *testing.T) {
			want := mustHex(v.hex)
			if size, ok := sizes[v.name]; ok && len(want) != size {
				t.Errorf("the vector has %d bytes, want %d", len(want), size)
			}
			if got := v.form.Append([]byte("before")); string(got) != "before"+string(want) {
				t.Errorf("got %x, want %x", got, want)
			}
			got, n, err := NextLegacy(append(want, 0xff))
			if diff := cmp.Diff(v.parsed, got); diff != "" || n != len(want) || err != nil {
				t.Errorf("parsed: %d bytes, %v (-want +got):\n%s", n, err, diff)
			}
			for i := range want {
				if _, n, err := NextLegacy(want[:i]); !errors.Is(err, ErrLegacyIncomplete) || n != 0 {
					t.Errorf("the first %d bytes: got %d, %v, want %v", i, n, err, ErrLegacyIncomplete)
				}
			}
		})
	}
}

// TestLegacyFramedForms reads frames that Append does not write.
func TestLegacyFramedForms(t *testing.T) {
	token, payload := "01 0020 "+legacyToken, "02 0002 7b7d"
	want := LegacyNotification{DeviceToken: apns.DeviceToken(mustHex(legacyToken)), Payload: apns.Payload("{}"), Identifier: 7}
	for _, tt := range []struct {
		name, items string
		change      func(*LegacyNotification)
	}{
		{"another order", "03 0004 00000007" + payload + token, nil},
		{"unknown items", "00 0000 00 0001 ff" + token + "06 0001 00 ff 0000" + payload + "03 0004 00000007 06 0000", nil},
		{"identifier 0", token + payload + "03 0004 00000000", func(m *LegacyNotification) { m.Identifier = 0 }},
		{"expiry 0", token + payload + "03 0004 00000007 04 0004 00000000", func(m *LegacyNotification) { m.HasExpiry = true }},
		{"priority 5", token + payload + "03 0004 00000007 05 0001 05", func(m *LegacyNotification) { m.Priority = apns.PriorityConserve }},
		{"device token of 100 bytes", "01 0064 " + strings.Repeat("ab", 100) + payload + "03 0004 00000007", func(m *LegacyNotification) {
			m.DeviceToken = apns.DeviceToken(strings.Repeat("\xab", 100))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := want
			if tt.change != nil {
				tt.change(&want)
			}
			b := framed(tt.items)
			got, n, err := NextLegacy(b)
			if diff := cmp.Diff(want, got); diff != "" || n != len(b) || err != nil {
				t.Errorf("%d bytes, %v (-want +got):\n%s", n, err, diff)
			}
		})
	}
}

// framed returns a frame with the items, given in hex.
func framed(items string) []byte {
	b := mustHex(items)
	return append(mustHex(fmt.Sprintf("02 %08x", len(b))), b...)
}

func TestLegacyRefused(t *testing.T) {
	const (
		token   = "0020" + legacyToken
		payload = "0002 7b7d"
		id      = "03 0004 000004d2"
	)
	long := strings.Repeat("20", MaxLegacyPayloadBytes+1)
	longest := strings.Repeat("20", MaxItemBytes)
	for _, tt := range []struct {
		name string
		sent []byte
		want LegacyError
	}{
		{"command 9", []byte{9}, LegacyError{LegacyUnparsable, 0}},
		{"the command of an error", []byte{8}, LegacyError{LegacyUnparsable, 0}},
		{"HTTP", []byte("P"), LegacyError{LegacyUnparsable, 0}},

		{"simple, no device token", mustHex("00 0000"), LegacyError{LegacyMissingDeviceToken, 0}},
		{"simple, device token of 101 bytes", mustHex("00 0065"), LegacyError{LegacyInvalidTokenSize, 0}},
		{"simple, device token of 65,535 bytes", mustHex("00 ffff"), LegacyError{LegacyInvalidTokenSize, 0}},
		{"simple, no payload", mustHex("00 " + token + "0000"), LegacyError{LegacyMissingPayload, 0}},
		{"simple, payload of 2,049 bytes", mustHex("00 " + token + "0801"), LegacyError{LegacyInvalidPayloadSize, 0}},

		{"enhanced, no device token", mustHex("01 000004d2 00000000 0000"), LegacyError{LegacyMissingDeviceToken, 1234}},
		{"enhanced, device token of 101 bytes", mustHex("01 000004d2 00000000 0065"), LegacyError{LegacyInvalidTokenSize, 1234}},
		{"enhanced, no payload", mustHex("01 000004d2 00000000" + token + "0000"), LegacyError{LegacyMissingPayload, 1234}},
		{"enhanced, payload of 2,049 bytes", mustHex("01 000004d2 00000000" + token + "0801"), LegacyError{LegacyInvalidPayloadSize, 1234}},
		{"enhanced, payload of 65,535 bytes", mustHex("01 000004d2 00000000" + token + "ffff"), LegacyError{LegacyInvalidPayloadSize, 1234}},

		{"framed, empty", framed(""), LegacyError{LegacyMissingDeviceToken, 0}},
		{"framed, no device token", framed("02" + payload + id), LegacyError{LegacyMissingDeviceToken, 1234}},
		{"framed, empty device token", framed("01 0000 02" + payload + id), LegacyError{LegacyMissingDeviceToken, 1234}},
		{"framed, device token of 101 bytes", framed("01 0065" + strings.Repeat("00", 101) + "02" + payload + id), LegacyError{LegacyInvalidTokenSize, 1234}},
		{"framed, no payload", framed("01" + token + id), LegacyError{LegacyMissingPayload, 1234}},
		{"framed, empty payload", framed("01" + token + id + "02 0000"), LegacyError{LegacyMissingPayload, 1234}},
		{"framed, payload of 2,049 bytes", framed("01" + token + "02 0801" + long + id), LegacyError{LegacyInvalidPayloadSize, 1234}},
		{"framed, payload of 65,535 bytes", framed("01" + token + "02 ffff" + longest + id), LegacyError{LegacyInvalidPayloadSize, 1234}},
		{"framed, two device tokens", framed(id + "01" + token + "01" + token + "02" + payload), LegacyError{LegacyUnparsable, 1234}},
		{"framed, two payloads", framed(id + "01" + token + "02" + payload + "02" + payload), LegacyError{LegacyUnparsable, 1234}},
		{"framed, identifier of 3 bytes", framed("01" + token + "02" + payload + "03 0003 000001"), LegacyError{LegacyUnparsable, 0}},
		{"framed, expiry of 8 bytes", framed(id + "01" + token + "02" + payload + "04 0008 0000000000000000"), LegacyError{LegacyUnparsable, 1234}},
		{"framed, priority of 4 bytes", framed(id + "01" + token + "02" + payload + "05 0004 0000000a"), LegacyError{LegacyUnparsable, 1234}},
		{"framed, no priority", framed(id + "01" + token + "02" + payload + "05 0000"), LegacyError{LegacyUnparsable, 1234}},
		{"framed, priority 1", framed(id + "01" + token + "02" + payload + "05 0001 01"), LegacyError{LegacyUnparsable, 1234}},
		{"framed, an item longer than the frame", framed(id + "01 0021" + legacyToken), LegacyError{LegacyUnparsable, 1234}},
		{"framed, half an item", framed(id + "01" + token + "02" + payload + "05 00"), LegacyError{LegacyUnparsable, 1234}},
		{"a frame too long", mustHex("02 00011001"), LegacyError{LegacyUnparsable, 0}},
		{"a frame of 4 GB", mustHex("02 ffffffff"), LegacyError{LegacyUnparsable, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, n, err := NextLegacy(tt.sent)
			got, ok := errors.AsType[*LegacyError](err)
			if !ok || n != 0 {
				t.Fatalf("got %d, %v, want %v", n, err, &tt.want)
			}
			if diff := cmp.Diff(tt.want, *got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestLegacyLimits reads the largest that is allowed.
func TestLegacyLimits(t *testing.T) {
	m := LegacyNotification{
		DeviceToken: apns.DeviceToken(strings.Repeat("t", apns.MaxDeviceTokenBytes)), Payload: bytes.Repeat([]byte("p"), MaxLegacyPayloadBytes),
		Identifier: math.MaxUint32, Expiry: math.MaxUint32, HasExpiry: true, Priority: apns.PriorityConserve,
	}
	b := LegacyFramed(m).Append(nil)
	b = append(b, 9)
	b = append(b, make([]byte, 2)...)
	filling := maxLegacyFrameBytes - (len(b) - legacyFrameHeaderBytes)
	for filling > MaxItemBytes {
		filling -= 3 + 1000
		b = append(append(b, 9, 1000>>8, 1000&0xff), make([]byte, 1000)...)
	}
	b = append(append(b, 9, byte((filling-3)>>8), byte(filling-3)), make([]byte, filling-3)...)
	copy(b[1:], mustHex(fmt.Sprintf("%08x", maxLegacyFrameBytes)))
	got, n, err := NextLegacy(b)
	if diff := cmp.Diff(m, got); diff != "" || n != MaxLegacyBytes || err != nil {
		t.Errorf("%d bytes, %v (-want +got):\n%s", n, err, diff)
	}
}

func TestLegacyError(t *testing.T) {
	m := LegacyError{LegacyInvalidToken, 1234}
	want := mustHex("08 08 000004d2")
	if got := m.Append(nil); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	if got, n, err := ParseLegacyError(append(want, 1)); got != m || n != LegacyErrorBytes || err != nil {
		t.Errorf("parsed: got %+v, %d, %v, want %+v", got, n, err, m)
	}
	for i := range want {
		if _, n, err := ParseLegacyError(want[:i]); !errors.Is(err, ErrLegacyIncomplete) || n != 0 {
			t.Errorf("the first %d bytes: got %d, %v", i, n, err)
		}
	}
	if _, _, err := ParseLegacyError([]byte{1}); err == nil || errors.Is(err, ErrLegacyIncomplete) {
		t.Errorf("another command: got %v, want an error", err)
	}
	if got, want := m.Error(), "legacy interface: notification 1234: invalid token (8)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := LegacyStatus(9).String(), "status 9"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFeedbackTuple(t *testing.T) {
	m := FeedbackTuple{time.Unix(1700000000, 0).UTC(), apns.DeviceToken(mustHex(legacyToken))}
	want := mustHex("6553f100 0020 " + legacyToken)
	if len(want) != 38 {
		t.Errorf("the vector has %d bytes, want 38", len(want))
	}
	if got := m.Append(nil); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	got, n, err := ParseFeedbackTuple(append(want, 0xff))
	if diff := cmp.Diff(m, got); diff != "" || n != len(want) || err != nil {
		t.Errorf("parsed: %d bytes, %v (-want +got):\n%s", n, err, diff)
	}
	for i := range want {
		if _, n, err := ParseFeedbackTuple(want[:i]); !errors.Is(err, ErrLegacyIncomplete) || n != 0 {
			t.Errorf("the first %d bytes: got %d, %v", i, n, err)
		}
	}
	for _, length := range []string{"0000", "0065", "ffff"} {
		if _, n, err := ParseFeedbackTuple(mustHex("6553f100" + length)); !errors.Is(err, ErrFeedbackMalformed) || n != 0 {
			t.Errorf("length %s: got %d, %v, want %v", length, n, err, ErrFeedbackMalformed)
		}
	}
	for _, tt := range []struct {
		at   time.Time
		want string
	}{{time.Time{}, "00000000"}, {time.Unix(1<<32, 0), "ffffffff"}, {time.Unix(1, 999_999_999), "00000001"}} {
		if got := (FeedbackTuple{tt.at, "t"}).Append(nil); !bytes.HasPrefix(got, mustHex(tt.want)) {
			t.Errorf("%v: got %x, want %s", tt.at, got, tt.want)
		}
	}
}

// TestLegacyRoundTrip writes and reads streams of all forms, cut at random.
func TestLegacyRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var stream []byte
		var want []LegacyNotification
		for range rapid.IntRange(1, 5).Draw(t, "notifications") {
			m := LegacyNotification{
				DeviceToken: apns.DeviceToken(rapid.SliceOfN(rapid.Byte(), 1, apns.MaxDeviceTokenBytes).Draw(t, "device token")),
				Payload:     rapid.SliceOfN(rapid.Byte(), 1, 100).Draw(t, "payload"),
			}
			switch rapid.IntRange(0, 2).Draw(t, "form") {
			case 0:
				stream = LegacySimple{m.DeviceToken, m.Payload}.Append(stream)
			case 1:
				m.Identifier, m.Expiry, m.HasExpiry = rapid.Uint32().Draw(t, "identifier"), rapid.Uint32().Draw(t, "expiry"), true
				stream = LegacyEnhanced{m.Identifier, m.Expiry, m.DeviceToken, m.Payload}.Append(stream)
			default:
				m.Identifier = rapid.Uint32().Draw(t, "identifier")
				if m.HasExpiry = rapid.Bool().Draw(t, "has expiry"); m.HasExpiry {
					m.Expiry = rapid.Uint32().Draw(t, "expiry")
				}
				m.Priority = rapid.SampledFrom([]apns.Priority{0, apns.PriorityConserve, apns.PriorityImmediate}).Draw(t, "priority")
				stream = LegacyFramed(m).Append(stream)
			}
			want = append(want, m)
		}
		var got []LegacyNotification
		for at, end := 0, 0; at < len(stream); {
			m, n, err := NextLegacy(stream[at:end])
			if errors.Is(err, ErrLegacyIncomplete) {
				end = min(len(stream), end+rapid.IntRange(1, 200).Draw(t, "read"))
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			got, at = append(got, m), at+n
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}

func FuzzLegacy(f *testing.F) {
	for _, v := range legacyVectors() {
		f.Add(mustHex(v.hex))
	}
	f.Add(mustHex("02 00011000"))
	f.Add(framed("03 0004 000004d2 01 0001 00 02 0001 00 09 0000"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, n, err := NextLegacy(b)
		_, isRefused := errors.AsType[*LegacyError](err)
		switch {
		case err != nil:
			if n != 0 || !isRefused && !errors.Is(err, ErrLegacyIncomplete) {
				t.Fatalf("got %d, %v", n, err)
			}
			if !isRefused && len(b) >= MaxLegacyBytes {
				t.Fatalf("incomplete after %d bytes, at most %d are needed", len(b), MaxLegacyBytes)
			}
			return
		case n > len(b), n > MaxLegacyBytes:
			t.Fatalf("got %d bytes out of %d", n, len(b))
		}
		if _, _, err := NextLegacy(b[:n-1]); !errors.Is(err, ErrLegacyIncomplete) {
			t.Fatalf("without its last byte: got %v", err)
		}
		again, size, err := NextLegacy(LegacyFramed(m).Append(nil))
		if diff := cmp.Diff(m, again); diff != "" || err != nil || size > MaxLegacyBytes {
			t.Fatalf("written and read again: %v (-want +got):\n%s", err, diff)
		}
	})
}

func FuzzFeedbackTuple(f *testing.F) {
	f.Add(mustHex("6553f100 0020 " + legacyToken))
	f.Add(mustHex("ffffffff 0065"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, n, err := ParseFeedbackTuple(b)
		if err != nil {
			if n != 0 || !errors.Is(err, ErrFeedbackMalformed) && !errors.Is(err, ErrLegacyIncomplete) {
				t.Fatalf("got %d, %v", n, err)
			}
			return
		}
		if got := m.Append(nil); n > MaxFeedbackTupleBytes || !bytes.Equal(got, b[:n]) {
			t.Fatalf("got %x, want %x", got, b[:n])
		}
	})
}

func FuzzLegacyError(f *testing.F) {
	f.Add(mustHex("08 08 000004d2"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, n, err := ParseLegacyError(b)
		if err != nil {
			if n != 0 {
				t.Fatalf("got %d, %v", n, err)
			}
			return
		}
		if got := m.Append(nil); !bytes.Equal(got, b[:n]) {
			t.Fatalf("got %x, want %x", got, b[:n])
		}
	})
}

// TestLegacyAllocations reads a notification with no more than its device token.
func TestLegacyAllocations(t *testing.T) {
	for _, v := range legacyVectors() {
		b := mustHex(v.hex)
		if got := testing.AllocsPerRun(100, func() {
			if _, _, err := NextLegacy(b); err != nil {
				t.Fatal(err)
			}
		}); got > 1 {
			t.Errorf("%s: got %v allocations, want at most 1", v.name, got)
		}
	}
}
