package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/heraldpush/herald/h2"
	"github.com/heraldpush/herald/internal/door"
	"github.com/heraldpush/herald/internal/load"
)

// sinkStreams is how many pushes the sink lets be in flight on a connection, as
// Apple does.
const sinkStreams = 1000

// sinkSetup says what the sink has.
type sinkSetup struct {
	Certificate []byte // PEM, with the key
}

// silence is a way not to answer.
type silence string

// The ways.
const (
	answering     silence = ""
	withoutAnswer silence = "without-answer" // it reads on
	withoutRead   silence = "without-read"   // it does not even do that
	held          silence = "held"           // it answers when it is told to answer again
)

// silences are all ways of a sink that failed.
var silences = []silence{withoutAnswer, withoutRead}

// sinkManner is how the sink answers from now on.
type sinkManner struct {
	Delay   time.Duration
	Silence silence
}

// pushSink is a gateway that checks nothing: it answers 200 with the apns-id,
// at once or when it is due.
type pushSink struct {
	tls  *tls.Config
	gone <-chan struct{} // closed when the sink ends

	delay    atomic.Int64 // nanoseconds
	silence  atomic.Value // a silence
	accepted atomic.Int64 // connections, since the manner was set
	answered atomic.Int64 // pushes

	mu     sync.Mutex
	late   []dueAnswer    // in order; guarded by mu
	held   []*h2.Request  // guarded by mu
	marked load.Histogram // how long marked pushes took, since the manner was set; guarded by mu
	wake   chan struct{}  // there is the first of late, or of what is no longer held; holds one
}

// dueAnswer is an answer that waits. As all wait for as long, the first to come is the
// first to go.
type dueAnswer struct {
	at time.Time
	to *h2.Request
}

// serveSink is the gateway that clients are measured with.
func (p *part) serveSink(ctx context.Context, setup sinkSetup) (err error) {
	pair, err := tls.X509KeyPair(setup.Certificate, setup.Certificate)
	if err != nil {
		return err
	}
	l, err := listen(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &pushSink{
		tls: &tls.Config{
			MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}, NextProtos: []string{http2.NextProtoTLS},
			DynamicRecordSizingDisabled: true,
		},
		gone: ctx.Done(), wake: make(chan struct{}, 1),
	}
	s.silence.Store(answering)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() { s.answerLate(ctx) })
	var serving error
	running.Go(func() { serving = door.Serve(ctx, l, warnings(), s.serve) })
	if err := p.answer(reply{Target: &target{Address: l.Addr().String()}}, nil); err != nil {
		return err
	}
	err = p.obey(map[string]func(*order, *reply) error{orderManner: s.behave, orderCount: s.count})
	cancel()
	running.Wait()
	return errors.Join(err, serving)
}

// behave sets the manner, and tells how many connections were accepted since
// the last time.
func (s *pushSink) behave(o *order, r *reply) error {
	r.Accepted = s.accepted.Swap(0)
	if o.Manner != nil {
		s.delay.Store(int64(o.Manner.Delay))
		s.silence.Store(o.Manner.Silence)
		s.mu.Lock()
		s.marked = load.Histogram{}
		s.mu.Unlock()
		s.wakeUp()
	}
	return nil
}

// count tells how many pushes were answered since the sink began, and how long those
// took that were marked, since the manner was set.
func (s *pushSink) count(_ *order, r *reply) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.Answered, r.Marked = s.answered.Load(), new(s.marked)
	return nil
}

// wakeUp has what is late looked at.
func (s *pushSink) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// serve serves one connection.
func (s *pushSink) serve(ctx context.Context, raw net.Conn) {
	s.accepted.Add(1)
	conn := tls.Server(h2.NewSocket(raw), s.tls)
	limited, cancel := context.WithTimeout(ctx, waitTimeout)
	defer cancel()
	if err := conn.HandshakeContext(limited); err != nil {
		_ = raw.Close()
		return
	}
	// How a connection ends is for the client to tell, which the bench is about.
	err := h2.NewConn(conn, h2.Config{
		Handler: &sinkHandler{sink: s}, MaxConcurrentStreams: sinkStreams, AnswerFields: []hpack.HeaderField{{Name: "apns-id"}},
	}).Serve(ctx)
	warnings().DebugContext(ctx, "connection ended", slog.Any("error", err))
}

// sinkHandler answers what comes on one connection.
type sinkHandler struct {
	sink   *pushSink
	fields [1]hpack.HeaderField // of the answer in hand
}

// ServeRequest implements h2.Handler.
func (h *sinkHandler) ServeRequest(r *h2.Request) {
	s := h.sink
	switch s.silence.Load() {
	case withoutAnswer:
		r.Neglect()
		return
	case withoutRead:
		<-s.gone
		r.Neglect()
		return
	case held:
		s.mu.Lock()
		s.held = append(s.held, r)
		s.mu.Unlock()
		// It may have been told to answer between.
		s.wakeUp()
		return
	}
	delay := time.Duration(s.delay.Load())
	if delay == 0 {
		s.accept(r, &h.fields)
		return
	}
	due := dueAnswer{time.Now().Add(delay), r}
	s.mu.Lock()
	s.late = append(s.late, due)
	first := len(s.late) == 1
	s.mu.Unlock()
	if first {
		s.wakeUp()
	}
}

// accept answers 200 with the apns-id, which is written to fields.
func (s *pushSink) accept(r *h2.Request, fields *[1]hpack.HeaderField) {
	if at, ok := markOf(r.Body); ok {
		s.mu.Lock()
		s.marked.Add(time.Since(at))
		s.mu.Unlock()
	}
	s.answered.Add(1)
	for i := range r.Fields {
		if r.Fields[i].Name == "apns-id" {
			fields[0] = r.Fields[i]
			r.Respond(http.StatusOK, fields[:], nil)
			return
		}
	}
	r.Respond(http.StatusBadRequest, nil, []byte(`{"reason":"BadMessageId"}`))
}

// answerLate answers what is due, until ctx ends.
func (s *pushSink) answerLate(ctx context.Context) {
	var fields [1]hpack.HeaderField
	var batch []dueAnswer
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-timer.C:
		}
		var next time.Duration
		batch, next = s.takeDue(batch[:0], time.Now())
		for _, due := range batch {
			s.accept(due.to, &fields)
		}
		for _, r := range s.release() {
			s.accept(r, &fields)
		}
		if next > 0 {
			timer.Reset(next)
		}
	}
}

// release returns what was held and is to be answered by now.
func (s *pushSink) release() []*h2.Request {
	if s.silence.Load() == held {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.held
	s.held = nil
	return all
}

// takeDue moves what is due to batch, and returns how long it is until the next
// is; zero if there is none.
func (s *pushSink) takeDue(batch []dueAnswer, now time.Time) ([]dueAnswer, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for n < len(s.late) && !s.late[n].at.After(now) {
		n++
	}
	batch = append(batch, s.late[:n]...)
	s.late = append(s.late[:0], s.late[n:]...)
	if len(s.late) == 0 {
		return batch, 0
	}
	return batch, max(s.late[0].at.Sub(now), 1)
}
