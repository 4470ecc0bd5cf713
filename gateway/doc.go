// Package gateway is the provider's door: Apple's provider API over HTTP/2
// (docs/protocol/provider.md), and the legacy interface with its feedback
// service (docs/protocol/legacy.md).
//
// The road of a push through it is the order of the code: parse (is this a
// well-formed request?), admit (may this sender send to this topic? asks
// portal), resolve (which device is that, and does it want this? asks
// registry), offer (keep it until the device has it: spool), answer. Whatever
// refuses, refuses with an *apns.Rejection; any other error becomes
// InternalServerError here, is logged once, and goes no further.
//
// Broadcasts and the management of their channels are requests on the same
// connections (docs/protocol/broadcast.md). Beyond portal, registry and spool
// they share admission, binding and refusals with pushes.
//
// What a provider may do beyond single requests is bounded by Limits: by the
// provider tokens that it comes with (updates), by the device tokens that it sends
// to (throttle), and by the answers that it gets (conduct).
//
// A provider's connection has three goroutines: one reads, decides all that can be
// decided without waiting for a store, and answers; one takes the rest, in batches,
// to the registry and the spool, and answers; and one keeps the connection. A
// further one is there while requests about channels or broadcasts wait. So a store
// that must wait for a disk never stops the reading.
//
// A connection of the legacy interface takes the same road. One of its goroutines
// reads, and one takes what was read to the stores; there are no answers but the
// one that ends it.
package gateway
