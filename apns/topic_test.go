package apns_test

import (
	"strings"
	"testing"

	"github.com/heraldpush/herald/apns"
)

var validTopics = map[apns.Topic]bool{
	"com.example.demo":     true,
	"com.example.Demo-2_x": true,
	"demo":                 true,
	"com.example.demo.push-type.liveactivity": true,
	"pass.com.example.coupon":                 true,
	"com.apple.mgmt.External.0b4e2e6e-ad5a-4": true,
	apns.Topic(strings.Repeat("a", 255)):      true,
	apns.Topic(strings.Repeat("a", 256)):      false,
	"":                                        false,
	".":                                       false,
	".com":                                    false,
	"com.":                                    false,
	"com..example":                            false,
	"com.example.*":                           false,
	"com.example demo":                        false,
	"com.exämple":                             false,
	"com.example\r\nx":                        false,
	"com.example\x00":                         false,
	"com/example":                             false,
}

func TestTopicValid(t *testing.T) {
	for topic, want := range validTopics {
		if got := topic.Valid(); got != want {
			t.Errorf("%q: got %t, want %t", topic, got, want)
		}
	}
}

func TestTopicHash(t *testing.T) {
	got, want := apns.Topic("com.example.demo").Hash().String(), "30229c4c3ba13daa1bbdcc3439bda1abd0319198"
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestBundleID(t *testing.T) {
	for topic, want := range map[apns.Topic]apns.Topic{
		"com.example.demo":                        "com.example.demo",
		"com.example.demo.voip":                   "com.example.demo",
		"com.example.demo.voip-ptt":               "com.example.demo",
		"com.example.demo.voip.voip":              "com.example.demo.voip",
		"com.example.demo.complication":           "com.example.demo",
		"com.example.demo.location-query":         "com.example.demo",
		"com.example.demo.pushkit.fileprovider":   "com.example.demo",
		"com.example.demo.push-type.liveactivity": "com.example.demo",
		"com.example.demo.push-type.widgets":      "com.example.demo",
		"com.example.demo.push-type.controls":     "com.example.demo",
		"com.example.demovoip":                    "com.example.demovoip",
		".voip":                                   ".voip",
	} {
		if got := topic.BundleID(); got != want {
			t.Errorf("%q: got %q, want %q", topic, got, want)
		}
	}
}

func FuzzTopicValid(f *testing.F) {
	for topic := range validTopics {
		f.Add(string(topic))
	}
	f.Fuzz(func(t *testing.T, s string) {
		topic := apns.Topic(s)
		valid := topic.Valid()
		if !valid {
			return
		}
		if strings.ContainsAny(s, " \t\r\n:\x00/") || len(s) > apns.MaxTopicBytes {
			t.Errorf("%q is called valid", s)
		}
		if !topic.BundleID().Valid() {
			t.Errorf("the bundle ID %q of a valid topic is not", topic.BundleID())
		}
		if p := apns.InferPushType(topic, nil); !p.Matches(topic) || topic.BundleID()+apns.Topic(p.Suffix()) != topic {
			t.Errorf("%q: inferred %s, bundle ID %q", s, p, topic.BundleID())
		}
	})
}
