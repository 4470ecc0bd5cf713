package wire

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestNextFrame(t *testing.T) {
	for _, tt := range []struct {
		name    string
		bytes   string // hex
		limit   int
		command Command
		payload int // its size
		err     error
	}{
		{"nothing", "", 10, 0, 0, ErrIncomplete},
		{"part of a header", "07 000000", 10, 0, 0, ErrIncomplete},
		{"header of a payload to come", "07 00000001", 10, 0, 0, ErrIncomplete},
		{"empty payload", "0c 00000000", 10, CommandKeepAlive, 0, nil},
		{"payload at the limit", "0c 00000003 010000", 3, CommandKeepAlive, 3, nil},
		{"two frames", "0d 00000000 0c 00000000", 10, CommandKeepAliveResponse, 0, nil},
		{"unknown command", "ff 00000000", 10, 0xff, 0, nil},
		{"top bit of the length", "07 80000000", MaxPayloadBytes, 0, 0, ErrMalformed},
		{"largest length", "07 ffffffff", MaxPayloadBytes, 0, 0, ErrMalformed},
		{"payload over the limit, yet to come", "0c 00000004", 3, 0, 0, ErrMalformed},
		{"longest that a Connect may have", "07 00008000", MaxConnectPayloadBytes, 0, 0, ErrIncomplete},
		{"longer than a Connect may be", "07 00008001", MaxConnectPayloadBytes, 0, 0, ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, n, err := NextFrame(mustHex(tt.bytes), tt.limit)
			if !errors.Is(err, tt.err) {
				t.Fatalf("got %v, want %v", err, tt.err)
			}
			wantN := HeaderBytes + tt.payload
			if err != nil {
				wantN = 0
			}
			if f.Command != tt.command || len(f.Payload) != tt.payload || n != wantN {
				t.Errorf("got %v, %d bytes of payload, %d in all, want %v, %d, %d", f.Command, len(f.Payload), n, tt.command, tt.payload, wantN)
			}
		})
	}
}

// A payload that the next frame follows must not be written to by append.
func TestPayloadHasNoRoom(t *testing.T) {
	b := mustHex("0c 00000003 010000 0d 00000000")
	f, _, err := NextFrame(b, 10)
	if err != nil {
		t.Fatal(err)
	}
	_ = append(f.Payload, 0xff)
	if b[8] != 0x0d {
		t.Error("append to a payload overwrote the next frame")
	}
}

// An item that runs past the end makes the frame invalid, whatever the message
// and whatever came before.
func TestItemPastTheEnd(t *testing.T) {
	for _, c := range codecs {
		for _, payload := range []string{"01", "0100", "01 0020", "01 0001", "63 0000 01 0002 00", "63 ffff"} {
			t.Run(fmt.Sprintf("%s %s", c.name, payload), func(t *testing.T) {
				m, err := c.parse(mustHex(payload))
				malformed, ok := errors.AsType[*MalformedError](err)
				if !ok || m != nil {
					t.Fatalf("got %v, %v, want a MalformedError", m, err)
				}
				if malformed.Command != c.command {
					t.Errorf("got command %v, want %v", malformed.Command, c.command)
				}
			})
		}
	}
}

func TestMalformedErrorSaysWhatAndWhere(t *testing.T) {
	_, _, err := NextFrame(mustHex("07 00000009"), 8)
	if want := "courier frame Connect: malformed: 9 bytes of payload, at most 8 are allowed"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestCommand(t *testing.T) {
	known := map[Command]string{}
	for c := range 256 {
		c := Command(c)
		name := c.String()
		if c.Known() == strings.HasPrefix(name, "Command(") {
			t.Errorf("%d: Known is %v, its name %s", uint8(c), c.Known(), name)
		}
		if c.Known() {
			known[c] = name
		}
	}
	if got, want := len(known), 25; got != want {
		t.Errorf("got %d known commands, want %d", got, want)
	}
	for c, want := range map[Command]string{7: "Connect", 10: "Notification", 18: "AppTokenResponse", 34: "CancelKeepAlive", 26: "Command(26)", 255: "Command(255)"} {
		if got := c.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	for _, c := range codecs {
		if !c.command.Known() {
			t.Errorf("%s has the unknown command %d", c.name, uint8(c.command))
		}
	}
}
