package e2e

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestSideshow drives the gateway with the Go library that most Go programs
// send through, by certificate and by provider token.
func TestSideshow(t *testing.T) {
	t.Parallel()
	sideshow := buildModule(t, "sideshow", "the library sideshow/apns2")
	h := start(t)

	for _, with := range []string{"certificate", "token"} {
		push := func(t *testing.T, deviceToken, id, body string) (a sideshowAnswer) {
			t.Helper()
			o := tool(t, sideshow, "-dev", h.devPath(), "-with", with,
				"-device-token", deviceToken, "-apns-id", id, "-body", body)
			if err := json.Unmarshal([]byte(o.stdout), &a); err != nil {
				t.Fatalf("sideshow printed %q: %v", o.stdout, err)
			}
			return a
		}
		t.Run(with, func(t *testing.T) {
			n := h.alert("")
			n.Payload = json.RawMessage(`{"aps":{"alert":"by sideshow","badge":3},"from":"sideshow"}`)
			if got, want := push(t, h.DeviceToken, n.ID, "by sideshow"), (sideshowAnswer{200, "", n.ID, true}); got != want {
				t.Fatalf("got %+v, want %+v", got, want)
			}
			h.checkDelivered(t, n)
		})
		t.Run(with+" to a device that is away", func(t *testing.T) {
			id := newID()
			if got, want := push(t, h.BenchDeviceToken, id, "kept"), (sideshowAnswer{200, "", id, true}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
		t.Run(with+" refused", func(t *testing.T) {
			id := newID()
			got := push(t, strings.Repeat("00fe", 16), id, "refused")
			if want := (sideshowAnswer{400, "BadDeviceToken", id, false}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

// sideshowAnswer is what testdata/sideshow prints.
type sideshowAnswer struct {
	Status int    `json:"status"`
	Reason string `json:"reason"`
	ID     string `json:"apns_id"`
	Sent   bool   `json:"sent"`
}
