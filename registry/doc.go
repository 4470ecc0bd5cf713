// Package registry is the room of those who can receive: devices, their
// tokens, whether an app on a device still wants its notifications, and the
// channels that devices follow.
//
// A token needs no directory. It is sealed: 32 bytes of AES-SIV (RFC 5297)
// over the device's ordinal, the topic's ordinal, the environment and a
// generation, under a key of that environment. A forged or foreign token is
// refused without touching the store, a genuine one says by itself where it
// leads, and the same app on the same device gets the same token each time it
// asks. Only exceptions are looked up: an app that was removed from a device,
// and the generation its next token will carry.
//
// A channel belongs to an app in an environment, for as long as the app's
// capability to broadcast is not switched off ([ChannelOwner]).
//
// What a push meets of removed apps is kept as feedback, which providers of the
// legacy interface read (docs/protocol/legacy.md#feedback).
//
// The registry does not know who may send (portal), nor what is on its way
// (spool).
package registry
