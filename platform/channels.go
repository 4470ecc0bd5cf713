package platform

import (
	"context"
	"log/slog"
	"time"

	"github.com/heraldpush/herald/spool"
)

// Limits in time of forgetting channels.
const (
	forgetTimeout = 30 * time.Second
	forgetRetry   = time.Minute // after a fault
)

// forgetChannels has the registry forget the channels that ended when the
// capability of their app was switched off, and the spool tell the devices that
// follow them: those of earlier runs now, and others as that happens, until ctx
// ends. Nobody can reach them meanwhile
// (docs/protocol/broadcast.md#capability).
func (p *Platform) forgetChannels(ctx context.Context) {
	for {
		ended, changed := p.Portal.EndedBroadcasts()
		p.Spool.EndChannels(func(c *spool.Channel) bool { return c.Term <= ended[c.App] })
		call, cancel := context.WithTimeout(ctx, forgetTimeout)
		n, err := p.Registry.EndChannels(call, ended)
		cancel()
		var retry <-chan time.Time
		switch {
		case err != nil && ctx.Err() == nil:
			p.cfg.Logger.ErrorContext(ctx, "platform could not forget channels", slog.Any("error", err))
			retry = time.After(forgetRetry)
		case n > 0:
			p.cfg.Logger.InfoContext(ctx, "platform forgot channels of apps that can no longer broadcast", slog.Int("channels", n))
		}
		select {
		case <-changed:
		case <-retry:
		case <-ctx.Done():
			return
		}
	}
}
