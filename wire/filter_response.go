package wire

import "github.com/heraldpush/herald/apns"

// FilterResponse answers a Filter, the other direction of command 9. It is for
// couriers that announce FilterOptimisation, and devices that know of it
// (docs/protocol/courier.md#filter-versions).
//
//	S→D
//	 1  32 bytes  base token
//	 2  u64       version of the filter
//	 3  u8        status
type FilterResponse struct {
	BaseToken apns.BaseToken
	Version   uint64
	Status    FilterStatus
}

// FilterOptimisation is the bit of ConnectAck.Capabilities that announces
// FilterResponse and FilterUpdate. Herald's courier does not set it.
const FilterOptimisation = 1 << 2

// FilterStatus is what became of a Filter.
type FilterStatus uint8

// The statuses.
const (
	FilterTaken          FilterStatus = 1
	FilterFailed         FilterStatus = 2
	FilterNotOptimised   FilterStatus = 3 // the courier does without versions
	FilterInvalidVersion FilterStatus = 4 // the device is to send it again, with a later one
)

// ParseFilterResponse reads the payload of a FilterResponse frame. It fails
// with a MalformedError alone, also for a frame without status.
func ParseFilterResponse(payload []byte) (FilterResponse, error) {
	base, version, status, err := parseFilterVersion(payload, CommandFilter)
	return FilterResponse{base, version, FilterStatus(status)}, err
}

// parseFilterVersion reads the items that FilterResponse and FilterUpdate share.
func parseFilterVersion(payload []byte, c Command) (base apns.BaseToken, version uint64, status uint8, _ error) {
	hasStatus := false
	it := items{rest: payload}
	for it.next() {
		switch it.id {
		case 1:
			it.takeBaseToken(&base)
		case 2:
			it.takeUint64(&version)
		case 3:
			if it.takeUint8(&status) {
				hasStatus = true
			}
		}
	}
	if err := it.err(c); err != nil {
		return "", 0, 0, err
	}
	if !hasStatus {
		return "", 0, 0, &MalformedError{Command: c, Problem: "no status"}
	}
	return base, version, status, nil
}

// Append appends m to b as a whole frame.
func (m FilterResponse) Append(b []byte) []byte {
	return appendFilterVersion(b, CommandFilter, m.BaseToken, m.Version, uint8(m.Status))
}

func appendFilterVersion(b []byte, c Command, base apns.BaseToken, version uint64, status uint8) []byte {
	b, start := begin(b, c)
	b = appendOpaque(b, 1, base)
	if version != 0 {
		b = appendUint64(b, 2, version)
	}
	b = appendUint8(b, 3, status)
	return end(b, start)
}
