package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnstest/scripted"
	"github.com/heraldpush/herald/provider/audience"
)

func TestFailuresAndStories(t *testing.T) {
	playSending(t, func(w *sending) {
		t := w.t
		for n := range 5 {
			w.register(audience.InstallationID(fmt.Sprintf("i%d", n)))
		}
		gone := time.Now().Add(time.Hour)
		w.gateway.ReplyTo(w.register("i1"), scripted.Refuse(apns.Unregistered).Since(gone))
		w.gateway.ReplyTo(w.register("i3"), scripted.Refuse(apns.DeviceTokenNotForTopic))
		var m, listed Message
		w.run(func() {
			m = w.send(`{"to":{"people":[{"external_id":"u-i0"},{"external_id":"u-i1"},{"external_id":"u-i3"}]},"content":{"body":"B"}}`)
			listed = w.send(`{"to":{"device_tokens":[{"value":"<` + w.register("i1").Hex() + `>","environment":"sandbox"}]},"content":{"body":"B"}}`)
			synctest.Wait()
		})
		at := m.Links["self"]
		var now Message
		w.do(t, http.MethodGet, at, "").into(t, &now)
		if want := (MessageCounts{Targeted: 3, Accepted: 1, Rejected: 2}); now.State != "done" || now.Counts != want || now.EndedAt.IsZero() {
			t.Errorf("got %+v, want %+v", now, want)
		}
		if diff := cmp.Diff(map[string]int{"Unregistered": 1, "DeviceTokenNotForTopic": 1}, now.ByReason); diff != "" {
			t.Error(diff)
		}

		var first, second list[Failure]
		w.do(t, http.MethodGet, m.Links["failures"]+"?limit=1", "").into(t, &first)
		w.do(t, http.MethodGet, first.Next, "").into(t, &second)
		all := append(first.Data, second.Data...)
		if len(first.Data) != 1 || len(all) != 2 || second.Next != "" {
			t.Fatalf("got %+v and %+v", first, second)
		}
		if f := all[0]; f.Installation != "i1" || f.DeviceToken != nil || f.Status != 410 || f.Reason != apns.Unregistered || !f.ID.Valid() || f.At.IsZero() ||
			!strings.Contains(f.Meaning, "no longer active") || !strings.Contains(f.Remedy, "left out from now on") {
			t.Errorf("got %+v", f)
		}
		if f := all[1]; f.Installation != "i3" || f.Status != 400 || f.Reason != apns.DeviceTokenNotForTopic {
			t.Errorf("got %+v", f)
		}
		var named list[Failure]
		w.do(t, http.MethodGet, listed.Links["failures"], "").into(t, &named)
		if f := named.Data[0]; f.Installation != "" || f.DeviceToken == nil || f.DeviceToken.Value != w.register("i1").Hex() || f.DeviceToken.Environment != apns.Sandbox {
			t.Errorf("got %+v", f)
		}

		for id, want := range map[string]string{
			"i0": "true accepted: the push service accepted it, which is no proof of delivery; alert",
			"i1": "true rejected: it was refused: the device token is no longer active for the topic; 410 alert",
			"i2": "false : the message is not for this installation",
		} {
			var s Story
			w.do(t, http.MethodGet, at+"/installations/"+id, "").into(t, &s)
			var got strings.Builder
			fmt.Fprintf(&got, "%v %s: %s;", s.Meant, s.Receipt, s.Summary)
			if s.Failure != nil {
				fmt.Fprintf(&got, " %d", s.Failure.Status)
			}
			for _, p := range s.Pushes {
				got.WriteString(" " + string(p.Kind))
				if p.ID == "" || s.Failure != nil && p.ID != s.Failure.ID {
					t.Errorf("%s: got apns-id %q in %+v", id, p.ID, s)
				}
			}
			if string(s.Installation) != id || s.Message.ID != m.ID || !strings.HasPrefix(got.String(), want) {
				t.Errorf("%s: got %s, want %s", id, got.String(), want)
			}
		}
		// Line by line, from the call of the API on.
		for id, want := range map[string]string{
			"i0": "submitted targeted targeted! tried! receipt ended",
			"i1": "submitted targeted targeted! tried! receipt! ended",
			"i2": "submitted left-out ended",
		} {
			var s Story
			w.do(t, http.MethodGet, at+"/installations/"+id, "").into(t, &s)
			var got []string
			for n, l := range s.Lines {
				hop := l.Hop
				if l.ID != "" {
					hop += "!"
				}
				got = append(got, hop)
				if l.Sentence == "" || l.Time.IsZero() || n > 0 && l.Time.Before(s.Lines[n-1].Time) || l.ID != "" && l.ID != s.Pushes[0].ID {
					t.Errorf("%s: got line %+v in %+v", id, l, s)
				}
			}
			if got := strings.Join(got, " "); got != want {
				t.Errorf("%s: got %s, want %s", id, got, want)
			}
		}
		// What the answers did to device tokens is taken back.
		if got, want := w.do(t, http.MethodPost, listed.Links["self"]+":undo", "").said(), `200 {"device_tokens":0}`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}
