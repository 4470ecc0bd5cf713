package wire

import (
	"bytes"
	"encoding/base64"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/heraldpush/herald/apns"
)

func drawChannelID(t *rapid.T) apns.ChannelID {
	return apns.ChannelID(base64.StdEncoding.EncodeToString(rapid.SliceOfN(rapid.Byte(), 0, maxChannelBytes).Draw(t, "channel")))
}

func drawAppSubscriptions(t *rapid.T) AppSubscriptions {
	return AppSubscriptions{
		App: apns.Topic(drawString(t, "app")),
		Subscribe: drawList(t, 3, func(t *rapid.T) ChannelSubscription {
			s := ChannelSubscription{Channel: drawChannelID(t), HasReplay: rapid.Bool().Draw(t, "has replay")}
			if s.HasReplay {
				s.Replay = rapid.Uint64().Draw(t, "replay")
			} else {
				s.Checkpoint = rapid.Uint64().Draw(t, "checkpoint")
			}
			return s
		}),
		Unsubscribe: drawList(t, 3, drawChannelID),
	}
}

func drawAppChannelResults(t *rapid.T) AppChannelResults {
	return AppChannelResults{
		App: apns.Topic(drawString(t, "app")),
		Channels: drawList(t, 3, func(t *rapid.T) ChannelResult {
			return ChannelResult{
				Channel: drawChannelID(t), Status: ChannelStatus(rapid.Byte().Draw(t, "status")), Checkpoint: rapid.Uint64().Draw(t, "checkpoint"),
			}
		}),
	}
}

// channelMessages are the protobuf messages of the vectors, each with a parser of
// its frame.
var channelMessages = map[string]struct {
	message string
	parse   func([]byte) (message, error)
}{
	"Subscriptions": {
		"0801 121b 0a03612e62 1208 0a03010203 10ac02 1205 0a0104 2001 1a03 0a0105 1801 2002",
		func(b []byte) (message, error) { return ParseSubscriptions(b) },
	},
	"SubscriptionsResponse": {
		"0a18 0a03612e62 120a 0a03010203 1001 18ac02 1205 0a0104 1000",
		func(b []byte) (message, error) { return ParseSubscriptionsResponse(b) },
	},
	"ChannelUpdate": {
		"0a0e 0a03612e62 1207 0a03010203 1000 1202 0800",
		func(b []byte) (message, error) { return ParseChannelUpdate(b) },
	},
	"Notification": {
		"0a03010203 10ac02",
		func(b []byte) (message, error) {
			m, err := ParseNotification(b)
			if err == nil && m.Channel == "" {
				err = ErrMalformed // as it is for the others
			}
			return m, err
		},
	},
}

// payloadOf returns a payload with the items that any of the messages needs.
func payloadOf(message []byte) []byte {
	return appendUint8(appendUint32(appendItem(appendItem(nil, 2, message), 29, message), 4, 1), 4, 0)
}

// TestProtobufPrefixes proves that a cut message is refused, or is another one.
func TestProtobufPrefixes(t *testing.T) {
	for name, c := range channelMessages {
		t.Run(name, func(t *testing.T) {
			whole := mustHex(c.message)
			want, err := c.parse(payloadOf(whole))
			if err != nil {
				t.Fatal(err)
			}
			refused := 0
			for n := range len(whole) {
				got, err := c.parse(payloadOf(whole[:n]))
				switch {
				case err == nil && cmp.Equal(got, want):
					t.Errorf("cut to %d bytes: taken for the whole", n)
				case err != nil && !errors.Is(err, ErrMalformed):
					t.Errorf("cut to %d bytes: got %v, want ErrMalformed", n, err)
				case err != nil:
					refused++
				}
			}
			if refused < len(whole)/2 {
				t.Errorf("%d of %d prefixes were refused, want most", refused, len(whole))
			}
		})
	}
}

