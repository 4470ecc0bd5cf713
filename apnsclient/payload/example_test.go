package payload_test

import (
	"fmt"
	"os"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient/payload"
)

func Example() {
	body, err := payload.APS{
		Alert:    payload.Alert{Title: "Table for two", Body: "Sam invites you to dinner."},
		Sound:    payload.DefaultSound,
		Badge:    new(3),
		Category: "INVITATION",
		Custom:   map[string]any{"invitation": 4711},
	}.Marshal()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	notification := apns.Notification{Topic: "com.example.demo", Payload: body}
	fmt.Fprintf(os.Stdout, "%s\n", notification.Payload)
	fmt.Fprintln(os.Stdout, apns.InferPushType(notification.Topic, body))
	// Output:
	// {"aps":{"alert":{"title":"Table for two","body":"Sam invites you to dinner."},"badge":3,"sound":"default","category":"INVITATION"},"invitation":4711}
	// alert
}

func ExampleAPS_background() {
	body, err := payload.APS{ContentAvailable: true, Custom: map[string]any{"sync": "inbox"}}.Marshal()
	fmt.Fprintf(os.Stdout, "%s %v\n", body, err)
	// Output: {"aps":{"content-available":1},"sync":"inbox"} <nil>
}

func ExampleAPS_critical() {
	body, err := payload.APS{
		Alert:             payload.Alert{LocKey: "SMOKE_IN_ROOM", LocArgs: []string{"Kitchen"}},
		CriticalSound:     &payload.CriticalSound{Name: "alarm.caf", Volume: new(0.8)},
		InterruptionLevel: apns.InterruptionCritical,
	}.Marshal()
	fmt.Fprintf(os.Stdout, "%s %v\n", body, err)
	// Output: {"aps":{"alert":{"loc-key":"SMOKE_IN_ROOM","loc-args":["Kitchen"]},"sound":{"critical":1,"name":"alarm.caf","volume":0.8},"interruption-level":"critical"}} <nil>
}

func ExampleAPS_Marshal_refused() {
	_, err := payload.APS{RelevanceScore: new(7.0)}.Marshal()
	fmt.Fprintln(os.Stdout, err)
	// Output: payload: aps.relevance-score: 7 is not from 0 to 1: give a share of 1, or nil for none
}

func ExampleAPS_Fit() {
	message := payload.APS{Alert: payload.Alert{Title: "Sam", Body: "I have been thinking about what you said on Sunday."}}
	body, err := message.Fit(72)
	fmt.Fprintf(os.Stdout, "%s %d bytes %v\n", body, len(body), err)
	// Output: {"aps":{"alert":{"title":"Sam","body":"I have been thinking about…"}}} 72 bytes <nil>
}

func ExampleLiveActivity() {
	type matchState struct {
		Home int `json:"home"`
		Away int `json:"away"`
	}
	body, err := payload.LiveActivity{
		Event:        payload.Update,
		Timestamp:    time.Unix(1700000000, 0),
		ContentState: matchState{Home: 2, Away: 1},
		Alert:        payload.Alert{Title: "Goal!", Body: "2 : 1"},
		StaleDate:    time.Unix(1700000600, 0),
	}.Marshal()
	fmt.Fprintf(os.Stdout, "%s %v\n", body, err)
	// Output: {"aps":{"timestamp":1700000000,"event":"update","content-state":{"home":2,"away":1},"alert":{"title":"Goal!","body":"2 : 1"},"stale-date":1700000600}} <nil>
}
