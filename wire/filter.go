package wire

import "github.com/heraldpush/herald/apns"

// Filter tells what a device wants, command 9: it replaces all that was known
// for the base token (docs/protocol/courier.md#filter).
//
//	D→S
//	12  u64       version of the filter, absent for most devices
//	 1  32 bytes  base token
//	 2  20 bytes  topic hash, enabled; repeated
//	 3  20 bytes  topic hash, ignored; repeated
//	 4  20 bytes  topic hash, opportunistic; repeated
//	 6  20 bytes  topic hash, non-waking; repeated
//	 5  20 bytes  topic hash, paused; repeated
//
//	200  20 bytes  topic hash, removed; repeated (docs/protocol/courier.md#extensions)
//
// Items 7 to 11, the same lists in salted hashes for web push, are skipped.
// The answer from courier to device belongs to a capability that Herald's
// courier does not announce, so it is never sent.
type Filter struct {
	// Version is zero for a device that does not number its filters.
	Version   uint64
	BaseToken apns.BaseToken
	// A hash in several lists counts in the first of this order: Enabled,
	// Opportunistic, NonWaking, Paused, Ignored.
	Enabled       []apns.TopicHash
	Ignored       []apns.TopicHash
	Opportunistic []apns.TopicHash
	Paused        []apns.TopicHash
	NonWaking     []apns.TopicHash
	// Removed is the topics whose device tokens have ended, for Herald's
	// courier alone. They may be in the lists as well, for the next ones.
	Removed []apns.TopicHash
}

// ParseFilter reads the payload of a Filter frame. It fails with a
// MalformedError alone. The lists are as long as the frame allows.
func ParseFilter(payload []byte) (Filter, error) {
	var m Filter
	it := items{rest: payload}
	for it.next() {
		switch it.id {
		case 12:
			it.takeUint64(&m.Version)
		case 1:
			it.takeBaseToken(&m.BaseToken)
		case 2:
			it.takeListed(&m.Enabled)
		case 3:
			it.takeListed(&m.Ignored)
		case 4:
			it.takeListed(&m.Opportunistic)
		case 5:
			it.takeListed(&m.Paused)
		case 6:
			it.takeListed(&m.NonWaking)
		case 200:
			it.takeListed(&m.Removed)
		}
	}
	if err := it.err(CommandFilter); err != nil {
		return Filter{}, err
	}
	return m, nil
}

// takeListed adds the topic hash of the current item to a list.
func (it *items) takeListed(list *[]apns.TopicHash) {
	var h apns.TopicHash
	if it.takeTopicHash(&h) && h != (apns.TopicHash{}) {
		*list = append(*list, h)
	}
}

// Append appends m to b as a whole frame.
func (m Filter) Append(b []byte) []byte {
	b, start := begin(b, CommandFilter)
	if m.Version != 0 {
		b = appendUint64(b, 12, m.Version)
	}
	b = appendOpaque(b, 1, m.BaseToken)
	b = appendList(b, 2, m.Enabled)
	b = appendList(b, 3, m.Ignored)
	b = appendList(b, 4, m.Opportunistic)
	b = appendList(b, 6, m.NonWaking)
	b = appendList(b, 5, m.Paused)
	b = appendList(b, 200, m.Removed)
	return end(b, start)
}

// appendList appends one item for each topic hash.
func appendList(b []byte, id uint8, list []apns.TopicHash) []byte {
	for _, h := range list {
		b = appendTopicHash(b, id, h)
	}
	return b
}
