// Package pebble holds the lasting state of the spool and of the provider's outbox,
// each in a Pebble database, a folder of its own: what was accepted is there after any end, kill -9 and loss of
// power included.
//
// The main type is [Spool], a spool.Store. One goroutine carries out what all
// callers of Put have brought since it last looked, as one batch; another waits
// for the disk and tells them, while the next batch is made. So many callers
// share one sync, and no read waits for one.
//
// The other is [Outbox], an outbox.Store of the provider, which has keys of its
// own; what follows is of Spool.
//
// # Keys
//
//	n device(8) environment(1) topic(20)  a notification
//	m channel                             the message of a channel
//	x minute(4) key                       the timestamp of what expires in that minute
//	q number(8)                           the repeat keys that one batch remembered
//	u                                     how full the store is
//	f                                     the format of all this
//
// Numbers are big-endian, minutes are since the epoch. A mailbox is the first
// ten bytes of a notification's key, which Pebble's filters know: asking about a
// device for which nothing is stored reads no block of data. Values are described
// at [appendValue].
//
// # Memory
//
// Nothing is held in memory for a stored notification. There are Pebble's cache
// and its tables of what was written last, see [Config], some thousand recent
// addresses, and the repeat keys, each with 32 to 64 bytes.
//
// # Faults
//
// When the disk fails, it is unknown what a retry would do: so the store then
// leaves the disk alone, refuses all with an error, and what it had confirmed is
// found when it is opened again. See fuse.
package pebble
