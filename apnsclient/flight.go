package apnsclient

import (
	"encoding/hex"
	"net/http"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/net/http2/hpack"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/h2"
)

// devicePath is what a device token follows, in hex
// (docs/protocol/provider.md#request).
const devicePath = "/3/device/"

// Header fields. Those that differ from push to push are not among the indexed
// ones, since they would push the others out of the table.
var (
	indexedFields = []string{
		":authority", "authorization", "apns-topic", "apns-push-type", "apns-priority", "apns-expiration",
	}
	wantedFields = []string{
		"apns-id", "apns-unique-id", "apns-request-id", "apns-channel-id", "retry-after", "date",
	}
)

// tokenField is where the provider token is among the fields of a flight.
const tokenField = 4

// place is where a flight is.
type place uint8

const (
	nowhere place = iota // its owner has it
	outside              // of the queues, for want of a place
	waiting              // for a stream
	flying               // on a link
	pausing              // until the next attempt
)

// flight is a request on its way, most often a push: through all its attempts,
// until there is one outcome. It is used again and again.
type flight struct {
	call   h2.Call
	fields [14]hpack.HeaderField // of the request
	text   []byte                // what some of them refer to
	done   chan struct{}         // told at the end, unless there is a bulk; holds one
	journey
}

// journey is what a flight knows of one request, and forgets with it.
type journey struct {
	// Written before the engine has it.

	id          apns.NotificationID // what the gateway is to call it
	topic       apns.Topic
	pushType    apns.PushType
	collapsible bool
	plain       bool      // an exchange, which any status of the 200s answers
	deadline    time.Time // of the caller
	bulk        *bulk
	push        Push // of bulk

	// Guarded by the engine's mu, until it is done.

	at        place
	link      *link     // it was last on
	token     string    // that it last carried; empty with a certificate
	attempts  int       // that count
	moves     int       // attempts that the gateway did not begin with
	dials     int       // failed dials of the engine when it came
	renewed   bool      // a new provider token was tried
	over      bool      // it was given up while its answer was on the way: there is no other attempt
	since     time.Time // it waits or flies
	due       time.Time // it pauses until then
	lastErr   error     // of the last attempt that counts
	doubt     error     // of the first attempt that may have been delivered
	expires   time.Time // when it ends in any case; the order of all
	beside    [chains]neighbours
	heapIndex int // of pausing

	receipt Receipt
	err     error
}

// neighbours are those of a flight in a list.
type neighbours struct{ previous, next *flight }

// newFlight returns one that is nowhere. Those of one engine are used again by it
// alone: a channel belongs to the bubble of the test that made it.
func (e *engine) newFlight() *flight {
	f, ok := e.spare.Get().(*flight)
	if !ok {
		f = &flight{text: make([]byte, 0, 256), done: make(chan struct{}, 1)}
		f.call.Owner = f
	}
	return f
}

// release gives f back, without what it refers to.
func (e *engine) release(f *flight) {
	f.reset()
	e.spare.Put(f)
}

// reset makes f as good as new.
func (f *flight) reset() {
	clear(f.fields[:])
	f.call.Fields, f.call.Body = nil, nil
	f.text = f.text[:0]
	f.journey = journey{}
}

