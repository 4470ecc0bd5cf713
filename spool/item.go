package spool

// item is a notification in a slot.
type item struct {
	Entry
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

func (it *item) delivery() Delivery {
	return Delivery{
		MessageID: it.id, Address: it.Address, DeviceToken: it.DeviceToken, Timestamp: it.Timestamp,
		Notification: it.Notification, Stored: it.replayed, Last: it.last,
	}
}
