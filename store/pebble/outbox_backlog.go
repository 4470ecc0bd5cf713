package pebble

import (
	"context"
	"time"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/heraldpush/herald/provider/outbox"
)

// Backlog is what waits in a lane to be sent, or is held by who sends it.
type Backlog struct {
	// Shards is how many wait, retries of the future among them.
	Shards int
	// More says that there are more, which were not counted.
	More bool
	// Oldest is when the first of the messages of those whose time has come was
	// made; zero if there is none.
	Oldest time.Time
}

// Backlog returns what waits in each lane. It looks at no more than most shards
// of a lane, those that have waited longest in their queue.
func (o *Outbox) Backlog(ctx context.Context, now time.Time, most int) (map[outbox.Lane]Backlog, error) {
	all := make(map[outbox.Lane]Backlog, len(outbox.Lanes))
	err := o.read(ctx, func(r engine.Reader) error {
		for _, lane := range outbox.Lanes {
			from := []byte{readyKind, byte(lane)}
			var b Backlog
			err := each(r, from, after(from), func(key, _ []byte) (bool, error) {
				if b.Shards >= most {
					b.More = true
					return false, nil
				}
				r, err := parseReadyKey(key)
				if err != nil {
					return false, err
				}
				b.Shards++
				if made := r.shard.message.Time(); r.due <= millis(now) && (b.Oldest.IsZero() || made.Before(b.Oldest)) {
					b.Oldest = made
				}
				return true, nil
			})
			if err != nil {
				return err
			}
			all[lane] = b
		}
		return nil
	})
	return all, err
}
