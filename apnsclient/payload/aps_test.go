package payload_test

import (
	"encoding/json"
	"errors"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient/payload"
)

// everything has each field that goes with the others.
var everything = payload.APS{
	Alert: payload.Alert{
		Title: "T", Subtitle: "S", Body: "B", LaunchImage: "start.png",
		TitleLocKey: "TK", TitleLocArgs: []string{"a"}, SubtitleLocKey: "SK", SubtitleLocArgs: []string{"b", ""},
		LocKey: "BK", LocArgs: []string{"c"}, Action: "Open", ActionLocKey: "AK",
	},
	Badge: new(0), CriticalSound: &payload.CriticalSound{Name: "alarm.caf", Volume: new(0.5)},
	ThreadID: "talk", Category: "MESSAGE", ContentAvailable: true, MutableContent: true, ContentChanged: true,
	TargetContentID: "window", InterruptionLevel: apns.InterruptionTimeSensitive, RelevanceScore: new(0.25),
	FilterCriteria: "work", URLArgs: []string{},
	More:   map[string]any{"account-id": "X"},
	Custom: map[string]any{"z": json.RawMessage(`{ "b": 1, "a": [ ] }`), "a": "<&>", "m": nil},
}

var accepted = []struct {
	name string
	in   interface{ Marshal() (apns.Payload, error) }
	want string
}{
	{"nothing", payload.APS{}, `{"aps":{}}`},
	{"body", payload.APS{Alert: payload.Alert{Body: "Hello"}}, `{"aps":{"alert":"Hello"}}`},
	{"title", payload.APS{Alert: payload.Alert{Title: "Hello"}}, `{"aps":{"alert":{"title":"Hello"}}}`},
	{"title and body", payload.APS{Alert: payload.Alert{Title: "T", Body: "B"}}, `{"aps":{"alert":{"title":"T","body":"B"}}}`},
	{"body and launch image", payload.APS{Alert: payload.Alert{Body: "B", LaunchImage: "x"}}, `{"aps":{"alert":{"body":"B","launch-image":"x"}}}`},
	{"not escaped", payload.APS{Alert: payload.Alert{Body: "<a> & \"b\"\n\U0001F600"}}, `{"aps":{"alert":"<a> & \"b\"\n` + "\U0001F600" + `"}}`},
	{"badge cleared", payload.APS{Badge: new(0)}, `{"aps":{"badge":0}}`},
	{"sound", payload.APS{Sound: payload.DefaultSound}, `{"aps":{"sound":"default"}}`},
	{"critical sound", payload.APS{CriticalSound: &payload.CriticalSound{}}, `{"aps":{"sound":{"critical":1,"name":"default"}}}`},
	{"silent critical sound", payload.APS{CriticalSound: &payload.CriticalSound{Volume: new(0.0)}}, `{"aps":{"sound":{"critical":1,"name":"default","volume":0}}}`},
	{"background", payload.APS{ContentAvailable: true, Custom: map[string]any{"id": 7}}, `{"aps":{"content-available":1},"id":7}`},
	{"widgets", payload.APS{ContentChanged: true}, `{"aps":{"content-changed":true}}`},
	{"website", payload.APS{Alert: payload.Alert{Title: "T", Body: "B", Action: "Read"}, URLArgs: []string{"a", "b"}}, `{"aps":{"alert":{"title":"T","body":"B","action":"Read"},"url-args":["a","b"]}}`},
	{"everything", everything, `{"aps":{"alert":{"title":"T","subtitle":"S","body":"B","launch-image":"start.png",` +
		`"title-loc-key":"TK","title-loc-args":["a"],"subtitle-loc-key":"SK","subtitle-loc-args":["b",""],"loc-key":"BK","loc-args":["c"],"action":"Open","action-loc-key":"AK"},` +
		`"badge":0,"sound":{"critical":1,"name":"alarm.caf","volume":0.5},"thread-id":"talk","category":"MESSAGE","content-available":1,"mutable-content":1,"content-changed":true,` +
		`"target-content-id":"window","interruption-level":"time-sensitive","relevance-score":0.25,"filter-criteria":"work","url-args":[],"account-id":"X"},` +
		`"a":"<&>","m":null,"z":{"b":1,"a":[]}}`},
}

