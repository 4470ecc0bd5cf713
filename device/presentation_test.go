package device

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/heraldpush/herald/apns"
)

func TestPresent(t *testing.T) {
	const full = `{"aps":{"alert":{"title":"T","subtitle":"S","body":"B"},"sound":"bell.caf","badge":3}}`
	three, zero := 3, 0
	tests := []struct {
		name    string
		types   NotificationTypes
		push    apns.PushType
		payload string
		want    Presentation
	}{
		{"all", Alert | Sound | Badge, apns.PushTypeAlert, full, Presentation{Banner: true, Title: "T", Subtitle: "S", Body: "B", Sound: "bell.caf", Badge: &three}},
		{"alert alone", Alert, apns.PushTypeAlert, full, Presentation{Banner: true, Title: "T", Subtitle: "S", Body: "B"}},
		{"sound alone", Sound, apns.PushTypeAlert, full, Presentation{Sound: "bell.caf"}},
		{"badge alone", Badge, apns.PushTypeAlert, full, Presentation{Badge: &three}},
		{"sound and badge", Sound | Badge, apns.PushTypeAlert, full, Presentation{Sound: "bell.caf", Badge: &three}},
		{"nothing", 0, apns.PushTypeAlert, full, Presentation{Silent: true}},
		{"text alone", Alert, apns.PushTypeAlert, `{"aps":{"alert":"hi"}}`, Presentation{Banner: true, Body: "hi"}},
		{"badge cleared", Badge, apns.PushTypeAlert, `{"aps":{"badge":0}}`, Presentation{Badge: &zero}},
		{"critical sound", Sound, apns.PushTypeAlert, `{"aps":{"sound":{"critical":1,"name":"siren.caf"}}}`, Presentation{Sound: "siren.caf"}},
		{"background", Alert | Sound | Badge, apns.PushTypeBackground, `{"aps":{"content-available":1}}`, Presentation{Silent: true}},
		{"background with an alert all the same", Alert, apns.PushTypeBackground, full, Presentation{Silent: true}},
		{"voip", Alert, apns.PushTypeVoIP, full, Presentation{Silent: true}},
		{"live activity", Alert, apns.PushTypeLiveActivity, `{"aps":{"alert":"goal"}}`, Presentation{Banner: true, Body: "goal"}},
		{"wrong types", Alert | Sound | Badge, apns.PushTypeAlert, `{"aps":{"alert":7,"sound":7,"badge":"7"}}`, Presentation{Silent: true}},
		{"no aps", Alert, apns.PushTypeAlert, `{}`, Presentation{Silent: true}},
		{"no object", Alert, apns.PushTypeAlert, `[]`, Presentation{Silent: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := Notification{Notification: apns.Notification{
				Topic: "com.example.demo", PushType: tt.push, Payload: apns.Payload(tt.payload), CollapseID: "c",
			}}
			tt.want.Topic, tt.want.AppName, tt.want.CollapseID = "com.example.demo", "Demo", "c"
			tt.want.InterruptionLevel, tt.want.Listed = apns.InterruptionActive, tt.want.Banner
			if diff := cmp.Diff(tt.want, present(n, wishes{tt.types, granted, false})); diff != "" {
				t.Errorf("presentation (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAppName(t *testing.T) {
	for topic, want := range map[apns.Topic]string{
		"com.example.demo":      "Demo",
		"com.example.demo.voip": "Demo",
		"demo":                  "Demo",
		"com.example.myApp":     "MyApp",
		"com.example.":          "",
		"":                      "",
	} {
		if got := appName(topic); got != want {
			t.Errorf("name of %q: got %q, want %q", topic, got, want)
		}
	}
}

func TestNotificationTypes(t *testing.T) {
	for types, want := range map[NotificationTypes]string{
		0: "none", 1: "badge", 2: "sound", 3: "sound, badge", 4: "alert", 5: "alert, badge",
		6: "alert, sound", 7: "alert, sound, badge", 8: "NotificationTypes(8)", 12: "alert, NotificationTypes(8)",
	} {
		if got := types.String(); got != want {
			t.Errorf("%d: got %q, want %q", types, got, want)
		}
		if got, err := ParseNotificationTypes(want); types.valid() != (err == nil) || err == nil && got != types {
			t.Errorf("parsing %q: got %v and %v, want %d", want, got, err, types)
		}
	}
	for _, s := range []string{"", "alert,", "banner", "alert sound"} {
		if got, err := ParseNotificationTypes(s); err == nil {
			t.Errorf("parsing %q: got %v, want an error", s, got)
		}
	}
}
