package wire

import "time"

// Redirect sends a device to another courier, command 23. The device closes,
// and counts it in its next Connect (docs/protocol/courier.md#redirect).
//
//	S→D
//	 2  string  host
//	 9  string  reason
//
// and under ALPNHerald alone (docs/protocol/courier.md#extensions):
//
//	200  u32    when to connect again, seconds from now
//
// With that it may lack a host: then it is a goodbye, and the device comes back
// to the same courier.
type Redirect struct {
	Host   string
	Reason string
	// RetryAfter is as good as absent without HasRetryAfter. In whole seconds.
	RetryAfter    time.Duration
	HasRetryAfter bool
}

// ParseRedirect reads the payload of a Redirect frame. It fails with a
// MalformedError alone.
func ParseRedirect(payload []byte) (Redirect, error) {
	var m Redirect
	it := items{rest: payload}
	for it.next() {
		switch it.id {
		case 2:
			it.takeString(&m.Host)
		case 9:
			it.takeString(&m.Reason)
		case 200:
			if len(it.value) == 4 {
				it.takeSeconds(&m.RetryAfter)
				m.HasRetryAfter = true
			}
		}
	}
	if err := it.err(CommandRedirect); err != nil {
		return Redirect{}, err
	}
	return m, nil
}

// Append appends m to b as a whole frame.
func (m Redirect) Append(b []byte) []byte {
	b, start := begin(b, CommandRedirect)
	b = appendString(b, 2, m.Host)
	b = appendString(b, 9, m.Reason)
	if m.HasRetryAfter {
		b = appendSeconds(b, 200, m.RetryAfter)
	}
	return end(b, start)
}
