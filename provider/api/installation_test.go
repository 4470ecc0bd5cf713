package api

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
)

const (
	phone = "/v1/apps/shop/installations/phone"
	// aToken is a device token of the app on a phone.
	aToken = `{"environment":"production","value":"` + "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" + `"}`
)

func TestInstallation(t *testing.T) {
	w := newWorld(t, nil)
	full := `{"device_tokens":[` + aToken + `],"person":{"external_id":"u42"},"tags":["news","city:zurich"],"locale":"de-CH",` +
		`"time_zone":"Europe/Zurich","app_version":"5.2.0","sequence":7}`
	var first, again, shown, patched Installation
	got := w.do(t, "PUT", phone, full)
	got.into(t, &first)
	if got.status != 201 || got.header.Get("Location") != phone {
		t.Fatalf("got %s at %s", got.said(), got.header.Get("Location"))
	}
	if got = w.do(t, "PUT", phone, full); got.status != 200 {
		t.Errorf("the second time: %s", got.said())
	}
	got.into(t, &again)
	w.do(t, "GET", phone, "").into(t, &shown)
	if diff := cmp.Diff(first, again) + cmp.Diff(first, shown); diff != "" {
		t.Error(diff)
	}
	if d := shown.DeviceTokens; len(d) != 1 || d[0].Kind != "alert" || d[0].State != "active" || !strings.Contains(aToken, string(d[0].Value)) {
		t.Errorf("the device tokens are %+v", d)
	}
	w.do(t, "PATCH", phone, `{"tags":["news"],"locale":null,"person":{"external_id":null,"email":"u42@example.com"}}`).into(t, &patched)
	want := first
	want.Tags, want.Locale, want.Person, want.UpdatedAt = []string{"news"}, "", map[string]string{"email": "u42@example.com"}, patched.UpdatedAt
	if diff := cmp.Diff(want, patched); diff != "" {
		t.Error(diff)
	}
	if got := w.do(t, "PUT", phone, `{"sequence":3}`); got.status != 200 || !strings.Contains(got.body, "u42@example.com") {
		t.Errorf("a late registration: %s", got.said())
	}
	for _, step := range []struct {
		method, body string
		want         int
	}{{"DELETE", "", 204}, {"DELETE", "", 404}, {"GET", "", 404}, {"PATCH", "{}", 404}} {
		if got := w.do(t, step.method, phone, step.body); got.status != step.want {
			t.Errorf("%s: %s, want %d", step.method, got.said(), step.want)
		}
	}
}

// TestPublishable goes through what a key that is in an app may do.
func TestPublishable(t *testing.T) {
	w := newWorld(t, nil)
	w.newApp(t, "zoo", "com.example.zoo")
	pk := w.newKey(t, account.KeySpec{Kind: account.Publishable, Apps: []account.AppID{shop}})
	w.do(t, "PUT", phone, `{"device_tokens":[`+aToken+`],"person":{"email":"u42@example.com"},"tags":["vip"],"sequence":5}`)
	for _, try := range []struct {
		method, target, body string
		want                 int
	}{
		{"PUT", phone + "2", `{"device_tokens":[` + aToken + `]}`, 201},
		{"PUT", phone, `{"sequence":1}`, 200}, // late: what is stored is not shown
		{"PATCH", phone, `{"app_version":"5"}`, 200},
		{"GET", phone, "", 403},
		{"DELETE", phone, "", 403},
		{"GET", "/v1/apps/shop/installations", "", 403},
		{"GET", "/v1/apps/shop/people/email/u42@example.com", "", 403},
		{"PUT", strings.Replace(phone, "shop", "zoo", 1), `{}`, 403},
		{"PUT", strings.Replace(phone, "shop", "none", 1), `{}`, 403},
		{"GET", "/v1/apps/shop", "", 403},
		{"GET", "/v1/apps", "", 403},
		{"GET", "/v1/keys", "", 403},
	} {
		got := w.as(t, pk, try.method, try.target, try.body)
		if got.status != try.want {
			t.Errorf("%s %s: %s, want %d", try.method, try.target, got.said(), try.want)
		}
		for _, secret := range []string{"0123456789abcdef", "u42", "vip"} {
			if strings.Contains(strings.ReplaceAll(got.said(), try.target, ""), secret) {
				t.Errorf("%s %s shows %s: %s", try.method, try.target, secret, got.said())
			}
		}
	}
}

// TestPublishableAnonymous proves that an app with such a key cannot get what is sent to
// somebody else, and goes on registering.
func TestPublishableAnonymous(t *testing.T) {
	w := newWorld(t, nil)
	pk := w.newKey(t, account.KeySpec{Kind: account.Publishable, Apps: []account.AppID{shop}, Anonymous: true})
	w.do(t, "PUT", phone, `{"device_tokens":[`+aToken+`],"person":{"external_id":"u42"}}`)
	for _, try := range []struct {
		method, target, body string
		want                 int
	}{
		{"PUT", phone + "2", `{"person":{"external_id":"u42"}}`, 403},
		{"PUT", phone + "2", `{"person":{}}`, 403},
		{"PUT", phone + "2", `{}`, 201},
		{"PATCH", phone + "2", `{"person":{"external_id":"u42"}}`, 403},
		{"PATCH", phone + "2", `{"Person":{"external_id":"u42"}}`, 422},
		{"PATCH", phone, `{"person":null}`, 403},
		{"PATCH", phone, `{"app_version":"5"}`, 200},
		{"PUT", phone, `{"device_tokens":[` + aToken + `],"app_version":"6"}`, 200},
	} {
		if got := w.as(t, pk, try.method, try.target, try.body); got.status != try.want {
			t.Errorf("%s %s %s: %s, want %d", try.method, try.target, try.body, got.said(), try.want)
		}
	}
	var p Person
	w.do(t, "GET", "/v1/apps/shop/people/external_id/u42", "").into(t, &p)
	if len(p.Installations) != 1 || p.Installations[0].AppVersion != "6" {
		t.Errorf("got %+v, want the phone alone, as it registered last", p.Installations)
	}
	if got := w.do(t, "POST", "/v1/keys", `{"scopes":["send"],"anonymous":true}`); got.status != 409 {
		t.Errorf("a secret key: %s, want 409", got.said())
	}
}

