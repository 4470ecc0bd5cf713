package api

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/provider/account"
)

// names returns a member of each of a list's elements, from page to page.
func (w *world) names(t *testing.T, key, target, member string) (pages [][]string) {
	t.Helper()
	for target != "" {
		got := w.as(t, key, "GET", target, "")
		if got.status != 200 {
			t.Fatalf("got %s", got.said())
		}
		var page list[map[string]any]
		got.into(t, &page)
		var names []string
		for _, one := range page.Data {
			name, ok := one[member].(string)
			if !ok {
				t.Fatalf("no %s in %v", member, one)
			}
			names = append(names, name)
		}
		want := ""
		if page.Next != "" {
			want = "<" + page.Next + `>; rel="next"`
		}
		if link := got.header.Get("Link"); link != want {
			t.Errorf("Link is %q, want %q", link, want)
		}
		pages, target = append(pages, names), page.Next
	}
	return pages
}

func TestApps(t *testing.T) {
	w := newWorld(t, nil)
	got := w.do(t, "POST", "/v1/apps", `{"id":"zoo","bundle_id":"com.example.zoo"}`)
	if got.status != 201 || got.header.Get("Location") != "/v1/apps/zoo" {
		t.Fatalf("got %s at %s", got.said(), got.header.Get("Location"))
	}
	w.newApp(t, "bar", "com.example.bar")
	if got, want := w.names(t, w.admin, "/v1/apps?limit=2", "id"), [][]string{{"bar", "shop"}, {"zoo"}}; !cmp.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	some := w.newKey(t, account.KeySpec{Scopes: []account.Scope{account.ScopeRead}, Apps: []account.AppID{"zoo", "shop"}})
	if got, want := w.names(t, some, "/v1/apps?limit=1", "id"), [][]string{{"shop"}, {"zoo"}}; !cmp.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, change := range []struct{ body, want string }{
		{`{"name":"Zoo"}`, "Zoo"}, {`{}`, "Zoo"}, {`{"name":null}`, ""},
	} {
		var after App
		w.do(t, "PATCH", "/v1/apps/zoo", change.body).into(t, &after)
		var shown App
		w.do(t, "GET", "/v1/apps/zoo", "").into(t, &shown)
		if after.Name != change.want || !cmp.Equal(after, shown) {
			t.Errorf("%s: got %+v, then %+v", change.body, after, shown)
		}
	}
}
