package wire

import "time"

// SetActiveInterval changes the active interval that the device gave in its
// Connect, command 19 (docs/protocol/courier.md#activity).
//
//	D→S
//	 1  u32  interval, seconds
type SetActiveInterval struct {
	// Interval is in whole seconds.
	Interval time.Duration
}

// ParseSetActiveInterval reads the payload of a SetActiveInterval frame. It
// fails with a MalformedError alone.
func ParseSetActiveInterval(payload []byte) (SetActiveInterval, error) {
	var m SetActiveInterval
	it := items{rest: payload}
	for it.next() {
		if it.id == 1 {
			it.takeSeconds(&m.Interval)
		}
	}
	if err := it.err(CommandSetActiveInterval); err != nil {
		return SetActiveInterval{}, err
	}
	return m, nil
}

// Append appends m to b as a whole frame.
func (m SetActiveInterval) Append(b []byte) []byte {
	b, start := begin(b, CommandSetActiveInterval)
	b = appendSeconds(b, 1, m.Interval)
	return end(b, start)
}
