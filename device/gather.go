package device

import "github.com/heraldpush/herald/wire"

// gatherAcks returns whole frames with one Ack in place of several, where they
// say OK to notifications that came one after the other
// (docs/protocol/courier.md#extensions). It may write over what it is given.
func gatherAcks(frames []byte) []byte {
	out := frames[:0] // it never gets longer than what was read
	var held wire.Ack // to be written; none if it has no message id
	flush := func() {
		if held.HasMessageID {
			out = held.Append(out)
		}
		held = wire.Ack{}
	}
	for rest := frames; len(rest) > 0; {
		f, n, err := wire.NextFrame(rest, wire.MaxPayloadBytes)
		if err != nil { // it is ours, and whole
			flush()
			return append(out, rest...)
		}
		whole := rest[:n]
		rest = rest[n:]
		m, ok := plainOK(f)
		switch {
		case !ok:
			flush()
			out = append(out, whole...)
		case held.HasMessageID && m.MessageID == held.MessageID+1:
			if held.First == 0 {
				held.First = held.MessageID
			}
			held.MessageID = m.MessageID
		default:
			flush()
			held = m
		}
	}
	flush()
	return out
}

// plainOK returns the Ack in a frame, if it says OK and has no more than a
// message id.
func plainOK(f wire.Frame) (wire.Ack, bool) {
	if f.Command != wire.CommandAck {
		return wire.Ack{}, false
	}
	m, err := wire.ParseAck(f.Payload)
	ok := err == nil && m.Status == wire.AckOK && m.HasMessageID && m.MessageID != 0 && m.Destination == nil && m.First == 0
	return m, ok
}
