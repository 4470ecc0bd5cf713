package wire

import "github.com/heraldpush/herald/apns"

// NoStorage tells a device that nothing waited for it, command 14; it comes
// after the Filter (docs/protocol/courier.md#no-storage).
//
//	S→D
//	 1  32 bytes  base token
type NoStorage struct {
	BaseToken apns.BaseToken
}

// ParseNoStorage reads the payload of a NoStorage frame. It fails with a
// MalformedError alone.
func ParseNoStorage(payload []byte) (NoStorage, error) {
	var m NoStorage
	it := items{rest: payload}
	for it.next() {
		if it.id == 1 {
			it.takeBaseToken(&m.BaseToken)
		}
	}
	if err := it.err(CommandNoStorage); err != nil {
		return NoStorage{}, err
	}
	return m, nil
}

// Append appends m to b as a whole frame.
func (m NoStorage) Append(b []byte) []byte {
	b, start := begin(b, CommandNoStorage)
	b = appendOpaque(b, 1, m.BaseToken)
	return end(b, start)
}
