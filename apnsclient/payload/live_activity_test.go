package payload_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient/payload"
)

type state struct {
	Score int `json:"score"`
}

var (
	then = time.Unix(1700000000, 999).In(time.FixedZone("", 3600))

	update = payload.LiveActivity{Event: payload.Update, Timestamp: then, ContentState: state{3}}

	start = payload.LiveActivity{
		Event: payload.Start, Timestamp: then, ContentState: &state{1}, AttributesType: "Game", Attributes: map[string]string{"home": "A"},
		Alert: payload.Alert{Title: "T", Body: "B"}, Sound: payload.DefaultSound, StaleDate: then.Add(time.Hour),
		RelevanceScore: new(100.0), InputPushToken: true, Custom: map[string]any{"id": 7},
	}
)

func TestLiveActivity(t *testing.T) {
	onChannel := start
	onChannel.InputPushToken, onChannel.InputPushChannel = false, "dHN0LXNyY2gtY2hubA=="
	onChannel.Alert = payload.Alert{TitleLocKey: "TK", Body: "B"}
	onChannel.StaleDate, onChannel.RelevanceScore, onChannel.Custom, onChannel.Sound = time.Time{}, nil, nil, ""
	for _, tt := range []struct {
		name string
		in   payload.LiveActivity
		want string
	}{
		{"start", start, `{"aps":{"timestamp":1700000000,"event":"start","content-state":{"score":1},"attributes-type":"Game","attributes":{"home":"A"},` +
			`"input-push-token":1,"alert":{"title":"T","body":"B","sound":"default"},"stale-date":1700003600,"relevance-score":100},"id":7}`},
		{"start on a channel", onChannel, `{"aps":{"timestamp":1700000000,"event":"start","content-state":{"score":1},"attributes-type":"Game","attributes":{"home":"A"},` +
			`"input-push-channel":"dHN0LXNyY2gtY2hubA==","alert":{"title":{"loc-key":"TK"},"body":"B"}}}`},
		{"update", update, `{"aps":{"timestamp":1700000000,"event":"update","content-state":{"score":3}}}`},
		{
			"update with an alert of the app's strings",
			payload.LiveActivity{
				Event: payload.Update, Timestamp: then, ContentState: struct{}{},
				Alert: payload.Alert{TitleLocKey: "TK", TitleLocArgs: []string{"a"}, LocKey: "BK"},
			},
			`{"aps":{"timestamp":1700000000,"event":"update","content-state":{},"alert":{"title":{"loc-key":"TK","loc-args":["a"]},"body":{"loc-key":"BK"}}}}`,
		},
		{"end", payload.LiveActivity{Event: payload.End, Timestamp: then, DismissalDate: time.Unix(0, 0)}, `{"aps":{"timestamp":1700000000,"event":"end","dismissal-date":0}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.in.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, string(got)); d != "" {
				t.Errorf("payload (-want +got):\n%s", d)
			}
		})
	}
}

func TestLiveActivityRefused(t *testing.T) {
	for _, tt := range []struct {
		name         string
		of           payload.LiveActivity
		change       func(*payload.LiveActivity)
		field, wants string
	}{
		{"no event", update, func(l *payload.LiveActivity) { l.Event = "" }, "aps.event", "it is missing: give Start, Update or End"},
		{"another event", update, func(l *payload.LiveActivity) { l.Event = "stop" }, "aps.event", `"stop" is no event: give Start, Update or End`},
		{"no timestamp", update, func(l *payload.LiveActivity) { l.Timestamp = time.Time{} }, "aps.timestamp", "it is missing: give the time of what is told, such as time.Now()"},
		{"timestamp long ago", update, func(l *payload.LiveActivity) { l.Timestamp = time.Unix(-1, 0) }, "aps.timestamp", "it is before 1970: give a time of today, or the zero time for none"},
		{"no content state", update, func(l *payload.LiveActivity) { l.ContentState = nil }, "aps.content-state", "it is missing: give what the activity shows: a value that is a JSON object"},
		{"content state is a list", update, func(l *payload.LiveActivity) { l.ContentState = []int{1} }, "aps.content-state", "[]int is not an object in JSON: give a struct or a map that is not nil"},
		{"content state is null", update, func(l *payload.LiveActivity) { l.ContentState = (*state)(nil) }, "aps.content-state", "*payload_test.state is not an object in JSON: give a struct or a map that is not nil"},
		{"content state is no JSON", update, func(l *payload.LiveActivity) { l.ContentState = func() {} }, "aps.content-state", "json: unsupported type: func(): give a value that encoding/json takes"},
		{"attributes of an update", update, func(l *payload.LiveActivity) { l.Attributes = state{} }, "aps.attributes", "only the start of a Live Activity has one: leave them out: an activity keeps its attributes"},
		{"attributes type of an update", update, func(l *payload.LiveActivity) { l.AttributesType = "Game" }, "aps.attributes-type", "only the start of a Live Activity has one: leave it out: an activity keeps its attributes"},
		{"push token for an update", update, func(l *payload.LiveActivity) { l.InputPushToken = true }, "aps.input-push-token", "only the start of a Live Activity has one: leave it out: an activity is updated as its start said"},
		{"channel for an update", update, func(l *payload.LiveActivity) { l.InputPushChannel = "AAAA" }, "aps.input-push-channel", "only the start of a Live Activity has one: leave it out: an activity is updated as its start said"},
		{"dismissal of an update", update, func(l *payload.LiveActivity) { l.DismissalDate = then }, "aps.dismissal-date", "only the end of a Live Activity has one: leave it out, or give the event End"},
		{"sound alone", update, func(l *payload.LiveActivity) { l.Sound = "x" }, "aps.alert", "there is a sound and no alert: give the alert that the sound goes with"},
		{"subtitle", update, func(l *payload.LiveActivity) { l.Alert.Subtitle = "S" }, "aps.alert.subtitle", "the alert of a Live Activity has none: leave it empty: Title, Body and their keys are what is shown"},
		{"title and its key", update, func(l *payload.LiveActivity) { l.Alert = payload.Alert{Title: "T", TitleLocKey: "TK"} }, "aps.alert.title", "there are a text and a title-loc-key: give one: in a Live Activity they have the same place"},
		{"arguments without key", update, func(l *payload.LiveActivity) { l.Alert = payload.Alert{LocArgs: []string{"a"}} }, "aps.alert.loc-args", "there is no loc-key whose placeholders these would fill: give the key, or no arguments"},
		{"relevance", update, func(l *payload.LiveActivity) { l.RelevanceScore = new(nan()) }, "aps.relevance-score", "NaN is no number in JSON: give a number, or nil for none"},
		{"start without type", start, func(l *payload.LiveActivity) { l.AttributesType = "" }, "aps.attributes-type", "it is missing: give the name of the app's type of attributes: a start needs it"},
		{"start without attributes", start, func(l *payload.LiveActivity) { l.Attributes = nil }, "aps.attributes", "they are missing: give a value of the type that attributes-type names: a start needs it"},
		{"start without alert", start, func(l *payload.LiveActivity) { l.Alert = payload.Alert{} }, "aps.alert", "it is missing: give a title and a body: a start needs them"},
		{"start with two ways", start, func(l *payload.LiveActivity) { l.InputPushChannel = "AAAA" }, "aps.input-push-channel", "there are a channel and an order for a push token: give one: the activity is updated by a channel or by its token"},
		{
			"start on no channel", start, func(l *payload.LiveActivity) { l.InputPushToken, l.InputPushChannel = false, "A" }, "aps.input-push-channel",
			"channel ID: not base64: 1 characters: give the channel ID as it was when the channel was made",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := tt.of
			tt.change(&l)
			p, err := l.Marshal()
			checkRefused(t, p, err, tt.field, tt.wants)
		})
	}
}

// The topic of an activity is enough to know its push type.
func TestLiveActivityPushType(t *testing.T) {
	p, err := update.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if got := apns.InferPushType("com.example.demo.push-type.liveactivity", p); got != apns.PushTypeLiveActivity {
		t.Errorf("got %s", got)
	}
}