func TestMarshal(t *testing.T) {
	for _, tt := range accepted {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.in.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, string(got)); d != "" {
				t.Errorf("payload (-want +got):\n%s", d)
			}
			if !json.Valid(got) {
				t.Errorf("not JSON: %s", got)
			}
		})
	}
}

// Inside another document a payload is itself, not its Go fields.
func TestMarshalJSON(t *testing.T) {
	b, err := json.Marshal(map[string]any{"message": payload.APS{Badge: new(1)}, "activity": update})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"activity":{"aps":{"timestamp":1700000000,"event":"update","content-state":{"score":3}}},"message":{"aps":{"badge":1}}}`
	if string(b) != want {
		t.Errorf("got %s, want %s", b, want)
	}
}

func TestRefused(t *testing.T) {
	const invalid = "a\xff"
	for _, tt := range []struct {
		name         string
		in           interface{ Marshal() (apns.Payload, error) }
		field, wants string
	}{
		{"negative badge", payload.APS{Badge: new(-1)}, "aps.badge", "a badge is not negative: give 0 to clear it, or nil to leave it as it is"},
		{"two sounds", payload.APS{Sound: "a", CriticalSound: &payload.CriticalSound{}}, "aps.sound", "there are a sound and a critical sound: leave Sound empty: the name is CriticalSound.Name"},
		{"loud", payload.APS{CriticalSound: &payload.CriticalSound{Volume: new(1.5)}}, "aps.sound.volume", "1.5 is not from 0 to 1: give a share of 1, or nil for none"},
		{"volume is no number", payload.APS{CriticalSound: &payload.CriticalSound{Volume: new(math.NaN())}}, "aps.sound.volume", "NaN is no number in JSON: give a number, or nil for none"},
		{"relevance", payload.APS{RelevanceScore: new(-0.1)}, "aps.relevance-score", "-0.1 is not from 0 to 1: give a share of 1, or nil for none"},
		{"relevance without end", payload.APS{RelevanceScore: new(math.Inf(1))}, "aps.relevance-score", "+Inf is not from 0 to 1: give a share of 1, or nil for none"},
		{"level", payload.APS{InterruptionLevel: "loud"}, "aps.interruption-level", `"loud" is no level: give passive, active, time-sensitive or critical: constants of package apns`},
		{"arguments without key", payload.APS{Alert: payload.Alert{LocArgs: []string{"x"}}}, "aps.alert.loc-args", "there is no loc-key whose placeholders these would fill: give the key, or no arguments"},
		{"not UTF-8", payload.APS{Alert: payload.Alert{Body: invalid}}, "aps.alert.body", "it is not UTF-8 at byte 1: give UTF-8; a text that was cut by bytes may end inside a character"},
		{"argument not UTF-8", payload.APS{Alert: payload.Alert{LocKey: "K", LocArgs: []string{"", invalid}}}, "aps.alert.loc-args[1]", "it is not UTF-8 at byte 1: give UTF-8; a text that was cut by bytes may end inside a character"},
		{"key not UTF-8", payload.APS{Custom: map[string]any{invalid: 1}}, invalid, "it is not UTF-8 at byte 1: give UTF-8; a text that was cut by bytes may end inside a character"},
		{"aps beside aps", payload.APS{Custom: map[string]any{"aps": 1}}, "aps", "it is among the custom keys, and belongs to Apple: use the fields, or More for keys that have none; rename a key of your own"},
		{"no JSON", payload.APS{Custom: map[string]any{"c": make(chan int)}}, "c", "json: unsupported type: chan int: give a value that encoding/json takes"},
		{"custom NaN", payload.APS{Custom: map[string]any{"c": math.NaN()}}, "c", "json: unsupported value: NaN: give a value that encoding/json takes"},
		{"broken JSON", payload.APS{More: map[string]any{"c": json.RawMessage(`{`)}}, "aps.c", "unexpected end of JSON input: give a value that encoding/json takes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := tt.in.Marshal()
			checkRefused(t, p, err, tt.field, tt.wants)
		})
	}
}

func checkRefused(t *testing.T, p apns.Payload, err error, field, wants string) {
	t.Helper()
	e, ok := errors.AsType[*payload.FieldError](err)
	if !ok {
		t.Fatalf("got %v, want a *payload.FieldError", err)
	}
	if got := e.Problem + ": " + e.Remedy; e.Field != field || got != wants {
		t.Errorf("got %q: %q, want %q: %q", e.Field, got, field, wants)
	}
	if got, want := err.Error(), "payload: "+field+": "+wants; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if p != nil {
		t.Errorf("got a payload with an error: %s", p)
	}
}

// No key that has a field can be had past the field's checks.
func TestMoreHasNoFields(t *testing.T) {
	for name, one := range map[string]struct {
		full interface{ Marshal() (apns.Payload, error) }
		with func(more map[string]any) (apns.Payload, error)
	}{
		"APS": {everything, func(more map[string]any) (apns.Payload, error) {
			return payload.APS{More: more}.Marshal()
		}},
		"LiveActivity": {start, func(more map[string]any) (apns.Payload, error) {
			l := update
			l.More = more
			return l.Marshal()
		}},
	} {
		p, err := one.full.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		var document struct {
			APS map[string]any `json:"aps"`
		}
		if err := json.Unmarshal(p, &document); err != nil {
			t.Fatal(err)
		}
		for _, key := range slices.Sorted(maps.Keys(document.APS)) {
			if key == "account-id" {
				continue
			}
			_, err := one.with(map[string]any{key: 1})
			e, ok := errors.AsType[*payload.FieldError](err)
			if !ok || e.Field != "aps."+key {
				t.Errorf("%s: %s in More: got %v", name, key, err)
			}
		}
	}
}

// What a device reads is what was written.
func TestParseAlert(t *testing.T) {
	p, err := payload.APS{
		Alert: payload.Alert{Title: "T", SubtitleLocKey: "S", Body: "B"}, Badge: new(2), CriticalSound: &payload.CriticalSound{Name: "x"},
		ContentAvailable: true, InterruptionLevel: apns.InterruptionPassive,
	}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got, err := apns.ParseAlert(p)
	if err != nil {
		t.Fatal(err)
	}
	want := apns.Alert{
		Title: "T", Subtitle: "S", Body: "B", Sound: "x", CriticalSound: true, Badge: new(2),
		ContentAvailable: true, InterruptionLevel: apns.InterruptionPassive,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("alert (-want +got):\n%s", d)
	}
}

func TestPushType(t *testing.T) {
	for _, tt := range []struct {
		name  string
		in    payload.APS
		topic apns.Topic
		want  apns.PushType
	}{
		{"alert", payload.APS{Alert: payload.Alert{Body: "B"}, ContentAvailable: true}, "com.example.demo", apns.PushTypeAlert},
		{"badge", payload.APS{Badge: new(0)}, "com.example.demo", apns.PushTypeAlert},
		{"background", payload.APS{ContentAvailable: true}, "com.example.demo", apns.PushTypeBackground},
		{"voip", payload.APS{}, "com.example.demo.voip", apns.PushTypeVoIP},
	} {
		p, err := tt.in.Marshal()
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if got := apns.InferPushType(tt.topic, p); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestWithoutAPS(t *testing.T) {
	if got := string(payload.Wallet()); got != "{}" {
		t.Errorf("got %s", got)
	}
	mdm, err := payload.MDM("5B2A-<>")
	if err != nil || string(mdm) != `{"mdm":"5B2A-<>"}` {
		t.Errorf("got %s, %v", mdm, err)
	}
	files, err := payload.FileProvider("NSFileProviderWorkingSetContainerItemIdentifier", "home")
	if err != nil || string(files) != `{"container-identifier":"NSFileProviderWorkingSetContainerItemIdentifier","domain":"home"}` {
		t.Errorf("got %s, %v", files, err)
	}
	p, err := payload.MDM("")
	checkRefused(t, p, err, "mdm", "the push magic is missing: give the one from the device's TokenUpdate")
	p, err = payload.FileProvider("", "home")
	checkRefused(t, p, err, "container-identifier", "it is missing: give the identifier of the container that changed")
}

func TestCheckSize(t *testing.T) {
	p := make(apns.Payload, 5121)
	if err := payload.CheckSize(p[:5120], apns.PushTypeVoIP.MaxPayloadBytes()); err != nil {
		t.Errorf("got %v", err)
	}
	err := payload.CheckSize(p, apns.MaxBroadcastBytes)
	if !errors.Is(err, apns.Reject(apns.PayloadTooLarge, "")) {
		t.Errorf("got %v, want %s", err, apns.PayloadTooLarge)
	}
	const want = "payload: it has 5121 bytes, 1 more than the 5120 that are possible: send less, and have the app fetch the rest"
	if err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}
