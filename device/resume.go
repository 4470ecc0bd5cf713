package device

import (
	"slices"

	"github.com/heraldpush/herald/wire"
)

// resume is what the device has and has acknowledged, while it cannot know
// whether the acknowledgement arrived. The next Connect tells the courier, so
// that it does not send it again (docs/protocol/courier.md#extensions). It is
// lost with the process: then a repetition comes, and is recognised.
type resume struct {
	list []wire.Received // the oldest first, at most wire.MaxReceived
	// asked is how many of the list a KeepAlive followed that is not answered.
	asked int
}

// add is told of what is acknowledged.
func (r *resume) add(n wire.Notification) {
	if n.Timestamp == 0 {
		return
	}
	if len(r.list) >= wire.MaxReceived {
		r.list = slices.Delete(r.list, 0, 1)
		r.asked = max(r.asked-1, 0)
	}
	r.list = append(r.list, wire.Received{TopicHash: n.TopicHash, Timestamp: n.Timestamp})
}

// ask is told of a KeepAlive that is sent.
func (r *resume) ask() { r.asked = len(r.list) }

// answered is told of the response to it: the courier takes frames in order, so
// that it has had what was sent before.
func (r *resume) answered() {
	r.list = slices.Delete(r.list, 0, r.asked)
	if r.asked = 0; len(r.list) == 0 {
		r.list = nil
	}
}

// forget is told that a courier has taken the list.
func (r *resume) forget() { *r = resume{} }

// all returns the list.
func (r *resume) all() []wire.Received { return slices.Clone(r.list) }
