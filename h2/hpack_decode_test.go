package h2

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2/hpack"
)

// decodeBlock decodes a whole block, and checks what must hold for each field.
func decodeBlock(t *testing.T, d *decoder, block []byte, want bool) ([]hpack.HeaderField, error) {
	t.Helper()
	d.begin(nil, want)
	var fields []hpack.HeaderField
	var f decodedField
	for p := block; len(p) > 0; {
		rest, ok, err := d.next(p, &f)
		if err != nil {
			return nil, err
		}
		if len(rest) >= len(p) {
			t.Fatalf("a representation of %d bytes", len(p)-len(rest))
		}
		p = rest
		if !ok {
			continue
		}
		fields = append(fields, hpack.HeaderField{Name: f.name, Value: f.value, Sensitive: f.sensitive})
		if got, want := f.kind, kindOf(f.name); got != want {
			t.Errorf("kind of %q: got %v, want %v", f.name, got, want)
		}
		if got, want := f.valid, validValueSlowly(f.value); got != want {
			t.Errorf("%q is valid: got %v, want %v", f.value, got, want)
		}
		if f.memo != nil && (f.memo.Value != f.value || !d.memory.minds(f.name)) {
			t.Errorf("field %q: %q has the memo of %q", f.name, f.value, f.memo.Value)
		}
	}
	return fields, nil
}

func validValueSlowly(s string) bool {
	return strings.Trim(s, " \t") == s && !strings.ContainsAny(s, "\x00\r\n")
}

// checkTable fails the test unless the dynamic tables hold the same.
func checkTable(t *testing.T, d *decoder, peer *hpack.Decoder) {
	t.Helper()
	size := 0
	for i := range d.table.count + 1 {
		block := appendInteger(nil, 0x80, 7, uint64(staticEntries+1+i))
		got, err := decodeBlock(t, d, block, true)
		want, peerErr := peer.DecodeFull(block)
		if (err == nil) != (peerErr == nil) || (err == nil) != (i < d.table.count) {
			t.Fatalf("entry %d of %d: got %v, want %v", i, d.table.count, err, peerErr)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("entry %d (-want +got):\n%s", i, diff)
		}
		for _, f := range got {
			size += int(f.Size())
		}
	}
	if d.table.size != size || size > d.table.max {
		t.Errorf("size of the table: got %d of at most %d, want %d", d.table.size, d.table.max, size)
	}
}