// TestProtobufUnknownFields proves that fields of every kind that have no meaning
// are skipped, and a field of another kind than it should have.
func TestProtobufUnknownFields(t *testing.T) {
	unknown := mustHex("7807 790102030405060708 7a020102 7d01020304" + // field 15 of each kind
		"9a060161" + // field 99
		"8a80808080200161") // the highest number there is, in a long form
	for name, c := range channelMessages {
		t.Run(name, func(t *testing.T) {
			whole := mustHex(c.message)
			want, err := c.parse(payloadOf(whole))
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range [][]byte{slices.Concat(unknown, whole), slices.Concat(whole, unknown)} {
				got, err := c.parse(payloadOf(b))
				if diff := cmp.Diff(want, got); err != nil || diff != "" {
					t.Errorf("got %v (-want +got):\n%s", err, diff)
				}
			}
			for _, other := range []string{"0d01020304", "15 01020304", "1d01020304", "25 01020304"} { // fields 1 to 4 in four bytes
				got, err := c.parse(payloadOf(slices.Concat(whole, mustHex(other))))
				if diff := cmp.Diff(want, got); err != nil || diff != "" {
					t.Errorf("%s: got %v (-want +got):\n%s", other, err, diff)
				}
			}
		})
	}
}

func TestProtobufRefused(t *testing.T) {
	for name, b := range map[string][]byte{
		"a group":                   mustHex("7b 7c"),
		"kind 6":                    mustHex("7e"),
		"kind 7":                    mustHex("7f"),
		"a key without end":         bytes.Repeat([]byte{0x80}, 5),
		"a number of 11 bytes":      append(mustHex("78"), append(bytes.Repeat([]byte{0x80}, 10), 1)...),
		"a length past the end":     mustHex("7a05 01"),
		"a length beyond all":       mustHex("7affffffffffffffffff01"),
		"eight bytes cut short":     mustHex("79 01020304"),
		"four bytes cut short":      mustHex("7d 010203"),
		"a broken message within":   mustHex("0a017a 12017a"),
		"more channels than may be": bytes.Repeat(mustHex("0a00 1200"), MaxSubscriptions+1),
	} {
		t.Run(name, func(t *testing.T) {
			for kind, c := range channelMessages {
				within := name == "a broken message within" || name == "more channels than may be"
				if within && kind == "Notification" {
					continue // it has none
				}
				if m, err := c.parse(payloadOf(b)); !errors.Is(err, ErrMalformed) {
					t.Errorf("%s: got %+v, %v, want ErrMalformed", kind, m, err)
				}
			}
		})
	}
}

// TestBrokenChannelOfNotification proves that a notification is read even if what
// it says of its channel can not be.
func TestBrokenChannelOfNotification(t *testing.T) {
	for _, b := range []string{"", "7a05", "0a00", "10ac02", "0d01020304"} {
		m, err := ParseNotification(appendItem(appendUint32(nil, 4, 7), 29, mustHex(b)))
		if err != nil || m.MessageID != 7 || m.Channel != "" || m.Checkpoint != 0 {
			t.Errorf("%q: got %+v, %v, want it without a channel", b, m, err)
		}
	}
}

// TestChannelIDsThatCannotBe proves that what is no channel ID leaves the place
// empty, both ways, and does no harm to the others.
func TestChannelIDsThatCannotBe(t *testing.T) {
	long := appendItem(nil, 0, bytes.Repeat([]byte{1}, maxChannelBytes+1))[itemHeaderBytes:]
	one, at := beginField(nil, 1)
	one = endField(append(one, long...), at)
	app, at := beginField(nil, 2)
	app, sub := beginField(app, 2)
	app = endField(endField(append(app, one...), sub), at)
	m, err := ParseSubscriptions(appendItem(nil, 2, app))
	if err != nil || len(m.Apps) != 1 || len(m.Apps[0].Subscribe) != 1 || m.Apps[0].Subscribe[0].Channel != "" {
		t.Errorf("got %+v, %v, want one without a channel", m, err)
	}
	for _, id := range []apns.ChannelID{"A", "*&^%", "AAAAA"} {
		b := []byte("before")
		if got := appendChannelID(b, id); string(got) != "before" {
			t.Errorf("%q: got %q", id, got)
		}
	}
}

// TestItemTooLong proves that what does not fit into an item is left out.
func TestItemTooLong(t *testing.T) {
	m := SubscriptionsResponse{RequestID: 1, Apps: []AppChannelResults{{Channels: make([]ChannelResult, 1<<15)}}}
	f, _, err := NextFrame(m.Append(nil), MaxPayloadBytes)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ParseSubscriptionsResponse(f.Payload); err != nil || got.Apps != nil || got.RequestID != 1 {
		t.Errorf("got %+v, %v, want it without the apps", got, err)
	}
}
