// Package courier is the device's door: it keeps the connections of devices by
// Apple's courier protocol and brings them their notifications
// (docs/protocol/courier.md), and beside it is the activation door, where a
// device gets its certificate.
//
// The courier asks the portal who a device is and the registry what its tokens
// are; what it delivers it takes from the spool. It never meets the gateway.
//
// The life of a connection: TLS; the device sends Connect and proves that it
// has the key of its certificate ([greeting]); from then on it is a [session],
// which answers the device's frames and writes what the spool hands out, until
// the device goes or falls silent.
//
// A connection is let in by the [admission], before any cryptography, and waits
// at the [turnstile] for its TLS handshake, which has a goroutine ([prelude]) that
// ends with it. What is said then is a machine of its own, the [conversation]:
// bytes in, frames out. It is on a [conn], which has no goroutine: events bring
// that into the queue of its [loop], whose [crew] of a few workers gives it turns,
// and whose timing wheel keeps its time. Its bytes are moved by a [transport]:
// a socket that is polled, for TCP on Linux, or a stream, for any net.Conn.
//
// One port serves both doors. A connection that negotiates HTTP, or negotiates
// nothing and begins with a capital letter as HTTP does, is for activation; the
// first byte of a courier connection is 7.
//
// What an error ends: a [refusedError] is the device's fault and answered with
// status 2; a fault of a store at Connect ends the connection without an
// answer, and later is logged while the device goes on; any other error ends
// the connection.
package courier
