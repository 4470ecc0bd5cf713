// Package outbox is the provider's room of what was promised: the messages that
// it has accepted, until each of those they are for has a receipt.
//
// A [Message] is the intent: what is to be sent, to whom, until when. Whom it is
// for is cut into shards, each with up to audience.ChunkWidth members; the
// [Shard] is the only thing that waits in line, and there is never a record for
// each recipient. What has become of a member is its [Receipt], two bits; only
// of failures more is kept.
//
// The life of a message: Submit stores it, durably; one for a tag or for
// everybody gets its shards piece by piece, as its audience is frozen. Who sends
// claims shards, and says how far it got with [Progress]. Each claim has a
// fence, so that one who was given up and comes back changes nothing. What a
// message goes through is decided by [Message.Step], which is pure.
//
// What goes to the gateway carries an apns-id that follows from the message and
// the device token, see [NotificationID]: whatever is sent a second time after a
// crash is recognised.
package outbox
