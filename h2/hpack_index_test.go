package h2

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2/hpack"
)

// indexDecoder decodes what an indexEncoder writes, as its peer would.
type indexDecoder struct {
	dec *hpack.Decoder
	got []hpack.HeaderField
}

func newIndexDecoder() *indexDecoder {
	d := &indexDecoder{}
	d.dec = hpack.NewDecoder(headerTableBytes, func(f hpack.HeaderField) { d.got = append(d.got, f) })
	return d
}

// check fails the test unless block stands for fields.
func (d *indexDecoder) check(tb testing.TB, block []byte, fields []hpack.HeaderField, indexed []string) {
	tb.Helper()
	d.got = nil
	if _, err := d.dec.Write(block); err != nil {
		tb.Fatalf("decoding %x: %v", block, err)
	}
	if err := d.dec.Close(); err != nil {
		tb.Fatalf("decoding %x: %v", block, err)
	}
	var want []hpack.HeaderField
	for _, f := range fields {
		for _, name := range indexed {
			// What is to be indexed is not marked as never to be.
			f.Sensitive = f.Sensitive && (f.Name != name || len(f.Name)+len(f.Value) > 100)
		}
		want = append(want, f)
	}
	if diff := cmp.Diff(want, d.got); diff != "" {
		tb.Fatalf("decoded (-want +got):\n%s", diff)
	}
}

func TestIndexEncoder(t *testing.T) {
	indexed := []string{"authorization", "apns-topic", "apns-push-type"}
	e := newIndexEncoder(indexed)
	d := newIndexDecoder()
	block := func(authorization, topic string) (int, []byte) {
		t.Helper()
		fields := []hpack.HeaderField{
			{Name: ":method", Value: "POST"},
			{Name: ":scheme", Value: "https"},
			{Name: ":path", Value: "/3/device/" + strings.Repeat("0f", 32)},
			{Name: "authorization", Value: authorization},
			{Name: "apns-topic", Value: topic},
			{Name: "apns-push-type", Value: "alert"},
			{Name: "apns-id", Value: "1", Sensitive: true},
		}
		b := e.appendBlock(nil, fields)
		d.check(t, b, fields, indexed)
		return len(b), b
	}
	unique := 2 + 2 + 74 + 1 + 1 + 7 + 1 + 1 // with :method, :scheme and the representations
	first, _ := block("bearer 1", "com.example.a")
	if again, _ := block("bearer 1", "com.example.a"); again != unique+3 || first <= again {
		t.Errorf("block: got %d and then %d bytes, want %d", first, again, unique+3)
	}
	block("bearer 2", "com.example.b")
	// All values are in the table.
	for _, a := range []string{"bearer 1", "bearer 2"} {
		for _, topic := range []string{"com.example.a", "com.example.b"} {
			if n, _ := block(a, topic); n != unique+3 {
				t.Errorf("block: got %d bytes, want %d", n, unique+3)
			}
		}
	}
	// A value larger than half the table is never there.
	long := strings.Repeat("x", 2048)
	for range 2 {
		if n, _ := block(long, "com.example.a"); n < len(long) {
			t.Errorf("block with a large value: got %d bytes", n)
		}
	}
	if n, _ := block("bearer 1", "com.example.a"); n != unique+3 {
		t.Errorf("block: got %d bytes, want %d", n, unique+3)
	}
	// The table gives up the oldest values, and has them again when they come.
	for i := range 200 {
		block("bearer 1", fmt.Sprintf("com.example.%d", i))
	}
	if n, _ := block("bearer 1", "com.example.199"); n != unique+3 {
		t.Errorf("block: got %d bytes, want %d", n, unique+3)
	}
	if n, _ := block("bearer 1", "com.example.a"); n <= unique+3 {
		t.Errorf("block: got %d bytes, want more", n)
	}
	// A table of no size.
	e.setTableSize(0)
	for i := range 2 {
		if n, b := block("bearer 1", "com.example.a"); n <= unique+3 || (i == 0) != (b[0] == 0x20) {
			t.Errorf("block: got %d bytes, %x", n, b[0])
		}
	}
	// Lowered and raised: both are said.
	e.setTableSize(100)
	e.setTableSize(0)
	e.setTableSize(1 << 20)
	d.dec.SetAllowedMaxDynamicTableSize(1 << 20)
	if _, b := block("bearer 1", "com.example.a"); b[0] != 0x20|31 {
		t.Errorf("block begins with %x", b[0])
	}
	for i := range 200 {
		block("bearer 1", fmt.Sprintf("com.example.%d", i))
	}
	for i := range 200 {
		if n, _ := block("bearer 1", fmt.Sprintf("com.example.%d", i)); n > unique+9 {
			t.Errorf("block: got %d bytes, want at most %d", n, unique+9)
		}
	}
}

