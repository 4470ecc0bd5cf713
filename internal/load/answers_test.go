package load

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
)

// TestStatus reads answers as x/net writes them: with a table, with Huffman
// code, and with entries that fall out of the table.
func TestStatus(t *testing.T) {
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	var a answers
	for i := range 2000 {
		want := []int{200, 400, 403, 410, 429, 503}[i%6]
		block.Reset()
		for _, f := range []hpack.HeaderField{
			{Name: ":status", Value: strconv.Itoa(want)},
			{Name: "content-type", Value: "application/json"},
			{Name: "apns-id", Value: strings.Repeat(strconv.Itoa(i), 1+i%40)},
			{Name: "x-own-" + strconv.Itoa(i%7), Value: "value", Sensitive: i%3 == 0},
		} {
			if err := enc.WriteField(f); err != nil {
				t.Fatal(err)
			}
		}
		if i%500 == 499 {
			enc.SetMaxDynamicTableSize(uint32(100 * (i % 7)))
		}
		got, err := a.status(block.Bytes())
		if err != nil || got != want {
			t.Fatalf("answer %d: got %d, %v, want %d", i, got, err, want)
		}
		if a.bytes > maxTableBytes {
			t.Fatalf("the table has %d bytes", a.bytes)
		}
	}
}

func FuzzStatus(f *testing.F) {
	for _, seed := range []string{"\x88", "\x48\x03403", "\x3f\xe1\x1f\x88", "\x40\x07:status\x03400\xbe", "\x00\x82\x00\x00\x00", "\xff\xff\xff\xff\xff"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, block []byte) {
		var a answers
		got, err := a.status(block)
		if a.bytes > maxTableBytes || a.bytes < 0 {
			t.Fatalf("the table has %d bytes", a.bytes)
		}
		// What a decoder takes whole has to be read the same.
		fields, invalid := hpack.NewDecoder(maxTableBytes, nil).DecodeFull(block)
		if err != nil || invalid != nil {
			return
		}
		want := 0
		for _, f := range fields {
			if f.Name == ":status" && len(f.Value) == 3 {
				want = newEntry(0, 3, true, []byte(f.Value)).status
			} else if f.Name == ":status" {
				want = 0
			}
		}
		if got != want {
			t.Fatalf("status: got %d, want %d", got, want)
		}
	})
}

func TestReasonIn(t *testing.T) {
	for body, want := range map[string]string{
		`{"reason":"BadTopic"}`:                   "BadTopic",
		`{"timestamp":1,"reason":"Unregistered"}`: "Unregistered",
		`{"reason":"cut`:                          "no reason",
		``:                                        "no reason",
	} {
		if got := reasonIn([]byte(body)); got != want {
			t.Errorf("%s: got %s, want %s", body, got, want)
		}
	}
}
