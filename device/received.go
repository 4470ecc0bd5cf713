package device

import "github.com/heraldpush/herald/wire"

// received brings an app a notification, and the screen what is shown of it.
type received struct {
	notification Notification
	wishes       wishes
	delegate     Delegate
	here         bool // the app has registered since the process began
	onScreen     bool // it was on the screen already

	source   wire.Notification
	entry    historyEntry // zero if there is none
	sequence uint64       // in the journal, which gives it
}

func (e *received) happen(d *Device) {
	if e.here && e.delegate.DidReceive != nil {
		e.delegate.DidReceive(e.notification)
	}
	if d.config.Screen != nil && !e.onScreen {
		d.config.Screen(present(e.notification, e.wishes))
	}
	if e.here {
		d.journal.note(e.sequence, shown|handed)
		d.receipt(e)
		return
	}
	d.journal.note(e.sequence, shown)
	d.journal.wait(e.sequence)
}

// maxReceipts bounds the receipts that wait to be sent.
const maxReceipts = 1024

// receipt has the courier told that an app has taken a notification, if it asked
// (docs/protocol/courier.md#tracing-ack). It is for people who follow a
// notification: what is lost of it, with a connection or beyond maxReceipts,
// changes nothing.
func (d *Device) receipt(e *received) {
	if e.source.Flags&wire.Traced == 0 {
		return
	}
	d.mu.Lock()
	ok := d.up && len(d.memory.receipts) < maxReceipts
	if ok {
		d.memory.receipts = append(d.memory.receipts, wire.TracingAck{
			TopicHash: e.source.TopicHash, TracingID: e.source.TracingID, DeviceToken: e.source.DeviceToken,
		})
	}
	d.mu.Unlock()
	if ok {
		d.wakeUp()
	}
}

// receivedIn returns what is to go to the journal before these happen.
func receivedIn(effects []effect) (all []*received) {
	for _, e := range effects {
		if r, ok := e.(*received); ok {
			all = append(all, r)
		}
	}
	return all
}

// tell lets effects happen, in order, until there are no more. What an earlier
// process or connection left goes first, as soon as its app registers.
func (d *Device) tell(effects <-chan effect) {
	for {
		d.tellWaiting()
		select {
		case e, ok := <-effects:
			if !ok {
				return
			}
			d.tellWaiting() // nothing overtakes it
			e.happen(d)
		case <-d.arrived:
		}
	}
}

// tellWaiting hands what waited for apps that have registered now.
func (d *Device) tellWaiting() {
	for _, e := range d.waiting() {
		e.happen(d)
	}
}

// waiting returns what waited for apps that have registered now.
func (d *Device) waiting() (all []*received) {
	d.mu.Lock()
	defer d.mu.Unlock()
	ready := d.journal.ready(func(h hash) (known, here bool) {
		a := d.memory.apps[h]
		return a != nil, a != nil && a.call != 0
	})
	for _, u := range ready {
		n, err := u.notification()
		if err != nil { // it was read before
			continue
		}
		a := d.memory.apps[n.TopicHash]
		r := &received{
			notification: notificationFrom(n, a.topic, u.at),
			wishes:       wishes{a.types, d.memory.permission(a.topic), d.memory.quiet.active(u.at)},
			delegate:     a.delegate, here: true, onScreen: u.done&shown != 0, sequence: u.sequence,
		}
		r.notification.Again = u.earlier
		if !forApp(r.notification, r.wishes.permission) { // the user has changed its mind
			r.delegate.DidReceive = nil
		}
		all = append(all, r)
	}
	return all
}
