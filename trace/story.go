package trace

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/heraldpush/herald/apns"
)

// ErrNotAnID says that a text is no apns-id.
var ErrNotAnID = errors.New("not an apns-id")

// Bounds of an answer, in lines.
const (
	// MaxStory is how many lines a story has at most: an apns-id may be used for
	// any number of notifications.
	MaxStory = 1000
	// MaxByDevice is how many lines ByDevice returns at most.
	MaxByDevice = 10_000
)

// Story returns all lines of the notification with this apns-id, in either letter
// case, in the order of time; none if it is not known, or not any more. What was
// recorded before is in it.
//
// The error is ErrNotAnID, ErrClosed, or that of ctx. A segment that cannot be
// read is logged and passed over.
func (r *Recorder) Story(ctx context.Context, n apns.NotificationID) ([]Line, error) {
	d := idOf(n)
	if d == (id{}) {
		return nil, ErrNotAnID
	}
	if r == nil {
		return nil, nil
	}
	all, err := r.chapters(ctx)
	if err != nil {
		return nil, err
	}
	lines := earliest{limit: MaxStory}
	err = r.search(ctx, all, []key{keyOfID(d)}, 0, func(record []byte) {
		if bytes.Equal(record[idAt:deviceAt], d[:]) {
			lines.take(record)
		}
	})
	if err != nil {
		return nil, err
	}
	story := lines.sorted()
	derived, err := r.derive(ctx, all, story, time.Now())
	if err != nil {
		return nil, err
	}
	story = append(story, derived...)
	sortLines(story)
	return story, nil
}

// ByDevice returns lines about a device, in both environments, in the order of
// time: the first ones since a time, at most limit of them. The zero topic stands
// for all topics, a limit of zero for MaxByDevice. The errors are those of Story,
// but for ErrNotAnID.
func (r *Recorder) ByDevice(ctx context.Context, device apns.DeviceOrdinal, topic apns.TopicHash, since time.Time, limit int) ([]Line, error) {
	if r == nil {
		return nil, nil
	}
	if limit <= 0 || limit > MaxByDevice {
		limit = MaxByDevice
	}
	all, err := r.chapters(ctx)
	if err != nil {
		return nil, err
	}
	from := int64(-1 << 63)
	if !since.IsZero() {
		from = since.UnixNano()
	}
	lines := earliest{limit: limit}
	err = r.search(ctx, all, []key{keyOfDevice(device)}, from, func(record []byte) {
		if isOf(record, device) && (topic == apns.TopicHash{} || apns.TopicHash(record[topicAt:messageAt]) == topic) {
			lines.take(record)
		}
	})
	return lines.sorted(), err
}

func isOf(record []byte, d apns.DeviceOrdinal) bool {
	return apns.DeviceOrdinal(binary.LittleEndian.Uint64(record[deviceAt:])) == d
}

// search calls found for the records that are not too old, and are of a time from
// on, in the chapters that may have one of the keys.
func (r *Recorder) search(ctx context.Context, all []chapter, keys []key, from int64, found func(record []byte)) error {
	from = max(from, r.oldest(time.Now()))
	for _, c := range all {
		if _, last := c.times(); last < from {
			continue
		}
		may, err := c.mayHave(keys)
		if may && err == nil {
			err = c.each(ctx, func(records []byte) error {
				for ; len(records) >= recordBytes; records = records[recordBytes:] {
					if timeOf(records) >= from {
						found(records[:recordBytes])
					}
				}
				return nil
			})
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			r.cfg.Logger.WarnContext(ctx, "trace passes over a segment that cannot be read", slog.Any("error", err))
		}
	}
	return nil
}

// earliest collects lines, the first ones by time.
type earliest struct {
	limit int
	lines []Line
}

// take takes a record, unless it is damaged.
func (n *earliest) take(record []byte) {
	l, ok := parseRecord(record)
	if !ok {
		return
	}
	n.lines = append(n.lines, l)
	if len(n.lines) >= 2*n.limit {
		n.cut()
	}
}

func (n *earliest) cut() {
	sortLines(n.lines)
	n.lines = n.lines[:min(len(n.lines), n.limit)]
}

func (n *earliest) sorted() []Line {
	n.cut()
	return n.lines
}

// sortLines sorts lines by time. Of the same time, that of the gateway, which
// writes it when it answers, is the first.
func sortLines(lines []Line) {
	slices.SortStableFunc(lines, func(a, b Line) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Hop.stage(), b.Hop.stage()))
	})
}

// stage is 0 for a hop that comes before the others of the same time.
func (h Hop) stage() int {
	if h == Accepted || h == Refused {
		return 0
	}
	return 1
}
