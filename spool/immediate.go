package spool

import (
	"context"
	"fmt"
	"time"
)

// pass takes a notification of which nothing is left to do once it was accepted:
// it is not to be stored and the device is away, or its topic is ignored. It
// reports false, and has done nothing, for any other.
func (s *Spool) pass(o *Offering) bool {
	now := time.Now()
	sh := s.shard(o.Address.Device)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.closed {
		o.Err = errShutdown()
		return true
	}
	return s.passLocked(sh, o, now)
}

// passLocked is pass with the lock held.
func (s *Spool) passLocked(sh *shard, o *Offering, now time.Time) bool {
	keep := o.Notification.Expiration.Stored(now)
	if in := sh.boxes[MailboxOf(o.Address)]; in != nil {
		e := Entry{Address: o.Address, Timestamp: sh.last, Notification: o.Notification}
		keep = in.machine.wants(&e, keep, now)
	}
	if keep {
		return false
	}
	if s.config.Observe != nil {
		s.observeUnwritten(&Entry{Address: o.Address, Notification: o.Notification}, sh.boxes[MailboxOf(o.Address)], nil, now)
	}
	o.Receipt, o.Err = Receipt{Timestamp: sh.stamp(now)}, nil
	return true
}

// offerImmediate takes a notification into a store that waits for nothing. The
// lock is held all the while, so that Close comes before or after.
func (s *Spool) offerImmediate(ctx context.Context, o *Offering) {
	var call storeCall
	o.Receipt, call, o.Err = s.putImmediate(o)
	s.discard(ctx, call)
}

func (s *Spool) putImmediate(o *Offering) (r Receipt, call storeCall, err error) {
	now := time.Now()
	sh := s.shard(o.Address.Device)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.closed {
		return r, call, errShutdown()
	}
	if s.passLocked(sh, o, now) {
		return o.Receipt, call, nil
	}
	w := &sh.write
	defer func() { *w = Write{} }()
	w.Address, w.DeviceToken, w.Notification = o.Address, o.DeviceToken, o.Notification
	w.Timestamp, w.Keep = sh.stamp(now), o.Notification.Expiration.Stored(now)
	if s.overloaded(w.Keep) {
		err := errOverload()
		s.observeUnwritten(&w.Entry, nil, err, now)
		return r, call, err
	}
	s.remember(w, now)
	if err := s.immediate.PutNow(w); err != nil {
		return r, call, fmt.Errorf("storing notifications: %w", err)
	}
	s.observeWritten(w, now)
	if w.Repeat {
		return Receipt{Repeat: true}, call, nil
	}
	if in := sh.boxes[MailboxOf(w.Address)]; in != nil {
		eff := in.machine.offered(w.Own(), w.Keep, now)
		in.apply(eff)
		call = in.begin(eff)
	}
	return Receipt{Timestamp: w.Timestamp, Stored: w.Keep}, call, nil
}
