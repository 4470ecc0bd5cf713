package wire

// TaskControl belongs to a service that is gone, command 24. A courier ignores
// it (docs/protocol/courier.md#obsolete).
//
//	D→S
//	 1  u32    id
//	 2  bytes  payload
//
//	S→D
//	 1  u32    id
//	 3  u8     status
type TaskControl struct {
	ID uint32
	// Payload aliases the bytes parsed. At most MaxItemBytes can be written.
	Payload []byte
	// Status is as good as absent without HasStatus.
	Status    uint8
	HasStatus bool
}

// ParseTaskControl reads the payload of a TaskControl frame. It fails with a
// MalformedError alone.
func ParseTaskControl(payload []byte) (TaskControl, error) {
	return parseTask(payload, CommandTaskControl)
}

// parseTask reads the items that TaskControl and TaskNotification share.
func parseTask(payload []byte, c Command) (TaskControl, error) {
	var m TaskControl
	it := items{rest: payload}
	for it.next() {
		switch it.id {
		case 1:
			it.takeUint32(&m.ID)
		case 2:
			if len(it.value) > 0 {
				m.Payload = it.value
			}
		case 3:
			if it.takeUint8(&m.Status) {
				m.HasStatus = true
			}
		}
	}
	if err := it.err(c); err != nil {
		return TaskControl{}, err
	}
	return m, nil
}

// Append appends m to b as a whole frame.
func (m TaskControl) Append(b []byte) []byte { return m.append(b, CommandTaskControl) }

func (m TaskControl) append(b []byte, c Command) []byte {
	b, start := begin(b, c)
	if m.ID != 0 {
		b = appendUint32(b, 1, m.ID)
	}
	if len(m.Payload) > 0 {
		b = appendItem(b, 2, m.Payload)
	}
	if m.HasStatus {
		b = appendUint8(b, 3, m.Status)
	}
	return end(b, start)
}
