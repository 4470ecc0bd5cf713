package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"
)

// TestCurlBroadcasts has curl lead a channel from its creation to its end, as
// Apple's documentation writes the commands.
func TestCurlBroadcasts(t *testing.T) {
	t.Parallel()
	needCurl(t)
	h := start(t)
	const update = `{"aps":{"timestamp":1700000000,"event":"update","content-state":{"score":1}}}`
	channels, all := "/1/apps/"+h.Topic+"/channels", "/1/apps/"+h.Topic+"/all-channels"

	for _, by := range []struct {
		name string
		args []string
	}{
		{"certificate", h.certificate()},
		{"provider token", h.providerToken(t)},
	} {
		t.Run(by.name, func(t *testing.T) {
			ask := func(host, path string, want int, args ...string) answer {
				t.Helper()
				id := newID()
				a := h.curlURL(t, "https://"+host+path, slices.Concat([]string{"--http2", "--header", "apns-request-id: " + id}, by.args, args)...)
				if a.status != want || a.version != "2" {
					t.Errorf("%s: got status %d, HTTP/%s, %s, want %d", path, a.status, a.version, a.body, want)
				}
				if got := a.header.Get("apns-request-id"); got != id {
					t.Errorf("%s: apns-request-id: got %q, want %q", path, got, id)
				}
				return a
			}
			manage := func(path string, want int, args ...string) answer {
				t.Helper()
				return ask(h.ChannelsSandbox, path, want, args...)
			}
			wantBody := func(a answer, want string) {
				t.Helper()
				if a.body != want {
					t.Errorf("got %s, want %s", a.body, want)
				}
			}
			wantBody(manage(all, http.StatusOK), `{"channels":[]}`)

			config := `{"message-storage-policy":1,"push-type":"LiveActivity"}`
			made := manage(channels, http.StatusCreated, "--data-binary", config)
			wantBody(made, "")
			channel := made.header.Get("apns-channel-id")
			named := []string{"--header", "apns-channel-id: " + channel}
			wantBody(manage(channels, http.StatusOK, named...), config)
			wantBody(manage(all, http.StatusOK), fmt.Sprintf(`{"channels":[%q]}`, channel))

			broadcast := slices.Concat(named, []string{
				"--header", "apns-push-type: liveactivity", "--header", "apns-priority: 10",
				"--header", "apns-expiration: " + strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10), "--data-binary", update,
			})
			sent := ask(h.GatewaySandbox, "/4/broadcasts/apps/"+h.Topic, http.StatusOK, broadcast...)
			wantBody(sent, "")
			if sent.header.Get("apns-unique-id") == "" {
				t.Error("the answer to a broadcast has no apns-unique-id")
			}
			wantBody(ask(h.ChannelsProduction, channels, http.StatusBadRequest, named...), `{"reason":"ChannelNotRegistered"}`)

			manage(channels, http.StatusNoContent, slices.Concat(named, []string{"--request", "DELETE"})...)
			wantBody(ask(h.GatewaySandbox, "/4/broadcasts/apps/"+h.Topic, http.StatusBadRequest, broadcast...), `{"reason":"ChannelNotRegistered"}`)
			wantBody(manage(all, http.StatusOK), `{"channels":[]}`)
		})
	}
}
