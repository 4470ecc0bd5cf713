package api

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// openToAll are the operations that want no key: they tell nothing of anybody.
var openToAll = map[string]bool{"getHealth": true, "getOpenAPI": true}

// Nothing is done for who has no API key, or one that is none.
func TestPain09NoKeyNoDoor(t *testing.T) {
	w := newWorld(t, nil)
	parameter := regexp.MustCompile(`\{[a-z_]+\}`)
	seen := 0
	for _, op := range operations() {
		path := parameter.ReplaceAllString(op.path, "shop")
		if strings.Contains(op.path, "{environment}") {
			path = strings.Replace(op.path, "{environment}", "sandbox", 1)
		}
		path = strings.Replace(path, "{device_token}", "00112233", 1)
		for _, key := range []string{"", "Bearer sk_0123456789abcdef_0123456789abcdefghijklmnop", "Basic YWRtaW46YWRtaW4="} {
			r := httptest.NewRequestWithContext(t.Context(), op.method, path, http.NoBody)
			if key != "" {
				r.Header.Set("Authorization", key)
			}
			answer := httptest.NewRecorder()
			w.ServeHTTP(answer, r)
			got, refused := answer.Code, []int{http.StatusUnauthorized, http.StatusForbidden}
			if op.isHidden { // those in Apple's form that name no device token
				refused = append(refused, http.StatusBadRequest)
			}
			switch {
			case openToAll[op.id] && got == http.StatusOK:
				seen++
			case openToAll[op.id] || !slices.Contains(refused, got):
				t.Errorf("%s %s with %q: got %d", op.method, path, key, got)
			}
		}
	}
	if seen != 3*len(openToAll) {
		t.Errorf("got %d answers of operations that are open to all, want %d", seen, 3*len(openToAll))
	}
}
