package console_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/heraldpush/herald/console"
	"github.com/heraldpush/herald/device"
)

func get(t *testing.T, c *console.Console, url string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	c.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, url, nil))
	return w
}

func TestHome(t *testing.T) {
	c := console.New()
	c.Describe([]console.Fact{{Name: "Courier", Value: "127.0.0.1:5223"}}, "curl it")
	badge := 3
	c.Show(device.Presentation{AppName: "Demo", Banner: true, Title: "first"})
	c.Show(device.Presentation{AppName: "Demo", Banner: true, Title: "second", Body: "<script>alert(1)</script>", Badge: &badge})
	home := get(t, c, "http://127.0.0.1:8030/").Body.String()
	body := get(t, c, "http://127.0.0.1:8030/device").Body.String()
	for want, page := range map[string]string{"127.0.0.1:5223": home, "curl it": home, "&lt;script&gt;": body, "● 3": body} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(body, "<script>") {
		t.Error("a payload's text is in the page as it came")
	}
	if first, second := strings.Index(body, "first"), strings.Index(body, "second"); second > first {
		t.Error("the newest notification is not on top")
	}
}

// A warning is on the home page until it is taken back.
func TestWarn(t *testing.T) {
	c := console.New()
	for _, text := range []string{"Faults & all", ""} {
		c.Warn(text)
		body := get(t, c, "http://127.0.0.1:8030/").Body.String()
		if got, want := strings.Contains(body, "Faults &amp; all"), text != ""; got != want {
			t.Errorf("%q: shown: got %v, want %v", text, got, want)
		}
		if got, want := strings.Contains(body, `<p class="warn">`), text != ""; got != want {
			t.Errorf("%q: has a warning: got %v, want %v", text, got, want)
		}
	}
}

func TestHosts(t *testing.T) {
	c := console.New()
	for host, want := range map[string]int{
		"127.0.0.1:8030":        http.StatusOK,
		"[::1]:8030":            http.StatusOK,
		"localhost:8030":        http.StatusOK,
		"herald.localhost":      http.StatusOK,
		"attacker.example:8030": http.StatusMisdirectedRequest,
	} {
		if got := get(t, c, "http://"+host+"/").Code; got != want {
			t.Errorf("%s: got status %d, want %d", host, got, want)
		}
	}
	if got := get(t, c, "http://localhost/nothing").Code; got != http.StatusNotFound {
		t.Errorf("unknown path: got status %d, want 404", got)
	}
}
