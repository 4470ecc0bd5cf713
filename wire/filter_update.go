package wire

import "github.com/heraldpush/herald/apns"

// FilterUpdate asks a device for its Filter, command 33. It goes where
// FilterResponse does (docs/protocol/courier.md#filter-versions).
//
//	S→D
//	 1  32 bytes  base token
//	 2  u64       version of the filter
//	 3  u8        status
type FilterUpdate struct {
	BaseToken apns.BaseToken
	Version   uint64
	Status    FilterUpdateStatus
}

// FilterUpdateStatus is what a FilterUpdate asks for.
type FilterUpdateStatus uint8

// The statuses.
const (
	// FilterUpdateOff ends the use of versions.
	FilterUpdateOff FilterUpdateStatus = 1
	// FilterUpdateResend asks for the whole Filter.
	FilterUpdateResend FilterUpdateStatus = 2
)

// ParseFilterUpdate reads the payload of a FilterUpdate frame. It fails with a
// MalformedError alone, also for a frame without status.
func ParseFilterUpdate(payload []byte) (FilterUpdate, error) {
	base, version, status, err := parseFilterVersion(payload, CommandFilterUpdate)
	return FilterUpdate{base, version, FilterUpdateStatus(status)}, err
}

// Append appends m to b as a whole frame.
func (m FilterUpdate) Append(b []byte) []byte {
	return appendFilterVersion(b, CommandFilterUpdate, m.BaseToken, m.Version, uint8(m.Status))
}
