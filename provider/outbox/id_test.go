package outbox

import (
	"bytes"
	"cmp"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/heraldpush/herald/apns"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func TestMessageID(t *testing.T) {
	for id, want := range map[MessageID]string{
		{}: "msg_00000000000000000000000000",
		MessageID(bytes.Repeat([]byte{0xff}, 16)): "msg_7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
		{0: 1, 15: 33}: "msg_01000000000000000000000011",
	} {
		if got := id.String(); got != want {
			t.Errorf("%x: got %s, want %s", id[:], got, want)
		}
	}
	id := NewMessageID(noon)
	if got := id.Time(); !got.Equal(noon) {
		t.Errorf("got time %v, want %v", got, noon)
	}
	if again := NewMessageID(noon); again == id {
		t.Errorf("got %v twice", id)
	}
	b, err := json.Marshal(map[string]MessageID{"id": id})
	if err != nil {
		t.Fatal(err)
	}
	var back map[string]MessageID
	if err := json.Unmarshal(b, &back); err != nil || back["id"] != id {
		t.Errorf("got %v, %v, want %v", back, err, id)
	}
}

// TestMessageIDText proves that text and ID say the same, and sort the same.
func TestMessageIDText(t *testing.T) {
	draw := rapid.Custom(func(t *rapid.T) (id MessageID) {
		copy(id[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes"))
		return id
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw.Draw(t, "a"), draw.Draw(t, "b")
		for _, text := range []string{a.String(), "msg_" + strings.ToLower(a.String()[4:])} {
			if got, err := ParseMessageID(text); err != nil || got != a {
				t.Fatalf("%s: got %x, %v, want %x", text, got[:], err, a[:])
			}
		}
		if cmp.Compare(a.String(), b.String()) != bytes.Compare(a[:], b[:]) {
			t.Fatalf("%v and %v sort otherwise than their texts", a, b)
		}
	})
}

func TestParseMessageIDRefuses(t *testing.T) {
	good := NewMessageID(noon).String()
	for _, s := range []string{"", "msg_", good[4:], good + "0", good[:29], "dev_" + good[4:], "msg_8" + good[5:], good[:29] + "U", good[:29] + "é"} {
		if id, err := ParseMessageID(s); err == nil {
			t.Errorf("%q: got %v, want an error", s, id)
		}
	}
}

// TestNotificationID pins the derivation: a change of it would send again what was
// sent before an update.
func TestNotificationID(t *testing.T) {
	m := MessageID{1, 2, 3}
	got := NotificationID(m, apns.Production, "\xaa\xbb")
	if want := apns.NotificationID("ba0e6b1b-fae5-8e85-9dbc-e56c0e1498f4"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	seen := map[apns.NotificationID]bool{got: true}
	for _, id := range []apns.NotificationID{
		NotificationID(MessageID{1, 2, 4}, apns.Production, "\xaa\xbb"),
		NotificationID(m, apns.Sandbox, "\xaa\xbb"),
		NotificationID(m, apns.Production, "\xaa\xbc"),
		NotificationID(m, apns.Production, "\xaa\xbb\x00"),
	} {
		if seen[id] || !id.Valid() || id[14] != '8' || !strings.ContainsRune("89ab", rune(id[19])) {
			t.Errorf("got %s, want another UUID of version 8", id)
		}
		seen[id] = true
	}
	if n := testing.AllocsPerRun(100, func() { NotificationID(m, apns.Production, "\xaa\xbb") }); n > 1 {
		t.Errorf("got %v allocations, want that of the text", n)
	}
}

func TestReceipts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(rapid.Uint8Range(0, 3), 0, 40).Draw(t, "receipts")
		r := NewReceipts(len(want))
		cursor, tally := len(want), Tally{}
		for rank, to := range want {
			r.Set(rank, Rejected) // what is there is replaced
			r.Set(rank, Receipt(to))
			tally[to]++
			if to == 0 {
				cursor = min(cursor, rank)
			}
		}
		back, err := ParseReceipts(len(want), r.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		for rank, to := range want {
			if r.Get(rank) != Receipt(to) || back.Get(rank) != Receipt(to) {
				t.Fatalf("rank %d: got %v and %v, want %v", rank, r.Get(rank), back.Get(rank), Receipt(to))
			}
		}
		if r.Cursor() != cursor || r.Count() != tally || r.Len() != len(want) {
			t.Fatalf("got cursor %d, %v, want %d, %v", r.Cursor(), r.Count(), cursor, tally)
		}
	})
}

func TestParseReceiptsRefuses(t *testing.T) {
	for n, b := range map[int][]byte{-1: nil, 1: nil, 4: {1, 1}, 3: {0x40}, 5: {0, 4}} {
		if _, err := ParseReceipts(n, b); err == nil {
			t.Errorf("%d receipts of %x: got no error", n, b)
		}
	}
}