func TestInstallations(t *testing.T) {
	w := newWorld(t, nil)
	for _, id := range []string{"c", "a", "b", "d:1@x~y"} {
		if got := w.do(t, "PUT", "/v1/apps/shop/installations/"+id, `{"person":{"external_id":"u42"}}`); got.status != 201 {
			t.Fatal(got.said())
		}
	}
	const all = "/v1/apps/shop/installations"
	for target, want := range map[string][][]string{
		all:              {{"c", "a", "b", "d:1@x~y"}},
		all + "?limit=4": {{"c", "a", "b", "d:1@x~y"}},
		all + "?limit=3": {{"c", "a", "b"}, {"d:1@x~y"}},
	} {
		if got := w.names(t, w.admin, target, "id"); !cmp.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", target, got, want)
		}
	}
}

func TestPerson(t *testing.T) {
	w := newWorld(t, nil)
	w.do(t, "PUT", phone, `{"person":{"external_id":"a/b","email":"u42@example.com"}}`)
	w.do(t, "PUT", phone+"2", `{"person":{"external_id":"a/b"}}`)
	w.do(t, "PUT", phone+"3", `{"person":{"external_id":"other"}}`)
	const person = "/v1/apps/shop/people/external_id/a%2Fb"
	var p Person
	w.do(t, "GET", person, "").into(t, &p)
	if want := map[string]string{"external_id": "a/b", "email": "u42@example.com"}; !cmp.Equal(p.Aliases, want) || len(p.Installations) != 2 {
		t.Errorf("got %+v", p)
	}
	if got := w.do(t, "PUT", phone+"3", `{"person":{"external_id":"other","email":"u42@example.com"}}`); got.status != 409 || !strings.Contains(got.body, "different_people") {
		t.Errorf("two people at once: %s", got.said())
	}
	p = Person{}
	w.do(t, "PATCH", person, `{"aliases":{"email":null,"account":"42"}}`).into(t, &p)
	if want := map[string]string{"external_id": "a/b", "account": "42"}; !cmp.Equal(p.Aliases, want) || len(p.Installations) != 2 {
		t.Errorf("patched: %+v", p)
	}
	for body, want := range map[string]string{
		`{}`:                       "200",
		`{"aliases":{"email":1}}`:  `422 invalid [{"pointer":"/aliases/email","code":"malformed","detail":"here goes a string, not a number"}]`,
		`{"aliases":{"email":""}}`: `422 invalid [{"pointer":"/aliases/email","code":"required","detail":"the alias is empty"}]`,
		`{"person":{}}`:            `422 invalid [{"pointer":"/person","code":"unknown","detail":"there is no such field"}]`,
	} {
		if got := w.do(t, "PATCH", person, body); got.refusal(t) != want && !strings.HasPrefix(got.said(), want) {
			t.Errorf("PATCH %s: %s, want %s", body, got.said(), want)
		}
	}
	w.do(t, "PUT", phone+"4", `{"person":{"email":"other@example.com"}}`)
	if got, want := w.do(t, "PATCH", person, `{"aliases":{"email":"other@example.com"}}`).refusal(t),
		`409 different_people [{"pointer":"/aliases","code":"conflict","detail":"the aliases are those of different people"}]`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	w.do(t, "DELETE", phone+"4", "")
	// One of them has too many aliases with another two: none has them.
	w.do(t, "PATCH", phone+"2", `{"person":{"a":"1","b":"1","c":"1","d":"1","e":"1"}}`)
	before := w.do(t, "GET", person, "").body
	if got := w.do(t, "PATCH", person, `{"aliases":{"g":"1","h":"1"}}`); got.status != 422 {
		t.Errorf("too many: %s", got.said())
	}
	if after := w.do(t, "GET", person, "").body; after != before {
		t.Errorf("refused, and now %s, before %s", after, before)
	}
	for _, want := range []int{204, 404} {
		if got := w.do(t, "DELETE", person, ""); got.status != want {
			t.Errorf("got %s, want %d", got.said(), want)
		}
	}
	if got := w.names(t, w.admin, "/v1/apps/shop/installations", "id"); !cmp.Equal(got, [][]string{{"phone3"}}) {
		t.Errorf("left are %v", got)
	}
}

// More installations than are a person's devices are changed one by one.
func TestPersonOfMany(t *testing.T) {
	w := newWorld(t, nil)
	for n := range audience.MaxOfPerson + 1 {
		_, _, err := w.server.Register(t.Context(), "shop", audience.InstallationID(fmt.Sprint("i", n)), audience.Registration{Person: map[string]string{"id": "anna"}})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, ask := range [][2]string{{"PATCH", `{"aliases":{"id":"ann"}}`}, {"DELETE", ""}} {
		got := w.do(t, ask[0], "/v1/apps/shop/people/id/anna", ask[1])
		if want := `409 conflict [{"parameter":"person","code":"too_many","detail":"` + audience.ErrManyInstallations.Error() + `"}]`; got.refusal(t) != want {
			t.Errorf("%s: got %s, want %s", ask[0], got.refusal(t), want)
		}
	}
}
