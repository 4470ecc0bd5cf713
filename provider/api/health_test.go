package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
)

func TestHealth(t *testing.T) {
	health := Health{OK: true}
	w := newWorld(t, func(c *Config) { c.Health = func(context.Context) Health { return health } })
	if got, want := w.as(t, "", "GET", "/healthz", "").said(), `200 {"ok":true}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	health = Health{OldestUnsentSeconds: 61.5}
	if got, want := w.as(t, "", "GET", "/healthz", "").said(), `503 {"ok":false,"oldest_unsent_seconds":61.5}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := newWorld(t, nil).as(t, "", "GET", "/healthz", "").said(), `200 {"ok":true}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestHead has the head of an answer without its body.
func TestHead(t *testing.T) {
	w := newWorld(t, nil)
	got, whole := w.head(t, "/openapi.json"), w.as(t, "", "GET", "/openapi.json", "")
	if got.status != 200 || got.body != "" || got.header.Get("Content-Length") != strconv.Itoa(len(whole.body)) {
		t.Errorf("got %s, %v", got.said(), got.header)
	}
}

// head asks for the head alone, of which the document says nothing.
func (w *world) head(t *testing.T, target string) *reply {
	t.Helper()
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodHead, target, nil))
	return &reply{rec.Code, rec.Header(), rec.Body.String()}
}
