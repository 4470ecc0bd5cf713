package api

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/heraldpush/herald/provider/audience"
)

func FuzzMessageRequest(f *testing.F) {
	for _, body := range []string{
		`{"to":{"installations":["i1"]},"content":{"title":"T","body":"B","badge":1,"custom":{"a/b~":[1,{"c":null}]}}}`,
		`{"to":{"device_tokens":[{"value":"<740f4707 bebcf74f>"},{"value":"x","environment":"sandbox"}]},"environment":"production","payload":{"aps":{"content-available":1}}}`,
		`{"to":{"people":[{"external_id":"u1"},{},{"":""},{"a":"1","b":"2"},{"a":"\u0000"}]},"content":{"critical_sound":{"volume":2},"title_loc_args":["x"]},"mode":"validate"}`,
		`{"to":{"tag":"t","everybody":true},"content":{},"payload":null,"deliver":{"at":"2026-12-01T09:00:00Z","by":"PT2H","lane":"x"},"kind":"voip"}`,
		`{"to":{},"content":{"loc_key":"K","loc_args":[1]},"apns":{"push_type":"background","priority":1e1,"expiration":"P1D","relevance_score":-0.5,"interruption_level":"loud","url_args":[]}}`,
		`{"a/b":{"~":1},"content":{"body":"\ud800","body":"\u00e9"},"to":{"installations":[null,1,"i"]}}`,
		`[]`, `null`, `{"to":7}`,
	} {
		f.Add([]byte(body))
	}
	op := messageOperations()[1]
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, body []byte) {
		q := &request{op: &op, content: op.in.contents[0], body: body}
		if q.content.holds != reflect.TypeFor[messageRequest]() {
			t.Fatal("another operation")
		}
		var m messageRequest
		err := q.decode(&m)
		if err == nil {
			if _, err := canonical(body); err != nil {
				t.Errorf("no canonical form: %v", err)
			}
			o, refused := m.order(now)
			if refused == nil && m.Payload != nil && string(o.Notification.Payload) != string(m.Payload) {
				t.Errorf("the payload %q became %q", m.Payload, o.Notification.Payload)
			}
			if refused == nil && m.Content != nil && !o.Notification.Payload.IsObject() {
				t.Errorf("content became %q", o.Notification.Payload)
			}
			err = m.point(refused)
		}
		invalid, ok := errors.AsType[*audience.InvalidError](err)
		if !ok || slices.ContainsFunc(invalid.Faults, func(f audience.Fault) bool { return f.Code == audience.Duplicate }) {
			return // with a member twice, a pointer may be into the one or the other
		}
		if len(invalid.Faults) > 2*maxFaults {
			t.Errorf("%d faults", len(invalid.Faults))
		}
		for _, fault := range invalid.Faults {
			if !resolves(t, string(body), fault.Pointer) {
				t.Errorf("%s points nowhere in %q", fault.Pointer, body)
			}
		}
	})
}
