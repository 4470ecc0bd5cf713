package pebble

import (
	"bytes"
	"context"
	"time"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/heraldpush/herald/provider/outbox"
)

// waitingAtMost is how many shards of a queue are looked at to find the oldest message.
const waitingAtMost = 4096

// Waiting implements outbox.Store.
func (o *Outbox) Waiting(ctx context.Context, until time.Time) (map[outbox.Queue]outbox.MessageID, error) {
	all := make(map[outbox.Queue]outbox.MessageID)
	err := o.read(ctx, func(r engine.Reader) error {
		end := after([]byte{readyKind})
		for from := []byte{readyKind}; from != nil; {
			key, err := first(r, from, end)
			if err != nil || key == nil {
				return err
			}
			one, err := parseReadyKey(key)
			if err != nil {
				return err
			}
			next, looked := after(appendQueue(nil, one.queue)), 0
			err = each(r, key, next, func(key, _ []byte) (bool, error) {
				one, err := parseReadyKey(key)
				if err != nil || one.due > millis(until) {
					return false, err
				}
				oldest, known := all[one.queue]
				if !known || bytes.Compare(one.shard.message[:], oldest[:]) < 0 {
					all[one.queue] = one.shard.message
				}
				looked++
				return looked < waitingAtMost, nil
			})
			if err != nil {
				return err
			}
			from = next
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}
