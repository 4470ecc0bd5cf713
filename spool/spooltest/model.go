package spooltest

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/spool"
)

// Model is the contract of spool.Store in its shortest form, under one lock and
// without an index. Real stores are compared with it, and tests of the room run
// on it. It forgets no repeat key before its time.
type Model struct {
	mu       sync.Mutex
	closed   bool
	entries  map[apns.Address]spool.Entry
	repeats  map[spool.RepeatKey]time.Time
	messages map[apns.ChannelID]spool.Message
	newest   spool.Timestamp
}

var _ spool.Store = (*Model)(nil)

// NewModel returns an empty store.
func NewModel() *Model {
	return &Model{entries: map[apns.Address]spool.Entry{}, repeats: map[spool.RepeatKey]time.Time{}, messages: map[apns.ChannelID]spool.Message{}}
}

// Put implements spool.Store.
func (m *Model) Put(_ context.Context, writes []spool.Write) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return spool.ErrStoreClosed
	}
	for i := range writes {
		w := &writes[i]
		if w.RepeatKey != (spool.RepeatKey{}) {
			if w.Repeat = m.repeats[w.RepeatKey].After(w.Timestamp.Time()); w.Repeat {
				continue
			}
			m.repeats[w.RepeatKey] = w.RepeatUntil
		}
		if w.Keep && m.entries[w.Address].Timestamp <= w.Timestamp {
			m.entries[w.Address] = w.Own()
			m.newest = max(m.newest, w.Timestamp)
		}
	}
	return nil
}

// Delete implements spool.Store.
func (m *Model) Delete(_ context.Context, versions []spool.Version) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return spool.ErrStoreClosed
	}
	for _, v := range versions {
		if e, ok := m.entries[v.Address]; ok && e.Timestamp == v.Timestamp {
			delete(m.entries, v.Address)
		}
	}
	return nil
}

// Load implements spool.Store.
func (m *Model) Load(_ context.Context, box spool.Mailbox, limit int) ([]spool.Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, spool.ErrStoreClosed
	}
	var list []spool.Entry
	for a, e := range m.entries {
		if spool.MailboxOf(a) == box {
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(x, y spool.Entry) int { return cmp.Compare(x.Timestamp, y.Timestamp) })
	return list[:min(len(list), limit)], nil
}

// Expire implements spool.Store.
func (m *Model) Expire(_ context.Context, now time.Time) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return 0, spool.ErrStoreClosed
	}
	before := len(m.entries) + len(m.messages)
	maps.DeleteFunc(m.entries, func(_ apns.Address, e spool.Entry) bool { return e.Expired(now) })
	maps.DeleteFunc(m.repeats, func(_ spool.RepeatKey, until time.Time) bool { return !until.After(now) })
	maps.DeleteFunc(m.messages, func(_ apns.ChannelID, x spool.Message) bool { return x.Expired(now) })
	return before - len(m.entries) - len(m.messages), nil
}

// PutMessage implements spool.Store.
func (m *Model) PutMessage(_ context.Context, x spool.Message) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return spool.ErrStoreClosed
	}
	if m.messages[x.Channel].Timestamp <= x.Timestamp {
		m.messages[x.Channel] = x
		m.newest = max(m.newest, x.Timestamp)
	}
	return nil
}

// Message implements spool.Store.
func (m *Model) Message(_ context.Context, c apns.ChannelID) (spool.Message, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return spool.Message{}, false, spool.ErrStoreClosed
	}
	x, ok := m.messages[c]
	return x, ok, nil
}

// Usage implements spool.Store.
func (m *Model) Usage() spool.Usage {
	m.mu.Lock()
	defer m.mu.Unlock()
	u := spool.Usage{Notifications: int64(len(m.entries) + len(m.messages)), Newest: m.newest}
	for _, e := range m.entries {
		u.Bytes += e.Bytes()
	}
	for _, x := range m.messages {
		u.Bytes += x.Bytes()
	}
	return u
}

// Close implements spool.Store.
func (m *Model) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}
