package api

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestAnswered(t *testing.T) {
	var got []Answered
	a := newWorld(t, func(cfg *Config) { cfg.Answered = func(told Answered) { got = append(got, told) } })
	for _, path := range []string{"/healthz", "/v1/apps", "/nowhere"} {
		a.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody))
	}
	want := []Answered{{Operation: "getHealth", Status: 200}, {Operation: "listApps", Status: 401}, {Status: 404}}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Answered{}, "Took")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, told := range got {
		if told.Took <= 0 {
			t.Errorf("%s took %v", told.Operation, told.Took)
		}
	}
}
