package apns_test

import (
	"testing"

	"github.com/heraldpush/herald/apns"
)

func TestPushTypeMatches(t *testing.T) {
	const app = apns.Topic("com.example.demo")
	// Each type goes to its own topics, and to no other's.
	for _, p := range apns.AllPushTypes() {
		for _, other := range apns.AllPushTypes() {
			topic := app + apns.Topic(other.Suffix())
			if got, want := p.Matches(topic), p.Suffix() == other.Suffix(); got != want {
				t.Errorf("%s to %s: got %t, want %t", p, topic, got, want)
			}
		}
		if !p.Known() {
			t.Errorf("%s is not known", p)
		}
	}
	if apns.PushType("widget").Known() || apns.PushType("").Known() || apns.PushType("Alert").Known() {
		t.Error("a push type that is none is known")
	}
	if apns.PushTypeVoIP.Matches(".voip") {
		t.Error("a suffix without an app is a topic of its type")
	}
}

// No suffix is the end of another, or the type of a topic would depend on the
// order in which they are tried.
func TestSuffixesAreDistinct(t *testing.T) {
	for _, p := range apns.AllPushTypes() {
		if p.Suffix() == "" {
			continue
		}
		if got := apns.InferPushType("com.example.demo"+apns.Topic(p.Suffix()), nil); got != p {
			t.Errorf("got %s for the suffix of %s", got, p)
		}
	}
}

func TestInferPushType(t *testing.T) {
	const app = apns.Topic("com.example.demo")
	tests := []struct {
		name    string
		topic   apns.Topic
		payload string
		want    apns.PushType
	}{
		{"alert", app, `{"aps":{"alert":"x"}}`, apns.PushTypeAlert},
		{"background", app, `{"aps":{"content-available":1}}`, apns.PushTypeBackground},
		{"background with data", app, `{"aps":{"content-available":1},"id":7}`, apns.PushTypeBackground},
		{"alert that wakes the app", app, `{"aps":{"alert":"x","content-available":1}}`, apns.PushTypeAlert},
		{"localized alert that wakes the app", app, `{"aps":{"alert":{"loc-key":"PLAY"},"content-available":1}}`, apns.PushTypeAlert},
		{"badge that wakes the app", app, `{"aps":{"badge":0,"content-available":1}}`, apns.PushTypeAlert},
		{"sound that wakes the app", app, `{"aps":{"sound":"default","content-available":1}}`, apns.PushTypeAlert},
		{"switched off", app, `{"aps":{"content-available":0}}`, apns.PushTypeAlert},
		{"pass", "pass.com.example.coupon", `{}`, apns.PushTypeAlert},
		{"topic before payload", app + ".push-type.widgets", `{"aps":{"content-available":1}}`, apns.PushTypeWidgets},
		{"no JSON", app, `hello`, apns.PushTypeAlert},
		{"other letter case", app, `{"APS":{"content-available":1}}`, apns.PushTypeAlert},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := apns.InferPushType(tt.topic, apns.Payload(tt.payload)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestMaxPayloadBytes(t *testing.T) {
	for _, p := range apns.AllPushTypes() {
		want := 4096
		if p == apns.PushTypeVoIP {
			want = 5120
		}
		if got := p.MaxPayloadBytes(); got != want {
			t.Errorf("%s: got %d, want %d", p, got, want)
		}
	}
}
