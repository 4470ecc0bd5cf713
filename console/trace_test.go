package console_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/console"
	"github.com/heraldpush/herald/device"
	"github.com/heraldpush/herald/trace"
)

// A notification on the page leads to its story.
func TestStory(t *testing.T) {
	const id, newer = "eabeae54-14a8-11e5-b60b-1697f925ec7b", "0a1b2c3d-4e5f-4a6b-8c7d-9e0fa1b2c3d4"
	c := console.New()
	c.Show(device.Presentation{ID: id, AppName: "Demo", Title: "hello"})
	link := `href="/traces/` + id + `"`
	if strings.Contains(get(t, c, "http://127.0.0.1/device").Body.String(), link) {
		t.Error("there is a link to a story, and there are no stories")
	}
	if got := get(t, c, "http://127.0.0.1/traces/"+id).Code; got != http.StatusNotFound {
		t.Errorf("without traces: got status %d", got)
	}
	rec, err := trace.Open(trace.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Close()
	at, now := apns.Address{Device: 3, Environment: apns.Sandbox}, time.Now()
	rec.Record(&trace.Line{Hop: trace.Accepted, Time: now.Add(-time.Hour), ID: id, Address: at, Connection: 7})
	rec.Record(&trace.Line{Hop: trace.Stored, Time: now.Add(-time.Hour + 1500*time.Microsecond), ID: id, Address: at})
	rec.Record(&trace.Line{Hop: trace.Stored, Time: now, ID: newer, Address: at})
	c.Explain(rec)
	if !strings.Contains(get(t, c, "http://127.0.0.1/device").Body.String(), link) {
		t.Error("there is no link to the story")
	}
	page := get(t, c, "http://127.0.0.1/traces/"+strings.ToUpper(id)).Body.String()
	for _, want := range []string{"the gateway accepted it", "&#43;1.5ms", "this follows from the other lines", `href="/traces/` + newer + `"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	for path, want := range map[string]int{"/traces/x": 404, "/traces/00000000-0000-4000-8000-000000000000": 404, "/traces/": 404} {
		if got := get(t, c, "http://127.0.0.1"+path).Code; got != want {
			t.Errorf("%s: got status %d, want %d", path, got, want)
		}
	}
	rec.Close()
	if got := get(t, c, "http://127.0.0.1/traces/"+id).Code; got != http.StatusServiceUnavailable {
		t.Errorf("after the end: got status %d", got)
	}
}
