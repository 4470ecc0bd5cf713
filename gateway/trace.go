package gateway

import (
	"errors"
	"net/http"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/trace"
	"github.com/heraldpush/herald/wire"
)

// traceAccepted records that a notification was accepted that came at a time.
func (g *Gateway) traceAccepted(o *spool.Offering, connection uint64, at time.Time) {
	g.cfg.Trace.Record(&trace.Line{
		Hop: trace.Accepted, Time: at, ID: o.Notification.ID, Address: o.Address, Status: http.StatusOK, Connection: connection,
	})
}

// traceRefused records that a notification was refused. Of its address no more
// may be known than the environment.
func (g *Gateway) traceRefused(id apns.NotificationID, at apns.Address, connection uint64, why error) {
	if g.cfg.Trace == nil {
		return
	}
	l := trace.Line{Hop: trace.Refused, ID: id, Address: at, Connection: connection, Status: http.StatusInternalServerError}
	if r, ok := errors.AsType[*apns.Rejection](why); ok {
		l.Status, l.Reason = uint16(r.Status), r.Reason //nolint:gosec // a status has three digits
	} else if e, ok := errors.AsType[*wire.LegacyError](why); ok {
		l.Status = uint16(e.Status)
	} else {
		l.Reason = apns.InternalServerError
	}
	g.cfg.Trace.Record(&l)
}

// addressOf returns what is known of the address of a push, in an environment.
func (g *Gateway) addressOf(o *spool.Offering, env apns.Environment) apns.Address {
	at := o.Address
	at.Environment = env
	if g.cfg.Trace != nil && at.Device == 0 && o.Notification.Topic != "" {
		at.Topic = o.Notification.Topic.Hash()
	}
	return at
}

// traceBroadcast records what became of a broadcast that came at a time. Other
// errands are no notifications.
func (s *session) traceBroadcast(e *errand, at time.Time, err error) {
	if s.gateway.cfg.Trace == nil || e.action != broadcast {
		return
	}
	to := apns.Address{Environment: s.env}
	if e.message.Topic != "" {
		to.Topic = e.message.Topic.Hash()
	}
	if err != nil {
		s.gateway.traceRefused(e.id, to, s.number, err)
		return
	}
	s.gateway.traceAccepted(&spool.Offering{Address: to, Notification: e.message}, s.number, at)
}
