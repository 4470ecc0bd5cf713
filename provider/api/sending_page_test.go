package api

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestSendingPage sends the messages on the page about sending, and looks whether the
// paths and headers there are those of the doors.
func TestSendingPage(t *testing.T) {
	b, err := os.ReadFile("../../docs/sending.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	playSending(t, func(w *sending) {
		w.register("42", "news")
		messages := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(page, -1)
		for _, m := range messages {
			if got := w.do(w.t, http.MethodPost, shopMessages, strings.Replace(m[1], `"u42"`, `"u-42"`, 1)); got.status != http.StatusAccepted {
				w.t.Errorf("%s: got %s", m[1], got.said())
			}
		}
		if len(messages) < 3 {
			w.t.Errorf("got %d messages, want 3", len(messages))
		}
	})
	for _, name := range []string{
		headerIdempotencyKey, headerReplayed, headerMessage, headerAPIKey, headerEnvironment, headerTitle, headerSubtitle, headerPriority, headerSound, headerThread,
	} {
		if !strings.Contains(page, "`"+name) {
			t.Errorf("the page does not speak of %s", name)
		}
	}
}
