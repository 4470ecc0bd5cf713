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
	enc := newEncoder()
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
			enc := newEncoder()
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
