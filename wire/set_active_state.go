package wire

import "time"

// SetActiveState says whether the device is in use, command 20: while it is,
// what is not urgent may come too (docs/protocol/courier.md#activity).
//
//	D→S
//	 1  u8   state: 1 active, 2 inactive
//	 2  u32  for how long, seconds; only with state 1
type SetActiveState struct {
	State ActiveState
	// For is how long the device is active, in whole seconds; zero if the
	// device did not say, or is inactive.
	For time.Duration
}

// ActiveForever is the For of a device that wants all that is held back.
const ActiveForever = 0x7fffffff * time.Second

// ActiveState is the state in a SetActiveState.
type ActiveState uint8

// The states. Zero stands for a frame without one, which changes nothing.
const (
	Active   ActiveState = 1
	Inactive ActiveState = 2
)

// ParseSetActiveState reads the payload of a SetActiveState frame. It fails
// with a MalformedError alone.
func ParseSetActiveState(payload []byte) (SetActiveState, error) {
	var m SetActiveState
	it := items{rest: payload}
	for it.next() {
		switch it.id {
		case 1:
			it.takeUint8((*uint8)(&m.State))
		case 2:
			it.takeSeconds(&m.For)
		}
	}
	if err := it.err(CommandSetActiveState); err != nil {
		return SetActiveState{}, err
	}
	if m.State != Active {
		m.For = 0
	}
	return m, nil
}

// Append appends m to b as a whole frame.
func (m SetActiveState) Append(b []byte) []byte {
	b, start := begin(b, CommandSetActiveState)
	if m.State != 0 {
		b = appendUint8(b, 1, uint8(m.State))
	}
	if m.State == Active && m.For != 0 {
		b = appendSeconds(b, 2, m.For)
	}
	return end(b, start)
}
