package load

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/net/http2"
)

const (
	slots          = 4096 // more than the streams of a link, so that few are in the way
	inputBytes     = 64 << 10
	maxFrameBytes  = 16384
	firstWindow    = 65535   // of each stream and the connection (RFC 9113, 6.9.2)
	ownWindow      = 1 << 20 // that the peer gets
	windowBehind   = ownWindow / 2
	lastStream     = 1<<31 - 1
	outputPerWrite = 256 << 10
)

// slot is a push in flight.
type slot struct {
	stream uint32 // 0 for none
	status int    // once it has come
	bad    int    // which bad one, from 1; 0 for a good one
	sent   time.Time
}

// link is one connection. One goroutine sends on it and reads from it in turn:
// all pushes that may go, then what has arrived.
type link struct {
	conn     *tls.Conn
	requests *requests
	streams  int // as the plan wants
	own      [12]byte
	pushes   uint32 // numbered so far

	in         []byte
	begin, end int // of what is in in
	out        []byte
	answers    answers

	next     uint32 // stream
	inFlight int
	slots    [slots]slot
	settled  bool  // the first SETTINGS came
	limit    int   // of streams, the peer's
	window   int64 // how much may be sent
	consumed int   // that the peer was not given back

	tally tally
}

// tally is what a link counts.
type tally struct {
	sent, accepted int64
	reasons        map[string]*int64 // of refusals that were expected
	wrongs         map[string]*int64 // of answers that were not
	latency, late  Histogram
}

func count(m *map[string]*int64, key string) {
	if *m == nil {
		*m = make(map[string]*int64)
	}
	n := (*m)[key]
	if n == nil {
		n = new(int64)
		(*m)[key] = n
	}
	*n++
}

// newLink returns a link that has yet to flush the preface and its first push.
func newLink(conn *tls.Conn, rs *requests, streams int) *link {
	l := &link{
		conn: conn, requests: rs, streams: streams, in: make([]byte, inputBytes), out: make([]byte, 0, outputPerWrite+rs.longest),
		next: 1, limit: 1, window: firstWindow - int64(len(rs.payload)-frameHeaderBytes),
	}
	var own [6]byte
	_, _ = rand.Read(own[:]) // never fails
	hex.Encode(l.own[:], own[:])
	l.out = append(l.out, http2.ClientPreface...)
	l.out = appendFrameHeader(l.out, 0, http2.FrameSettings, 0, 0)
	l.out = appendFrameHeader(l.out, 4, http2.FrameWindowUpdate, 0, 0)
	l.out = binary.BigEndian.AppendUint32(l.out, ownWindow-firstWindow)
	at := len(l.out)
	l.out = append(l.out, rs.first...)
	second := at + frameHeaderBytes + int(l.out[at+1])<<8 + int(l.out[at+2])
	binary.BigEndian.PutUint32(l.out[at+5:], l.next)
	binary.BigEndian.PutUint32(l.out[second+5:], l.next)
	l.slots[l.next/2%slots] = slot{stream: l.next, sent: time.Now()}
	l.next += 2
	l.inFlight++
	return l
}

// warm waits for the answer to the first push, and until as many streams are
// allowed as are wanted, or it is clear that no more will be.
func (l *link) warm() error {
	limit := time.Now().Add(stallTimeout)
	for l.inFlight > 0 || !l.settled {
		if err := l.step(limit, false); err != nil {
			return err
		}
	}
	if l.tally.accepted != 1 {
		return fmt.Errorf("the first push was refused: %s", describe(l.tally.wrongs))
	}
	// A gateway that allows one stream to a sender without certificate allows
	// more with its first answer (docs/protocol/provider.md#http2-settings).
	for soon := time.Now().Add(time.Second); l.limit == 1 && l.streams > 1; {
		if err := l.step(soon, true); err != nil {
			return err
		}
		if time.Now().After(soon) {
			break
		}
	}
	l.tally = tally{}
	return nil
}

