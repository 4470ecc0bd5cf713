package courier

import (
	"sync/atomic"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/trace"
	"github.com/heraldpush/herald/wire"
)

// traced is the part of a session that Config.Trace is told about.
type traced struct {
	number uint64 // of the session
	// owed is how many notifications the device may tell more of than its Ack:
	// those that it got. It could fill the trace otherwise.
	owed atomic.Int64
}

// traceHanded records that a notification goes to the device.
func (s *session) traceHanded(d *spool.Delivery) {
	if s.courier.cfg.Trace != nil {
		s.traced.owed.Add(1)
		s.courier.cfg.Trace.Record(&trace.Line{
			Hop: trace.Handed, ID: d.Notification.ID, Address: d.Address, Connection: s.traced.number, Message: d.MessageID, WasStored: d.Stored,
		})
	}
}

// traceAcked records what the device answered to a notification, at a time.
func (s *session) traceAcked(d *spool.Delivery, status wire.AckStatus, at time.Time) {
	s.courier.cfg.Trace.Record(&trace.Line{
		Hop: trace.Acked, Time: at, ID: d.Notification.ID, Address: d.Address, Connection: s.traced.number, Message: d.MessageID,
		Status: uint16(status),
	})
}

// tracingAck records what the device tells of a notification that it has
// acknowledged (docs/protocol/courier.md#tracing-ack). It is the device's word
// alone: no more is done.
func (s *session) tracingAck(f wire.Frame) error {
	m, err := wire.ParseTracingAck(f.Payload)
	if err != nil || s.traced.owed.Add(-1) < 0 {
		return err
	}
	s.courier.cfg.Trace.Record(&trace.Line{
		Hop: trace.Processed, ID: trace.FormatID(m.TracingID), Status: uint16(m.Status), Connection: s.traced.number,
		Address: apns.Address{Device: s.device, Environment: s.env, Topic: m.TopicHash},
	})
	return nil
}
