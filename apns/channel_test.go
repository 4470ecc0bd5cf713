package apns_test

import (
	"strings"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
)

// channelIDs has what may stand in an apns-channel-id header, with a part of
// the error; empty for none.
var channelIDs = map[string]string{
	"dHN0LXNyY2gtY2hubA==":     "",
	"AAAA":                     "",
	"a+/b":                     "",
	strings.Repeat("AbC/", 32): "",
	strings.Repeat("AbC/", 33): "132 characters, at most 128",
	"":                         "empty",
	"dHN0LXNyY2gtY2hubA":       "18 characters",
	"dHN0LXNyY2gtY2hubA===":    "21 characters",
	"dHN0-XNyY2gt":             "not base64",
	"====":                     "not base64",
	"A===":                     "not base64",
	"AA=A":                     "not base64",
	"AA\n\n":                   "line break",
	"AAAA\r\n==":               "line break",
	" AAA":                     "not base64",
	"AAA\x00":                  "not base64",
	"ääää":                     "not base64",
}

func TestParseChannelID(t *testing.T) {
	for in, want := range channelIDs {
		got, err := apns.ParseChannelID(in)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got error %v, want %q", in, err, want)
		}
		if err == nil && string(got) != in || err != nil && got != "" {
			t.Errorf("%q: got %q", in, got)
		}
	}
}

func TestNewChannelID(t *testing.T) {
	seen := make(map[apns.ChannelID]bool)
	for range 1000 {
		id := apns.NewChannelID()
		if _, err := apns.ParseChannelID(string(id)); err != nil || len(id) != 24 || seen[id] {
			t.Fatalf("%q: got error %v, seen before %t", id, err, seen[id])
		}
		seen[id] = true
	}
}

func FuzzParseChannelID(f *testing.F) {
	for s := range channelIDs {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := apns.ParseChannelID(s)
		if err != nil {
			return
		}
		if string(id) != s || len(s) > apns.MaxChannelIDBytes || strings.ContainsAny(s, "\r\n\x00 \"\\") {
			t.Errorf("%q became %q", s, id)
		}
	})
}

func TestStoragePolicy(t *testing.T) {
	for p, want := range map[apns.StoragePolicy]string{
		apns.NoMessageStored: "no message stored", apns.MostRecentMessageStored: "most recent message stored", 2: "StoragePolicy(2)",
	} {
		if got := p.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if got := p.Known(); got != (p < 2) {
			t.Errorf("%v: got known %t", p, got)
		}
	}
}

func TestChannelDeadline(t *testing.T) {
	at := time.Unix(1700000000, 500)
	for _, tt := range []struct {
		name string
		e    apns.Expiration
		want time.Time
	}{
		{"none", apns.Expiration{}, at.Add(8 * time.Hour)},
		{"later than the service keeps it", apns.ExpiresAt(at.Add(9 * time.Hour)), at.Add(8 * time.Hour)},
		{"earlier", apns.ExpiresAt(at.Add(time.Hour)), time.Unix(1700003600, 0)},
		{"the largest there is", mustParse(t, "9223372036854775807"), at.Add(8 * time.Hour)},
	} {
		if got := tt.e.ChannelDeadline(at); !got.Equal(tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func mustParse(t *testing.T, s string) apns.Expiration {
	t.Helper()
	e, ok := apns.ParseExpiration(s)
	if !ok {
		t.Fatalf("%q is no expiration", s)
	}
	return e
}
