package api

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestKeys(t *testing.T) {
	w := newWorld(t, nil)
	got := w.do(t, "POST", "/v1/keys", `{"name":"reader","scopes":["read"],"expires_at":"2999-01-01T00:00:00Z"}`)
	var made newKey
	got.into(t, &made)
	at := "/v1/keys/" + string(made.ID)
	if got.status != 201 || got.header.Get("Location") != at {
		t.Fatalf("got %d at %s", got.status, got.header.Get("Location"))
	}
	if got := w.as(t, made.Secret, "GET", "/v1/apps", ""); got.status != 200 {
		t.Errorf("with the new key: %s", got.said())
	}
	var shown Key
	w.do(t, "GET", at, "").into(t, &shown)
	if shown.LastUsedAt.IsZero() {
		t.Error("that it was used was not noted")
	}
	shown.LastUsedAt = made.LastUsedAt
	if diff := cmp.Diff(made.Key, shown); diff != "" {
		t.Error(diff)
	}
	if all := w.names(t, w.admin, "/v1/keys?limit=1", "id"); len(all) != 2 {
		t.Errorf("the pages are %v", all)
	}
	for _, step := range []struct {
		target string
		want   int
	}{{at + "?forget", 409}, {at, 204}, {at, 204}, {at + "?forget=true", 204}, {at, 404}} {
		if got := w.do(t, "DELETE", step.target, ""); got.status != step.want {
			t.Errorf("DELETE %s: %s, want %d", step.target, got.said(), step.want)
		}
	}
	if got := w.as(t, made.Secret, "GET", "/v1/apps", ""); got.status != 401 {
		t.Errorf("with the revoked key: %s", got.said())
	}
}

func TestAudit(t *testing.T) {
	w := newWorld(t, nil)
	w.do(t, "POST", "/v1/apps", `{"id":"zoo","bundle_id":"com.example.zoo"}`)
	want := [][]string{{"herald", "herald"}, {w.admin[:19]}}
	if got := w.names(t, w.admin, "/v1/audit?limit=2", "actor"); !cmp.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
