package apns_test

import (
	"testing"

	"github.com/heraldpush/herald/apns"
)

func TestParseEnvironment(t *testing.T) {
	tests := []struct {
		in   string
		want apns.Environment // zero for an error
	}{
		{"sandbox", apns.Sandbox},
		{"development", apns.Sandbox},
		{"production", apns.Production},
		{"", 0},
		{"Production", 0},
	}
	for _, tt := range tests {
		got, err := apns.ParseEnvironment(tt.in)
		if got != tt.want || (err == nil) != (tt.want != 0) {
			t.Errorf("%q: got %v, %v, want %v", tt.in, got, err, tt.want)
		}
	}
}

func TestEnvironmentText(t *testing.T) {
	for _, e := range apns.Environments {
		text, err := e.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var got apns.Environment
		if err := got.UnmarshalText(text); err != nil || got != e {
			t.Errorf("%s: got %v, %v back", text, got, err)
		}
	}
}
