package device

import (
	"bytes"
	"log/slog"
	"slices"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/wire"
)

// memory is what a device knows from one connection to the next, and where
// there is a folder, from one process to the next.
type memory struct {
	base    apns.BaseToken // "" before the first connection
	apps    map[apns.TopicHash]*app
	journal *journal // has a lock and a file of its own
	// permissions is what the user decided about apps, registered or not.
	permissions         map[apns.Topic]Permission
	permissionByDefault Permission // of the others; never NotDetermined
	quiet               doNotDisturb
	resume              resume
	// receipts say what apps have taken, to be sent on the connection by which it
	// came.
	receipts []wire.TracingAck
	// calls counts the calls of register and remove.
	calls    uint64
	networks map[string]*pulse // by name
	// removed is the topics whose device tokens have ended, which the courier
	// is to be told, each with its call.
	removed map[apns.TopicHash]uint64
	// stale tells that device.json lacks checkpoints, which it got last at
	// checkpointed.
	stale        bool
	checkpointed time.Time
	// changed tells that device.json does not have all this as it is.
	changed bool
}

// app is a registration.
type app struct {
	topic    apns.Topic
	types    NotificationTypes
	token    apns.DeviceToken // "" until the courier gives one
	delegate Delegate
	// call is the call of register that it is from; zero if it is from the
	// folder.
	call uint64
	// told tells that the delegate has token, or is to be told nothing.
	told bool
	// channels is what it is subscribed to, with the highest checkpoint of each.
	channels map[apns.ChannelID]uint64
}

func newMemory() *memory {
	return &memory{
		apps: make(map[apns.TopicHash]*app), journal: newJournal(folder{}, slog.New(slog.DiscardHandler)),
		permissions: make(map[apns.Topic]Permission), permissionByDefault: granted,
		removed: make(map[apns.TopicHash]uint64), networks: make(map[string]*pulse),
	}
}

// register adds or changes a registration; false means that there are too
// many.
func (m *memory) register(topic apns.Topic, types NotificationTypes, delegate Delegate) bool {
	hash := topic.Hash()
	a := m.apps[hash]
	if a == nil {
		if len(m.apps) >= MaxTopics {
			return false
		}
		a = &app{topic: topic}
		m.apps[hash] = a
		m.changed = true
	}
	m.calls++
	m.changed = m.changed || a.types != types
	a.types, a.delegate, a.call, a.told = types, delegate, m.calls, false
	return true
}

func (m *memory) unregister(topic apns.Topic) {
	hash := topic.Hash()
	if _, ok := m.apps[hash]; ok {
		delete(m.apps, hash)
		m.changed = true
	}
}

// useJournal gives m the journal of its folder, and that what a device.json of
// version 1 remembers.
func (m *memory) useJournal(j *journal) {
	for _, r := range m.journal.history.entries(time.Now()) {
		j.history.add(r.entry, time.Unix(int64(r.at), 0))
	}
	m.journal = j
}

// setBase takes the base token that a courier gave. A new one makes all device
// tokens worthless (docs/protocol/courier.md#tokens).
func (m *memory) setBase(base apns.BaseToken) {
	if base == m.base {
		return
	}
	m.base, m.changed = base, true
	clear(m.removed) // with the old one
	for _, a := range m.apps {
		a.token, a.told = "", false
	}
}

// topics returns the hashes of all topics, sorted.
func (m *memory) topics() []apns.TopicHash {
	hashes := make([]apns.TopicHash, 0, len(m.apps))
	for h := range m.apps {
		hashes = append(hashes, h)
	}
	slices.SortFunc(hashes, func(a, b apns.TopicHash) int { return bytes.Compare(a[:], b[:]) })
	return hashes
}

// filter is the lists of a Filter, each sorted.
type filter struct{ enabled, ignored []apns.TopicHash }

func (f filter) equal(g filter) bool {
	return slices.Equal(f.enabled, g.enabled) && slices.Equal(f.ignored, g.ignored)
}

// filter returns what the courier is to deliver, and what it is to ignore
// (docs/protocol/courier.md#filter).
func (m *memory) filter() (f filter) {
	for _, h := range m.topics() {
		if m.permission(m.apps[h].topic).ignored() {
			f.ignored = append(f.ignored, h)
		} else {
			f.enabled = append(f.enabled, h)
		}
	}
	return f
}
