package audience

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestMembers compares a set with a plain list.
func TestMembers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		slots := rapid.SliceOfNDistinct(rapid.Uint16Range(0, ChunkWidth-1), 0, rapid.SampledFrom([]int{3, 520, 1200}).Draw(t, "most"), rapid.ID).Draw(t, "slots")
		var m Members
		for _, s := range slots {
			m.Add(Slot(s))
		}
		if n := len(slots); n > 0 && rapid.Bool().Draw(t, "remove") {
			m.Remove(Slot(slots[n-1]))
			slots = slots[:n-1]
		}
		slices.Sort(slots)
		if got := m.Count(); got != len(slots) {
			t.Fatalf("got %d members, want %d", got, len(slots))
		}
		for rank, s := range m.All() {
			if Slot(slots[rank]) != s || m.Rank(s) != rank || !m.Has(s) {
				t.Fatalf("got member %d of rank %d, want %d of rank %d", s, m.Rank(s), slots[rank], rank)
			}
		}
		b := m.Append(nil)
		if most := min(1+2*len(slots), 1+ChunkWidth/8); len(b) > most {
			t.Fatalf("got %d bytes for %d members, want at most %d", len(b), len(slots), most)
		}
		again, err := ParseMembers(b)
		if err != nil || *again != m {
			t.Fatalf("parsing what was appended: got %v, want the same set", err)
		}
	})
}

func TestMembersStop(t *testing.T) {
	var m Members
	m.Add(1)
	m.Add(2)
	for rank := range m.All() {
		if rank > 0 {
			t.Error("the loop went on after its end")
		}
		break
	}
}

func TestParseMembersRefuses(t *testing.T) {
	for name, b := range map[string][]byte{
		"nothing":         nil,
		"another form":    {'x'},
		"half a place":    {'l', 0},
		"a place beyond":  {'l', 0x20, 0},
		"not ascending":   {'l', 0, 2, 0, 2},
		"a short map":     append([]byte{'m'}, bytes.Repeat([]byte{1}, ChunkWidth/8-1)...),
		"a map of few":    append([]byte{'m'}, make([]byte, ChunkWidth/8)...),
		"a list of many":  append([]byte{'l'}, make([]byte, 2*maxListed+2)...),
		"more than a map": append([]byte{'m'}, bytes.Repeat([]byte{0xff}, ChunkWidth/8+1)...),
	} {
		t.Run(name, func(t *testing.T) {
			if m, err := ParseMembers(b); err == nil {
				t.Errorf("got %d members, want an error", m.Count())
			}
		})
	}
}

// FuzzParseMembers proves that there is one form for each set.
func FuzzParseMembers(f *testing.F) {
	var few, many Members
	few.Add(7)
	few.Add(ChunkWidth - 1)
	for s := range Slot(maxListed + 1) {
		many.Add(3 * s)
	}
	for _, m := range []Members{{}, few, many} {
		f.Add(m.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseMembers(b)
		if err != nil {
			return
		}
		if again := m.Append(nil); !bytes.Equal(again, b) {
			t.Errorf("got %x, want %x", again, b)
		}
	})
}

func TestOrdinal(t *testing.T) {
	for _, o := range []Ordinal{0, 1, ChunkWidth - 1, ChunkWidth, 100_000_000, 1<<32 - 1} {
		if got := o.Chunk().Ordinal(o.Slot()); got != o {
			t.Errorf("got %d, want %d", got, o)
		}
	}
}