// FuzzIndexEncoder writes blocks of arbitrary fields, with the size of the
// table changing, and has another implementation, and this package's own where
// the table is not larger than it wants, decode them.
func FuzzIndexEncoder(f *testing.F) {
	for i := range uint64(8) {
		f.Add(i, []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0xff, 20, 21, 22, 23, 0xfe, 40, 41, 0xfd, 50})
	}
	names := []string{
		":method", ":path", "authorization", "apns-topic", "apns-push-type", "apns-id", "content-length",
		"x", strings.Repeat("y", 90), "accept-encoding", "cookie", ":status",
	}
	f.Fuzz(func(t *testing.T, seed uint64, ops []byte) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		indexed := names[:2+int(seed%8)]
		e := newIndexEncoder(indexed)
		d := newIndexDecoder()
		own := newDecoder(nil)
		var ownWants uint32 = headerTableBytes
		var fields []hpack.HeaderField
		for _, op := range ops {
			switch {
			case op >= 0xf0:
				n := []uint32{0, 31, 40, 100, 500, 1000, 4095, 4096, 5000, 16384, 1 << 20}[rnd.IntN(11)]
				e.setTableSize(n)
				d.dec.SetAllowedMaxDynamicTableSize(max(n, headerTableBytes)) // the old size may still hold
				ownWants = max(ownWants, n)
			case op >= 0xe0:
				block := e.appendBlock([]byte("before"), fields)[6:]
				d.checkLoosely(t, block, fields)
				if ownWants <= headerTableBytes {
					own.begin(nil, true)
					for i := 0; len(block) > 0; {
						var df decodedField
						rest, ok, err := own.next(block, &df)
						if err != nil {
							t.Fatalf("own decoder: %v", err)
						}
						if block = rest; !ok {
							continue
						}
						if f := fields[i]; df.name != f.Name || df.value != f.Value {
							t.Fatalf("own decoder: got %q %q, want %v", df.name, df.value, f)
						}
						i++
					}
				}
				if e.used > e.size {
					t.Fatalf("table: %d bytes used of %d", e.used, e.size)
				}
				fields = nil
			default:
				f := hpack.HeaderField{Name: names[int(op)%len(names)], Sensitive: rnd.IntN(4) == 0}
				switch rnd.IntN(6) {
				case 0:
					f.Value = "POST"
				case 1:
					f.Value = strings.Repeat("v", rnd.IntN(3000))
				case 2:
					f.Value = "gzip, deflate"
				default:
					f.Value = fmt.Sprintf("value %d", rnd.IntN(60))
				}
				fields = append(fields, f)
			}
		}
	})
}

// checkLoosely does what check does, but for the marks.
func (d *indexDecoder) checkLoosely(tb testing.TB, block []byte, fields []hpack.HeaderField) {
	tb.Helper()
	d.got = nil
	if _, err := d.dec.Write(block); err != nil {
		tb.Fatalf("decoding %x: %v", block, err)
	}
	if err := d.dec.Close(); err != nil {
		tb.Fatalf("decoding %x: %v", block, err)
	}
	if len(d.got) != len(fields) {
		tb.Fatalf("decoded %d fields, want %d", len(d.got), len(fields))
	}
	for i, f := range fields {
		if g := d.got[i]; g.Name != f.Name || g.Value != f.Value {
			tb.Fatalf("decoded %v, want %v", g, f)
		}
	}
}

// TestIndexEncoderAllocations has blocks of two kinds take turns.
func TestIndexEncoderAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	e := newIndexEncoder([]string{"authorization", "apns-topic"})
	var calls [][]hpack.HeaderField
	for i := range 4 {
		call := pushCall(i, "")
		if i%2 == 0 { // with a field in their midst that others do not have
			call.Fields = append(call.Fields[:6:6], hpack.HeaderField{Name: "apns-collapse-id", Value: "x"}, call.Fields[6])
		}
		calls = append(calls, call.Fields)
	}
	dst := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(1000, func() {
		for _, fields := range calls {
			dst = e.appendBlock(dst[:0], fields)
		}
	}); n > 0 {
		t.Errorf("allocations: got %v, want 0", n)
	}
}
