package gateway

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/portal"
	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/wire"
)

// legacySession is a connection of the legacy interface. One goroutine reads
// into the queue, and the one that serves takes what is there to the stores, in
// batches. It keeps no more than the queue, the batch, and a part of one
// notification, about half a megabyte in all.
type legacySession struct {
	certified
	gateway     *Gateway
	number      uint64 // of the connection
	certificate *x509.Certificate
	queue       legacyQueue

	mu     sync.Mutex
	over   chan struct{} // closed when nothing more is taken
	isOver bool          // guarded by mu

	// The rest belongs to the goroutine that serves.

	// sender is who has the certificate; revoked is closed if anything was
	// revoked since that was found out.
	sender  *portal.Sender
	revoked <-chan struct{}
	// topic is that of all notifications, unless topicErr says that there is none.
	topic    apns.Topic
	topicErr error
	// last is the identifier of the last notification that was accepted.
	last uint32
	// offerings and taken have the room of the last batch.
	offerings []spool.Offering
	taken     []legacyTaken
}

// legacyTaken is a notification of a batch that is not refused so far.
type legacyTaken struct {
	identifier uint32
	offering   int // its place among the offerings; -1 for one whose app is gone
}

// serveLegacy serves one connection until it ends.
func (g *Gateway) serveLegacy(ctx context.Context, c certified) {
	c.log = c.log.With(slog.String("environment", c.env.String()))
	s := &legacySession{
		certified: c, gateway: g, number: g.connections.Add(1), certificate: c.state.PeerCertificates[0],
		queue: newLegacyQueue(), over: make(chan struct{}),
	}
	stop := c.cutAfter(ctx, g.cfg.DrainTimeout)
	var reading sync.WaitGroup
	reading.Go(s.read)
	end := s.run(ctx)
	s.finish(end)
	reading.Wait()
	_ = c.raw.Close()
	stop()
	log := []any{slog.Any("reason", end.why)}
	if end.say != nil {
		log = append(log, slog.String("status", end.say.Status.String()), slog.Uint64("identifier", uint64(end.say.Identifier)))
	}
	c.log.DebugContext(ctx, "legacy connection ended", log...)
}

// Why connections end that did nothing wrong.
var (
	errLegacyShutdown = errors.New("the gateway stops")
	errLegacyRevoked  = errors.New("the certificate is no longer good")
)

// run takes notifications to the stores until the connection is to end, and
// says how. It does not wait for what has not been read when ctx ends.
func (s *legacySession) run(ctx context.Context) legacyEnd {
	if !s.admit() {
		return legacyEnd{why: errLegacyRevoked}
	}
	var batch []wire.LegacyNotification
	for {
		stopping := false
		select {
		case <-s.queue.some:
		case <-s.revoked:
		case <-ctx.Done():
			stopping = true
		}
		if !s.admit() {
			return legacyEnd{why: errLegacyRevoked}
		}
		last := s.queue.take(&batch)
		if end := s.offer(context.WithoutCancel(ctx), batch); end != nil {
			return *end
		}
		switch {
		case last != nil:
			return *last
		case stopping:
			return legacyEnd{say: &wire.LegacyError{Status: wire.LegacyShutdown, Identifier: s.last}, why: errLegacyShutdown}
		}
	}
}

// admit reports whether the certificate is good. It is read once, and again only
// when it may have been revoked, or has expired.
func (s *legacySession) admit() bool {
	select {
	case <-s.revoked:
		s.sender = nil
	default:
	}
	if s.sender != nil && !time.Now().After(s.certificate.NotAfter) {
		return true
	}
	s.revoked = s.gateway.cfg.Portal.Revoked() // before the question, so that none is missed
	var err error
	if s.sender, err = s.gateway.cfg.Portal.AdmitCertificate(s.certificate, s.env); err != nil {
		return false
	}
	s.topic, s.topicErr = s.sender.LegacyTopic()
	return true
}

// finish tells the provider how the connection ends, and gives it time to read
// that (docs/protocol/legacy.md#stream).
func (s *legacySession) finish(end legacyEnd) {
	defer s.leave(time.Now().Add(legacyLinger))
	if end.broken {
		return
	}
	if end.say != nil {
		_ = s.conn.SetWriteDeadline(time.Now().Add(legacyWrite))
		if _, err := s.conn.Write(end.say.Append(nil)); err != nil {
			s.log.Debug("legacy connection ended before its error was read", slog.Any("error", err))
		}
	}
	s.closeWrite()
}

// leave has the reader discard what comes, until a time.
func (s *legacySession) leave(by time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.isOver = true
	close(s.over)
	if s.conn.SetReadDeadline(by) != nil {
		_ = s.raw.Close() // so that the reader ends all the same
	}
}

// setReadDeadline is for the reader. It reports false when it is to discard what
// comes.
func (s *legacySession) setReadDeadline(t time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.isOver && s.conn.SetReadDeadline(t) == nil
}
