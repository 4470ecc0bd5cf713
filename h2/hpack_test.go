package h2

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2/hpack"
)

// TestEncoder decodes what the encoder wrote with a decoder that is not ours.
func TestEncoder(t *testing.T) {
	names := []string{
		"apns-id", "allow", "cache-control", "content-length", "content-type", "date", "location",
		"retry-after", "server", strings.Repeat("n", 300),
	}
	values := []string{"", "x", strings.Repeat("v", 126), strings.Repeat("v", 127), strings.Repeat("v", 128), strings.Repeat("v", 40000)}
	enc := newEncoder(nil)
	dec := hpack.NewDecoder(headerTableBytes, nil)
	for _, status := range []string{"200", "204", "206", "304", "400", "404", "500", "201", "403", "410", "429", "503", "999"} {
		for _, v := range values {
			n := int(status[0]-'0')*100 + int(status[1]-'0')*10 + int(status[2]-'0')
			want := []hpack.HeaderField{{Name: ":status", Value: status}}
			var fields []hpack.HeaderField
			for i, name := range names {
				fields = append(fields, hpack.HeaderField{Name: name, Value: v, Sensitive: i%2 == 0})
			}
			got, err := dec.DecodeFull(enc.appendBlock(nil, n, fields))
			if err != nil {
				t.Fatalf("status %s, value of %d bytes: %v", status, len(v), err)
			}
			if diff := cmp.Diff(append(want, fields...), got); diff != "" {
				t.Fatalf("status %s, value of %d bytes (-want +got):\n%s", status, len(v), diff)
			}
		}
	}
}

// Known fields are added once; what is then sent is short, and means the same to
// a decoder that is not ours.
func TestEncoderKnownFields(t *testing.T) {
	id := func(v string) hpack.HeaderField { return hpack.HeaderField{Name: "apns-id", Value: v} }
	json := hpack.HeaderField{Name: "content-type", Value: "application/json"}
	text := hpack.HeaderField{Name: "content-type", Value: "text/plain"}
	secret := hpack.HeaderField{Name: "apns-id", Value: "secret", Sensitive: true}
	long := id(strings.Repeat("v", maxKnownValueBytes+1))
	known := []hpack.HeaderField{id(""), json, {Name: "huge", Value: strings.Repeat("h", 5000)}}
	tests := []struct {
		fields []hpack.HeaderField
		length int // of the block; 0 if it does not matter
	}{
		{[]hpack.HeaderField{text}, 0},
		{[]hpack.HeaderField{long, secret}, 0},
		{[]hpack.HeaderField{id("1")}, 1 + 1 + 8 + 2},
		{[]hpack.HeaderField{id("2")}, 1 + 2 + 2},
		{[]hpack.HeaderField{id("3"), json}, 0},
		{[]hpack.HeaderField{id("4"), json}, 1 + 2 + 2 + 1},
		{[]hpack.HeaderField{json, id("5"), id("6"), secret, long}, 0},
		{[]hpack.HeaderField{{Name: "huge", Value: strings.Repeat("h", 5000)}}, 0},
		{[]hpack.HeaderField{id("4"), json}, 1 + 2 + 2 + 1},
	}
	enc := newEncoder(known)
	dec := hpack.NewDecoder(headerTableBytes, nil)
	check := func(fields []hpack.HeaderField, length int) {
		t.Helper()
		block := enc.appendBlock(nil, 200, fields)
		got, err := dec.DecodeFull(block)
		if err != nil {
			t.Fatalf("%v: %v", fields, err)
		}
		if diff := cmp.Diff(append([]hpack.HeaderField{{Name: ":status", Value: "200"}}, fields...), got); diff != "" {
			t.Fatalf("block %x (-want +got):\n%s", block, diff)
		}
		if length > 0 && len(block) != length {
			t.Errorf("%v: got %d bytes, want %d", fields, len(block), length)
		}
	}
	for _, tt := range tests {
		check(tt.fields, tt.length)
	}
	// A peer with a smaller table gets all in full again.
	enc.setTableSize(30)
	check([]hpack.HeaderField{id("7"), json}, 0)
	check([]hpack.HeaderField{id("8"), json}, 1+9+2+2+17)
}

func TestTableSize(t *testing.T) {
	tests := []struct {
		name  string
		sizes []uint32
		want  []byte // before the status
	}{
		{"none", nil, nil},
		{"the same", []uint32{4096}, nil},
		{"larger", []uint32{10000}, nil},
		{"smaller", []uint32{10}, []byte{0x2a}},
		{"smaller and larger", []uint32{10, 0, 4096}, []byte{0x20, 0x3f, 0xe1, 0x1f}},
		{"smaller twice", []uint32{100, 10}, []byte{0x2a}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			enc := newEncoder(nil)
			for _, n := range tt.sizes {
				enc.setTableSize(n)
			}
			if got, want := enc.appendBlock(nil, 200, nil), append(tt.want, 0x88); !bytes.Equal(got, want) {
				t.Errorf("block: got %x, want %x", got, want)
			}
			if got := enc.appendBlock(nil, 200, nil); !bytes.Equal(got, []byte{0x88}) {
				t.Errorf("next block: got %x, want 88", got)
			}
		})
	}
}
