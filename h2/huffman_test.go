package h2

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"golang.org/x/net/http2/hpack"
)

// TestHuffman decodes what an encoder that is not ours wrote.
func TestHuffman(t *testing.T) {
	var inputs []string
	var all []byte
	for i := range 256 {
		all = append(all, byte(i))
		inputs = append(inputs, string([]byte{byte(i)}), string([]byte{byte(i), 'a', byte(i)}))
	}
	inputs = append(inputs, "", string(all))
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		b := make([]byte, r.IntN(60))
		for i := range b {
			if b[i] = byte(r.IntN(256)); r.IntN(2) == 0 {
				b[i] = "0123456789abcdef-./:"[r.IntN(20)]
			}
		}
		inputs = append(inputs, string(b))
	}
	for _, in := range inputs {
		got, ok := appendHuffmanDecoded([]byte("before"), hpack.AppendHuffmanString(nil, in))
		if !ok || string(got) != "before"+in {
			t.Errorf("%q: got %q, %v", in, got, ok)
		}
	}
}

func TestHuffmanInvalid(t *testing.T) {
	tests := []struct {
		name string
		in   []byte
		ok   bool
	}{
		{"7 bits of padding", []byte{0x1f, 0xff}, false}, // "a" has 5, and 11 follow
		{"3 bits of padding", []byte{0x1f}, true},
		{"padding of zeros", []byte{0x18}, false},
		{"8 bits of padding", []byte{0xff}, false},
		{"EOS", []byte{0xff, 0xff, 0xff, 0xff}, false},
		{"EOS and more", []byte{0xff, 0xff, 0xff, 0xfc, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f}, false},
		{"long code cut off", []byte{0xff, 0xff, 0xfe}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, ok := appendHuffmanDecoded(nil, tt.in); ok != tt.ok {
				t.Errorf("got %v, want %v", ok, tt.ok)
			}
		})
	}
}

func FuzzHuffman(f *testing.F) {
	for _, s := range []string{"", "/3/device/00fc13adff785122b4ad", "\x00\xff\n\x16", "bearer eyJhbGciOiJFUzI1NiJ9"} {
		f.Add(hpack.AppendHuffmanString(nil, s))
	}
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, in []byte) {
		var want bytes.Buffer
		_, err := hpack.HuffmanDecode(&want, in)
		got, ok := appendHuffmanDecoded(nil, in)
		if ok != (err == nil) || ok && !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%x: got %q, %v, want %q, %v", in, got, ok, want.Bytes(), err)
		}
	})
}