// FuzzDecoder holds the decoder against one that is not ours. The input is
// blocks, each with its length in two bytes before it, and a bit for whether its
// fields are wanted.
func FuzzDecoder(f *testing.F) {
	join := func(blocks ...[]byte) (b []byte) {
		for _, p := range blocks {
			b = append(append(b, byte(len(p)>>8), byte(len(p))), p...)
		}
		return b
	}
	var buf bytes.Buffer
	enc := hpack.NewEncoder(&buf)
	block := func(fields ...hpack.HeaderField) []byte {
		buf.Reset()
		for _, hf := range fields {
			if err := enc.WriteField(hf); err != nil {
				f.Fatal(err)
			}
		}
		return bytes.Clone(buf.Bytes())
	}
	var blocks [][]byte
	for i := range 16 {
		blocks = append(blocks, block(
			hpack.HeaderField{Name: ":method", Value: "POST"},
			hpack.HeaderField{Name: ":path", Value: fmt.Sprintf("/3/device/%060d", i)},
			hpack.HeaderField{Name: "authorization", Value: "bearer " + strings.Repeat("Ab-_", 40), Sensitive: i%3 > 0},
			hpack.HeaderField{Name: "apns-topic", Value: "com.example.app"},
			hpack.HeaderField{Name: fmt.Sprint("x-", i), Value: strings.Repeat("v", i*40)},
			hpack.HeaderField{Name: "odd", Value: " \n\x00"},
		))
		if i%5 == 4 {
			enc.SetMaxDynamicTableSize(uint32(1000 * (i / 5)))
		}
	}
	f.Add(join(blocks...), uint64(0))
	f.Add(join(blocks[:4]...), uint64(0x555))
	for _, p := range [][]byte{
		{},
		{0x80},
		{0xbe},
		{0x20},
		{0x3f, 0xe1, 0x1f},
		{0x3f, 0xe2, 0x1f},
		{0x82, 0x20},
		{0x40, 1, 'a', 1, 'b', 0xbe, 0x20},
		{0x40, 5, 'a'},
		{0x00, 0x80, 0x80},
		{0x7f, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01},
		{0x7f, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00},
		{0x0f, 0x08, 1, 'x'},
		{0x1f, 0x08, 0x81, 0x1f},
		{0x04, 0x81, 0x00},
		appendInteger([]byte{0x00, 0}, 0, 7, maxHeaderStringBytes+1),
		{0x40, 0, 0},
		{0x40, 2, 't', 'e', 3, 'g', 'z', '\n'},
	} {
		f.Add(join(p, p), uint64(0))
		f.Add(join(p, p), uint64(1))
	}
	f.Fuzz(func(t *testing.T, in []byte, unwanted uint64) {
		d := newDecoder([]string{"authorization", "x-1"})
		peer := hpack.NewDecoder(headerTableBytes, nil)
		peer.SetMaxStringLength(maxHeaderStringBytes)
		for ; len(in) >= 2; unwanted >>= 1 {
			n := min(int(in[0])<<8|int(in[1]), len(in)-2)
			block := in[2 : 2+n]
			in = in[2+n:]
			want := unwanted&1 == 0
			got, err := decodeBlock(t, &d, block, want)
			if errors.Is(err, errTableLate) {
				return // the other decoder lets it pass if the table is empty
			}
			peer.SetEmitEnabled(want)
			fields, peerErr := peer.DecodeFull(block)
			if (err == nil) != (peerErr == nil) || errors.Is(err, errFieldTooLarge) != errors.Is(peerErr, hpack.ErrStringLength) {
				t.Fatalf("block %x: got %v, want %v", block, err, peerErr)
			}
			if err != nil {
				return
			}
			if diff := cmp.Diff(fields, got); diff != "" {
				t.Fatalf("block %x (-want +got):\n%s", block, diff)
			}
			if len(d.table.values) > 2*headerTableBytes || len(d.table.entries) > 128 {
				t.Fatalf("table: %d bytes, %d entries", len(d.table.values), len(d.table.entries))
			}
		}
		peer.SetEmitEnabled(true)
		checkTable(t, &d, peer)
	})
}

// A block that is cut off anywhere is refused, or is a shorter block.
func TestDecoderPrefixes(t *testing.T) {
	block := appendField(nil, &hpack.HeaderField{Name: "authorization", Value: "bearer x"})
	block = append(block, 0x40, 0x83, 0x1c, 0x64, 0x5f, 1, 'b') // with a name in Huffman code
	whole := map[int]bool{0: true, len(block) - 7: true}
	for n := range block {
		d := newDecoder(nil)
		if _, err := decodeBlock(t, &d, block[:n], true); (err == nil) != whole[n] {
			t.Errorf("first %d bytes: got %v", n, err)
		}
	}
}

