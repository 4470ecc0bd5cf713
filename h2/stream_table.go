package h2

// streamTable holds what T is to a stream by the number of the stream. Streams
// come and go with each request, so it is a table with open addressing that is
// used again.
type streamTable[T any] struct {
	slots []streamSlot[T] // a power of two of them, at most half of them in use
	count int
}

// streamSlot is a place in a streamTable.
type streamSlot[T any] struct {
	id uint32
	at *T // nil where the slot is free
}

// slot returns where the stream id is looked for first.
func (t *streamTable[T]) slot(id uint32) int {
	return int(id*0x9e3779b1>>8) & (len(t.slots) - 1)
}

// find returns what the stream id has, or nil.
func (t *streamTable[T]) find(id uint32) *T {
	if t.count == 0 {
		return nil
	}
	for i := t.slot(id); ; i = (i + 1) & (len(t.slots) - 1) {
		if s := &t.slots[i]; s.at == nil || s.id == id {
			return s.at
		}
	}
}

// add adds the stream id, which is not there.
func (t *streamTable[T]) add(id uint32, at *T) {
	if 2*t.count >= len(t.slots) {
		old := t.slots
		t.slots = make([]streamSlot[T], max(8, 2*len(old)))
		for _, s := range old {
			if s.at != nil {
				t.put(s)
			}
		}
	}
	t.put(streamSlot[T]{id, at})
	t.count++
}

// put fills a slot.
func (t *streamTable[T]) put(s streamSlot[T]) {
	i := t.slot(s.id)
	for t.slots[i].at != nil {
		i = (i + 1) & (len(t.slots) - 1)
	}
	t.slots[i] = s
}

// remove takes out the stream id, which is there, and moves up what was put
// behind it because its slot was taken.
func (t *streamTable[T]) remove(id uint32) {
	mask := len(t.slots) - 1
	i := t.slot(id)
	for t.slots[i].id != id || t.slots[i].at == nil {
		i = (i + 1) & mask
	}
	t.count--
	for j := (i + 1) & mask; t.slots[j].at != nil; j = (j + 1) & mask {
		if home := t.slot(t.slots[j].id); (j-home)&mask >= (j-i)&mask {
			t.slots[i] = t.slots[j]
			i = j
		}
	}
	t.slots[i] = streamSlot[T]{}
}
