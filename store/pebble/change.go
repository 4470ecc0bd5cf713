package pebble

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"slices"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/spool"
)

// change is a batch that is being made, by who is changing.
type change struct {
	*Spool
	batch *engine.Batch
	it    *engine.Iterator // nil until something is looked for
	keys  []byte           // the value of the repeat keys it remembers
	after spool.Usage      // as it will be
}

// newChange begins a change.
func (s *Spool) newChange() *change {
	return &change{Spool: s, batch: s.db.NewBatch(), after: s.usage, keys: s.scratch[:0]}
}

// commit has the engine apply the change. It returns the batch, to wait for it if
// it is to be synced, or nil if there is nothing to write.
func (c *change) commit(o *engine.WriteOptions) (*engine.Batch, error) {
	s := c.Spool
	if len(c.keys) > 0 {
		if err := c.batch.Set(appendRepeatsKey(nil, s.nextRepeats), c.keys, nil); err != nil {
			return nil, err
		}
		s.nextRepeats++
		s.scratch = c.keys
	}
	if c.after != s.usage {
		var room [usageBytes]byte
		if err := c.batch.Set(usageKey, appendUsage(room[:0], c.after), nil); err != nil {
			return nil, err
		}
	}
	if c.batch.Empty() {
		return nil, nil
	}
	if err := c.trimRepeats(); err != nil {
		return nil, err
	}
	batch := c.batch
	c.batch = nil
	var err error
	if o.Sync {
		s.unsynced.Store(false)
		err = s.db.ApplyNoSyncWait(batch, o)
	} else {
		err = errors.Join(s.db.Apply(batch, o), batch.Close())
		if !s.unsynced.Swap(true) {
			s.queue.kick()
		}
	}
	if err != nil {
		s.fuse.blow(err)
	}
	if err := s.failure(); err != nil {
		return nil, err
	}
	s.usage = c.after
	s.publish()
	return batch, nil
}

// end ends a change, whether it was made or not.
func (c *change) end() (err error) {
	clear(c.said)
	if c.it != nil {
		err = c.it.Close()
	}
	if c.batch != nil {
		err = errors.Join(err, c.batch.Close())
	}
	return err
}

// putAll carries out requests. It goes from key to key in their order, and from
// what is stored to its index, as the engine finds its way faster to what is
// close by.
func (c *change) putAll(group []*request) error {
	records := c.records[:0]
	defer func() {
		clear(records)
		c.records = records[:0]
	}()
	for _, r := range group {
		for i := range r.records {
			x := &r.records[i]
			if x.isRepeat = c.isRepeat(x); !x.isRepeat && x.value != nil {
				x.order = len(records)
				records = append(records, x)
			}
		}
	}
	slices.SortFunc(records, func(x, y *record) int {
		return cmp.Or(bytes.Compare(x.key, y.key), cmp.Compare(x.order, y.order))
	})
	for _, x := range records {
		if err := c.put(x); err != nil {
			return err
		}
	}
	for _, x := range records {
		if err := c.index(x); err != nil {
			return err
		}
	}
	return nil
}

// isRepeat reports whether a record repeats another. If it does not, it is
// remembered.
func (c *change) isRepeat(x *record) bool {
	if x.repeat == (spool.RepeatKey{}) {
		return false
	}
	if c.repeats.remembered(x.repeat, int64(x.version.timestamp)) {
		return true
	}
	c.remember(repeat{x.repeat, x.repeatUntil})
	return false
}

// put stores a record, unless a later one is there.
func (c *change) put(x *record) (err error) {
	x.old, err = c.find(x.key, x.channel)
	if x.stale = x.old.stored && x.old.timestamp > x.version.timestamp; err != nil || x.stale {
		return err
	}
	if x.old.stored {
		c.after.Notifications--
		c.after.Bytes -= x.old.bytes
	}
	c.after.Notifications++
	c.after.Bytes += x.version.bytes
	c.after.Newest = max(c.after.Newest, x.version.timestamp)
	c.expired = min(c.expired, x.version.due)
	c.know(x.key, x.channel, x.version)
	return c.batch.Set(x.key, x.value, nil)
}

// index enters a record that was put into the index, in the place of the one before
// it.
func (c *change) index(x *record) error {
	if x.stale {
		return nil
	}
	if x.old.stored && x.old.due != x.version.due {
		if err := c.deleteExpiry(x.old.due, x.key); err != nil {
			return err
		}
	}
	op := c.batch.SetDeferred(expiryPrefixBytes+len(x.key), 8)
	putExpiryKey(op.Key, x.version.due, x.key)
	binary.BigEndian.PutUint64(op.Value, uint64(x.version.timestamp))
	return op.Finish()
}

// putExpiryKey fills a key that says what expires in a minute.
func putExpiryKey(b []byte, due minute, key []byte) {
	copy(b[len(appendExpiryPrefix(b[:0], due)):], key)
}

func (c *change) deleteExpiry(due minute, key []byte) error {
	op := c.batch.DeleteDeferred(expiryPrefixBytes + len(key))
	putExpiryKey(op.Key, due, key)
	return op.Finish()
}

// remove deletes what is stored under a key.
func (c *change) remove(key []byte, channel apns.ChannelID, v version) error {
	c.after.Notifications--
	c.after.Bytes -= v.bytes
	c.know(key, channel, version{})
	return c.batch.Delete(key, nil)
}

// remember has a repeat key remembered.
func (c *change) remember(x repeat) {
	if len(c.keys) == 0 {
		c.keys = append(c.keys, repeatsVersion)
	}
	c.keys = appendRepeat(c.keys, x)
	c.repeats.add(x, c.nextRepeats)
}

// trimEvery is how many batches with forgotten repeat keys there may be.
const trimEvery = 1024

// trimRepeats deletes the batches of which no key is remembered any more, once there
// are some.
func (c *change) trimRepeats() error {
	from := c.repeats.from(c.nextRepeats)
	if from < c.trimmed+trimEvery {
		return nil
	}
	c.trimmed = from
	return c.batch.DeleteRange([]byte{repeatsKind}, appendRepeatsKey(nil, from), nil)
}

// find returns what is stored under a key, that of a message if the channel is not
// empty.
func (c *change) find(key []byte, channel apns.ChannelID) (v version, err error) {
	var known bool
	if channel != "" {
		v, known = c.said[channel]
	} else {
		v, known = c.recent.get(notificationKey(key))
	}
	if known {
		return v, nil
	}
	if c.it == nil {
		if c.it, err = c.db.NewIter(&engine.IterOptions{UseL6Filters: true}); err != nil {
			return v, err
		}
	}
	if c.it.SeekPrefixGE(key) && string(c.it.Key()) == string(key) {
		var b []byte
		if b, err = c.it.ValueAndErr(); err == nil {
			v, err = parseVersion(key, b)
		}
	} else {
		err = c.it.Error()
	}
	if err == nil {
		c.know(key, channel, v)
	}
	return v, err
}

// know notes what is stored under a key, as find.
func (c *change) know(key []byte, channel apns.ChannelID, v version) {
	if channel != "" {
		c.said[channel] = v
	} else {
		c.recent.set(notificationKey(key), v)
	}
}
