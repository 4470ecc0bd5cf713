package apns_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/heraldpush/herald/apns"
)

// isObject is what Payload.IsObject is measured by.
func isObject(p []byte) bool {
	t := bytes.TrimLeft(p, " \t\r\n")
	return len(t) > 0 && t[0] == '{' && json.Valid(t)
}

// documents are what is and what almost is a JSON object.
var documents = []string{
	"", " ", "{", "}", "{}", " \t\r\n{} \t\r\n", "{}x", "{}{}", "[]", "null", `"{}"`, "\v{}", "\x00{}",
	`{"a":1}`, `{"a":1,}`, `{,"a":1}`, `{"a"}`, `{"a":}`, `{"a" : [ ] , "b" : { } }`, `{"a":1 "b":2}`, `{"a":1,"a":2}`, `{a:1}`, `{'a':1}`,
	`{"a":[1,2,[3,{"b":[]}]]}`, `{"a":[1,]}`, `{"a":[,1]}`, `{"a":[1 2]}`, `{"a":[1}`, `{"a":{]}`, `{"a":[}]`, `{"a":[{"b":1]}}`, `{"a":[1:2]}`, `{"a":{1,2}}`,
	`{"a":0}`, `{"a":-0}`, `{"a":00}`, `{"a":01}`, `{"a":-}`, `{"a":+1}`, `{"a":1.}`, `{"a":.1}`, `{"a":1.5e}`, `{"a":1.5E+10}`, `{"a":1e-1}`, `{"a":1e+}`, `{"a":0x1}`, `{"a":NaN}`, `{"a":1a}`, `{"a":1`, `{"a":-1.25e007}`,
	`{"a":true,"b":false,"c":null}`, `{"a":tru}`, `{"a":True}`, `{"a":nulL}`, `{"a":falsefalse}`, `{"a":true`, `{"a":n`,
	`{"a":"\"\\\/\b\f\n\r\t\u00e9\uD83D"}`, `{"a":"\x"}`, `{"a":"\u12G4"}`, `{"a":"\u123"}`, `{"a":"\`, `{"a":"\u`, `{"a":"\u1234`, `{"a":"`, `{"a":"b`, `{"a\":1}`,
	"{\"a\":\"\x1f\"}", "{\"a\":\"\x7f\"}", "{\"a\":\"line\nbreak, and then a long text\"}", "{\"a\":\"long enough for a word \x00\"}", "{\"a\":\"\xff\xfe\x80\x81\xc3\x28 not UTF-8 at all\"}",
	"{\"\xef\xbb\xbf\":\"größer – ein längerer Text mit Umlauten: äöüß\"}", "\xef\xbb\xbf{}", `{"a":"1234567\"","b":"12345678","c":"123456\\"}`,
	`{"aps":{"alert":{"title":"Hello","body":"A body of some length, as they have."},"badge":3,"sound":"default"},"x":[1.5,-2e3,null]}`,
	nested(63), nested(64), nested(65), nested(9_999), nested(10_000), nested(10_001), nested(65) + "]",
}

// nested returns an object with arrays and objects in it, depth levels in all.
func nested(depth int) string {
	var open, closing strings.Builder
	for i := range depth {
		if i%2 == 0 {
			open.WriteString(`{"a":`)
		} else {
			open.WriteString(`[`)
		}
	}
	for i := depth - 1; i >= 0; i-- {
		closing.WriteByte("}]"[i%2])
	}
	return open.String() + "1" + closing.String()
}

func TestIsObjectAsEncodingJSON(t *testing.T) {
	for _, doc := range documents {
		if got, want := apns.Payload(doc).IsObject(), isObject([]byte(doc)); got != want {
			t.Errorf("%.80q: got %t, want %t", doc, got, want)
		}
		if len(doc) > 1000 {
			continue
		}
		for end := range doc { // and all that is cut off
			p := []byte(doc[:end])
			if got, want := apns.Payload(p).IsObject(), isObject(p); got != want {
				t.Errorf("%.80q: got %t, want %t", p, got, want)
			}
		}
		for i := range doc { // and all with one byte changed
			for _, c := range []byte("\x00\x1f \"\\/,:{}[]0e-.tu\x80") {
				p := []byte(doc)
				p[i] = c
				if got, want := apns.Payload(p).IsObject(), isObject(p); got != want {
					t.Errorf("%.80q: got %t, want %t", p, got, want)
				}
			}
		}
	}
}

func FuzzIsObject(f *testing.F) {
	for _, doc := range documents {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		if got, want := apns.Payload(p).IsObject(), isObject(p); got != want {
			t.Errorf("%q: got %t, want %t", p, got, want)
		}
	})
}

var typicalPayload = apns.Payload(`{"aps":{"alert":{"title":"Your table is ready","subtitle":"Trattoria Da Enzo","body":"Please come to the counter within ten minutes, or call us."},"badge":2,"sound":"default","thread-id":"orders"},"order":172634,"live":true}`)

func TestHotAllocations(t *testing.T) {
	const hexToken = "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef"
	room := make([]byte, 0, 128)
	var uuids apns.UUIDs
	for name, f := range map[string]func() bool{
		"IsObject":          func() bool { return typicalPayload.IsObject() },
		"AppendDeviceToken": func() bool { b, err := apns.AppendDeviceToken(room, hexToken); return err == nil && len(b) == 32 },
		"UUIDs":             func() bool { return len(uuids.Append(room)) == 36 },
	} {
		if got := testing.AllocsPerRun(100, func() {
			if !f() {
				t.Errorf("%s: got something else", name)
			}
		}); got != 0 {
			t.Errorf("%s: got %v allocations, want none", name, got)
		}
	}
}

func TestUUIDs(t *testing.T) {
	var uuids apns.UUIDs
	seen := make(map[string]bool)
	for range 100 {
		id := string(uuids.Append(nil))
		if !apns.NotificationID(id).Valid() || id[14] != '4' || !strings.ContainsRune("89ab", rune(id[19])) || strings.ToLower(id) != id {
			t.Fatalf("got %q, want a random UUID in lower case", id)
		}
		if seen[id] {
			t.Fatalf("got %q twice", id)
		}
		seen[id] = true
	}
}

func BenchmarkIsObject(b *testing.B) {
	b.SetBytes(int64(len(typicalPayload)))
	b.ReportAllocs()
	for b.Loop() {
		if !typicalPayload.IsObject() {
			b.Fatal("got no object")
		}
	}
}
