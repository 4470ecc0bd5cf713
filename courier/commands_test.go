package courier_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/wire"
)

func TestFlush(t *testing.T) {
	bubble(t, func(s *service) {
		t := s.t
		d := s.login(s.newIdentity(), "")
		for _, tt := range []struct{ wanted, got uint16 }{{0, 0}, {1, 1}, {128, 128}, {1024, 1024}, {1025, 1024}, {65535, 1024}} {
			d.send(frame(wire.CommandFlush, item(1, u16(tt.wanted)), item(2, make([]byte, 64))))
			if got := d.want(wire.CommandFlushResponse); !bytes.Equal(got[2], make([]byte, tt.got)) {
				t.Errorf("wanted %d zeros: got %d bytes, want %d", tt.wanted, len(got[2]), tt.got)
			}
		}
		d.send(frame(wire.CommandFlush))
		d.want(wire.CommandFlushResponse)
		d.send(frame(wire.CommandFlushResponse, item(2, make([]byte, 64))))
		d.wantNothing()
	})
}

// TestSendMessage checks that each message is answered once and in order.
func TestSendMessage(t *testing.T) {
	bubble(t, func(s *service) {
		t := s.t
		d := s.login(s.newIdentity(), "")
		hash := apns.Topic("com.apple.madrid").Hash()
		for i := range uint32(5) {
			d.send(frame(wire.CommandNotification, item(4, u32(i)), item(1, hash[:]), item(2, []byte(d.base)), item(3, []byte("{}"))))
		}
		for i := range uint32(5) {
			got := d.want(wire.CommandAck)
			if diff := cmp.Diff(map[uint8]int{8: 1, 6: 8, 4: 4, 1: 32}, widths(got)); diff != "" {
				t.Fatalf("items of SendMessageAck (-want +got):\n%s", diff)
			}
			if got[8][0] != 3 || !bytes.Equal(got[4], u32(i)) || string(got[1]) != string(d.base) {
				t.Errorf("SendMessageAck is %x, want status 3, id %d and the token", got, i)
			}
		}
		d.send(frame(wire.CommandNotification))
		if got := d.want(wire.CommandAck); got[8][0] != 3 || len(got) != 2 {
			t.Errorf("SendMessageAck is %x, want status 3 and a timestamp", got)
		}
		d.wantNothing()
	})
}

// TestIgnored checks the commands that a courier has no use for.
func TestIgnored(t *testing.T) {
	bubble(t, func(s *service) {
		d := s.login(s.newIdentity(), "")
		for _, c := range []wire.Command{0, 1, 8, 13, 14, 18, 19, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 0x47, 0xff} {
			for _, f := range [][]byte{frame(c), frame(c, item(1, u32(60)), item(250, make([]byte, 1000)))} {
				d.send(f)
				d.wantNothing()
			}
		}
		d.ready()
	})
}

func TestKeepAlive(t *testing.T) {
	bubble(t, func(s *service) {
		t := s.t
		d := s.login(s.newIdentity(), "")
		for _, f := range [][]byte{
			frame(wire.CommandKeepAlive),
			frame(wire.CommandKeepAlive, item(1, []byte("WiFi")), item(2, []byte("17.0")), item(3, []byte("21A329")), item(4, []byte("iPhone15,2")), item(5, []byte("10"))),
			frame(wire.CommandKeepAlive, item(6, []byte("0"))),     // a delay of nothing is none
			frame(wire.CommandKeepAlive, item(6, []byte("86401"))), // nor is one of more than a day
			frame(wire.CommandKeepAlive, item(5, []byte("no number")), item(99, nil)),
		} {
			d.send(f)
			if got := d.want(wire.CommandKeepAliveResponse); len(got) != 0 {
				t.Errorf("KeepAliveResponse is %x, want nothing", got)
			}
		}
		d.wantNothing()
	})
}

func TestAppToken(t *testing.T) {
	bubble(t, func(s *service) {
		t := s.t
		d := s.login(s.newIdentity(), "")
		other := s.login(s.newIdentity(), "")
		hash := alertTopic.Hash()
		topic, base := item(2, hash[:]), item(1, []byte(d.base))
		for _, tt := range []struct {
			name  string
			items [][]byte
			want  wire.AppTokenStatus
		}{
			{"ordinary", [][]byte{topic, base}, wire.AppTokenOK},
			{"with a lifetime", [][]byte{topic, base, item(5, u32(3600))}, wire.AppTokenOK},
			{"nothing", nil, wire.AppTokenInvalid},
			{"no topic", [][]byte{base}, wire.AppTokenInvalid},
			{"salted topic", [][]byte{item(2, make([]byte, 32)), base}, wire.AppTokenInvalid},
			{"web push", [][]byte{topic, base, item(4, u16(2))}, wire.AppTokenInvalid},
			{"no base token", [][]byte{topic}, wire.AppTokenUnknownDevice},
			{"base token of another device", [][]byte{topic, item(1, []byte(other.base))}, wire.AppTokenUnknownDevice},
		} {
			d.send(frame(wire.CommandAppToken, tt.items...))
			got := d.want(wire.CommandAppTokenResponse)
			if got[1][0] != byte(tt.want) || (len(got[2]) == 32) != (tt.want == wire.AppTokenOK) {
				t.Errorf("%s: got status %d and %d bytes, want status %d", tt.name, got[1][0], len(got[2]), tt.want)
			}
		}
		if d.token(alertTopic) == other.token(alertTopic) {
			t.Error("two devices have one device token")
		}
	})
}

// TestAppTokensBounded checks that one connection cannot fill the registry.
func TestAppTokensBounded(t *testing.T) {
	bubble(t, func(s *service) {
		t := s.t
		const most = 4096
		d := s.login(s.newIdentity(), "")
		h := alertTopic.Hash()
		for range most {
			d.token(alertTopic)
		}
		d.send(frame(wire.CommandAppToken)) // costs nothing, and does not count
		d.want(wire.CommandAppTokenResponse)
		d.send(frame(wire.CommandAppToken, item(2, h[:]), item(1, []byte(d.base))))
		if got := d.want(wire.CommandAppTokenResponse); got[1][0] != byte(wire.AppTokenTooMany) {
			t.Errorf("got status %d, want %d", got[1][0], wire.AppTokenTooMany)
		}
	})
}
