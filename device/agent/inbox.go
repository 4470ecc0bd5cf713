package agent

import (
	"errors"
	"slices"
	"sync"

	"github.com/heraldpush/herald/apns"
)

// limits bound what is kept for readers.
type limits struct {
	perApp      int // notifications
	perAppBytes int // of their documents
	bytes       int // of the documents of all apps
}

var defaultLimits = limits{perApp: 1000, perAppBytes: 4 << 20, bytes: 64 << 20}

// maxReaders bounds the readers at a time, of all apps.
const maxReaders = 128

// Why there is no reader.
var (
	errNoApp       = errors.New("the app is not registered")
	errManyReaders = errors.New("there are as many readers as there may be")
)

// letter is a notification in the inbox.
type letter struct {
	// number counts the letters of an app from 1 on, without gaps.
	number uint64
	// order counts those of all apps.
	order uint64
	id    apns.NotificationID
	doc   []byte // of the Event
}

// box has the letters of an app, the oldest first.
type box struct {
	letters []letter
	bytes   int
	last    uint64        // the number of the latest letter, 0 before the first
	given   uint64        // the number of the latest that a reader was given
	marked  bool          // done counts: there are commands
	done    uint64        // the number of the latest that a command was run for
	readers int           //
	changed chan struct{} // closed and replaced at each letter, and closed for good when the app goes
	gone    bool
}

// from returns the number of the oldest letter that is kept, or of the one to
// come.
func (b *box) from() uint64 { return b.last + 1 - uint64(len(b.letters)) }

// after returns the letters with higher numbers.
func (b *box) after(number uint64) []letter {
	if number < b.from() {
		return b.letters
	}
	return b.letters[min(number+1-b.from(), uint64(len(b.letters))):]
}

// inbox keeps the latest notifications of each app for its readers. What it
// keeps is in the journal too, if there is one.
type inbox struct {
	limits   limits
	commands bool // are run for letters

	mu      sync.Mutex
	boxes   map[apns.Topic]*box // guarded by mu
	order   uint64              // guarded by mu
	bytes   int                 // of all letters; guarded by mu
	readers int                 // guarded by mu
	journal *journal            // guarded by mu; nil keeps nothing
}

func newInbox(l limits) *inbox { return &inbox{limits: l, boxes: make(map[apns.Topic]*box)} }

// open returns the box of an app, and makes it if it is missing.
func (i *inbox) open(topic apns.Topic) (*box, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	b := i.box(topic)
	if !i.commands || b.marked {
		return b, nil
	}
	b.marked = true
	return b, i.journal.write(i, entry{Topic: topic, Marked: true, Done: b.done})
}

// box is open; the caller holds mu.
func (i *inbox) box(topic apns.Topic) *box {
	b := i.boxes[topic]
	if b == nil {
		b = &box{changed: make(chan struct{})}
		i.boxes[topic] = b
	}
	return b
}

// remove forgets an app and sends its readers away.
func (i *inbox) remove(topic apns.Topic) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	b := i.boxes[topic]
	if b == nil {
		return nil
	}
	delete(i.boxes, topic)
	i.bytes -= b.bytes
	b.letters, b.gone = nil, true
	close(b.changed)
	return i.journal.write(i, entry{Topic: topic, Gone: true})
}

// has reports whether a notification is kept.
func (i *inbox) has(topic apns.Topic, id apns.NotificationID) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	b := i.boxes[topic]
	if b == nil {
		return false
	}
	_, known := b.find(id)
	return known
}

// add takes a notification. The error says that it is kept in memory alone.
func (i *inbox) add(topic apns.Topic, id apns.NotificationID, doc []byte) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	b := i.box(topic)
	i.put(b, b.last+1, id, doc)
	close(b.changed)
	b.changed = make(chan struct{})
	return i.journal.write(i, entry{Topic: topic, Number: b.last, ID: id, Doc: doc})
}

// put is add without telling anyone; the caller holds mu.
func (i *inbox) put(b *box, number uint64, id apns.NotificationID, doc []byte) {
	i.order++
	b.last = number
	b.letters = append(b.letters, letter{number: number, order: i.order, id: id, doc: doc})
	b.bytes, i.bytes = b.bytes+len(doc), i.bytes+len(doc)
	for len(b.letters) > i.limits.perApp || b.bytes > i.limits.perAppBytes {
		i.drop(b)
	}
	for i.bytes > i.limits.bytes {
		i.drop(i.oldest())
	}
}

