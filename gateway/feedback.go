package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/registry"
	"github.com/heraldpush/herald/wire"
)

// Limits in time of the feedback service.
const (
	feedbackWrite  = 30 * time.Second // for a page of tuples
	feedbackLinger = 30 * time.Second // for the provider to read and to close
)

// ServeFeedback serves the feedback service of an environment
// (docs/protocol/legacy.md#feedback), until ctx ends or the listener fails. It
// closes the listener, lets connections end in good order, and returns when all
// have ended: nil if ctx ended.
func (g *Gateway) ServeFeedback(ctx context.Context, l net.Listener, env apns.Environment) error {
	return g.serveCertified(ctx, l, env, "feedback service", g.serveFeedback)
}

// serveFeedback writes what there is for a certificate, and forgets it when it
// has arrived.
func (g *Gateway) serveFeedback(ctx context.Context, c certified) {
	stop := c.cutAfter(ctx, g.cfg.DrainTimeout)
	defer stop()
	defer c.raw.Close() // it has ended in one way or another
	log := c.log.With(slog.String("environment", c.env.String()))
	sender, err := g.cfg.Portal.AdmitCertificate(c.state.PeerCertificates[0], c.env)
	if err != nil { // it was revoked since the handshake
		log.DebugContext(ctx, "feedback connection failed", slog.Any("error", err))
		return
	}
	ctx = context.WithoutCancel(ctx)
	reading := g.cfg.Registry.ReadFeedback(c.env, sender.Topics())
	count, err := c.tell(ctx, reading)
	switch {
	case errors.Is(err, errFeedbackStore):
		log.ErrorContext(ctx, "feedback could not be read", slog.Any("error", err))
	case err == nil:
		c.closeWrite()
		err = c.awaitClose()
	}
	if err == nil && count > 0 {
		clearing, cancel := context.WithTimeout(ctx, storeTimeout)
		defer cancel()
		if err := reading.Clear(clearing); err != nil {
			log.ErrorContext(ctx, "feedback could not be cleared, and will be told again", slog.Any("error", err))
		}
	}
	log.DebugContext(ctx, "feedback connection ended", slog.Int("tuples", count), slog.Any("error", err))
}

// errFeedbackStore is in the chain of a fault of this side.
var errFeedbackStore = errors.New("reading the feedback of a certificate")

// tell writes all tuples, a page at a time, and returns how many.
func (c certified) tell(ctx context.Context, reading *registry.FeedbackReading) (count int, err error) {
	var b []byte
	for {
		entries, err := nextFeedback(ctx, reading)
		if err != nil || len(entries) == 0 {
			return count, err
		}
		b = b[:0]
		for _, e := range entries {
			b = wire.FeedbackTuple{Time: e.Gone, DeviceToken: e.DeviceToken}.Append(b)
		}
		if err := c.conn.SetWriteDeadline(time.Now().Add(feedbackWrite)); err != nil {
			return count, err
		}
		if _, err := c.conn.Write(b); err != nil {
			return count, err
		}
		count += len(entries)
	}
}

func nextFeedback(ctx context.Context, reading *registry.FeedbackReading) ([]registry.FeedbackEntry, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	entries, err := reading.Next(ctx)
	if err != nil {
		return nil, errors.Join(errFeedbackStore, err)
	}
	return entries, nil
}

// awaitClose waits for the provider to close, after the last byte was written.
// It returns an error unless that went well: only then has everything arrived.
func (c certified) awaitClose() error {
	if err := c.conn.SetReadDeadline(time.Now().Add(feedbackLinger)); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, c.conn)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) { // many close without a word in TLS
		return err
	}
	// The word in TLS may come from one that has not read all: its system then
	// resets what is beneath.
	by := time.Now().Add(legacyLinger)
	if err := c.raw.SetReadDeadline(by); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, c.raw)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil // it has said in TLS that it is through, and leaves the rest to this side
	case err != nil:
		return err
	}
	return arrived(c.raw, by)
}

// noteGone adds to the feedback what pushes met. That it could not is no reason
// to refuse them.
func (g *Gateway) noteGone(ctx context.Context, log *slog.Logger, met []registry.FeedbackEntry) {
	if len(met) == 0 {
		return
	}
	if err := g.cfg.Registry.NoteGone(ctx, met); err != nil {
		log.ErrorContext(ctx, "gateway could not keep feedback", slog.Any("error", err), slog.Int("device tokens", len(met)))
	}
}

// metGone returns what a push met, if it was refused because the app is gone. It
// has a copy of the device token.
func metGone(why error, topic apns.Topic, env apns.Environment, t apns.DeviceToken) (registry.FeedbackEntry, bool) {
	r, ok := errors.AsType[*apns.Rejection](why)
	if !ok || r.Reason != apns.Unregistered {
		return registry.FeedbackEntry{}, false
	}
	return registry.FeedbackEntry{List: registry.FeedbackList{Topic: topic.Hash(), Environment: env}, DeviceToken: apns.DeviceToken(strings.Clone(string(t))), Gone: r.Since}, true
}
