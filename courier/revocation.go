package courier

import (
	"context"
	"log/slog"
)

// endRevoked closes the connections of each device whose certificate is revoked,
// until ctx ends (docs/protocol/courier.md#revocation).
func (c *Courier) endRevoked(ctx context.Context) {
	for n := 0; ; {
		revoked, more := c.cfg.Portal.Revocations(n)
		n += len(revoked)
		for _, r := range revoked {
			theirs := c.connected.Of(r.Device) // of none, if it is no device's
			for _, l := range theirs {
				l.cut()
			}
			if len(theirs) > 0 {
				c.cfg.Logger.InfoContext(ctx, "courier closes the connections of a revoked device",
					slog.String("device", string(r.Device)), slog.Int("connections", len(theirs)))
			}
		}
		select {
		case <-more:
		case <-ctx.Done():
			return
		}
	}
}
