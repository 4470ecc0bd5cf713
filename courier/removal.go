package courier

import (
	"context"
	"fmt"
	"time"

	"github.com/heraldpush/herald/apns"
)

// removed takes a device's word that the device tokens of topics have ended
// (docs/protocol/courier.md#extensions). After an error the connection is to be
// closed: the device says it again with the next one.
func (s *session) removed(ctx context.Context, topics []apns.TopicHash) error {
	if !s.herald || len(topics) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	for _, topic := range topics {
		if s.tokens++; s.tokens > maxTokens {
			return fmt.Errorf("filter: more than %d topics were removed or asked for on one connection", maxTokens)
		}
		at := apns.Address{Device: s.device, Environment: s.env, Topic: topic}
		if err := s.courier.cfg.Registry.Remove(ctx, at, time.Now()); err != nil {
			s.fault(ctx, "unregister", err)
			return fmt.Errorf("filter: %w", err)
		}
	}
	return nil
}
