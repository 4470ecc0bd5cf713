// Package spool is the room between the provider's door and the device's
// door: store and forward. The gateway offers notifications to it; the courier
// attaches an inbox for each device that is connected, pulls from it, and
// acknowledges. It does no network I/O, knows no wire format, and does not
// decide who may send or which device a token names.
//
// The main type is [Spool]. The life of a notification in it:
//
//  1. [Spool.Offer] takes it. When Offer returns nil, it is in the [Store] for
//     good, or asked not to be stored, or nobody will ever want it (its topic is
//     ignored), or it is a repeat of one that was taken before.
//  2. It waits. There is one waiting notification for each topic of a device in
//     an environment: the newest accepted takes the place of the one before it.
//     After its expiration, or after [apns.MaxStorage], it is discarded.
//  3. The device connects: [Spool.Attach] gives the courier an [Inbox]. Once the
//     device has told its filter, [Inbox.Next] hands out what waited, oldest
//     first, marked as stored, and then what arrives.
//  4. Handed out, it is unacknowledged. At most one of a topic is, and at most
//     Config.Window of a device; a newer one of the topic waits behind it.
//  5. [Inbox.Ack] removes it. If the device goes without a word, or connects a
//     second time, it waits again, with the timestamp it had, unless a newer one
//     of the topic waits already.
//
// # When a notification is handed out
//
// That depends on its priority and on the list of the device's filter that its
// topic is in (docs/protocol/courier.md#filter):
//
//	topic is      priority 10        priority 5                       priority 1
//	enabled       at once            awake, or Config.Defer has gone  awake
//	opportunistic at once            awake                            awake
//	non-waking    awake              awake                            awake
//	paused        held until the topic leaves the list
//	in no list    held until the topic is in one
//	ignored       never, and not stored
//
// A device is awake while it is active ([Inbox.SetActive]), and while something
// that may wake it is on its way: from the moment that is handed out until it is
// acknowledged and nothing is left to go with it. A device that never spoke of
// activity counts as active, unless Config.AssumeInactive says otherwise.
//
// A notification with expiration 0, or one that had expired when it came, is
// never stored. It is handed out if the device is attached, its filter is known,
// and the table above lets it go at once; if another of its topic is
// unacknowledged, or the window is full, it waits for a moment in memory, and is
// dropped when the device goes. If a stored one of its topic waits, it goes in
// place of that, which is discarded when the device has the newer one, and not
// before.
//
// # How the race of offer and attach ends
//
// Offer writes to the store, then reads who is attached; Attach writes who is
// attached, then reads the store. So a notification is seen by one of them at
// least, and the inbox drops what it sees twice, by its timestamp.
//
// # Channels
//
// What is broadcast on a channel is for every device that follows it, so it is
// kept once, and not for each of them: [Spool.Publish] stores the latest message
// where the channel's policy says so, for apns.MaxChannelStorage at most, and
// [Spool.Latest] returns it for a device that comes late.
//
// Who follows is known while they are attached: [Inbox.Subscribe] says it, and
// from then on what is published reaches the inbox, by a goroutine that goes
// through those who follow a few at a time. There a message is subject to the
// rules above, under the topic that the device named, but has a place of its
// own: at most one of a channel waits and one is unacknowledged, whatever there
// is of the topic. One that was to be stored waits until it expires, any other
// goes at once or never. A device says up to which message it has all, by its
// timestamp, so that nothing needs to be remembered of a device that is away;
// the stored message is what it gets of that time. [Spool.EndChannel] ends a
// channel, which those who follow learn by [Inbox.EndedChannels].
//
// # Inside
//
// The rules are a pure machine, one for each attached device, that is given an
// event and the time, and answers with effects. Around it are the locks, sharded
// by device, one goroutine for all deferred notifications, one for what is
// published, and one that has the store forget what expired. A device that is
// not attached costs no memory here.
package spool
