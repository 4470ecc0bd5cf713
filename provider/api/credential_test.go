package api

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"mime"
	"mime/multipart"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

const credentials = "/v1/apps/shop/credentials"

// p8 returns the file of a new key.
func p8(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b, err := credential.MarshalP8(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// post sends a body as curl would, with a Content-Type.
func (w *world) post(t *testing.T, target, media, body string) *reply {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), "POST", target, strings.NewReader(body))
	r.Header.Set("Authorization", "bearer "+w.admin)
	r.Header.Set("Content-Type", media)
	return w.ask(t, r)
}

// form returns the Content-Type and body of a form with a file and fields, "name=value".
func form(t *testing.T, fileName, file string, fields ...string) (media, body string) {
	t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	part, err := m.CreateFormFile("file", fileName)
	if err != nil {
		t.Fatal(err)
	}
	_, err = part.Write([]byte(file))
	for _, f := range fields {
		name, value, _ := strings.Cut(f, "=")
		err = errors.Join(err, m.WriteField(name, value))
	}
	if err = errors.Join(err, m.Close()); err != nil {
		t.Fatal(err)
	}
	return m.FormDataContentType(), b.String()
}

func TestUpload(t *testing.T) {
	w := newWorld(t, nil)
	w.gateway[apns.Sandbox] = fmt.Errorf("push: %w", apns.Reject(apns.InvalidProviderToken, ""))
	asForm, formBody := form(t, "AuthKey_2X9R4HXF34.p8", p8(t), "team_id=ABCDE12345", "environments=production,sandbox")
	for _, way := range []struct{ name, target, media, body string }{
		{"form", credentials, asForm, formBody},
		{"JSON", credentials, "application/json", `{"file":"` + base64.StdEncoding.EncodeToString([]byte(p8(t))) + `","team_id":"ABCDE12345","key_id":"2X9R4HXF34"}`},
		{"file", credentials + "?team_id=ABCDE12345&file_name=AuthKey_2X9R4HXF34.p8", "application/x-www-form-urlencoded", p8(t)},
	} {
		t.Run(way.name, func(t *testing.T) {
			got := w.post(t, way.target, way.media, way.body)
			if got.status != 201 {
				t.Fatal(got.said())
			}
			var c, shown Credential
			got.into(t, &c)
			at := credentials + "/" + string(c.ID)
			if got.header.Get("Location") != at || c.KeyID != "2X9R4HXF34" {
				t.Errorf("%+v is at %s", c, got.header.Get("Location"))
			}
			if said := fmt.Sprint(c.Findings); said != "[{sandbox refused InvalidProviderToken } {production taken  }]" {
				t.Errorf("the findings are %s", said)
			}
			w.do(t, "GET", at, "").into(t, &shown)
			if shown.Findings != nil || len(shown.Standings) != 2 {
				t.Errorf("it is shown as %+v", shown)
			}
			if strings.Contains(got.body, "PRIVATE") {
				t.Error("the answer has the key")
			}
		})
	}
	if got := w.names(t, w.admin, credentials, "kind"); len(got[0]) != 3 {
		t.Errorf("the list is %v", got)
	}
}

// A password that a form takes from a file may end with the line.
func TestUploadPasswordFile(t *testing.T) {
	for sent, want := range map[string]string{"secret": "secret", "secret\n": "secret", "secret\r\n": "secret", " secret ": " secret "} {
		media, body := form(t, "push.p12", "file", "password="+sent)
		_, params, err := mime.ParseMediaType(media)
		if err != nil {
			t.Fatal(err)
		}
		u, err := (&request{body: []byte(body), params: params}).uploadForm()
		if err != nil || u.Password != want {
			t.Errorf("%q: got %q, %v, want %q", sent, u.Password, err, want)
		}
	}
}

