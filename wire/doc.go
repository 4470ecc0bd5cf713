// Package wire turns bytes into nouns and nouns into bytes: the frames of the
// courier protocol, the bodies of the provider API, and the messages of the
// legacy interface. One message has one file.
//
// It holds no reader, clock, goroutine or state, and it decides nothing: what a
// message leads to is said by the doors, gateway and courier, and by the device
// agent.
//
// A courier message is a type such as [Connect] with two functions:
//
//	func ParseConnect(payload []byte) (Connect, error)
//	func (m Connect) Append(b []byte) []byte
//
// Parse takes the payload of one [Frame], as [NextFrame] cuts it off the bytes
// read. It fails with a [MalformedError] alone, after which the connection is
// to be closed. Byte slices in the result alias the payload; strings and arrays
// are copies. Append adds a whole frame, header included, and allocates only
// to grow b.
//
// Optional items are the zero value where the message lacks them, and Append
// leaves out what is zero. Where zero can occur on the wire, a field beside it
// whose name begins with Has tells the two apart.
//
// The frames are stated in docs/protocol/courier.md.
//
// The messages of the legacy interface come without a frame. Their Parse
// functions, and [NextLegacy] for a stream of them, take one off the bytes read
// and say how many it occupied, or return ErrLegacyIncomplete. They are stated
// in docs/protocol/legacy.md.
package wire
