package spool

import (
	"time"

	"github.com/heraldpush/herald/apns"
)

// item is a notification in a slot.
type item struct {
	Entry
	// channel is where it was published; empty for what was offered. The store
	// then has it for all who follow, and it is not this device's to discard.
	channel  apns.ChannelID
	kept     bool // it is in the store, too
	replayed bool // it was there before the first filter
	wakes    bool // in flight: it may have woken the device
	last     bool // in flight: it is the last of what was stored
	id       uint32
	// under is the kept one whose place in the slot this one, which is not kept,
	// has taken. Until the device has this one, the store goes on keeping that:
	// what was promised to be stored is not lost to what was not.
	under *item
}

// cover has it stand for older, which may be nil, as well.
func (it *item) cover(older *item) {
	if it.kept || older == nil {
		return // the store has put this one in the place of the older
	}
	if !older.kept {
		older = older.under
	}
	if older != nil && older.Timestamp != it.Timestamp && (it.under == nil || it.under.Timestamp < older.Timestamp) {
		it.under = older
	}
}

// before reports whether it is handed out before other.
func (it *item) before(other *item) bool {
	if it.replayed != other.replayed {
		return it.replayed
	}
	p, q := it.Notification.Priority.OrDefault(), other.Notification.Priority.OrDefault()
	if !it.replayed && p != q {
		return p > q
	}
	return it.Timestamp < other.Timestamp
}

// own reports whether the store has it for this device alone.
func (it *item) own() bool { return it.kept && it.channel == "" }

// expired reports whether the time of a kept one is over.
func (it *item) expired(now time.Time) bool {
	if it.channel == "" {
		return it.Expired(now)
	}
	return !now.Before(it.Notification.Expiration.ChannelDeadline(it.Timestamp.Time()))
}

func (it *item) delivery() Delivery {
	return Delivery{
		MessageID: it.id, Address: it.Address, DeviceToken: it.DeviceToken, Channel: it.channel, Timestamp: it.Timestamp,
		Notification: it.Notification, Stored: it.replayed, Last: it.last,
	}
}