// drop forgets the oldest letter of a box; the caller holds mu.
func (i *inbox) drop(b *box) {
	size := len(b.letters[0].doc)
	b.bytes, i.bytes = b.bytes-size, i.bytes-size
	b.letters[0] = letter{} // its array lives on
	b.letters = b.letters[1:]
}

// oldest returns the box with the oldest letter of all; there is one. The
// caller holds mu.
func (i *inbox) oldest() (found *box) {
	for _, b := range i.boxes {
		if len(b.letters) > 0 && (found == nil || b.letters[0].order < found.letters[0].order) {
			found = b
		}
	}
	return found
}

// reader is one who reads the notifications of an app. Its methods are for one
// goroutine.
type reader struct {
	inbox *inbox
	topic apns.Topic
	box   *box
	at    uint64 // the number of the latest letter that it has
}

// read begins to read: after the notification named, or where none is, after
// those that some reader was given. If that one is not kept, it begins with the
// oldest that is, and known is false.
func (i *inbox) read(topic apns.Topic, after apns.NotificationID) (r *reader, known bool, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	b := i.boxes[topic]
	switch {
	case b == nil:
		return nil, false, errNoApp
	case i.readers >= maxReaders:
		return nil, false, errManyReaders
	}
	i.readers++
	b.readers++
	r, known = &reader{inbox: i, topic: topic, box: b, at: b.given}, true
	if after != "" {
		r.at, known = b.find(after)
	}
	return r, known, nil
}

// find returns the number of the latest letter with an id, or that before all
// that are kept.
func (b *box) find(id apns.NotificationID) (uint64, bool) {
	for _, l := range slices.Backward(b.letters) {
		if l.id == id {
			return l.number, true
		}
	}
	return b.from() - 1, false
}

// news is what next returns.
type news struct {
	letters []letter
	missed  uint64          // letters before these, which are not kept any more
	changed <-chan struct{} // closed when there is more
	gone    bool            // the app is
}

// batch bounds the letters that a reader is given at a time.
const batch = 64

// next returns what the reader does not have yet.
func (r *reader) next() news {
	r.inbox.mu.Lock()
	defer r.inbox.mu.Unlock()
	n := news{changed: r.box.changed, gone: r.box.gone}
	if from := r.box.from(); r.at+1 < from {
		n.missed = from - 1 - r.at
		r.at = from - 1
	}
	letters := r.box.after(r.at)
	n.letters = append(n.letters, letters[:min(len(letters), batch)]...)
	return n
}

// has notes that the reader was given a letter and those before it.
func (r *reader) has(number uint64) error {
	r.inbox.mu.Lock()
	defer r.inbox.mu.Unlock()
	r.at = number
	if r.box.gone || number <= r.box.given {
		return nil
	}
	r.box.given = number
	return r.inbox.journal.write(r.inbox, entry{Topic: r.topic, Given: number})
}

func (r *reader) close() {
	r.inbox.mu.Lock()
	defer r.inbox.mu.Unlock()
	r.inbox.readers--
	r.box.readers--
}

// task is what undone returns.
type task struct {
	letter  *letter         // nil if there is nothing to do
	missed  uint64          // letters before it, which are not kept any more
	changed <-chan struct{} // closed when there is more
	gone    bool            // the app is
}

// undone returns the oldest letter of a box that no command was run for. The
// error says that the letters before are not noted as missed.
func (i *inbox) undone(topic apns.Topic, b *box) (t task, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	t = task{changed: b.changed, gone: b.gone}
	if from := b.from(); b.done+1 < from {
		t.missed = from - 1 - b.done
		b.done = from - 1
		if !b.gone {
			err = i.journal.write(i, entry{Topic: topic, Marked: true, Done: b.done})
		}
	}
	if letters := b.after(b.done); len(letters) > 0 {
		t.letter = new(letters[0])
	}
	return t, err
}

// did notes that a command was run for a letter.
func (i *inbox) did(topic apns.Topic, b *box, number uint64) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if b.gone {
		return nil
	}
	b.done = number
	return i.journal.write(i, entry{Topic: topic, Marked: true, Done: number})
}

// count is what the inbox has of an app.
type count struct{ Kept, Waiting, Readers int }

func (i *inbox) count(topic apns.Topic) count {
	i.mu.Lock()
	defer i.mu.Unlock()
	b := i.boxes[topic]
	if b == nil {
		return count{}
	}
	return count{Kept: len(b.letters), Waiting: len(b.after(b.given)), Readers: b.readers}
}
