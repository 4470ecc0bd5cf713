package e2e

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestNodeAPN drives the gateway with the library that most programs in Node
// send through, by each kind of credential it takes: notifications, channels
// and broadcasts.
func TestNodeAPN(t *testing.T) {
	t.Parallel()
	needTool(t, "node", "sends as programs in Node do", "nodejs")
	folder := installPackages(t, "nodeapn", "the library @parse/node-apn")
	h := start(t)

	for _, by := range []string{"p8", "pem", "p12"} {
		t.Run(by, func(t *testing.T) {
			text := "by node-apn, with the ." + by
			n := h.alert(text)
			nobody := strings.Repeat("00fe", 16)
			got := nodeAPN[nodeAPNAnswers](t, folder, "push.js", h.devPath(), by, n.ID, text, h.DeviceToken, h.BenchDeviceToken, nobody)
			want := nodeAPNAnswers{
				Sent: []nodeAPNAnswer{
					{Device: h.DeviceToken, ID: n.ID, UniqueID: "any"},
					{Device: h.BenchDeviceToken, ID: n.ID, UniqueID: "any"},
				},
				Failed: []nodeAPNAnswer{
					{Device: nobody, ID: n.ID, Status: 400, Response: nodeAPNBody{"BadDeviceToken"}},
				},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("answers (-want +got):\n%s", diff)
			}
			h.checkDelivered(t, n)
		})
		t.Run(by+" to a channel", func(t *testing.T) {
			id := newID()
			got := nodeAPN[map[string]nodeAPNAnswers](t, folder, "channel.js", h.devPath(), by, id)
			sent := func(a nodeAPNAnswer) nodeAPNAnswers {
				a.BundleID, a.RequestID = h.Topic, id
				return nodeAPNAnswers{Sent: []nodeAPNAnswer{a}, Failed: []nodeAPNAnswer{}}
			}
			var channel made
			for _, a := range got["create"].Sent {
				channel = a.ChannelID
			}
			want := map[string]nodeAPNAnswers{
				"empty":     sent(nodeAPNAnswer{Channels: []string{}}),
				"create":    sent(nodeAPNAnswer{ChannelID: "any"}),
				"read":      sent(nodeAPNAnswer{StoragePolicy: 1, PushType: "LiveActivity"}),
				"list":      sent(nodeAPNAnswer{Channels: []string{string(channel)}}),
				"broadcast": sent(nodeAPNAnswer{UniqueID: "any"}),
				"delete":    sent(nodeAPNAnswer{}),
				"gone": {Sent: []nodeAPNAnswer{}, Failed: []nodeAPNAnswer{
					{BundleID: h.Topic, RequestID: id, Status: 400, Response: nodeAPNBody{"ChannelNotRegistered"}},
				}},
				"left": sent(nodeAPNAnswer{Channels: []string{}}),
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("answers by step (-want +got):\n%s", diff)
			}
		})
	}
}

// nodeAPN runs a program of testdata/nodeapn where it is installed, and returns
// what it printed.
func nodeAPN[T any](t *testing.T, folder, name string, args ...string) (v T) {
	t.Helper()
	o := program{args: slices.Concat([]string{"node", name}, args), dir: folder}.mustRun(t)
	if err := json.Unmarshal([]byte(o.stdout), &v); err != nil {
		t.Fatalf("%s printed %q: %v", name, o.stdout, err)
	}
	return v
}

// nodeAPNAnswers is what the library makes of the answers to one call.
type nodeAPNAnswers struct {
	Sent   []nodeAPNAnswer `json:"sent"`
	Failed []nodeAPNAnswer `json:"failed"`
}

// nodeAPNAnswer is one of them: what it is about, headers and body, and what
// went wrong.
type nodeAPNAnswer struct {
	Device   string `json:"device"`
	BundleID string `json:"bundleId"`

	ID        string `json:"apns-id"`
	RequestID string `json:"apns-request-id"`
	UniqueID  made   `json:"apns-unique-id"`
	ChannelID made   `json:"apns-channel-id"`

	Channels      []string `json:"channels"`
	StoragePolicy int      `json:"message-storage-policy"`
	PushType      string   `json:"push-type"`

	Status   int         `json:"status"`
	Response nodeAPNBody `json:"response"`
	Error    string      `json:"error"`
}

// nodeAPNBody is the body of a refusal.
type nodeAPNBody struct {
	Reason string `json:"reason"`
}

// made is what the service makes up. Two of them are equal if both are there or
// neither is.
type made string

// Equal is what go-cmp compares by.
func (m made) Equal(other made) bool { return (m == "") == (other == "") }
