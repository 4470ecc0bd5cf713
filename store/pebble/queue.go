package pebble

import (
	"sync"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/spool"
)

// request is what a caller asks to be stored, encoded, for what it has is
// borrowed. It belongs to whoever carries it out until done says so.
type request struct {
	records []record
	text    []byte // keys and values of the records
	err     error  // how it ended; set before done receives
	done    chan struct{}
}

// record is one notification or message of a request.
type record struct {
	key, value  []byte // no value: nothing is to be kept
	version     version
	channel     apns.ChannelID // of a message; in text
	repeat      spool.RepeatKey
	repeatUntil int64

	// Who carries it out sets the rest.

	isRepeat bool
	order    int     // among the records of its batch that are to be put
	old      version // what was there before
	stale    bool    // that is later
}

var requests = sync.Pool{New: func() any { return &request{done: make(chan struct{}, 1)} }}

// maxSpareBytes and maxSpareRecords are how much a request that is not in use holds
// on to.
const (
	maxSpareBytes   = 1 << 18
	maxSpareRecords = 1 << 10
)

// newRequest returns an empty request with room for so many bytes of text.
func newRequest(bytes int) *request {
	r, _ := requests.Get().(*request)
	if cap(r.text) < bytes {
		r.text = make([]byte, 0, bytes)
	}
	return r
}

// release gives r back, which was carried out.
func (r *request) release() {
	if cap(r.text) > maxSpareBytes || cap(r.records) > maxSpareRecords {
		return
	}
	clear(r.records)
	r.records, r.text, r.err = r.records[:0], r.text[:0], nil
	requests.Put(r)
}

// addWrite adds a write.
func (r *request) addWrite(w *spool.Write) {
	x := record{version: versionOfEntry(&w.Entry), repeat: w.RepeatKey}
	if w.RepeatKey != (spool.RepeatKey{}) {
		x.repeatUntil = w.RepeatUntil.UnixNano()
	}
	if w.Keep {
		key := newNotificationKey(w.Address)
		from := len(r.text)
		r.text = append(r.text, key[:]...)
		to := len(r.text)
		r.text = appendValue(r.text, w.DeviceToken, w.Timestamp, &w.Notification)
		x.key, x.value = r.text[from:to:to], r.text[to:]
	}
	r.records = append(r.records, x)
}

// addMessage adds a message.
func (r *request) addMessage(m *spool.Message) {
	from := len(r.text)
	r.text = appendMessageKey(r.text, m.Channel)
	to := len(r.text)
	r.text = appendValue(r.text, "", m.Timestamp, &m.Notification)
	key := r.text[from:to:to]
	r.records = append(r.records, record{
		key: key, value: r.text[to:], version: versionOfMessage(m), channel: text[apns.ChannelID](key[1:]),
	})
}

// queue is the requests that wait to be carried out.
type queue struct {
	mu     sync.Mutex
	list   []*request // guarded by mu
	closed bool       // guarded by mu
	some   chan struct{}
}

// add adds a request. It reports false once the queue is closed.
func (q *queue) add(r *request) bool {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return false
	}
	q.list = append(q.list, r)
	q.mu.Unlock()
	q.kick()
	return true
}

// kick has the queue looked at.
func (q *queue) kick() {
	select {
	case q.some <- struct{}{}:
	default:
	}
}

// Of a batch.
const (
	maxBatchRecords = 2048
	maxBatchBytes   = 4 << 20
)

// take moves requests to group, as many as go into a batch, one at least if there
// is any.
func (q *queue) take(group []*request) []*request {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, records, bytes := 0, 0, 0
	for _, r := range q.list {
		records, bytes = records+len(r.records), bytes+len(r.text)
		if n > 0 && (records > maxBatchRecords || bytes > maxBatchBytes) {
			break
		}
		n++
	}
	group = append(group, q.list[:n]...)
	left := copy(q.list, q.list[n:])
	clear(q.list[left:])
	q.list = q.list[:left]
	return group
}

// close has further requests refused, and reports whether it was open.
func (q *queue) close() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	was := !q.closed
	q.closed = true
	return was
}

func (q *queue) isClosed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}
