package courier

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/wire"
)

// What a courier does for devices that negotiated wire.ALPNHerald, and for no
// others (docs/protocol/courier.md#extensions).

// ackRange takes the device's word for all notifications with message ids from
// first to last, which it has.
func (s *session) ackRange(ctx context.Context, first, last uint32) error {
	_, err := s.inbox.AckRange(ctx, first, last, spool.Delivered)
	switch {
	case errors.Is(err, spool.ErrDetached):
		return fmt.Errorf("ack: %w", err)
	case err != nil: // they may come again, that is all
		s.fault(ctx, "ack", err)
	}
	return nil
}

// resume takes out of the inbox what the device has, though its acknowledgement
// did not arrive.
func (s *session) resume(ctx context.Context, m wire.Connect) {
	if !s.herald || len(m.Received) == 0 {
		return
	}
	list := make([]spool.Received, 0, len(m.Received))
	for _, r := range m.Received {
		if r.Timestamp <= math.MaxInt64 {
			list = append(list, spool.Received{Topic: r.TopicHash, Timestamp: spool.Timestamp(r.Timestamp)})
		}
	}
	if _, err := s.inbox.Received(ctx, list); err != nil && !errors.Is(err, spool.ErrDetached) {
		s.fault(ctx, "resume", err)
	}
}
