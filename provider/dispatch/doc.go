// Package dispatch sends what is in the provider's outbox: it claims shards, finds
// the device tokens of their members, hands them to the gateway, and stores the
// receipts.
//
// The main type is [Dispatcher]. Each queue of the outbox, an app's shards of one
// lane, has a worker of its own while there is something in it: so no app waits for
// another whose credential is refused, and what is urgent waits for nothing. What a
// worker holds is bounded, however large a message is.
//
// What was handed over when a process ends is answered to nobody, and is sent
// again by the next under the same apns-id, no more than was in flight.
package dispatch
