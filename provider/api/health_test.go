package api

import (
	"context"
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