func TestMemo(t *testing.T) {
	const literal, never, add = 0x0f, 0x1f, 0x7f
	field := func(first byte, huffman bool, value string) []byte {
		index := uint64(23) // authorization
		bits := uint(4)
		if first == add {
			bits = 6
		}
		b := appendInteger(nil, first&^(1<<bits-1), bits, index)
		if !huffman {
			return appendString(b, value)
		}
		b = appendInteger(b, 0x80, 7, hpack.HuffmanEncodeLength(value))
		return hpack.AppendHuffmanString(b, value)
	}
	newest := []byte{0x80 | staticEntries + 1}
	tests := []struct {
		name   string
		blocks [][]byte
		same   bool // the last two have one memo; or neither has one
	}{
		{"literal twice", [][]byte{field(literal, false, "a"), field(literal, false, "a")}, false},
		{"literal three times", [][]byte{field(literal, true, "a"), field(literal, true, "a"), field(literal, true, "a")}, true},
		{"literals of all kinds", [][]byte{field(literal, true, "a"), field(never, true, "a"), field(add, true, "a")}, true},
		{"another between", [][]byte{field(never, true, "a"), field(never, true, "a"), field(never, true, "b"), field(never, true, "a"), field(never, true, "a")}, true},
		{"from the table", [][]byte{field(add, true, "a"), newest, newest}, true},
		{"from the table and as a literal", [][]byte{field(add, true, "a"), field(add, true, "a"), newest}, true},
		{"invalid value", [][]byte{field(add, false, "a\n"), field(add, false, "a\n"), newest, newest}, false},
		{"other values", [][]byte{field(never, false, "a"), field(never, false, "a"), field(never, false, "ab"), field(never, false, "ba")}, false},
		{"one that looks the same", [][]byte{field(never, false, "\x1f"), field(never, false, "\x1f"), field(never, true, "a"), field(never, true, "b")}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDecoder([]string{"authorization"})
			var memos []*Memo
			for _, b := range tt.blocks {
				d.begin(nil, true)
				var f decodedField
				if _, ok, err := d.next(b, &f); err != nil || !ok {
					t.Fatalf("%x: %v, %v", b, ok, err)
				}
				if f.memo != nil && f.memo.Value != f.value {
					t.Errorf("memo of %q for %q", f.memo.Value, f.value)
				}
				memos = append(memos, f.memo)
			}
			a, b := memos[len(memos)-2], memos[len(memos)-1]
			if got := a != nil && a == b; got != tt.same {
				t.Errorf("the same memo: got %v (%p, %p), want %v", got, a, b, tt.same)
			}
		})
	}
}

// An entry that is evicted by a later field of the same block leaves the field
// that referred to it as it was, and the new one gets another memo.
func TestEvictionWithinABlock(t *testing.T) {
	d := newDecoder([]string{"authorization"})
	one, two := strings.Repeat("1", 3000), strings.Repeat("2", 3000)
	insert := func(v string) []byte { return appendString(appendInteger(nil, 0x40, 6, 23), v) }
	if _, err := decodeBlock(t, &d, insert(one), true); err != nil {
		t.Fatal(err)
	}
	d.begin(nil, true)
	p := append([]byte{0x80 | staticEntries + 1}, insert(two)...)
	p = append(p, 0x80|staticEntries+1)
	var fs [3]decodedField
	for i := range fs {
		rest, _, err := d.next(p, &fs[i])
		if err != nil {
			t.Fatal(err)
		}
		p = rest
	}
	if fs[0].value != one || fs[1].value != two || fs[2].value != two {
		t.Error("a value changed when its entry was evicted")
	}
	if fs[0].memo == nil || fs[0].memo.Value != one || fs[2].memo == nil || fs[2].memo.Value != two {
		t.Errorf("memos: got %p and %p, want one each", fs[0].memo, fs[2].memo)
	}
}

// What a peer can make the decoder hold is bounded.
func TestDecoderIsBounded(t *testing.T) {
	d := newDecoder([]string{"authorization"})
	for i := range 5000 {
		var b []byte
		b = appendString(appendString(append(b, 0x40), fmt.Sprint("name-", i)), fmt.Sprint(i))
		b = appendString(appendInteger(b, 0x40, 6, 23), fmt.Sprint(strings.Repeat("x", i%4000), i))
		if _, err := decodeBlock(t, &d, b, true); err != nil {
			t.Fatal(err)
		}
	}
	held := cap(d.table.values) + 64*len(d.table.entries)
	for _, v := range d.memory.values {
		held += cap(v.encoded)
	}
	if held > 40<<10 || len(d.names.names) > cachedNames || len(d.memory.values) > memoryValues {
		t.Errorf("held: got %d bytes, %d names and %d values", held, len(d.names.names), len(d.memory.values))
	}
}
