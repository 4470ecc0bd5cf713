package api

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/provider/outbox"
)

func TestListMessages(t *testing.T) {
	playSending(t, func(w *sending) {
		w.register("i1")
		var want, got []outbox.MessageID
		for range 5 {
			want = append([]outbox.MessageID{w.send(`{"to":{"installations":["i1"]},"content":{"body":"B"}}`).ID}, want...)
			time.Sleep(time.Second)
		}
		pages := 0
		for next := shopMessages + "?limit=2"; next != ""; pages++ {
			var page list[Message]
			w.do(w.t, http.MethodGet, next, "").into(w.t, &page)
			for _, m := range page.Data {
				got = append(got, m.ID)
			}
			next = page.Next
		}
		if diff := cmp.Diff(want, got); diff != "" || pages != 3 {
			w.t.Errorf("got %d pages, want 3 (-want +got):\n%s", pages, diff)
		}
		w.newApp(w.t, "cafe", "com.example.cafe")
		if got, want := w.do(w.t, http.MethodGet, "/v1/apps/cafe/messages", "").said(), `200 {"data":[]}`; got != want {
			w.t.Errorf("got %s, want %s", got, want)
		}
	})
}