// run sends pushes until there are none left, and all are answered.
func (l *link) run(b *budget) error {
	for turn := b.turn(); ; {
		due := l.fill(b, turn)
		if err := l.flush(); err != nil {
			return err
		}
		if l.inFlight == 0 && due.IsZero() {
			return nil
		}
		wait := due
		if wait.IsZero() {
			wait = time.Now().Add(stallTimeout)
		}
		if err := l.step(wait, !due.IsZero()); err != nil {
			return err
		}
	}
}

// fill puts all pushes into the output that may go now. It returns when the
// next one falls due: zero if an answer has to come first, or if there are no
// more.
func (l *link) fill(b *budget, turn *turn) (due time.Time) {
	now := time.Now()
	for l.inFlight < min(l.limit, l.streams) && len(l.out) < outputPerWrite && l.window >= int64(l.requests.longest) && l.next < lastStream {
		s := &l.slots[l.next/2%slots]
		if s.stream != 0 {
			return time.Time{} // an old one is in the way
		}
		n, at, ok := turn.take(b, now)
		if !ok {
			return at
		}
		*s = slot{stream: l.next, sent: now}
		l.put(s, n)
		if !at.IsZero() {
			l.tally.late.Add(now.Sub(at))
		}
		l.next += 2
		l.inFlight++
		l.tally.sent++
	}
	return time.Time{}
}

// put appends the request of a push to the output.
func (l *link) put(s *slot, n int64) {
	rs := l.requests
	head, payload := rs.good[n%int64(len(rs.good))], rs.payload
	if rs.badEvery > 0 && n%rs.badEvery == 0 {
		which := int(n / rs.badEvery % int64(len(rs.bad)))
		head, payload = rs.bad[which].head, rs.bad[which].payload
		s.bad = which + 1
	}
	at := len(l.out)
	l.out = appendRequest(l.out, head, payload, s.stream)
	if rs.numbered {
		number(l.out[at:at+len(head)], l.pushes, &l.own)
		l.pushes++
	}
	if rs.stampAt > 0 && s.bad == 0 {
		stamp(l.out[at+len(head)+rs.stampAt:], s.sent)
	}
	l.window -= int64(len(payload) - frameHeaderBytes)
}

// flush writes the output.
func (l *link) flush() error {
	if len(l.out) == 0 {
		return nil
	}
	if err := l.conn.SetWriteDeadline(time.Now().Add(stallTimeout)); err != nil {
		return err
	}
	_, err := l.conn.Write(l.out)
	l.out = l.out[:0]
	return err
}

// step reads what has arrived, waiting for it until the limit at most. If that
// passes, it is an error unless told otherwise.
func (l *link) step(limit time.Time, mayPass bool) error {
	if err := l.conn.SetReadDeadline(limit); err != nil {
		return err
	}
	if l.begin > 0 {
		l.end = copy(l.in, l.in[l.begin:l.end])
		l.begin = 0
	}
	n, err := l.conn.Read(l.in[l.end:])
	l.end += n
	if err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			if mayPass {
				return nil
			}
			return fmt.Errorf("%d pushes were not answered in %v", l.inFlight, stallTimeout)
		}
		return fmt.Errorf("%d pushes in flight: %w", l.inFlight, err)
	}
	return l.parse(time.Now())
}

// parse handles all frames that are there whole.
func (l *link) parse(now time.Time) error {
	for l.end-l.begin >= frameHeaderBytes {
		h := l.in[l.begin:]
		length := int(h[0])<<16 | int(h[1])<<8 | int(h[2])
		if length > maxFrameBytes {
			return fmt.Errorf("a frame of %d bytes", length)
		}
		if l.end-l.begin < frameHeaderBytes+length {
			break
		}
		stream := binary.BigEndian.Uint32(h[5:]) & lastStream
		body := h[frameHeaderBytes:][:length]
		if err := l.handle(http2.FrameType(h[3]), http2.Flags(h[4]), stream, body, now); err != nil {
			return err
		}
		l.begin += frameHeaderBytes + length
	}
	if len(l.out) > 0 {
		return l.flush()
	}
	return nil
}
