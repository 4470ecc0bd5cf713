package provide

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
)

// metered is an outbox that counts what is stored in it: so what the metrics say is
// durable.
type metered struct {
	outbox.Store
	book *account.Book

	messages *prometheus.CounterVec // app, lane
	receipts *prometheus.CounterVec // app, receipt
	failures *prometheus.CounterVec // app, reason

	mu    sync.Mutex
	known map[claimed]*was // guarded by mu
}

// claimed names a shard that somebody holds.
type claimed struct {
	message outbox.MessageID
	shard   uint32
}

// was is what was last stored of it.
type was struct {
	app      string
	receipts outbox.Tally
}

func newMetered() *metered {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	}
	return &metered{
		known:    make(map[claimed]*was),
		messages: counter("messages_total", "Messages that were taken, by app and lane.", "app", "lane"),
		receipts: counter("receipts_total", "Recipients of whom it is settled what became of a message, by app: accepted (by the push service), rejected or expired.", "app", "receipt"),
		failures: counter("failures_total", "Recipients whom a message did not reach, by app and the reason of the push service or of ours.", "app", "reason"),
	}
}

// name returns the ID of an app for labels.
func (m *metered) name(n audience.AppNumber) string {
	app, err := m.book.AppOfNumber(n)
	if err != nil {
		return other
	}
	return string(app.ID)
}

// Submit implements outbox.Store.
func (m *metered) Submit(ctx context.Context, s outbox.Submission, now time.Time) (outbox.Message, bool, error) {
	message, repeated, err := m.Store.Submit(ctx, s, now)
	if err == nil && !repeated {
		m.messages.WithLabelValues(m.name(s.Intent.App), s.Intent.Lane.String()).Inc()
	}
	return message, repeated, err
}

// Claim implements outbox.Store.
func (m *metered) Claim(ctx context.Context, w outbox.Wanted, now time.Time) ([]outbox.Claim, error) {
	claims, err := m.Store.Claim(ctx, w, now)
	if len(claims) == 0 {
		return claims, err
	}
	app := m.name(w.App)
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range claims {
		c := &claims[i]
		m.known[claimed{c.Message.ID, c.Shard.Number}] = &was{app, c.Shard.Receipts.Count()}
	}
	return claims, err
}

// Checkpoint implements outbox.Store.
func (m *metered) Checkpoint(ctx context.Context, all []outbox.Progress, now time.Time) ([]outbox.Checked, error) {
	checked, err := m.Store.Checkpoint(ctx, all, now)
	if err != nil {
		return checked, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range checked {
		p := &all[i]
		id := claimed{p.Message, p.Shard}
		before := m.known[id]
		if before == nil {
			continue
		}
		if checked[i].Err != nil || p.Release {
			delete(m.known, id)
		}
		if checked[i].Err == nil {
			m.settled(before, p)
		}
	}
	return checked, nil
}

// settled counts progress on a shard. The caller holds mu.
func (m *metered) settled(before *was, p *outbox.Progress) {
	now := p.Receipts.Count()
	change := now.Minus(before.receipts)
	before.receipts = now
	for _, r := range []outbox.Receipt{outbox.Accepted, outbox.Rejected, outbox.Expired} {
		if change[r] > 0 {
			m.receipts.WithLabelValues(before.app, r.String()).Add(float64(change[r]))
		}
	}
	for i := range p.Failures {
		m.failures.WithLabelValues(before.app, reasonLabel(p.Failures[i].Reason)).Inc()
	}
}

// pending returns how many members are pending in the shards that are held: those
// that are being sent.
func (m *metered) pending() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, w := range m.known {
		n += w.receipts[outbox.Pending]
	}
	return n
}

// reasonLabel returns a reason, as long as it is one of those that there are: it
// comes from the wire.
func reasonLabel(r apns.Reason) string {
	switch {
	case r == outbox.NoDeviceToken, r == outbox.InQuarantine, r.Sentence() != "":
		return string(r)
	}
	return other
}
