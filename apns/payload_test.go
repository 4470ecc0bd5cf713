package apns_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
)

var payloads = []struct {
	name, in string
	want     apns.Alert
	err      error
}{
	{"empty object", `{}`, apns.Alert{}, nil},
	{"text", `{"aps":{"alert":"Hello"}}`, apns.Alert{Body: "Hello"}, nil},
	{
		"everything",
		` {"aps":{"alert":{"title":"T","subtitle":"S","body":"B"},"sound":"default","badge":3,"content-available":1},"x":[1]}` + "\n",
		apns.Alert{Title: "T", Subtitle: "S", Body: "B", Sound: "default", Badge: new(3), ContentAvailable: true},
		nil,
	},
	{"badge cleared", `{"aps":{"badge":0}}`, apns.Alert{Badge: new(0)}, nil},
	{"no badge", `{"aps":{"badge":null}}`, apns.Alert{}, nil},
	{"critical sound", `{"aps":{"sound":{"critical":1,"name":"alarm.caf","volume":0.5}}}`, apns.Alert{Sound: "alarm.caf", CriticalSound: true}, nil},
	{"interruption level", `{"aps":{"interruption-level":"time-sensitive"}}`, apns.Alert{InterruptionLevel: apns.InterruptionTimeSensitive}, nil},
	{"unknown interruption level", `{"aps":{"interruption-level":"loud"}}`, apns.Alert{}, nil},
	{
		"localized", `{"aps":{"alert":{"title-loc-key":"T","subtitle-loc-key":"S","loc-key":"B","loc-args":["x"]}}}`,
		apns.Alert{Title: "T", Subtitle: "S", Body: "B"},
		nil,
	},
	{"text before key", `{"aps":{"alert":{"body":"B","loc-key":"K"}}}`, apns.Alert{Body: "B"}, nil},
	{"wrong types", `{"aps":{"alert":7,"sound":[],"badge":"3","content-available":"1"}}`, apns.Alert{}, nil},
	{"wrong types inside", `{"aps":{"alert":{"title":1,"body":["x"]}}}`, apns.Alert{}, nil},
	{"aps of another type", `{"aps":"x"}`, apns.Alert{}, nil},
	{"aps in other letters", `{"APS":{"alert":"x"}}`, apns.Alert{}, nil},
	{"content not available", `{"aps":{"content-available":0}}`, apns.Alert{}, nil},
	{"device management", `{"mdm":"magic"}`, apns.Alert{}, nil},
	{"nothing", ``, apns.Alert{}, apns.ErrNotAnObject},
	{"array", `[]`, apns.Alert{}, apns.ErrNotAnObject},
	{"text alone", `"x"`, apns.Alert{}, apns.ErrNotAnObject},
	{"cut off", `{"aps":{"alert":"x"}`, apns.Alert{}, apns.ErrNotAnObject},
	{"two", `{}{}`, apns.Alert{}, apns.ErrNotAnObject},
}

func TestParseAlert(t *testing.T) {
	for _, tt := range payloads {
		t.Run(tt.name, func(t *testing.T) {
			got, err := apns.ParseAlert(apns.Payload(tt.in))
			if !errors.Is(err, tt.err) {
				t.Fatalf("got error %v, want %v", err, tt.err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("alert (-want +got):\n%s", d)
			}
			if got, want := apns.Payload(tt.in).IsObject(), tt.err == nil; got != want {
				t.Errorf("got object %t, want %t", got, want)
			}
		})
	}
}

func TestAlertVisible(t *testing.T) {
	for name, tt := range map[string]struct {
		a    apns.Alert
		want bool
	}{
		"nothing":    {apns.Alert{}, false},
		"background": {apns.Alert{ContentAvailable: true}, false},
		"title":      {apns.Alert{Title: "x"}, true},
		"subtitle":   {apns.Alert{Subtitle: "x"}, true},
		"body":       {apns.Alert{Body: "x"}, true},
		"sound":      {apns.Alert{Sound: "default"}, true},
		"badge":      {apns.Alert{Badge: new(0)}, true},
	} {
		if got := tt.a.Visible(); got != tt.want {
			t.Errorf("%s: got %t, want %t", name, got, tt.want)
		}
	}
}

func FuzzParseAlert(f *testing.F) {
	for _, tt := range payloads {
		f.Add([]byte(tt.in))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var object map[string]any
		isObject := json.Unmarshal(b, &object) == nil && object != nil
		a, err := apns.ParseAlert(b)
		if (err == nil) != isObject {
			t.Errorf("got error %v for a payload that is an object: %t", err, isObject)
		}
		if err != nil && a != (apns.Alert{}) {
			t.Errorf("got %+v with an error", a)
		}
		if p := apns.InferPushType("com.example.demo", b); p == apns.PushTypeBackground && (a.Visible() || !a.ContentAvailable) {
			t.Errorf("a visible alert is called a background push: %+v", a)
		}
	})
}