func TestCheckAndDelete(t *testing.T) {
	w := newWorld(t, nil)
	w.gateway[apns.Sandbox] = errors.New("no answer")
	var c Credential
	w.post(t, credentials+"?team_id=ABCDE12345&key_id=2X9R4HXF34", "application/octet-stream", p8(t)).into(t, &c)
	if said := fmt.Sprint(c.Findings); said != "[{sandbox unclear  no answer} {production taken  }]" {
		t.Errorf("the findings are %s", said)
	}
	at := credentials + "/" + string(c.ID)
	delete(w.gateway, apns.Sandbox)
	c = Credential{}
	w.do(t, "POST", at+":check", "").into(t, &c)
	if said := fmt.Sprint(c.Findings); said != "[{sandbox taken  } {production taken  }]" {
		t.Errorf("the findings are %s", said)
	}
	for _, step := range []struct {
		method, target, want string
	}{
		{"DELETE", at, "409 "},
		{"DELETE", at + "?force=maybe", "400 "},
		{"DELETE", at + "?force=true", "204 "},
		{"DELETE", at, "404 "},
		{"GET", at, "404 "},
		{"POST", at + ":check", "404 "},
		{"GET", at + ":check", "405 "},
	} {
		if got := w.do(t, step.method, step.target, ""); !strings.HasPrefix(got.said()+" ", step.want) {
			t.Errorf("%s %s: %s, want %s", step.method, step.target, got.said(), step.want)
		}
	}
}

// TestUploadRefused has the faults of uploads where they are.
func TestUploadRefused(t *testing.T) {
	w := newWorld(t, nil)
	key := p8(t)
	asForm, formBody := form(t, "AuthKey_2X9R4HXF34.p8", key, "team=ABCDE12345")
	_, twice := form(t, "AuthKey_2X9R4HXF34.p8", key, "file=x")
	for _, way := range []struct{ name, target, media, body, want string }{
		{
			"a password in the address", credentials + "?password=secret", "application/octet-stream", key,
			`400 bad_parameter [{"parameter":"password","code":"malformed","detail":"a password goes in a form: -F file=@… -F password=…; this one may be in logs now, so take another"}]`,
		},
		{
			"no team, with the file as body", credentials + "?key_id=2X9R4HXF34", "application/octet-stream", key,
			`422 invalid [{"parameter":"team_id","code":"required","detail":"give the team ID, which stands on the membership page of the developer account"}]`,
		},
		{
			"no key", credentials, "application/octet-stream", "hello",
			`422 invalid [{"pointer":"","code":"malformed","detail":"E-`,
		},
		{"JSON that does not say so", credentials, "application/x-www-form-urlencoded", `{"file":""}`, `415 unsupported_media_type []`},
		{
			"JSON with a query", credentials + "?team_id=ABCDE12345", "application/json", `{"file":""}`,
			`400 bad_parameter [{"parameter":"team_id","code":"unknown","detail":"the query is for the file itself as body; here it goes into the body"}]`,
		},
		{"no base64", credentials, "application/json", `{"file":"?"}`, `422 invalid [{"pointer":"/file","code":"malformed","detail":"not base64"}]`},
		{"no file", credentials, "application/json", `{"file":""}`, `422 invalid [{"pointer":"/file","code":"required","detail":"there is no file"}]`},
		{
			"a field that is none", credentials, asForm, formBody,
			`422 invalid [{"pointer":"/team","code":"unknown","detail":"there is no such field; there are file, password, file_name, team_id, key_id, environments, topics, replaces"}]`,
		},
		{
			"a file twice", credentials, strings.Replace(asForm, asForm[len(asForm)-60:], twice[2:62], 1), twice,
			`422 invalid [{"pointer":"/file","code":"duplicate","detail":"it is there twice"}]`,
		},
		{"no form", credentials, asForm, "hello", `422 invalid [{"pointer":"/file","code":"required","detail":"there is no file"}]`},
		{"a form that breaks off", credentials, asForm, formBody[:200], `400 bad_body []`},
		{"too large", credentials, "application/octet-stream", strings.Repeat("x", maxUpload+1), `413 body_too_large []`},
		{"another app", "/v1/apps/zoo/credentials", "application/octet-stream", key, `404 not_found []`},
	} {
		t.Run(way.name, func(t *testing.T) {
			got := w.post(t, way.target, way.media, way.body)
			if said := got.refusal(t); !strings.HasPrefix(said, way.want) {
				t.Errorf("got  %s\nwant %s", said, way.want)
			}
			if strings.Contains(got.body, "secret") {
				t.Error("the password is repeated")
			}
		})
	}
}
