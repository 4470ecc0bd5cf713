package event

import (
	"net/http"
	"time"
)

// State is whether events are posted to a webhook.
type State string

// The states.
const (
	Active State = "active"
	Paused State = "paused"
)

// Why a webhook is paused.
const (
	// WhyAsked: somebody asked for it.
	WhyAsked = "asked"
	// WhyFailing: it failed for as long as GiveUpAfter.
	WhyFailing = "failing"
	// WhyGone: its receiver answered 410, which says that it wants no more.
	WhyGone = "gone"
)

// When deliveries that failed are tried again.
const (
	// FirstWait is the time after the first failure; each one after that doubles
	// it, up to MaxWait.
	FirstWait = 5 * time.Second
	MaxWait   = time.Hour
	// GiveUpAfter is how long a webhook may fail before it is paused.
	GiveUpAfter = 3 * 24 * time.Hour
	// waitSpread is by how much of itself a wait may be shorter or longer, so that
	// what failed together does not come back together.
	waitSpread = 0.2
)

// Progress is how far the delivery to a webhook has come. It is a value: Step makes
// the next of it.
type Progress struct {
	// Cursor is a sequence number: all events up to it were taken, or are not wanted.
	Cursor uint64 `json:"cursor"`
	State  State  `json:"state"`
	// Why says why it is paused: WhyAsked, WhyFailing or WhyGone.
	Why string `json:"why,omitempty"`
	// Term counts what people did: Pause, Resume and Replay. What comes of a delivery
	// that began in an earlier one is not noted.
	Term uint64 `json:"term"`
	// Batch is the last event of a delivery that failed and is to be tried again as
	// it was. Zero: none.
	Batch uint64 `json:"batch,omitempty"`
	// Failures counts those in a row, since FailingSince; Next is when it is tried
	// again.
	Failures     int       `json:"failures,omitempty"`
	FailingSince time.Time `json:"failing_since,omitzero"`
	Next         time.Time `json:"next_at,omitzero"`
	// LastStatus and LastError are of the last failure, and stay after it. The status
	// is 0 where there was no answer.
	LastStatus int    `json:"last_status,omitempty"`
	LastError  string `json:"last_error,omitempty"`
	// DeliveredAt is when a delivery was last taken, and Delivered how many events
	// were in all; Missed how many, wanted or not, were removed from the log before it
	// came to them.
	DeliveredAt time.Time `json:"delivered_at,omitzero"`
	Delivered   uint64    `json:"delivered"`
	Missed      uint64    `json:"missed,omitempty"`
}

// Happening is something that happens to the delivery to a webhook: one of Taken,
// Failed, Passed, Lost, Pause, Resume and Replay.
type Happening interface {
	step(p Progress, now time.Time) (Progress, Effects)
}

// Effects is what is to be done because of a Happening.
type Effects struct {
	// Store: the Progress is to be durable before anything else happens. Otherwise
	// it may be stored with the next, or be lost in a crash.
	Store bool
	// Tell: the webhook was paused by itself, and others are to be told.
	Tell bool
}

// The happenings.
type (
	// Taken says that a delivery was taken: so many events, the last of which has the
	// number Through.
	Taken struct {
		Through uint64
		Events  int
	}
	// Failed says that a delivery was not taken, or that nobody knows.
	Failed struct {
		Through uint64
		// Status is that of the answer, 0 if there was none; Err says it in words.
		Status int
		Err    string
		// Asked is the time that the receiver asked for by Retry-After.
		Asked time.Duration
		// Spread, from 0 to 1, says where in its range the wait is.
		Spread float64
	}
	// Passed says that no event up to Through is wanted.
	Passed struct{ Through uint64 }
	// Lost says that First is the first event that the log still has.
	Lost struct{ First uint64 }
	// Pause stops it until Resume or Replay.
	Pause struct{}
	// Resume goes on where it stopped, at once.
	Resume struct{}
	// Replay goes on after a sequence number, whatever was before.
	Replay struct{ After uint64 }
)

// Step returns what p comes to.
func (p Progress) Step(h Happening, now time.Time) (Progress, Effects) {
	return h.step(p, now.UTC().Round(0))
}

// calm returns p without what the last failure left to be done.
func (p Progress) calm() Progress {
	p.Batch, p.Failures, p.FailingSince, p.Next = 0, 0, time.Time{}, time.Time{}
	return p
}

func (h Taken) step(p Progress, now time.Time) (Progress, Effects) {
	p = p.calm()
	p.Cursor, p.DeliveredAt, p.Delivered = h.Through, now, p.Delivered+uint64(h.Events)
	return p, Effects{Store: true}
}

func (h Failed) step(p Progress, now time.Time) (Progress, Effects) {
	p.Batch, p.LastStatus, p.LastError = h.Through, h.Status, h.Err
	if p.Failures++; p.FailingSince.IsZero() {
		p.FailingSince = now
	}
	switch {
	case h.Status == http.StatusGone:
		p.State, p.Why = Paused, WhyGone
	case now.Sub(p.FailingSince) >= GiveUpAfter:
		p.State, p.Why = Paused, WhyFailing
	default:
		p.Next = now.Add(h.wait(p.Failures))
		return p, Effects{Store: true}
	}
	p.Next = time.Time{}
	return p, Effects{Store: true, Tell: true}
}

// wait returns how long a webhook is left alone after so many failures in a row.
func (h Failed) wait(failures int) time.Duration {
	wait := MaxWait
	if failures <= 10 { // 5 s · 2^10 is more than MaxWait
		wait = min(FirstWait<<(failures-1), MaxWait)
	}
	wait = max(wait, min(h.Asked, MaxWait))
	return time.Duration(float64(wait) * (1 + waitSpread*(2*h.Spread-1)))
}

func (h Passed) step(p Progress, _ time.Time) (Progress, Effects) {
	p.Cursor = max(p.Cursor, h.Through)
	return p, Effects{}
}

func (h Lost) step(p Progress, _ time.Time) (Progress, Effects) {
	if h.First <= p.Cursor+1 {
		return p, Effects{}
	}
	p.Missed += h.First - 1 - p.Cursor
	p.Cursor = h.First - 1
	if p.Batch <= p.Cursor {
		p.Batch = 0
	}
	return p, Effects{Store: true}
}

func (Pause) step(p Progress, _ time.Time) (Progress, Effects) {
	p = p.calm()
	p.State, p.Why, p.Term = Paused, WhyAsked, p.Term+1
	return p, Effects{Store: true}
}

func (Resume) step(p Progress, _ time.Time) (Progress, Effects) {
	p = p.calm()
	p.State, p.Why, p.Term = Active, "", p.Term+1
	return p, Effects{Store: true}
}

func (h Replay) step(p Progress, now time.Time) (Progress, Effects) {
	p.Cursor = h.After
	return Resume{}.step(p, now)
}
