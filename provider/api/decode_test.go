package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/audience"
)

// specimen has a member of each kind.
type specimen struct {
	Text        string                   `json:"text"`
	Number      int8                     `json:"number,omitempty"`
	Count       uint16                   `json:"count,omitempty"`
	Share       float64                  `json:"share,omitempty"`
	Yes         bool                     `json:"yes,omitempty"`
	Bytes       []byte                   `json:"bytes,omitempty"`
	At          time.Time                `json:"at,omitzero"`
	Environment apns.Environment         `json:"environment,omitempty"`
	List        []specimenPart           `json:"list,omitempty"`
	Map         map[string][]string      `json:"map,omitempty"`
	Pointer     *specimenPart            `json:"pointer,omitempty"`
	Raw         json.RawMessage          `json:"raw,omitempty"`
	Nested      map[string]specimenPart  `json:"nested,omitempty"`
	hidden      map[string]*specimenPart //nolint:unused // members that are not exported are none
}

type specimenPart struct {
	Name string `json:"name"`
}

// faultList lists what is wrong: "pointer code" each.
func faultList(err error) string {
	invalid, ok := errors.AsType[*audience.InvalidError](err)
	if !ok {
		return fmt.Sprint(err)
	}
	var all []string
	for _, f := range invalid.Faults {
		all = append(all, f.Pointer+" "+string(f.Code))
	}
	return strings.Join(all, ", ")
}

func TestCheck(t *testing.T) {
	for _, tt := range []struct{ body, want string }{
		{`{"text":""}`, "<nil>"},
		{`{"text":"","number":-128,"count":65535,"share":1e3,"yes":true,"bytes":"AA==","at":"2030-01-31T08:00:00+01:00","environment":"sandbox",` +
			`"list":[{"name":"a"}],"map":{"a":["b"]},"pointer":{"name":"p"},"raw":{"x":[null]},"nested":{"a":{"name":"b"}}}`, "<nil>"},
		{`{}`, "/text required"},
		{`[]`, " malformed"},
		{`"text"`, " malformed"},
		{`null`, " malformed"},
		{`{"text":"","text":""}`, "/text duplicate"},
		{`{"Text":""}`, "/Text unknown, /text required"},
		{`{"text":1,"number":128,"count":-1,"share":"1","yes":"true"}`, "/text malformed, /number malformed, /count malformed, /share malformed, /yes malformed"},
		{`{"text":{},"number":1.5,"count":1e2,"share":1e999,"yes":1}`, "/text malformed, /number malformed, /count malformed, /share malformed, /yes malformed"},
		{`{"text":["",[{}]],"bytes":"A","at":"yesterday","environment":"moon"}`, "/text malformed, /bytes malformed, /at malformed, /environment malformed"},
		{`{"text":"","bytes":[0],"at":0,"environment":1}`, "/bytes malformed, /at malformed, /environment malformed"},
		{
			`{"text":"","list":[{"name":""},{},{"name":0},7,{"name":"","x":[{"y":1}]}]}`,
			"/list/1/name required, /list/2/name malformed, /list/3 malformed, /list/4/x unknown",
		},
		{`{"text":"","map":{"a":"b","c/d":["e",1],"~":null}}`, "/map/a malformed, /map/c~1d/1 malformed, /map/~0 malformed"},
		{`{"text":"","pointer":null,"nested":{"a":{}},"hidden":{},"":0}`, "/pointer malformed, /nested/a/name required, /hidden unknown, / unknown"},
	} {
		if got := faultList(check([]byte(tt.body), reflect.TypeFor[specimen](), false)); got != tt.want {
			t.Errorf("%s\ngot  %s\nwant %s", tt.body, got, tt.want)
		}
	}
	for _, tt := range []struct{ body, want string }{
		{`{}`, "<nil>"},
		{`{"text":null,"list":null,"nested":{"a":null,"b":{"name":null}},"pointer":{}}`, "<nil>"},
		{`{"list":[null,{}],"number":"1","text":[]}`, "/list/0 malformed, /list/1/name required, /number malformed, /text malformed"},
		{`null`, " malformed"},
		{`{"nested":{"a":{"x":null}}}`, "/nested/a/x unknown"},
	} {
		if got := faultList(check([]byte(tt.body), reflect.TypeFor[specimen](), true)); got != tt.want {
			t.Errorf("patch %s\ngot  %s\nwant %s", tt.body, got, tt.want)
		}
	}
	many := `{"text":"","list":[` + strings.Repeat("0,", 1000) + `0]}`
	if invalid, ok := errors.AsType[*audience.InvalidError](check([]byte(many), reflect.TypeFor[specimen](), false)); !ok || len(invalid.Faults) != maxFaults {
		t.Error("the faults are not bounded")
	}
}

// FuzzCheck proves that what is found to fit does.
func FuzzCheck(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"tags":["a",1],"person":{"x":null}}`, `{"device_tokens":[{"environment":"sandbox","value":"00"}],"sequence":18446744073709551616}`,
		`{"id":"shop","bundle_id":"com.example.shop"}`, `{"kind":"secret","scopes":["send"],"expires_at":"2030-01-31T08:00:00Z"}`,
		`{"file":"AA==","environments":["sandbox"]}`, `[[[[`, `{"a":{"b":[{"c":1}]}}`, "{\"tags\":[\"\xff\"]}",
	} {
		f.Add([]byte(s))
	}
	table := operations()
	f.Fuzz(func(t *testing.T, body []byte) {
		for n := range table {
			op := &table[n]
			for _, in := range op.in.contents {
				if in.holds == nil {
					continue
				}
				err := check(body, in.holds, in.isPatch)
				if _, ok := errors.AsType[*Problem](err); err != nil && faultList(err) == err.Error() && !ok {
					t.Fatalf("%s: %v", op.id, err)
				}
				if err != nil {
					continue
				}
				if err := json.Unmarshal(body, reflect.New(in.holds).Interface()); err != nil {
					t.Errorf("%s: %q was found to fit, but: %v", op.id, body, err)
				}
			}
		}
	})
}
