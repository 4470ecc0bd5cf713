package apns_test

import (
	"strings"
	"testing"

	"github.com/heraldpush/herald/apns"
)

func TestParseDeviceToken(t *testing.T) {
	tests := []struct {
		name, in string
		want     apns.DeviceToken
		err      string // part of it; empty for none
	}{
		{"lower case", "00fc13ad", "\x00\xfc\x13\xad", ""},
		{"upper case", "00FC13AD", "\x00\xfc\x13\xad", ""},
		{"longest", strings.Repeat("ab", 100), apns.DeviceToken(strings.Repeat("\xab", 100)), ""},
		{"empty", "", "", "empty"},
		{"too long", strings.Repeat("ab", 101), "", "202 characters, at most 200"},
		{"odd", "abc", "", "3 hex digits, an odd number"},
		{"no hex", "zz", "", "not hex"},
		{"as Xcode printed it", "<00fc13ad 00fc13ad>", "", "odd number"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := apns.ParseDeviceToken(tt.in)
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("got error %v, want %q", err, tt.err)
			}
			if got != tt.want {
				t.Errorf("got %x, want %x", got, tt.want)
			}
			if err != nil && len(tt.in) > 3 && strings.Contains(err.Error(), tt.in) {
				t.Errorf("the error repeats the device token: %v", err)
			}
			if err == nil && got.Hex() != strings.ToLower(tt.in) {
				t.Errorf("got hex %s, want %s", got.Hex(), strings.ToLower(tt.in))
			}
		})
	}
}

func TestBaseTokenHex(t *testing.T) {
	if got, want := apns.BaseToken("\x00\xff").Hex(), "00ff"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