// textFrom returns what was appended to the text of f since it had n bytes. It
// holds until f is reset.
func (f *flight) textFrom(n int) string {
	b := f.text[n:]
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// number returns n in digits, which it adds to the text of f.
func (f *flight) number(n int64) string {
	from := len(f.text)
	f.text = strconv.AppendInt(f.text, n, 10)
	return f.textFrom(from)
}

// fill makes f a push of n, whose ID and push type are set
// (docs/protocol/provider.md#headers).
func (f *flight) fill(e *engine, to apns.DeviceToken, n *apns.Notification, id apns.NotificationID) {
	// Strings refer to the text, so it must not move while it grows.
	const numbers = 2 * 20 // digits at most
	if need := len(devicePath) + 2*len(to) + numbers; cap(f.text) < need {
		f.text = make([]byte, 0, need)
	}
	f.text = append(f.text[:0], devicePath...)
	f.text = hex.AppendEncode(f.text, []byte(to))
	path := f.textFrom(0)

	f.id, f.topic, f.pushType, f.collapsible = id, n.Topic, n.PushType, n.CollapseID != ""
	fields := f.begin(e, http.MethodPost, path)
	set := func(name, value string) {
		if value != "" {
			fields = append(fields, hpack.HeaderField{Name: name, Value: value})
		}
	}
	set("apns-topic", string(n.Topic))
	set("apns-push-type", string(n.PushType))
	set("apns-priority", priorityValue(n.Priority))
	if seconds, ok := n.Expiration.Seconds(); ok {
		set("apns-expiration", f.number(seconds))
	}
	set("apns-collapse-id", string(n.CollapseID))
	set("apns-id", string(id))
	set("content-length", f.number(int64(len(n.Payload))))
	f.call.Fields, f.call.Body = fields, n.Payload
}

// begin returns the fields that all requests have.
func (f *flight) begin(e *engine, method, path string) []hpack.HeaderField {
	fields := append(f.fields[:0],
		hpack.HeaderField{Name: ":method", Value: method},
		hpack.HeaderField{Name: ":scheme", Value: "https"},
		hpack.HeaderField{Name: ":authority", Value: e.authority},
		hpack.HeaderField{Name: ":path", Value: path},
	)
	if e.tokens != nil {
		fields = append(fields, hpack.HeaderField{Name: "authorization"}) // see tokenField
	}
	return fields
}

// priorityValue returns the value of an apns-priority header, empty for none.
func priorityValue(p apns.Priority) string {
	switch p {
	case 0:
		return ""
	case apns.PriorityPower:
		return "1"
	case apns.PriorityConserve:
		return "5"
	case apns.PriorityImmediate:
		return "10"
	}
	return strconv.Itoa(int(p))
}

// chain is one of the two lists that a flight may be in at a time.
type chain int

const (
	inAll   chain = iota // of all that are not done, the first to end in front
	inQueue              // of those that wait, or are done and not yet handed out
	chains
)

// flightList is a list of flights.
type flightList struct {
	chain       chain
	first, last *flight
	count       int
}

// push appends f.
func (l *flightList) push(f *flight) {
	f.beside[l.chain] = neighbours{previous: l.last}
	if l.last == nil {
		l.first = f
	} else {
		l.last.beside[l.chain].next = f
	}
	l.last = f
	l.count++
}

// remove takes f out.
func (l *flightList) remove(f *flight) {
	at := f.beside[l.chain]
	if at.previous == nil {
		l.first = at.next
	} else {
		at.previous.beside[l.chain].next = at.next
	}
	if at.next == nil {
		l.last = at.previous
	} else {
		at.next.beside[l.chain].previous = at.previous
	}
	f.beside[l.chain] = neighbours{}
	l.count--
}

// next returns the one after f, nil if that is the last.
func (l *flightList) next(f *flight) *flight { return f.beside[l.chain].next }

// pauses are the flights that pause, as a heap (container/heap).
type pauses []*flight

func (p pauses) Len() int           { return len(p) }
func (p pauses) Less(i, j int) bool { return p[i].due.Before(p[j].due) }

// Swap implements heap.Interface.
func (p pauses) Swap(i, j int) {
	p[i], p[j] = p[j], p[i]
	p[i].heapIndex, p[j].heapIndex = i, j
}

// Push implements heap.Interface.
func (p *pauses) Push(x any) {
	if f, ok := x.(*flight); ok {
		f.heapIndex = len(*p)
		*p = append(*p, f)
	}
}

// Pop implements heap.Interface.
func (p *pauses) Pop() any {
	last := len(*p) - 1
	f := (*p)[last]
	(*p)[last] = nil
	*p = (*p)[:last]
	return f
}
